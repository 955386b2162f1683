"""Work for a thread that waits for the disk, and whose results the event loop waits for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from evibridge.errors import Overloaded
from evibridge.records.disk_thread import DiskThread

CLOSE_TIMEOUT_S = 5.0
"""A disk that takes longer hangs; the thread does not keep the process from ending."""

T = TypeVar("T")


class DiskWork:
    """Does one thing after another, until it is closed. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._thread = DiskThread()
        self._is_closed = False

    def begin(self, work: Callable[[], None]) -> None:
        """Have something done behind everything else; nothing is, once this is closed."""
        if not self._is_closed:
            self._thread.run(work)

    async def result_of(self, work: Callable[[], T]) -> T:
        """Have something done behind everything else, and return or raise what it does.

        Who gives up waiting does not undo it.

        Raises:
            Overloaded: this is closed
        """
        if self._is_closed:
            raise Overloaded("The records of calls are closed: the service ends.")
        return await self._done(work)

    async def close(self) -> None:
        """Take no more work, and return when all is done, or the disk takes too long."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._done(lambda: None)
        self._thread.close()

    async def _done(self, work: Callable[[], T]) -> T:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here on it is done, whoever waits for it

        def do() -> None:
            try:
                result = work()
            except Exception as error:  # noqa: BLE001 - it is raised where the result is waited for
                future.set_exception(error)
            else:
                future.set_result(result)

        self._thread.run(do)
        return await asyncio.wrap_future(future)
