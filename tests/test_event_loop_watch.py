import asyncio
import gc

import pytest

from evibridge.event_loop_watch import PERIOD_S, EventLoopWatch
from tests.virtual_clock import run_in_virtual_time


def lags_of(*blocked_s: float) -> tuple[list[float], list[float]]:
    """How late each look was, and when; `blocked_s` is how long the loop was busy before each."""

    async def watched() -> tuple[list[float], list[float]]:
        loop = asyncio.get_running_loop()
        lags_s: list[float] = []
        times_s: list[float] = []
        seen_all = asyncio.Event()

        def note(lag_s: float) -> None:
            lags_s.append(lag_s)
            times_s.append(loop.time())
            if len(lags_s) == len(blocked_s):
                seen_all.set()

        def clock() -> float:
            return loop.time() + (*blocked_s, 0.0)[len(lags_s)]

        watch = EventLoopWatch(note, lambda _: None, clock)
        watch.start()
        async with asyncio.timeout(60):
            await seen_all.wait()
        watch.stop()
        return lags_s, times_s

    return run_in_virtual_time(watched())


def test_an_idle_loop_is_looked_at_in_equal_steps() -> None:
    lags_s, times_s = lags_of(0.0, 0.0, 0.0)

    assert lags_s == pytest.approx([0, 0, 0])
    assert times_s == pytest.approx([PERIOD_S, 2 * PERIOD_S, 3 * PERIOD_S])


def test_a_stall_is_told_once_in_its_whole_length() -> None:
    lags_s, times_s = lags_of(0.0, 0.35, 0.0, 0.01, 0.0)

    assert lags_s == pytest.approx([0, 0.35, 0, 0.01, 0])
    # The three looks that the stall has swallowed are left out; lateness does not add up.
    assert times_s == pytest.approx([0.1, 0.2, 0.6, 0.7, 0.8])


def test_a_timer_that_is_early_is_not_late() -> None:
    lags_s, _ = lags_of(-0.002)

    assert lags_s == [0]


async def test_garbage_collections_are_timed() -> None:
    pauses_s: asyncio.Queue[float] = asyncio.Queue()
    watch = EventLoopWatch(lambda _: None, pauses_s.put_nowait)
    watch.start()
    gc.collect()
    async with asyncio.timeout(5):
        assert await pauses_s.get() > 0
    watch.stop()


async def test_what_is_not_told_yet_is_told_at_the_end() -> None:
    pauses_s: list[float] = []
    watch = EventLoopWatch(lambda _: None, pauses_s.append)
    watch.start()
    gc.collect()
    assert not pauses_s
    watch.stop()

    assert pauses_s


async def test_nothing_is_left_of_it_and_another_goes_on() -> None:
    before = list(gc.callbacks)
    seen = asyncio.Event()
    stopped: list[float] = []
    one = EventLoopWatch(stopped.append, stopped.append)
    other = EventLoopWatch(lambda _: seen.set(), lambda _: None)
    one.start()
    other.start()
    one.stop()
    stopped.clear()
    gc.collect()
    async with asyncio.timeout(5):
        await seen.wait()
    other.stop()

    assert stopped == []
    assert gc.callbacks == before
