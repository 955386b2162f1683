"""A page at its end of WebRTC that costs little: packets are ready, and none is decoded.

aiortc connects it; media goes past aiortc, as it does in the bridge.
"""
# ruff: noqa: SLF001 - aiortc has no public way to the datagrams

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp
from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCIceGatherer,
    RTCIceTransport,
    RTCSctpCapabilities,
    RTCSctpTransport,
)
from aiortc.sdp import SessionDescription, candidate_to_sdp

from evibridge.bridges.browser.webrtc_rtp import OutgoingStream, RtpPacket, is_rtcp, read_rtp

PAYLOAD_TYPE = 111
POSITIONS = 960
"""Of a packet of 20 ms, at 48 kHz."""
CONNECT_TIMEOUT_S = 20.0
PING_EVERY_S = 2.0
END_TIMEOUT_S = 1.0
"""For the bridge, which closes; an echo does not."""

Hear = Callable[[RtpPacket, bool], None]
"""Takes a packet of the agent's voice, and whether a talkspurt begins with it."""


class LightPage:
    """One caller.

    Args:
        packets: what it says, over and over
        hear: takes what it hears
    """

    def __init__(self, packets: tuple[bytes, ...], hear: Hear) -> None:
        self._packets = packets
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._gatherer = RTCIceGatherer([])
        self._connection = self._gatherer._connection
        self._connection.ice_controlling = True
        self._ice = RTCIceTransport(self._gatherer)
        self._dtls = RTCDtlsTransport(self._ice, [RTCCertificate.generateCertificate()])
        self._sctp = RTCSctpTransport(self._dtls)
        self._stream = OutgoingStream(PAYLOAD_TYPE)
        self._decrypt: Any = None
        self._encrypt: Any = None
        self._clock: asyncio.TimerHandle | None = None
        self._pings: asyncio.TimerHandle | None = None
        self._channel: RTCDataChannel
        self._is_closed = asyncio.Event()
        self.sent = 0

    async def connect(self, origin: str, http: aiohttp.ClientSession) -> None:
        """Get a token, make an offer and connect; then the call has begun."""
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            async with http.post(f"{origin}/browser/session") as session:
                token = (await session.json())["token"]
            await self._gatherer.gather()
            for protocol in self._connection._protocols:
                tapped: Any = self._tap(protocol.datagram_received)
                protocol.datagram_received = tapped  # type: ignore[method-assign]
            body = {"type": "offer", "sdp": self._offer(), "token": token}
            async with http.post(f"{origin}/webrtc/offer", json=body) as answer:
                answer.raise_for_status()
                sdp = (await answer.json())["sdp"]
            await self._shake_hands(SessionDescription.parse(sdp))

    def talk(self, period_s: float) -> None:
        """Say the packets from now on, one each period."""
        self._say(self._loop.time(), period_s)

    def be_silent(self) -> None:
        """Say nothing more."""
        if self._clock is not None:
            self._clock.cancel()

    async def close(self) -> None:
        """Hang up."""
        self.be_silent()
        if self._pings is not None:
            self._pings.cancel()
        if self._channel.readyState == "open":
            self._channel.send('{"type":"end"}')
            with suppress(TimeoutError):
                async with asyncio.timeout(END_TIMEOUT_S):
                    await self._is_closed.wait()
        await self._sctp.stop()
        await self._dtls.stop()
        await self._ice.stop()

    # Inside

    def _offer(self) -> str:
        ice, dtls = self._gatherer.getLocalParameters(), self._dtls.getLocalParameters()
        transport = [
            "c=IN IP4 0.0.0.0",
            *(f"a=candidate:{candidate_to_sdp(x)}" for x in self._gatherer.getLocalCandidates()),
            f"a=ice-ufrag:{ice.usernameFragment}",
            f"a=ice-pwd:{ice.password}",
            f"a=fingerprint:sha-256 {dtls.fingerprints[0].value}",
            "a=setup:actpass",
        ]
        lines = [
            "v=0",
            "o=- 1 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0 1",
            f"m=audio 9 UDP/TLS/RTP/SAVPF {PAYLOAD_TYPE}",
            *transport,
            "a=mid:0",
            "a=sendrecv",
            "a=rtcp-mux",
            f"a=rtpmap:{PAYLOAD_TYPE} opus/48000/2",
            f"a=ssrc:{self._stream.ssrc} cname:page",
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
            *transport,
            "a=mid:1",
            "a=sctp-port:5000",
            "a=max-message-size:65536",
        ]
        return "".join(f"{line}\r\n" for line in lines)

    async def _shake_hands(self, answer: SessionDescription) -> None:
        audio = next(medium for medium in answer.media if medium.kind == "audio")
        assert audio.ice is not None
        assert audio.dtls is not None
        for candidate in audio.ice_candidates:
            await self._ice.addRemoteCandidate(candidate)
        await self._ice.addRemoteCandidate(None)
        await self._ice.start(audio.ice)
        self._dtls._set_role("server" if audio.dtls.role == "client" else "client")
        await self._dtls.start(RTCDtlsParameters(audio.dtls.fingerprints))
        self._decrypt, self._encrypt = self._dtls._rx_srtp, self._dtls._tx_srtp
        await self._sctp.start(RTCSctpCapabilities(65_536), 5000)
        self._channel = RTCDataChannel(self._sctp, RTCDataChannelParameters(label="evibridge"))
        is_open = asyncio.Event()
        self._channel.on("open", is_open.set)
        self._channel.on("close", self._is_closed.set)
        await is_open.wait()
        self._ping()

    def _ping(self) -> None:
        self._channel.send('{"type":"ping"}')
        self._pings = self._loop.call_later(PING_EVERY_S, self._ping)

    def _tap(self, pass_on: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        def datagram_received(datagram: bytes, address: Any) -> None:
            if not 128 <= datagram[0] < 192:
                pass_on(datagram, address)
            elif self._decrypt is not None and not is_rtcp(datagram):
                packet = read_rtp(self._decrypt.unprotect(datagram))
                if packet is not None:
                    self._hear(packet, bool(datagram[1] & 0x80))

        return datagram_received

    def _say(self, due_s: float, period_s: float) -> None:
        payload = self._packets[self.sent % len(self._packets)]
        packet = self._stream.pack(payload, self.sent * POSITIONS, begins=not self.sent)
        self.before_sending(due_s)
        self.sent += 1
        pair = self._connection._nominated[1]
        pair.protocol.transport.sendto(self._encrypt.protect(packet), pair.remote_addr)
        due_s += period_s
        self._clock = self._loop.call_at(due_s, self._say, due_s, period_s)

    def before_sending(self, due_s: float) -> None:
        """A packet is about to be sent, which was due then; for who takes the time."""
