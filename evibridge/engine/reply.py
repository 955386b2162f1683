"""One part of the agent's turn: from the mind's words to chunks of audio on the wire."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from typing import Protocol, TypeVar

from evibridge.engine.mind import Action, CallTool, HangUp, Say
from evibridge.engine.sentences import sentences
from evibridge.engine.voice import Voice

STEP_TIMEOUT_S = 30.0
"""How long a mind may think, or a voice may work, before it gives the next thing."""
CLEAN_UP_TIMEOUT_S = 2.0
MAX_SENTENCES_AHEAD = 64
"""Chosen but not yet spoken. More than any reply has: a tool call behind them is not held up."""
MAX_CHUNKS_AHEAD = 10
"""Spoken but not yet sent: two to five seconds, enough that the next sentence is synthesised
while the client cannot take more of this one."""


class Stage(Protocol):
    """Where a part is performed: the chat, as seen from one part."""

    def begin_sentence(self, text: str) -> None:
        """The audio of this sentence follows."""

    def send_audio(self, pcm16: bytes) -> Awaitable[None]:
        """Send int16 mono PCM at 48 kHz once the client may have more."""

    def call_tool(self, call: CallTool) -> None:
        """Ask the client to run a tool."""

    def hang_up(self) -> None:
        """End the chat after the last words."""


async def perform(steps: AsyncIterator[Action], voice: Voice, stage: Stage) -> None:
    """Run a part to its end: thinking, synthesis and sending overlap.

    Cancelling it stops the mind and the voice.
    """
    chosen = asyncio.Queue[str | None](MAX_SENTENCES_AHEAD)
    spoken = asyncio.Queue[str | bytes | None](MAX_CHUNKS_AHEAD)
    async with asyncio.TaskGroup() as group:
        group.create_task(_think(steps, chosen, stage))
        group.create_task(_speak(chosen, voice, spoken))
        group.create_task(_send(spoken, stage))


async def _think(
    steps: AsyncIterator[Action], chosen: "asyncio.Queue[str | None]", stage: Stage
) -> None:
    async with aclosing(_bounded(steps)) as bounded:
        async for step in bounded:
            match step:
                case Say(text):
                    for sentence in sentences(text):
                        await chosen.put(sentence)
                case CallTool():
                    stage.call_tool(step)
                case HangUp():
                    stage.hang_up()
    await chosen.put(None)


async def _speak(
    chosen: "asyncio.Queue[str | None]", voice: Voice, spoken: "asyncio.Queue[str | bytes | None]"
) -> None:
    while (sentence := await chosen.get()) is not None:
        await spoken.put(sentence)
        async with aclosing(_bounded(voice.speak(sentence))) as chunks:
            async for chunk in chunks:
                await spoken.put(chunk)
    await spoken.put(None)


async def _send(spoken: "asyncio.Queue[str | bytes | None]", stage: Stage) -> None:
    while (item := await spoken.get()) is not None:
        if isinstance(item, str):
            stage.begin_sentence(item)
        else:
            await stage.send_audio(item)


_Item = TypeVar("_Item")


async def _bounded(source: AsyncIterator[_Item]) -> AsyncGenerator[_Item, None]:
    """Give each item of a source a deadline, and close the source when its reader stops."""
    try:
        while True:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                try:
                    item = await anext(source)
                except StopAsyncIteration:
                    return
            yield item
    finally:
        close = getattr(source, "aclose", None)  # generators have it, the interface need not
        if close is not None:
            async with asyncio.timeout(CLEAN_UP_TIMEOUT_S):
                await close()
