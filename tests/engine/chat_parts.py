"""Small real ears, minds and voices: quick, exact, and they say what they were asked."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

import numpy as np

from evibridge.engine.hearing.ears import Transcript
from evibridge.engine.minds.mind import Action, CallTool, Occasion, Prompt, Say, ToolOutcome
from evibridge.engine.minds.occasions import standard_sentence

VOICE_RATE_HZ = 48_000
HEARING_RATE_HZ = 16_000


def tone(ms: int, rate_hz: int = HEARING_RATE_HZ) -> bytes:
    """What `LoudnessActivity` takes for speech: int16 mono PCM."""
    angle = 2 * np.pi * 440 * np.arange(rate_hz * ms // 1000) / rate_hz
    return (8000 * np.sin(angle)).astype(np.int16).tobytes()


def silence(ms: int, rate_hz: int = HEARING_RATE_HZ) -> bytes:
    """Digital silence: int16 mono PCM."""
    return bytes(2 * (rate_hz * ms // 1000))


@dataclass(frozen=True, slots=True)
class LoudFrame:
    """16 ms of sound, or of silence."""

    probability: float

    def is_voiced(self) -> bool:
        return self.probability > 0


class LoudnessActivity:
    """Voice activity for tests: whatever is loud is speech."""

    FRAME_SAMPLES = 256

    def __init__(self) -> None:
        self._rest = b""

    def frames(self, pcm16: bytes) -> list["LoudFrame"]:
        samples = np.frombuffer(self._rest + pcm16, np.int16)
        whole = len(samples) // self.FRAME_SAMPLES * self.FRAME_SAMPLES
        self._rest = samples[whole:].tobytes()
        frames = samples[:whole].reshape(-1, self.FRAME_SAMPLES).astype(np.float64)
        return [LoudFrame(float(level > 500)) for level in np.abs(frames).mean(axis=1)]


class QueuedEars:
    """Recognises the next of the texts it was given."""

    def __init__(self, *texts: str) -> None:
        self.texts = deque(texts)
        self.heard: list[bytes] = []

    @property
    def idle(self) -> bool:
        return False  # no work that is only nice to have: the texts would be used up

    async def transcribe(self, pcm16: bytes) -> Transcript:
        self.heard.append(pcm16)
        return Transcript(self.texts.popleft() if self.texts else "")


class ToneVoice:
    """Every sentence is a tone of the same length, in chunks of 200 ms."""

    def __init__(self, sentence_ms: int = 400) -> None:
        self.sentence_ms = sentence_ms
        self.spoken: list[str] = []
        self.voices: list[str | None] = []

    async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
        self.spoken.append(sentence)
        self.voices.append(voice_id)
        for _ in range(self.sentence_ms // 200):
            await asyncio.sleep(0)
            yield tone(200, VOICE_RATE_HZ)


Steps = Iterable[Action | asyncio.Event | Exception]
"""What a mind does; it waits for an event before it goes on, and fails with an exception."""


class RuleMind:
    """Answers by rules, and remembers what it was told.

    Args:
        reply: the steps that answer the last words of the caller
        after_tool: the steps that follow the outcome of a tool
    """

    def __init__(
        self,
        reply: Callable[[str], Steps],
        *,
        after_tool: Callable[[ToolOutcome], Steps] = lambda _: (),
        greeting: str | None = None,
    ) -> None:
        self._reply = reply
        self._after_tool = after_tool
        self._greeting = greeting
        self.closed = False
        self.prompts: list[Prompt] = []
        self.outcomes: list[ToolOutcome] = []

    def conversation(self) -> "RuleMind":
        return self

    async def speak_up(self, prompt: Prompt, occasion: Occasion) -> AsyncIterator[Action]:
        self.prompts.append(prompt)
        text = self._greeting if occasion == "greeting" else standard_sentence(occasion)
        if text:
            yield Say(text.format(**prompt.variables))

    def reply(self, prompt: Prompt) -> AsyncIterator[Action]:
        self.prompts.append(prompt)
        return _taken(self._reply(prompt.last_heard()))

    def after_tool(
        self, prompt: Prompt, call: CallTool, outcome: ToolOutcome
    ) -> AsyncIterator[Action]:
        del call
        self.prompts.append(prompt)
        self.outcomes.append(outcome)
        return _taken(self._after_tool(outcome))

    async def close(self) -> None:
        self.closed = True


async def _taken(steps: Steps) -> AsyncIterator[Action]:
    for step in steps:
        if isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, Exception):
            raise step
        else:
            yield step
