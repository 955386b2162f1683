"""What a stream of events is about: one call, or all calls of the service."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson

from evibridge.bus import EventBus
from evibridge.event_wire import utc_text

LevelSink = Callable[[float, float], None]
"""Told how loud caller and agent are, each from 0 to 1."""


@dataclass(frozen=True, slots=True)
class WatchedCalls:
    """Where streams find what calls are like; everything returns at once.

    Attributes:
        snapshot: all that is known of a call, live or ended, as JSON values; None if it is not
            known
        summary: the same in short
        live: ids of the calls that go on
        levels: has a sink told a call's levels 20 times a second, and returns what ends it; None
            if there are none
    """

    snapshot: Callable[[str], Mapping[str, object] | None]
    summary: Callable[[str], Mapping[str, object] | None]
    live: Callable[[], Iterable[str]]
    levels: Callable[[str, LevelSink], Callable[[], None] | None]


class Topic(Protocol):
    """What a reader reads about."""

    @property
    def call_id(self) -> str | None:
        """Whose events; None for those of all calls."""

    def snapshot(self) -> bytes | None:
        """How things stand, as a message; None if the call is not known any more."""

    def is_over(self) -> bool:
        """Whether no event will come any more."""


class OneCall:
    """A call, which may have ended."""

    def __init__(
        self, call_id: str, bus: EventBus, calls: WatchedCalls, clock: Callable[[], float]
    ) -> None:
        self.call_id = call_id
        self._bus = bus
        self._calls = calls
        self._clock = clock

    def snapshot(self) -> bytes | None:
        """The call as it is now, or was at its end."""
        call = self._calls.snapshot(self.call_id)
        if call is None:
            return None
        return _snapshot_message(self.call_id, self._bus, self._clock, call=call)

    def is_over(self) -> bool:
        """Whether the call has ended."""
        if self._bus.history(self.call_id):
            return self._bus.has_ended(self.call_id)
        return self.call_id not in self._calls.live()


class AllCalls:
    """The calls that go on, and those that will."""

    call_id = None

    def __init__(self, bus: EventBus, calls: WatchedCalls, clock: Callable[[], float]) -> None:
        self._bus = bus
        self._calls = calls
        self._clock = clock

    def snapshot(self) -> bytes:
        """Summaries of the calls that go on now."""
        summaries = [self._calls.summary(call_id) for call_id in self._calls.live()]
        known = [summary for summary in summaries if summary is not None]
        return _snapshot_message(None, self._bus, self._clock, calls=known)

    def is_over(self) -> bool:
        """Never: there may be another call."""
        return False


def _snapshot_message(
    call_id: str | None, bus: EventBus, clock: Callable[[], float], **members: object
) -> bytes:
    frame = {"type": "snapshot", "call_id": call_id, "seq": bus.last_seq, "at": utc_text(clock())}
    return orjson.dumps({**frame, **members})
