"""The connection by which an operator speaks to a caller, and hears him: WebRTC, from the console.

What he says goes to the call in the callback of its datagram, as a caller's voice does. What the
caller says is queued as it comes, and goes out by a clock.
"""

import asyncio
from collections.abc import Callable, Sequence

import orjson
import structlog

from evibridge.agent.call import Call
from evibridge.agent.operator_line import OperatorLine
from evibridge.audio.playout_ring import FRAME_MS
from evibridge.audio.wav import wav_file
from evibridge.bridges.browser import messages
from evibridge.bridges.browser.allowance import Allowance
from evibridge.bridges.browser.ice_servers import IceServer
from evibridge.bridges.browser.webrtc_agent_voice import AgentVoice
from evibridge.bridges.browser.webrtc_caller_voice import CallerVoice
from evibridge.bridges.browser.webrtc_offer import Offer
from evibridge.bridges.browser.webrtc_peer import WebRtcPeer
from evibridge.errors import CommandRefused

LEAD_MS = 60
"""Silence before the caller's voice where it begins: its pieces may come so late without a gap."""
MAX_BEHIND_MS = 300
"""Two people cannot talk later than that: what is older is dropped."""
STALL_S = 0.2
"""A clock that is later than this leaves frames out, which the page would have no use for."""
FRAME_S = FRAME_MS / 1000
PINGS_PER_S, PINGS_BURST = 2, 10
"""That are answered; a page sends one each second."""
NOT_HEARD = "The caller does not hear you any more: the call was handed back, or it ends."
PING = "ping"

log = structlog.get_logger(__name__)


class OperatorVoiceLeg:
    """An operator's connection from the page's offer to its close.

    Args:
        call: that he has taken over
        by: his name
        offer: of the page
        servers: that help our end to be found
        on_gone: is told when nothing is left of the connection

    Raises:
        BadAudio: libopus is not installed
    """

    def __init__(
        self,
        call: Call,
        by: str,
        offer: Offer,
        servers: Sequence[IceServer],
        on_gone: "Callable[[OperatorVoiceLeg], None]",
    ) -> None:
        self._call = call
        self._by = by
        self._on_gone = on_gone
        self._has_microphone = offer.has_microphone
        self._loop = asyncio.get_running_loop()
        self._pings = Allowance(PINGS_PER_S, PINGS_BURST)
        self._line: OperatorLine | None = None
        self._wake: asyncio.TimerHandle | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._has_opened = False
        self._restarts = 0
        self.is_over = False
        """Whether it has ended; its sockets may be open for a moment yet."""
        self._operator_voice = CallerVoice(self._say)
        self._peer = WebRtcPeer(offer, self, servers)
        self._caller_voice = AgentVoice(self._peer)

    def is_of(self, call_id: str, by: str) -> bool:
        """Whether it is this operator's to this call."""
        return (self._call.call_id, self._by) == (call_id, by)

    # Connecting

    async def gather(self) -> None:
        """Find our own addresses; see `WebRtcPeer.gather`."""
        await self._peer.gather()

    def answer(self) -> str:
        """Begin to connect; returns what the page is answered."""
        return self._peer.answer()

    def close(self, sentence: str) -> None:
        """Close the connection, and tell the page why; see `closed`."""
        if self.is_over:
            return
        self._peer.send_text(orjson.dumps({"type": "closed", "message": sentence}))
        self._end()
        self._peer.close()

    async def closed(self) -> None:
        """Wait until nothing is left of a connection that was closed."""
        await self._peer.closed()

    # From the page: `PeerListener`

    def peer_opened(self) -> None:
        """The page can be talked to: the operator speaks from now on."""
        if self.is_over:
            return
        try:
            self._line = self._call.open_operator_line(self._by, self._hear, self._line_closed)
        except CommandRefused as refusal:
            self.close(str(refusal))
            return
        self._has_opened = True
        self._due_s = self._loop.time()
        self._tick()

    def audio_received(
        self, ssrc: int, sequence: int, timestamp: int, payload: bytes, now_s: float
    ) -> None:
        """The operator's voice; a page whose offer had no microphone has none to send."""
        if self._line is not None and self._has_microphone:
            self._operator_voice.received(ssrc, sequence, timestamp, payload, now_s)
            self._arm_wake()

    def text_received(self, text: bytes) -> None:
        """A message of the page: only a ping is answered."""
        if not self.is_over and self._pings.take(1, self._loop.time()) and _is_ping(text):
            self._peer.send_text(messages.PONG)

    def peer_lost(self, why: str) -> None:
        """The connection is gone: the operator is not heard any more."""
        log.info("operator_voice_lost", why=why, call_id=self._call.call_id)
        self._end()

    def peer_closed(self) -> None:
        """Nothing is left of the connection."""
        self._on_gone(self)

    # The operator's voice

    def _say(self, pcm16: bytes) -> None:
        if self._line is not None:  # it may be closed by what was said before
            self._line.audio(pcm16)

    def _line_closed(self) -> None:
        self.close(NOT_HEARD)

    def _arm_wake(self) -> None:
        due_s = self._operator_voice.due_s
        if due_s is None and self._wake is not None:
            self._wake.cancel()
            self._wake = None
        elif due_s is not None and self._wake is None and not self.is_over:
            self._wake = self._loop.call_at(due_s, self._woke)

    def _woke(self) -> None:
        self._wake = None
        self._operator_voice.woke(self._loop.time())
        self._arm_wake()

    # The caller's voice

    def _hear(self, pcm16: bytes) -> None:
        bytes_per_ms = 2 * self._call.rate_hz // 1000
        if self._caller_voice.queued_ms + len(pcm16) / bytes_per_ms > MAX_BEHIND_MS:
            self._restarts += 1
            self._caller_voice.clear()
            pcm16 = pcm16[-FRAME_MS * bytes_per_ms :]
        if self._caller_voice.queued_ms == 0.0:
            pcm16 = bytes(LEAD_MS * bytes_per_ms) + pcm16
        self._caller_voice.play(wav_file(pcm16, self._call.rate_hz), None)

    def _tick(self) -> None:
        """A frame is due. The next one is arranged for first, whatever becomes of this one."""
        now_s = self._loop.time()
        late_s = now_s - self._due_s
        if late_s > STALL_S:
            skipped = int(late_s / FRAME_S)
            self._caller_voice.skip(skipped)
            self._due_s += skipped * FRAME_S
        self._due_s += FRAME_S
        self._clock = self._loop.call_at(self._due_s, self._tick)
        try:
            self._caller_voice.frame_due(now_s)
        except Exception:
            log.exception("operator_voice_frame_failed")
            self._end()
            self._peer.close()

    # The end

    def _end(self) -> None:
        """Nothing is taken from the page or played to it any more."""
        if self.is_over:
            return
        self.is_over = True
        line, self._line = self._line, None
        if line is not None:
            line.close()
        for timer in (self._clock, self._wake):
            if timer is not None:
                timer.cancel()
        if self._has_opened:
            log.info(
                "operator_voice_ended",
                call_id=self._call.call_id,
                by=self._by,
                restarts=self._restarts,
                pings_refused=self._pings.refused,
                **self._operator_voice.counters,
                **self._caller_voice.counters,
            )


def _is_ping(text: bytes) -> bool:
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(message, dict) and message.get("type") == PING
