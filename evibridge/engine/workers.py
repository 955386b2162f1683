"""Threads for work that keeps a processor core busy, shared by all chats of a process."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from evibridge.errors import Overloaded

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(slots=True, eq=False)
class _Work:
    call: Callable[[], Any]
    asked_at_s: float
    future: "Future[Any]"


class Workers:
    """A few threads and one bounded queue: the oldest work first, whoever asked for it.

    No chat is preferred, and none can starve another: a chat waits for one piece of work at a time,
    so that its next one queues behind what everybody else asked for meanwhile.

    Args:
        count: how many pieces of work run at once, one core each
        max_waiting: how many may wait besides; more is refused, since it would come too late
        name: what the work is for, such as `voice`; for errors and thread names

    Attributes:
        on_done: told of each piece of work, in a worker's thread, how many seconds it waited and
            how many it took; work that failed counts too, work that was cancelled does not
    """

    def __init__(self, count: int, *, max_waiting: int, name: str) -> None:
        self.on_done: Callable[[float, float], None] | None = None
        self._count = count
        self._max_waiting = max_waiting
        self._name = name
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._lock = threading.Lock()  # for the queue and the number of busy workers
        self._queue = deque[_Work]()
        self._busy = 0
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many pieces of work wait for a worker."""
        return len(self._queue)

    @property
    def busy(self) -> int:
        """How many workers are at work."""
        return self._busy

    @property
    def idle(self) -> bool:
        """Whether a worker is free: work that is only nice to have would delay nobody."""
        return self._busy < self._count

    async def run(
        self,
        function: Callable[_Arguments, _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Call a function in a worker's thread and return its result, or raise its error.

        Work that is cancelled while it waits leaves the queue; once it runs, it runs to its end.

        Raises:
            Overloaded: the queue is full
            RuntimeError: the workers are closed
        """
        work = _Work(lambda: function(*args, **kwargs), time.monotonic(), Future())
        self._accept(work)
        try:
            result: _Result = await asyncio.wrap_future(work.future)
        except asyncio.CancelledError:
            self._forget(work)
            raise
        return result

    def close(self) -> None:
        """Cancel what waits and wait for what runs."""
        with self._lock:
            self._closed = True
            for work in self._queue:
                work.future.cancel()
        self._pool.shutdown(wait=True)

    def _accept(self, work: _Work) -> None:
        with self._lock:
            if self._closed:
                raise RuntimeError(f"The workers for the {self._name} are closed.")
            if self._busy < self._count:
                self._busy += 1
                self._pool.submit(self._work_on, work)
            elif len(self._queue) < self._max_waiting:
                self._queue.append(work)
            else:
                raise Overloaded(
                    f"{len(self._queue)} requests wait for the {self._name} already: "
                    "take fewer chats, or more workers."
                )

    def _forget(self, work: _Work) -> None:
        """Take work out of the queue, unless a worker has taken it already."""
        with self._lock, suppress(ValueError):
            self._queue.remove(work)

    def _work_on(self, work: _Work | None) -> None:
        """Work, in a worker's thread, until nothing waits."""
        while work is not None:
            if work.future.set_running_or_notify_cancel():
                deliver = self._perform(work)
                work = self._next()
                deliver()  # who asked finds the worker free, or busy with the next one
            else:
                work = self._next()

    def _next(self) -> _Work | None:
        with self._lock:
            if self._queue:
                return self._queue.popleft()
            self._busy -= 1
            return None

    def _perform(self, work: _Work) -> Callable[[], None]:
        """Do one piece of work; return what hands over its result."""
        begun_s = time.monotonic()
        try:
            deliver = partial(work.future.set_result, work.call())
        except BaseException as error:  # noqa: BLE001 - who asked for the work is to handle it
            deliver = partial(work.future.set_exception, error)
        if self.on_done is not None:
            self.on_done(begun_s - work.asked_at_s, time.monotonic() - begun_s)
        return deliver
