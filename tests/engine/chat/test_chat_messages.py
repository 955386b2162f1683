import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.chat import messages
from evibridge.engine.chat.faults import NO_AUDIO, NOT_JSON, Fault, inactive, too_long
from evibridge.engine.chat.messages import decode, decode_control, encode
from tests.reference import evi_examples, evi_validator

CLIENT_MESSAGES: dict[str, type] = {
    "AudioInput": messages.AudioInput,
    "SessionSettings": messages.SessionSettings,
    "UserInput": messages.UserInput,
    "AssistantInput": messages.AssistantInput,
    "ToolResponseMessage": messages.ToolResponse,
    "ToolErrorMessage": messages.ToolError,
    "PauseAssistantMessage": messages.PauseAssistant,
    "ResumeAssistantMessage": messages.ResumeAssistant,
}
FROM_CLIENTS = [(name, message) for name, message in evi_examples() if name in CLIENT_MESSAGES]

SERVER_MESSAGES = [
    messages.chat_metadata("c", "g", "r"),
    messages.user_message("Hello.", 100, 900),
    messages.user_message("Hel", 100, 500, interim=True),
    messages.user_message("Hello.", 0, 0, from_text=True),
    messages.user_interruption(1_767_000_061_250),
    messages.assistant_message("1f", "Friday.", from_text=False),
    messages.assistant_message("1f", "One moment.", from_text=False, quick=True),
    messages.audio_output("1f", 0, b"RIFF"),
    messages.assistant_end(),
    messages.tool_call("call_1", "get_slot", {"day": "Friday"}, builtin=False),
    messages.tool_call("call_2", "web_search", {"query": "weather"}, builtin=True),
    messages.builtin_tool_response("call_2", "web_search", "Rain."),
    messages.tool_error("call_1", "timeout", "No answer came."),
    messages.tool_error("call_2", "failed", "The search failed.", builtin=True),
    messages.accepted(
        messages.SessionSettings(
            system_prompt="Be brief.",
            language_model_api_key="sk-own",
            context=messages.Context(text="Verified."),
            variables={"name": "Ada"},
            custom_session_id=None,
        )
    ),
    messages.accepted(messages.ToolResponse(tool_call_id="call_1", content="10:30")),
    messages.accepted(messages.ToolError(tool_call_id="call_1", error="timeout", content=None)),
    messages.error(NOT_JSON, "r"),
    messages.error(inactive(120), "r"),
    messages.error(too_long(1800), "r"),
]


def fault_of(text: bytes | str) -> Fault:
    fault = decode(text.encode() if isinstance(text, str) else text)
    assert isinstance(fault, Fault)
    return fault


@pytest.mark.parametrize(("name", "example"), FROM_CLIENTS)
def test_every_example_of_a_client_message_is_read(name: str, example: dict[str, Any]) -> None:
    assert isinstance(decode(json.dumps(example).encode()), CLIENT_MESSAGES[name])


@pytest.mark.parametrize("message", SERVER_MESSAGES, ids=lambda message: message["type"])
def test_every_server_message_fits_its_schema(message: dict[str, Any]) -> None:
    evi_validator("SubscribeEvent").validate(json.loads(encode(message, None)))
    evi_validator("SubscribeEvent").validate(json.loads(encode(message, "call-7")))


def test_the_clients_session_id_is_echoed() -> None:
    assert json.loads(encode(messages.assistant_end(), "call-7")) == {
        "type": "assistant_end",
        "custom_session_id": "call-7",
    }


def test_text_that_is_half_a_character_is_sent_as_far_as_it_can_be() -> None:
    message = messages.assistant_message("1f", "Hello \ud83d.", from_text=False)

    assert json.loads(encode(message, "\udcff"))["message"]["content"] == "Hello ?."


def test_audio_arrives_as_bytes() -> None:
    text = json.dumps({"type": "audio_input", "data": base64.b64encode(b"\x01\x02\x03").decode()})

    assert decode(text.encode()) == messages.AudioInput(b"\x01\x02\x03")


def test_a_huge_flat_message_is_refused_unread() -> None:
    members = ",".join(f'"{number}":0' for number in range(200_000))

    assert "1 MiB" in fault_of(f'{{"type":"audio_input",{members}}}').message


@pytest.mark.parametrize(
    "message",
    [
        {"type": "tool_response", "tool_call_id": "x" * 1025, "content": ""},
        {"type": "session_settings", "custom_session_id": "x" * 1025},
        {"type": "user_input", "text": "x" * 100_001},
        {"type": "assistant_input", "text": " "},
    ],
)
def test_what_is_echoed_or_spoken_has_bounds(message: dict[str, Any]) -> None:
    assert fault_of(json.dumps(message)).code == "E0101"


def test_settings_tell_null_from_absent() -> None:
    settings = decode(b'{"type": "session_settings", "context": null, "surprise": 1}')

    assert isinstance(settings, messages.SessionSettings)
    assert settings.model_fields_set == {"context"}


@pytest.mark.parametrize("text", ["", "hello", "{", "[]", "7", "null", '{"a": "\\ud800"}'])
def test_what_is_no_json_object_is_e0100(text: str) -> None:
    assert fault_of(text).code == "E0100"


def test_bytes_that_are_not_text_are_e0100() -> None:
    assert fault_of(b'{"type": "\xff\xfe"}').code == "E0100"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{}", "'type'"),
        ('{"type": 7}', "'type'"),
        ('{"type": "dance"}', "'type'"),
        ('{"type": "user_input"}', "'text'"),
        ('{"type": "user_input", "text": 7}', "'text'"),
        ('{"type": "tool_response", "content": "x"}', "'tool_call_id'"),
        ('{"type": "audio_input"}', "'data'"),
        ('{"type": "audio_input", "data": "***"}', "base64"),
        ('{"type": "audio_input", "data": "AAA"}', "base64"),
        ('{"type": "session_settings", "audio": {"encoding": "mulaw"}}', "audio.encoding"),
        ('{"type": "session_settings", "variables": {"a": null}}', "variables.a"),
    ],
)
def test_what_is_missing_or_wrong_is_e0101_and_named(text: str, named: str) -> None:
    fault = fault_of(text)

    assert fault.code == "E0101"
    assert named in fault.message


def test_control_messages_have_a_size_limit() -> None:
    long = json.dumps({"type": "user_input", "text": "x" * messages.MAX_CONTROL_BYTES})

    assert "1 MiB" in fault_of(long).message
    assert decode_control(long.encode()) == fault_of(long)


def test_the_control_plane_takes_everything_but_audio() -> None:
    for name, example in FROM_CLIENTS:
        taken = decode_control(json.dumps(example).encode())
        assert taken == (NO_AUDIO if name == "AudioInput" else decode(json.dumps(example).encode()))


def test_a_huge_message_that_is_not_audio_is_refused_unread() -> None:
    nested = b'{"type":"user_input","text":"x","more":[' + b"[]," * 400_000 + b"[]]}"

    assert fault_of(nested).message.startswith("A message other than audio")


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [{}] * (messages.MAX_MEMBERS + 1)},
        {"builtin_tools": [{}] * (messages.MAX_MEMBERS + 1)},
        {"variables": {str(number): "x" for number in range(messages.MAX_MEMBERS + 1)}},
    ],
)
def test_settings_of_very_many_members_are_refused(members: dict[str, Any]) -> None:
    text = json.dumps({"type": "session_settings", **members})

    assert f"more than {messages.MAX_MEMBERS} entries" in fault_of(text).message


def test_a_text_of_an_hour_is_not_spoken() -> None:
    text = "a" * (messages.MAX_SPOKEN_CHARACTERS + 1)

    assert fault_of(json.dumps({"type": "assistant_input", "text": text})).code == "E0101"


def test_keys_are_not_shown() -> None:
    settings = decode(b'{"type":"session_settings","language_model_api_key":"sk-secret"}')

    assert isinstance(settings, messages.SessionSettings)
    assert settings.language_model_api_key == "sk-secret"
    assert "sk-secret" not in repr(settings)


def test_a_context_whose_type_is_null_is_temporary() -> None:
    text = b'{"type":"session_settings","context":{"text":"Verified.","type":null}}'
    settings = decode(text)

    assert isinstance(settings, messages.SessionSettings)
    assert settings.context == messages.Context(text="Verified.", type="temporary")


def test_settings_come_by_another_way_too() -> None:
    settings = messages.read_settings({"audio": {"encoding": "linear16", "sample_rate": "8000"}})
    assert isinstance(settings, Fault)

    settings = messages.read_settings({"system_prompt": "Be brief."})
    assert isinstance(settings, messages.SessionSettings)
    assert settings.system_prompt == "Be brief."


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode()))
def test_no_bytes_can_make_reading_raise(text: bytes) -> None:
    decode(text)
    decode_control(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.sampled_from(FROM_CLIENTS), st.data())
def test_no_member_can_make_reading_raise(
    named_example: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    name, example = named_example
    member = data.draw(st.sampled_from(sorted(example)))
    mutated = {**example, member: data.draw(JSON)}

    message = decode(json.dumps(mutated).encode())
    same = decode_control(json.dumps(mutated).encode())

    assert isinstance(message, Fault | CLIENT_MESSAGES[name]) or member == "type"
    assert message == same or isinstance(same, Fault)
