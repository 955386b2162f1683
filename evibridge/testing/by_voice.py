"""A call by real sound: the caller's sentences are spoken, and the agent's are recognised."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from evibridge.agent.definition import Agent
from evibridge.audio.resample import Resampler
from evibridge.emulators.call_report import CallReport
from evibridge.emulators.caller import Speech, conversation
from evibridge.emulators.twilio import TwilioPhone
from evibridge.engine.hearing.ears import WhisperEars
from evibridge.engine.hearing.whisper import RATE_HZ as EARS_RATE_HZ
from evibridge.engine.voices.voice import RATE_HZ as VOICE_RATE_HZ
from evibridge.engine.voices.voice import HibariVoice
from evibridge.events import EndReason
from evibridge.testing.attentive_mind import mind_of
from evibridge.testing.fakes import CALLED, CALLER
from evibridge.testing.record import CallRecord, ToolUse
from evibridge.testing.running import running_service

PHONE_RATE_HZ = 8000
END_TIMEOUT_S = 5.0
"""For the service to notice that the caller has hung up."""


@dataclass(frozen=True, slots=True)
class VoiceReport:
    """What has come of a call by voice.

    Attributes:
        heard: what reached the caller, stretch by stretch, as a recogniser writes it down: numbers
            and names may be written in other ways
        said: the agent's sentences
        called: the tools that the agent has called
        ended: why the call is over
    """

    heard: list[str]
    said: list[str]
    called: list[ToolUse]
    ended: EndReason | None


@dataclass(frozen=True, slots=True)
class SpeechModels:
    """The models of the engine, which serve the agent and the caller alike."""

    ears: WhisperEars
    voice: HibariVoice

    @classmethod
    def load(cls) -> "SpeechModels":
        """Load both; blocks for some seconds.

        Raises:
            EngineSetupError: a model is missing or damaged
        """
        ears = WhisperEars.load()
        try:
            return cls(ears, HibariVoice.load())
        except BaseException:
            ears.close()
            raise

    def close(self) -> None:
        """Free their threads."""
        self.ears.close()
        self.voice.close()

    async def spoken(self, text: str) -> Speech:
        """A sentence as it is spoken into a telephone.

        Raises:
            ValueError: it has no sound
        """
        resampler = Resampler(VOICE_RATE_HZ, PHONE_RATE_HZ)
        pcm16 = b"".join([resampler.process(chunk) async for chunk in self.voice.speak(text)])
        if not pcm16:
            raise ValueError(f"The caller cannot say {text!r}: it has no sound.")
        return Speech(pcm16 + resampler.flush(), text)

    async def heard(self, report: CallReport) -> list[str]:
        """What the caller has heard of the agent, in words."""
        stretches = [
            Resampler(PHONE_RATE_HZ, EARS_RATE_HZ).process(speech.pcm16_8k)
            for speech in report.agent_speech
        ]
        return [(await self.ears.transcribe(pcm16)).text for pcm16 in stretches]


CallByVoice: TypeAlias = Callable[..., Coroutine[Any, Any, VoiceReport]]
"""The type of `call_by_voice`, and so of the fixture `voice_call`."""


async def call_by_voice(
    agent: Agent,
    says: Sequence[str],
    *,
    caller: str = CALLER,
    called: str = CALLED,
    models: SpeechModels | None = None,
) -> VoiceReport:
    """Call an agent over Twilio's protocol, in a synthetic voice, and hear it out.

    The caller hears the greeting, says one thing after another, each once the one before it is
    answered, and hangs up. It takes the time of the conversation, some ten seconds at least.

    Args:
        agent: with a `script`
        says: what the caller says; nothing at all hears the greeting
        caller: who calls, E.164
        called: the number that is called, E.164
        models: whoever makes several calls loads them once, and closes them; None loads them for
            this call, which takes some seconds

    Raises:
        EngineSetupError: the agent has no script, or it cannot be read; a model is missing
        TypeError: `says` is one text
        ValueError: a sentence has no sound
    """
    if isinstance(says, str):
        raise TypeError(f"The caller says a list of sentences: says=[{says!r}].")
    record = CallRecord()
    mind = mind_of(agent, record)
    async with _loaded(models) as speech:
        script = conversation([await speech.spoken(text) for text in says])
        async with running_service(agent, mind, speech.ears, speech.voice, record) as service:
            url = f"{service.origin}/twilio/voice"
            report = await TwilioPhone(url, from_number=caller, to_number=called).call(script)
            await service.drain(END_TIMEOUT_S)
        heard = await speech.heard(report)
    return VoiceReport(heard, record.said, record.called, record.ended)


@asynccontextmanager
async def _loaded(models: SpeechModels | None) -> AsyncIterator[SpeechModels]:
    if models is not None:
        yield models
        return
    own = await asyncio.to_thread(SpeechModels.load)
    try:
        yield own
    finally:
        own.close()
