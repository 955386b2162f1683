import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_codec import AUDIO_INPUT, audio_output, decode, encode
from evibridge.errors import BadMessage
from tests.reference import evi_examples, evi_validator

EXAMPLES = evi_examples()


@pytest.mark.parametrize(("schema", "example"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_example_of_the_reference_survives_reading_and_writing(
    schema: str, example: dict[str, Any]
) -> None:
    message = decode(json.dumps(example).encode())

    assert not isinstance(message, evi.Unknown)
    written = json.loads(encode(message))
    evi_validator(schema).validate(written)
    assert decode(encode(message)) == message


def test_an_example_keeps_its_facts() -> None:
    examples = dict(EXAMPLES)

    tool_call = decode(json.dumps(examples["ToolCallMessage"]).encode())
    said = decode(json.dumps(examples["UserMessage"]).encode())

    assert tool_call == evi.ToolCall(
        "call_m7PTzGxrD0i9oCHiquKIaibo", "get_slot", '{"day":"Friday"}'
    )
    assert isinstance(said, evi.UserMessage)
    assert (said.content, said.begin_ms, said.end_ms) == (
        "Do you have a slot on Friday?",
        1260,
        2480,
    )
    assert said.scores is not None
    assert len(said.scores) == 48


def test_settings_are_written_with_their_parts_and_nothing_that_is_unset() -> None:
    settings = evi.SessionSettings(
        audio=evi.AudioFormat(8000),
        context=evi.Context("Caller is verified.", "persistent"),
        tools=(evi.ToolOffer("get_slot", '{"type":"object"}'),),
        builtin_tools=(evi.BuiltinTool("hang_up"),),
    )

    assert json.loads(encode(settings)) == {
        "type": "session_settings",
        "audio": {"encoding": "linear16", "sample_rate": 8000, "channels": 1},
        "context": {"text": "Caller is verified.", "type": "persistent"},
        "tools": [{"name": "get_slot", "parameters": '{"type":"object"}', "type": "function"}],
        "builtin_tools": [{"name": "hang_up"}],
    }


def test_a_cleared_context_is_an_explicit_null_both_ways() -> None:
    text = encode(evi.SessionSettings(context=evi.Clear.CLEAR))

    assert json.loads(text) == {"type": "session_settings", "context": None}
    assert decode(text) == evi.SessionSettings(context=evi.Clear.CLEAR)


def test_audio_input_carries_the_pcm_as_base64() -> None:
    text = AUDIO_INPUT % base64.b64encode(b"\x01\x02\x03\x04")

    assert decode(text) == evi.AudioInput("AQIDBA==")
    evi_validator("AudioInput").validate(json.loads(text))


def test_audio_output_carries_a_file_as_base64() -> None:
    text = encode(evi.AudioOutput("a", 2, b"RIFF"))

    evi_validator("AudioOutput").validate(json.loads(text))
    assert decode(text) == evi.AudioOutput("a", 2, b"RIFF")


@given(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.binary(max_size=60),
    st.booleans(),
)
def test_audio_output_is_read_alike_with_and_without_a_json_parser(
    utterance_id: str, wav: bytes, has_session_id: bool
) -> None:
    session_id = {"custom_session_id": "s"} if has_session_id else {}
    members = {"id": utterance_id, "index": 0, "data": base64.b64encode(wav).decode()}
    text = json.dumps(
        {"type": "audio_output", **session_id, **members},
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()

    by_parser = decode(text)
    assert by_parser == evi.AudioOutput(utterance_id, 0, wav)
    is_plain = json.dumps(utterance_id, ensure_ascii=False) == f'"{utterance_id}"'
    may_be_nested = "{" in utterance_id
    assert audio_output(text) == ((utterance_id, wav) if is_plain and not may_be_nested else None)


@pytest.mark.parametrize(
    "text",
    [
        b'{"type":"assistant_end"}',
        b'{ "type":"audio_output","id":"a","data":"UklGRg=="}',
        b'{"type":"audio_output","id": "a","data":"UklGRg=="}',
        b'{"type":"audio_output","id":"a","index":0}',
        b'{"type":"audio_output","id":"a","data":"Ukl/Rg=",',
        b'{"type":"audio_output","id":"a","data":"\\/w=="}',
        b'{"type":"audio_output","id":"\xff","data":"UklGRg=="}',
        b'{"type":"audio_output","id":"a',
        b'{"type":"audio_output","id":"a","data":"UklGRg==',
        b'{"type":"audio_output","context":{"id":"b"},"id":"a","data":"UklGRg=="}',
        b'{"type":"audio_output","data":"UklGRg==","context":{"id":"b"},"id":"a"}',
    ],
)
def test_what_is_written_in_another_way_is_left_to_the_parser(text: bytes) -> None:
    assert audio_output(text) is None


@given(st.binary(max_size=80), st.integers(0, 80), st.binary(max_size=4))
def test_a_damaged_audio_output_is_never_read_as_another_sound(
    wav: bytes, at: int, damage: bytes
) -> None:
    text = encode(evi.AudioOutput("a", 0, wav))
    text = text[:at] + damage + text[at + len(damage) :]

    audio = audio_output(text)

    if audio is not None:
        with contextlib.suppress(BadMessage):
            message = decode(text)
            assert isinstance(message, evi.AudioOutput)
            assert (message.id, message.wav) == audio


def test_an_unknown_type_passes_as_it_is() -> None:
    message = decode(b'{"type":"weather_report","wind":3}')

    assert message == evi.Unknown("weather_report", {"type": "weather_report", "wind": 3})
    assert json.loads(encode(message)) == {"type": "weather_report", "wind": 3}


def test_unknown_members_are_passed_over() -> None:
    settings = decode(
        b'{"type":"session_settings","audio":{"encoding":"linear16","sample_rate":8000,'
        b'"channels":1,"colour":"red"},"mood":"good"}'
    )

    assert settings == evi.SessionSettings(audio=evi.AudioFormat(8000))


def test_missing_optional_members_take_their_defaults() -> None:
    assert decode(b'{"type":"tool_call","tool_call_id":"c","name":"n"}') == evi.ToolCall(
        "c", "n", "", response_required=True, tool_type="function"
    )
    assert decode(b'{"type":"user_message","models":null}') == evi.UserMessage(
        "", interim=False, from_text=False, begin_ms=0, end_ms=0
    )
    assert decode(b'{"type":"error"}') == evi.ChatError("", "", "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "not JSON"),
        (b"[]", "not a JSON object with a type"),
        (b'{"type":7}', "not a JSON object with a type"),
        (b'{"type":"chat_metadata"}', "'chat_id' is missing"),
        (b'{"type":"user_input","text":5}', "text is not a string"),
        (b'{"type":"audio_output","id":"a","index":"x","data":""}', "audio_output"),
        (b'{"type":"session_settings","audio":5}', "AudioFormat is not an object"),
        (b'{"type":"session_settings","tools":[{}]}', "session_settings"),
    ],
)
def test_a_message_that_cannot_be_read_says_what_is_wrong(text: bytes, sentence: str) -> None:
    with pytest.raises(BadMessage, match=sentence):
        decode(text)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadMessage):
        decode(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(
    example=st.sampled_from([message for _, message in EXAMPLES]),
    member=st.sampled_from(
        sorted({member for _, message in EXAMPLES for member in message if member != "type"})
    ),
    value=json_values,
)
def test_a_mutated_message_is_read_or_refused(
    example: dict[str, Any], member: str, value: Any
) -> None:
    with contextlib.suppress(BadMessage):
        encode(decode(json.dumps({**example, member: value}).encode()))


def test_half_a_surrogate_pair_is_written_as_a_question_mark() -> None:
    written = encode(evi.AssistantInput("Fine \ud83d"))

    assert json.loads(written) == {"type": "assistant_input", "text": "Fine ?"}
