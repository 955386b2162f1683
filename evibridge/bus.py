"""The events of all calls, numbered and handed to whoever reads them.

Belongs to the event loop's thread; nothing in here waits.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, islice, takewhile

import structlog

from evibridge.events import (
    CallBegan,
    CallDialled,
    CallEnded,
    CallerSaid,
    CallEvent,
    OperatorSaid,
)

MAX_KEPT = 2000
"""Events kept of a call, an hour of talk, and most that are given of all calls together."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it was told.

    Attributes:
        seq: grows from event to event of all calls, also over restarts of the service
        at_s: Unix time, which goes back with no event of the service, whatever the clock does
    """

    call_id: str
    seq: int
    at_s: float
    event: CallEvent = field(repr=False)

    @property
    def is_interim(self) -> bool:
        """Whether a later event takes its place: it is told, but neither kept nor missed."""
        return isinstance(self.event, CallerSaid | OperatorSaid) and self.event.interim


Reader = Callable[[Told], None]


class _Subscription:
    """A reader, until it has unsubscribed, and the number of the last event before it came."""

    __slots__ = ("after_seq", "reader")

    def __init__(self, reader: Reader, after_seq: int) -> None:
        self.reader: Reader | None = reader
        self.after_seq = after_seq


class _Kept:
    """The newest events of one call, and the number of the last that has gone."""

    __slots__ = ("events", "has_ended", "lost_seq")

    def __init__(self, lost_seq: int) -> None:
        self.events: deque[Told] = deque()
        self.has_ended = False
        self.lost_seq = lost_seq

    def add(self, told: Told) -> None:
        self.has_ended |= isinstance(told.event, CallEnded)
        if len(self.events) == MAX_KEPT:
            self.lost_seq = self.events.popleft().seq
        self.events.append(told)

    def since(self, seq: int) -> list[Told]:
        newest_first = takewhile(lambda told: told.seq > seq, reversed(self.events))
        return list(newest_first)[::-1]


class EventBus:
    """Tells readers what happens in calls, and keeps it for those that come later.

    A call that begins under the id of one that has ended, as a sidecar of the same chat does, is
    another call: what was kept of the first is forgotten.

    Args:
        clock: Unix time in seconds
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        # A number from before a restart is smaller than this one.
        self._last_at_s = clock()
        self._last_seq = self._lost_seq = int(self._last_at_s * 1000)
        self._kept: dict[str, _Kept] = {}
        # Replaced, not changed: they may be looked through when somebody comes or goes.
        self._subscriptions: dict[str | None, tuple[_Subscription, ...]] = {}
        self._untold: deque[Told] = deque()
        self._is_telling = False

    @property
    def last_seq(self) -> int:
        """Number of the newest event of the service; of its beginning, if there is none."""
        return self._last_seq

    def publish(self, call_id: str, event: CallEvent) -> Told:
        """Number an event, keep it, and tell every reader of it.

        What a reader publishes while it is told of something is told after that, so that all
        readers get all events in order.
        """
        self._last_at_s = max(self._last_at_s, self._clock())
        self._last_seq = max(self._last_seq + 1, int(self._last_at_s * 1000))
        told = Told(call_id, self._last_seq, self._last_at_s, event)
        if not told.is_interim:
            self._keep(told)
        self._untold.append(told)
        if not self._is_telling:
            self._tell()
        return told

    def subscribe(self, reader: Reader, call_id: str | None = None) -> Callable[[], None]:
        """Have a reader told of what is published from now on.

        Args:
            reader: must return at once; what it raises is logged
            call_id: whose events; None for those of all calls

        Returns:
            ends it, at once and also while an event is told
        """
        subscription = _Subscription(reader, self._last_seq)
        others = self._subscriptions.get(call_id, ())
        self._subscriptions[call_id] = (*others, subscription)

        def unsubscribe() -> None:
            subscription.reader = None
            others = self._subscriptions.get(call_id, ())
            left = tuple(other for other in others if other is not subscription)
            if left:
                self._subscriptions[call_id] = left
            else:
                self._subscriptions.pop(call_id, None)

        return unsubscribe

    def since(self, call_id: str | None, seq: int) -> list[Told] | None:
        """Return the events after a number, interim transcripts left out.

        Args:
            call_id: whose events; None for those of all calls
            seq: of an event, or `last_seq` of some moment; 0 for all events of a call

        Returns:
            oldest first; None if some are not kept any more, if the call or the number is not
            known, or if there are more than `MAX_KEPT`
        """
        if seq > self._last_seq:
            return None
        if call_id is None:
            return self._since_of_all(seq)
        kept = self._kept.get(call_id)
        if kept is None or seq < kept.lost_seq:
            return None
        return kept.since(seq)

    def history(self, call_id: str) -> tuple[Told, ...]:
        """Return all kept events of a call, oldest first; none of a call that is not known."""
        kept = self._kept.get(call_id)
        return () if kept is None else tuple(kept.events)

    def has_ended(self, call_id: str) -> bool:
        """Whether the end of a call was told, and is not forgotten."""
        kept = self._kept.get(call_id)
        return kept is not None and kept.has_ended

    def forget(self, call_id: str) -> None:
        """Keep nothing of a call any more that has ended; one that goes on keeps everything.

        Its readers stay, and what they are told is kept.
        """
        if self.has_ended(call_id):
            kept = self._kept.pop(call_id)
            self._lost_seq = max(self._lost_seq, kept.events[-1].seq)

    def _keep(self, told: Told) -> None:
        kept = self._kept.get(told.call_id)
        if kept is None:
            kept = self._kept[told.call_id] = _Kept(lost_seq=0)
        elif kept.has_ended and isinstance(told.event, CallBegan | CallDialled):
            kept = self._kept[told.call_id] = _Kept(lost_seq=kept.events[-1].seq)
        kept.add(told)
        self._lost_seq = max(self._lost_seq, kept.lost_seq)

    def _since_of_all(self, seq: int) -> list[Told] | None:
        if seq < self._lost_seq:
            return None
        events = chain.from_iterable(kept.since(seq) for kept in self._kept.values())
        found = list(islice(events, MAX_KEPT + 1))
        if len(found) > MAX_KEPT:
            return None
        return sorted(found, key=lambda told: told.seq)

    def _tell(self) -> None:
        self._is_telling = True
        try:
            while self._untold:
                told = self._untold.popleft()
                self._tell_each(self._subscriptions.get(None, ()), told)
                self._tell_each(self._subscriptions.get(told.call_id, ()), told)
        finally:
            self._is_telling = False

    def _tell_each(self, subscriptions: tuple[_Subscription, ...], told: Told) -> None:
        for subscription in subscriptions:
            if subscription.reader is None or told.seq <= subscription.after_seq:
                continue
            try:
                subscription.reader(told)
            except Exception:
                log.exception(
                    "event_reader_failed", call_id=told.call_id, type=type(told.event).__name__
                )
