"""How an accepted socket ends, and what its owner is told about it."""

import asyncio
import gc
import weakref

import pytest

from evibridge.sockets import Socket, _picows
from tests.sockets.peers import (
    CLOSE,
    TEXT,
    Desk,
    RawPeer,
    Recorder,
    close_frame,
    frame,
)

GREETING = "héllo".encode()


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4001, 4999])
async def test_the_peers_code_and_reason_are_told_and_echoed(desk: Desk, code: int) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(close_frame(code, "ça va"))
        assert await peer.close_code() == code
        assert await peer.ended() == b""
    assert await desk.listener.closed() == (code, "ça va")


async def test_a_close_frame_without_a_code_is_1005(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(CLOSE))
        assert await peer.close_code() == 1000
    assert await desk.listener.closed() == (1005, "")


async def test_a_code_that_may_not_be_sent_is_not_echoed(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(close_frame(1006))
        assert await peer.close_code() == 1000
    assert await desk.listener.closed() == (1006, "")


async def test_an_end_without_a_close_frame_is_1006(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port):
        pass
    assert await desk.listener.closed() == (1006, "")


async def test_a_half_closed_connection_is_1006(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.stop_writing()
        assert await peer.ended() == b""
    assert await desk.listener.closed() == (1006, "")


async def test_our_close_reports_the_peers_answer(desk: Desk) -> None:
    desk.accept = lambda _: Recorder(lambda socket, _: socket.close(4000, "bye"))
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go"))
        assert await peer.frame() == (CLOSE, (4000).to_bytes(2, "big") + b"bye")
        assert not desk.listener.closes
        peer.write(frame(TEXT, b"too late") + close_frame(4000, "bye too"))
        assert await peer.ended() == b""
    assert await desk.listener.closed() == (4000, "bye too")
    assert desk.listener.texts == [b"go"]


async def test_our_close_that_nobody_answers_is_cut_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_picows, "CLOSE_TIMEOUT_S", 0.01)
    desk.accept = lambda _: Recorder(lambda socket, _: socket.close())
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go"))
        assert await peer.close_code() == 1000
        assert await peer.ended() == b""
    assert await desk.listener.closed() == (1006, "")


async def test_a_peer_that_closes_but_does_not_read_is_cut_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_picows, "CLOSE_TIMEOUT_S", 0.01)
    desk.accept = lambda _: Recorder(lambda socket, _: socket.send_binary(bytes(1 << 24)))
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go") + close_frame(1001))
        assert await desk.listener.closed() == (1001, "")


async def test_abort_is_1006_and_takes_no_time(desk: Desk) -> None:
    desk.accept = lambda _: Recorder(lambda socket, _: socket.abort())
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go") + frame(TEXT, b"too late"))
        assert await peer.ended() == b""
    assert await desk.listener.closed() == (1006, "")
    assert desk.listener.texts == [b"go"]


@pytest.mark.parametrize("reason", ["x" * 200, "é" * 62, "\ud800"])
async def test_a_reason_is_made_to_fit(desk: Desk, reason: str) -> None:
    desk.accept = lambda _: Recorder(lambda socket, _: socket.close(1000, reason))
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go"))
        opcode, payload = await peer.frame()
        sent = payload[2:].decode()
        assert opcode == CLOSE
        assert len(payload) <= 125
        assert sent == "?" or (len(sent) > 60 and reason.startswith(sent))


async def test_every_method_is_harmless_after_the_end(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port):
        pass
    await desk.listener.closed()
    socket = desk.listener.socket
    assert socket is not None
    socket.send_text(b"x")
    socket.send_binary(b"x")
    socket.close(1000, "x")
    socket.abort()
    assert socket.unsent_bytes() == 0
    assert desk.listener.closes == [(1006, "")]


async def test_sending_while_closing_sends_nothing(desk: Desk) -> None:
    def close_and_go_on(socket: Socket, _: bytes) -> None:
        socket.close(1000)
        socket.send_text(b"x")
        socket.send_binary(b"x")
        socket.close(1001)

    desk.accept = lambda _: Recorder(close_and_go_on)
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go"))
        assert await peer.frame() == (CLOSE, (1000).to_bytes(2, "big"))
        peer.write(close_frame(1000))
        assert await peer.ended() == b""


async def test_closing_after_an_abort_sends_nothing(desk: Desk) -> None:
    def abort_and_close(socket: Socket, _: bytes) -> None:
        socket.abort()
        socket.close(4000)

    desk.accept = lambda _: Recorder(abort_and_close)
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go"))
        assert await peer.ended() == b""
    assert await desk.listener.closed() == (1006, "")


async def test_sending_to_a_peer_that_has_just_gone_does_no_harm(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"x"))
        await desk.listener.until(lambda me: me.texts)
        socket = desk.listener.socket
        assert socket is not None
    for _ in range(20):
        socket.send_binary(bytes(1 << 16))
    assert await desk.listener.closed() == (1006, "")


async def test_a_socket_is_let_go_when_its_connection_ends(desk: Desk) -> None:
    desk.accept = lambda _: Recorder(lambda socket, _: socket.close())
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go"))
        await peer.close_code()
        peer.write(close_frame(1000))
        await peer.ended()
    await desk.listener.closed()
    owner = weakref.ref(desk.listener)
    desk.listeners.clear()
    desk.upgrades.clear()
    for _ in range(20):
        await asyncio.sleep(0)
    gc.collect()
    assert owner() is None
