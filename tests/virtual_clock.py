"""An event loop on which time passes only when nobody has anything left to do.

A call of hours takes as long as its events take to be handled. There must be no real socket and no
thread in it: nothing waits for them.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _InstantSelector(selectors.SelectSelector):
    """Finds nothing to read, and lets the clock jump instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("Everybody waits, and no deadline is set.")
        self.now_s += max(0.0, timeout)
        return super().select(0)


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """A loop whose `time()` begins at 0 and jumps from deadline to deadline."""

    def __init__(self) -> None:
        self._instant = _InstantSelector()
        super().__init__(self._instant)

    def time(self) -> float:
        """Virtual seconds."""
        return self._instant.now_s

    def stand_still(self, duration_s: float) -> None:
        """Time passes, and the process is stopped meanwhile."""
        self._instant.now_s += duration_s


def run_in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on a clock of its own."""
    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        return runner.run(main)
