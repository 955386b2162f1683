"""The two ends of a call without sound: an engine's ears and voice, and the caller's side."""

import asyncio
from collections.abc import AsyncIterator, Callable

from evibridge.agent.actions import HangUp
from evibridge.agent.evi_messages import AudioFormat
from evibridge.engine.hearing.ears import Ears, Transcript
from evibridge.engine.voices.voice import RATE_HZ, Voice
from evibridge.testing.record import CallRecord

SENTENCE_MS = 10
"""Length of a sentence of `SilentVoice`: what the engine takes to be its playing."""
PLAYED_MS = 1.0
"""Whatever the caller is played is heard in this time: so short that marks are placed where the
agent's turn ends and nowhere before, unless it says two hundred sentences."""


class DeafEars(Ears):
    """Nobody is understood by them."""

    @property
    def idle(self) -> bool:
        """Never: there is nothing that is nice to have."""
        return False

    async def transcribe(self, pcm16: bytes) -> Transcript:
        """No words."""
        del pcm16
        return Transcript("")


class SilentVoice(Voice):
    """Every sentence is a moment of silence."""

    async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
        """Speak one sentence, see `Voice.speak`."""
        del sentence, voice_id
        yield bytes(2 * RATE_HZ * SENTENCE_MS // 1000)


class ReadingLeg:
    """The side of a caller who reads what the agent says, at once.

    Args:
        record: is told how far the caller is
        on_heard: is told each mark, in a step of the event loop of its own

    Attributes:
        transferred_to: whom the caller was put through to
    """

    audio = AudioFormat(sample_rate=8000)
    can_transfer = True

    def __init__(self, record: CallRecord, on_heard: Callable[[str], None]) -> None:
        self.tap: Callable[[bytes], None] | None = None
        self.transferred_to: str | None = None
        self._record = record
        self._on_heard = on_heard
        self._loop = asyncio.get_running_loop()

    def play(self, wav: bytes) -> float:
        """Take a WAV file, whatever is in it; returns the time in ms that it takes."""
        del wav
        return PLAYED_MS

    def mark(self, name: str) -> None:
        """Report a mark: everything before it has been heard."""
        self._loop.call_soon(self._echo, name, len(self._record.events))

    def clear(self) -> None:
        """Nothing is ever queued."""

    def hang_up(self, how: HangUp) -> None:
        """The call is over."""
        self.transferred_to = how.transfer_to

    def release(self) -> None:
        """No other leg ever takes over."""

    def _echo(self, mark: str, place: int) -> None:
        self._on_heard(mark)
        self._record.caller_heard(place)
