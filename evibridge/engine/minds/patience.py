"""A stop-gap for a mind that takes long to begin."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from evibridge.engine.minds.mind import Action, Say

READ_AHEAD = 1
"""Actions that wait here for the reader. One: the reader has a queue of its own for sentences."""
CLEAN_UP_TIMEOUT_S = 1.0
"""How long a mind that is given up may take to stop; less than the reader waits for all of this."""


async def patient(
    steps: AsyncIterator[Action], *, filler: str, after_s: float
) -> AsyncGenerator[Action, None]:
    """Pass on the actions of a mind, and speak for it once when the first is late.

    All of the mind runs in one task, because client libraries bind their timeouts to a task; that
    task ends with this iterator. What bounds the time of each action is the mind, or the reader.

    Args:
        steps: the mind's turn
        filler: what is said before the mind's own words
        after_s: how long the mind may take to begin without it

    Raises:
        Exception: what the mind raises, behind all that it gave before
    """
    handed = asyncio.Queue[Action | Exception | None](READ_AHEAD)
    thinking = asyncio.create_task(_hand_over(steps, handed))
    try:
        try:
            async with asyncio.timeout(after_s):
                step = await handed.get()
        except TimeoutError:
            yield Say(filler, quick=True)
            step = await handed.get()
        while step is not None:
            if isinstance(step, Exception):
                raise step
            yield step
            step = await handed.get()
    finally:
        thinking.cancel()
        await asyncio.wait({thinking}, timeout=CLEAN_UP_TIMEOUT_S)


async def _hand_over(
    steps: AsyncIterator[Action], handed: "asyncio.Queue[Action | Exception | None]"
) -> None:
    end: Exception | None = None
    try:
        async for step in steps:
            await handed.put(step)
    except Exception as failure:  # noqa: BLE001 - it is the reader who raises it
        end = failure
    finally:
        close = getattr(steps, "aclose", None)  # generators have it, the interface need not
        if close is not None:
            await close()
    await handed.put(end)
