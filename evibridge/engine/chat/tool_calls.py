"""The tool calls of one chat: one at a time, each answered once. Pure."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from evibridge.engine.chat import messages
from evibridge.engine.chat.messages import ServerMessage
from evibridge.engine.minds.mind import CallTool, ToolOffer, ToolOutcome, ToolUse

ToolEnd = Literal["answered", "failed", "timed_out", "not_offered", "dropped"]
"""How a tool call ended; `dropped` is one whose turn the caller broke off."""
REMEMBERED_CALLS = 32
"""Answered tool calls whose second answer is ignored in silence."""

HANG_UP = "hang_up"
WEB_SEARCH = "web_search"
BUILT_IN = {
    HANG_UP: ToolOffer(
        HANG_UP,
        "Ends the conversation. Say goodbye first, then use it when the caller is done.",
        {"type": "object", "properties": {}},
    ),
    WEB_SEARCH: ToolOffer(
        WEB_SEARCH,
        "Searches the web for current facts.",
        {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "what to look for"}},
            "required": ["query"],
        },
    ),
}
"""EVI's own tools, as a mind is offered them."""


@dataclass(frozen=True, slots=True)
class Asking:
    """The turn that makes a call.

    Attributes:
        calls: calls of the turn so far, this one included
        context: the context that the turn answers with
    """

    call: CallTool
    calls: int
    context: str | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A call whose outcome is known, so that its turn can go on."""

    asking: Asking
    outcome: ToolOutcome
    use: ToolUse


@dataclass(frozen=True, slots=True)
class _Pending:
    id: str
    asking: Asking
    fallback: str | None
    builtin: bool
    deadline_s: float

    def answered(self, content: str | None, *, failed: bool) -> Answered:
        """The text of a failure: what the client says, else the fallback of its tool."""
        if failed and content is None:
            content = self.fallback
        call = self.asking.call
        use = ToolUse(self.id, call.name, call.arguments)
        return Answered(self.asking, ToolOutcome(content, failed), use)


class ToolCalls:
    """Keeps the call that waits for its answer.

    Args:
        timeout_s: how long an answer may take (UNCONFIRMED U13)
        new_id: gives text that is never the same twice
        count: told how each call ended
    """

    def __init__(
        self, timeout_s: float, new_id: Callable[[], str], count: Callable[[ToolEnd], None]
    ) -> None:
        self._timeout_s = timeout_s
        self._new_id = new_id
        self._count = count
        self._pending: _Pending | None = None
        self._answered: deque[str] = deque(maxlen=REMEMBERED_CALLS)

    @property
    def pending(self) -> bool:
        """True while an answer is awaited."""
        return self._pending is not None

    @property
    def deadline_s(self) -> float | None:
        """When the pending call is given up."""
        return self._pending.deadline_s if self._pending else None

    def awaits(self, call_id: str) -> bool:
        """Whether a client is to answer this call now."""
        pending = self._pending
        return pending is not None and pending.id == call_id and not pending.builtin

    def begin(
        self, asking: Asking, fallback: str | None, now_s: float, *, builtin: bool
    ) -> tuple[str, ServerMessage]:
        """Ask for a tool: the id of the call, and the message that tells the client."""
        call_id = f"call_{self._new_id()}"
        deadline_s = now_s + self._timeout_s
        self._pending = _Pending(call_id, asking, fallback, builtin, deadline_s)
        call = asking.call
        return call_id, messages.tool_call(call_id, call.name, call.arguments, builtin=builtin)

    def hang_up(self) -> list[ServerMessage]:
        """What the client is told when the mind hangs up by EVI's tool (UNCONFIRMED U14)."""
        call_id = f"call_{self._new_id()}"
        return [
            messages.tool_call(call_id, HANG_UP, {}, builtin=True),
            messages.builtin_tool_response(call_id, HANG_UP, "The chat ends."),
        ]

    def not_offered(self, asking: Asking) -> Answered:
        """The outcome of a call to a tool that nobody offers."""
        self._count("not_offered")
        use = ToolUse(f"call_{self._new_id()}", asking.call.name, asking.call.arguments)
        return Answered(asking, ToolOutcome(None, failed=True), use)

    def answer(
        self, call_id: str, content: str | None, *, failed: bool
    ) -> Answered | ServerMessage | None:
        """Take the client's answer.

        Returns:
            what the turn goes on with; or what the client is told, because the answer fits no
            pending call; or nothing, for a second answer to the same call (UNCONFIRMED U29)
        """
        if call_id in self._answered:
            return None
        pending = self._pending
        if pending is None or not self.awaits(call_id):
            sentence = "No tool call of this id is waiting for an answer."
            return messages.tool_error(call_id, "call_not_pending", sentence)
        self._answered.append(call_id)
        self._end("failed" if failed else "answered")
        return pending.answered(content, failed=failed)

    def searched(self, call_id: str, content: str | None) -> tuple[ServerMessage, Answered] | None:
        """Take the result of the engine's own search, None when it failed; late ones are void."""
        pending = self._pending
        if pending is None or pending.id != call_id:
            return None
        self._end("failed" if content is None else "answered")
        if content is None:
            message = messages.tool_error(call_id, "failed", "The search failed.", builtin=True)
        else:
            message = messages.builtin_tool_response(call_id, WEB_SEARCH, content)
        return message, pending.answered(content, failed=content is None)

    def expired(self, now_s: float) -> tuple[ServerMessage, Answered] | None:
        """Give up a call that has waited for too long."""
        pending = self._pending
        if pending is None or now_s < pending.deadline_s:
            return None
        self._end("timed_out")
        sentence = f"No answer came within {self._timeout_s:g} s."
        message = messages.tool_error(pending.id, "timeout", sentence, builtin=pending.builtin)
        return message, pending.answered(None, failed=True)

    def drop(self) -> None:
        """Forget the pending call: the caller has spoken, so its answer is not wanted."""
        if self._pending is not None:
            self._end("dropped")

    def _end(self, how: ToolEnd) -> None:
        self._pending = None
        self._count(how)
