"""Hearing in one chat: from bytes of audio to what the caller said."""

import asyncio
from typing import Protocol

import structlog

from evibridge.engine.audio_in import CallerAudio, RecentAudio
from evibridge.engine.chat_settings import AudioFormat
from evibridge.engine.ears import Ears, VoiceActivity
from evibridge.engine.tasks import OwnedTasks
from evibridge.engine.turns import AgentInterrupted, TurnDetector, TurnTaking
from evibridge.engine.utterances import Abandon, Heard, Recognise, Utterances

RECOGNITION_TIMEOUT_S = 30.0
"""The ears of all chats share their workers: with longer queues the conversation is lost."""
KEPT_IN_SILENCE_MS = 2_000
"""Audio kept while nobody speaks: an utterance reaches back by its padding, 1 s at most."""


log = structlog.get_logger()


class Listener(Protocol):
    """Who is told what the caller does."""

    def agent_is_speaking(self) -> bool:
        """Tell whether speech of the caller is an interruption now."""

    def caller_interrupts(self) -> None:
        """The caller has spoken over the agent for long enough."""

    def caller_said(self, text: str, begin_ms: int, end_ms: int) -> None:
        """An utterance is over; times are positions in the audio of the chat."""


class Hearing:
    """Decodes, finds speech and concludes turns at once; recognises in tasks."""

    def __init__(
        self, ears: Ears, turn_taking: TurnTaking, listener: Listener, tasks: OwnedTasks
    ) -> None:
        self._ears = ears
        self._listener = listener
        self._tasks = tasks
        self._audio = CallerAudio()
        self._recent = RecentAudio()
        self._voice_activity = VoiceActivity()
        self._turns = TurnDetector(turn_taking)
        self._utterances = Utterances()
        self._recognitions: dict[int, asyncio.Task[None]] = {}

    @property
    def position_ms(self) -> int:
        """How much audio of the caller there has been."""
        return self._recent.end_ms

    def announce(self, audio: AudioFormat) -> None:
        """Take all that follows as PCM of this format.

        Raises:
            BadAudio: the format cannot be decoded; the one before stays
        """
        self._audio.announce(audio)

    def take(self, data: bytes) -> None:
        """Hear the next bytes of the stream.

        Raises:
            BadAudio: they cannot be understood, and are dropped
        """
        pcm16 = self._audio.decode(data)
        self._recent.append(pcm16)
        for probability in self._voice_activity.probabilities(pcm16):
            speaking = self._listener.agent_is_speaking()
            for fact in self._turns.heard(probability, agent_speaking=speaking):
                if isinstance(fact, AgentInterrupted):
                    self._listener.caller_interrupts()
                else:
                    self._follow(self._utterances.told(fact))
        if not self._utterances.open:
            self._recent.forget_before(self._recent.end_ms - KEPT_IN_SILENCE_MS)

    def _follow(self, steps: list[Recognise | Abandon | Heard]) -> None:
        for step in steps:
            match step:
                case Recognise(number, begin_ms, end_ms):
                    pcm16 = self._recent.between(begin_ms, end_ms)
                    recognition = self._tasks.start(self._recognise(number, pcm16))
                    self._recognitions[number] = recognition
                case Abandon(number):
                    abandoned = self._recognitions.pop(number, None)
                    if abandoned is not None:
                        abandoned.cancel()
                case Heard(text, begin_ms, end_ms):
                    self._listener.caller_said(text, begin_ms, end_ms)

    async def _recognise(self, number: int, pcm16: bytes) -> None:
        text = ""
        try:
            async with asyncio.timeout(RECOGNITION_TIMEOUT_S):
                text = (await self._ears.transcribe(pcm16)).text
        except TimeoutError:  # one utterance is lost, not the chat
            log.warning("recognition_too_slow")
        self._recognitions.pop(number, None)
        self._follow(self._utterances.recognised(number, text))
