from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.turns import (
    FRAME_MS,
    SILENCE_HINT_MS,
    AgentInterrupted,
    SilenceBegan,
    SpeechDismissed,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    TurnDetector,
    TurnFact,
    TurnTaking,
)

SPEECH, WEAK, SILENCE = 0.9, 0.4, 0.1
PROBABILITIES = {"#": SPEECH, "+": WEAK, ".": SILENCE}
KNOBS = TurnTaking(end_of_turn_silence_ms=800, prefix_padding_ms=32, min_interruption_ms=160)

Timed = tuple[int, TurnFact]


def heard(frames: str, *, agent: str = "", knobs: TurnTaking = KNOBS) -> list[Timed]:
    """Facts with the time of the frame that brought them; the agent speaks where there is an a."""
    detector = TurnDetector(knobs)
    agent = agent.ljust(len(frames))
    return [
        ((i + 1) * FRAME_MS, fact)
        for i, (frame, speaking) in enumerate(zip(frames, agent, strict=True))
        for fact in detector.heard(PROBABILITIES[frame], agent_speaking=speaking == "a")
    ]


def facts(frames: str, *, agent: str = "", knobs: TurnTaking = KNOBS) -> list[TurnFact]:
    return [fact for _, fact in heard(frames, agent=agent, knobs=knobs)]


def test_an_utterance_starts_pauses_and_ends() -> None:
    assert heard("." * 10 + "#" * 10 + "." * 50) == [
        (208, SpeechStarted(128)),
        (320 + 208, SilenceBegan(128, 528)),
        (320 + 800, SpeechEnded(128, 528)),
    ]


@pytest.mark.parametrize("frames", ["#", "##", "#.#", "##..#", "#...#...#...#"])
def test_clicks_are_no_speech(frames: str) -> None:
    assert facts("...." + frames + "." * 60) == []


def test_an_onset_may_have_a_gap() -> None:
    assert facts("....##.#") == [SpeechStarted(32)]


def test_weak_frames_do_not_start_speech_but_carry_it_on() -> None:
    assert facts("+" * 50) == []
    assert facts("###" + "+" * 50 + "." * 12) == [SpeechStarted(0)]


def test_a_short_dip_is_no_pause() -> None:
    assert facts("####" + "." * 12 + "#" + "." * 12 + "####") == [SpeechStarted(0)]


def test_speech_after_a_pause_belongs_to_the_same_utterance() -> None:
    assert facts("." * 10 + "#" * 10 + "." * 20 + "###" + "." * 50) == [
        SpeechStarted(128),
        SilenceBegan(128, 320 + 208),
        SpeechResumed(640),
        SilenceBegan(128, 688 + 208),
        SpeechEnded(128, 688 + 208),
    ]


def test_a_click_does_not_prolong_a_pause() -> None:
    with_click = heard("#" * 10 + "." * 30 + "#" + "." * 30)
    assert with_click[-1] == (160 + 800, SpeechEnded(0, 160 + 208))


def test_padding_reaches_neither_before_the_audio_nor_into_the_last_utterance() -> None:
    knobs = TurnTaking(end_of_turn_silence_ms=500, prefix_padding_ms=1000)
    started = [
        fact
        for fact in facts("##########" + "." * 32 + "####", knobs=knobs)
        if isinstance(fact, SpeechStarted)
    ]
    assert started == [SpeechStarted(0), SpeechStarted(160 + SILENCE_HINT_MS)]


def test_enough_speech_over_the_agent_interrupts_it_once() -> None:
    frames = "#" * 40
    assert heard(frames, agent="a" * 40) == [
        (48, SpeechStarted(0)),
        (48 + 144, AgentInterrupted(192)),
    ]


def test_an_interruption_counts_speech_and_not_pauses() -> None:
    # The third frame makes the speech certain and is the first that counts: ten make 160 ms.
    frames = "####...####" + "." * 20 + "####" + "##"
    assert [fact for fact in heard(frames, agent="a" * len(frames)) if _is_interruption(fact)] == [
        (len(frames) * FRAME_MS, AgentInterrupted(len(frames) * FRAME_MS))
    ]


def test_an_interrupting_utterance_becomes_a_turn_while_the_agent_still_speaks() -> None:
    frames = "#" * 20 + "." * 50
    assert facts(frames, agent="a" * 70)[-1] == SpeechEnded(0, 320 + 208)


def test_a_word_under_the_agents_speech_is_dismissed() -> None:
    frames = "#" * 6 + "." * 50
    assert heard(frames, agent="a" * 56) == [
        (48, SpeechStarted(0)),
        (96 + 208, SilenceBegan(0, 304)),
        (96 + 800, SpeechDismissed(896)),
    ]


def test_an_answer_over_the_end_of_the_question_counts() -> None:
    frames = "#" * 6 + "." * 50
    assert facts(frames, agent="a" * 30)[-1] == SpeechEnded(0, 304)


def test_words_said_before_the_agent_speaks_count() -> None:
    frames = "#" * 6 + "." * 50
    assert facts(frames, agent="    " + "a" * 52)[-1] == SpeechEnded(0, 304)


def test_speech_while_the_agent_is_silent_interrupts_nothing() -> None:
    assert not any(isinstance(fact, AgentInterrupted) for fact in facts("#" * 100))


def test_the_defaults_are_those_of_the_protocol() -> None:
    knobs = TurnTaking()
    assert (knobs.end_of_turn_silence_ms, knobs.speech_detection_threshold) == (800, 0.5)
    assert (knobs.prefix_padding_ms, knobs.min_interruption_ms) == (300, 800)


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("end_of_turn_silence_ms", 499),
        ("end_of_turn_silence_ms", 3001),
        ("speech_detection_threshold", -0.1),
        ("speech_detection_threshold", 1.1),
        ("speech_detection_threshold", float("nan")),
        ("prefix_padding_ms", 1001),
        ("min_interruption_ms", 49),
    ],
)
def test_a_knob_out_of_range_is_refused_by_name(knob: str, value: float) -> None:
    with pytest.raises(ValueError, match=knob):
        TurnTaking(**{knob: value})  # type: ignore[arg-type]  # one name stands for all types


def _is_interruption(timed: Timed) -> bool:
    return isinstance(timed[1], AgentInterrupted)


def _stretches(symbols: str) -> st.SearchStrategy[str]:
    stretch = st.builds(str.__mul__, st.sampled_from(symbols), st.integers(1, 60))
    return st.lists(stretch, min_size=1, max_size=12).map("".join)


_KNOBS = st.builds(
    TurnTaking,
    end_of_turn_silence_ms=st.integers(500, 1200),
    speech_detection_threshold=st.sampled_from([0.2, 0.5, 0.7]),
    prefix_padding_ms=st.integers(0, 1000),
    min_interruption_ms=st.integers(50, 500),
)


@given(frames=_stretches("#+."), agent=_stretches(" a"), knobs=_KNOBS)
def test_facts_come_in_order(frames: str, agent: str, knobs: TurnTaking) -> None:
    follows: dict[type[TurnFact] | None, set[type[TurnFact]]] = {
        None: {SpeechStarted},
        SpeechStarted: {SilenceBegan},
        SilenceBegan: {SpeechResumed, SpeechEnded, SpeechDismissed},
        SpeechResumed: {SilenceBegan},
        SpeechEnded: {SpeechStarted},
        SpeechDismissed: {SpeechStarted},
    }
    previous: type[TurnFact] | None = None
    interruptions = 0
    for fact in facts(frames, agent=agent[: len(frames)], knobs=knobs):
        if isinstance(fact, AgentInterrupted):
            assert previous in (SpeechStarted, SpeechResumed, SilenceBegan)
            interruptions += 1
            assert interruptions == 1
            continue
        assert type(fact) in follows[previous]
        previous = type(fact)
        if isinstance(fact, SpeechStarted):
            interruptions = 0


@given(frames=_stretches("#+."), agent=_stretches(" a"), knobs=_KNOBS)
def test_utterances_have_length_and_do_not_overlap(
    frames: str, agent: str, knobs: TurnTaking
) -> None:
    found = facts(frames, agent=agent[: len(frames)], knobs=knobs)
    silences = [fact for fact in found if isinstance(fact, SilenceBegan)]
    ends = [fact for fact in found if isinstance(fact, SpeechEnded)]

    assert all(0 <= silence.begin_ms < silence.end_ms for silence in silences)
    assert all(SilenceBegan(end.begin_ms, end.end_ms) in silences for end in ends)
    for one, following in pairwise(silences):
        same_utterance = one.begin_ms == following.begin_ms
        assert one.end_ms < following.end_ms
        assert same_utterance or one.end_ms <= following.begin_ms


@given(frames=_stretches("#."), agent=_stretches(" a"), knobs=_KNOBS)
def test_a_turn_ends_one_end_of_turn_silence_after_the_last_speech(
    frames: str, agent: str, knobs: TurnTaking
) -> None:
    timed = heard(frames, agent=agent[: len(frames)], knobs=knobs)
    last_silence_end_ms = 0
    for now_ms, fact in timed:
        if isinstance(fact, SilenceBegan):
            last_silence_end_ms = now_ms
        elif isinstance(fact, SpeechEnded | SpeechDismissed):
            last_speech_ms = last_silence_end_ms - SILENCE_HINT_MS
            assert frames[last_speech_ms // FRAME_MS - 1] == "#"
            assert "#" not in frames[last_speech_ms // FRAME_MS : last_silence_end_ms // FRAME_MS]
            assert 0 <= now_ms - last_speech_ms - knobs.end_of_turn_silence_ms < FRAME_MS
