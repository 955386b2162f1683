from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evibridge.agent import evi_messages as evi
from evibridge.operators.control_plane_body import PUBLISH_EVENTS, control_plane_message
from tests.reference import evi_validator

MESSAGES: list[tuple[dict[str, Any], evi.ClientMessage]] = [
    ({"type": "user_input", "text": "Hello."}, evi.UserInput("Hello.")),
    (
        {"type": "assistant_input", "text": "Hello.", "custom_session_id": "s"},
        evi.AssistantInput("Hello.", custom_session_id="s"),
    ),
    (
        {"type": "tool_response", "tool_call_id": "c", "content": "ok", "tool_type": "function"},
        evi.ToolResponse("c", "ok", tool_type="function"),
    ),
    (
        {"type": "tool_error", "tool_call_id": "c", "error": "late", "level": "warn"},
        evi.ToolError("c", "late", level="warn"),
    ),
    ({"type": "pause_assistant_message"}, evi.PauseAssistant()),
    ({"type": "resume_assistant_message", "custom_session_id": None}, evi.ResumeAssistant()),
    (
        {
            "type": "session_settings",
            "audio": {"encoding": "linear16", "sample_rate": 8000, "channels": 1},
            "system_prompt": "You are {{name}}.",
            "context": {"text": "A regular.", "type": "persistent"},
            "variables": {"name": "Ada", "orders": 3, "share": 0.5, "vip": True},
            "tools": [{"type": "function", "name": "look", "parameters": "{}"}],
            "builtin_tools": [{"name": "hang_up", "fallback_content": None}],
            "voice_id": "v",
            "language_model_api_key": "k",
            "metadata": {"any": ["thing"]},
        },
        evi.SessionSettings(
            audio=evi.AudioFormat(8000),
            system_prompt="You are {{name}}.",
            context=evi.Context("A regular.", "persistent"),
            variables={"name": "Ada", "orders": 3, "share": 0.5, "vip": True},
            tools=(evi.ToolOffer("look", "{}"),),
            builtin_tools=(evi.BuiltinTool("hang_up"),),
            voice_id="v",
            language_model_api_key="k",
            metadata={"any": ["thing"]},
        ),
    ),
    ({"type": "session_settings", "context": None}, evi.SessionSettings(context=evi.Clear.CLEAR)),
]
VALIDATOR = evi_validator("ControlPlanePublishEvent")


def faults(document: Any) -> list[tuple[tuple[int | str, ...], str]]:
    with pytest.raises(ValidationError) as error:
        control_plane_message(document)
    return [(fault["loc"], fault["type"]) for fault in error.value.errors()]


@pytest.mark.parametrize(("document", "message"), MESSAGES)
def test_every_message_of_the_control_plane_is_read(
    document: dict[str, Any], message: evi.ClientMessage
) -> None:
    VALIDATOR.validate(document)

    assert control_plane_message(document) == message


def test_every_type_is_read() -> None:
    assert {document["type"] for document, _ in MESSAGES} == PUBLISH_EVENTS.keys()


def test_what_is_not_known_is_passed_over() -> None:
    document = {"type": "user_input", "text": "Hello.", "mood": {"of": "today"}}

    assert control_plane_message(document) == evi.UserInput("Hello.")


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({"type": "audio_input", "data": "AAAA"}, (("type",), "literal_error")),
        ({"type": "user_message"}, (("type",), "literal_error")),
        ({"type": ["user_input"]}, (("type",), "literal_error")),
        ({"text": "Hello."}, (("type",), "missing")),
        ([], ((), "model_type")),
        ("user_input", ((), "model_type")),
        (None, ((), "model_type")),
        ({"type": "user_input"}, (("text",), "missing")),
        ({"type": "user_input", "text": 3}, (("text",), "string_type")),
        (
            {"type": "tool_error", "tool_call_id": "c", "error": "e", "level": "fatal"},
            (("level",), "literal_error"),
        ),
        (
            {"type": "session_settings", "tools": [{"type": "function", "name": "look"}]},
            (("tools", 0, "parameters"), "missing"),
        ),
        (
            {"type": "session_settings", "context": {"text": "A.", "type": "for ever"}},
            (("context", "type"), "literal_error"),
        ),
        (
            {"type": "session_settings", "builtin_tools": [{"name": "dance"}]},
            (("builtin_tools", 0, "name"), "literal_error"),
        ),
    ],
)
def test_what_is_no_such_message_is_told_with_its_place(
    document: Any, fault: tuple[tuple[int | str, ...], str]
) -> None:
    assert not VALIDATOR.is_valid(document)

    assert faults(document) == [fault]


VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 7, 0.5, "", "text", "function", [], {}, [{}], {"text": "a"}]
)


@given(st.sampled_from([document for document, _ in MESSAGES]), st.data())
def test_the_protocols_schema_and_the_models_agree(document: Any, data: st.DataObject) -> None:
    document = deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        part = document
        if isinstance(inner := part.get(data.draw(st.sampled_from(sorted(part)))), dict) and inner:
            part = inner
        member = data.draw(st.sampled_from(sorted(part)))
        if member != "metadata" and data.draw(st.booleans()):
            part[member] = data.draw(VALUES)
        elif len(part) > 1:
            del part[member]

    try:
        control_plane_message(document)
    except ValidationError:
        is_read = False
    else:
        is_read = True
    assert is_read == VALIDATOR.is_valid(document)
