"""The line of one running tool to the call that it serves.

A tool may use it from a thread of its own, and from one that outlives its deadline.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from evibridge.agent import evi_messages as evi
from evibridge.agent.tool_desk import Answer
from evibridge.tools_registry.context import LiveCall
from evibridge.tools_registry.outcome import ToolOutcome, ToolResult
from evibridge.tools_registry.progress import Verdict


class ServedCall(LiveCall, Protocol):
    """The call, as its tools see it; every method is called on the event loop."""

    def tool_holds(self, tool_call_id: str, sentence: str) -> None:
        """The caller has to wait for a tool."""

    def tool_awaits_verdict(self, tool_call_id: str, timeout_s: float) -> None:
        """A tool may not run before an operator has approved of it, which he can so long."""

    def tool_finished(self, tool: evi.ToolCall, answer: Answer) -> None:
        """This is what a tool call is answered with."""

    def tool_delivered(
        self, tool: evi.ToolCall, outcome: ToolOutcome, *, is_for_model: bool
    ) -> None:
        """A tool that was answered before is done."""


class ToolLine:
    """Passes on what a tool asks for: to the `LiveCall` of its context, and as its progress.

    Attributes:
        tool: the use of a tool that this is the line of
        was_answered: whether the model was answered before the tool was done
        result_follows: whether it learns the result nevertheless
        is_given_up: whether the tool's call wants nothing of it any more
    """

    def __init__(self, call: ServedCall, tool: evi.ToolCall) -> None:
        self._call = call
        self.tool = tool
        self._loop = asyncio.get_running_loop()
        self._verdict: asyncio.Future[Verdict] = self._loop.create_future()
        self.was_answered = False
        self.result_follows = False
        self.is_given_up = False

    # What the tool asks of the call

    @property
    def digits(self) -> str:
        """Keys that the caller has pressed so far."""
        return self._call.digits

    @property
    def can_transfer(self) -> bool:
        """Whether the caller can be put through to somebody."""
        return self._call.can_transfer

    def say(self, text: str) -> None:
        """Have the agent speak a text word for word."""
        self._ask(self._call.say, text)

    def set_context(self, text: str | None) -> None:
        """Tell the model something for all its later answers; None takes it back."""
        self._ask(self._call.set_context, text)

    def send_digits(self, digits: str) -> None:
        """Play the tones of these keys to the caller's side."""
        self._ask(self._call.send_digits, digits)

    def hang_up(self) -> None:
        """End the call once everything was said."""
        self._ask(self._call.hang_up)

    def end_with(self, text: str) -> None:
        """Have the agent speak a last text, and end the call."""
        self._ask(self._call.end_with, text)

    def transfer(self, to: str) -> None:
        """Put the caller through to somebody else once everything was said."""
        self._ask(self._call.transfer, to)

    def _ask(self, method: Callable[..., None], *arguments: object) -> None:
        def ask() -> None:
            if not self.is_given_up:
                method(*arguments)

        with suppress(RuntimeError):  # the service has ended, and its event loop with it
            self._loop.call_soon_threadsafe(ask)

    # What becomes of the tool

    def hold(self, sentence: str) -> None:
        """The caller has to wait: let the agent say this."""
        self._call.tool_holds(self.tool.tool_call_id, sentence)

    async def verdict(self, timeout_s: float) -> Verdict:
        """Ask the operators about the call; this is cancelled after `timeout_s`."""
        self._call.tool_awaits_verdict(self.tool.tool_call_id, timeout_s)
        return await self._verdict

    def decide(self, verdict: Verdict) -> None:
        """An operator has decided."""
        if not self._verdict.done():
            self._verdict.set_result(verdict)

    def answer_early(self, answer: ToolResult, *, result_follows: bool) -> None:
        """This is the answer; the tool goes on."""
        self.was_answered, self.result_follows = True, result_follows
        told = evi.ToolResponse(self.tool.tool_call_id, answer.content, tool_name=self.tool.name)
        self._call.tool_finished(self.tool, told)
