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
from evibridge.audio.playout_ring import FRAME_MS
from evibridge.bridges.browser import messages
from evibridge.bridges.browser.call_audio import RATE_HZ
from evibridge.bridges.browser.caller_channel import CallerChannel
from evibridge.bridges.browser.desk import Place, PlaceUnknown
from evibridge.bridges.browser.ice_servers import IceServer
from evibridge.bridges.browser.webrtc_agent_voice import AgentVoice
from evibridge.bridges.browser.webrtc_caller_voice import CallerVoice
from evibridge.bridges.browser.webrtc_offer import Offer
from evibridge.bridges.browser.webrtc_parts import LegParts
from evibridge.bridges.browser.webrtc_peer import WebRtcPeer

FRAME_S = FRAME_MS / 1000
STALL_S = 0.2
"""A clock that is later than this leaves frames out, which the page would have no use for."""

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
        self._call: Call | None = None
        self._channel: CallerChannel | None = None
        self._how: HangUp | None = None
        self._is_over = False
        self._wake: asyncio.TimerHandle | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self.place: Place | None = None
        """Of the caller; is set before `answer`."""
        self.tap: Callable[[bytes], None] | None = None
        self._caller_voice = CallerVoice(self._hand_on)
        self._peer = WebRtcPeer(offer, self, servers)
        self._agent_voice = AgentVoice(self._peer)

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
        if call is None and self.place.is_taken_over:
            self.release()
            return
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
        if self._is_over:  # the connection did not outlive what the page had to be told
            self._channel.close()
            call.caller_lost()
            return
        self._call = call
        self._due_s = self._loop.time()
        self._tick()

    def audio_received(
        self, ssrc: int, sequence: int, timestamp: int, payload: bytes, now_s: float
    ) -> None:
        """The caller's voice; a page whose offer had no microphone has none to send."""
        if self._call is None or not self._has_microphone:
            return
        self._caller_voice.received(ssrc, sequence, timestamp, payload, now_s)
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
        return self._agent_voice.play(wav, self.tap)

    def mark(self, name: str) -> None:
        """The call is told once the audio so far was heard, as far as can be known."""
        self._agent_voice.mark(name)

    def clear(self) -> None:
        """Drop what is queued; the next audio starts with clean filters."""
        for name in self._agent_voice.clear():
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

    def _hand_on(self, pcm16: bytes) -> None:
        if self._call is not None:  # its end may be decided by what it was handed before
            self._call.caller_audio(pcm16)

    def _arm_wake(self) -> None:
        due_s = self._caller_voice.due_s
        if due_s is None:
            if self._wake is not None:
                self._wake.cancel()
                self._wake = None
        elif self._wake is None:
            self._wake = self._loop.call_at(due_s, self._woke)

    def _woke(self) -> None:
        self._wake = None
        self._caller_voice.woke(self._loop.time())
        if self._call is not None:
            self._arm_wake()

    def _tick(self) -> None:
        """A frame is due. The next one is arranged for first, whatever becomes of this one."""
        now_s = self._loop.time()
        late_s = now_s - self._due_s
        if late_s > STALL_S:
            skipped = int(late_s / FRAME_S)
            self._agent_voice.skip(skipped)
            self._due_s += skipped * FRAME_S
        self._due_s += FRAME_S
        self._clock = self._loop.call_at(self._due_s, self._tick)
        try:
            marks = self._agent_voice.frame_due(now_s)
            self._caller_voice.fill(now_s)
            for mark in marks:
                self._heard(mark)
        except Exception:
            log.exception("webrtc_frame_failed")
            self._peer.close()
            self.peer_lost("a frame could not be sent")

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
        if self._channel is not None:
            assert self.place is not None
            log.info(
                "webrtc_leg_ended",
                call_id=self.place.call_id,
                **self._caller_voice.counters,
                **self._agent_voice.counters,
                datagrams_undecryptable=self._peer.undecryptable,
                page_lost_share=round(self._peer.fraction_lost, 3),
                messages_dropped=self._channel.messages_dropped,
            )
