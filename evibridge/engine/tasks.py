"""Tasks that one owner starts from callbacks and that end with it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class OwnedTasks:
    """Like a task group, but for an owner whose life is callbacks and not one coroutine.

    Args:
        on_fault: told of an exception that a task did not handle
    """

    def __init__(self, on_fault: Callable[[BaseException], None]) -> None:
        self._on_fault = on_fault
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something; after `stop` it is cancelled before its first step."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        if self._stopped:
            task.cancel()
        return task

    def stop(self) -> None:
        """Cancel all tasks, those still to be started included."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()

    async def ended(self) -> None:
        """Return when no task is left; their faults are told elsewhere."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_fault(error)
