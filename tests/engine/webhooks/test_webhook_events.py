import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.chat import messages
from evibridge.engine.metrics import ENDS
from evibridge.engine.webhooks.events import (
    ChatIdentity,
    Event,
    awaits_answer,
    chat_ended,
    chat_started,
    tool_call,
)
from tests.engine.webhooks.receiver import SCHEMAS
from tests.engine.webhooks.test_signature import BODY
from tests.reference import evi_validator

CHAT = ChatIdentity(
    "c1a7d0b4-52f4-4b1e-8a5e-6f0f1c2b3a49", "8f3c6a52-7b7e-4c0e-9b7d-2d7a3c1f5e10", None
)
MOMENTS = st.floats(0, 2**33)
IDS = st.none() | st.text()
CALL = messages.tool_call("call_1", "get_slot", {"day": "Friday"}, builtin=False)


def is_told(event: Event) -> bool:
    """Whether the body is what the protocol asks for, with no member that it does not know."""
    schema: Any = evi_validator(SCHEMAS[event.name]).schema
    body = json.loads(event.body)
    evi_validator(SCHEMAS[event.name]).validate(body)
    known = schema["$defs"][SCHEMAS[event.name]]["properties"]
    return set(body) == set(known) and body["event_name"] == event.name


def end_reason(why: str) -> object:
    return json.loads(chat_ended(CHAT, None, 1.0, lasted_s=1.0, why=why).body)["end_reason"]


@given(st.builds(ChatIdentity, st.text(), st.text(), IDS), IDS, MOMENTS, st.booleans())
def test_every_start_fits_its_schema(
    chat: ChatIdentity, session_id: str | None, at_s: float, resumed: bool
) -> None:
    assert is_told(chat_started(chat, session_id, at_s, resumed=resumed))


@given(st.builds(ChatIdentity, st.text(), st.text(), IDS), IDS, MOMENTS, MOMENTS, st.text())
def test_every_end_fits_its_schema(
    chat: ChatIdentity, session_id: str | None, at_s: float, lasted_s: float, why: str
) -> None:
    assert is_told(chat_ended(chat, session_id, at_s, lasted_s=lasted_s, why=why))


@given(
    IDS,
    MOMENTS,
    st.text(),
    st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53) | st.lists(st.text())),
)
def test_every_tool_call_fits_its_schema_and_holds_what_the_client_was_sent(
    session_id: str | None, at_s: float, name: str, arguments: dict[str, object]
) -> None:
    message = messages.tool_call("call_1", name, arguments, builtin=False)

    event = tool_call(CHAT, session_id, at_s, message)

    assert is_told(event)
    assert messages.encode(message, session_id) in event.body


def test_the_end_of_the_reference_is_told_byte_for_byte() -> None:
    event = chat_ended(CHAT, None, 1767000123.456, lasted_s=42.456, why="client_left")

    assert event == Event("chat_ended", BODY)


def test_a_start_says_when_it_was_and_whether_a_group_goes_on() -> None:
    new = json.loads(chat_started(CHAT, "call-4711", 1767000081.5, resumed=False).body)
    resumed = json.loads(chat_started(CHAT, None, 1767000081.5, resumed=True).body)

    assert new["start_time"] == 1767000081500
    assert new["custom_session_id"] == "call-4711"
    assert new["chat_start_type"] == "new_chat_group"
    assert resumed["chat_start_type"] == "resumed_chat_group"


@pytest.mark.parametrize("why", [*ENDS, "a new reason"])
def test_every_end_has_a_reason_of_evi(why: str) -> None:
    reasons = {
        "client_left": "USER_ENDED",
        "hang_up": "USER_ENDED",
        "inactivity_timeout": "INACTIVITY_TIMEOUT",
        "max_duration_timeout": "MAX_DURATION_TIMEOUT",
    }

    assert end_reason(why) == reasons.get(why, "ERROR")


def test_only_calls_of_the_clients_tools_can_be_answered() -> None:
    builtin = messages.tool_call("call_2", "web_search", {"query": "books"}, builtin=True)

    assert awaits_answer(CALL)
    assert not awaits_answer(builtin)
    assert not awaits_answer(messages.assistant_end())
    assert not awaits_answer(messages.builtin_tool_response("call_2", "web_search", "Found."))


def test_half_a_character_harms_no_tool_call() -> None:
    message = CALL | {"name": "\ud800"}

    event = tool_call(CHAT, None, 1.0, message)

    assert orjson.loads(event.body)["tool_call_message"]["name"] == "?"
