"""Who speaks when, told by loudness alone: good enough for a clean simulated line.

Time is the number of 20 ms frames heard.
"""

import audioop
from dataclasses import dataclass

from evibridge.audio.g711 import mulaw_to_pcm16
from evibridge.emulators.twilio_media import FRAME_MS

LOUD_RMS = 300
"""Of 32767: -41 dB, above line noise and far below a voice."""
ONSET_MS = 40
"""A single loud frame is a click."""
PAUSE_MS = 500
"""A shorter pause belongs to the same speech."""


@dataclass(frozen=True, slots=True)
class Span:
    """From the first to the last loud frame of a speech."""

    start_ms: int
    end_ms: int


def is_loud(mulaw: bytes) -> bool:
    """Whether a frame of 8 kHz mu-law is louder than noise on the line."""
    return audioop.rms(mulaw_to_pcm16(mulaw), 2) >= LOUD_RMS


class SpeechDetector:
    """Hears one side of a call frame by frame."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.finished: list[Span] = []
        self._loud_from_ms: int | None = None
        self._loud_until_ms = 0
        self._onset_ms: int | None = None

    @property
    def speaking_since_ms(self) -> int | None:
        """When the speech that goes on now began; None while nobody speaks."""
        return self._onset_ms

    @property
    def last_onset_ms(self) -> int | None:
        """When the present speech began, or the last one; None if there was none yet."""
        if self._onset_ms is not None:
            return self._onset_ms
        return self.finished[-1].start_ms if self.finished else None

    @property
    def quiet_ms(self) -> int:
        """Time since the last loud frame."""
        return self.now_ms - self._loud_until_ms

    def hear(self, mulaw: bytes) -> None:
        """Take the next 20 ms."""
        began_ms = self.now_ms
        self.now_ms += FRAME_MS
        if is_loud(mulaw):
            if self._loud_from_ms is None:
                self._loud_from_ms = began_ms
            self._loud_until_ms = self.now_ms
            if self.now_ms - self._loud_from_ms >= ONSET_MS and self._onset_ms is None:
                self._onset_ms = self._loud_from_ms
        elif self._onset_ms is None:
            self._loud_from_ms = None
        elif self.quiet_ms >= PAUSE_MS:
            self.end()

    def end(self) -> None:
        """The line is gone: a speech that goes on is over."""
        if self._onset_ms is not None:
            self.finished.append(Span(self._onset_ms, self._loud_until_ms))
        self._loud_from_ms = self._onset_ms = None
