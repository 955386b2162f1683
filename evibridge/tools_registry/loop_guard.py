"""Finds out which coroutine keeps an event loop from doing anything else."""

import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")

BLOCKED_S = 0.1
"""Five frames of audio: from here on callers hear it."""


class Guarded(Generic[T]):
    """Awaits a coroutine and times each of its steps, from one `await` to the next.

    Args:
        coroutine: whose steps are timed
        on_blocked: gets the seconds of each step that took longer than `BLOCKED_S`
        clock: seconds that only go forward
    """

    def __init__(
        self,
        coroutine: Coroutine[Any, Any, T],
        on_blocked: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._coroutine = coroutine
        self._on_blocked = on_blocked
        self._clock = clock

    def __await__(self) -> Generator[Any, Any, T]:
        received: Any = None
        error: BaseException | None = None
        while True:
            began_s = self._clock()
            try:
                if error is None:
                    awaited = self._coroutine.send(received)
                else:
                    awaited = self._coroutine.throw(error)
            except StopIteration as end:
                value: T = end.value
                return value
            finally:
                error = None  # its traceback holds this frame: a cycle, once it is raised again
                took_s = self._clock() - began_s
                if took_s > BLOCKED_S:
                    self._on_blocked(took_s)
            try:
                received = yield awaited
            except BaseException as thrown:  # noqa: BLE001  it is the coroutine's to handle
                error = thrown
