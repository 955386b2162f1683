"""Audio that is kept while nobody is there to take it."""

from collections import deque


class KeptAudio:
    """The newest pieces of a stream, up to `max_bytes`; the oldest go first and are counted."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pieces: deque[bytes] = deque()
        self._bytes = 0
        self.dropped = 0
        """Pieces that had to go."""

    def add(self, piece: bytes) -> None:
        """Keep a piece behind the others; an empty one is nothing."""
        if not piece:
            return
        self._pieces.append(piece)
        self._bytes += len(piece)
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._pieces.popleft())
            self.dropped += 1

    def take(self) -> list[bytes]:
        """Everything that is kept, oldest first; nothing is kept after that."""
        pieces = list(self._pieces)
        self._pieces.clear()
        self._bytes = 0
        return pieces
