"""Speaking: sentences in, sound out, a chunk at a time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from hibari import Hibari
from numpy.typing import NDArray

from evibridge.audio.resample import Resampler
from evibridge.engine.spoken_text import spoken_text

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


class Voice(Protocol):
    """Text to speech, one for all chats of a process."""

    def speak(self, sentence: str) -> AsyncIterator[bytes]:
        """Speak one piece of `sentences`; nothing at all for text that has no sound.

        Yields:
            int16 mono PCM at 48 kHz, 100 to 500 ms at a time, as soon as it exists
        """
        ...


class HibariVoice(Voice):
    """The voice that hibari-tts ships, on this machine's processor.

    A sentence is synthesised in some tens of milliseconds, so that sentences of several chats take
    turns in the workers, the oldest first. A reader that stops reading stops the synthesis.
    """

    def __init__(self, hibari: Hibari, *, workers: int) -> None:
        self._hibari = hibari
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="voice")

    @classmethod
    def load(cls, *, workers: int = 1) -> "HibariVoice":
        """Load the voice and speak once, silently; blocks for one to two seconds."""
        hibari = Hibari()
        hibari("Ready.")  # loads the pronunciation too
        return cls(hibari, workers=workers)

    def close(self) -> None:
        """Free the workers; who still waits is cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def speak(self, sentence: str) -> AsyncGenerator[bytes, None]:
        """Speak one piece of `sentences`, see `Voice.speak`."""
        loop = asyncio.get_running_loop()
        for phonemes in await loop.run_in_executor(self._pool, self._pronounce, sentence):
            pcm16 = await loop.run_in_executor(self._pool, self._synthesise, phonemes)
            while len(pcm16) > _CHUNK_BYTES + _SMALLEST_CHUNK_BYTES:
                yield pcm16[:_CHUNK_BYTES]
                pcm16 = pcm16[_CHUNK_BYTES:]
            yield pcm16

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


def _trimmed(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """Leave short pauses around the sound: float32 mono at `rate_hz`, full scale 1."""
    loud = np.flatnonzero(np.abs(samples) > _SILENCE)
    if not len(loud):
        return samples
    begin = max(0, int(loud[0]) - round(_KEPT_BEFORE_S * rate_hz))
    return samples[begin : int(loud[-1]) + round(_KEPT_AFTER_S * rate_hz)]
