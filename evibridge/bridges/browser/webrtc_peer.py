"""One WebRTC connection to a page: with `webrtc_channels` the only place that knows aiortc.

aiortc does ICE, DTLS and SCTP. Media does not pass through it: a datagram that is SRTP is decrypted
and handed on inside the callback of its socket, and a packet that is sent goes to the socket before
`send_audio` returns. aiortc's own way takes a queue, a task and a thread for decoding each way.
"""
# aiortc has no public way to the datagrams, so parts of it are used that are not documented.
# ruff: noqa: SLF001

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pylibsrtp
import structlog
from aioice.turn import TurnTransport
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceCandidate,
    RTCIceGatherer,
    RTCIceParameters,
    RTCIceServer,
    RTCIceTransport,
    RTCSctpCapabilities,
)
from aiortc.sdp import candidate_to_sdp
from OpenSSL import SSL

from evibridge.bridges.browser.datagram_admission import Kind, KnownAddresses, kind_of
from evibridge.bridges.browser.ice_servers import IceServer
from evibridge.bridges.browser.webrtc_channels import DataChannels
from evibridge.bridges.browser.webrtc_media import Media
from evibridge.bridges.browser.webrtc_offer import (
    MAX_MESSAGE_BYTES,
    LocalTransport,
    Offer,
    OfferedCandidate,
    usable_candidates,
    write_answer,
)
from evibridge.bridges.browser.webrtc_parts import PeerListener
from evibridge.errors import BadMessage, LinkUnreachable

LABEL = "evibridge"
"""Of the data channel that the page opens; others are ignored."""
GATHER_TIMEOUT_S = 2
"""For STUN and TURN servers; whatever did not answer by then is left out."""
CONNECT_TIMEOUT_S = 15.0
SILENT_PEER_S = 5.0
"""A page sends audio every 20 ms, and a `ping` every second."""
REPORT_EVERY_S = 1.0
CLOSE_TIMEOUT_S = 1.5
FLUSH_TIMEOUT_S = 0.5
"""For the last message; a page is on its way out as well."""
MAX_WAITING_DATAGRAMS = 256
"""Of DTLS, until the task that reads them runs."""
MAX_UNSENT_BYTES = 1024 * 1024
"""Of messages that the page does not take: the link is dead."""
TURN_CLOSE_TASK = "_TurnTransport__close_task"

log = structlog.get_logger(__name__)


class WebRtcPeer:
    """A connection from its offer to its close; made in a running loop.

    Args:
        offer: of the page
        listener: takes what comes
        servers: for our own end
    """

    def __init__(self, offer: Offer, listener: PeerListener, servers: Sequence[IceServer]) -> None:
        self._offer = offer
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._gatherer = RTCIceGatherer(_readable(servers))
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._sctp = DataChannels(self._dtls, self._violated)
        self._channel: RTCDataChannel | None = None
        self._has_channel = asyncio.Event()
        self._gathering: asyncio.Task[None] | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        self._heard_s = 0.0
        self._media = Media(offer.payload_type)
        self._candidates: list[OfferedCandidate] = []
        self._known = KnownAddresses(())
        self._messages_too_long = 0

    @property
    def undecryptable(self) -> int:
        """Datagrams that looked like media and were not the page's."""
        return self._media.undecryptable

    @property
    def fraction_lost(self) -> float:
        """Of what we sent, as the page last told."""
        return self._media.fraction_lost

    # From outside

    async def gather(self) -> None:
        """Find our own addresses.

        Raises:
            LinkUnreachable: this machine has no address to be reached at
        """
        self._gathering = self._loop.create_task(self._gather())
        await asyncio.shield(
            self._gathering
        )  # whoever waits may leave, and sockets be open by then

    async def _gather(self) -> None:
        connection = self._gatherer._connection
        in_time: Any = partial(connection.get_component_candidates, timeout=GATHER_TIMEOUT_S)
        connection.get_component_candidates = in_time  # type: ignore[method-assign]
        await self._gatherer.gather()
        if not connection.local_candidates:
            raise LinkUnreachable("This machine has no network address that a page could reach.")
        own_hosts = [candidate.host for candidate in connection.local_candidates]
        self._candidates = usable_candidates(self._offer.candidates, own_hosts)
        self._known = KnownAddresses((each.host, each.port) for each in self._candidates)
        self._tap_checks()
        for protocol in connection._protocols:
            tapped: Any = self._tap(protocol.datagram_received)
            protocol.datagram_received = tapped  # type: ignore[method-assign]

    def answer(self) -> str:
        """Begin to connect, after `gather`; returns what the page is answered."""
        ice, dtls = self._gatherer.getLocalParameters(), self._dtls.getLocalParameters()
        assert ice.usernameFragment is not None
        assert ice.password is not None
        local = LocalTransport(
            ufrag=ice.usernameFragment,
            password=ice.password,
            fingerprints=[
                (print_.algorithm, print_.value)
                for print_ in dtls.fingerprints
                if print_.algorithm == "sha-256"
            ],
            candidates=[candidate_to_sdp(each) for each in self._gatherer.getLocalCandidates()],
            ssrc=self._media.ssrc,
        )
        self._connecting = self._loop.create_task(self._connect())
        return write_answer(self._offer, local)

    def send_audio(self, payload: bytes, position: int, *, begins: bool) -> None:
        """Send one Opus packet.

        Args:
            payload: 20 ms of audio
            position: of its first sample on the stream's own line, at 48 kHz
            begins: whether silence was before it
        """
        datagram = self._media.pack(payload, position, self._loop.time(), begins=begins)
        if datagram is not None:
            self._send(datagram)

    def send_text(self, text: bytes) -> None:
        """Send one message by the data channel; without one it is dropped."""
        channel = self._channel
        if channel is None or channel.readyState != "open":
            return
        limit = self._offer.max_message_bytes
        if limit and len(text) > limit:
            if not self._messages_too_long:
                log.warning("webrtc_message_too_long", bytes=len(text), limit=limit)
            self._messages_too_long += 1
        elif channel.bufferedAmount > MAX_UNSENT_BYTES:
            self._lose("it does not take its messages")
        else:
            channel.send(text.decode())

    def close(self) -> None:
        """Close the connection, once the messages sent before have arrived; see `closed`."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())

    async def closed(self) -> None:
        """Wait until nothing is left of a connection that was closed: within 4.5 s."""
        if self._closing is not None:
            await asyncio.shield(self._closing)

    # Connecting

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                why = await self._handshakes()
        except TimeoutError:
            why = "it did not connect in time"
        except (ConnectionError, SSL.Error, pylibsrtp.Error) as error:
            why = f"its handshake failed: {type(error).__name__}"
        except Exception as error:
            log.exception("webrtc_handshake_failed")
            why = f"its handshake failed: {type(error).__name__}"
        if why:
            self._lose(why)

    async def _handshakes(self) -> str:
        """ICE, DTLS, SCTP and the data channel; returns what failed, or ""."""
        offer = self._offer
        for found in self._candidates:
            where = (found.host, found.port, found.priority, "udp", found.kind)
            await self._ice.addRemoteCandidate(RTCIceCandidate(1, found.foundation, *where))
        # No end of candidates is told: the page's own checks may show an address not in its offer.
        await self._ice.start(RTCIceParameters(offer.ufrag, offer.password))
        if self._ice.state != "completed":
            return "no way to it was found"
        self._dtls._set_role("client" if offer.answering_setup == "active" else "server")
        prints = [RTCDtlsFingerprint(*print_) for print_ in offer.fingerprints]
        await self._dtls.start(RTCDtlsParameters(prints))
        if self._dtls.state != "connected":
            return "its DTLS handshake failed"
        self._dtls.on("statechange", self._dtls_changed)
        self._media.begin(self._dtls._rx_srtp, self._dtls._tx_srtp)
        self._sctp.on("datachannel", self._channel_came)
        await self._sctp.start(RTCSctpCapabilities(offer.max_message_bytes), offer.sctp_port)
        await self._has_channel.wait()
        return ""

    def _channel_came(self, channel: RTCDataChannel) -> None:
        if self._channel is not None or channel.label != LABEL or self._is_over:
            return
        self._channel = channel
        channel.on("message", self._message_came)
        channel.on("close", self._channel_closed)
        self._has_channel.set()
        self._heard_s = self._loop.time()
        self._timer = self._loop.call_later(REPORT_EVERY_S, self._each_second)
        self._listener.peer_opened()

    # What comes

    def _tap(self, pass_on: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        """A socket's callback: media is taken here, and the rest is left to aiortc.

        Anybody may send here, and aiortc gives up at an empty datagram or a damaged one of STUN.
        """
        connection = self._gatherer._connection

        def datagram_received(datagram: bytes, address: tuple[Any, ...]) -> None:
            kind, sender = kind_of(datagram), (address[0], address[1])
            pair = connection._nominated.get(1)
            is_chosen = pair is not None and pair.remote_addr == sender
            if kind is Kind.STUN:
                if is_chosen:
                    self._heard_s = self._loop.time()
                with suppress(struct.error, ValueError, KeyError, IndexError):
                    pass_on(datagram, address)
            elif kind is None or not (is_chosen or sender in self._known):
                return
            elif kind is Kind.MEDIA:
                self._media_came(datagram)
            elif connection._queue.qsize() < MAX_WAITING_DATAGRAMS:
                if is_chosen:
                    self._heard_s = self._loop.time()
                connection._queue.put_nowait((datagram, 1))

        return datagram_received

    def _tap_checks(self) -> None:
        """Learn from where the page's checks come, and leave out what are too many of them."""
        connection = self._gatherer._connection
        follow = connection.check_incoming

        def check_incoming(message: Any, address: tuple[str, int], protocol: Any) -> None:
            is_connected = connection._check_list_done
            if self._known.admit(address, protocol.id, is_connected=is_connected):
                follow(message, address, protocol)

        def pass_over(datagram: bytes, component: int) -> None:
            """It looked like STUN, and was not."""

        checked: Any = check_incoming
        unread: Any = pass_over
        connection.check_incoming = checked  # type: ignore[method-assign]
        connection.data_received = unread  # type: ignore[method-assign]

    def _media_came(self, datagram: bytes) -> None:
        if self._is_over:
            return
        now_s = self._loop.time()
        try:
            packet = self._media.received(datagram, now_s)
        except BadMessage as error:
            self._violated(str(error))
            return
        if packet is not None and self._channel is not None:
            self._listener.audio_received(
                packet.ssrc, packet.sequence, packet.timestamp, packet.payload, now_s
            )

    def _message_came(self, message: str | bytes) -> None:
        if self._is_over:
            return
        if isinstance(message, bytes):
            self._violated("a binary message")
        else:
            text = message.encode()
            if len(text) > MAX_MESSAGE_BYTES:
                self._violated("a message that is too long")
            else:
                self._listener.text_received(text)

    # What goes

    def _send(self, datagram: bytes) -> None:
        pair = self._gatherer._connection._nominated.get(1)
        if pair is not None:
            pair.protocol.transport.sendto(datagram, pair.remote_addr)

    def _each_second(self) -> None:
        now_s = self._loop.time()
        if now_s - max(self._heard_s, self._media.heard_s) > SILENT_PEER_S:
            self._lose("nothing came from it")
            return
        report = self._media.report(time.time(), now_s)
        assert report is not None
        self._send(report)
        self._timer = self._loop.call_later(REPORT_EVERY_S, self._each_second)

    # The end

    def _dtls_changed(self) -> None:
        if self._dtls.state in ("closed", "failed"):
            self._lose("it closed the connection")

    def _channel_closed(self) -> None:
        self._lose("it closed the data channel")

    def _violated(self, what: str) -> None:
        self._lose(f"it sent {what}")

    def _lose(self, why: str) -> None:
        if not self._is_over:
            self.close()
            self._listener.peer_lost(why)

    async def _close(self) -> None:
        try:
            await self._take_down()
        except Exception:
            log.exception("webrtc_peer_not_closed")
        self._listener.peer_closed()

    async def _take_down(self) -> None:
        if self._gathering is not None:
            await _ended(self._gathering, GATHER_TIMEOUT_S + CLOSE_TIMEOUT_S)
        if self._connecting is not None:
            self._connecting.cancel()
            await _ended(self._connecting)
        if self._channel is not None and self._dtls.state == "connected":
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_TIMEOUT_S):
                    await self._sctp.flushed()
        self._media.end()
        pump = self._dtls._task
        with suppress(ConnectionError, SSL.Error):
            await self._sctp.stop()
            await self._dtls.stop()
        if pump is not None:  # what it ends with was told by then
            await _ended(pump)
        await self._close_sockets()
        self._dtls.remove_all_listeners()

    async def _close_sockets(self) -> None:
        stop = self._loop.create_task(self._ice.stop())
        done, _ = await asyncio.wait([stop], timeout=CLOSE_TIMEOUT_S)
        if not done:  # a TURN server does not answer that it has forgotten us
            for protocol in self._gatherer._connection._protocols:
                if isinstance(protocol.transport, TurnTransport):
                    getattr(protocol.transport, TURN_CLOSE_TASK).cancel()
            await asyncio.wait([stop], timeout=FLUSH_TIMEOUT_S)
        stop.cancel()


async def _ended(task: asyncio.Future[None], timeout_s: float = CLOSE_TIMEOUT_S) -> None:
    """Wait for a task's end, however it ends."""
    await asyncio.wait([task], timeout=timeout_s)
    if task.done() and not task.cancelled():
        task.exception()  # was told when it came


def _readable(servers: Sequence[IceServer]) -> list[RTCIceServer]:
    """Servers as aiortc reads them, which knows no addresses in brackets; pages do."""
    return [
        RTCIceServer(urls, server.username, server.credential)
        for server in servers
        if (urls := [url for url in server.urls if "[" not in url])
    ]
