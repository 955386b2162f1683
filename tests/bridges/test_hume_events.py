from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.agent import evi_messages as evi
from evibridge.bridges.hume_events import (
    ChatEnded,
    ChatStarted,
    Misshapen,
    ToolCalled,
    UnknownEvent,
    checked_chat_id,
    not_json,
    read_event,
)
from tests.bridges.webhook_events import ended, started, tool_call
from tests.reference import evi_validator

CHAT_ID = "c1a7d0b4-52f4-4b1e-8a5e-6f0f1c2b3a49"
TWILIO = {"from_number": "+14155550100", "to_number": "+14155550199", "caller_name": ""}


def test_the_start_of_a_chat_tells_who_calls() -> None:
    event = read_event(started(CHAT_ID, caller_number="+14155550101", twilio_metadata=TWILIO))

    assert isinstance(event, ChatStarted)
    assert event.chat_id == CHAT_ID
    assert event.chat_group_id == "8f3c6a52-7b7e-4c0e-9b7d-2d7a3c1f5e10"
    assert (event.caller, event.called) == ("+14155550101", "+14155550199")
    assert "+1415" not in repr(event)


@pytest.mark.parametrize(
    ("twilio", "caller", "called"),
    [
        (TWILIO, "+14155550100", "+14155550199"),
        ({"from_number": "", "to_number": ""}, None, None),
        (None, None, None),
    ],
)
def test_numbers_that_are_not_known_are_none(
    twilio: dict[str, str] | None, caller: str | None, called: str | None
) -> None:
    event = read_event(started(twilio_metadata=twilio))

    assert isinstance(event, ChatStarted)
    assert (event.caller, event.called) == (caller, called)


def test_a_tool_call_is_as_a_socket_tells_it() -> None:
    event = read_event(tool_call(CHAT_ID))

    assert isinstance(event, ToolCalled)
    assert event.call == evi.ToolCall("call_1", "look", "{}")


def test_the_end_of_a_chat_tells_why() -> None:
    event = read_event(ended(CHAT_ID))

    assert isinstance(event, ChatEnded)
    assert event.end_reason == "USER_ENDED"


def test_each_event_has_a_key_of_its_own() -> None:
    bodies = [
        started(CHAT_ID),
        ended(CHAT_ID),
        tool_call(CHAT_ID, "call_1"),
        tool_call(CHAT_ID, "call_2"),
        ended(),
    ]
    keys = [event.key for body in bodies if isinstance(event := read_event(body), _KNOWN)]
    again = [event.key for body in bodies if isinstance(event := read_event(body), _KNOWN)]

    assert len(set(keys)) == len(bodies)
    assert keys == again


_KNOWN = (ChatStarted, ChatEnded, ToolCalled)


@pytest.mark.parametrize(
    ("body", "kind"), [(started(), ChatStarted), (ended(), ChatEnded), (tool_call(), ToolCalled)]
)
def test_the_name_of_an_event_may_be_missing(body: dict[str, Any], kind: type) -> None:
    del body["event_name"]

    assert isinstance(read_event(body), kind)


def test_an_event_of_another_name_is_unknown() -> None:
    assert read_event({"event_name": "chat_paused"}) == UnknownEvent("chat_paused")


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ([], [], "dict_type"),
        ({}, ["event_name"], "missing"),
        ({"event_name": 1}, ["event_name"], "string_type"),
        ({"event_name": "chat_started"}, ["chat_id"], "missing"),
        (started() | {"chat_id": "../../x"}, ["chat_id"], "value_error"),
        (started() | {"caller_number": 5}, ["caller_number"], "string_type"),
        (ended() | {"end_reason": None}, ["end_reason"], "string_type"),
        (
            tool_call() | {"tool_call_message": {"name": "look"}},
            ["tool_call_message", "tool_call_id"],
            "missing",
        ),
    ],
)
def test_what_is_wrong_is_told_as_evi_tells_it(body: object, loc: list[str], kind: str) -> None:
    event = read_event(body)

    assert isinstance(event, Misshapen)
    (fault,) = event.detail
    assert (fault["loc"], fault["type"]) == (["body", *loc], kind)
    evi_validator("HTTPValidationError").validate({"detail": event.detail})


def test_a_body_that_is_no_json_is_told_as_well() -> None:
    evi_validator("HTTPValidationError").validate({"detail": not_json().detail})


def test_what_is_wrong_is_told_without_the_body_s_words() -> None:
    event = read_event(started() | {"chat_id": "a secret", "caller_number": ["a secret"]})

    assert isinstance(event, Misshapen)
    assert len(event.detail) == 2
    assert "secret" not in repr(event.detail)


def test_ids_of_chats_are_written_in_one_way() -> None:
    assert checked_chat_id(CHAT_ID.upper()) == CHAT_ID


@pytest.mark.parametrize(
    "text",
    ["", "chat-1", f"{CHAT_ID}/", f"{{{CHAT_ID}}}", CHAT_ID.replace("-", ""), f"{CHAT_ID}\n"],
)
def test_an_id_that_is_no_uuid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="UUID"):
        checked_chat_id(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(
            st.sampled_from([*started(), *ended(), *tool_call(), "other"]), values, max_size=6
        )
    ),
    max_leaves=12,
)


@settings(max_examples=50)
@given(JSON, st.sampled_from(["chat_started", "chat_ended", "tool_call", None]))
def test_any_body_is_an_event_or_told_to_be_none(body: object, name: str | None) -> None:
    if isinstance(body, dict) and name is not None:
        body["event_name"] = name

    assert isinstance(read_event(body), (*_KNOWN, UnknownEvent, Misshapen))
