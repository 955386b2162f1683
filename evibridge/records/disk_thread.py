"""The one thread of the process that waits for the disk, so that the event loop never does."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

import structlog

log = structlog.get_logger(__name__)


class DiskThread:
    """Does one thing after another, in the order in which they came.

    One is enough: there is one disk. When it hangs, nothing else does that shares the event loop's
    own threads, such as the resolver of names. It is a daemon, and does not keep the process from
    ending. What waits for it is bounded by those who use it.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._has_started = False
        # The loop's thread counts the one, the disk's thread the other.
        self._given = 0
        self._done = 0

    @property
    def waiting(self) -> int:
        """How much is to be done, with what is being done now."""
        return self._given - self._done

    def run(self, work: Callable[[], object]) -> None:
        """Do something behind everything else; from the event loop's thread only."""
        if not self._has_started:
            self._has_started = True
            Thread(target=self._serve, name="disk", daemon=True).start()
        self._given += 1
        self._work.put(work)

    def close(self) -> None:
        """Let the thread end once it has done what it was given."""
        self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:  # a defect of one recording does not end the others
                log.exception("disk_work_failed")
            self._done += 1
            del work  # audio is not kept until something else comes
