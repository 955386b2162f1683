"""What was heard at a page."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evibridge.audio.resample import Resampler
from evibridge.engine.hearing.ears import WhisperEars
from evibridge.engine.hearing.whisper import RATE_HZ

QUIET = 300
"""Below this level nobody speaks."""
PIECE_S = 0.01
"""Browsers hand out audio in pieces of this length."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Sound in the order in which it was heard.

    Attributes:
        pieces: int16 mono PCM at `rate_hz`, one row for each 10 ms
        arrived_ms: page time of each of them
    """

    rate_hz: int
    pieces: NDArray[np.int16]
    arrived_ms: NDArray[np.float64]

    @classmethod
    def of(cls, recordings: Sequence[dict[str, Any]]) -> Self:
        """What the observer in the page has recorded; a recording of mere silence is left out."""
        sounding = [
            cls(
                recording["rateHz"],
                np.frombuffer(base64.b64decode(recording["base64"]), np.int16).reshape(
                    len(recording["arrivedMs"]), -1
                ),
                np.array(recording["arrivedMs"]),
            )
            for recording in recordings
            if recording["arrivedMs"]
        ]
        sounding = [each for each in sounding if each.is_loud.any()]
        assert sounding, "nothing was heard"
        assert len({each.rate_hz for each in sounding}) == 1
        order = np.argsort(np.concatenate([each.arrived_ms for each in sounding]), kind="stable")
        return cls(
            sounding[0].rate_hz,
            np.concatenate([each.pieces for each in sounding])[order],
            np.concatenate([each.arrived_ms for each in sounding])[order],
        )

    @property
    def is_loud(self) -> NDArray[np.bool_]:
        """Whether somebody speaks, for each piece."""
        loud: NDArray[np.bool_] = np.abs(self.pieces.astype(np.int32)).max(axis=1) > QUIET
        return loud

    def since(self, ms: float) -> Self:
        """What was heard from this page time on."""
        later = self.arrived_ms >= ms
        return type(self)(self.rate_hz, self.pieces[later], self.arrived_ms[later])

    def stops_ms(self, quiet_s: float) -> float:
        """Page time of the last sound before the first silence that is at least so long."""
        quiet = round(quiet_s / PIECE_S)
        loud = np.flatnonzero(self.is_loud)
        assert len(loud), "nothing was heard"
        gaps = np.diff([*loud, len(self.pieces)])
        assert gaps.max() > quiet, "it never was silent"
        return float(self.arrived_ms[loud[np.argmax(gaps > quiet)]])

    async def words(self, ears: WhisperEars) -> str:
        """What the recogniser understands of it."""
        pcm16 = Resampler(self.rate_hz, RATE_HZ).process(self.pieces.tobytes())
        return (await ears.transcribe(pcm16)).text
