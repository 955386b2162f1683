"""Audio between a page, at the rates that its `hello` names, and its call."""

from collections.abc import Callable

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.errors import BadAudio

RATE_HZ = 16_000
"""Of the caller's audio for the call, on every transport."""
CAPTURE_RATES_HZ = (8_000, 96_000)
PLAYBACK_RATES_HZ = (8_000, 48_000)
FINE_STEP_HZ, COARSE_STEP_HZ, COARSE_ABOVE_HZ = 50, 100, 24_000
"""Rates of other steps need filters of megabytes; sound cards have none of them."""
AGENT_RATE_HZ = 48_000
"""EVI speaks at this rate; from another one, all that matters is that it can be converted."""
MAX_PIECE_S = 0.12


def check_rates(capture_hz: int, playback_hz: int) -> None:
    """Refuse rates that would cost too much; this costs nothing.

    Raises:
        BadAudio: a rate cannot be used
    """
    for rate_hz, (least_hz, most_hz) in (
        (capture_hz, CAPTURE_RATES_HZ),
        (playback_hz, PLAYBACK_RATES_HZ),
    ):
        step_hz = COARSE_STEP_HZ if rate_hz > COARSE_ABOVE_HZ else FINE_STEP_HZ
        if not least_hz <= rate_hz <= most_hz or rate_hz % step_hz:
            raise BadAudio(
                f"Audio at {rate_hz} Hz is not taken: use a rate from {least_hz} to {most_hz} Hz, "
                f"in steps of {FINE_STEP_HZ} Hz up to {COARSE_ABOVE_HZ} Hz, and of "
                f"{COARSE_STEP_HZ} Hz above."
            )


class PageAudio:
    """Converts both ways, a piece at a time.

    Args:
        capture_hz: of the caller's audio, one that `check_rates` lets pass
        playback_hz: in which the page wants the agent's, likewise
    """

    def __init__(self, capture_hz: int, playback_hz: int) -> None:
        self.capture_hz = capture_hz
        self.playback_hz = playback_hz
        self.max_piece_bytes = 2 * round(MAX_PIECE_S * capture_hz)
        """Of one message of the page."""
        self.for_call = Resampler(capture_hz, RATE_HZ).process
        """The caller's audio: int16 mono PCM at `capture_hz` in, at 16 kHz out."""
        self._agent_hz = AGENT_RATE_HZ
        self._to_page = Resampler(AGENT_RATE_HZ, playback_hz)
        self._to_tap = Resampler(AGENT_RATE_HZ, RATE_HZ)

    def for_page(self, wav: bytes, tap: Callable[[bytes], None] | None) -> bytes:
        """The agent's audio: a WAV file in, int16 mono PCM at `playback_hz` out.

        Args:
            wav: of any rate that can be converted
            tap: is given it at 16 kHz

        Raises:
            BadAudio: the file cannot be played
        """
        parsed = parse_wav(wav)
        if parsed.rate_hz != self._agent_hz:
            to_page = Resampler(parsed.rate_hz, self.playback_hz)
            self._to_tap = Resampler(parsed.rate_hz, RATE_HZ)
            self._to_page, self._agent_hz = to_page, parsed.rate_hz
        pcm16 = mono_pcm16(parsed)
        if tap is not None:
            tap(self._to_tap.process(pcm16))
        return self._to_page.process(pcm16)

    def clear(self) -> None:
        """The agent's next audio starts with clean filters."""
        self._to_page.reset()
        self._to_tap.reset()
