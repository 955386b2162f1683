"""The parts of an engine, counted and timed as they work."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import TypeVar

from evibridge.engine.hearing.ears import Ears, Transcript
from evibridge.engine.metrics import EngineMetrics
from evibridge.engine.minds.mind import (
    Action,
    CallTool,
    Conversation,
    Mind,
    Occasion,
    Prompt,
    ToolOutcome,
)
from evibridge.engine.parts import EngineParts
from evibridge.engine.voices.voice import Voice
from evibridge.errors import Overloaded


def measured(parts: EngineParts) -> EngineParts:
    """The same parts, whose work is told to the metrics of the engine."""
    metrics = parts.metrics
    return replace(
        parts,
        ears=_MeasuredEars(parts.ears, metrics),
        mind=_MeasuredMind(parts.mind, metrics),
        voice=_MeasuredVoice(parts.voice, metrics),
    )


class _MeasuredEars(Ears):
    def __init__(self, ears: Ears, metrics: EngineMetrics) -> None:
        self._ears = ears
        self._metrics = metrics

    @property
    def idle(self) -> bool:
        return self._ears.idle

    async def transcribe(self, pcm16: bytes) -> Transcript:
        begun_s = time.monotonic()
        try:
            transcript = await self._ears.transcribe(pcm16)
        except Overloaded:
            self._metrics.overloaded("ears")
            raise
        self._metrics.speech_recognised(time.monotonic() - begun_s)
        return transcript


class _MeasuredMind(Mind):
    def __init__(self, mind: Mind, metrics: EngineMetrics) -> None:
        self._mind = mind
        self._metrics = metrics

    def conversation(self) -> Conversation:
        return _MeasuredConversation(self._mind.conversation(), self._metrics)


class _MeasuredConversation(Conversation):
    def __init__(self, conversation: Conversation, metrics: EngineMetrics) -> None:
        self._conversation = conversation
        self._metrics = metrics

    def reply(self, prompt: Prompt) -> AsyncIterator[Action]:
        return self._measured(self._conversation.reply(prompt))

    def after_tool(
        self, prompt: Prompt, call: CallTool, outcome: ToolOutcome
    ) -> AsyncIterator[Action]:
        return self._measured(self._conversation.after_tool(prompt, call, outcome))

    def speak_up(self, prompt: Prompt, occasion: Occasion) -> AsyncIterator[Action]:
        return self._measured(self._conversation.speak_up(prompt, occasion))

    async def close(self) -> None:
        await self._conversation.close()

    async def _measured(self, steps: AsyncIterator[Action]) -> AsyncIterator[Action]:
        try:
            async with aclosing(_first_timed(steps, self._metrics.mind_began)) as timed:
                async for step in timed:
                    yield step
        except Overloaded:
            self._metrics.overloaded("mind")
            raise


class _MeasuredVoice(Voice):
    def __init__(self, voice: Voice, metrics: EngineMetrics) -> None:
        self._voice = voice
        self._metrics = metrics

    async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
        speech = self._voice.speak(sentence, voice_id)
        try:
            async with aclosing(_first_timed(speech, self._metrics.voice_began)) as timed:
                async for chunk in timed:
                    yield chunk
        except Overloaded:
            self._metrics.overloaded("voice")
            raise


_Item = TypeVar("_Item")


async def _first_timed(
    source: AsyncIterator[_Item], tell: Callable[[float], None]
) -> AsyncGenerator[_Item, None]:
    """Tell how long the first item took; close the source when the reader stops."""
    begun_s: float | None = time.monotonic()
    try:
        async for item in source:
            if begun_s is not None:
                tell(time.monotonic() - begun_s)
                begun_s = None
            yield item
    finally:
        close = getattr(source, "aclose", None)  # generators have it, the interfaces need not
        if close is not None:
            await close()
