"""The events that wait to be delivered, in order and within bounds. Pure."""

from collections import deque
from typing import NamedTuple

from evibridge.engine.webhooks.events import Event

MAX_EVENTS = 32
"""Of one chat for one webhook: more tool calls than anybody answers in time."""
MAX_BYTES = 16 * 1024 * 1024
"""Of all chats: thousands of events, as they gather while a receiver is out of order."""
EVENT_BYTES = 4096
"""What an event costs besides its body: mostly the task that delivers it."""


class Lane(NamedTuple):
    """What has to stay in order: the events of one chat for one webhook."""

    chat_id: str
    webhook: int


class Outbox:
    """A queue for each lane; its first event is the one that is being delivered.

    Args:
        max_bytes: of all events together; the lane that is added to may exceed it
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._lanes: dict[Lane, deque[Event]] = {}
        """In the order in which they began to have something to deliver."""

    def add(self, lane: Lane, event: Event) -> Event | None:
        """Put an event behind those of its lane; returns the one that makes room for it, if any.

        That is the oldest tool call that waits: by now it can hardly be answered in time, while
        the start and the end of the chat are worth knowing at any time.
        """
        events = self._lanes.setdefault(lane, deque())
        dropped = None
        if len(events) >= MAX_EVENTS:
            waiting = range(1, len(events))
            place = next((at for at in waiting if events[at].name == "tool_call"), 1)
            dropped = events[place]
            del events[place]
            self._bytes -= _cost(dropped)
        events.append(event)
        self._bytes += _cost(event)
        return dropped

    def overflow(self, added: Lane) -> list[tuple[Lane, list[Event]]]:
        """Take away the oldest lanes until the rest is within bounds, but not that of the news.

        Args:
            added: where an event was added just now
        """
        taken: list[tuple[Lane, list[Event]]] = []
        while self._bytes > self._max_bytes and (oldest := self._oldest_but(added)) is not None:
            taken.append((oldest, self._take(oldest)))
        return taken

    def first(self, lane: Lane) -> Event:
        """The event to deliver."""
        return self._lanes[lane][0]

    def delivered(self, lane: Lane) -> bool:
        """The first event needs no more care; returns whether another one waits behind it."""
        events = self._lanes[lane]
        self._bytes -= _cost(events.popleft())
        if not events:
            del self._lanes[lane]
        return bool(events)

    def take_all(self) -> list[tuple[Lane, list[Event]]]:
        """Take away everything."""
        return [(lane, self._take(lane)) for lane in list(self._lanes)]

    def _oldest_but(self, spared: Lane) -> Lane | None:
        return next((lane for lane in self._lanes if lane != spared), None)

    def _take(self, lane: Lane) -> list[Event]:
        events = list(self._lanes.pop(lane))
        self._bytes -= sum(map(_cost, events))
        return events


def _cost(event: Event) -> int:
    return len(event.body) + EVENT_BYTES
