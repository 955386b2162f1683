"""Both sides of a call as one stereo sound, in step with the clock.

What a side brings does not come in step: the caller's pieces are late, or many at once, and the
clock they were made by runs faster or slower than ours; the agent's voice is queued far ahead of
when it is heard. Here each gets its place, counted in frames from the beginning, so that a frame's
number is the time that has passed: there is nothing to drift.

**The caller's pieces** follow each other without a seam as long as that puts them within `JITTER_S`
of their arrival; a piece was over when it arrived. Beyond `LEAN_S`, which is where the other clock
takes them sooner or later, each piece is made one sample longer or shorter, where two neighbours
are most alike: that makes up for 6000 ppm at 8 kHz, and is not heard. Beyond `JITTER_S`

- too late, there was a stall. Its silence is left, and the piece begins a new stretch at its
  arrival. If more come than time passes, they were not lost but held up: the stretch moves back
  into that silence, as far as nobody has taken it.
- too early, more has come than time has passed: what is too much of the piece is dropped.

**The agent's voice** is heard as a carrier plays it: behind what is queued, or at once if nothing
is, until it is cleared.
"""

import numpy as np
from numpy.typing import NDArray

JITTER_S = 0.22
"""How far a piece may be from its arrival. Gaps of up to 233 ms between pieces of 20 ms were
measured on streams that live, and nothing was lost in them."""
LEAN_S = 0.06
"""More than the ordinary jitter of a stream: what goes beyond is led back."""
MAX_CALLER_UNTAKEN_S = 60.0
"""Nobody takes, or is far behind after the process was stopped, if so much waits: what the caller
says then is dropped."""
MAX_AGENT_UNTAKEN_S = 600.0
"""Twilio's own buffer holds 10 minutes; what is queued behind is dropped."""

LEFT, RIGHT = 0, 1


class _Track:
    """One side, int16 mono, from the frame up to which it was taken."""

    __slots__ = ("_sound", "taken")

    def __init__(self) -> None:
        self._sound = bytearray()
        self.taken = 0

    @property
    def end(self) -> int:
        """The first frame that is not laid yet."""
        return self.taken + len(self._sound) // 2

    def lay(self, pcm16: bytes) -> None:
        """Sound, at `end`."""
        self._sound += pcm16

    def lay_silence(self, until: int) -> int:
        """Silence from `end` to this frame; returns how many frames of it there are."""
        frames = max(0, until - self.end)
        self._sound += bytes(2 * frames)
        return frames

    def cut(self, end: int) -> None:
        """Drop what was laid at `end` and behind; what was taken remains."""
        del self._sound[2 * max(0, end - self.taken) :]

    def close_gap(self, begin: int, end: int) -> None:
        """Drop these frames, so that what is behind them moves up."""
        del self._sound[2 * (begin - self.taken) : 2 * (end - self.taken)]

    def take(self, frames: int) -> NDArray[np.int16]:
        """The next frames, or as many as were laid; the others are silence."""
        sound = self._sound[: 2 * frames]
        del self._sound[: 2 * frames]
        self.taken += frames
        return np.frombuffer(sound, np.int16)


class Timeline:
    """The sound of a call, from `begin_s` on. Time is an argument, in seconds, and never goes back.

    Args:
        rate_hz: of both sides
        begin_s: when frame 0 is heard
    """

    __slots__ = (
        "_agent",
        "_begin_s",
        "_caller",
        "_is_dry",
        "_jitter",
        "_lean",
        "_max_agent",
        "_max_caller",
        "_rate_hz",
        "_slack",
        "_stretch_begin",
    )

    def __init__(self, rate_hz: int, begin_s: float) -> None:
        self._rate_hz = rate_hz
        self._begin_s = begin_s
        self._jitter = round(JITTER_S * rate_hz)
        self._lean = round(LEAN_S * rate_hz)
        self._max_caller = round(MAX_CALLER_UNTAKEN_S * rate_hz)
        self._max_agent = round(MAX_AGENT_UNTAKEN_S * rate_hz)
        self._caller = _Track()
        self._agent = _Track()
        self._is_dry = True
        """Whether silence was taken where the caller's next piece might have followed."""
        self._stretch_begin = 0
        """Where the caller's pieces began to follow each other without a seam."""
        self._slack = 0
        """By how many frames that stretch may still move back into the silence before it."""

    def caller(self, pcm16: bytes, now_s: float) -> None:
        """A piece of the caller's voice has come: whole samples of int16 mono PCM."""
        track = self._caller
        now = self._frame(now_s)
        if now - track.taken > self._max_caller:
            return
        arrival = now - len(pcm16) // 2
        ahead = track.end - arrival
        if self._is_dry or ahead < -self._jitter:
            ahead = self._begin_stretch(arrival)
        elif ahead > 0:
            ahead -= self._move_back(ahead)
        if ahead > self._jitter:
            pcm16 = pcm16[2 * (ahead - self._jitter) :]
        elif ahead > self._lean:
            pcm16 = _shorter(pcm16)
        elif ahead < -self._lean:
            pcm16 = _longer(pcm16)
        self._slack = min(self._slack, self._jitter + ahead)
        track.lay(pcm16)

    def agent(self, pcm16: bytes, now_s: float) -> None:
        """A piece of the agent's voice is queued: whole samples of int16 mono PCM."""
        track = self._agent
        now = self._frame(now_s)
        room = track.taken + self._max_agent - max(now, track.end)
        if room > 0:
            track.lay_silence(until=now)
            track.lay(pcm16[: 2 * room])

    def clear(self, now_s: float) -> None:
        """What is queued of the agent's voice is dropped, and not heard from now on."""
        self._agent.cut(self._frame(now_s))

    def untaken(self, now_s: float) -> int:
        """Frames that have passed and were not taken."""
        return self._frame(now_s) - self._caller.taken

    def take(self, until_s: float) -> bytes:
        """All frames from the last take to this time: int16 stereo, caller left, agent right.

        What comes for them later is too late. A caller's piece can come `JITTER_S` and its own
        length after the frame that it belongs to.
        """
        frames = self.untaken(until_s)
        if frames <= 0:
            return b""
        self._is_dry |= self._caller.end < self._caller.taken + frames
        stereo = np.zeros((frames, 2), np.int16)
        for side, track in ((LEFT, self._caller), (RIGHT, self._agent)):
            sound = track.take(frames)
            stereo[: len(sound), side] = sound
        return stereo.tobytes()

    def _frame(self, at_s: float) -> int:
        return round((at_s - self._begin_s) * self._rate_hz)

    def _begin_stretch(self, arrival: int) -> int:
        """Leave silence up to this arrival; returns how far ahead of it the track ends then."""
        track = self._caller
        self._slack = min(track.lay_silence(until=arrival), self._jitter)
        self._stretch_begin = track.end
        self._is_dry = False
        return track.end - arrival

    def _move_back(self, wanted: int) -> int:
        """Take silence away before the stretch; returns how many frames there were of it."""
        begin = self._stretch_begin
        frames = min(wanted, self._slack, begin - self._caller.taken)
        if frames <= 0:
            return 0
        self._caller.close_gap(begin - frames, begin)
        self._stretch_begin -= frames
        self._slack -= frames
        return frames


def _shorter(pcm16: bytes) -> bytes:
    """Without one sample."""
    at = _smoothest(pcm16)
    return pcm16[:at] + pcm16[at + 2 :]


def _longer(pcm16: bytes) -> bytes:
    """With one sample twice."""
    at = _smoothest(pcm16)
    return pcm16[: at + 2] + pcm16[at:]


def _smoothest(pcm16: bytes) -> int:
    """Where in these bytes the sample is that differs least from the next one."""
    samples = np.frombuffer(pcm16, np.int16).astype(np.int32)
    return 2 * int(np.argmin(np.abs(samples[1:] - samples[:-1]))) if len(samples) > 1 else 0
