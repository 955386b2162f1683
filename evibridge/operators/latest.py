"""What of a call is known from its events alone, for lists of calls."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from evibridge.bus import EventBus, Told
from evibridge.events import (
    AgentSaid,
    CallBegan,
    CallDialled,
    CallEnded,
    CallerSaid,
    TurnAnswered,
)

MAX_ENDED = 100
"""Calls that have ended, the newest: as many as there are snapshots of."""


@dataclass(frozen=True, slots=True)
class LatestOfCall:
    """The newest of everything in one call.

    Attributes:
        seq: of its last event; 0 before the first one
        last_line: who said something, and what
        expression: the strongest in the caller's voice, and its score from 0 to 1
        response_ms: of the agent's last answer
    """

    seq: int = 0
    last_line: tuple[Literal["agent", "caller"], str] | None = field(default=None, repr=False)
    expression: tuple[str, float] | None = None
    response_ms: int | None = None


NOTHING = LatestOfCall()


class Latest:
    """Reads the events of all calls, and keeps the newest of each call."""

    def __init__(self) -> None:
        self._live: dict[str, LatestOfCall] = {}
        self._ended: OrderedDict[str, LatestOfCall] = OrderedDict()

    def read(self, bus: EventBus) -> None:
        """Follow the events that are published from now on."""
        bus.subscribe(self.told)

    def of(self, call_id: str) -> LatestOfCall:
        """Return the newest of a call, as it was at its end if that is not long ago."""
        return self._live.get(call_id) or self._ended.get(call_id, NOTHING)

    def told(self, told: Told) -> None:
        """Take in one event."""
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
    return replace(latest, seq=told.seq)


def _strongest(scores: Mapping[str, float] | None) -> tuple[str, float] | None:
    return max(scores.items(), key=lambda item: item[1]) if scores else None
