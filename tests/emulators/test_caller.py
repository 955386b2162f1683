from collections.abc import Callable, Iterator, Sequence

import pytest

from evibridge.emulators.call_report import CallEnd
from evibridge.emulators.caller import (
    GREETING_LIMIT_MS,
    LAST_QUIET_MS,
    Caller,
    CallerFrame,
    HearAgent,
    Listen,
    LoseLine,
    LoseStream,
    Press,
    Say,
    Speech,
    Step,
    WaitForAgent,
    conversation,
)
from evibridge.emulators.speech_detector import SpeechDetector
from evibridge.emulators.twilio_media import SILENT_FRAME

from .sounds import tone_mulaw, tone_pcm16

VOICE = tone_mulaw(20)
HELLO = Speech(tone_pcm16(200), "Hello.")
FRAMES_LIMIT = 10_000


def acted(
    script: Sequence[Step], agent_speaks: Callable[[int], bool]
) -> Iterator[tuple[int, CallerFrame | LoseStream | CallEnd]]:
    ear = SpeechDetector()
    caller = Caller(script, ear)
    for _ in range(FRAMES_LIMIT):
        frame = caller.next_frame()
        yield ear.now_ms, frame
        if isinstance(frame, CallerFrame):
            ear.hear(VOICE if agent_speaks(ear.now_ms) else SILENT_FRAME)
        if isinstance(frame, CallEnd):
            return
    raise AssertionError("the script does not end")


def act(
    script: Sequence[Step], agent_speaks: Callable[[int], bool] = lambda _: False
) -> tuple[list[CallerFrame], CallEnd]:
    """Run a script against an agent that is loud in the frames that `agent_speaks` tells, by ms."""
    *frames, (_, end) = acted(script, agent_speaks)
    assert isinstance(end, CallEnd)
    return [frame for _, frame in frames if isinstance(frame, CallerFrame)], end


def first_words_ms(frames: list[CallerFrame]) -> int:
    return 20 * next(at for at, frame in enumerate(frames) if frame.begins is not None)


def test_the_caller_hangs_up_after_the_last_step() -> None:
    assert act([]) == ([], CallEnd.CALLER_HUNG_UP)


def test_the_line_is_lost_where_the_script_says_so() -> None:
    frames, end = act([Listen(100), LoseLine(), Listen(100)])
    assert end is CallEnd.LINE_LOST
    assert frames == [CallerFrame()] * 5


def test_a_stream_is_lost_where_the_script_says_so_and_the_script_goes_on() -> None:
    acts = acted([Listen(40), LoseStream(), Listen(20), LoseStream()], lambda _: False)
    assert list(acts) == [
        (0, CallerFrame()),
        (20, CallerFrame()),
        (40, LoseStream()),
        (40, CallerFrame()),
        (60, LoseStream()),
        (60, CallEnd.CALLER_HUNG_UP),
    ]


def test_what_the_agent_said_in_a_lost_stream_is_no_answer() -> None:
    script: list[Step] = [
        HearAgent(after_ms=100),
        LoseStream(),
        WaitForAgent(quiet_ms=200, limit_ms=5000),
        Say(HELLO),
    ]
    frames, _ = act(script, lambda ms: 300 <= ms < 900 or 2000 <= ms < 2200)
    assert first_words_ms(frames) == 2400


def test_speech_goes_out_as_mulaw_in_whole_frames() -> None:
    frames, _ = act([Say(Speech(tone_pcm16(50)))])
    assert [len(frame.mulaw) for frame in frames] == [160, 160, 160]
    assert b"".join(frame.mulaw for frame in frames) == tone_mulaw(50) + b"\xff" * 80


def test_speech_is_announced_with_its_first_frame() -> None:
    frames, _ = act([Listen(40), Say(HELLO)])
    assert [at for at, frame in enumerate(frames) if frame.begins is HELLO] == [2]


def test_an_empty_speech_takes_no_time() -> None:
    assert act([Say(Speech(b""))]) == ([], CallEnd.CALLER_HUNG_UP)


def test_keys_are_pressed_one_after_another() -> None:
    frames, _ = act([Press("1#")])
    assert {20 * at: frame.digit for at, frame in enumerate(frames) if frame.digit} == {
        0: "1",
        200: "#",
    }
    assert len(frames) == 20
    assert all(frame.mulaw == SILENT_FRAME for frame in frames)


def test_the_caller_speaks_once_the_agent_has_been_quiet_long_enough() -> None:
    frames, _ = act([WaitForAgent(quiet_ms=600), Say(HELLO)], lambda ms: 300 <= ms < 900)
    assert first_words_ms(frames) == 1500


def test_an_agent_that_pauses_is_not_talked_over() -> None:
    frames, _ = act(
        [WaitForAgent(quiet_ms=800), Say(HELLO)],
        lambda ms: 0 <= ms < 400 or 1100 <= ms < 1500,
    )
    assert first_words_ms(frames) == 2300


def test_an_agent_that_stays_silent_is_waited_for_up_to_the_limit() -> None:
    frames, _ = act([WaitForAgent(limit_ms=2000), Say(HELLO)])
    assert first_words_ms(frames) == 2000


def test_an_answer_that_has_begun_is_heard_out() -> None:
    script: list[Step] = [WaitForAgent(quiet_ms=600, limit_ms=1000), Say(HELLO)]
    frames, _ = act(script, lambda ms: 900 <= ms < 2000 or 2300 <= ms < 3000)
    assert first_words_ms(frames) == 3600


def test_what_the_agent_said_before_the_caller_spoke_is_no_answer() -> None:
    script: list[Step] = [
        Listen(1000),
        Say(HELLO),
        WaitForAgent(quiet_ms=200, limit_ms=5000),
        Say(HELLO),
    ]
    frames, _ = act(script, lambda ms: 100 <= ms < 1300 or 3000 <= ms < 3200)
    assert len(frames) * 20 == 3400 + 200  # the answer is the speech at 3000, not the tail at 1200


def test_an_answer_into_the_silence_at_the_end_of_a_recording_counts() -> None:
    trailing = Speech(tone_pcm16(200) + bytes(16 * 1000))
    frames, _ = act([Say(trailing), WaitForAgent(quiet_ms=1000)], lambda ms: 400 <= ms < 600)
    assert len(frames) * 20 == 1600


def test_each_answer_counts_once() -> None:
    wait = WaitForAgent(quiet_ms=200, limit_ms=3000)
    frames, _ = act([wait, wait], lambda ms: 0 <= ms < 400)
    assert len(frames) * 20 == 600 + 3000


def test_the_agent_answers_a_key() -> None:
    script: list[Step] = [Press("1"), WaitForAgent(quiet_ms=200, limit_ms=3000)]
    frames, _ = act(script, lambda ms: 100 <= ms < 400)
    assert len(frames) * 20 == 600


def test_what_the_agent_said_before_a_key_is_no_answer() -> None:
    script: list[Step] = [Listen(400), Press("1"), WaitForAgent(quiet_ms=200, limit_ms=3000)]
    frames, _ = act(script, lambda ms: 100 <= ms < 300)
    assert len(frames) * 20 == 400 + 200 + 3000


def test_a_barge_in_comes_when_the_agent_has_spoken_for_a_while() -> None:
    frames, _ = act([HearAgent(after_ms=500), Say(HELLO)], lambda ms: ms >= 300)
    assert first_words_ms(frames) == 800


def test_a_barge_in_waits_for_the_answer_to_what_was_said() -> None:
    script: list[Step] = [Listen(1000), Say(HELLO), HearAgent(after_ms=100), Say(HELLO)]
    frames, _ = act(script, lambda ms: ms < 1400 or ms >= 2000)
    assert len(frames) * 20 == 2100 + 200


def test_a_pause_in_an_answer_neither_is_cut_in_on_nor_starts_the_answer_anew() -> None:
    frames, _ = act(
        [HearAgent(after_ms=1000), Say(HELLO)], lambda ms: 300 <= ms < 700 or ms >= 1500
    )
    assert first_words_ms(frames) == 1540  # a single loud frame would be a click


def test_an_answer_too_short_for_a_barge_in_is_over_when_the_agent_is_quiet() -> None:
    script: list[Step] = [HearAgent(after_ms=700, quiet_ms=600), Say(HELLO)]
    frames, _ = act(script, lambda ms: 300 <= ms < 900)
    assert first_words_ms(frames) == 1500


def test_a_barge_in_is_given_up_at_the_limit() -> None:
    frames, _ = act([HearAgent(after_ms=100, limit_ms=700), Say(HELLO)])
    assert first_words_ms(frames) == 700


@pytest.mark.parametrize("greets", [True, False])
def test_a_conversation_goes_on_whether_the_agent_greets_or_not(*, greets: bool) -> None:
    frames, end = act(conversation([HELLO]), lambda ms: greets and ms < 400)
    assert end is CallEnd.CALLER_HUNG_UP
    assert first_words_ms(frames) == (1600 if greets else GREETING_LIMIT_MS)


def test_a_conversation_waits_for_each_answer() -> None:
    wait = WaitForAgent()
    script = conversation([HELLO, HELLO])
    stay = WaitForAgent(quiet_ms=LAST_QUIET_MS)
    assert script[1:] == [Say(HELLO), wait, Say(HELLO), stay]
    assert conversation([]) == [WaitForAgent(limit_ms=GREETING_LIMIT_MS)]


def test_a_conversation_of_interruptions_hears_the_greeting_and_the_last_answer_out() -> None:
    script = conversation([HELLO, HELLO, HELLO], interrupt_after_ms=500)
    assert script == [
        WaitForAgent(limit_ms=GREETING_LIMIT_MS),
        Say(HELLO),
        HearAgent(500),
        Say(HELLO),
        HearAgent(500),
        Say(HELLO),
        WaitForAgent(quiet_ms=LAST_QUIET_MS),
    ]
