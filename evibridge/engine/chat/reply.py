"""One part of the agent's turn: from the mind's words to chunks of audio on the wire."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol, TypeVar

import structlog

from evibridge.engine.minds.mind import Action, CallTool, HangUp, Say, SayPart
from evibridge.engine.voices.sentences import SentenceStream, sentences
from evibridge.errors import EvibridgeError, UpstreamFailed

log = structlog.get_logger()

STEP_TIMEOUT_S = 30.0
"""How long a mind may think, or a voice may work, before it gives the next thing. Parts that use a
network have tighter limits of their own."""
CLEAN_UP_TIMEOUT_S = 2.0
MAX_SENTENCES_AHEAD = 64
"""Chosen but not yet spoken. More than any reply has: a tool call behind them is not held up."""
MAX_CHUNKS_AHEAD = 10
"""Spoken but not yet sent: two to five seconds, enough that the next sentence is synthesised
while the client cannot take more of this one."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One piece of a reply, spoken in one go.

    Attributes:
        quick: a stop-gap, spoken because the answer itself is not ready
    """

    text: str
    quick: bool = False


class VoiceFailed(EvibridgeError):
    """The voice gave up, in contrast to the mind; its own error is the cause."""


class Stage(Protocol):
    """Where a part is performed: the chat, as seen from one part."""

    def begin_sentence(self, sentence: Sentence) -> None:
        """The audio of this sentence follows."""

    def send_audio(self, pcm16: bytes) -> Awaitable[None]:
        """Send int16 mono PCM at 48 kHz once the client may have more."""

    def call_tool(self, call: CallTool) -> None:
        """Ask the client to run a tool."""

    def hang_up(self) -> None:
        """End the chat after the last words."""


Speak = Callable[[str], AsyncIterator[bytes]]
"""Gives the audio of a sentence in chunks: int16 mono PCM at 48 kHz."""


async def perform(steps: AsyncIterator[Action], speak: Speak, stage: Stage) -> None:
    """Run a part to its end: thinking, synthesis and sending overlap.

    Cancelling it stops the mind and the voice. What was chosen before the mind failed is still
    spoken.

    Raises:
        VoiceFailed: a sentence could not be spoken
        EvibridgeError: the mind failed, after the words that it had given were sent
    """
    chosen = asyncio.Queue[Sentence | EvibridgeError | None](MAX_SENTENCES_AHEAD)
    spoken = asyncio.Queue[Sentence | bytes | EvibridgeError | None](MAX_CHUNKS_AHEAD)
    async with asyncio.TaskGroup() as group:
        thinking = group.create_task(_think(steps, chosen, stage))
        group.create_task(_speak(chosen, speak, spoken))
        failure = await _send(spoken, stage)
        thinking.cancel()  # it may still be at it if the voice has failed
    if failure is not None:
        raise failure


async def _think(
    steps: AsyncIterator[Action],
    chosen: "asyncio.Queue[Sentence | EvibridgeError | None]",
    stage: Stage,
) -> None:
    stream = SentenceStream()
    failure: EvibridgeError | None = None
    try:
        async with aclosing(_bounded(steps)) as bounded:
            async for step in bounded:
                for text in _complete_sentences(step, stream):
                    quick = isinstance(step, Say) and step.quick
                    await chosen.put(Sentence(text, quick))
                match step:
                    case CallTool():
                        stage.call_tool(step)
                    case HangUp():
                        stage.hang_up()
    except EvibridgeError as error:
        failure = error
    for text in stream.flush():
        await chosen.put(Sentence(text))
    await chosen.put(failure)


def _complete_sentences(step: Action, stream: SentenceStream) -> list[str]:
    """What can be spoken as soon as the mind has taken this step."""
    match step:
        case SayPart(text):
            return stream.feed(text)
        case Say(text):
            return stream.flush() + sentences(text)
        case _:
            return stream.flush()


async def _speak(
    chosen: "asyncio.Queue[Sentence | EvibridgeError | None]",
    speak: Speak,
    spoken: "asyncio.Queue[Sentence | bytes | EvibridgeError | None]",
) -> None:
    while isinstance(sentence := await chosen.get(), Sentence):
        await spoken.put(sentence)
        try:
            async with aclosing(_bounded(speak(sentence.text))) as chunks:
                async for chunk in chunks:
                    await spoken.put(chunk)
        except EvibridgeError as error:
            failure = VoiceFailed(str(error))
            failure.__cause__ = error
            await spoken.put(failure)
            return
    await spoken.put(sentence)


async def _send(
    spoken: "asyncio.Queue[Sentence | bytes | EvibridgeError | None]", stage: Stage
) -> EvibridgeError | None:
    """Send until the end, and return the failure that it is, if it is one."""
    while isinstance(item := await spoken.get(), Sentence | bytes):
        if isinstance(item, Sentence):
            stage.begin_sentence(item)
        else:
            await stage.send_audio(item)
    return item


_Item = TypeVar("_Item")


async def _bounded(source: AsyncIterator[_Item]) -> AsyncGenerator[_Item, None]:
    """Give each item of a source a deadline, and close the source when its reader stops."""
    try:
        while True:
            try:
                async with asyncio.timeout(STEP_TIMEOUT_S):
                    item = await anext(source)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise UpstreamFailed("A part of the engine gave up.", timed_out=True) from None
            yield item
    finally:
        close = getattr(source, "aclose", None)  # generators have it, the interface need not
        if close is not None:
            try:
                async with asyncio.timeout(CLEAN_UP_TIMEOUT_S):
                    await close()
            except TimeoutError:  # the conversation goes on without it
                log.warning("part_not_cleaned_up", source=type(source).__name__)
