"""Work for a thread that waits for the disk, and whose results the event loop waits for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

from evibridge.errors import Overloaded
from evibridge.records.disk_thread import DiskThread

CLOSE_TIMEOUT_S = 5.0
"""A disk that takes longer hangs; the thread does not keep the process from ending."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long something may take in all, and behind how much other work it is worth waiting."""

    timeout_s: float
    max_ahead: int


KEEPING = Patience(timeout_s=30.0, max_ahead=1000)
"""All calls of a service may end at once."""
LOOKING_UP = Patience(timeout_s=4.0, max_ahead=100)
"""Somebody waits for the answer."""
COUNTING = Patience(timeout_s=0.5, max_ahead=100)
"""Who asks wants to know much else, and asks again."""
SEARCHING = Patience(timeout_s=10.0, max_ahead=100)
"""As long as it takes to read some thousand records, if the index is made anew."""


class DiskWork:
    """Does one thing after another, until it is closed. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._thread = DiskThread()
        self._is_closed = False

    def begin(self, work: Callable[[], None]) -> None:
        """Have something done behind everything else.

        It is left out if this is closed, or if as much waits as for anything that is kept.
        """
        if not self._is_closed and self._thread.waiting < KEEPING.max_ahead:
            self._thread.run(work)

    async def result_of(self, work: Callable[[], T], patience: Patience) -> T:
        """Have something done behind everything else, and return or raise what it does.

        Who is cancelled while waiting does not undo it.

        Raises:
            Overloaded: this is closed, or the disk is too slow; what has not begun by then is not
                done any more
        """
        if self._is_closed:
            raise Overloaded("The records of calls are closed: the service ends.")
        if self._thread.waiting >= patience.max_ahead:
            raise Overloaded("Too much waits for the disk of the records already.")
        job = _Job(work)
        self._thread.run(job.do)
        if not await job.is_done(patience.timeout_s):
            job.drop()
            raise Overloaded(f"The disk of the records takes more than {patience.timeout_s:g} s.")
        return job.result()

    async def close(self, last: Callable[[], None] | None = None) -> None:
        """Take no more work, and return when all is done, or the disk takes too long.

        Args:
            last: is done behind everything else
        """
        if self._is_closed:
            return
        self._is_closed = True
        if last is not None:
            self._thread.run(last)
        end = _Job(lambda: None)
        self._thread.run(end.do)
        await end.is_done(CLOSE_TIMEOUT_S)
        self._thread.close()


class _Job(Generic[T]):
    """Something to be done in the thread, unless it is dropped before."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._future: Future[T] = Future()
        self._future.set_running_or_notify_cancel()  # it is done, whoever waits for it

    def do(self) -> None:
        """In the disk's thread."""
        work, self._work = self._work, None
        if work is None:
            return
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised where the result is waited for
            self._future.set_exception(error)
        else:
            self._future.set_result(result)

    async def is_done(self, timeout_s: float) -> bool:
        """Wait until it is done, or time is up."""
        done = asyncio.wrap_future(self._future)
        try:
            await asyncio.wait([done], timeout=timeout_s)
        finally:
            if not done.cancel():  # what comes later interests nobody
                done.exception()  # `result` raises it
        return self._future.done()

    def result(self) -> T:
        """Return or raise what it did."""
        return self._future.result()

    def drop(self) -> None:
        """Do not do it if it has not begun; what it holds is free."""
        self._work = None
