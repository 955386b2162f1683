"""Summaries of the calls that change, for readers who watch all calls."""

import asyncio
from collections.abc import Callable, Mapping

import orjson

from evibridge.bus import EventBus, Told
from evibridge.event_wire import utc_text
from evibridge.operators.event_reader import EventReader

PERIOD_S = 0.5


class Summaries:
    """Offers summaries of calls that had an event, encoded once for all readers.

    One timer for all of them, and none while nothing changes. What a slow reader has not taken
    comes with the next that it takes.

    Args:
        summary: as `WatchedCalls.summary`
        clock: Unix time in seconds
    """

    def __init__(
        self,
        bus: EventBus,
        summary: Callable[[str], Mapping[str, object] | None],
        clock: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._summary = summary
        self._clock = clock
        self._changed: set[str] = set()
        self._owed: dict[EventReader, frozenset[str]] = {}
        """Calls that have changed before, for each reader that has not taken it."""
        self._unsubscribe: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def join(self, reader: EventReader) -> None:
        """Offer what changes from now on."""
        if self._unsubscribe is None:
            self._unsubscribe = self._bus.subscribe(self._on_told)
        self._owed[reader] = frozenset()

    def leave(self, reader: EventReader) -> None:
        """Offer it no more."""
        self._owed.pop(reader, None)
        if not self._owed and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
            self._changed.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _on_told(self, told: Told) -> None:
        self._changed.add(told.call_id)
        self._wait()

    def _wait(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(PERIOD_S, self._offer)

    def _offer(self) -> None:
        self._timer = None
        changed, self._changed = self._changed, set()
        texts: dict[frozenset[str], bytes] = {}
        for reader, owed in self._owed.items():
            calls = owed | changed
            if calls and reader.keeps_up:
                text = texts.get(calls)
                if text is None:
                    text = texts[calls] = self._message(calls)
                reader.offer(text)
                calls = frozenset()
            self._owed[reader] = calls
        if any(self._owed.values()):
            self._wait()

    def _message(self, calls: frozenset[str]) -> bytes:
        summaries = [self._summary(call_id) for call_id in sorted(calls)]
        return orjson.dumps(
            {
                "type": "summaries",
                "at": utc_text(self._clock()),
                "calls": [summary for summary in summaries if summary is not None],
            }
        )
