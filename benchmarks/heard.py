"""When a caller hears an answer, and what all callers of a run have measured."""

from dataclasses import dataclass
from math import ceil

from benchmarks.sound import louder_from_ms

FRAME_MS = 20
"""What a telephone sends and counts audio in."""


class Ear:
    """Plays what comes in as a telephone does, and times answers to questions.

    Audio is played in order and in real time, from the moment it is there. So a delay stays: what
    arrives late once makes everything after it late, until the sender pauses.

    Args:
        level: an answer begins where it is louder than this, in int16
    """

    def __init__(self, level: int) -> None:
        self._level = level
        self.played_until_s = 0.0
        self.audio_ms = 0.0
        self.waited_ms: list[float] = []
        self._asked_at_s: float | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a question has no answer yet: only then it matters how audio sounds."""
        return self._asked_at_s is not None

    def ask(self, now_s: float) -> None:
        """A question ends now; an earlier one that has no answer yet stays open."""
        if self._asked_at_s is None:
            self._asked_at_s = now_s

    def forget(self, now_s: float) -> None:
        """What is not played yet never is."""
        self.played_until_s = min(self.played_until_s, now_s)

    def play(self, duration_ms: float, now_s: float) -> float:
        """Audio has come in, however it sounds; returns when it begins to be played."""
        begins_s = max(self.played_until_s, now_s)
        self.played_until_s = begins_s + duration_ms / 1000
        self.audio_ms += duration_ms
        return begins_s

    def hear(self, pcm16: bytes, rate_hz: int, now_s: float) -> None:
        """Audio has come in: int16 mono PCM."""
        begins_s = self.play(len(pcm16) * 500 / rate_hz, now_s)
        if self._asked_at_s is None:
            return
        loud_ms = louder_from_ms(pcm16, rate_hz, self._level)
        if loud_ms is not None:
            self.waited_ms.append((begins_s - self._asked_at_s) * 1000 + loud_ms)
            self._asked_at_s = None


@dataclass(frozen=True, slots=True)
class CallersReport:
    """What the callers of one program did and heard; audio is of all of them, in whole frames."""

    said_ms: int
    """Warm-up included, as in the two below."""
    owed_ms: int
    """What the agent has to say if everything was understood."""
    heard_ms: int
    answers_heard_after_ms: list[float]
    """From each loud frame until its loud answer was played, after the warm-up."""
    late_p99_ms: float
    """How late the callers themselves were: noise of the machine."""


def in_whole_frames(audio_ms: float) -> int:
    """The length of audio with its last frame complete.

    What a filter holds back at the end of a call, less than a frame, is not lost.
    """
    return ceil(round(audio_ms / FRAME_MS, 6)) * FRAME_MS


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all values does not exceed; NaN without values."""
    if not values:
        return float("nan")
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
