"""What of a call is known from its events alone, for lists of calls."""

import math
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from evibridge.bus import EventBus, Told
from evibridge.events import (
    AgentSaid,
    CallBegan,
    CallDialled,
    CallEnded,
    CallerSaid,
    OperatorSaid,
    ToolFinished,
    ToolStarted,
    TurnAnswered,
)

MAX_ENDED = 100
"""Calls that have ended, the newest: as many as there are snapshots of."""
ANSWERS_WITHIN_S = 3600.0
MAX_ANSWERS = 1000
"""Of all calls, the newest within that time: what the service's response time is told from."""


Speaker = Literal["agent", "caller", "operator"]


class RunningTool(NamedTuple):
    """A function that runs for the model, and since when, in Unix seconds."""

    tool_call_id: str
    name: str
    since_s: float


@dataclass(frozen=True, slots=True)
class LatestOfCall:
    """The newest of everything in one call.

    Attributes:
        seq: of its last event; 0 before the first one
        last_line: who said something, and what
        expression: the strongest in the caller's voice, and its score from 0 to 1
        response_ms: of the agent's last answer
        tools: functions that run, the newest last
    """

    seq: int = 0
    last_line: tuple[Speaker, str] | None = field(default=None, repr=False)
    expression: tuple[str, float] | None = None
    response_ms: int | None = None
    tools: tuple[RunningTool, ...] = ()


NOTHING = LatestOfCall()


class Latest:
    """Reads the events of all calls, and keeps the newest of each call."""

    def __init__(self) -> None:
        self._live: dict[str, LatestOfCall] = {}
        self._ended: OrderedDict[str, LatestOfCall] = OrderedDict()
        self._answers: deque[tuple[float, int]] = deque(maxlen=MAX_ANSWERS)
        """When, in Unix seconds, and after how many ms."""

    def read(self, bus: EventBus) -> None:
        """Follow the events that are published from now on."""
        bus.subscribe(self.told)

    def of(self, call_id: str) -> LatestOfCall:
        """Return the newest of a call, as it was at its end if that is not long ago."""
        return self._live.get(call_id) or self._ended.get(call_id, NOTHING)

    def response_p95_ms(self, now_s: float) -> int | None:
        """How long 95 of 100 answers of the last hour took at most; None if there were none.

        Args:
            now_s: Unix time
        """
        while self._answers and self._answers[0][0] < now_s - ANSWERS_WITHIN_S:
            self._answers.popleft()
        waited = sorted(response_ms for _, response_ms in self._answers)
        return waited[math.ceil(0.95 * len(waited)) - 1] if waited else None

    def told(self, told: Told) -> None:
        """Take in one event."""
        if isinstance(told.event, TurnAnswered):
            self._answers.append((told.at_s, told.event.response_ms))
        if isinstance(told.event, CallBegan | CallDialled):  # another call may have had its id
            self._ended.pop(told.call_id, None)
        latest = _after(self.of(told.call_id), told)
        if isinstance(told.event, CallEnded):
            self._live.pop(told.call_id, None)
            self._ended[told.call_id] = latest
            if len(self._ended) > MAX_ENDED:
                self._ended.popitem(last=False)
        elif told.call_id in self._ended:  # what comes after the end is told of it
            self._ended[told.call_id] = latest
        else:
            self._live[told.call_id] = latest


def _after(latest: LatestOfCall, told: Told) -> LatestOfCall:
    event = told.event
    if isinstance(event, CallerSaid):
        return replace(
            latest,
            seq=told.seq,
            last_line=latest.last_line if event.interim else ("caller", event.text),
            expression=_strongest(event.scores) or latest.expression,
        )
    if isinstance(event, AgentSaid):
        return replace(latest, seq=told.seq, last_line=("agent", event.text))
    if isinstance(event, TurnAnswered):
        return replace(latest, seq=told.seq, response_ms=event.response_ms)
    if isinstance(event, OperatorSaid) and not event.interim:
        return replace(latest, seq=told.seq, last_line=("operator", event.text))
    if isinstance(event, ToolStarted):
        started = RunningTool(event.tool_call_id, event.name, told.at_s)
        return replace(latest, seq=told.seq, tools=(*latest.tools, started))
    if isinstance(event, ToolFinished):
        left = tuple(each for each in latest.tools if each.tool_call_id != event.tool_call_id)
        return replace(latest, seq=told.seq, tools=left)
    if isinstance(event, CallEnded):
        return replace(latest, seq=told.seq, tools=())
    return replace(latest, seq=told.seq)


def _strongest(scores: Mapping[str, float] | None) -> tuple[str, float] | None:
    return max(scores.items(), key=lambda item: item[1]) if scores else None
