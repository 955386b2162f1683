"""The agent's audio on its way to a page, held back so that little of it is ahead of the ear.

A WebSocket is one queue: a `clear` would arrive behind all the audio that was sent before it, and a
server speaks faster than anybody listens. So the page is sent what it plays within the next moment,
by the clock, and the rest stays here, where it can be dropped at once. What the network does not
take is not added to: the page plays later by as much.
"""

from collections import deque

from evibridge.bridges.browser.sent_marks import SentMark

AHEAD_S = 0.4
"""Sent and not played yet, at most: more than the network is late, and little to wait behind."""
PIECE_S = 0.1
"""The longest piece; of what is held back, one goes out so often."""
MAX_HELD_S = 300.0
"""More than any answer is long; the newest is dropped beyond it."""
_ROUNDING_S = 1e-6


class PacedAudio:
    """One page's queue of audio and marks. Time is an argument, in seconds.

    Args:
        rate_hz: of the int16 mono PCM that goes through
    """

    def __init__(self, rate_hz: int) -> None:
        self._bytes_per_s = 2 * rate_hz
        self._piece_bytes = 2 * round(PIECE_S * rate_hz)
        self._held: deque[memoryview | str] = deque()
        self._held_bytes = 0
        self._ahead_bytes = round(AHEAD_S * self._bytes_per_s)
        self._played_s = 0.0
        """When the page can have played all that it was sent, at the earliest."""
        self._now_s = 0.0
        self._not_before_s = 0.0
        self._blocked_since_s: float | None = None
        self.dropped_ms = 0.0
        """Of audio that found no room."""

    @property
    def held_ms(self) -> float:
        """Audio that is held back."""
        return self._held_bytes * 1000 / self._bytes_per_s

    @property
    def blocked_s(self) -> float:
        """How long audio waits for the network, and not for its time, up to the last `take`."""
        return 0.0 if self._blocked_since_s is None else self._now_s - self._blocked_since_s

    @property
    def wake_s(self) -> float | None:
        """When `take` has something to hand out, None if nothing is held back."""
        if not self._held:
            return None
        first = self._held[0]
        return self._now_s if isinstance(first, str) else self._may_go_s(first)

    def queue(self, pcm16: bytes) -> float:
        """Put audio behind everything that is queued; returns what was taken of it, in ms."""
        room = round(MAX_HELD_S * self._bytes_per_s) - self._held_bytes
        taken = memoryview(pcm16)[:room]
        self.dropped_ms += (len(pcm16) - len(taken)) * 1000 / self._bytes_per_s
        if taken:
            self._held.append(taken)
            self._held_bytes += len(taken)
        return len(taken) * 1000 / self._bytes_per_s

    def mark(self, name: str) -> None:
        """Put a mark behind everything that is queued."""
        self._held.append(name)

    def take(self, now_s: float, unsent_bytes: int) -> list[bytes | SentMark]:
        """Take what is to be sent now, in its order: pieces of audio, and marks.

        Args:
            now_s: the time
            unsent_bytes: what was sent so far and is not on its way yet
        """
        self._now_s = now_s
        self._played_s = max(self._played_s, now_s)
        self._look_at_network(unsent_bytes)
        due: list[bytes | SentMark] = []
        while self._held:
            first = self._held[0]
            if isinstance(first, str):
                due.append(SentMark(first, self._played_s))
                self._held.popleft()
            elif self._may_go_s(first) <= now_s + _ROUNDING_S:
                due.append(self._next_piece(first))
            else:
                return due
        self._blocked_since_s = None
        return due

    def clear(self, now_s: float) -> list[str]:
        """Drop what is held back, as the page drops what it has; returns the marks in it."""
        marks = [each for each in self._held if isinstance(each, str)]
        self._held.clear()
        self._held_bytes = 0
        self._played_s = now_s
        self._blocked_since_s = None
        return marks

    def _look_at_network(self, unsent_bytes: int) -> None:
        if unsent_bytes <= self._ahead_bytes:
            self._blocked_since_s = None
            return
        if self._blocked_since_s is None:
            self._blocked_since_s = self._now_s
        self._played_s = max(self._played_s, self._now_s + AHEAD_S)
        self._not_before_s = self._now_s + PIECE_S

    def _may_go_s(self, first: memoryview) -> float:
        """When the next piece of this audio is not too far ahead any more."""
        piece_s = min(len(first), self._piece_bytes) / self._bytes_per_s
        return max(self._not_before_s, self._played_s + piece_s - AHEAD_S)

    def _next_piece(self, first: memoryview) -> bytes:
        piece = bytes(first[: self._piece_bytes])
        if len(piece) == len(first):
            self._held.popleft()
        else:
            self._held[0] = first[self._piece_bytes :]
        self._held_bytes -= len(piece)
        self._played_s += len(piece) / self._bytes_per_s
        return piece
