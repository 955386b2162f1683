"""How loud caller and agent are, for readers who watch a call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import orjson

from evibridge.agent.call_tap import LAG_S
from evibridge.bus import EventBus, Told
from evibridge.event_wire import utc_text
from evibridge.operators.event_reader import EventReader
from evibridge.operators.event_topics import LevelSink


@dataclass(slots=True)
class _Watched:
    """A call whose levels are read, what ends that, and what ends the wait for its beginning."""

    readers: list[EventReader] = field(default_factory=list)
    stop: Callable[[], None] | None = None
    stop_waiting: Callable[[], None] | None = None


class Levels:
    """Offers the levels of each call to its readers, encoded once for all of them.

    They are told a little late, and `at` is when it was so loud. A call that still rings has none:
    each of its events is taken as a sign that it may have begun.

    Args:
        bus: tells what happens in calls
        subscribe: as `WatchedCalls.levels`
        clock: Unix time in seconds
    """

    def __init__(
        self,
        bus: EventBus,
        subscribe: Callable[[str, LevelSink], Callable[[], None] | None],
        clock: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._subscribe = subscribe
        self._clock = clock
        self._watched: dict[str | None, _Watched] = {}

    def join(self, reader: EventReader) -> None:
        """Offer the levels of the reader's call from now on, or as soon as there are any."""
        call_id = reader.call_id
        assert call_id is not None, "all calls together have no levels"
        watched = self._watched.setdefault(call_id, _Watched())
        watched.readers.append(reader)
        self._begin(call_id, watched)
        if watched.stop is None and watched.stop_waiting is None:
            watched.stop_waiting = self._bus.subscribe(self._on_told, call_id)

    def leave(self, reader: EventReader) -> None:
        """Offer them no more."""
        watched = self._watched.get(reader.call_id)
        if watched is None or reader not in watched.readers:
            return
        watched.readers.remove(reader)
        if not watched.readers:
            del self._watched[reader.call_id]
            for stop in (watched.stop, watched.stop_waiting):
                if stop is not None:
                    stop()

    def _on_told(self, told: Told) -> None:
        self._begin(told.call_id, self._watched[told.call_id])

    def _begin(self, call_id: str, watched: _Watched) -> None:
        """Read the levels, if there are any by now."""
        if watched.stop is None:
            watched.stop = self._subscribe(call_id, partial(self._offer, call_id, watched.readers))
        if watched.stop is not None and watched.stop_waiting is not None:
            watched.stop_waiting()
            watched.stop_waiting = None

    def _offer(self, call_id: str, readers: list[EventReader], caller: float, agent: float) -> None:
        text = orjson.dumps(
            {
                "type": "levels",
                "call_id": call_id,
                "at": utc_text(self._clock() - LAG_S),
                "caller": round(caller, 3),
                "agent": round(agent, 3),
            }
        )
        for reader in readers:
            reader.offer(text)
