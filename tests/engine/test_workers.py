import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.engine.workers import Workers
from evibridge.errors import Overloaded

PATIENCE_S = 5.0


class Gate:
    """Work that goes on only when it may, and remembers what was done."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.opened = threading.Event()

    def work(self, number: int) -> int:
        assert self.opened.wait(PATIENCE_S)
        self.done.append(number)
        return number


@asynccontextmanager
async def pool(count: int = 1, *, max_waiting: int = 10) -> AsyncIterator[Workers]:
    workers = Workers(count, max_waiting=max_waiting, name="test")
    try:
        yield workers
    finally:
        workers.close()


async def asked(workers: Workers, gate: Gate, *numbers: int) -> list["asyncio.Task[int]"]:
    """Ask for the work with these numbers, in this order."""
    tasks = [asyncio.create_task(workers.run(gate.work, number)) for number in numbers]
    await asyncio.sleep(0)
    return tasks


async def ended(*tasks: "asyncio.Task[int]") -> None:
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait(tasks)


async def test_work_is_done_in_another_thread_and_its_result_comes_back() -> None:
    async with pool() as workers:
        assert await workers.run(threading.get_ident) != threading.get_ident()
        assert await workers.run(int, "11", base=2) == 3


async def test_an_error_comes_back_and_the_worker_goes_on() -> None:
    async with pool() as workers:
        with pytest.raises(ZeroDivisionError):
            await workers.run(lambda: 1 / 0)
        assert await workers.run(lambda: 7) == 7


async def test_the_oldest_work_is_done_first() -> None:
    gate = Gate()
    async with pool() as workers:
        tasks = await asked(workers, gate, 1, 2, 3, 4)
        gate.opened.set()
        await ended(*tasks)

    assert gate.done == [1, 2, 3, 4]


async def test_no_more_work_runs_at_once_than_there_are_workers() -> None:
    gate = Gate()
    async with pool(2) as workers:
        tasks = await asked(workers, gate, 1, 2, 3, 4, 5)
        assert (workers.busy, workers.waiting) == (2, 3)
        gate.opened.set()
        await ended(*tasks)
        assert (workers.busy, workers.waiting) == (0, 0)


async def test_workers_are_idle_while_one_of_them_is_free() -> None:
    gate = Gate()
    async with pool(2) as workers:
        idle = [workers.idle]
        tasks = await asked(workers, gate, 1)
        idle.append(workers.idle)
        tasks += await asked(workers, gate, 2)
        idle.append(workers.idle)
        gate.opened.set()
        await ended(*tasks)
        idle.append(workers.idle)

    assert idle == [True, True, False, True]


async def test_a_full_queue_refuses_at_once_and_takes_work_again_later() -> None:
    gate = Gate()
    async with pool(max_waiting=2) as workers:
        tasks = await asked(workers, gate, 1, 2, 3)
        with pytest.raises(Overloaded, match="2 requests wait for the test already"):
            await workers.run(gate.work, 4)
        gate.opened.set()
        await ended(*tasks)
        assert await workers.run(gate.work, 5) == 5

    assert gate.done == [1, 2, 3, 5]


async def test_work_that_nobody_waits_for_leaves_the_queue() -> None:
    gate = Gate()
    async with pool(max_waiting=2) as workers:
        tasks = await asked(workers, gate, 1, 2, 3)
        tasks[1].cancel()
        await ended(tasks[1])
        assert workers.waiting == 1
        tasks += await asked(workers, gate, 4)
        gate.opened.set()
        await ended(*tasks)

    assert gate.done == [1, 3, 4]


async def test_work_that_has_begun_is_finished_though_nobody_waits_for_it() -> None:
    gate = Gate()
    begun = threading.Event()

    def begin() -> int:
        begun.set()
        return gate.work(1)

    async with pool() as workers:
        task = asyncio.create_task(workers.run(begin))
        assert await asyncio.to_thread(begun.wait, PATIENCE_S)
        task.cancel()
        await asyncio.wait([task])
        busy = workers.busy
        gate.opened.set()
        assert await workers.run(gate.work, 2) == 2

    assert busy == 1
    assert gate.done == [1, 2]


async def test_closing_cancels_what_waits_and_waits_for_what_runs() -> None:
    gate = Gate()
    async with pool() as workers:
        running, waiting = await asked(workers, gate, 1, 2)
        closing = asyncio.create_task(asyncio.to_thread(workers.close))
        await ended(waiting)
        gate.opened.set()
        async with asyncio.timeout(PATIENCE_S):
            await closing
            assert await running == 1

    assert waiting.cancelled()
    assert gate.done == [1]


async def test_closed_workers_take_no_work() -> None:
    async with pool() as workers:
        workers.close()
        with pytest.raises(RuntimeError, match="closed"):
            await workers.run(int)


async def test_an_observer_is_told_how_long_work_waited_and_took() -> None:
    told: list[tuple[float, float]] = []
    async with pool() as workers:
        workers.on_done = lambda waited_s, worked_s: told.append((waited_s, worked_s))
        await workers.run(int)
        with pytest.raises(ValueError, match="x"):
            await workers.run(int, "x")

    assert len(told) == 2
    assert all(waited_s >= 0 and worked_s >= 0 for waited_s, worked_s in told)


async def test_work_that_is_cancelled_on_its_way_to_a_worker_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker takes its next work before it hands over a result: it is held up in between."""
    gate = Gate()
    gate.opened.set()
    handing_over, may_go_on = threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    hand_over = loop.call_soon_threadsafe

    def held_up(callback: Callable[..., object], *args: Any, **context: Any) -> asyncio.Handle:
        if threading.current_thread().name.startswith("test"):
            handing_over.set()
            assert may_go_on.wait(PATIENCE_S)
        return hand_over(callback, *args, **context)

    monkeypatch.setattr(loop, "call_soon_threadsafe", held_up)
    async with pool() as workers:
        first, second, third = await asked(workers, gate, 1, 2, 3)
        assert await asyncio.to_thread(handing_over.wait, PATIENCE_S)
        second.cancel()
        await ended(second)
        may_go_on.set()
        await ended(first, third)

    assert gate.done == [1, 3]


@given(
    st.integers(1, 3),
    st.integers(0, 4),
    st.lists(st.one_of(st.just("ask"), st.integers(0, 20)), max_size=20),
)
@settings(max_examples=50, deadline=None)
async def test_work_is_never_lost_or_reordered(
    count: int, max_waiting: int, steps: list[str | int]
) -> None:
    """An integer cancels the work of that number, wherever it is."""
    gate = Gate()
    tasks: list[asyncio.Task[int]] = []
    async with pool(count, max_waiting=max_waiting) as workers:
        for step in steps:
            if step == "ask":
                tasks += await asked(workers, gate, len(tasks))
            elif isinstance(step, int) and step < len(tasks):
                tasks[step].cancel()
            await _settled()
            assert workers.waiting <= max_waiting
        gate.opened.set()
        if tasks:
            await ended(*tasks)

    errors = [None if task.cancelled() else task.exception() for task in tasks]
    assert all(error is None or isinstance(error, Overloaded) for error in errors)
    answered = {
        number
        for number, (task, error) in enumerate(zip(tasks, errors, strict=True))
        if error is None and not task.cancelled()
    }
    assert answered <= set(gate.done)
    if count == 1:
        assert gate.done == sorted(gate.done)


async def _settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)
