"""What a connection bears, and that nothing is left of one that ends."""

import asyncio
import socket
import struct
import threading
from typing import Any

import aioice.stun as stun
import pytest
from cryptography.hazmat.primitives import serialization
from OpenSSL import crypto
from structlog.testing import capture_logs

from evibridge.bridges.browser import webrtc_peer
from evibridge.bridges.browser.datagram_admission import MAX_LEARNED, MAX_ROAMED
from evibridge.bridges.browser.ice_servers import IceServer
from evibridge.bridges.browser.webrtc_media import MAX_SOURCES
from evibridge.bridges.browser.webrtc_offer import read_offer
from evibridge.bridges.browser.webrtc_peer import WebRtcPeer
from tests.bridges.browser.test_webrtc_channels import broken
from tests.bridges.browser.test_webrtc_offer import CHROMIUM
from tests.bridges.browser.webrtc_page import (
    WebRtcPage,
    WebRtcScene,
    datagram_sockets,
    voice_packets,
)
from tests.parties import PATIENCE_S


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


def damaged_stun(kind: int, attribute: int) -> bytes:
    """A binding request or response with an attribute that is too short."""
    return struct.pack("!HHI12sHHI", kind, 8, 0x2112A442, bytes(12), attribute, 1, 0)


ALERT = bytes.fromhex("15fefd000000000000000000020228")
"""Of DTLS, as nobody has to sign it before the handshake: something is wrong for good."""
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


# A page that breaks the rules


def port_of(answer: dict[str, Any]) -> int:
    """Of the service's first address."""
    return int(answer["sdp"].split("a=candidate:")[1].split()[5])


def sent_by_a_stranger(port: int, *datagrams: bytes) -> None:
    """They are there when this returns: the machine has not far to itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in datagrams:
            stranger.sendto(datagram, ("127.0.0.1", port))


def ice_of(scene: WebRtcScene) -> Any:
    """The service's end of the ICE connection."""
    (leg,) = scene.routes._legs
    return leg._peer._gatherer._connection


async def test_datagrams_of_strangers_change_nothing(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    sent_by_a_stranger(port_of(page.answer), *STRANGE)
    page.send(type="ping")
    await page.expect("pong")


@pytest.mark.parametrize(
    "datagram",
    [ALERT, b"\x14junk", b"\0junk", b"\x80" * 40],
    ids=["an alert of DTLS", "junk", "what looks like STUN", "what looks like media"],
)
async def test_strangers_cannot_keep_a_page_from_connecting(
    scene: WebRtcScene, datagram: bytes
) -> None:
    page = scene.new_page()
    status, answer = await page.post(type="offer", sdp=await page.offer(), token=scene.token())
    assert status == 200
    for _ in range(8):  # not more at once than the socket holds
        sent_by_a_stranger(port_of(answer), *[datagram] * 50)
        await page.post()  # the service has read them by then
    assert ice_of(scene)._queue.empty()
    await page.accept(answer)
    await page.expect("welcome")


async def test_nobody_else_fills_the_queue_of_a_page_that_is_connected(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    connection = ice_of(scene)
    (pair,) = connection._nominated.values()
    come = connection._protocols[0].datagram_received
    for number in range(webrtc_peer.MAX_WAITING_DATAGRAMS + 50):
        come(b"\x16" * 40, ("127.0.0.1", 1 + number))
        come(b"\x16" * 3000, pair.remote_addr)
        come(b"\0" * 40, pair.remote_addr)
    assert connection._queue.empty()
    for _ in range(webrtc_peer.MAX_WAITING_DATAGRAMS + 50):
        come(b"\x16" * 40, pair.remote_addr)
    assert connection._queue.qsize() == webrtc_peer.MAX_WAITING_DATAGRAMS
    came: list[Any] = []
    connection.check_incoming = lambda *check: came.append(check)
    come(page_check(page), pair.remote_addr)
    assert len(came) == 1, "a full queue keeps no check out"
    page.send(type="ping")
    await page.expect("pong")


def page_check(page: WebRtcPage) -> bytes:
    """A check that only the page can make."""
    mine: Any = page.channel.transport.transport.transport._connection
    request = mine.build_request(next(iter(mine._nominated.values())), nominate=False)
    request.add_message_integrity(mine.remote_password.encode())
    return bytes(request)


async def test_a_page_is_followed_to_few_other_addresses(scene: WebRtcScene) -> None:
    page, _ = await scene.converse()
    connection = ice_of(scene)
    come, before = connection._protocols[0].datagram_received, len(connection._check_list)
    for number in range(10 * MAX_ROAMED):
        come(page_check(page), (f"127.1.{number}.1", 40_000))
    assert len(connection._check_list) <= before + MAX_ROAMED
    page.send(type="ping")
    await page.expect("pong")


async def test_a_page_that_is_not_connected_is_sought_at_few_addresses(
    scene: WebRtcScene,
) -> None:
    page = scene.new_page()
    status, answer = await page.post(type="offer", sdp=await page.offer(), token=scene.token())
    assert status == 200
    connection = ice_of(scene)
    mine: Any = page.channel.transport.transport.transport._connection
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{connection.local_username}:{mine.local_username}"
    request.attributes["PRIORITY"] = 1
    request.add_message_integrity(connection.local_password.encode())
    come, before = connection._protocols[0].datagram_received, len(connection._check_list)
    for number in range(2 * MAX_LEARNED):
        come(bytes(request), (f"127.1.{number}.1", 40_000))
    assert len(connection._check_list) <= before + MAX_LEARNED
    await page.accept(answer)
    await page.expect("welcome")


@pytest.mark.parametrize("is_report", [False, True])
async def test_a_page_with_many_streams_breaks_the_connection(
    scene: WebRtcScene, is_report: bool
) -> None:
    page, _ = await scene.converse()
    dtls: Any = page.channel.transport.transport
    for ssrc in range(2 * MAX_SOURCES):
        if is_report:
            await dtls._send_rtp(struct.pack("!BBHL", 0x80, 201, 1, ssrc))
        else:
            await dtls._send_rtp(struct.pack("!BBHLL", 0x80, 99, 1, 0, ssrc) + b"abc")
    await broken(scene, page)


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


@pytest.mark.filterwarnings("ignore:Passing pyOpenSSL X509 objects:DeprecationWarning")
async def test_a_page_with_a_strange_certificate_is_not_let_in(scene: WebRtcScene) -> None:
    page = scene.new_page()
    sdp = await page.offer()
    dtls: Any = page.channel.transport.transport
    certificate = dtls._RTCDtlsTransport__local_certificate
    shown = certificate._cert.public_bytes(serialization.Encoding.DER)
    version, strange = bytes.fromhex("a003020102"), bytes.fromhex("a003020106")
    assert version in shown
    certificate._cert = crypto.load_certificate(
        crypto.FILETYPE_ASN1, shown.replace(version, strange, 1)
    )
    status, answer = await page.post(type="offer", sdp=sdp, token=scene.token())
    assert status == 200
    with capture_logs() as lines:
        await page.accept(answer)
        await scene.no_legs()
    assert "webrtc_handshake_failed" in {line["event"] for line in lines}
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


async def test_servers_that_only_pages_can_read_are_left_to_them() -> None:
    peer = WebRtcPeer(read_offer(CHROMIUM), Listener(), [IceServer(("stun:[2001:db8::1]:3478",))])
    await peer.gather()
    assert "candidate" in peer.answer()
    peer.close()
    await peer.closed()
