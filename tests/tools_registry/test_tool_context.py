import dataclasses

import pytest

from evibridge.tools_registry.context import ToolContext


def test_digits_are_read_at_the_moment_they_are_asked_for() -> None:
    typed: list[str] = []
    call = ToolContext(call_id="c1", chat_id="e1", read_digits=lambda: "".join(typed))
    typed += ["4", "#"]
    first = call.digits
    typed += ["7"]
    assert (first, call.digits) == ("4#", "4#7")


def test_a_context_needs_no_more_than_its_ids() -> None:
    call = ToolContext(call_id="c1", chat_id="e1")
    assert (call.caller, call.called, call.parameters, call.digits) == (None, None, {}, "")


def test_each_call_has_a_state_of_its_own() -> None:
    first, second = (ToolContext(call_id=name, chat_id="e1") for name in ("c1", "c2"))
    first.state["basket"] = ["tea"]
    assert second.state == {}


def test_what_identifies_the_caller_is_not_in_the_repr() -> None:
    call = ToolContext(
        call_id="c1",
        chat_id="e1",
        caller="+4930111",
        called="+4930222",
        parameters={"name": "Ada"},
        state={"name": "Ada"},
        read_digits=lambda: "1234",
    )
    assert repr(call) == "ToolContext(call_id='c1', chat_id='e1')"


def test_a_tool_cannot_change_whom_it_serves() -> None:
    call = ToolContext(call_id="c1", chat_id="e1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        call.call_id = "c2"  # type: ignore[misc]  # that is the point of the test
