import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges import twilio_messages as twilio
from evibridge.errors import BadMessage
from tests.reference import twilio_transcript

STREAM = "MZ18ad3ab5a668481ce02b83e7395059f0"


def read(message: dict[str, Any]) -> twilio.Message:
    return twilio.decode(json.dumps(message).encode())


def test_a_whole_call_is_read() -> None:
    lines = [line["msg"] for line in twilio_transcript() if line["dir"] == "from_twilio"]

    messages = [read(line) for line in lines]

    assert [type(message).__name__ for message in messages[:2]] == ["Connected", "Start"]
    assert messages[1] == twilio.Start(
        stream_sid=STREAM,
        call_sid="CA5f1c2d3e4b5a69788796a5b4c3d2e1f0",
        encoding="audio/x-mulaw",
        parameters={"token": "k3y-9f2c7a51", "tenant": "acme", "attempt": "1"},
    )
    frames = [message for message in messages if isinstance(message, twilio.CallerAudio)]
    assert len(frames) == 232
    assert {len(mulaw) for mulaw in frames} == {160}
    assert [message for message in messages if isinstance(message, twilio.Dtmf)] == [
        twilio.Dtmf("1"),
        twilio.Dtmf("#"),
    ]
    assert twilio.Mark("t1:400") in messages
    assert messages[-1] == twilio.Stop()


def test_what_is_written_has_the_documented_shape_to_the_letter() -> None:
    written = [line["msg"] for line in twilio_transcript() if line["dir"] == "to_twilio"]
    examples = {message["event"]: message for message in written}
    payload = base64.b64decode(examples["media"]["media"]["payload"])

    assert json.loads(twilio.media(STREAM, payload)) == examples["media"]
    assert json.loads(twilio.mark(STREAM, examples["mark"]["mark"]["name"])) == examples["mark"]
    assert json.loads(twilio.clear(STREAM)) == examples["clear"]


def test_numbers_may_be_numbers_and_frames_of_any_length() -> None:
    message = read(
        {"event": "media", "sequenceNumber": 3, "media": {"timestamp": 5, "payload": "/w=="}}
    )

    assert message == b"\xff"


def test_the_callers_voice_is_read_alike_with_and_without_a_json_parser() -> None:
    lines = [line["msg"] for line in twilio_transcript() if line["dir"] == "from_twilio"]

    for line in lines:
        text = json.dumps(line, separators=(",", ":")).encode()
        message = twilio.decode(text)
        by_parser = message if isinstance(message, twilio.CallerAudio) else None
        assert twilio.caller_audio(text) == by_parser


@pytest.mark.parametrize(
    "text",
    [
        b'{"event": "media","media":{"track":"inbound","payload":"/w=="}}',
        b'{"event":"media","media":{"payload":"/w=="}}',
        b'{"event":"media","media":{"track":"outbound","payload":"/w=="}}',
        b'{"event":"media","media":{"track":"inbound"}}',
        b'{"event":"media","media":{"track":"inbound","payload":"\\/w=="}}',
        b'{"event":"media","media":{"track":"inbound","payload":"/w==',
        b'{"event":"media","media":{"track":"inbound","payload":"AAAA!',
        b'{"event":"media","copy":{"track":"inbound","payload":"/w=="},"media":{}}',
        b'{"event":"mark","mark":{"name":"media"}}',
    ],
)
def test_what_is_written_in_another_way_is_left_to_the_parser(text: bytes) -> None:
    assert twilio.caller_audio(text) is None


@given(st.binary(max_size=80), st.integers(0, 120), st.binary(max_size=4))
def test_a_damaged_frame_is_never_read_as_another_sound(
    mulaw: bytes, at: int, damage: bytes
) -> None:
    payload = base64.b64encode(mulaw)
    text = b'{"event":"media","media":{"track":"inbound","payload":"%b"}}' % payload
    text = text[:at] + damage + text[at + len(damage) :]

    audio = twilio.caller_audio(text)

    if audio is not None:
        with contextlib.suppress(BadMessage):
            assert twilio.decode(text) == audio


def test_our_own_voice_on_a_forked_stream_is_ignored() -> None:
    message = read({"event": "media", "media": {"track": "outbound", "payload": "/w=="}})

    assert message == twilio.Ignored()


def test_an_unknown_event_is_ignored() -> None:
    assert read({"event": "weather"}) == twilio.Ignored()


def test_a_start_without_parameters_or_format_is_read() -> None:
    message = read({"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1"}})

    assert message == twilio.Start("MZ1", "CA1", "audio/x-mulaw", {})


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"{}",
        b'{"event":["media"]}',
        b'{"event":"media"}',
        b'{"event":"media","media":{}}',
        b'{"event":"media","media":{"payload":"!"}}',
        b'{"event":"media","media":{"payload":7}}',
        b'{"event":"start","start":{}}',
        b'{"event":"start","streamSid":"MZ","start":{"callSid":5}}',
        b'{"event":"start","streamSid":"MZ","start":{"callSid":"CA","customParameters":[1]}}',
        b'{"event":"mark","mark":{}}',
        b'{"event":"dtmf"}',
    ],
)
def test_a_message_that_cannot_be_read_is_refused(text: bytes) -> None:
    with pytest.raises(BadMessage):
        twilio.decode(text)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadMessage):
        twilio.decode(data)


MESSAGES = [line["msg"] for line in twilio_transcript() if line["dir"] == "from_twilio"][:4]
values = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.none())


@given(st.sampled_from(MESSAGES), st.sampled_from(["event", "start", "media", "streamSid"]), values)
def test_a_mutated_message_is_read_or_refused(
    message: dict[str, Any], member: str, value: Any
) -> None:
    with contextlib.suppress(BadMessage):
        read({**message, member: value})
