"""A call that is none: for a test of one tool by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evibridge.tools_registry.context import LiveCall, ToolContext

CALLER = "+14155550100"
CALLED = "+14155550199"
"""Numbers that are nobody's."""


@dataclass(slots=True)
class FakeCall:
    """What a tool may know of a call, and what it has asked of it.

    Attributes:
        context: to be handed to the tool
        said: texts that the agent was to speak
        contexts: what the model was to be told; None took the one before back
        digits_sent: keys that were to be pressed
        transferred_to: whom the caller was to be put through to
        hung_up: whether the call was to end after the agent's goodbye
        ended_with: the text that was to be the last one of the call
    """

    context: ToolContext
    said: list[str] = field(default_factory=list)
    contexts: list[str | None] = field(default_factory=list)
    digits_sent: list[str] = field(default_factory=list)
    transferred_to: str | None = None
    hung_up: bool = False
    ended_with: str | None = None


def fake_call(
    *,
    call_id: str = "call-1",
    chat_id: str = "chat-1",
    tool_call_id: str = "tool-call-1",
    caller: str | None = CALLER,
    called: str | None = CALLED,
    parameters: Mapping[str, str] | None = None,
    state: dict[str, Any] | None = None,
    digits: str = "",
) -> FakeCall:
    """Make up a call; every field of its `ToolContext` may be given.

    Args:
        call_id: the bridge's id of the call
        chat_id: EVI's id of the chat
        tool_call_id: EVI's id of this use of the tool
        caller: who calls, E.164; None if that is withheld
        called: the number that was called, E.164
        parameters: of the carrier's stream
        state: what other tools of the call have kept
        digits: keys that the caller has pressed
    """
    line = _Line(digits)
    line.call = FakeCall(
        ToolContext(
            call_id=call_id,
            chat_id=chat_id,
            tool_call_id=tool_call_id,
            caller=caller,
            called=called,
            parameters={} if parameters is None else parameters,
            state={} if state is None else state,
            live=line,
        )
    )
    return line.call


class _Line(LiveCall):
    """Notes down what a tool asks for."""

    call: FakeCall
    can_transfer = True

    def __init__(self, digits: str) -> None:
        self._digits = digits

    @property
    def digits(self) -> str:
        return self._digits

    def say(self, text: str) -> None:
        self.call.said.append(text)

    def set_context(self, text: str | None) -> None:
        self.call.contexts.append(text)

    def send_digits(self, digits: str) -> None:
        self.call.digits_sent.append(digits)

    def hang_up(self) -> None:
        self.call.hung_up = True

    def end_with(self, text: str) -> None:
        self.call.ended_with = text

    def transfer(self, to: str) -> None:
        self.call.transferred_to = to
