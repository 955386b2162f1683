"""Where a call is listened to: its sound in real time, for who records, hears or measures it."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from evibridge.audio.timeline import JITTER_S, MAX_CALLER_UNTAKEN_S, Timeline

LAG_S = JITTER_S + 0.03
"""How far the sound is behind the call: a piece of 20 ms that comes late still finds its place."""
MAX_PIECE_S = 1.5
"""More than anybody waits for. More is there only if the process was stopped: minutes of sound at
once would hold up every call."""
CATCH_UP_EVERY_S = 0.2
"""How often such a piece is handed out until there is no more: a minute takes 8 s, and neither the
loop nor the disk of a recording has much to do."""
FRAME_BYTES = 4

log = structlog.get_logger(__name__)


class _Listener:
    """A sink, and how much of the next piece it does not get: what was before it listened."""

    __slots__ = ("period_s", "sink", "skipped_bytes")

    def __init__(self, sink: Callable[[bytes], None], period_s: float, skipped_bytes: int) -> None:
        self.sink = sink
        self.period_s = period_s
        self.skipped_bytes = skipped_bytes

    def hear(self, stereo16: bytes) -> None:
        if self.skipped_bytes:
            skipped = min(self.skipped_bytes, len(stereo16))
            self.skipped_bytes -= skipped
            stereo16 = stereo16[skipped:]
        if stereo16:
            self.sink(stereo16)


class CallTap:
    """One for each call, in its event loop; it does nothing while nobody listens.

    Args:
        rate_hz: of both sides
        loop: whose clock the call goes by
    """

    __slots__ = (
        "_due_s",
        "_is_behind",
        "_is_closed",
        "_is_telling",
        "_listeners",
        "_loop",
        "_rate_hz",
        "_timeline",
        "_timer",
        "_told_s",
        "on_use_changed",
    )

    def __init__(self, rate_hz: int, loop: asyncio.AbstractEventLoop) -> None:
        self._rate_hz = rate_hz
        self._loop = loop
        self._timeline: Timeline | None = None
        self._listeners: list[_Listener] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._is_telling = False
        self._told_s = 0.0
        """Up to where sound was handed out."""
        self._is_behind = False
        """Whether there was more than one piece of it."""
        self._is_closed = False
        self.on_use_changed: Callable[[], None] = _nothing
        """Called when `is_used` has changed. A tap that is used from now on does not know what the
        caller is about to hear: hand `agent` as much silence as there is queued and not played."""

    @property
    def is_used(self) -> bool:
        """Whether somebody listens, so that the tap wants the call's audio."""
        return self._timeline is not None

    # The call's audio

    def caller(self, pcm16: bytes) -> None:
        """The caller's voice, as it comes: whole samples of int16 mono PCM."""
        if self._timeline is not None:
            self._timeline.caller(pcm16, self._loop.time())

    def agent(self, pcm16: bytes) -> None:
        """The agent's voice, as it is queued for the caller: whole samples of int16 mono PCM."""
        if self._timeline is not None:
            self._timeline.agent(pcm16, self._loop.time())

    def clear(self) -> None:
        """What is queued for the caller is dropped."""
        if self._timeline is not None:
            self._timeline.clear(self._loop.time())

    # Who listens

    def listen(self, sink: Callable[[bytes], None], every_ms: int = 50) -> Callable[[], None]:
        """Hand the call's sound, from now on and without a gap, to a sink, in the event loop.

        It comes `LAG_S` late, or later if the loop did not run for a while, as int16 stereo PCM:
        left the caller, right the agent. A sink that raises gets no more. Nothing comes of a call
        that is over.

        Args:
            sink: must not wait for anything
            every_ms: how long it may wait for a piece; who else listens can make it shorter

        Returns:
            what stops it
        """
        if self._is_closed:
            return _nothing
        now_s = self._loop.time()
        self._tell(now_s - LAG_S)
        is_first = self._timeline is None
        if self._timeline is None:
            self._timeline = Timeline(self._rate_hz, now_s)
            self._told_s = now_s
            self._is_behind = False
        skipped_bytes = FRAME_BYTES * self._timeline.untaken(now_s)
        listener = _Listener(sink, every_ms / 1000, skipped_bytes)
        self._listeners.append(listener)
        self._wait(from_s=now_s)
        if is_first:
            self.on_use_changed()
        return partial(self._stop, listener)

    def close(self) -> None:
        """The call is over: everything up to now is told, and nothing after that.

        Of a call that ends behind more than a minute in which the process was stopped, the first
        minute is told.
        """
        self._is_closed = True
        self._tell(self._loop.time(), most_s=MAX_CALLER_UNTAKEN_S)
        for listener in tuple(self._listeners):
            self._stop(listener)

    def _stop(self, listener: _Listener) -> None:
        if listener not in self._listeners:
            return
        self._listeners.remove(listener)
        self._wait(from_s=self._loop.time())
        if not self._listeners:
            self._timeline = None
            self.on_use_changed()

    def _tell(self, until_s: float, most_s: float = MAX_PIECE_S) -> None:
        """Hand out what has not been handed out yet, or the first of it if that is much."""
        if self._timeline is None or self._is_telling:  # by a sink, while others wait for theirs
            return
        end_s = min(until_s, self._told_s + most_s)
        stereo16 = self._timeline.take(end_s)
        self._told_s = max(self._told_s, end_s)
        self._is_behind = end_s < until_s
        self._is_telling = True
        for listener in tuple(self._listeners):
            if listener in self._listeners:  # another sink may have stopped it
                self._hand(stereo16, listener)
        self._is_telling = False

    def _hand(self, stereo16: bytes, listener: _Listener) -> None:
        try:
            listener.hear(stereo16)
        except Exception:  # whoever listens does not disturb the call, nor the others
            log.exception("call_listener_failed")
            self._stop(listener)

    # The timer

    def _tick(self) -> None:
        self._tell(self._loop.time() - LAG_S)
        self._wait(from_s=self._due_s)  # lateness does not add up

    def _wait(self, *, from_s: float) -> None:
        """Look again when the most impatient listener wants to hear something."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._listeners:
            period_s = min(listener.period_s for listener in self._listeners)
            if self._is_behind:
                period_s = CATCH_UP_EVERY_S
            self._due_s = max(from_s + period_s, self._loop.time())
            self._timer = self._loop.call_at(self._due_s, self._tick)


def _nothing() -> None:
    """Of no effect."""
