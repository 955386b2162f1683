"""A caller's voice by WebRTC: RTP packets in, int16 mono PCM at 16 kHz out. Time is an argument."""

from collections.abc import Callable

from evibridge.audio.opus import OpusDecoder, packet_ms
from evibridge.audio.packet_order import Due, Lost, Packet, PacketOrder, Silent
from evibridge.audio.playout_ring import FRAME_MS
from evibridge.bridges.browser.allowance import Allowance
from evibridge.bridges.browser.call_audio import BURST_S, QUIET_S, RATE_HZ, REAL_TIME
from evibridge.errors import BadAudio

PIECE_BYTES = RATE_HZ * 2 // 10
"""EVI takes pieces of 20 to 100 ms."""
LEAST_PACKET_MS = 5.0
"""A packet is counted as so long at least: each is decoded, and a message to the EVI server."""
SILENT_FRAME = bytes(RATE_HZ * 2 * FRAME_MS // 1000)


class CallerVoice:
    """What a page sends, as the call is to hear it.

    Args:
        hand_on: takes int16 mono PCM at `RATE_HZ`, 100 ms at most

    Raises:
        BadAudio: libopus is not installed
    """

    def __init__(self, hand_on: Callable[[bytes], None]) -> None:
        self._take = hand_on
        self._order = PacketOrder()
        self._decoder = OpusDecoder(RATE_HZ)
        self._allowance = Allowance(REAL_TIME, BURST_S)
        self._ssrc: int | None = None
        self._heard_s = float("-inf")
        self._filled_ms = 0
        """Silence handed on in this gap, in place of what is missing."""
        self._concealed = self._undecodable = 0

    @property
    def due_s(self) -> float | None:
        """When to call `woke`; None if nothing waits."""
        return self._order.due_s

    @property
    def counters(self) -> dict[str, int]:
        """What went wrong so far."""
        order = self._order
        return {
            "packets_lost": order.lost,
            "packets_late": order.late,
            "packets_dropped": order.dropped,
            "packets_reordered": order.reordered,
            "packets_refused": self._allowance.refused,
            "packets_undecodable": self._undecodable + order.damaged,
            "gaps_concealed": self._concealed,
            "cut_ms": round(order.cut_ms),
        }

    def received(
        self, ssrc: int, sequence: int, timestamp: int, payload: bytes, now_s: float
    ) -> None:
        """A packet has come; `ssrc` names its stream, the rest is as for `PacketOrder`."""
        if ssrc != self._ssrc:
            self._ssrc = ssrc
            self._order.restart()
        for due in self._order.received(sequence, timestamp, payload, now_s):
            self._hand_on(due, now_s)

    def woke(self, now_s: float) -> None:
        """Time has passed: hand on what waited for too long."""
        for due in self._order.woke(now_s):
            self._hand_on(due, now_s)

    def fill(self, now_s: float) -> None:
        """Hand on silence if the page has sent nothing for a while; to be called every 20 ms."""
        if now_s - self._heard_s >= QUIET_S:
            self._filled_ms += FRAME_MS
            self._take(SILENT_FRAME)

    def _hand_on(self, due: Due, now_s: float) -> None:
        if isinstance(due, Packet):
            self._decode(due.payload, now_s)
        else:
            self._make_up_for(due, now_s)

    def _decode(self, payload: bytes, now_s: float) -> None:
        duration_ms = max(packet_ms(payload), LEAST_PACKET_MS)
        if not self._allowance.take(duration_ms / 1000, now_s):
            return
        try:
            pcm16 = self._decoder.decode(payload)
        except BadAudio:
            self._undecodable += 1
            return
        self._heard_s, self._filled_ms = now_s, 0
        self._in_pieces(pcm16)

    def _make_up_for(self, gap: Lost | Silent, now_s: float) -> None:
        filled_ms = min(self._filled_ms, gap.duration_ms)
        self._filled_ms -= filled_ms
        missing_ms = gap.duration_ms - filled_ms
        if not missing_ms or not self._allowance.take(missing_ms / 1000, now_s):
            return
        if isinstance(gap, Silent):
            self._in_pieces(bytes(RATE_HZ * 2 // 1000 * missing_ms))
            return
        self._concealed += 1
        if gap.next_payload is None:
            self._in_pieces(self._decoder.conceal(missing_ms))
        else:
            self._in_pieces(self._decoder.recover(gap.next_payload, missing_ms))

    def _in_pieces(self, pcm16: bytes) -> None:
        for start in range(0, len(pcm16), PIECE_BYTES):
            self._take(pcm16[start : start + PIECE_BYTES])
