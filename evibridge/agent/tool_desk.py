"""The tool calls of one call: each is answered once, whatever becomes of the chat it came by.

A tool that runs when the chat is lost goes on, and its answer is given to the chat that follows.
That one may ask for the same again under another id; it is given the same answer, so that a book is
not ordered twice.
"""

from collections import deque
from dataclasses import dataclass, replace

from evibridge import events
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, CancelTool, Publish, StartTool, Tell

MAX_OPEN_TOOLS = 4
"""EVI calls one function at a time; more than a few at once is a model gone astray."""
MAX_REMEMBERED = 1024
"""Ids of past calls, so that a replay of one does not run it again."""

Answer = evi.ToolResponse | evi.ToolError


@dataclass(slots=True)
class _Open:
    call: evi.ToolCall
    runs_as: str
    """Id under which it was started."""
    caller_spoke_since: bool = False
    is_orphan: bool = False
    """Whether the chat that called it is lost."""


class ToolDesk:
    """Takes the calls and hands out the answers."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._seen: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._owed: list[Answer] = []
        self._answers_of_this_chat: dict[tuple[str, str], Answer] = {}
        """What calls have brought since the caller spoke, by name and parameters."""
        self._answers_of_lost_chats: dict[tuple[str, str], Answer] = {}
        """The same of a chat that was lost, so that the next one may ask for it again."""

    @property
    def is_idle(self) -> bool:
        """Whether no tool runs."""
        return not self._open

    @property
    def open_names(self) -> tuple[str, ...]:
        """Names of the tools that run."""
        return tuple(tool.call.name for tool in self._open.values())

    def called(self, call: evi.ToolCall) -> list[Action]:
        """The server calls a function."""
        # Built-in tools are run by the server; replays of a call must not run it again.
        if call.tool_type == "builtin" or not call.response_required:
            return []
        if call.tool_call_id in self._seen:
            return []
        self._seen.append(call.tool_call_id)
        started = Publish(events.ToolStarted(call.tool_call_id, call.name, call.parameters))
        actions = self._drop_superseded()
        known = self._answers_of_lost_chats.pop((call.name, call.parameters), None)
        if known is not None:
            answer = replace(known, tool_call_id=call.tool_call_id)
            return [*actions, started, Tell(answer), _finished(call, answer)]
        adopted = self._adopt(call)
        if adopted is not None:
            return [*actions, started, _ended(adopted, "superseded")]
        if len(self._open) >= MAX_OPEN_TOOLS:
            busy = evi.ToolError(
                call.tool_call_id, error="too many tool calls at once", code="busy", level="warn"
            )
            return [*actions, started, Tell(busy), _finished(call, busy)]
        self._open[call.tool_call_id] = _Open(call, call.tool_call_id)
        return [*actions, StartTool(call), started]

    def finished(self, started_as: str, answer: Answer, *, has_chat: bool) -> list[Action]:
        """The tool that was started with this id has an answer; late ones are dropped.

        `has_chat` tells whether there is a chat to take it; else the next one gets it.
        """
        tool = next((each for each in self._open.values() if each.runs_as == started_as), None)
        if tool is None:
            return []
        del self._open[tool.call.tool_call_id]
        answer = replace(answer, tool_call_id=tool.call.tool_call_id)
        answers = self._answers_of_lost_chats if tool.is_orphan else self._answers_of_this_chat
        answers[tool.call.name, tool.call.parameters] = answer
        finished = _finished(tool.call, answer)
        if has_chat:
            return [Tell(answer), finished]
        self._owed.append(answer)
        return [finished]

    def caller_spoke(self) -> None:
        """A new turn of the caller: what it calls for supersedes what is open."""
        self._answers_of_lost_chats.clear()
        self._answers_of_this_chat.clear()
        for tool in self._open.values():
            tool.caller_spoke_since = True

    def chat_lost(self) -> None:
        """The chat that called the open tools is gone; another one follows."""
        self.asked_again()
        for tool in self._open.values():
            tool.is_orphan = True

    def asked_again(self) -> None:
        """The server is asked the same again: what it calls for again is known."""
        self._answers_of_lost_chats |= self._answers_of_this_chat
        self._answers_of_this_chat.clear()

    def chat_opened(self) -> list[Action]:
        """There is a chat again: it is given the answers that were owed.

        EVI: a chat that cannot use an answer says so by a `tool_error`.
        """
        owed, self._owed = self._owed, []
        return [Tell(answer) for answer in owed]

    def drop_all(self) -> list[Action]:
        """Nobody is there any more to take the answers."""
        dropped: list[Action] = []
        for tool in self._open.values():
            dropped += [CancelTool(tool.runs_as), _ended(tool.call, "cancelled")]
        self._open.clear()
        return dropped

    def _adopt(self, call: evi.ToolCall) -> evi.ToolCall | None:
        """Let a running call of the lost chat serve the same call of the new one; returns it."""
        wanted = (call.name, call.parameters)
        for tool in self._open.values():
            if tool.is_orphan and (tool.call.name, tool.call.parameters) == wanted:
                del self._open[tool.call.tool_call_id]
                self._open[call.tool_call_id] = _Open(call, tool.runs_as)
                return tool.call
        return None

    def _drop_superseded(self) -> list[Action]:
        """When the caller changes his mind, EVI calls anew and the older call is dead."""
        actions: list[Action] = []
        for tool in [tool for tool in self._open.values() if tool.caller_spoke_since]:
            del self._open[tool.call.tool_call_id]
            actions += [CancelTool(tool.runs_as), _ended(tool.call, "superseded")]
        return actions


def _finished(call: evi.ToolCall, answer: Answer) -> Publish:
    return _ended(call, "answered" if isinstance(answer, evi.ToolResponse) else answer.code)


def _ended(call: evi.ToolCall, outcome: str | None) -> Publish:
    return Publish(events.ToolFinished(call.tool_call_id, call.name, outcome or "failed"))
