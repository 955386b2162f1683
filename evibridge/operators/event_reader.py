"""One program that reads events, at its WebSocket.

What is told to it is written at once. When it does not take it, events wait (`Backlog`) until
`SlowReaders` finds that it reads again; nobody else ever waits.
"""

from collections.abc import Callable
from typing import Protocol

import orjson

from evibridge.bus import EventBus, Told
from evibridge.event_wire import encode
from evibridge.events import CallEnded
from evibridge.operators.event_backlog import Backlog
from evibridge.operators.event_query import Wanted
from evibridge.operators.event_slow_readers import SlowReaders
from evibridge.operators.event_topics import Topic
from evibridge.sockets import Socket, SocketListener

MAX_UNSENT_BYTES = 64 * 1024
"""So much the kernel has not taken: the reader is slow, and events wait where they can go."""
MOST_AT_ONCE = 256
"""Events that one callback writes: a few milliseconds, much less than a frame of audio lasts."""


class Feed(Protocol):
    """What a reader may be offered beside events, as often as it takes it."""

    def join(self, reader: "EventReader") -> None:
        """Offer it from now on."""

    def leave(self, reader: "EventReader") -> None:
        """Offer it no more; a reader that never joined may leave."""


class EventReader(SocketListener):
    """Writes events of a topic to a socket, after a snapshot or after what was missed.

    Args:
        topic: whose events
        wanted: which of them
        feeds: what else is offered
        slow_readers: looks after readers that do not keep up
        on_gone: told once when the connection is gone
    """

    __slots__ = (
        "_backlog",
        "_bus",
        "_feeds",
        "_is_over",
        "_on_gone",
        "_slow_readers",
        "_socket",
        "_topic",
        "_unsubscribe",
        "_wanted",
    )

    def __init__(
        self,
        topic: Topic,
        wanted: Wanted,
        bus: EventBus,
        feeds: tuple[Feed, ...],
        slow_readers: SlowReaders,
        on_gone: "Callable[[EventReader], None]",
    ) -> None:
        self._topic = topic
        self._wanted = wanted
        self._bus = bus
        self._feeds = feeds
        self._slow_readers = slow_readers
        self._on_gone = on_gone
        self._backlog = Backlog()
        self._is_over = False
        self._socket: Socket
        self._unsubscribe: Callable[[], None] = _nothing_to_end

    @property
    def call_id(self) -> str | None:
        """Whose events it reads; None for those of all calls."""
        return self._topic.call_id

    @property
    def unsent_bytes(self) -> int:
        """What was written to it and not taken."""
        return self._socket.unsent_bytes()

    @property
    def keeps_up(self) -> bool:
        """Whether what is written now goes out soon, with nothing to be told before it."""
        return not self._backlog and self._socket.unsent_bytes() <= MAX_UNSENT_BYTES

    def on_open(self, socket: Socket) -> None:
        """Tell how things stand, or what has happened since; then go on with what happens."""
        self._socket = socket
        if self._wanted.events:
            self._unsubscribe = self._bus.subscribe(self._on_told, self.call_id)
        self._is_over = self._topic.is_over()
        since = self._wanted.since if self._wanted.events else None
        missed = None if since is None else self._bus.since(self.call_id, since)
        if missed is None:
            self._send_snapshot()
        else:
            self._backlog = Backlog(missed)
        for feed in self._feeds:
            feed.join(self)
        self.catch_up(MOST_AT_ONCE)

    def on_close(self, code: int, reason: str) -> None:
        """Read no more."""
        del code, reason
        self._leave()
        self._on_gone(self)

    def offer(self, text: bytes) -> None:
        """Send a message that is worth nothing later: now, or not at all."""
        if self.keeps_up:
            self._socket.send_text(text)

    def catch_up(self, most: int) -> None:
        """Send what waits as far as it is taken, at most so many events."""
        if self.unsent_bytes <= MAX_UNSENT_BYTES:
            self._tell_gap()
        while most > 0 and self.unsent_bytes <= MAX_UNSENT_BYTES:
            told = self._backlog.take()
            if told is None:
                break
            self._socket.send_text(encode(told))
            most -= 1
        if self._backlog:
            self._slow_readers.add(self)
            return
        self._slow_readers.discard(self)
        if self._is_over:
            self.close(1000)

    def close(self, code: int) -> None:
        """End the connection, after what was written to it."""
        self._leave()
        self._socket.close(code)

    def cut(self) -> None:
        """End the connection at once."""
        self._leave()
        self._socket.abort()

    def _on_told(self, told: Told) -> None:
        if told.is_interim and not self._wanted.interim:
            return
        if self.call_id is not None and isinstance(told.event, CallEnded):
            self._is_over = True
        if not self.keeps_up:
            self._backlog.add(told)
            self._slow_readers.add(self)
            return
        self._socket.send_text(encode(told))
        if self._is_over:
            self.close(1000)

    def _tell_gap(self) -> None:
        missed = self._backlog.take_missed()
        if missed:
            gap = {"type": "gap", "call_id": self.call_id, "missed": missed}
            self._socket.send_text(orjson.dumps(gap))
            self._send_snapshot()

    def _send_snapshot(self) -> None:
        snapshot = self._topic.snapshot()
        if snapshot is None:
            self._is_over = True
        else:
            self._socket.send_text(snapshot)

    def _leave(self) -> None:
        self._unsubscribe()
        for feed in self._feeds:
            feed.leave(self)
        self._slow_readers.discard(self)


def _nothing_to_end() -> None:
    """Stands for what ends a subscription that there is not."""
