import asyncio
import dataclasses
from collections.abc import Callable

import pytest

from evibridge.tools_registry.context import NoCall, ToolContext


class RecordedCall(NoCall):
    """Keeps what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def say(self, text: str) -> None:
        self.asked.append(("say", text))

    def set_context(self, text: str | None) -> None:
        self.asked.append(("set_context", text))

    def send_digits(self, digits: str) -> None:
        self.asked.append(("send_digits", digits))

    def hang_up(self) -> None:
        self.asked.append(("hang_up",))

    def end_with(self, text: str) -> None:
        self.asked.append(("end_with", text))

    def transfer(self, to: str) -> None:
        self.asked.append(("transfer", to))


@pytest.fixture
def live() -> RecordedCall:
    return RecordedCall()


@pytest.fixture
def call(live: RecordedCall) -> ToolContext:
    return ToolContext(call_id="c1", chat_id="e1", live=live)


def test_digits_are_read_at_the_moment_they_are_asked_for(
    live: RecordedCall, call: ToolContext
) -> None:
    live.digits = "4#"
    first = call.digits
    live.digits = "4#7"
    assert (first, call.digits) == ("4#", "4#7")


def test_a_context_needs_no_more_than_its_ids() -> None:
    call = ToolContext(call_id="c1", chat_id="e1")
    assert (call.caller, call.called, call.parameters, call.digits) == (None, None, {}, "")
    assert call.tool_call_id == ""


def test_without_a_call_nothing_happens() -> None:
    call = ToolContext(call_id="c1", chat_id="e1")
    call.say("Hello.")
    call.set_context("He is a friend.")
    call.send_digits("1")
    call.hang_up()
    call.end_with("Goodbye.")
    call.transfer("+14155550100")


def test_each_call_has_a_state_of_its_own() -> None:
    first, second = (ToolContext(call_id=name, chat_id="e1") for name in ("c1", "c2"))
    first.state["basket"] = ["tea"]
    assert second.state == {}


def test_what_identifies_the_caller_is_not_in_the_repr(live: RecordedCall) -> None:
    call = ToolContext(
        call_id="c1",
        chat_id="e1",
        tool_call_id="t1",
        caller="+4930111",
        called="+4930222",
        parameters={"name": "Ada"},
        state={"name": "Ada"},
        live=live,
    )
    assert repr(call) == "ToolContext(call_id='c1', chat_id='e1', tool_call_id='t1')"


def test_a_tool_cannot_change_whom_it_serves() -> None:
    call = ToolContext(call_id="c1", chat_id="e1")
    with pytest.raises(dataclasses.FrozenInstanceError):
        call.call_id = "c2"  # type: ignore[misc]  # that is the point of the test


def test_a_plain_function_acts_on_the_call_without_awaiting(
    live: RecordedCall, call: ToolContext
) -> None:
    call.say("One moment.")
    call.set_context("The caller is a friend.")
    call.set_context(None)
    call.send_digits("12w#")
    call.hang_up()

    assert live.asked == [
        ("say", "One moment."),
        ("set_context", "The caller is a friend."),
        ("set_context", None),
        ("send_digits", "12w#"),
        ("hang_up",),
    ]


async def test_a_coroutine_may_await_until_it_has_been_done(
    live: RecordedCall, call: ToolContext
) -> None:
    done: list[str] = []
    asyncio.get_running_loop().call_soon(done.append, "what was asked for before")

    await call.end_with("Goodbye.")

    assert live.asked == [("end_with", "Goodbye.")]
    assert done == ["what was asked for before"]


@pytest.mark.parametrize("to", ["+14155550100", "sip:desk@shop.example"])
def test_a_caller_is_put_through_to_a_number_or_a_sip_address(
    live: RecordedCall, call: ToolContext, to: str
) -> None:
    call.transfer(to)
    assert live.asked == [("transfer", to)]


@pytest.mark.parametrize(
    "ask",
    [
        lambda call: call.say(" "),
        lambda call: call.set_context(""),
        lambda call: call.end_with("\n"),
        lambda call: call.transfer("the workshop"),
        lambda call: call.send_digits("12 34"),
        lambda call: call.send_digits(""),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    live: RecordedCall, call: ToolContext, ask: Callable[[ToolContext], object]
) -> None:
    with pytest.raises(ValueError, match=r"no words|must be"):
        ask(call)
    assert live.asked == []
