"""A caller in the browser whose audio comes by WebRTC.

The way in is one callback, from the datagram to the call. The way out has a clock: the page is sent
a packet every 20 ms, and nothing while the agent is silent, but the stream's timestamps go on.
"""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from evibridge.agent.actions import HangUp
from evibridge.agent.call import Call
from evibridge.agent.evi_messages import AudioFormat
from evibridge.audio.opus import OpusDecoder, OpusEncoder
from evibridge.audio.packet_order import Due, Lost, Packet, PacketOrder, Silent
from evibridge.audio.playout_ring import FRAME_MS, PlayoutRing
from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.bridges.browser import messages
from evibridge.bridges.browser.caller_channel import CallerChannel
from evibridge.bridges.browser.desk import Place, PlaceUnknown
from evibridge.bridges.browser.ice_servers import IceServer
from evibridge.bridges.browser.webrtc_offer import Offer
from evibridge.bridges.browser.webrtc_parts import LegParts
from evibridge.bridges.browser.webrtc_peer import WebRtcPeer
from evibridge.errors import BadAudio

RATE_HZ = 16_000
"""Of the caller's audio for the call, on every transport."""
PLAYBACK_RATE_HZ = 24_000
FRAME_S = FRAME_MS / 1000
FRAME_POSITIONS = 48 * FRAME_MS
"""How far a frame moves the stream on, in samples of its clock."""
STALL_S = 0.2
"""A clock that is later than this leaves frames out, which the page would have no use for."""
TAIL_FRAMES = 2
"""Silence that is sent behind the agent's voice: the encoder holds the last 7 ms of it."""
PIECE_BYTES = RATE_HZ * 2 // 10
"""EVI takes pieces of 20 to 100 ms."""
SILENT_FRAME = bytes(RATE_HZ * 2 * FRAME_MS // 1000)
SILENT_PLAYBACK = bytes(PLAYBACK_RATE_HZ * 2 * FRAME_MS // 1000)

log = structlog.get_logger(__name__)


class WebRtcLeg:
    """A caller's connection from the page's offer to its close.

    Args:
        parts: what it shares with others
        offer: of the page
        servers: that help our end to be found
        since: number of the last event that the page knows; None if it knows none

    Raises:
        BadAudio: libopus is not installed
    """

    audio = AudioFormat(sample_rate=RATE_HZ)
    can_transfer = False

    def __init__(
        self, parts: LegParts, offer: Offer, servers: Sequence[IceServer], since: int | None
    ) -> None:
        self._parts = parts
        self._since = since
        self._has_microphone = offer.has_microphone
        self._loop = asyncio.get_running_loop()
        self._order = PacketOrder()
        self._decoder = OpusDecoder(RATE_HZ)
        self._ring = PlayoutRing(PLAYBACK_RATE_HZ)
        self._encoder = OpusEncoder(PLAYBACK_RATE_HZ)
        self._to_page = self._to_tap = Resampler(PLAYBACK_RATE_HZ, PLAYBACK_RATE_HZ)
        self._agent_hz = 0
        self._call: Call | None = None
        self._channel: CallerChannel | None = None
        self._how: HangUp | None = None
        self._is_over = False
        self._wake: asyncio.TimerHandle | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._position = 0
        self._last_packet: bytes | None = None
        self._tail = 0
        self._concealed = self._undecodable = self._frames_skipped = 0
        self.place: Place | None = None
        """Of the caller; is set before `answer`."""
        self.tap: Callable[[bytes], None] | None = None
        self._peer = WebRtcPeer(offer, self, servers)

    # Connecting

    async def gather(self) -> None:
        """Find our own addresses; see `WebRtcPeer.gather`."""
        await self._peer.gather()

    def answer(self) -> str:
        """Begin to connect; returns what the page is answered."""
        assert self.place is not None
        return self._peer.answer()

    def close(self) -> None:
        """Close the connection without a word; see `closed`."""
        self._end()
        self._peer.close()

    async def closed(self) -> None:
        """Wait until nothing is left of the connection."""
        await self._peer.closed()

    @property
    def has_joined(self) -> bool:
        """Whether the connection has come to be."""
        return self._channel is not None

    # From the page: `PeerListener`

    def peer_opened(self) -> None:
        """The page can be talked to: the call begins, or goes on."""
        assert self.place is not None
        call = self.place.join(self)
        if call is None:
            self._peer.send_text(messages.refused(PlaceUnknown.code, str(PlaceUnknown())))
            self.close()
            return
        self._channel = CallerChannel(
            self.place,
            call,
            self._parts.bus,
            self._peer.send_text,
            self._parts.holding,
            self._since,
            transport="webrtc",
        )
        if self._how is not None:  # that was what the call had waited for
            self._channel.end(self._how, self._peer.close)
            return
        self._call = call
        self._due_s = self._loop.time()
        self._tick()

    def audio_received(self, sequence: int, timestamp: int, payload: bytes, now_s: float) -> None:
        """The caller's voice."""
        if self._call is None:
            return
        for due in self._order.received(sequence, timestamp, payload, now_s):
            self._hand_on(due)
        self._arm_wake()

    def text_received(self, text: bytes) -> None:
        """A message of the page."""
        if self._channel is not None:
            self._channel.receive(text)

    def peer_lost(self, why: str) -> None:
        """The connection is gone; the page may come back."""
        call, place = self._call, self.place
        log.info("webrtc_peer_lost", why=why, call_id=place.call_id if place is not None else None)
        self._end()
        if call is not None:
            call.caller_lost()
        elif place is not None and self._channel is None:
            place.give_up()

    def peer_closed(self) -> None:
        """Nothing is left of the connection."""
        self._parts.closed(self)

    # To the page: `CallerLeg`

    def play(self, wav: bytes) -> float:
        """Queue one WAV file; returns its length in ms."""
        parsed = parse_wav(wav)
        if parsed.rate_hz != self._agent_hz:
            to_page = Resampler(parsed.rate_hz, PLAYBACK_RATE_HZ)
            self._to_tap = Resampler(parsed.rate_hz, RATE_HZ)
            self._to_page, self._agent_hz = to_page, parsed.rate_hz
        pcm16 = mono_pcm16(parsed)
        if self.tap is not None:
            self.tap(self._to_tap.process(pcm16))
        self._ring.queue(self._to_page.process(pcm16))
        return len(pcm16) * 500 / parsed.rate_hz

    def mark(self, name: str) -> None:
        """The call is told once the frame in which the audio so far ends was sent."""
        self._ring.mark(name)

    def clear(self) -> None:
        """Drop what is queued; the next audio starts with clean filters."""
        self._to_page.reset()
        self._to_tap.reset()
        for name in self._ring.clear():
            # Not from within: the call is about to do what follows from its silence.
            self._loop.call_soon(self._heard, name)

    def hang_up(self, how: HangUp) -> None:
        """Tell the page why, and close the connection."""
        self._how = how
        self._end()
        if self._channel is not None:
            self._channel.end(how, self._peer.close)

    def release(self) -> None:
        """Another connection has taken over the call; this one may not know that it is dead."""
        sentence = "The call goes on by another connection."
        self._peer.send_text(messages.refused("taken_over", sentence))
        self.close()

    # Inside

    def _hand_on(self, due: Due) -> None:
        """Decode what is due, and hand it to the call."""
        match due:
            case Packet(payload):
                try:
                    pcm16 = self._decoder.decode(payload)
                except BadAudio:
                    self._undecodable += 1
                    return
            case Lost(duration_ms, next_payload):
                self._concealed += 1
                if next_payload is None:
                    pcm16 = self._decoder.conceal(duration_ms)
                else:
                    pcm16 = self._decoder.recover(next_payload, duration_ms)
            case Silent(duration_ms):
                pcm16 = bytes(RATE_HZ * 2 // 1000 * duration_ms)
        call = self._call
        if call is None:  # its end was decided by what it was handed before
            return
        if len(pcm16) <= PIECE_BYTES:
            call.caller_audio(pcm16)
            return
        for start in range(0, len(pcm16), PIECE_BYTES):
            call.caller_audio(pcm16[start : start + PIECE_BYTES])

    def _arm_wake(self) -> None:
        due_s = self._order.due_s
        if due_s is None:
            if self._wake is not None:
                self._wake.cancel()
                self._wake = None
        elif self._wake is None:
            self._wake = self._loop.call_at(due_s, self._woke)

    def _woke(self) -> None:
        self._wake = None
        for due in self._order.woke(self._loop.time()):
            self._hand_on(due)
        if self._call is not None:
            self._arm_wake()

    def _tick(self) -> None:
        """A frame is due."""
        late_s = self._loop.time() - self._due_s
        if late_s > STALL_S:
            skipped = int(late_s / FRAME_S)
            self._frames_skipped += skipped
            self._due_s += skipped * FRAME_S
            self._position += skipped * FRAME_POSITIONS
        frame, marks = self._ring.next_frame()
        if frame is not None:
            self._tail = TAIL_FRAMES
            self._send(frame)
        elif self._tail:
            self._tail -= 1
            self._send(SILENT_PLAYBACK)
        elif self._last_packet is not None:
            self._fall_silent()
        self._position += FRAME_POSITIONS
        self._due_s += FRAME_S
        self._clock = self._loop.call_at(self._due_s, self._tick)
        if not self._has_microphone and self._call is not None:
            self._call.caller_audio(SILENT_FRAME)
        for mark in marks:
            self._heard(mark)

    def _send(self, pcm16: bytes) -> None:
        packet = self._encoder.encode(pcm16)
        self._peer.send_audio(packet, self._position, begins=self._last_packet is None)
        self._last_packet = packet

    def _fall_silent(self) -> None:
        """Tell the page's decoder that silence follows, by a packet without sound.

        Without it the decoder takes what does not come for lost, and makes up for it.
        """
        assert self._last_packet is not None
        empty = bytes([self._last_packet[0] & 0xFC])  # one frame of no bytes (RFC 6716, 3.2.1)
        self._peer.send_audio(empty, self._position, begins=False)
        self._last_packet = None

    def _heard(self, mark: str) -> None:
        if self._call is not None:
            self._call.playback_heard(mark)

    def _end(self) -> None:
        """Nothing is taken from the page or played to it any more."""
        self._call = None
        for timer in (self._clock, self._wake):
            if timer is not None:
                timer.cancel()
        if self._is_over:
            return
        self._is_over = True
        if self._channel is not None and self._how is None:
            self._channel.close()
        order, ring = self._order, self._ring
        if self._channel is not None:
            assert self.place is not None
            log.info(
                "webrtc_leg_ended",
                call_id=self.place.call_id,
                packets_lost=order.lost,
                packets_late=order.late,
                packets_dropped=order.dropped,
                packets_reordered=order.reordered,
                packets_undecodable=self._undecodable + order.damaged,
                datagrams_undecryptable=self._peer.undecryptable,
                gaps_concealed=self._concealed,
                cut_ms=round(order.cut_ms),
                underruns=ring.underruns,
                agent_audio_dropped_ms=round(ring.dropped_ms),
                frames_skipped=self._frames_skipped,
                page_lost_share=round(self._peer.fraction_lost, 3),
                messages_dropped=self._channel.messages_dropped,
            )
