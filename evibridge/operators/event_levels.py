"""How loud caller and agent are, for readers who watch a call."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import orjson

from evibridge.event_wire import utc_text
from evibridge.operators.event_reader import EventReader
from evibridge.operators.event_topics import LevelSink


@dataclass(slots=True)
class _Watched:
    """A call whose levels are read, and what ends that."""

    readers: list[EventReader] = field(default_factory=list)
    stop: Callable[[], None] | None = None


class Levels:
    """Offers the levels of each call to its readers, encoded once for all of them.

    Args:
        subscribe: as `WatchedCalls.levels`
        clock: Unix time in seconds
    """

    def __init__(
        self,
        subscribe: Callable[[str, LevelSink], Callable[[], None] | None],
        clock: Callable[[], float],
    ) -> None:
        self._subscribe = subscribe
        self._clock = clock
        self._watched: dict[str | None, _Watched] = {}

    def join(self, reader: EventReader) -> None:
        """Offer the levels of the reader's call from now on, if there are any."""
        call_id = reader.call_id
        assert call_id is not None, "all calls together have no levels"
        watched = self._watched.setdefault(call_id, _Watched())
        watched.readers.append(reader)
        if watched.stop is None:
            watched.stop = self._subscribe(call_id, partial(self._offer, call_id, watched.readers))

    def leave(self, reader: EventReader) -> None:
        """Offer them no more."""
        watched = self._watched.get(reader.call_id)
        if watched is None or reader not in watched.readers:
            return
        watched.readers.remove(reader)
        if not watched.readers:
            del self._watched[reader.call_id]
            if watched.stop is not None:
                watched.stop()

    def _offer(self, call_id: str, readers: list[EventReader], caller: float, agent: float) -> None:
        text = orjson.dumps(
            {
                "type": "levels",
                "call_id": call_id,
                "at": utc_text(self._clock()),
                "caller": round(caller, 3),
                "agent": round(agent, 3),
            }
        )
        for reader in readers:
            reader.offer(text)
