"""A web page at its end of WebRTC: aiortc's own peer, without its codecs and its jitter buffer."""

import asyncio
import fractions
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import av
import numpy as np
from aiohttp import web
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)

from evibridge import sockets
from evibridge.audio.opus import OpusDecoder, OpusEncoder
from evibridge.bridges.browser.desk import BrowserDesk
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.bridges.browser.origins import Origins
from evibridge.bridges.browser.webrtc_routes import WebRtcRoutes
from evibridge.bridges.browser.webrtc_rtp import RtpPacket, is_rtcp
from evibridge.service import start_service
from evibridge.web_sessions import WebSessions
from tests.bridges.browser.page import ALLOWED, BrowserScene
from tests.bridges.conftest import AGENT, settings
from tests.parties import PATIENCE_S, TinyChat, TinyEvi


def datagram_sockets() -> int:
    """How many sockets of UDP this process has open."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            count += str(link.readlink()) in _datagram_inodes()
    return count


def _datagram_inodes() -> set[str]:
    lines = Path("/proc/self/net/udp").read_text().splitlines()[1:]
    return {f"socket:[{line.split()[9]}]" for line in lines}


@cache
def voice(ms: int, rate_hz: int) -> bytes:
    """Something that a codec takes for speech: int16 mono PCM."""
    at_s = np.arange(rate_hz * ms // 1000) / rate_hz
    phase = np.cumsum(2 * np.pi * (150 + 40 * np.sin(8 * at_s)) / rate_hz)
    syllables = 0.15 + 0.85 * (np.sin(23 * at_s) > -0.3)
    waves = np.sum([np.sin(k * phase) / k for k in range(1, 12)], axis=0)
    pcm16: bytes = (4000 * syllables * waves).astype(np.int16).tobytes()
    return pcm16


@cache
def voice_packets(count: int) -> tuple[bytes, ...]:
    """The same as Opus packets of 20 ms."""
    encoder = OpusEncoder(48_000)
    sound = voice(20 * count, 48_000)
    packets = [encoder.encode(sound[at : at + 1920]) for at in range(0, len(sound), 1920)]
    return tuple(packet for packet in packets if packet is not None)


class ReadyTrack(MediaStreamTrack):
    """A microphone that says what it is told to, in packets that are ready."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: asyncio.Queue[bytes] = asyncio.Queue()
        self._sent = 0

    def pause(self, ms: int) -> None:
        """Send nothing for so long, by the clock of the packets."""
        self._sent += ms // 20

    def say(self, *packets: bytes) -> None:
        """Send these as fast as they go."""
        for packet in packets:
            self._packets.put_nowait(packet)

    async def recv(self) -> Any:
        """The next packet: aiortc sends it as it is."""
        packet = av.Packet(await self._packets.get())
        packet.pts = self._sent * 960
        packet.time_base = fractions.Fraction(1, 48_000)
        self._sent += 1
        return packet


class WebRtcPage:
    """One connection of a page."""

    def __init__(self, origin: str, http: aiohttp.ClientSession, *, microphone: bool) -> None:
        self._origin = origin
        self._http = http
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channel = self.peer.createDataChannel("evibridge")
        self.channel.on("message", self._message_came)
        self.channel.on("close", self._channel_closed)
        self.track = ReadyTrack()
        if microphone:
            self.peer.addTrack(self.track)
        else:
            self.peer.addTransceiver("audio", direction="recvonly")
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[RtpPacket] = asyncio.Queue()
        self.reports: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost_on_the_way: set[int] = set()
        """Numbers of the packets of the caller's voice that do not arrive."""
        self.overtaken = -1
        """Number of the packet that comes after the one behind it."""
        self._held = b""
        self._sent = 0
        self.is_closed = asyncio.Event()
        self.answer: dict[str, Any] = {}
        self._decoder = OpusDecoder(24_000)

    def _message_came(self, text: str) -> None:
        self.messages.put_nowait(json.loads(text))

    def _channel_closed(self) -> None:
        self.is_closed.set()

    async def offer(self) -> str:
        """What the page offers."""
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def post(self, path: str = "/webrtc/offer", **members: Any) -> tuple[int, dict[str, Any]]:
        """Ask the service for something; returns status and body."""
        async with self._http.post(self._origin + path, json=members) as answer:
            return answer.status, await answer.json()

    async def connect(self, **who: Any) -> dict[str, Any]:
        """Come with a token or a key, up to the `welcome`."""
        await self.begin(**who)
        return await self.expect("welcome")

    async def begin(self, **who: Any) -> None:
        """Come with a token or a key, and begin to connect."""
        status, answer = await self.post(type="offer", sdp=await self.offer(), **who)
        assert status == 200, answer
        await self.accept(answer)

    async def accept(self, answer: dict[str, Any]) -> None:
        """Take the service's answer."""
        self.answer = answer
        dtls: Any = self.peer.getTransceivers()[0].receiver.transport
        dtls._handle_rtp_data = self._rtp_came
        dtls._handle_rtcp_data = self._rtcp_came
        send = dtls._send_rtp

        async def send_most(data: bytes) -> None:
            if is_rtcp(data):
                await send(data)
                return
            number, self._sent = self._sent, self._sent + 1
            if number == self.overtaken:
                self._held = data
            elif number not in self.lost_on_the_way:
                await send(data)
                if self._held and number > self.overtaken:
                    data, self._held = self._held, b""
                    await send(data)

        dtls._send_rtp = send_most
        await self.peer.setRemoteDescription(RTCSessionDescription(self.answer["sdp"], "answer"))

    async def _rtp_came(self, data: bytes, arrival_time_ms: int) -> None:
        del arrival_time_ms
        timestamp, ssrc = (int.from_bytes(data[at : at + 4], "big") for at in (4, 8))
        sequence = int.from_bytes(data[2:4], "big")
        self.heard.put_nowait(RtpPacket(data[1], sequence, timestamp, ssrc, data[12:]))

    async def _rtcp_came(self, data: bytes) -> None:
        self.reports.put_nowait(data)

    def send(self, **message: Any) -> None:
        """Send a message."""
        self.channel.send(json.dumps(message))

    async def expect(self, kind: str, **members: Any) -> dict[str, Any]:
        """The next message of this type that has these members; all before it is passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.messages.get()
                if message["type"] == kind and members.items() <= message.items():
                    return message

    async def packet(self) -> RtpPacket:
        """The next packet of the agent's voice; `payload_type` has the marker bit."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.heard.get()

    async def talkspurt(self) -> list[RtpPacket]:
        """The packets up to the next that says that silence follows."""
        packets = [await self.packet()]
        while len(packets[-1].payload) > 1:
            packets.append(await self.packet())
        return packets

    def decoded(self, *packets: RtpPacket) -> bytes:
        """Their sound: int16 mono PCM at 24 kHz."""
        return b"".join(self._decoder.decode(packet.payload) for packet in packets)

    async def closed(self) -> None:
        """Wait until the service has closed the connection."""
        async with asyncio.timeout(2 * PATIENCE_S):
            await self.is_closed.wait()

    def vanish(self) -> None:
        """The network is gone: nothing is said any more, and nothing is heard."""
        for transport in (self.channel.transport.transport.transport,):
            for protocol in transport._connection._protocols:
                protocol.transport.abort()

    async def open_channel(self, label: str) -> RTCDataChannel:
        """Another data channel."""
        channel = self.peer.createDataChannel(label)
        is_open = asyncio.Event()
        channel.on("open", is_open.set)
        async with asyncio.timeout(PATIENCE_S):
            await is_open.wait()
        return channel

    async def close(self) -> None:
        """Leave nothing open."""
        self.track.stop()
        await self.peer.close()


class WebRtcScene(BrowserScene):
    """A service between pages that come by WebRTC and an EVI server that a test plays."""

    routes: WebRtcRoutes

    async def no_legs(self) -> None:
        """Return when the service has no connection any more."""
        async with asyncio.timeout(PATIENCE_S):
            while self.routes._legs:  # noqa: ASYNC110 - nobody tells of it
                await asyncio.sleep(0)

    peers: list[WebRtcPage]

    def new_page(self, *, microphone: bool = True) -> WebRtcPage:
        """A page that has not asked for anything."""
        page = WebRtcPage(self.origin, self.http, microphone=microphone)
        self.peers.append(page)
        return page

    async def converse(self, *, microphone: bool = True) -> tuple[WebRtcPage, TinyChat]:
        """A call that has come as far as a conversation."""
        page = self.new_page(microphone=microphone)
        await page.connect(token=self.token())
        chat = await self.evi.next_chat()
        await chat.open()
        await chat.expect("session_settings")
        await page.expect("ready")
        return page, chat


@asynccontextmanager
async def webrtc_scene(
    evi: TinyEvi, http: aiohttp.ClientSession, servers: IceServers
) -> AsyncIterator[WebRtcScene]:
    """Two calls at a time, callers by WebRTC."""
    service = await start_service(AGENT, settings(evi, max_calls=2))
    sessions = WebSessions()
    desk = BrowserDesk(service.calls, sessions, resume_s=10.0, agent_name="Lantern")
    routes = WebRtcRoutes(
        desk, Origins(None, [ALLOWED]), servers, service.parts.bus, lambda _: None
    )
    app = web.Application()
    routes.add_routes(app)
    server = await sockets.serve(app, [], host="127.0.0.1", port=0)
    scene = WebRtcScene(evi, service, server, desk, sessions, http)
    scene.routes, scene.peers = routes, []
    try:
        yield scene
    finally:
        await service.close()
        await routes.close()
        await asyncio.gather(*(page.close() for page in scene.peers))
        await server.close()
