"""The tool calls of one call: each is answered once, whatever becomes of the chat it came by.

A tool that runs when the chat is lost goes on, and its answer is given to the chat that follows.
That one may ask for the same again, under the same id or another: it is given the same answer, so
that a book is not ordered twice.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import Enum, auto

from evibridge import events
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, CancelTool, Publish, StartTool, Tell, TellVerdict
from evibridge.events import ToolPath
from evibridge.tools_registry.progress import Verdict

MAX_OPEN_TOOLS = 4
"""EVI calls one function at a time; more than a few at once is a model gone astray."""
MAX_REMEMBERED = 1024
"""Ids of past calls, so that a replay of one does not run it again."""

Answer = evi.ToolResponse | evi.ToolError


class _Fate(Enum):
    """What has become of a tool call."""

    OPEN = auto()
    OWED = auto()
    """There is an answer, and no chat to give it to."""
    ANSWERED = auto()
    """The chat in use has its answer."""
    ANSWERED_BEFORE = auto()
    """A chat that was lost since had its answer."""
    DEAD = auto()
    """Nobody wants an answer any more."""


@dataclass(slots=True)
class _Open:
    call: evi.ToolCall
    runs_as: str
    """Id under which it was started."""
    is_repeat: bool = False
    """Whether the same call was answered before, to a chat that was lost."""
    caller_spoke_since: bool = False
    is_orphan: bool = False
    """Whether the chat that called it is lost."""
    verdict_within_s: float | None = None
    """How long an operator may take to decide about it, None when nobody has to."""
    holding: str | None = None
    """What the caller, who waits for it, is to be told."""
    told_holding: str | None = None
    """What he was told."""


@dataclass(slots=True)
class _Past:
    """A tool call of which something is known; its parameters may be long and are not kept."""

    signature: int
    fate: _Fate


class ToolDesk:
    """Takes the calls and hands out the answers."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._past: dict[str, _Past] = {}
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

    @property
    def awaits_operator(self) -> bool:
        """Whether a tool waits for an operator to approve of it."""
        return any(tool.verdict_within_s is not None for tool in self._open.values())

    def knows(self, tool_call_id: str) -> bool:
        """Whether this id was called already."""
        return tool_call_id in self._past

    # The server

    def called(self, call: evi.ToolCall, path: ToolPath = ToolPath.SOCKET) -> list[Action]:
        """The server calls a function; the same call may come by several paths."""
        # Built-in tools are run by the server; replays of a call must not run it again.
        if call.tool_type == "builtin" or not call.response_required:
            return []
        past = self._past.get(call.tool_call_id)
        if past is None:
            return self._called_first(call, path)
        is_same = past.signature == _signature(call)
        match past.fate:
            case _Fate.OPEN if is_same:
                self._open[call.tool_call_id].is_orphan = False
                return []
            case _Fate.OPEN if self._open[call.tool_call_id].is_orphan:
                # The next chat gives its own calls the ids of the last one.
                dead = self._drop([self._open[call.tool_call_id]], "superseded")
                return [*dead, *self._called_first(call, path)]
            case _Fate.ANSWERED_BEFORE if is_same:
                self._answers_of_lost_chats.pop((call.name, call.parameters), None)
                return [*self._drop_superseded(), *self._start(call, is_repeat=True)]
            case _Fate.ANSWERED_BEFORE | _Fate.DEAD if not is_same:
                return self._called_first(call, path)
            case _:
                return []

    def _called_first(self, call: evi.ToolCall, path: ToolPath) -> list[Action]:
        self._remember(call, _Fate.OPEN)
        started = Publish(events.ToolStarted(call.tool_call_id, call.name, call.parameters, path))
        actions = self._drop_superseded()
        known = self._answers_of_lost_chats.pop((call.name, call.parameters), None)
        if known is not None:
            answer = replace(known, tool_call_id=call.tool_call_id)
            return [*actions, started, *self._tell(answer), _finished(call, answer)]
        adopted = self._adopt(call)
        if adopted is not None:
            return [*actions, started, *adopted]
        first, *rest = self._start(call, is_repeat=False)
        return [*actions, first, started, *rest]

    def _start(self, call: evi.ToolCall, *, is_repeat: bool) -> list[Action]:
        if len(self._open) < MAX_OPEN_TOOLS:
            self._remember(call, _Fate.OPEN)
            self._open[call.tool_call_id] = _Open(call, call.tool_call_id, is_repeat)
            return [StartTool(call, is_repeat)]
        busy = evi.ToolError(
            call.tool_call_id, error="too many tool calls at once", code="busy", level="warn"
        )
        return [*self._tell(busy), *([] if is_repeat else [_finished(call, busy)])]

    def caller_spoke(self, *, before: Collection[str] = ()) -> None:
        """A new turn of the caller: what it calls for supersedes what is open.

        `before` has the ids of calls that may have come after it all the same.
        """
        self._answers_of_lost_chats.clear()
        self._answers_of_this_chat.clear()
        for tool_call_id, tool in self._open.items():
            tool.caller_spoke_since |= tool_call_id not in before

    def chat_lost(self) -> None:
        """The chat that called the open tools is gone; another one follows."""
        self.asked_again()
        for tool in self._open.values():
            tool.is_orphan = True
        for past in self._past.values():
            if past.fate is _Fate.ANSWERED:
                past.fate = _Fate.ANSWERED_BEFORE

    def asked_again(self) -> None:
        """The server is asked the same again: what it calls for again is known."""
        self._answers_of_lost_chats |= self._answers_of_this_chat
        self._answers_of_this_chat.clear()

    def chat_opened(self) -> list[Action]:
        """There is a chat again: it is given the answers that were owed.

        EVI: a chat that cannot use an answer says so by a `tool_error`.
        """
        owed, self._owed = self._owed, []
        return [action for answer in owed for action in self._tell(answer)]

    # The tools

    def finished(self, started_as: str, answer: Answer, *, has_chat: bool) -> list[Action]:
        """The tool that was started with this id has an answer; late ones are dropped.

        `has_chat` tells whether there is a chat to take it; else the next one gets it.
        """
        tool = self._started_as(started_as)
        if tool is None:
            return []
        del self._open[tool.call.tool_call_id]
        answer = replace(answer, tool_call_id=tool.call.tool_call_id)
        answers = self._answers_of_lost_chats if tool.is_orphan else self._answers_of_this_chat
        answers[tool.call.name, tool.call.parameters] = answer
        finished = [] if tool.is_repeat else [_finished(tool.call, answer)]
        if has_chat:
            return [*self._tell(answer), *finished]
        self._owed.append(answer)
        self._past[answer.tool_call_id].fate = _Fate.OWED
        return [*finished]

    def answered_by_operator(self, answer: Answer, *, has_chat: bool) -> list[Action]:
        """An operator answers a call in place of its tool; nothing if it waits for no answer."""
        tool = self._open.get(answer.tool_call_id)
        if tool is None:
            return []
        return [CancelTool(tool.runs_as), *self.finished(tool.runs_as, answer, has_chat=has_chat)]

    def holds(self, started_as: str, sentence: str) -> None:
        """The caller has to wait for a tool: he is to be told this."""
        tool = self._started_as(started_as)
        if tool is not None:
            tool.holding = sentence

    @property
    def has_holding(self) -> bool:
        """Whether the caller is to be told that he has to wait."""
        return bool(self._holding())

    def take_holding(self) -> list[str]:
        """What the caller is to be told who waits; he is told it now."""
        sentences = []
        for tool in self._holding():
            tool.told_holding, tool.holding = tool.holding, None
            sentences.append(tool.told_holding or "")
        return sentences

    def told_holding(self, started_as: str) -> str | None:
        """What the caller was told who waits for this tool, which may have another id by now."""
        tool = self._open.get(started_as) or self._started_as(started_as)
        return None if tool is None else tool.told_holding

    def awaits_verdict(self, started_as: str, timeout_s: float) -> list[Action]:
        """A tool may not run before an operator has approved of it, which he can so long."""
        tool = self._started_as(started_as)
        if tool is None:
            return []
        tool.verdict_within_s = timeout_s
        return _wanted(tool)

    def decided(self, tool_call_id: str, verdict: Verdict, by: str) -> list[Action]:
        """An operator has decided about a tool; the first one does."""
        tool = self._open.get(tool_call_id) or self._started_as(tool_call_id)
        if tool is None or tool.verdict_within_s is None:
            return []
        tool.verdict_within_s = None
        tool_call_id = tool.call.tool_call_id
        given = events.ApprovalGiven(tool_call_id, tool.call.name, verdict.is_approved, by)
        return [TellVerdict(tool.runs_as, verdict), Publish(given)]

    def answered_otherwise(self) -> list[Action]:
        """The agent answers words that came after a tool call.

        EVI: the call may be dead then, or not (UNCONFIRMED). A tool that runs is let; nobody is
        asked any more to approve of what the caller may not want.
        """
        waiting = [
            tool
            for tool in self._open.values()
            if tool.caller_spoke_since and tool.verdict_within_s is not None
        ]
        return self._drop(waiting, "superseded")

    def drop_all(self) -> list[Action]:
        """Nobody is there any more to take the answers."""
        return self._drop(list(self._open.values()), "cancelled")

    # Inside

    def _remember(self, call: evi.ToolCall, fate: _Fate) -> None:
        self._past[call.tool_call_id] = _Past(_signature(call), fate)
        while len(self._past) > MAX_REMEMBERED:
            oldest = next(each for each in self._past if each not in self._open)
            del self._past[oldest]

    def _tell(self, answer: Answer) -> list[Action]:
        self._past[answer.tool_call_id].fate = _Fate.ANSWERED
        return [Tell(answer)]

    def _holding(self) -> list[_Open]:
        """Tools that the caller still waits for, and does not know yet that he has to."""
        return [
            tool
            for tool in self._open.values()
            if tool.holding is not None and not tool.caller_spoke_since
        ]

    def _started_as(self, tool_call_id: str) -> _Open | None:
        return next((each for each in self._open.values() if each.runs_as == tool_call_id), None)

    def _adopt(self, call: evi.ToolCall) -> list[Action] | None:
        """Let a running call of the lost chat serve the same call of the new one.

        Returns what becomes of the former, None if there is none that would do.
        """
        wanted = (call.name, call.parameters)
        for tool in self._open.values():
            if tool.is_orphan and (tool.call.name, tool.call.parameters) == wanted:
                del self._open[tool.call.tool_call_id]
                self._past[tool.call.tool_call_id].fate = _Fate.DEAD
                ended = [] if tool.is_repeat else [_ended(tool.call, "superseded")]
                adopted = self._open[call.tool_call_id] = replace(
                    tool, call=call, is_repeat=False, caller_spoke_since=False, is_orphan=False
                )
                return [*ended, *_wanted(adopted)]
        return None

    def _drop_superseded(self) -> list[Action]:
        """When the caller changes his mind, EVI calls anew and the older call is dead."""
        dead = [tool for tool in self._open.values() if tool.caller_spoke_since]
        return self._drop(dead, "superseded")

    def _drop(self, tools: list[_Open], why: str) -> list[Action]:
        actions: list[Action] = []
        for tool in tools:
            del self._open[tool.call.tool_call_id]
            self._past[tool.call.tool_call_id].fate = _Fate.DEAD
            actions.append(CancelTool(tool.runs_as))
            if not tool.is_repeat:
                actions.append(_ended(tool.call, why))
        return actions


def _signature(call: evi.ToolCall) -> int:
    """Tells two uses of one id apart, when the next chat numbers its calls anew."""
    return hash((call.name, call.parameters))


def _wanted(tool: _Open) -> list[Action]:
    if tool.verdict_within_s is None:
        return []
    call, within_s = tool.call, tool.verdict_within_s
    wanted = events.ApprovalWanted(call.tool_call_id, call.name, call.parameters, within_s)
    return [Publish(wanted)]


def _finished(call: evi.ToolCall, answer: Answer) -> Publish:
    outcome = "answered" if isinstance(answer, evi.ToolResponse) else answer.code
    return _ended(call, outcome, answer.content)


def _ended(call: evi.ToolCall, outcome: str | None, content: str | None = None) -> Publish:
    return Publish(events.ToolFinished(call.tool_call_id, call.name, outcome or "failed", content))
