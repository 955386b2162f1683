import asyncio
from collections.abc import AsyncIterator

import pytest

from evibridge.engine.minds.mind import Action, CallTool, Say, SayPart
from evibridge.engine.minds.patience import patient
from evibridge.errors import UpstreamFailed

FILLER = Say("Let me see.", quick=True)
SOON_S, NEVER_S = 0.01, 30.0
ANSWER: list[Action] = [SayPart("One "), SayPart("moment."), CallTool("look", {})]


class Mind:
    """Gives what a test lets it give, and keeps how it ended."""

    def __init__(self, actions: list[Action], *, fails: bool = False, waits: bool = False) -> None:
        self.begun = asyncio.Event()
        self.may_begin = asyncio.Event()
        self.ended = asyncio.Event()
        self.given = 0
        self.task: asyncio.Task[object] | None = None
        self._actions = actions
        self._fails = fails
        if not waits:
            self.may_begin.set()

    async def steps(self) -> AsyncIterator[Action]:
        self.task = asyncio.current_task()
        self.begun.set()
        try:
            await self.may_begin.wait()
            for action in self._actions:
                self.given += 1
                yield action
            if self._fails:
                raise UpstreamFailed("The model is gone.")
        finally:
            assert asyncio.current_task() is self.task
            self.ended.set()


async def test_the_actions_of_a_quick_mind_pass_unchanged() -> None:
    mind = Mind(ANSWER)
    steps = patient(mind.steps(), filler=FILLER.text, after_s=NEVER_S)
    assert [step async for step in steps] == ANSWER
    assert mind.ended.is_set()


async def test_a_late_mind_is_spoken_for_once_and_then_says_everything() -> None:
    mind = Mind(ANSWER, waits=True)
    steps = patient(mind.steps(), filler=FILLER.text, after_s=SOON_S)
    assert await anext(steps) == FILLER
    mind.may_begin.set()
    assert [step async for step in steps] == ANSWER


async def test_a_mind_with_nothing_to_say_in_time_is_not_spoken_for() -> None:
    steps = patient(Mind([]).steps(), filler=FILLER.text, after_s=NEVER_S)
    assert [step async for step in steps] == []


async def test_a_mind_that_fails_at_once_is_not_spoken_for() -> None:
    steps = patient(Mind([], fails=True).steps(), filler=FILLER.text, after_s=NEVER_S)
    with pytest.raises(UpstreamFailed, match="gone"):
        await anext(steps)


async def test_a_failure_comes_behind_the_filler_and_all_that_was_said() -> None:
    mind = Mind(ANSWER, fails=True, waits=True)
    steps = patient(mind.steps(), filler=FILLER.text, after_s=SOON_S)
    seen = [await anext(steps)]
    mind.may_begin.set()
    seen += [await anext(steps) for _ in ANSWER]
    with pytest.raises(UpstreamFailed, match="gone"):
        await anext(steps)
    assert seen == [FILLER, *ANSWER]


@pytest.mark.parametrize("read", [0, 1, 2])
async def test_who_stops_reading_stops_the_mind(read: int) -> None:
    mind = Mind([SayPart(str(number)) for number in range(9)], waits=True)
    steps = patient(mind.steps(), filler=FILLER.text, after_s=SOON_S)
    assert await anext(steps) == FILLER
    if read:
        mind.may_begin.set()
    assert [await anext(steps) for _ in range(read)] == [SayPart(str(n)) for n in range(read)]
    await steps.aclose()
    assert mind.ended.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_reader_that_is_cancelled_stops_the_mind() -> None:
    mind = Mind(ANSWER, waits=True)
    steps = patient(mind.steps(), filler=FILLER.text, after_s=NEVER_S)

    async def read() -> None:
        await anext(steps)

    reader = asyncio.create_task(read())
    async with asyncio.timeout(5):
        await mind.begun.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert mind.ended.is_set()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_slow_reader_is_not_read_ahead_of_without_bound() -> None:
    mind = Mind([SayPart("a")] * 50)
    steps = patient(mind.steps(), filler=FILLER.text, after_s=NEVER_S)
    await anext(steps)
    for _ in range(100):
        await asyncio.sleep(0)
    assert mind.given <= 3
    await steps.aclose()


async def test_a_mind_that_is_no_generator_serves_as_well() -> None:
    class Steps:
        def __init__(self) -> None:
            self.left = list(ANSWER)

        def __aiter__(self) -> "Steps":
            return self

        async def __anext__(self) -> Action:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop(0)

    steps = patient(Steps(), filler=FILLER.text, after_s=NEVER_S)
    assert [step async for step in steps] == ANSWER
