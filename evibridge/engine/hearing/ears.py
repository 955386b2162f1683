"""Hearing: where in the caller's audio somebody speaks, and what is said.

`VoiceActivity` runs for every frame of every chat and costs microseconds; `Ears` are asked once per
utterance and cost a good part of a core for a moment, so that all chats share their workers.
"""

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from earshot import Detector
from numpy.typing import NDArray

from evibridge.engine.hearing.voicing import WINDOW_SAMPLES, is_voiced
from evibridge.engine.hearing.whisper import MAX_SECONDS, RATE_HZ, Guess, Whisper
from evibridge.engine.workers import Workers

# Room noise, hum and ringing tones are steady; speech dips within a second or two.
_NOISE_MEMORY_FRAMES = 125  # 2 s
_NOISE_MARGIN_DB = 3.0
_SMOOTHING = 0.5
_PRE_EMPHASIS = 0.9  # speech is told from rumble above some hundred hertz

# Neither measure alone tells speech from noise: a ringing tone may have no_speech 0.5, words in
# noise 0.8, but noise never reads well. Measured doubt: noise from 0.84, good guesses up to 0.76.
_DOUBT_PER_LOGPROB = 0.15
_MAX_DOUBT = 0.82

# An utterance takes 0.12 to 0.3 s: who waits behind 16 others has hung up or said it again.
_MAX_WAITING_PER_WORKER = 16


@dataclass(frozen=True, slots=True)
class HeardFrame:
    """The newest 16 ms of a caller's audio.

    Attributes:
        probability: that somebody speaks in it, 0 to 1
        window: it and the two frames before, int16 mono PCM at 16 kHz
    """

    probability: float
    window: NDArray[np.int16]

    def is_voiced(self) -> bool:
        """Tell whether somebody's voice is in it, see `voicing`."""
        return is_voiced(self.window)


class VoiceActivity:
    """Tells for each 16 ms frame of one caller how probable it is that somebody speaks.

    A frame that hardly rises above the quietest moment of the last two seconds counts as noise
    (probability 0): otherwise loud steady noise on the line would look like speech for ever.
    """

    FRAME_SAMPLES = 256

    def __init__(self) -> None:
        self._detector = Detector()
        self._rest = b""
        self._before = np.zeros(WINDOW_SAMPLES - self.FRAME_SAMPLES, np.int16)
        self._level_db = 0.0
        # The caller may speak at once: before the first frame it was quiet.
        self._levels_db = deque([0.0] * _NOISE_MEMORY_FRAMES, maxlen=_NOISE_MEMORY_FRAMES)

    def frames(self, pcm16: bytes) -> list[HeardFrame]:
        """Take the next audio, int16 mono PCM at 16 kHz of any length.

        Returns:
            the whole frames; what is left over is kept for the next call
        """
        data = self._rest + pcm16
        whole = len(data) - len(data) % (2 * self.FRAME_SAMPLES)
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], np.int16)
        frames = samples.reshape(-1, self.FRAME_SAMPLES)
        line = np.concatenate([self._before, samples])
        self._before = line[len(samples) :]
        return [
            HeardFrame(
                self._detector.predict_i16(frame) * self._rises_above_noise(level_db),
                line[begin : begin + WINDOW_SAMPLES],
            )
            for frame, level_db, begin in zip(
                frames, _levels_db(frames), range(0, len(samples), self.FRAME_SAMPLES), strict=True
            )
        ]

    def _rises_above_noise(self, level_db: float) -> bool:
        self._level_db += _SMOOTHING * (level_db - self._level_db)
        self._levels_db.append(self._level_db)
        return self._level_db > min(self._levels_db) + _NOISE_MARGIN_DB


def _levels_db(frames: NDArray[np.int16]) -> list[float]:
    samples = frames.astype(np.float32)
    emphasised = samples[:, 1:] - _PRE_EMPHASIS * samples[:, :-1]
    levels: list[float] = (10 * np.log10(np.mean(emphasised**2, axis=1) + 1)).tolist()
    return levels


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said; the text is empty when nobody spoke."""

    text: str


class Ears(Protocol):
    """Speech to text, one for all chats of a process."""

    @property
    def idle(self) -> bool:
        """Whether work that is only nice to have may be given now."""
        ...

    async def transcribe(self, pcm16: bytes) -> Transcript:
        """Recognise one utterance, int16 mono PCM at 16 kHz; odd audio gives odd or no text."""
        ...


class WhisperEars(Ears):
    """Whisper on this machine's processor.

    Utterances wait for a worker, the oldest first. One that nobody waits for any more (cancelled)
    leaves the queue.

    Attributes:
        workers: where the recognition runs, for who measures it
    """

    def __init__(self, whisper: Whisper, *, workers: int) -> None:
        self._whisper = whisper
        most_waiting = workers * _MAX_WAITING_PER_WORKER
        self.workers = Workers(workers, max_waiting=most_waiting, name="ears")

    @classmethod
    def load(cls, folder: Path | None = None, *, workers: int = 1) -> "WhisperEars":
        """Load a model; blocks for about a second.

        Args:
            folder: the owner's own model instead of the packaged one, see `Whisper.load`
            workers: how many utterances are recognised at once, one core each

        Raises:
            EngineSetupError: a model file is missing or damaged
        """
        return cls(Whisper.load(folder, workers=workers), workers=workers)

    def close(self) -> None:
        """Free the workers; who still waits is cancelled."""
        self.workers.close()

    @property
    def idle(self) -> bool:
        """Whether a worker is free."""
        return self.workers.idle

    async def transcribe(self, pcm16: bytes) -> Transcript:
        """Recognise an utterance; of more than 30 s only the last 30 s are heard.

        Raises:
            Overloaded: too many utterances wait already
        """
        return Transcript(await self.workers.run(self._recognise, pcm16))

    def _recognise(self, pcm16: bytes) -> str:
        samples = np.frombuffer(pcm16[: len(pcm16) // 2 * 2], np.int16)[-MAX_SECONDS * RATE_HZ :]
        if not samples.any():
            return ""
        guess = self._whisper.recognise(samples.astype(np.float32) / np.float32(32768))
        return guess.text if _believable(guess) else ""


def _believable(guess: Guess) -> bool:
    """Tell speech from what the model invents on noise, such as "you" or "Thank you."."""
    doubt = guess.no_speech - _DOUBT_PER_LOGPROB * guess.mean_logprob
    return doubt < _MAX_DOUBT and any(character.isalnum() for character in guess.text)
