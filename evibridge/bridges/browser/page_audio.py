"""Audio between a page, at the rates that its `hello` names, and its call."""

from evibridge.audio.resample import Resampler
from evibridge.bridges.browser.call_audio import RATE_HZ, AgentAudio
from evibridge.errors import BadAudio

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
        agent = AgentAudio(playback_hz)
        self.for_page, self.clear = agent.for_page, agent.clear
