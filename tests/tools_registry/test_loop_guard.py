import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.tools_registry.loop_guard import BLOCKED_S, Guarded
from tests.virtual_clock import run_in_virtual_time

SLOW_S = 2 * BLOCKED_S


class Clock:
    """Time passes only when somebody says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Suspension:
    """Suspends the coroutine that awaits it, as a future does, and gives what it is sent."""

    value: object = None

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield self.value)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def blocked() -> list[float]:
    return []


def ignore(_: float) -> None:
    """Nobody wants to know."""


async def outer(awaitable: Awaitable[object]) -> object:
    return await awaitable


# Telling


async def test_each_step_that_blocks_is_told_of_once(clock: Clock, blocked: list[float]) -> None:
    async def tool() -> str:
        clock.now_s += SLOW_S
        await asyncio.sleep(0)
        clock.now_s += BLOCKED_S / 2
        await asyncio.sleep(0)
        clock.now_s += 3 * SLOW_S
        await asyncio.sleep(0)
        clock.now_s += 2 * SLOW_S
        return "done"

    assert await Guarded(tool(), blocked.append, clock) == "done"
    assert blocked == pytest.approx([SLOW_S, 3 * SLOW_S, 2 * SLOW_S])


async def test_a_step_that_just_does_not_block_is_not_told_of(blocked: list[float]) -> None:
    clock = Clock()

    async def tool() -> None:
        clock.now_s += BLOCKED_S

    await Guarded(tool(), blocked.append, clock)
    assert blocked == []


def test_waiting_is_not_blocking(blocked: list[float]) -> None:
    async def guarded() -> None:
        async def tool() -> None:
            await asyncio.sleep(1000)

        await Guarded(tool(), blocked.append, asyncio.get_running_loop().time)

    run_in_virtual_time(guarded())
    assert blocked == []


async def test_a_step_that_fails_is_told_of_as_well(clock: Clock, blocked: list[float]) -> None:
    async def tool() -> None:
        clock.now_s += SLOW_S
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Guarded(tool(), blocked.append, clock)
    assert blocked == [SLOW_S]


async def test_a_clean_up_that_blocks_is_told_of(clock: Clock, blocked: list[float]) -> None:
    started = asyncio.Event()

    async def tool() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            clock.now_s += SLOW_S

    task = asyncio.ensure_future(outer(Guarded(tool(), blocked.append, clock)))
    async with asyncio.timeout(5):
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert blocked == [SLOW_S]


async def test_without_a_clock_of_its_own_a_quick_coroutine_is_not_told_of(
    monkeypatch: pytest.MonkeyPatch, blocked: list[float]
) -> None:
    monkeypatch.setattr("evibridge.tools_registry.loop_guard.BLOCKED_S", 60.0)
    assert await Guarded(asyncio.sleep(0, "quick"), blocked.append) == "quick"
    assert blocked == []


# In the event loop


async def test_the_coroutine_runs_in_the_task_that_awaits_it() -> None:
    async def tool() -> asyncio.Task[Any] | None:
        await asyncio.sleep(0)
        return asyncio.current_task()

    assert await Guarded(tool(), ignore) is asyncio.current_task()


def test_timeouts_inside_and_outside_work_as_without_it() -> None:
    async def tool() -> str:
        try:
            async with asyncio.timeout(1):
                await asyncio.Event().wait()
        except TimeoutError:
            await asyncio.sleep(10)
        return "late"

    async def guarded() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await Guarded(tool(), ignore, loop.time)
        current = asyncio.current_task()
        assert current is not None
        assert current.cancelling() == 0
        return loop.time()

    assert run_in_virtual_time(guarded()) == pytest.approx(5)


async def test_a_cancellation_may_be_refused() -> None:
    started = asyncio.Event()

    async def tool() -> str:
        try:
            started.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
        return "nevertheless"

    task = asyncio.ensure_future(outer(Guarded(tool(), ignore)))
    async with asyncio.timeout(5):
        await started.wait()
        task.cancel()
        assert await task == "nevertheless"


# As without it

OFFERS = [("return", 0), ("raise", 0), ("yield", 1), ("yield", 2), ("catch", 3), ("spread", 4)]
"""What a coroutine does next."""
Step = tuple[str, int]


async def scripted(steps: list[Step]) -> object:
    """A coroutine that awaits, raises, returns and catches as it is told, and tells what it got."""
    got: list[str] = []
    for kind, number in steps:
        if kind == "return":
            return (number, got)
        if kind == "raise":
            raise LookupError(number, got)
        if kind == "yield":
            got.append(repr(await Suspension(number)))
            continue
        try:
            got.append(repr(await Suspension(number)))
        except BaseException as error:  # noqa: BLE001  whatever is thrown in
            got.append(repr(error))
            if kind == "spread":
                raise ArithmeticError(number, got) from None
            if isinstance(error, GeneratorExit):
                break  # whoever awaits after that is told off, with and without the guard
    return got


def transcript(coroutine: Coroutine[Any, Any, object], driven: list[str]) -> list[str]:
    """What a coroutine gives to somebody who drives it so."""
    thrown = {
        "error": ValueError("thrown"),
        "cancel": asyncio.CancelledError("thrown"),
        "exit": GeneratorExit("thrown"),
        "interrupt": KeyboardInterrupt("thrown"),
        "stop": StopIteration("thrown"),
    }
    moves: dict[str, Callable[[], object]] = {
        "begin": partial(coroutine.send, None),
        "send": partial(coroutine.send, "sent"),
        "close": coroutine.close,
        **{name: partial(coroutine.throw, error) for name, error in thrown.items()},
    }
    seen: list[str] = []
    for name in ["begin", *driven, "close"]:
        try:
            seen.append(f"gave {moves[name]()!r}")
        except StopIteration as end:
            seen.append(f"returned {end.value!r}")
        except BaseException as error:  # noqa: BLE001  it is compared
            seen.append(f"raised {error!r} from {error.__cause__!r}")
    return seen


@given(
    steps=st.lists(st.sampled_from(OFFERS), max_size=6),
    driven=st.lists(
        st.sampled_from(["send", "send", "error", "cancel", "exit", "interrupt", "stop", "close"]),
        max_size=6,
    ),
)
def test_whatever_is_sent_and_thrown_passes_through_as_without_it(
    steps: list[Step], driven: list[str]
) -> None:
    plain = transcript(outer(scripted(steps)), driven)
    guarded = transcript(outer(Guarded(scripted(steps), ignore)), driven)
    assert guarded == plain


def test_the_context_of_an_exception_is_that_of_without_it() -> None:
    async def tool() -> None:
        try:
            await Suspension()
        except ValueError:
            raise ArithmeticError  # noqa: B904  its context is asked for

    def contexts(awaitable: Awaitable[object]) -> list[str]:
        coroutine = outer(awaitable)
        coroutine.send(None)
        with pytest.raises(ArithmeticError) as caught:
            coroutine.throw(ValueError("thrown"))
        chain: list[str] = []
        error: BaseException | None = caught.value
        while error is not None:
            chain.append(repr(error))
            error = error.__context__
        return chain

    assert (
        contexts(tool())
        == contexts(Guarded(tool(), ignore))
        == [
            "ArithmeticError()",
            "ValueError('thrown')",
        ]
    )


@pytest.mark.parametrize("guarded", [False, True])
def test_an_exception_that_was_thrown_in_leaves_no_cycle_of_references(guarded: bool) -> None:
    class Kept:
        """Something that the coroutine works with."""

    seen: list[weakref.ref[Kept]] = []

    async def tool() -> None:
        kept = Kept()
        seen.append(weakref.ref(kept))
        await Suspension(kept)

    def cancel() -> None:
        coroutine = outer(Guarded(tool(), ignore) if guarded else tool())
        coroutine.send(None)
        try:
            coroutine.throw(asyncio.CancelledError())
        except asyncio.CancelledError:
            return

    gc.collect()
    gc.disable()
    try:
        cancel()
        assert seen[0]() is None
    finally:
        gc.enable()
