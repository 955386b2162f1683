"""Audio of a call from the browser: its one rate, and the agent's voice on its way to a page."""

from collections.abc import Callable

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav

RATE_HZ = 16_000
"""Of the caller's audio for the call, on every transport, and of what is listened to."""
REAL_TIME = 1.5
"""How fast a page may send audio in the long run: its clock is not ours."""
BURST_S = 2.0
"""Audio that may come at once, when the network has stalled, or be missing."""
QUIET_S = 0.2
"""After so long without sound from the page, the call is given silence: EVI's clock is the caller's
audio. A network that is only late seldom is by so much."""


class AgentAudio:
    """Converts what the EVI server sends, a WAV file at a time.

    Args:
        playback_hz: in which the page wants it, a rate that can be converted to
    """

    def __init__(self, playback_hz: int) -> None:
        self._playback_hz = playback_hz
        self._agent_hz = 0
        self._to_page = self._to_tap = Resampler(playback_hz, playback_hz)

    def for_page(self, wav: bytes, tap: Callable[[bytes], None] | None) -> bytes:
        """Return the samples of a WAV file: int16 mono PCM at `playback_hz`.

        Args:
            wav: of any rate that can be converted
            tap: is given it at `RATE_HZ`

        Raises:
            BadAudio: the file cannot be played
        """
        parsed = parse_wav(wav)
        if parsed.rate_hz != self._agent_hz:
            to_page = Resampler(parsed.rate_hz, self._playback_hz)
            self._to_tap = Resampler(parsed.rate_hz, RATE_HZ)
            self._to_page, self._agent_hz = to_page, parsed.rate_hz
        pcm16 = mono_pcm16(parsed)
        if tap is not None:
            tap(self._to_tap.process(pcm16))
        return self._to_page.process(pcm16)

    def clear(self) -> None:
        """What comes next starts with clean filters."""
        self._to_page.reset()
        self._to_tap.reset()
