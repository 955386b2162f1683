"""What a listener may do in a callback, and how slow and silent peers are noticed."""

import pytest
from structlog.testing import capture_logs

from evibridge.sockets import Socket, SocketListener, _picows
from tests.sockets.peers import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Desk,
    RawPeer,
    Recorder,
    close_frame,
    frame,
)

GREETING = "héllo".encode()


class Grumpy(Recorder):
    """Fails in the callbacks that it is told to."""

    def __init__(self, *where: str) -> None:
        super().__init__()
        self._where = where

    def on_open(self, socket: Socket) -> None:
        super().on_open(socket)
        self._fail("open")

    def on_text(self, text: bytes) -> None:
        super().on_text(text)
        self._fail("text")

    def on_binary(self, data: bytes) -> None:
        super().on_binary(data)
        self._fail("binary")

    def on_close(self, code: int, reason: str) -> None:
        super().on_close(code, reason)
        self._fail("close")

    def _fail(self, where: str) -> None:
        if where in self._where:
            raise ZeroDivisionError(where)


@pytest.mark.parametrize(
    ("where", "sent"),
    [
        ("open", b""),
        ("text", frame(TEXT, b"x")),
        ("binary", frame(BINARY, b"x")),
        ("text", frame(TEXT, b"x", fin=False) + frame(CONTINUATION, b"y")),
    ],
)
async def test_a_failing_listener_is_logged_once_and_closed_with_1011(
    desk: Desk, where: str, sent: bytes
) -> None:
    desk.accept = lambda _: Grumpy(where)
    with capture_logs() as logs:
        async with await RawPeer.upgraded(desk.port) as peer:
            peer.write(sent)
            assert await peer.close_code() == 1011
            peer.write(frame(TEXT, b"more") + close_frame(1011))
            await peer.ended()
        assert await desk.listener.closed() == (1011, "")
    assert [(entry["event"], entry["exc_info"]) for entry in logs] == [
        ("socket_listener_failed", True)
    ]
    assert desk.listener.closes == [(1011, "")]


async def test_a_listener_that_fails_at_the_end_is_logged_once(desk: Desk) -> None:
    desk.accept = lambda _: Grumpy("close")
    with capture_logs() as logs:
        async with await RawPeer.upgraded(desk.port) as peer:
            peer.write(close_frame(1000))
            await peer.ended()
        assert await desk.listener.closed() == (1000, "")
    assert [entry["event"] for entry in logs] == ["socket_listener_failed"]


class Ender(Recorder):
    """Ends the connection as soon as it has it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    def on_open(self, socket: Socket) -> None:
        super().on_open(socket)
        socket.send_text(b"first and last")
        assert socket.unsent_bytes() >= 0
        socket.close(4003) if self._how == "close" else socket.abort()


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_listener_may_end_the_connection_when_it_opens(desk: Desk, how: str) -> None:
    desk.accept = lambda _: Ender(how)
    async with await RawPeer.upgraded(desk.port, after=frame(TEXT, b"x")) as peer:
        assert await peer.frame() == (TEXT, b"first and last")
        if how == "close":
            assert await peer.close_code() == 4003
            peer.write(close_frame(4003))
        assert await peer.ended() == b""
    assert await desk.listener.closed() == ((4003, "") if how == "close" else (1006, ""))
    assert desk.listener.texts == []


async def test_a_listener_without_methods_of_its_own_is_enough(desk: Desk) -> None:
    desk.accept = lambda _: SocketListener()
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"x") + frame(BINARY, b"x") + frame(PING, b"alive"))
        assert await peer.frame() == (PONG, b"alive")
        peer.write(close_frame(1000))
        assert await peer.close_code() == 1000


async def test_unsent_bytes_grow_while_the_peer_does_not_read(desk: Desk) -> None:
    desk.accept = lambda _: Recorder(lambda socket, _: socket.send_binary(bytes(1 << 24)))
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go"))
        await desk.listener.until(lambda me: me.texts)
        socket = desk.listener.socket
        assert socket is not None
        once = socket.unsent_bytes()
        assert once > 1 << 20
        socket.send_binary(bytes(1 << 20))
        assert socket.unsent_bytes() >= once + (1 << 20)
        assert await peer.frame() == (BINARY, bytes(1 << 24))


async def test_a_silent_peer_is_pinged_and_then_cut(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_picows, "PING_AFTER_IDLE_S", 0.01)
    async with await RawPeer.upgraded(desk.port) as peer:
        assert await peer.frame() == (PING, b"")
        await peer.ended()
    assert await desk.listener.closed() == (1006, "")


async def test_a_peer_that_answers_pings_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_picows, "PING_AFTER_IDLE_S", 0.25)
    async with await RawPeer.upgraded(desk.port) as peer:
        for _ in range(2):
            assert await peer.frame() == (PING, b"")
            peer.write(frame(PONG))
        assert not desk.listener.closes
