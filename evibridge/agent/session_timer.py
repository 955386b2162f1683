"""The one timer of a call: it goes off when the session next has to be woken."""

import asyncio
from collections.abc import Callable


class SessionTimer:
    """Follows the `next_wake_s` of a session.

    Args:
        loop: by whose clock the session goes
        wake: called when the time has come; must not raise
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._handle: asyncio.TimerHandle | None = None

    def follow(self, at_s: float | None) -> None:
        """Go off at this time of the loop, or not at all; asked after every fact."""
        if self._handle is not None:
            if at_s == self._handle.when():
                return
            self._handle.cancel()
        self._handle = None if at_s is None else self._loop.call_at(at_s, self._go_off)

    def _go_off(self) -> None:
        self._handle = None
        self._wake()
