import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.chat.playback import Playback

SENTENCE = "one two three four five six seven eight nine ten"


def test_audio_plays_end_to_end_from_its_first_arrival() -> None:
    playback = Playback()
    playback.begin("a", SENTENCE, 100.0)

    assert playback.send(0.5, 100.0) == ("a", 0)
    assert playback.send(0.5, 100.1) == ("a", 1)
    assert playback.end_s == pytest.approx(101.0)

    playback.begin("b", SENTENCE, 105.0)
    assert playback.send(0.5, 105.0) == ("b", 0)
    assert playback.end_s == pytest.approx(105.5)


def test_what_was_heard_is_told_in_proportion_to_time() -> None:
    playback = Playback()
    for name in ("a", "b", "c"):
        playback.begin(name, SENTENCE, 0.0)
        playback.send(2.0, 0.0)

    assert playback.cut(3.01) == {"b": "one two three four five", "c": ""}
    assert playback.end_s == pytest.approx(3.01)


def test_a_sentence_whose_audio_is_not_all_sent_is_measured_by_its_length() -> None:
    playback = Playback()
    playback.begin("a", SENTENCE, 0.0)
    playback.send(1.0, 0.0)

    heard = playback.cut(1.0)["a"]

    assert heard in SENTENCE
    assert 0 < len(heard.split()) < 10


def test_a_sentence_without_audio_was_not_heard() -> None:
    playback = Playback()
    playback.begin("a", SENTENCE, 0.0)

    assert playback.cut(5.0) == {"a": ""}


def test_a_finished_sentence_counts_as_heard() -> None:
    playback = Playback()
    playback.complete()
    playback.begin("a", SENTENCE, 0.0)
    playback.send(1.0, 0.0)
    playback.complete()

    assert playback.cut(1.0) == {}
    assert playback.cut(1.0) == {}


def test_a_silence_in_the_past_is_not_moved_by_a_cut() -> None:
    playback = Playback()
    playback.begin("a", SENTENCE, 0.0)
    playback.send(1.0, 0.0)

    playback.cut(9.0)

    assert playback.end_s == 1.0


@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(0.01, 0.5), st.floats(0, 0.6)), min_size=1, max_size=40
    )
)
def test_indices_run_from_zero_and_heard_words_are_a_beginning(
    steps: list[tuple[bool, float, float]],
) -> None:
    playback = Playback()
    now_s, sentences, expected = 1000.0, 0, 0
    for new_sentence, duration_s, pause_s in steps:
        if new_sentence or sentences == 0:
            sentences, expected = sentences + 1, 0
            playback.begin(str(sentences), SENTENCE, now_s)
        assert playback.send(duration_s, now_s) == (str(sentences), expected)
        expected += 1
        now_s += pause_s

    for heard in playback.cut(now_s).values():
        assert SENTENCE.startswith(heard)
    assert playback.end_s <= now_s


def test_a_sentence_without_sound_can_be_dropped() -> None:
    playback = Playback()
    assert playback.drop_silent() == {}
    playback.begin("a", "Good day.", 0)
    playback.send(1.0, 0)
    assert playback.drop_silent() == {}
    playback.begin("b", "How are you?", 0)

    assert playback.drop_silent() == {"b": ""}
    assert playback.unheard(0.5) == ["Good day."]
