"""Silence for EVI while nothing comes from the caller.

EVI's clock is the caller's audio: a page without a microphone, one whose microphone was taken away,
or one that is asleep would stop it, and with it the agent.
"""

import asyncio
from collections.abc import Callable

from evibridge.bridges.browser.call_audio import QUIET_S

PIECE_S = 0.1
"""EVI asks for pieces of 20 to 100 ms."""


class SilenceFiller:
    """Hands on silence in real time from when nothing was heard for 200 ms until something is.

    A timer looks each 100 ms, so that a piece of audio costs no more than to note the time.

    Args:
        loop: whose clock is used
        call_audio: takes 100 ms of int16 mono PCM at `rate_hz`
        rate_hz: of the call
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, call_audio: Callable[[bytes], None], rate_hz: int
    ) -> None:
        self._loop = loop
        self._call_audio = call_audio
        self._piece = bytes(2 * round(PIECE_S * rate_hz))
        self._heard_s = 0.0
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def heard(self) -> None:
        """A piece of the caller's audio has come."""
        self._heard_s = self._loop.time()

    def start(self) -> None:
        """Watch from now on."""
        self.stop()
        self._heard_s = self._due_s = self._loop.time()
        self._arm()

    def stop(self) -> None:
        """Hand nothing on any more, until the next `start`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._due_s += PIECE_S
        self._timer = self._loop.call_at(self._due_s, self._look)

    def _look(self) -> None:
        now_s = self._loop.time()
        self._due_s = max(self._due_s, now_s - PIECE_S)  # what a stalled process left out stays out
        self._arm()
        if now_s - self._heard_s >= QUIET_S:
            self._call_audio(self._piece)
