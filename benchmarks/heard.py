"""When a caller hears an answer, and what all callers of a run have measured."""

from dataclasses import dataclass

from benchmarks.sound import louder_from_ms


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

    def ask(self, now_s: float) -> None:
        """A question ends now; an earlier one that has no answer yet stays open."""
        if self._asked_at_s is None:
            self._asked_at_s = now_s

    def forget(self, now_s: float) -> None:
        """What is not played yet never is."""
        self.played_until_s = min(self.played_until_s, now_s)

    def hear(self, pcm16: bytes, rate_hz: int, now_s: float) -> None:
        """Audio has come in: int16 mono PCM."""
        duration_ms = len(pcm16) * 500 / rate_hz
        begins_s = max(self.played_until_s, now_s)
        self.played_until_s = begins_s + duration_ms / 1000
        self.audio_ms += duration_ms
        if self._asked_at_s is None:
            return
        loud_ms = louder_from_ms(pcm16, rate_hz, self._level)
        if loud_ms is not None:
            self.waited_ms.append((begins_s - self._asked_at_s) * 1000 + loud_ms)
            self._asked_at_s = None


@dataclass(frozen=True, slots=True)
class CallersReport:
    """What the callers of one program did and heard."""

    said_ms: float
    """Of all callers, warm-up included."""
    heard_ms: float
    answers_heard_after_ms: list[float]
    """From each loud frame until its loud answer was played, after the warm-up."""
    late_p99_ms: float
    """How late the callers themselves were: noise of the machine."""


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all values does not exceed; NaN without values."""
    if not values:
        return float("nan")
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
