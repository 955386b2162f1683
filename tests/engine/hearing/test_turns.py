from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.hearing.turns import (
    FRAME_MS,
    MAX_UTTERANCE_SILENCE_MS,
    SILENCE_HINT_MS,
    AgentInterrupted,
    SilenceBegan,
    SpeechCounts,
    SpeechDismissed,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    TurnDetector,
    TurnEnded,
    TurnFact,
    TurnTaking,
)


@dataclass(frozen=True, slots=True)
class Sound:
    """16 ms of sound, as the detector knows it."""

    probability: float
    voiced: bool = False

    def is_voiced(self) -> bool:
        return self.voiced


SOUNDS = {"#": Sound(0.9, voiced=True), "s": Sound(0.9), "+": Sound(0.4), ".": Sound(0.1)}
KNOBS = TurnTaking(end_of_turn_silence_ms=800, prefix_padding_ms=32, min_interruption_ms=160)

Timed = tuple[int, TurnFact]


def heard(frames: str, *, agent: str = "", knobs: TurnTaking = KNOBS) -> list[Timed]:
    """Facts with the time of the frame that brought them; the agent speaks where there is an a."""
    detector = TurnDetector(knobs)
    agent = agent.ljust(len(frames))
    return [
        ((i + 1) * FRAME_MS, fact)
        for i, (frame, speaking) in enumerate(zip(frames, agent, strict=True))
        for fact in detector.heard(SOUNDS[frame], agent_speaking=speaking == "a")
    ]


def facts(frames: str, *, agent: str = "", knobs: TurnTaking = KNOBS) -> list[TurnFact]:
    return [fact for _, fact in heard(frames, agent=agent, knobs=knobs)]


def test_an_utterance_starts_pauses_and_ends() -> None:
    assert heard("." * 10 + "#" * 10 + "." * 50) == [
        (208, SpeechStarted(128)),
        (208, SpeechCounts(208)),
        (320 + 208, SilenceBegan(128, 528)),
        (320 + 800, SpeechEnded(128, 528)),
        (320 + 800, TurnEnded(1120)),
    ]


@pytest.mark.parametrize("frames", ["#", "##", "#.#", "##..#", "#...#...#...#"])
def test_clicks_are_no_speech(frames: str) -> None:
    assert facts("...." + frames + "." * 60) == []


def test_an_onset_may_have_a_gap() -> None:
    assert facts("....##.#") == [SpeechStarted(32), SpeechCounts(128)]


def test_weak_frames_do_not_start_speech_but_carry_it_on() -> None:
    assert facts("+" * 50) == []
    assert facts("###" + "+" * 50 + "." * 12) == [SpeechStarted(0), SpeechCounts(48)]


def test_a_short_dip_is_no_pause() -> None:
    dips = "####" + "." * 12 + "#" + "." * 12 + "####"
    assert facts(dips) == [SpeechStarted(0), SpeechCounts(48)]


def test_speech_after_a_pause_belongs_to_the_same_utterance() -> None:
    assert facts("." * 10 + "#" * 10 + "." * 20 + "###" + "." * 50) == [
        SpeechStarted(128),
        SpeechCounts(208),
        SilenceBegan(128, 320 + 208),
        SpeechResumed(640),
        SilenceBegan(128, 688 + 208),
        SpeechEnded(128, 688 + 208),
        TurnEnded(688 + 800),
    ]


def test_a_click_does_not_prolong_a_pause() -> None:
    with_click = heard("#" * 10 + "." * 30 + "#" + "." * 30)
    assert with_click[-2] == (160 + 800, SpeechEnded(0, 160 + 208))


PATIENT = replace(KNOBS, end_of_turn_silence_ms=2000)


def test_a_patient_turn_may_have_several_utterances() -> None:
    frames = "#" * 10 + "." * 80 + "#" * 10 + "." * 130
    assert heard(frames, knobs=PATIENT) == [
        (48, SpeechStarted(0)),
        (48, SpeechCounts(48)),
        (160 + 208, SilenceBegan(0, 368)),
        (160 + 800, SpeechEnded(0, 368)),
        (1440 + 48, SpeechStarted(1440 - 32)),
        (1440 + 48, SpeechCounts(1488)),
        (1600 + 208, SilenceBegan(1408, 1808)),
        (1600 + 800, SpeechEnded(1408, 1808)),
        (1600 + 2000, TurnEnded(3600)),
    ]


def test_an_utterance_never_waits_longer_than_its_turn() -> None:
    hasty = replace(KNOBS, end_of_turn_silence_ms=500)
    assert heard("#" * 10 + "." * 50, knobs=hasty)[-2:] == [
        (160 + 512, SpeechEnded(0, 368)),
        (160 + 512, TurnEnded(672)),
    ]


def test_a_turn_does_not_end_while_the_caller_speaks() -> None:
    speaks_again = "#" * 10 + "." * 120 + "#" * 60
    assert facts(speaks_again, knobs=PATIENT)[-1] == SpeechCounts(2080 + 48)


def test_dismissed_speech_does_not_prolong_a_turn() -> None:
    frames = "#" * 10 + "." * 80 + "#" * 6 + "." * 70
    agent = " " * 60 + "a" * 106
    assert heard(frames, agent=agent, knobs=PATIENT)[-2:] == [
        (1536 + 800, SpeechDismissed(2336)),
        (1536 + 800, TurnEnded(2336)),
    ]


def test_padding_reaches_neither_before_the_audio_nor_into_the_last_utterance() -> None:
    knobs = replace(KNOBS, end_of_turn_silence_ms=500, prefix_padding_ms=1000)
    started = [
        fact
        for fact in facts("##########" + "." * 32 + "####", knobs=knobs)
        if isinstance(fact, SpeechStarted)
    ]
    assert started == [SpeechStarted(0), SpeechStarted(160 + SILENCE_HINT_MS)]


def interruption_ms(frames: str, *, agent: str = "", knobs: TurnTaking = KNOBS) -> int | None:
    """When the agent is interrupted; it speaks all the time, unless told otherwise."""
    found = [
        now_ms
        for now_ms, fact in heard(frames, agent=agent or "a" * len(frames), knobs=knobs)
        if isinstance(fact, AgentInterrupted)
    ]
    assert len(found) <= 1, "once per utterance"
    return found[0] if found else None


def test_enough_speech_over_the_agent_interrupts_it_once() -> None:
    frames = "." * 10 + "#" * 40
    assert heard(frames, agent="a" * 50) == [
        (160 + 48, SpeechStarted(128)),
        (160 + 160, AgentInterrupted(320)),
    ]


def test_short_gaps_between_words_are_a_part_of_the_interruption() -> None:
    assert interruption_ms("#####" + "..." + "######") == 160


def test_an_interruption_begins_anew_after_a_long_gap() -> None:
    frames = "######" + "." * 20 + "######" + "." * 30
    assert interruption_ms(frames) is None
    assert interruption_ms(frames + "#" * 20) == (len(frames) + 10) * FRAME_MS


def test_a_noise_interrupts_nothing_however_long() -> None:
    assert interruption_ms("s" * 300) is None


def test_a_noise_with_hardly_any_voice_in_it_interrupts_nothing() -> None:
    knobs = replace(KNOBS, min_interruption_ms=800)
    assert interruption_ms("s" * 20 + "######" + "s" * 60, knobs=knobs) is None
    assert interruption_ms("#" * 8 + "s" * 8 + "#" * 40, knobs=knobs) == 800


def test_a_consonant_before_the_voice_belongs_to_the_interruption() -> None:
    assert interruption_ms("sssssssss########") == 160 + 64
    assert interruption_ms("ssss" + "#" * 10) == 160


def test_a_noise_before_the_voice_counts_as_no_more_than_a_consonant() -> None:
    knobs = replace(KNOBS, min_interruption_ms=320)
    assert interruption_ms("s" * 100 + "#" * 30, knobs=knobs) == 1600 + 320 - 128


def test_an_interruption_may_be_noticed_shortly_after_its_end() -> None:
    assert interruption_ms("#######" + "." * 40) == 160
    assert interruption_ms("####" + "." * 40) is None


def test_speech_from_before_the_agent_spoke_does_not_interrupt_it() -> None:
    frames = "#" * 40
    assert interruption_ms(frames, agent=" " * 20 + "a" * 20) == 320 + 160


def test_an_agent_that_falls_silent_for_a_moment_is_interrupted_anew() -> None:
    assert interruption_ms("#" * 40, agent="a" * 8 + " " + "a" * 31) == 9 * FRAME_MS + 160


def test_the_shortest_interruption_needs_little_voice() -> None:
    knobs = replace(KNOBS, min_interruption_ms=50)
    assert interruption_ms("s###.", knobs=knobs) == 64


def test_an_interrupting_utterance_becomes_a_turn_while_the_agent_still_speaks() -> None:
    frames = "#" * 20 + "." * 50
    assert facts(frames, agent="a" * 70)[-2:] == [SpeechEnded(0, 320 + 208), TurnEnded(1120)]


def test_a_word_under_the_agents_speech_is_dismissed() -> None:
    frames = "#" * 6 + "." * 50
    assert heard(frames, agent="a" * 56) == [
        (48, SpeechStarted(0)),
        (96 + 208, SilenceBegan(0, 304)),
        (96 + 800, SpeechDismissed(896)),
    ]


def test_an_answer_over_the_end_of_the_question_counts() -> None:
    frames = "#" * 6 + "." * 50
    assert facts(frames, agent="a" * 30)[-3:] == [
        SpeechCounts(31 * FRAME_MS),
        SpeechEnded(0, 304),
        TurnEnded(896),
    ]


def test_words_said_before_the_agent_speaks_count() -> None:
    frames = "#" * 6 + "." * 50
    assert SpeechEnded(0, 304) in facts(frames, agent="    " + "a" * 52)


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


def _stretches(symbols: str) -> st.SearchStrategy[str]:
    stretch = st.builds(str.__mul__, st.sampled_from(symbols), st.integers(1, 60))
    return st.lists(stretch, min_size=1, max_size=12).map("".join)


_KNOBS = st.builds(
    TurnTaking,
    end_of_turn_silence_ms=st.sampled_from([500, 640, 800, 1200]),
    speech_detection_threshold=st.sampled_from([0.2, 0.5, 0.7]),
    prefix_padding_ms=st.integers(0, 1000),
    min_interruption_ms=st.integers(50, 500),
)


@given(frames=_stretches("#s+."), agent=_stretches(" a"), knobs=_KNOBS)
def test_facts_come_in_order(frames: str, agent: str, knobs: TurnTaking) -> None:
    quiet: set[type[TurnFact] | None] = {None, SpeechEnded, SpeechDismissed, TurnEnded}
    follows: dict[type[TurnFact], set[type[TurnFact] | None]] = {
        SpeechStarted: quiet,
        SilenceBegan: {SpeechStarted, SpeechResumed},
        SpeechResumed: {SilenceBegan},
        SpeechEnded: {SilenceBegan},
        SpeechDismissed: {SilenceBegan},
        TurnEnded: quiet - {TurnEnded, None},
    }
    previous: type[TurnFact] | None = None
    since_start: list[type[TurnFact]] = []
    turn_open = False
    for fact in facts(frames, agent=agent[: len(frames)], knobs=knobs):
        kind = type(fact)
        if isinstance(fact, AgentInterrupted | SpeechCounts):
            assert previous in (SpeechStarted, SpeechResumed, SilenceBegan)
            assert kind not in since_start, "once per utterance"
            since_start.append(kind)
            continue
        assert previous in follows[kind]
        previous = kind
        if isinstance(fact, SpeechStarted):
            since_start.clear()
        elif isinstance(fact, SpeechEnded | SpeechDismissed):
            assert isinstance(fact, SpeechEnded) == bool(since_start)
        if isinstance(fact, SpeechEnded | TurnEnded):
            assert turn_open or isinstance(fact, SpeechEnded)
            turn_open = isinstance(fact, SpeechEnded)


@given(frames=_stretches("#s+."), agent=_stretches(" a"), knobs=_KNOBS)
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


@given(frames=_stretches("#s."), agent=_stretches(" a"), knobs=_KNOBS)
def test_utterances_and_turns_end_one_silence_after_the_last_speech(
    frames: str, agent: str, knobs: TurnTaking
) -> None:
    last_silence_end_ms = counted_until_ms = 0
    utterance_silence_ms = min(knobs.end_of_turn_silence_ms, MAX_UTTERANCE_SILENCE_MS)
    dismissed_ms = 0
    for now_ms, fact in heard(frames, agent=agent[: len(frames)], knobs=knobs):
        if isinstance(fact, SilenceBegan):
            last_silence_end_ms = now_ms
        elif isinstance(fact, SpeechEnded | SpeechDismissed):
            last_speech_ms = last_silence_end_ms - SILENCE_HINT_MS
            assert frames[last_speech_ms // FRAME_MS - 1] in "#s"
            silence = frames[last_speech_ms // FRAME_MS : last_silence_end_ms // FRAME_MS]
            assert set(silence) == {"."}
            assert 0 <= now_ms - last_speech_ms - utterance_silence_ms < FRAME_MS
            if isinstance(fact, SpeechEnded):
                counted_until_ms = last_speech_ms
            else:
                dismissed_ms = now_ms
        elif isinstance(fact, TurnEnded):
            late_ms = now_ms - counted_until_ms - knobs.end_of_turn_silence_ms
            assert 0 <= late_ms < FRAME_MS or dismissed_ms == now_ms
