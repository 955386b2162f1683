"""What a connection bears, and that nothing is left of one that ends."""

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import aioice.stun as stun
import pytest
from aiortc.rtcsctptransport import DataChunk

from evibridge.bridges.browser import webrtc_peer
from evibridge.bridges.browser.ice_servers import IceServer, IceServers
from evibridge.bridges.browser.webrtc_channels import MAX_FRAGMENTS, MAX_STREAMS
from evibridge.bridges.browser.webrtc_offer import read_offer
from evibridge.bridges.browser.webrtc_peer import WebRtcPeer
from evibridge.events import CallerLost
from tests.bridges.browser.test_webrtc_calls import told
from tests.bridges.browser.test_webrtc_offer import CHROMIUM
from tests.bridges.browser.webrtc_page import (
    WebRtcPage,
    WebRtcScene,
    datagram_sockets,
    voice_packets,
    webrtc_scene,
)
from tests.parties import PATIENCE_S, TinyEvi


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])


@pytest.fixture
async def scene(evi: TinyEvi, http: aiohttp.ClientSession) -> AsyncIterator[WebRtcScene]:
    async with webrtc_scene(evi, http, IceServers()) as scene:
        yield scene


class Listener:
    """Keeps what a peer tells."""

    def __init__(self) -> None:
        self.lost: asyncio.Queue[str] = asyncio.Queue()
        self.is_closed = asyncio.Event()

    def peer_opened(self) -> None:
        raise AssertionError("nobody connects")

    def audio_received(self, *_: object) -> None:
        raise AssertionError("nobody connects")

    def text_received(self, _: bytes) -> None:
        raise AssertionError("nobody connects")

    def peer_lost(self, why: str) -> None:
        self.lost.put_nowait(why)

    def peer_closed(self) -> None:
        self.is_closed.set()


async def broken(scene: WebRtcScene, page: WebRtcPage) -> None:
    """The service has closed the connection, and the call waits for its caller."""
    await told(scene, page.answer["call_id"], CallerLost)
    await scene.no_legs()


def damaged_stun(kind: int, attribute: int) -> bytes:
    """A binding request or response with an attribute that is too short."""
    return struct.pack("!HHI12sHHI", kind, 8, 0x2112A442, bytes(12), attribute, 1, 0)


STRANGE = (
    b"",
    b"\0",
    b"\x16" * 40,
    b"\x80" * 40,
    b"\x80\xc8" + bytes(60),
    b"\x80" * 2000,
    *(damaged_stun(kind, attribute) for kind in (1, 0x101) for attribute in (6, 8, 9, 0x20, 0x24)),
)
"""What does not come from the page, or is damaged on its way."""


def fragment(tsn: int, stream: int, size: int, flags: int = 0) -> DataChunk:
    chunk = DataChunk(flags=flags)
    chunk.tsn, chunk.stream_id, chunk.protocol = tsn, stream, 51
    chunk.user_data = b"x" * size
    return chunk


# A page that breaks the rules


async def test_a_binary_message_breaks_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    page.channel.send(b"\x01\x02")
    await broken(scene, page)


@pytest.mark.parametrize("size", [64 * 1024 + 1, 1024 * 1024])
async def test_a_message_that_is_too_long_breaks_the_connection(
    scene: WebRtcScene, size: int
) -> None:
    page, _ = await scene.converse()
    page.channel.transport._remote_max_message_size = 0  # for this page no length is too much
    page.channel.send("x" * size)
    await broken(scene, page)


async def test_a_message_of_64_kib_is_taken(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    page.channel.send("x" * 64 * 1024)
    assert (await page.expect("refused"))["code"] == "bad_message"


async def test_a_message_without_an_end_breaks_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sctp = page.channel.transport
    for number in range(MAX_FRAGMENTS + 1):
        tsn = (sctp._local_tsn + number) % 2**32
        await sctp._send_chunk(fragment(tsn, page.channel.id or 0, 1, flags=2 if not number else 0))
    await broken(scene, page)


async def test_gaps_that_are_never_filled_break_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sctp = page.channel.transport
    for number in range(1, MAX_FRAGMENTS + 3):
        tsn = (sctp._local_tsn + 2 * number) % 2**32
        await sctp._send_chunk(fragment(tsn, number % MAX_STREAMS, 1, flags=7))
    await broken(scene, page)


async def test_a_stream_that_is_not_there_breaks_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sctp = page.channel.transport
    await sctp._send_chunk(fragment(sctp._local_tsn, MAX_STREAMS, 1, flags=3))
    await broken(scene, page)


async def test_data_that_makes_no_sense_breaks_the_connection(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    chunk = fragment(page.channel.transport._local_tsn, page.channel.id or 0, 0, flags=3)
    chunk.user_data = b"\xff\xfe is no UTF-8"
    await page.channel.transport._send_chunk(chunk)
    await broken(scene, page)


async def test_other_data_channels_are_ignored(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    for label in ("evibridge", "other"):
        channel = await page.open_channel(label)
        channel.send(b"nobody reads this")
        channel.send('{"type":"end"}')
    page.send(type="ping")
    await page.expect("pong")
    assert not scene.call.is_over


async def test_datagrams_of_strangers_change_nothing(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    port = int(page.answer["sdp"].split("a=candidate:")[1].split()[5])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in (b"", b"\0", b"\x16" * 40, b"\x80" * 40, b"\x80\xc8" + bytes(60)):
            stranger.sendto(datagram, ("127.0.0.1", port))
        stranger.sendto(b"\x80" * 2000, ("127.0.0.1", port))
    page.send(type="ping")
    await page.expect("pong")


async def test_a_page_that_takes_no_messages_is_lost(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, _ = await scene.converse()
    monkeypatch.setattr(webrtc_peer, "MAX_UNSENT_BYTES", -1)
    page.send(type="ping")
    await broken(scene, page)


async def test_a_message_longer_than_the_page_takes_is_left_out(scene: WebRtcScene) -> None:
    page = scene.new_page()
    sdp = (await page.offer()).replace("max-message-size:262144", "max-message-size:20")
    status, answer = await page.post(type="offer", sdp=sdp, token=scene.token())
    assert status == 200
    await page.accept(answer)
    await scene.evi.next_chat()
    page.send(type="ping")
    await page.expect("pong")
    assert page.messages.empty()


# A page that never comes


async def test_a_page_that_never_connects_is_given_up(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc_peer, "CONNECT_TIMEOUT_S", 0.1)
    sockets, page = datagram_sockets(), scene.new_page()
    status, answer = await page.post(type="offer", sdp=CHROMIUM, token=scene.token())
    assert status == 200
    await scene.no_legs()
    assert datagram_sockets() == sockets
    assert scene.desk.come_back(answer["key"]).call is None, "it may come by another way"


async def test_a_page_without_the_data_channel_is_given_up(
    scene: WebRtcScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc_peer, "CONNECT_TIMEOUT_S", 1.0)
    monkeypatch.setattr(webrtc_peer, "LABEL", "another")
    page = scene.new_page()
    await page.begin(token=scene.token())
    page.track.say(*voice_packets(5))
    await scene.no_legs()
    assert not scene.calls.live


async def test_a_page_with_another_certificate_is_not_let_in(scene: WebRtcScene) -> None:
    page = scene.new_page()
    sdp = await page.offer()
    fingerprints = [line for line in sdp.splitlines() if line.startswith("a=fingerprint:sha-256")]
    other = fingerprints[0][:-2] + ("00" if fingerprints[0][-2:] != "00" else "01")
    status, answer = await page.post(
        type="offer", sdp=sdp.replace(fingerprints[0], other), token=scene.token()
    )
    assert status == 200
    await page.accept(answer)
    await scene.no_legs()
    assert not scene.calls.live


# Servers that do not answer


class SilentServer(asyncio.DatagramProtocol):
    """A STUN and TURN server that gives an address to whoever asks, if it is told to."""

    def __init__(self, *, gives_addresses: bool) -> None:
        self._gives_addresses = gives_addresses
        self.asked = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked.set()
        request = stun.parse_message(data)
        if not self._gives_addresses or request.message_method is not stun.Method.ALLOCATE:
            return
        answer = stun.Message(
            message_method=request.message_method,
            message_class=stun.Class.RESPONSE,
            transaction_id=request.transaction_id,
            attributes={
                "LIFETIME": 600,
                "XOR-MAPPED-ADDRESS": addr,
                "XOR-RELAYED-ADDRESS": ("127.0.0.1", 9),
            },
        )
        self._transport.sendto(bytes(answer), addr)


async def peer_of(kind: str, *, gives_addresses: bool) -> tuple[WebRtcPeer, Listener, Any]:
    """A peer that has gathered with the help of such a server."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: SilentServer(gives_addresses=gives_addresses), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    listener = Listener()
    server = IceServer((f"{kind}:127.0.0.1:{port}",), "name", "word")
    peer = WebRtcPeer(read_offer(CHROMIUM), listener, [server])
    await peer.gather()
    return peer, listener, transport


@pytest.mark.parametrize("kind", ["stun", "turn"])
async def test_a_server_that_does_not_answer_is_left_out(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc_peer, "GATHER_TIMEOUT_S", 0.05)
    sockets = datagram_sockets()
    peer, listener, transport = await peer_of(kind, gives_addresses=False)
    assert peer.answer().count("a=candidate") == 2, "one address, told with both media"
    peer.close()
    await peer.closed()
    transport.close()
    await asyncio.sleep(0)
    assert listener.is_closed.is_set()
    assert datagram_sockets() == sockets


async def test_a_server_that_does_not_let_go_holds_nobody_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webrtc_peer, "CLOSE_TIMEOUT_S", 0.05)
    sockets = datagram_sockets()
    peer, listener, transport = await peer_of("turn", gives_addresses=True)
    assert "typ relay" in peer.answer()
    peer.close()
    async with asyncio.timeout(PATIENCE_S):
        await peer.closed()
    transport.close()
    await asyncio.sleep(0)
    assert listener.is_closed.is_set()
    assert datagram_sockets() == sockets


async def test_a_peer_may_be_closed_at_any_time() -> None:
    sockets, threads = datagram_sockets(), threading.active_count()
    never_gathered, never_answered, answered = (
        WebRtcPeer(read_offer(CHROMIUM), Listener(), []) for _ in range(3)
    )
    await never_answered.gather()
    await answered.gather()
    answered.answer()
    await asyncio.sleep(0)
    for peer in (never_gathered, never_answered, answered):
        peer.send_audio(b"opus", 0, begins=True)
        peer.send_text(b"{}")
        peer.close()
        peer.close()
        await peer.closed()
    assert datagram_sockets() == sockets
    assert threading.active_count() == threads
    assert asyncio.all_tasks() == {asyncio.current_task()}
