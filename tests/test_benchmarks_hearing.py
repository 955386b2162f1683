"""The figures about hearing mean what they say; how good a figure is, no test asks."""

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks import hearing, noises
from benchmarks.caller_voices import SPEECH_DBFS, spoken
from benchmarks.word_errors import word_errors


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("My order number is ten forty two.", "my order number is 1042"),
        ("My order number is ten forty two.", "My order number is 10-42."),
        ("Check order seven three five nine.", "Check order 7,359!"),
        ("Two zero two, oh seven.", "2 0 2 0 7"),
        ("Forty. Fifty one people.", "40, 51 people"),
        ("I would like twenty.", "I'd like 20."),
        ("I cannot log in.", "I can't log in"),
        ("For twenty seven pounds.", "for £27"),
        ("On the ninth of March.", "on the 9th of March"),
        ("That is correct.", "That\N{RIGHT SINGLE QUOTATION MARK}s correct."),
    ],
)
def test_spelling_is_no_error(said: str, understood: str) -> None:
    assert word_errors(said, understood)[0] == 0


@pytest.mark.parametrize(
    ("understood", "errors"),
    [
        ("Where is my order?", 0),
        ("Where is your order?", 1),
        ("Where is order?", 1),
        ("Where is my old order?", 1),
        ("", 4),
        ("Hello.", 4),
    ],
)
def test_wrong_missing_and_additional_words_are_errors(understood: str, errors: int) -> None:
    assert word_errors("Where is my order?", understood) == (errors, 4)


def test_each_digit_counts() -> None:
    assert word_errors("ten forty two", "1043") == (1, 4)


@pytest.mark.parametrize("sound", noises.BURSTS.values(), ids=noises.BURSTS)
def test_a_noise_lasts_a_minute_and_has_the_level_that_is_asked(
    sound: Callable[[], noises.Sound],
) -> None:
    made = noises.at_level(sound(), -20)
    assert len(made) == noises.SECONDS * noises.RATE_HZ
    assert -40 < 10 * np.log10(np.mean(made**2)) < -19
    assert np.array_equal(made, noises.at_level(sound(), -20)), "the same in every run"


def test_speech_begins_where_it_is_heard() -> None:
    speech = spoken("Stop.", "hibari")
    late = np.concatenate([np.zeros(noises.RATE_HZ), speech])
    assert hearing.onset_ms(late) == pytest.approx(1000 + hearing.onset_ms(speech), abs=10)
    assert 10 * np.log10(np.max(speech**2)) > SPEECH_DBFS


async def test_a_caller_interrupts_and_a_quiet_noise_does_not() -> None:
    found = await hearing.interruption("Hello, can I say something?", "hibari")
    assert found.late_ms is not None
    assert await hearing.false_interruptions(noises.white(5), -60) == 0
