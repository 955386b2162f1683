import json
from pathlib import Path
from typing import Any

import orjson
import pybase64
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.emulators.twilio_media import (
    AUDIO_LOST,
    BINARY_FRAME,
    BUFFER_FULL,
    INVALID_MESSAGE,
    MAX_PENDING_MARKS,
    SILENT_FRAME,
    CarrierWarning,
    Cleared,
    MarkEchoed,
    MediaStream,
    StreamStart,
)

from .sounds import tone_mulaw

START = StreamStart("AC1", "CA1", "MZ1", {"token": "t"})
TRANSCRIPT = Path(__file__).parents[1] / "reference" / "twilio-transcript.jsonl"


def media(audio: bytes) -> bytes:
    payload = pybase64.b64encode(audio).decode()
    return orjson.dumps({"event": "media", "streamSid": "MZ1", "media": {"payload": payload}})


def mark(name: str) -> bytes:
    return orjson.dumps({"event": "mark", "streamSid": "MZ1", "mark": {"name": name}})


CLEAR = orjson.dumps({"event": "clear", "streamSid": "MZ1"})


def opened() -> MediaStream:
    stream = MediaStream(START)
    stream.take_messages()
    return stream


def sent(stream: MediaStream) -> list[dict[str, Any]]:
    return [orjson.loads(message) for message in stream.take_messages()]


def played(stream: MediaStream, frames: int) -> bytes:
    return b"".join(stream.next_frame(SILENT_FRAME) for _ in range(frames))


def marks_per_frame(stream: MediaStream, frames: int) -> dict[int, list[str]]:
    """Which marks come back with which frame."""
    echoed: dict[int, list[str]] = {}
    for frame in range(frames):
        stream.next_frame(SILENT_FRAME)
        names = [m["mark"]["name"] for m in sent(stream) if m["event"] == "mark"]
        if names:
            echoed[frame] = names
    return echoed


def test_a_stream_opens_with_connected_and_start() -> None:
    assert sent(MediaStream(START)) == [
        {"event": "connected", "protocol": "Call", "version": "1.0.0"},
        {
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "accountSid": "AC1",
                "streamSid": "MZ1",
                "callSid": "CA1",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": "t"},
            },
            "streamSid": "MZ1",
        },
    ]


def test_the_callers_frames_are_numbered_and_timed_in_strings() -> None:
    stream = opened()
    voice = tone_mulaw(20)
    stream.next_frame(voice)
    stream.next_frame(SILENT_FRAME)
    first, second = sent(stream)
    assert first == {
        "event": "media",
        "sequenceNumber": "2",
        "media": {
            "track": "inbound",
            "chunk": "1",
            "timestamp": "81",
            "payload": pybase64.b64encode(voice).decode(),
        },
        "streamSid": "MZ1",
    }
    assert second["sequenceNumber"] == "3"
    assert second["media"]["chunk"] == "2"
    assert second["media"]["timestamp"] == "101"
    assert second["media"]["payload"] == pybase64.b64encode(SILENT_FRAME).decode()


def test_a_key_and_the_end_share_the_sequence() -> None:
    stream = opened()
    stream.press("#")
    stream.stop()
    assert sent(stream) == [
        {
            "event": "dtmf",
            "sequenceNumber": "2",
            "dtmf": {"track": "inbound_track", "digit": "#"},
            "streamSid": "MZ1",
        },
        {
            "event": "stop",
            "sequenceNumber": "3",
            "stop": {"accountSid": "AC1", "callSid": "CA1"},
            "streamSid": "MZ1",
        },
    ]


def test_messages_are_taken_once() -> None:
    stream = opened()
    stream.next_frame(SILENT_FRAME)
    assert len(stream.take_messages()) == 1
    assert stream.take_messages() == []


def test_an_empty_buffer_is_silence() -> None:
    assert opened().next_frame(SILENT_FRAME) == SILENT_FRAME


def test_audio_plays_in_order_in_real_time_after_a_short_delay() -> None:
    stream = opened()
    audio = tone_mulaw(60) + tone_mulaw(30, peak=4000)
    stream.receive_text(media(audio[:100]))
    stream.receive_text(media(audio[100:]))
    assert played(stream, 8) == SILENT_FRAME * 2 + audio + b"\xff" * (80 + 160)


def test_audio_that_follows_in_time_has_no_gap() -> None:
    stream = opened()
    stream.receive_text(media(tone_mulaw(40)))
    heard = played(stream, 3)
    stream.receive_text(media(tone_mulaw(40)))
    heard += played(stream, 3)
    assert heard == SILENT_FRAME * 2 + tone_mulaw(80)


def test_a_mark_comes_back_when_the_audio_before_it_has_sounded() -> None:
    stream = opened()
    stream.receive_text(media(tone_mulaw(40)))
    stream.receive_text(mark("middle"))
    stream.receive_text(media(tone_mulaw(50)))
    stream.receive_text(mark("end"))
    assert marks_per_frame(stream, 10) == {4: ["middle"], 7: ["end"]}
    assert stream.take_events() == [MarkEchoed("middle", False), MarkEchoed("end", False)]


def test_a_mark_behind_nothing_comes_back_at_once() -> None:
    stream = opened()
    stream.receive_text(mark("now"))
    assert sent(stream) == [
        {
            "event": "mark",
            "sequenceNumber": "2",
            "mark": {"name": "now"},
            "streamSid": "MZ1",
        }
    ]


def test_marks_never_overtake_each_other() -> None:
    stream = opened()
    stream.receive_text(media(tone_mulaw(20)))
    stream.receive_text(mark("first"))
    played(stream, 3)
    stream.receive_text(mark("second"))  # the buffer is empty, but its last frame still sounds
    assert marks_per_frame(stream, 1) == {0: ["first", "second"]}


def test_clear_silences_the_agent_and_returns_all_marks() -> None:
    stream = opened()
    stream.receive_text(media(tone_mulaw(100)))
    stream.receive_text(mark("a"))
    stream.receive_text(mark("b"))
    played(stream, 4)
    sent(stream)
    assert stream.unplayed_ms == 60.0
    stream.receive_text(CLEAR)
    assert stream.unplayed_ms == 0
    assert [message["mark"]["name"] for message in sent(stream)] == ["a", "b"]
    assert played(stream, 5) == SILENT_FRAME * 5
    assert stream.take_events() == [
        Cleared(tone_mulaw(60)),
        MarkEchoed("a", True),
        MarkEchoed("b", True),
    ]


def test_clear_of_an_empty_buffer_is_harmless() -> None:
    stream = opened()
    stream.receive_text(CLEAR)
    assert stream.take_messages() == []
    assert stream.take_events() == [Cleared(b"")]
    assert stream.warnings == ()


def test_audio_after_a_clear_is_heard() -> None:
    stream = opened()
    stream.receive_text(media(tone_mulaw(200)))
    stream.receive_text(CLEAR)
    stream.receive_text(media(tone_mulaw(40, peak=4000)))
    assert played(stream, 4) == SILENT_FRAME * 2 + tone_mulaw(40, peak=4000)


def test_more_than_ten_unplayed_minutes_are_dropped_with_one_warning() -> None:
    stream = opened()
    for _ in range(60):
        stream.receive_text(media(b"\x00" * 80_000))
    assert stream.take_events() == []
    stream.receive_text(media(b"\x00"))
    stream.receive_text(media(b"\x00"))
    (warning,) = stream.take_events()
    assert isinstance(warning, CarrierWarning)
    assert (warning.code, warning.times) == (BUFFER_FULL, 1)
    assert [(w.code, w.times) for w in stream.warnings] == [(BUFFER_FULL, 2)]
    stream.receive_text(CLEAR)
    (cleared,) = stream.take_events()
    assert isinstance(cleared, Cleared)
    assert cleared.dropped_ms == 600_000.0


def test_marks_without_end_are_refused() -> None:
    stream = opened()
    stream.receive_text(media(tone_mulaw(20)))
    for number in range(MAX_PENDING_MARKS + 1):
        stream.receive_text(mark(str(number)))
    assert [w.code for w in stream.warnings] == [INVALID_MESSAGE]
    assert marks_per_frame(stream, 4) == {3: [str(n) for n in range(MAX_PENDING_MARKS)]}


def test_a_congested_link_loses_audio_and_keeps_count() -> None:
    stream = opened()
    stream.receive_text(media(tone_mulaw(60)))
    assert played(stream, 2) == SILENT_FRAME * 2
    sent(stream)
    assert stream.next_frame(SILENT_FRAME, congested=True) == tone_mulaw(20)
    stream.next_frame(SILENT_FRAME)
    (message,) = sent(stream)
    assert message["sequenceNumber"] == "5"
    assert message["media"]["chunk"] == "4"
    assert message["media"]["timestamp"] == "141"
    assert [w.code for w in stream.warnings] == [AUDIO_LOST]


def test_a_binary_frame_is_a_warning() -> None:
    stream = opened()
    stream.receive_binary()
    assert [w.code for w in stream.warnings] == [BINARY_FRAME]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "other than media, mark and clear"),
        (b'{"event":["media"]}', "other than media, mark and clear"),
        (b'{"event":"stop","streamSid":"MZ1"}', "other than media, mark and clear"),
        (b'{"event":"clear"}', "field streamSid is missing in a clear message"),
        (b'{"event":"clear","streamSid":"MZ2"}', "another stream's streamSid"),
        (b'{"event":"clear","streamSid":"MZ1","x":1}', "field x is too much in a clear"),
        (b'{"event":"mark","streamSid":"MZ1"}', "field mark is missing"),
        (b'{"event":"mark","streamSid":"MZ1","mark":"a"}', "mark of a message must be"),
        (b'{"event":"mark","streamSid":"MZ1","mark":{}}', "field name is missing"),
        (b'{"event":"mark","streamSid":"MZ1","mark":{"name":1}}', "must be a string"),
        (
            b'{"event":"media","streamSid":"MZ1","media":{"payload":"","track":"outbound"}}',
            "field track is too much",
        ),
        (b'{"event":"media","streamSid":"MZ1","media":{"payload":"a"}}', "not base64"),
        (b'{"event":"media","streamSid":"MZ1","media":{"payload":"\xc3\xa9"}}', "not base64"),
        (b'{"event":"media","streamSid":"MZ1","media":{"payload":"//// ////"}}', "not base64"),
    ],
)
def test_an_invalid_message_is_a_warning_and_nothing_else(text: bytes, sentence: str) -> None:
    stream = opened()
    stream.receive_text(text)
    (warning,) = stream.warnings
    assert warning.code == INVALID_MESSAGE
    assert sentence in warning.sentence
    assert stream.take_messages() == []
    assert stream.next_frame(SILENT_FRAME) == SILENT_FRAME


operations = st.lists(
    st.one_of(
        st.integers(0, 700).map(lambda size: media(b"\x00" * size)),
        st.text(max_size=3).map(mark),
        st.just(CLEAR),
        st.binary(max_size=30),
        st.none(),
    ),
    max_size=60,
)


@given(operations)
@settings(max_examples=200)
def test_every_mark_comes_back_once_in_order_and_numbers_have_no_gap(
    happenings: list[bytes | None],
) -> None:
    stream = MediaStream(START)
    placed: list[str] = []
    for text in happenings:
        if text is None:
            stream.next_frame(SILENT_FRAME)
        else:
            stream.receive_text(text)
            if b'"mark"' in text:
                placed.append(orjson.loads(text)["mark"]["name"])
    for _ in range(60 * 5 + 3):  # the longest audio that can be left, and its delay
        stream.next_frame(SILENT_FRAME)
    messages = sent(stream)
    echoed = [message["mark"]["name"] for message in messages if message["event"] == "mark"]
    assert echoed == placed
    numbers = [int(message["sequenceNumber"]) for message in messages[1:]]
    assert numbers == list(range(1, len(numbers) + 1))


LINK_MS = 30
"""The transcript's clock is the bridge's: this is the time to Twilio and back."""
FRAME_LAG_MS = 12
"""After its timestamp the transcript's least delayed frames arrive."""


def test_the_reference_transcript_is_reproduced() -> None:
    """The recorded messages to Twilio, fed in when they were sent, bring back what was recorded."""
    lines = [json.loads(line) for line in TRANSCRIPT.read_text().splitlines()]
    recorded = [line for line in lines if line["dir"] == "from_twilio"]
    to_twilio = [line for line in lines if line["dir"] == "to_twilio"]
    caller = [line["msg"] for line in recorded if line["msg"]["event"] == "media"]
    keys = [
        (line["t_ms"], line["msg"]["dtmf"]["digit"])
        for line in recorded
        if line["msg"]["event"] == "dtmf"
    ]
    start = recorded[1]["msg"]["start"]
    stream = MediaStream(
        StreamStart(
            start["accountSid"], start["callSid"], start["streamSid"], start["customParameters"]
        )
    )
    produced = [(0, message) for message in sent(stream)]
    for frame in caller:
        now_ms = int(frame["media"]["timestamp"]) + FRAME_LAG_MS
        while to_twilio and to_twilio[0]["t_ms"] + LINK_MS <= now_ms:
            line = to_twilio.pop(0)
            stream.receive_text(orjson.dumps(line["msg"]))
            produced += [(line["t_ms"] + LINK_MS, message) for message in sent(stream)]
        while keys and keys[0][0] <= now_ms:
            at_ms, digit = keys.pop(0)
            stream.press(digit)
            produced += [(at_ms, message) for message in sent(stream)]
        stream.next_frame(pybase64.b64decode(frame["media"]["payload"]))
        produced += [(now_ms, message) for message in sent(stream)]
    stream.stop()
    produced += [(recorded[-1]["t_ms"], message) for message in sent(stream)]

    assert [message for _, message in produced] == [line["msg"] for line in recorded]
    lateness_ms = [
        abs(at_ms - line["t_ms"])
        for (at_ms, message), line in zip(produced, recorded, strict=True)
        if message["event"] == "mark"
    ]
    assert max(lateness_ms) <= 20
    assert stream.warnings == ()
