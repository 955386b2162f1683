"""What waits for a reader of events that does not keep up."""

from collections import deque
from collections.abc import Sequence

from evibridge.bus import Told

MAX_WAITING = 256
"""More than a minute of a lively call, and some seconds of fifty."""


class Backlog:
    """Events in their order or, once they were too many, how many of them were missed.

    When one event has to go, all that wait go: a snapshot takes their place, and it is newer than
    each of them.

    Args:
        replayed: events that wait from the beginning, beside `MAX_WAITING` more
    """

    def __init__(self, replayed: Sequence[Told] = ()) -> None:
        self._waiting = deque(replayed)
        self._room = len(replayed) + MAX_WAITING
        self._missed = 0

    def __bool__(self) -> bool:
        """Whether there is anything to be told before what comes next."""
        return bool(self._waiting) or self._missed > 0

    def add(self, told: Told) -> None:
        """Let an event wait; an interim transcript does not, since a later one replaces it."""
        if told.is_interim:
            return
        if self._missed == 0 and len(self._waiting) < self._room:
            self._waiting.append(told)
            return
        self._missed += len(self._waiting) + 1
        self._waiting.clear()

    def take(self) -> Told | None:
        """Return the event that has waited longest, None if there is none."""
        return self._waiting.popleft() if self._waiting else None

    def take_missed(self) -> int:
        """Return how many events were missed, and begin anew."""
        missed, self._missed = self._missed, 0
        return missed
