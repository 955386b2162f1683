"""The threads that plain functions run in."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread


class ToolThreads:
    """Threads that are kept when they have nothing to do; there are as many as were ever busy.

    To start one takes the event loop 0.2 ms, and several when the core is busy; to wake one takes
    0.03 ms. They are daemons: a function that hangs does not keep the process from ending.
    """

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = Lock()
        self._idle = 0
        self._is_closed = False

    def run(self, work: Callable[[], None]) -> None:
        """Do something in a thread, at once; it must not raise."""
        with self._lock:
            has_idle = self._idle > 0
            self._idle -= has_idle
        if has_idle:
            self._work.put(work)
        else:
            Thread(target=self._serve, args=(work,), name="tool", daemon=True).start()

    def close(self) -> None:
        """Let every thread end, now or once it has done what it does."""
        with self._lock:
            idle, self._idle, self._is_closed = self._idle, 0, True
        for _ in range(idle):
            self._work.put(None)

    def _serve(self, work: Callable[[], None] | None) -> None:
        while work is not None:
            work()
            del work  # what a tool was given is not kept until the next one comes
            with self._lock:
                if self._is_closed:
                    return
                self._idle += 1
            work = self._work.get()
