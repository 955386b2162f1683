"""Bodies of HTTP requests, from people who send what they like."""

import asyncio
import zlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import http_parser, web, web_protocol

from evibridge.sockets import receive_body, serve
from tests.sockets.peers import PATIENCE_S, RawPeer

MAX_BYTES = 1000
HEAD = b"POST /body HTTP/1.1\r\nHost: test\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def post(body: bytes, *headers: str, announced: int | None = None) -> bytes:
    """A request with a body, whose length may be another one than is announced."""
    length = len(body) if announced is None else announced
    lines = "".join(f"{header}\r\n" for header in (*headers, f"Content-Length: {length}"))
    return HEAD + lines.encode() + b"\r\n" + body


class Receiver:
    """A server that gives each body back, and notes how it was refused."""

    def __init__(self) -> None:
        self.port = 0
        self.timeout_s = PATIENCE_S
        self.asked = asyncio.Event()
        self.refused: asyncio.Queue[int] = asyncio.Queue()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.set()
        try:
            body = await receive_body(request, max_bytes=MAX_BYTES, timeout_s=self.timeout_s)
        except web.HTTPException as refusal:
            self.refused.put_nowait(refusal.status)
            raise
        return web.Response(body=body)

    async def status(self, *sent: bytes) -> int:
        """How a request is answered."""
        async with await RawPeer.dial(self.port, *sent) as peer:
            return (await peer.response())[0]

    async def broken_off(self, sent: bytes) -> int:
        """How a request is refused whose client, or whose end, never comes."""
        self.asked.clear()
        async with asyncio.timeout(PATIENCE_S):
            async with await RawPeer.dial(self.port, sent):
                await self.asked.wait()
            return await self.refused.get()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/body", receiver.answer)
    server = await serve(app, [], host="127.0.0.1", port=0)
    receiver.port = server.port
    yield receiver
    await server.close()


@pytest.mark.parametrize("headers", [[], ["Content-Encoding: identity"]])
async def test_a_body_arrives_as_it_was_sent(receiver: Receiver, headers: list[str]) -> None:
    body = b"\x00\xff" * (MAX_BYTES // 2)

    async with await RawPeer.dial(receiver.port, post(body, *headers)) as peer:
        assert (await peer.response())[0] == 200
        assert await peer.exactly(MAX_BYTES) == body


async def test_no_body_is_an_empty_one(receiver: Receiver) -> None:
    assert await receiver.status(HEAD + b"\r\n") == 200


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Encoding: gzip"],
        ["Content-Encoding: deflate"],
        ["Content-Encoding: zstd"],
        ["Content-Encoding: identity, gzip"],
        ["Content-Encoding: identity", "Content-Encoding: br"],
        ["Content-Encoding:"],
    ],
)
async def test_a_body_that_claims_to_be_packed_is_refused(
    receiver: Receiver, headers: list[str]
) -> None:
    assert await receiver.status(post(b"hello", *headers)) == 415


async def test_a_server_unpacks_nothing() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_post("/body", answer)
    server = await serve(app, [], host="127.0.0.1", port=0)
    packed = zlib.compress(bytes(100_000))

    async with await RawPeer.dial(server.port, post(packed, "Content-Encoding: deflate")) as peer:
        assert (await peer.response())[0] == 200
        assert await peer.exactly(len(packed)) == packed
    await server.close()


async def test_a_body_that_is_too_long_is_refused(receiver: Receiver) -> None:
    too_long = bytes(MAX_BYTES + 1)
    in_one_chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(too_long), too_long)

    assert await receiver.status(post(b"", announced=len(too_long))) == 413
    assert await receiver.status(CHUNKED + in_one_chunk) == 413


async def test_a_body_that_does_not_come_is_not_waited_for(receiver: Receiver) -> None:
    receiver.timeout_s = 0.01

    assert await receiver.status(post(b"hel", announced=5)) == 408


async def test_a_body_that_is_broken_off_is_none(receiver: Receiver) -> None:
    assert await receiver.broken_off(post(b"hel", announced=5)) == 400


@pytest.mark.parametrize("no_chunk", [b"zz\r\nhello", b"0" * 9000 + b"\r\n"])
async def test_chunks_that_are_none_are_refused_without_a_compiled_parser_as_well(
    receiver: Receiver,
    no_chunk: bytes,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(web_protocol, "HttpRequestParser", http_parser.HttpRequestParserPy)
    async with asyncio.timeout(PATIENCE_S), await RawPeer.dial(receiver.port, CHUNKED) as peer:
        await receiver.asked.wait()
        peer.write(no_chunk)

        assert (await peer.response())[0] == 400
        assert await receiver.refused.get() == 400
        await peer.ended()
    assert not caplog.records
