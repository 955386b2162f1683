"""The WebSockets at which programs of operators read what happens in calls."""

import time
from collections.abc import Callable
from dataclasses import replace

from evibridge.bus import EventBus
from evibridge.operator_access import SUBPROTOCOL
from evibridge.operators.event_levels import Levels
from evibridge.operators.event_query import Wanted, read_query
from evibridge.operators.event_reader import EventReader, Feed
from evibridge.operators.event_slow_readers import SlowReaders
from evibridge.operators.event_summaries import Summaries
from evibridge.operators.event_topics import AllCalls, OneCall, Topic, WatchedCalls
from evibridge.sockets import Refusal, SocketRoute, Upgrade

MAX_READERS = 200
"""Of one service: people with a browser, and programs of theirs."""
MAX_MESSAGE_BYTES = 1024
"""Readers have nothing to say."""
GOING_AWAY = 1001
NO_SUCH_CALL = "No call has this id: see GET /v1/calls for those that there are."
FULL = "As many programs read events as may: close one, or try again in a moment."


class EventStreams:
    """Lets programs read events, as many as are let in.

    Attributes:
        routes: to be served

    Args:
        calls: where it is found what calls are like
        admit: says why somebody may not read, None if he may
        clock: Unix time in seconds
    """

    def __init__(
        self,
        bus: EventBus,
        calls: WatchedCalls,
        admit: Callable[[Upgrade], Refusal | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._calls = calls
        self._admit = admit
        self._clock = clock
        self._levels = Levels(bus, calls.levels, clock)
        self._summaries = Summaries(bus, calls.summary, clock)
        self._slow_readers = SlowReaders()
        self._readers: set[EventReader] = set()
        self.routes = (
            SocketRoute(
                "/v1/calls/{call_id}/events", self._accept_for_call, MAX_MESSAGE_BYTES, SUBPROTOCOL
            ),
            SocketRoute("/v1/events", self._accept_for_all, MAX_MESSAGE_BYTES, SUBPROTOCOL),
        )

    def close(self) -> None:
        """End every stream with 1001."""
        for reader in tuple(self._readers):
            reader.close(GOING_AWAY)

    def _accept_for_call(self, upgrade: Upgrade) -> EventReader | Refusal:
        call_id = upgrade.parameters["call_id"]
        wanted = self._admit(upgrade) or read_query(upgrade.path, interim=True)
        if isinstance(wanted, Refusal):
            return wanted
        if self._calls.summary(call_id) is None:
            return Refusal(404, NO_SUCH_CALL)
        topic = OneCall(call_id, self._bus, self._calls, self._clock)
        wanted = replace(wanted, events=True)
        return self._accept(topic, wanted, (self._levels,) if wanted.levels else ())

    def _accept_for_all(self, upgrade: Upgrade) -> EventReader | Refusal:
        wanted = self._admit(upgrade) or read_query(upgrade.path, interim=False)
        if isinstance(wanted, Refusal):
            return wanted
        topic = AllCalls(self._bus, self._calls, self._clock)
        return self._accept(topic, wanted, (self._summaries,) if wanted.summaries else ())

    def _accept(
        self, topic: Topic, wanted: Wanted, feeds: tuple[Feed, ...]
    ) -> EventReader | Refusal:
        if len(self._readers) >= MAX_READERS:
            return Refusal(503, FULL)
        reader = EventReader(
            topic, wanted, self._bus, feeds, self._slow_readers, self._readers.discard
        )
        self._readers.add(reader)
        return reader
