"""Looking after readers that do not keep up: sockets do not tell when they have room again."""

import asyncio
from typing import Protocol

import structlog

LOOK_AGAIN_S = 0.05
TAKES_NOTHING_S = 60.0
"""A reader that has not taken a byte for so long will not come back."""
MOST_EVENTS = 256
"""That are written at one look, to all readers together: a few milliseconds."""

log = structlog.get_logger(__name__)


class SlowReader(Protocol):
    """A reader for whom something waits."""

    @property
    def call_id(self) -> str | None:
        """Whose events it reads; None for those of all calls."""

    @property
    def unsent_bytes(self) -> int:
        """What was written to it and not taken."""

    def catch_up(self, most: int) -> None:
        """Send what waits as far as it is taken, at most so many events."""

    def cut(self) -> None:
        """End the connection at once."""


class SlowReaders:
    """Those for whom something waits; one timer for all, and none while there are none."""

    def __init__(self) -> None:
        self._took: dict[SlowReader, tuple[int, float]] = {}
        """Unsent bytes after the last look, and when some of them were taken last."""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, reader: SlowReader) -> None:
        """Look after a reader, who may be here already."""
        if reader not in self._took:
            loop = asyncio.get_running_loop()
            self._took[reader] = (reader.unsent_bytes, loop.time())
            if self._timer is None:
                self._timer = loop.call_later(LOOK_AGAIN_S, self._look)

    def discard(self, reader: SlowReader) -> None:
        """Look no more after a reader, who may be gone already."""
        if self._took.pop(reader, None) is not None and not self._took and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        # First of all, so that a reader that fails does not end it for the others.
        self._timer = loop.call_later(LOOK_AGAIN_S, self._look)
        share = max(1, MOST_EVENTS // len(self._took))
        for reader in tuple(self._took):
            try:
                self._look_at(reader, share, loop.time())
            except Exception:
                log.exception("event_reader_failed", call_id=reader.call_id)
                reader.cut()

    def _look_at(self, reader: SlowReader, share: int, now_s: float) -> None:
        unsent_before, took_at_s = self._took[reader]
        if reader.unsent_bytes < unsent_before or reader.unsent_bytes == 0:
            took_at_s = now_s
        elif now_s - took_at_s >= TAKES_NOTHING_S:
            log.warning("event_reader_takes_nothing", call_id=reader.call_id)
            reader.cut()
            return
        reader.catch_up(share)
        if reader in self._took:
            self._took[reader] = (reader.unsent_bytes, took_at_s)
