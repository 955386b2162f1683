"""The agent's audio on its way to one caller whose clock we are: a frame is due every 20 ms."""

from collections import deque

import numpy as np

from evibridge.errors import BadAudio

FRAME_MS = 20
MAX_QUEUED_S = 300
"""Beyond it the newest audio is dropped. A server sends what it says faster than it is heard."""
MAX_MARKS = 2000
"""Beyond it the oldest is dropped: a later one proves the same."""
FADE_MS = 5


class PlayoutRing:
    """Audio queued in pieces of any length, taken in frames of 20 ms: int16 mono PCM at `rate_hz`.

    Args:
        rate_hz: a multiple of 1000
        lead_ms: what is queued before playing begins, so that audio that comes in real time may be
            so much late without a gap; it waits no longer than this for more

    Attributes:
        underruns: gaps in the middle of speech, which went on without a mark at its end
        dropped_ms: audio that found no room
        dropped_marks: marks that found no room
    """

    __slots__ = (
        "_bytes_per_ms",
        "_cut_short",
        "_fade",
        "_frame_bytes",
        "_front",
        "_front_at",
        "_is_playing",
        "_lead_bytes",
        "_lead_frames",
        "_marked",
        "_marks",
        "_max_bytes",
        "_pieces",
        "_played",
        "_queued",
        "_waited_frames",
        "dropped_marks",
        "dropped_ms",
        "underruns",
    )

    def __init__(self, rate_hz: int, lead_ms: int = 40) -> None:
        self.underruns = self.dropped_marks = 0
        self.dropped_ms = 0.0
        self._bytes_per_ms = 2 * rate_hz // 1000
        self._frame_bytes = FRAME_MS * self._bytes_per_ms
        self._max_bytes = MAX_QUEUED_S * 1000 * self._bytes_per_ms
        self._lead_bytes = lead_ms * self._bytes_per_ms
        self._lead_frames = -(-lead_ms // FRAME_MS)
        self._pieces: deque[bytes] = deque()  # behind the one in front
        self._front = b""
        self._front_at = 0
        # Bytes. Those played count from the beginning, and so does the place of the last mark.
        self._queued = self._played = self._marked = 0
        self._marks: deque[tuple[int, str]] = deque()  # each is reached when so many are played
        self._is_playing = False
        self._waited_frames = 0
        self._cut_short = False
        self._fade: bytes | None = None

    @property
    def queued_ms(self) -> float:
        """Audio that waits to be played."""
        return self._queued / self._bytes_per_ms

    def queue(self, pcm16: bytes) -> None:
        """Play this behind everything queued so far.

        Raises:
            BadAudio: half a sample at the end
        """
        if len(pcm16) % 2:
            raise BadAudio(f"16-bit audio needs an even number of bytes, not {len(pcm16)}.")
        if self._queued + len(pcm16) > self._max_bytes:
            room = self._max_bytes - self._queued
            self.dropped_ms += (len(pcm16) - room) / self._bytes_per_ms
            pcm16 = pcm16[:room]
        if not pcm16:
            return
        self.underruns += self._cut_short
        self._cut_short = False
        self._pieces.append(pcm16)
        self._queued += len(pcm16)

    def mark(self, name: str) -> None:
        """Tell when everything queued so far has been played."""
        self._marked = self._played + self._queued
        self._cut_short = False
        if len(self._marks) == MAX_MARKS:
            self._marks.popleft()
            self.dropped_marks += 1
        self._marks.append((self._marked, name))

    def clear(self) -> list[str]:
        """Drop what is queued, without a click; returns the marks that were in it."""
        if self._is_playing:
            tail = self._take(min(self._queued, FADE_MS * self._bytes_per_ms))
            self._fade = _faded(tail).ljust(self._frame_bytes, b"\0") if tail else None
        names = [name for _, name in self._marks]
        self._marks.clear()
        self._pieces.clear()
        self._front, self._front_at = b"", 0
        self._queued = 0
        self._marked = self._played
        self._cut_short = False
        self._stop()
        return names

    def next_frame(self) -> tuple[bytes | None, list[str]]:
        """The 20 ms that are due now, None for silence; and the marks that end with them."""
        if self._fade is not None:
            frame, self._fade = self._fade, None
            return frame, []
        if not (self._is_playing or self._may_begin()):
            return None, self._reached()
        if self._queued >= self._frame_bytes:
            frame = self._take(self._frame_bytes)
            return frame, self._reached() if self._marks else []
        return self._run_dry()

    def _may_begin(self) -> bool:
        if not self._queued:
            return False
        if self._queued < self._lead_bytes and self._waited_frames < self._lead_frames:
            self._waited_frames += 1
            return False
        self._is_playing = True
        return True

    def _run_dry(self) -> tuple[bytes | None, list[str]]:
        """The last part of a frame, or nothing: playing stops."""
        rest = self._take(self._queued)
        self._cut_short = self._marked < self._played
        self._stop()
        return rest.ljust(self._frame_bytes, b"\0") if rest else None, self._reached()

    def _stop(self) -> None:
        self._is_playing = False
        self._waited_frames = 0

    def _take(self, size: int) -> bytes:
        """The next bytes that are queued; there are so many."""
        self._queued -= size
        self._played += size
        end = self._front_at + size
        if end <= len(self._front):
            piece = self._front[self._front_at : end]
            self._front_at = end
            return piece
        taken = self._front[self._front_at :]
        while True:
            self._front = self._pieces.popleft()
            self._front_at = size - len(taken)
            taken += self._front[: self._front_at]
            if len(taken) == size:
                return taken

    def _reached(self) -> list[str]:
        names = []
        while self._marks and self._marks[0][0] <= self._played:
            names.append(self._marks.popleft()[1])
        return names


def _faded(pcm16: bytes) -> bytes:
    """The same, ever softer, down to nothing."""
    samples = np.frombuffer(pcm16, np.int16)
    return (samples * np.linspace(1, 0, len(samples) + 1)[1:]).astype(np.int16).tobytes()
