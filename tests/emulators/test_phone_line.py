from collections.abc import Callable, Iterable
from typing import Any

import orjson
import pybase64

from evibridge.audio.g711 import mulaw_to_pcm16, pcm16_to_mulaw
from evibridge.emulators.call_report import (
    AgentSpeech,
    CallEnd,
    CallEvent,
    CallEventKind,
    CallReport,
)
from evibridge.emulators.caller import (
    HearAgent,
    Listen,
    LoseLine,
    LoseStream,
    Press,
    Say,
    Speech,
    Step,
    WaitForAgent,
)
from evibridge.emulators.phone_line import PhoneLine
from evibridge.emulators.twilio_media import (
    AUDIO_LOST,
    BINARY_FRAME,
    INVALID_MESSAGE,
    CarrierWarning,
    StreamStart,
)

from .sounds import tone_mulaw, tone_pcm16

START = StreamStart("AC1", "CA1", "MZ1", {})
HELLO = Speech(tone_pcm16(200), "Hello.")


def open_line(
    script: Iterable[Step],
    *,
    limit_ms: int = 60_000,
    on_agent_speech: Callable[[AgentSpeech], None] | None = None,
) -> PhoneLine:
    line = PhoneLine(script, limit_ms=limit_ms, on_agent_speech=on_agent_speech)
    line.open_stream(START)
    line.take_messages()
    return line


def sent(line: PhoneLine) -> list[dict[str, Any]]:
    return [orjson.loads(message) for message in line.take_messages()]


def pass_ms(line: PhoneLine, duration_ms: int) -> None:
    for _ in range(duration_ms // 20):
        line.next_frame()


def agent_says(line: PhoneLine, duration_ms: int, mark: str | None = None) -> None:
    payload = pybase64.b64encode(tone_mulaw(duration_ms)).decode()
    line.receive_text(
        orjson.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": payload}})
    )
    if mark is not None:
        line.receive_text(
            orjson.dumps({"event": "mark", "streamSid": "MZ1", "mark": {"name": mark}})
        )


def agent_clears(line: PhoneLine) -> None:
    line.receive_text(b'{"event":"clear","streamSid":"MZ1"}')


def kinds(report: CallReport) -> list[tuple[int, str, str]]:
    return [(event.at_ms, event.kind.name, event.detail) for event in report.events]


def test_a_conversation_is_acted_out_and_told() -> None:
    line = open_line([WaitForAgent(quiet_ms=300), Say(HELLO), Press("1"), Listen(100)])
    agent_says(line, 300, mark="a")
    while line.ended is None:
        line.next_frame()
    line.close_stream("caller")
    report = line.report("CA1", line.ended)
    assert report.end is CallEnd.CALLER_HUNG_UP
    assert report.agent_was_heard
    assert kinds(report) == [
        (0, "STREAM_STARTED", ""),
        (40, "AGENT_STARTED", ""),
        (340, "MARK_PLAYED", "a"),
        (340, "AGENT_STOPPED", ""),
        (640, "CALLER_SPEAKS", "Hello."),
        (840, "CALLER_PRESSES", "1"),
        (1140, "STREAM_STOPPED", "caller"),
    ]


def test_a_hang_up_is_said_with_stop() -> None:
    line = open_line([Listen(40)])
    pass_ms(line, 200)
    assert [message["event"] for message in sent(line)] == ["media", "media", "stop"]
    assert line.ended is CallEnd.CALLER_HUNG_UP
    assert line.now_ms == 40


def test_a_lost_line_says_nothing() -> None:
    line = open_line([Listen(40), LoseLine()])
    pass_ms(line, 200)
    assert [message["event"] for message in sent(line)] == ["media", "media"]
    assert line.ended is CallEnd.LINE_LOST


def test_the_caller_hangs_up_at_the_time_limit() -> None:
    line = open_line([Listen(60_000)], limit_ms=100)
    pass_ms(line, 200)
    assert line.ended is CallEnd.TIME_LIMIT
    assert line.now_ms == 100
    assert [message["event"] for message in sent(line)] == ["media"] * 5 + ["stop"]


def test_the_recording_holds_both_sides_on_one_clock() -> None:
    line = open_line([Listen(100), Say(HELLO), Listen(100)])
    agent_says(line, 200)
    pass_ms(line, 400)
    report = line.report("CA1", CallEnd.AGENT_HUNG_UP)
    caller, agent = pcm16_to_mulaw(report.caller_pcm16_8k), pcm16_to_mulaw(report.agent_pcm16_8k)
    assert caller == b"\xff" * 800 + tone_mulaw(200) + b"\xff" * 800
    assert agent == b"\xff" * 320 + tone_mulaw(200) + b"\xff" * 1280


def test_a_barge_in_leaves_flushed_marks_in_the_story() -> None:
    line = open_line([HearAgent(after_ms=300), Say(HELLO), Listen(1000)])
    agent_says(line, 2000, mark="never heard")
    pass_ms(line, 400)
    agent_clears(line)
    pass_ms(line, 1000)
    report = line.report("CA1", CallEnd.CALLER_HUNG_UP)
    assert kinds(report) == [
        (0, "STREAM_STARTED", ""),
        (40, "AGENT_STARTED", ""),
        (340, "CALLER_SPEAKS", "Hello."),
        (400, "CLEARED", "1640 ms"),
        (400, "MARK_FLUSHED", "never heard"),
        (400, "AGENT_STOPPED", ""),
    ]
    unheard = {event.kind: event.unheard_pcm16_8k for event in report.events}
    assert unheard.pop(CallEventKind.CLEARED) == mulaw_to_pcm16(tone_mulaw(1640))
    assert not any(unheard.values())


def test_events_are_told_as_they_happen() -> None:
    told: list[CallEvent] = []
    line = PhoneLine([Say(HELLO)], limit_ms=1000, on_event=told.append)
    line.open_stream(START)
    line.next_frame()
    assert told == [
        CallEvent(0, CallEventKind.STREAM_STARTED),
        CallEvent(0, CallEventKind.CALLER_SPEAKS, "Hello."),
    ]


def test_words_that_nobody_knows_are_left_out() -> None:
    line = open_line([Say(Speech(tone_pcm16(100)))])
    line.next_frame()
    assert (0, "CALLER_SPEAKS", "") in kinds(line.report("CA1", CallEnd.CALLER_HUNG_UP))


def test_the_script_goes_on_in_a_second_stream() -> None:
    line = open_line([Listen(40), Say(HELLO)])
    pass_ms(line, 40)
    line.close_stream("service")
    line.next_frame()  # between streams no time passes
    line.open_stream(StreamStart("AC1", "CA1", "MZ2", {}))
    pass_ms(line, 200)
    report = line.report("CA1", CallEnd.CALLER_HUNG_UP)
    assert kinds(report) == [
        (0, "STREAM_STARTED", ""),
        (40, "STREAM_STOPPED", "service"),
        (40, "STREAM_STARTED", ""),
        (40, "CALLER_SPEAKS", "Hello."),
    ]
    start = orjson.loads(line.take_messages()[1])
    assert start["sequenceNumber"] == "1"
    assert start["streamSid"] == "MZ2"


def test_a_lost_stream_says_nothing_and_the_script_goes_on_in_the_next_one() -> None:
    line = open_line([Listen(100), LoseStream(), Say(HELLO)])
    agent_says(line, 1000)
    pass_ms(line, 300)
    assert (line.stream_lost, line.ended) == (True, None)
    assert [message["event"] for message in sent(line)] == ["media"] * 5
    line.close_stream("a broken connection")

    line.open_stream(StreamStart("AC1", "CA1", "MZ2", {}))
    line.take_messages()
    pass_ms(line, 300)

    assert (line.stream_lost, line.ended) == (False, CallEnd.CALLER_HUNG_UP)
    first, *_, last = sent(line)
    assert (first["sequenceNumber"], first["media"]["timestamp"]) == ("2", "81")
    assert last["event"] == "stop"
    assert kinds(line.report("CA1", CallEnd.CALLER_HUNG_UP)) == [
        (0, "STREAM_STARTED", ""),
        (40, "AGENT_STARTED", ""),
        (100, "AGENT_STOPPED", ""),
        (100, "CUT_OFF", "940 ms"),
        (100, "STREAM_STOPPED", "a broken connection"),
        (100, "STREAM_STARTED", ""),
        (100, "CALLER_SPEAKS", "Hello."),
    ]


def test_speech_that_the_end_of_a_stream_cuts_off_was_heard() -> None:
    heard: list[AgentSpeech] = []
    line = open_line([Listen(1000)], on_agent_speech=heard.append)
    agent_says(line, 1000)
    pass_ms(line, 200)
    line.close_stream("service")
    line.close_stream("nobody: it is closed")
    report = line.report("CA1", CallEnd.AGENT_HUNG_UP)
    assert [(speech.start_ms, speech.end_ms) for speech in report.agent_speech] == [(40, 200)]
    assert tuple(heard) == report.agent_speech
    assert kinds(report) == [
        (0, "STREAM_STARTED", ""),
        (40, "AGENT_STARTED", ""),
        (200, "AGENT_STOPPED", ""),
        (200, "CUT_OFF", "840 ms"),
        (200, "STREAM_STOPPED", "service"),
    ]


def test_an_agent_is_not_cut_off_by_a_caller_who_hangs_up() -> None:
    line = open_line([Listen(100)])
    agent_says(line, 1000)
    pass_ms(line, 200)
    line.close_stream("caller")
    report = line.report("CA1", CallEnd.CALLER_HUNG_UP)
    assert "CUT_OFF" not in [kind for _, kind, _ in kinds(report)]


def test_messages_that_come_without_audio_are_not_hearing_the_agent() -> None:
    line = open_line([Listen(1000)])
    line.receive_text(
        orjson.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": "////" * 200}})
    )
    pass_ms(line, 1000)
    assert not line.report("CA1", CallEnd.CALLER_HUNG_UP).agent_was_heard


def test_faults_are_told_once_and_counted_over_all_streams() -> None:
    line = open_line([Listen(1000)])
    line.receive_text(b"?")
    line.receive_text(b"?")
    line.receive_binary()
    line.next_frame(congested=True)
    line.close_stream("service")
    line.open_stream(START)
    line.receive_binary()
    line.warn(CarrierWarning(15003, "A callback failed."))
    line.close_stream("caller")
    report = line.report("CA1", CallEnd.CALLER_HUNG_UP)
    assert [(warning.code, warning.times) for warning in report.warnings] == [
        (INVALID_MESSAGE, 2),
        (BINARY_FRAME, 1),
        (AUDIO_LOST, 1),
        (15003, 1),
        (BINARY_FRAME, 1),
    ]
    told = [detail for _, kind, detail in kinds(report) if kind == "WARNING"]
    assert [detail[:5] for detail in told] == ["31951", "31950", "31930", "31950", "15003"]


def test_without_a_stream_nothing_is_taken_or_sent() -> None:
    line = PhoneLine([Say(HELLO)], limit_ms=1000)
    line.next_frame()
    line.receive_text(b"?")
    line.receive_binary()
    assert line.take_messages() == []
    assert line.report("CA1", CallEnd.REJECTED) == CallReport(
        "CA1", CallEnd.REJECTED, (), (), b"", b"", ()
    )
