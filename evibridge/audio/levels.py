"""How loud the two sides of a call are, for meters."""

from typing import NamedTuple

import numpy as np

WINDOW_MS = 50
"""20 levels a second."""
_FRAME_BYTES = 4
_FULL_SCALE = 32768


class Levels(NamedTuple):
    """RMS of both sides in the same 50 ms, from 0 to 1 (full scale)."""

    caller: float
    agent: float


class LevelMeter:
    """Measures one stream of int16 stereo PCM: left the caller, right the agent.

    Args:
        rate_hz: of each side
    """

    __slots__ = ("_rest", "_window")

    def __init__(self, rate_hz: int) -> None:
        self._window = rate_hz * WINDOW_MS // 1000
        self._rest = b""

    def levels_of(self, stereo16: bytes) -> list[Levels]:
        """Levels of all windows that this piece of whole frames makes complete, oldest first."""
        stereo16 = self._rest + stereo16
        windows = len(stereo16) // (self._window * _FRAME_BYTES)
        used = windows * self._window * _FRAME_BYTES
        self._rest = stereo16[used:]
        samples = np.frombuffer(stereo16[:used], np.int16).reshape(windows, self._window, 2)
        power = np.square(samples, dtype=np.float64).mean(axis=1)
        return [Levels(*sides) for sides in (np.sqrt(power) / _FULL_SCALE).tolist()]
