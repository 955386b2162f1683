from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evibridge.audio.resample import Resampler
from evibridge.engine.hearing.voicing import WINDOW_SAMPLES, is_voiced
from evibridge.engine.hearing.whisper import RATE_HZ
from tests.speech import spoken

TIME_S = np.arange(WINDOW_SAMPLES) / RATE_HZ
NOISE = np.random.default_rng(3).normal(size=4 * RATE_HZ)

Signal = NDArray[np.float64]


def window(signal: Signal, dbfs: float = -20) -> NDArray[np.int16]:
    """A signal at a level, int16."""
    scaled = signal / np.std(signal) * 32768 * 10 ** (dbfs / 20)
    return scaled.clip(-32768, 32767).astype(np.int16)


def vowel(pitch_hz: float) -> Signal:
    """A voice's overtones, stronger at 500 and 1500 Hz."""
    overtones = np.arange(pitch_hz, 3400, pitch_hz)
    strengths = [
        sum(1 / (1 + ((hz - peak) / 150) ** 2) for peak in (500, 1500)) for hz in overtones
    ]
    parts = [
        part * np.sin(2 * np.pi * hz * TIME_S)
        for part, hz in zip(strengths, overtones, strict=True)
    ]
    signal: Signal = np.sum(parts, axis=0)
    return signal


def tones(*hz: float) -> Signal:
    signal: Signal = np.sum([np.sin(2 * np.pi * tone * TIME_S) for tone in hz], axis=0)
    return signal


@pytest.mark.parametrize("pitch_hz", [75, 100, 140, 200, 280, 380])
def test_a_vowel_is_voiced_at_every_pitch_of_a_voice(pitch_hz: float) -> None:
    assert is_voiced(window(vowel(pitch_hz)))


def test_a_vowel_is_voiced_in_the_noise_of_a_line() -> None:
    noisy = vowel(120) / np.std(vowel(120)) + 0.25 * NOISE[:WINDOW_SAMPLES]
    assert is_voiced(window(noisy))


def test_what_is_weak_is_an_echo() -> None:
    assert not is_voiced(window(vowel(120), dbfs=-46))
    assert is_voiced(window(vowel(120), dbfs=-34))


@pytest.mark.parametrize(
    "hz", [(425,), (440, 480), (350, 440), (697, 1209), (941, 1477), (950,), (2100,)]
)
def test_tones_of_a_telephone_are_no_voice(hz: tuple[float, ...]) -> None:
    assert not is_voiced(window(tones(*hz)))


@pytest.mark.parametrize("hz", [50, 60, 100])
def test_hum_is_no_voice(hz: float) -> None:
    assert not is_voiced(window(tones(hz, 2 * hz)))


@pytest.mark.parametrize("pitch_hz", [500, 700, 1000])
def test_what_is_higher_than_a_voice_is_none(pitch_hz: float) -> None:
    assert not is_voiced(window(vowel(pitch_hz)))


def test_noise_is_no_voice() -> None:
    windows = NOISE[: len(NOISE) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)
    assert sum(is_voiced(window(part)) for part in windows) == 0


def test_half_of_speech_is_voiced_and_silence_is_not() -> None:
    pcm16 = Resampler(8_000, RATE_HZ).process(spoken("I have another question, please.", 8_000))
    speech = np.frombuffer(pcm16, np.int16)
    starts = range(0, len(speech) + 1, WINDOW_SAMPLES)
    voiced = [is_voiced(speech[begin:end]) for begin, end in pairwise(starts)]

    assert 0.4 * len(voiced) < sum(voiced) < 0.9 * len(voiced)
    assert not is_voiced(np.zeros(WINDOW_SAMPLES, np.int16))


@given(
    samples=st.lists(
        st.integers(-32768, 32767), min_size=WINDOW_SAMPLES // 8, max_size=WINDOW_SAMPLES // 8
    ),
    held=st.booleans(),
)
def test_any_sound_is_judged(samples: list[int], held: bool) -> None:
    repeated = np.repeat(samples, 8) if held else np.tile(samples, 8)
    assert is_voiced(repeated.astype(np.int16)) in (True, False)
