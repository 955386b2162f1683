"""What a server is told by an accepted socket, and what its peer gets."""

import asyncio

import aiohttp
import pytest
import websockets

from tests.sockets.peers import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_MESSAGE_BYTES,
    PATIENCE_S,
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


async def test_the_websockets_package_gets_its_messages_back(desk: Desk) -> None:
    async with asyncio.timeout(PATIENCE_S), websockets.connect(desk.url) as peer:
        await peer.send("text")
        await peer.send(b"bytes")
        assert [await peer.recv(), await peer.recv()] == ["text", "bytes"]
    assert await desk.listener.closed() == (1000, "")
    assert desk.listener.texts == [b"text"]
    assert desk.listener.binaries == [b"bytes"]


async def test_an_aiohttp_client_gets_its_messages_back(desk: Desk) -> None:
    desk.accept = lambda _: Recorder(lambda socket, message: socket.send_binary(message))
    async with (
        asyncio.timeout(PATIENCE_S),
        aiohttp.ClientSession() as session,
        session.ws_connect(desk.url) as peer,
    ):
        await peer.send_str("text")
        assert await peer.receive_bytes() == b"text"
        await peer.close(code=4002, message=b"enough")
    assert await desk.listener.closed() == (4002, "enough")


async def test_a_frame_that_comes_with_the_handshake_is_not_lost(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port, after=frame(TEXT, b"early")) as peer:
        assert await peer.frame() == (TEXT, b"early")


@pytest.mark.parametrize("size", [0, 1, 125, 126, MAX_MESSAGE_BYTES])
async def test_messages_of_every_length_class_pass(desk: Desk, size: int) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"x" * size))
        assert await peer.frame() == (TEXT, b"x" * size)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
async def test_messages_of_every_length_class_are_sent(desk: Desk, size: int) -> None:
    desk.accept = lambda _: Recorder(lambda socket, _: socket.send_binary(b"y" * size))
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"go"))
        assert await peer.frame() == (BINARY, b"y" * size)


async def test_a_frame_may_arrive_byte_by_byte(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        for byte in frame(TEXT, GREETING):
            peer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert await peer.frame() == (TEXT, GREETING)


async def test_fragments_are_told_as_one_message(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(BINARY, b"a", fin=False))
        peer.write(frame(CONTINUATION, b"", fin=False))
        peer.write(frame(CONTINUATION, b"b", fin=False))
        peer.write(frame(CONTINUATION, b"c") + frame(TEXT, b"next"))
        assert [await peer.frame(), await peer.frame()] == [(TEXT, b"abc"), (TEXT, b"next")]
    assert desk.listener.binaries == [b"abc"]
    assert desk.listener.texts == [b"next"]


async def test_a_message_may_come_in_any_number_of_fragments(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, fin=False) + 5000 * frame(CONTINUATION, fin=False))
        peer.write(MAX_MESSAGE_BYTES * frame(CONTINUATION, b"x", fin=False) + frame(CONTINUATION))
        assert await peer.frame() == (TEXT, b"x" * MAX_MESSAGE_BYTES)


async def test_control_frames_between_fragments_disturb_nothing(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"a", fin=False) + frame(PING, b"1") + frame(PONG, b"2"))
        peer.write(frame(CONTINUATION, b"b"))
        assert [await peer.frame(), await peer.frame()] == [(PONG, b"1"), (TEXT, b"ab")]


async def test_text_that_is_not_utf_8_is_left_to_whoever_parses_it(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(TEXT, b"\xff"))
        assert await peer.frame() == (TEXT, b"\xff")


# Violations


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(CONTINUATION, b"x"), 1002),
        (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(TEXT, b"x", rsv=2), 1002),
        (frame(TEXT, b"x", rsv=1), 1002),
        (frame(3, b"x"), 1002),
        (frame(TEXT, b"x", masked=False), 1002),
        (frame(PING, b"x", fin=False), 1002),
        (frame(PING, b"x" * 126), 1002),
        (frame(CLOSE, b"x"), 1002),
        (close_frame(999), 1002),
        (close_frame(1005), 1002),
        (frame(CLOSE, b"\x03\xe8\xff"), 1007),
        (frame(TEXT, b"x" * (MAX_MESSAGE_BYTES + 1)), 1009),
        (b"\x82\xff" + (1 << 62).to_bytes(8, "big"), 1009),
        (frame(TEXT, bytes(600), fin=False) + frame(CONTINUATION, bytes(401)), 1009),
    ],
)
async def test_a_violation_ends_the_connection(desk: Desk, sent: bytes, code: int) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(sent)
        assert await peer.close_code() == code
        peer.write(close_frame(code))
        assert await peer.ended() == b""
    assert desk.listener.texts == []
    assert (await desk.listener.closed())[0] in (code, 1006)


async def test_nothing_is_told_after_a_violation(desk: Desk) -> None:
    async with await RawPeer.upgraded(desk.port) as peer:
        peer.write(frame(BINARY, b"x" * (MAX_MESSAGE_BYTES + 1)) + frame(TEXT, b"more"))
        assert await peer.close_code() == 1009
        await peer.ended()
    await desk.listener.closed()
    assert desk.listener.binaries == []
    assert desk.listener.texts == []
