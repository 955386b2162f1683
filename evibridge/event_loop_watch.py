"""Measures what keeps the process from acting: a busy event loop, and garbage collections."""

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Mapping

PERIOD_S = 0.1
"""Between two looks at the event loop."""
MAX_PAUSES = 10_000
"""Pauses that wait to be told, the newest: more than come in a stall of several seconds."""


class EventLoopWatch:
    """Times one event loop and the garbage collector of its process, from `start` to `stop`.

    Args:
        on_lag: gets the seconds by which a timer ran late, every `PERIOD_S`; a stall is told once,
            in its whole length
        on_gc_pause: gets the seconds that each garbage collection took, up to `PERIOD_S` later
        clock: that of `loop.time()`, in seconds
    """

    # The loop's own `time()` may be that of the beginning of its turn (uvloop), so that what ran
    # in the same turn before the timer would not count. Hence a clock.

    def __init__(
        self,
        on_lag: Callable[[float], None],
        on_gc_pause: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_lag = on_lag
        self._on_gc_pause = on_gc_pause
        self._clock = clock
        self._pauses_s: deque[float] = deque(maxlen=MAX_PAUSES)
        self._gc_began_s = self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Watch the event loop that runs, until `stop`."""
        self._gc_began_s = self._clock()  # a collection may be going on in another thread
        gc.callbacks.append(self._note_gc)
        self._due_s = asyncio.get_running_loop().time()
        self._wait(late_s=0.0)

    def stop(self) -> None:
        """Tell the pauses that are not told yet, and leave nothing behind."""
        gc.callbacks.remove(self._note_gc)
        assert self._timer is not None
        self._timer.cancel()
        self._tell_pauses()

    def _wait(self, *, late_s: float) -> None:
        # From due time to due time, so that lags do not add up; those in a stall are left out.
        self._due_s += PERIOD_S * (1 + late_s // PERIOD_S)
        self._timer = asyncio.get_running_loop().call_at(self._due_s, self._look)

    def _look(self) -> None:
        late_s = max(0.0, self._clock() - self._due_s)
        self._on_lag(late_s)
        self._tell_pauses()
        self._wait(late_s=late_s)

    def _note_gc(self, phase: str, _: Mapping[str, int]) -> None:
        # Runs anywhere in the program, perhaps while a lock is held that `on_gc_pause` takes.
        now_s = self._clock()
        if phase == "start":
            self._gc_began_s = now_s
        else:
            self._pauses_s.append(now_s - self._gc_began_s)

    def _tell_pauses(self) -> None:
        while self._pauses_s:
            self._on_gc_pause(self._pauses_s.popleft())
