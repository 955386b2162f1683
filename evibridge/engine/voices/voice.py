"""Speaking: sentences in, sound out, a chunk at a time."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Protocol

import numpy as np
import structlog
from hibari import Hibari
from numpy.typing import NDArray

from evibridge.audio.resample import Resampler
from evibridge.engine.voices.spoken_text import spoken_text
from evibridge.engine.workers import Workers
from evibridge.errors import EngineSetupError

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RATE_HZ = 48_000

_CHUNK_BYTES = RATE_HZ * 2 // 5  # 200 ms: on its way early, and few messages a second
_SMALLEST_CHUNK_BYTES = _CHUNK_BYTES // 2

# Brings the voice to the level of telephone speech: -21 dBFS while it speaks, peaks at -1 dBFS.
_GAIN = 1.5

# The model puts 0.3 s of near silence before a sentence and 0.5 s behind it: the caller waits for
# the first, and hears the two between sentences as a hole.
_SILENCE = 0.01
_KEPT_BEFORE_S = 0.03
_KEPT_AFTER_S = 0.15

# About 25 s of speech: bounds how long a worker is busy with a caller who has interrupted.
_MAX_PHONEMES = 400

# A sentence takes some 50 ms: who waits behind 64 others hears three seconds of silence.
_MAX_WAITING_PER_WORKER = 64


class Voice(Protocol):
    """Text to speech, one for all chats of a process."""

    def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
        """Speak one piece of `sentences`; nothing at all for text that has no sound.

        Args:
            sentence: the text
            voice_id: the voice that the client asks for; a voice that knows no such one speaks
                with its own

        Yields:
            int16 mono PCM at 48 kHz, 100 to 500 ms at a time, the last one perhaps less, as soon
            as it exists

        Raises:
            UpstreamFailed: the service that speaks gave no usable answer
            Overloaded: too much waits already to be spoken
        """
        ...


class HibariVoice(Voice):
    """The voice that hibari-tts ships, on this machine's processor.

    A sentence is synthesised in some tens of milliseconds, so that sentences of several chats take
    turns in the workers, the oldest first. A reader that stops reading stops the synthesis.

    Attributes:
        workers: where the synthesis runs, for who measures it
    """

    def __init__(self, hibari: Hibari, *, workers: int) -> None:
        self._hibari = hibari
        self._asked_for_another_voice = False
        most_waiting = workers * _MAX_WAITING_PER_WORKER
        self.workers = Workers(workers, max_waiting=most_waiting, name="voice")

    @classmethod
    def load(cls, *, workers: int = 1) -> "HibariVoice":
        """Load the voice and speak once, silently; blocks for one to two seconds.

        Args:
            workers: how many sentences are synthesised at once, one core each

        Raises:
            EngineSetupError: a file of the voice is missing or damaged
        """
        try:
            hibari = Hibari()
            hibari("Ready.")  # loads the pronunciation too
        except Exception as fault:
            raise EngineSetupError(
                f"The packaged voice cannot be loaded ({fault}): install hibari-tts again."
            ) from fault
        return cls(hibari, workers=workers)

    def close(self) -> None:
        """Free the workers; who still waits is cancelled."""
        self.workers.close()

    async def speak(
        self, sentence: str, voice_id: str | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Speak one piece of `sentences`, see `Voice.speak`; there is one voice for every id."""
        if voice_id is not None and not self._asked_for_another_voice:
            self._asked_for_another_voice = True
            log.info("voice_not_selectable", voice_id=voice_id[:100])
        pcm16, rest = await self.workers.run(self._begin, sentence)
        for chunk in _chunks(pcm16):
            yield chunk
        for phonemes in rest:
            for chunk in _chunks(await self.workers.run(self._synthesise, phonemes)):
                yield chunk

    def _begin(self, sentence: str) -> tuple[bytes, list[str]]:
        """Return the sound of a sentence, and phonemes that are left of a very long one.

        Both steps are one piece of work: what is accepted is spoken.
        """
        parts = self._pronounce(sentence)
        return (self._synthesise(parts[0]) if parts else b"", parts[1:])

    def _pronounce(self, sentence: str) -> list[str]:
        """Turn text into phonemes, cut between words where there are very many."""
        phonemes: str = self._hibari.g2p(spoken_text(sentence))
        if not any(character.isalnum() for character in phonemes):
            return []
        parts = [""]
        for word in phonemes.split():
            if parts[-1] and len(parts[-1]) + 1 + len(word) > _MAX_PHONEMES:
                parts.append("")
            parts[-1] += f" {word}" if parts[-1] else word
        return parts

    def _synthesise(self, phonemes: str) -> bytes:
        samples = _trimmed(self._hibari.from_phonemes(phonemes), self._hibari.sample_rate)
        amplified = (samples * (_GAIN * 32767)).clip(-32768, 32767)
        pcm16 = np.rint(amplified).astype(np.int16).tobytes()
        resampler = Resampler(self._hibari.sample_rate, RATE_HZ)
        return resampler.process(pcm16) + resampler.flush()


def _chunks(pcm16: bytes) -> Iterator[bytes]:
    while len(pcm16) > _CHUNK_BYTES + _SMALLEST_CHUNK_BYTES:
        yield pcm16[:_CHUNK_BYTES]
        pcm16 = pcm16[_CHUNK_BYTES:]
    if pcm16:
        yield pcm16


def _trimmed(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Leave short pauses around the sound: float32 mono at `rate_hz`, full scale 1."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    if not len(loud):
        return samples
    begin = max(0, int(loud[0]) - round(_KEPT_BEFORE_S * rate_hz))
    return samples[begin : int(loud[-1]) + round(_KEPT_AFTER_S * rate_hz)]
