import json
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.minds.completion_messages import (
    DEFAULT_INSTRUCTIONS,
    MAX_QUOTED_CHARACTERS,
    TOOL_FAILED,
    call_not_made,
    messages,
    tools,
)
from evibridge.engine.minds.mind import HistoryEntry, Occasion, Prompt, ToolOffer, ToolUse

USER = HistoryEntry("user", "Where is my order?")
LOOKED_UP = HistoryEntry("tool", "It is late.", ToolUse("call_7f", "status", {"order_id": "1042"}))


def told(*history: HistoryEntry, **prompt: Any) -> list[dict[str, Any]]:
    """The messages behind the system's."""
    return messages(Prompt(history=list(history), **prompt))[1:]


def test_the_system_prompt_comes_first_with_its_variables() -> None:
    prompt = Prompt(system_prompt="Greet {{name}}.", variables={"name": "Ada"}, history=[USER])
    assert messages(prompt)[0] == {"role": "system", "content": "Greet Ada."}


def test_an_agent_without_a_prompt_is_told_that_it_is_heard_and_not_read() -> None:
    assert messages(Prompt())[0] == {"role": "system", "content": DEFAULT_INSTRUCTIONS}


def test_the_history_is_told_in_its_order() -> None:
    answer = HistoryEntry("assistant", "Which one?")
    assert told(USER, answer, HistoryEntry("user", "1042")) == [
        {"role": "user", "content": "Where is my order?"},
        {"role": "assistant", "content": "Which one?"},
        {"role": "user", "content": "1042"},
    ]


def test_what_the_caller_said_in_two_goes_is_one_message() -> None:
    assert told(USER, HistoryEntry("user", "It is 1042.")) == [
        {"role": "user", "content": "Where is my order?\nIt is 1042."}
    ]


def test_words_that_nobody_heard_are_left_out() -> None:
    assert told(USER, HistoryEntry("assistant", "")) == [
        {"role": "user", "content": "Where is my order?"}
    ]


def test_a_greeting_at_the_head_follows_a_note_because_templates_want_the_user_first() -> None:
    note, greeting = told(HistoryEntry("assistant", "Hello."))
    assert note["role"] == "user"
    assert greeting == {"role": "assistant", "content": "Hello."}


def test_a_tool_call_joins_the_words_before_it_and_its_result_follows() -> None:
    _, call, result = told(USER, HistoryEntry("assistant", "One moment."), LOOKED_UP)
    assert call["content"] == "One moment."
    function = call["tool_calls"][0]["function"]
    assert function["name"] == "status"
    assert json.loads(function["arguments"]) == {"order_id": "1042"}
    assert result == {
        "role": "tool",
        "tool_call_id": call["tool_calls"][0]["id"],
        "content": "It is late.",
    }


def test_a_tool_call_without_words_has_a_message_of_its_own() -> None:
    _, call, _ = told(USER, LOOKED_UP)
    assert call["content"] is None


def test_a_tool_that_failed_without_a_word_is_told_as_a_failure() -> None:
    failed = HistoryEntry("tool", "", ToolUse("call_8", "status", {}))
    assert told(USER, failed)[-1]["content"] == TOOL_FAILED


def test_each_call_has_an_id_of_its_own_of_nine_letters_and_digits() -> None:
    ids = [m["tool_call_id"] for m in told(USER, LOOKED_UP, LOOKED_UP) if m["role"] == "tool"]
    assert len(set(ids)) == 2
    assert all(len(call_id) == 9 and call_id.isalnum() for call_id in ids)


def test_context_ends_the_last_message_of_the_caller() -> None:
    first = HistoryEntry("user", "Hello.")
    answer = HistoryEntry("assistant", "Hello?")
    assert told(first, answer, USER, LOOKED_UP, context="It rains.")[2] == {
        "role": "user",
        "content": "Where is my order? {Context: It rains.}",
    }


def test_context_waits_for_the_first_words_of_the_caller() -> None:
    assert told(context="It rains.") == []


@pytest.mark.parametrize("occasion", get_args(Occasion))
def test_the_reason_to_speak_unasked_is_a_note_at_the_end(occasion: Occasion) -> None:
    answer = HistoryEntry("assistant", "Tomorrow.")
    asked = messages(Prompt(history=[USER, answer], context="It rains."), occasion)
    assert asked[-1]["role"] == "user"
    assert "does not hear" in asked[-1]["content"]
    assert asked[-1]["content"].endswith("{Context: It rains.}")
    assert asked[1:-1] == told(USER, answer)


def test_every_occasion_is_told_in_words_of_its_own() -> None:
    notes = {messages(Prompt(), occasion)[-1]["content"] for occasion in get_args(Occasion)}
    assert len(notes) == len(get_args(Occasion))


def test_tools_are_offered_with_what_is_known_of_them() -> None:
    schema = {"type": "object", "properties": {"order_id": {"type": "string"}}}
    offers = [ToolOffer("status", "Tells where an order is.", schema), ToolOffer("hang_up")]
    assert tools(offers) == [
        {
            "type": "function",
            "function": {
                "name": "status",
                "description": "Tells where an order is.",
                "parameters": schema,
            },
        },
        {
            "type": "function",
            "function": {"name": "hang_up", "parameters": {"type": "object", "properties": {}}},
        },
    ]


def test_a_model_is_shown_its_useless_arguments_only_where_nobody_parses_them() -> None:
    before = messages(Prompt(history=[USER]))
    again = call_not_made(before, "One moment.", "status", "{" * 10_000)
    call, result = again[len(before) :]
    assert call["content"] == "One moment."
    assert call["tool_calls"][0]["function"] == {"name": "status", "arguments": "{}"}
    assert result["tool_call_id"] == call["tool_calls"][0]["id"]
    assert result["content"].count("{") == MAX_QUOTED_CHARACTERS
    assert before == messages(Prompt(history=[USER]))


def test_a_useless_call_without_words_before_it_is_told_as_well() -> None:
    _, _, call, _ = call_not_made(messages(Prompt(history=[USER])), "", "status", "[]")
    assert call["content"] is None


ENTRIES = st.one_of(
    st.builds(HistoryEntry, st.sampled_from(["user", "assistant"]), st.sampled_from(["", "Yes."])),
    st.just(LOOKED_UP),
)


@given(
    st.lists(ENTRIES, max_size=12),
    st.sampled_from([None, *get_args(Occasion)]),
    st.sampled_from([None, "It rains."]),
)
def test_any_history_becomes_what_the_strictest_template_accepts(
    history: list[HistoryEntry], occasion: Occasion | None, context: str | None
) -> None:
    asked = messages(Prompt(history=history, context=context), occasion)
    roles = [message["role"] for message in asked]
    assert roles[0] == "system"
    assert roles[1:2] in ([], ["user"])
    assert "system" not in roles[1:]
    calls: list[str] = []
    for before, message in pairwise(asked):
        if message["role"] in ("user", "assistant"):
            assert message["role"] != before["role"]
        else:
            assert message["tool_call_id"] == before["tool_calls"][0]["id"]
            calls.append(message["tool_call_id"])
    assert len(set(calls)) == len(calls) == history.count(LOOKED_UP)
