"""Hearing in one chat: from bytes of audio to what the caller said."""

import asyncio
from typing import Protocol

import structlog

from evibridge.engine.chat.chat_settings import AudioFormat
from evibridge.engine.hearing.audio_in import CallerAudio, RecentAudio
from evibridge.engine.hearing.ears import Ears, VoiceActivity
from evibridge.engine.hearing.turns import AgentInterrupted, TurnDetector, TurnTaking
from evibridge.engine.hearing.utterances import (
    Abandon,
    Heard,
    HeardSoFar,
    Recognise,
    Step,
    TurnOver,
    Utterances,
)
from evibridge.engine.tasks import OwnedTasks
from evibridge.errors import Overloaded, UpstreamFailed

RECOGNITION_TIMEOUT_S = 10.0
"""A caller who waits longer has said it again or hung up."""
KEPT_IN_SILENCE_MS = 2_000
"""Audio kept while nobody speaks: an utterance reaches back by its padding, 1 s at most."""


log = structlog.get_logger()


class Listener(Protocol):
    """Who is told what the caller does; times are positions in the audio of the chat.

    A turn is told as the utterances of it that held words, in their order, and then what came of
    it: `turn_ended`, `not_heard` or `interruption_was_noise`, or nothing where nothing happened.
    """

    def agent_is_speaking(self) -> bool:
        """Tell whether speech of the caller is an interruption now."""

    def caller_interrupts(self) -> None:
        """The caller has spoken over the agent for long enough."""

    def caller_is_saying(self, text: str, begin_ms: int, end_ms: int) -> None:
        """A provisional text of an utterance; `caller_said` of the same utterance follows."""

    def caller_said(self, text: str, begin_ms: int, end_ms: int) -> None:
        """An utterance is over; the turn may go on with another."""

    def turn_ended(self) -> None:
        """The caller has said something and waits for an answer."""

    def not_heard(self) -> None:
        """A turn is over of which nothing was understood, because recognition has failed."""

    def interruption_was_noise(self) -> None:
        """What interrupted the agent held no words."""


class Hearing:
    """Decodes, finds speech and concludes turns at once; recognises in tasks.

    Args:
        interim: whether `caller_is_saying` is told; it costs recognitions, of idle ears only
    """

    def __init__(
        self,
        ears: Ears,
        turn_taking: TurnTaking,
        listener: Listener,
        tasks: OwnedTasks,
        *,
        interim: bool,
    ) -> None:
        self._ears = ears
        self._listener = listener
        self._tasks = tasks
        self._audio = CallerAudio()
        self._recent = RecentAudio()
        self._voice_activity = VoiceActivity()
        self._turns = TurnDetector(turn_taking)
        self._utterances = Utterances(interim=interim)
        self._recognitions: dict[int, asyncio.Task[None]] = {}

    @property
    def position_ms(self) -> int:
        """How much audio of the caller there has been."""
        return self._recent.end_ms

    @property
    def caller_is_speaking(self) -> bool:
        """True from the first sound of a turn until all of it has been told."""
        return self._utterances.in_turn

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
        for frame in self._voice_activity.frames(pcm16):
            speaking = self._listener.agent_is_speaking()
            for fact in self._turns.heard(frame, agent_speaking=speaking):
                if isinstance(fact, AgentInterrupted):
                    self._listener.caller_interrupts()
                self._follow(self._utterances.told(fact))
        if self._ears.idle:
            self._follow(self._utterances.so_far(self._recent.end_ms))
        if not self._utterances.open:
            self._recent.forget_before(self._recent.end_ms - KEPT_IN_SILENCE_MS)

    def _follow(self, steps: list[Step]) -> None:
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
                case HeardSoFar(text, begin_ms, end_ms):
                    self._listener.caller_is_saying(text, begin_ms, end_ms)
                case Heard(text, begin_ms, end_ms):
                    self._listener.caller_said(text, begin_ms, end_ms)
                case TurnOver("understood"):
                    self._listener.turn_ended()
                case TurnOver("lost"):
                    self._listener.not_heard()
                case TurnOver():
                    self._listener.interruption_was_noise()

    async def _recognise(self, number: int, pcm16: bytes) -> None:
        text = None
        try:
            async with asyncio.timeout(RECOGNITION_TIMEOUT_S):
                text = (await self._ears.transcribe(pcm16)).text
        except (TimeoutError, UpstreamFailed, Overloaded) as fault:  # one utterance, not the chat
            log.warning("recognition_failed", fault=type(fault).__name__, reason=str(fault))
        self._recognitions.pop(number, None)
        self._follow(self._utterances.recognised(number, text))
