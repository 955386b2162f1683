"""The other end of a connection, written without the library under test."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from hashlib import sha1
from typing import Self

from evibridge.sockets import Refusal, Socket, SocketListener, SocketRoute, Upgrade

PATIENCE_S = 8.0  # less than any time limit of the sockets themselves
MAX_MESSAGE_BYTES = 1000
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = b64encode(bytes(16)).decode()


class Recorder(SocketListener):
    """Keeps what it is told, and does `on_message` for each message."""

    def __init__(self, on_message: Callable[[Socket, bytes], None] | None = None) -> None:
        self._on_message = on_message
        self._arrived = asyncio.Event()
        self.socket: Socket | None = None
        self.texts: list[bytes] = []
        self.binaries: list[bytes] = []
        self.closes: list[tuple[int, str]] = []

    def on_open(self, socket: Socket) -> None:
        assert self.socket is None
        self.socket = socket

    def on_text(self, text: bytes) -> None:
        self.texts.append(text)
        self._react(text)

    def on_binary(self, data: bytes) -> None:
        self.binaries.append(data)
        self._react(data)

    def on_close(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))
        self._arrived.set()

    def _react(self, message: bytes) -> None:
        assert not self.closes
        self._arrived.set()
        if self._on_message is not None and self.socket is not None:
            self._on_message(self.socket, message)

    async def until(self, condition: Callable[[Self], object]) -> None:
        """Wait until something told makes the condition true."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition(self):
                self._arrived.clear()
                await self._arrived.wait()

    async def closed(self) -> tuple[int, str]:
        await self.until(lambda me: me.closes)
        return self.closes[0]


class Desk:
    """Accepts sockets with listeners that a test prepares, or with echoing ones."""

    paths = ("/ws", "/ws/{room}/seat/{seat}", "/ws/hall/seat/1", "/ws/{room}/seat/9")

    def __init__(self) -> None:
        self.port = 0
        self.upgrades: list[Upgrade] = []
        self.listeners: list[Recorder] = []
        self.accept: Callable[[Upgrade], SocketListener | Refusal] = lambda _: Recorder(echo)

    def routes(self) -> list[SocketRoute]:
        routes = [SocketRoute(path, self._accept, MAX_MESSAGE_BYTES) for path in self.paths]
        return [*routes, SocketRoute("/spoken", self._accept, MAX_MESSAGE_BYTES, "evibridge")]

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        self.upgrades.append(upgrade)
        answer = self.accept(upgrade)
        if isinstance(answer, Recorder):
            self.listeners.append(answer)
        return answer

    @property
    def listener(self) -> Recorder:
        """The only one that was accepted."""
        (listener,) = self.listeners
        return listener

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"


def echo(socket: Socket, message: bytes) -> None:
    socket.send_text(message)


def upgrade_head(target: str = "/ws", **changes: str | None) -> bytes:
    """An upgrade request; a header is changed by its name with underscores, None drops it."""
    headers: dict[str, str | None] = {
        "Host": "test",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": KEY,
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """One frame; the mask of a client's frame is zero, which is a valid mask."""
    flag = 0x80 if masked else 0
    if len(payload) < 126:
        size = bytes([flag | len(payload)])
    elif len(payload) < 1 << 16:
        size = bytes([flag | 126]) + len(payload).to_bytes(2, "big")
    else:
        size = bytes([flag | 127]) + len(payload).to_bytes(8, "big")
    first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    return first + size + (bytes(4) if masked else b"") + payload


def close_frame(code: int, reason: str = "", *, masked: bool = True) -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode(), masked=masked)


class RawPeer:
    """A peer that can say anything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, port: int, *sent: bytes) -> Self:
        """Connect and write."""
        async with asyncio.timeout(PATIENCE_S):
            peer = cls(*await asyncio.open_connection("127.0.0.1", port))
        for data in sent:
            peer.write(data)
        return peer

    @classmethod
    async def upgraded(cls, port: int, *, after: bytes = b"") -> Self:
        """Connect and open a WebSocket; `after` is sent with the request in one segment."""
        peer = await cls.dial(port, upgrade_head() + after)
        status, _ = await peer.response()
        assert status == 101
        return peer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()
        await self.ended()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    def stop_writing(self) -> None:
        self._writer.write_eof()

    async def response(self) -> tuple[int, Mapping[str, str]]:
        """Read the head of an HTTP response: status and headers with lower-case names."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in lines if line)
        return int(status_line.split(" ")[1]), {name.lower(): value for name, value in pairs}

    async def exactly(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readexactly(count)

    async def request_head(self) -> bytes:
        """Read the head of an HTTP request."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def frame(self) -> tuple[int, bytes]:
        """Read one frame: opcode and unmasked payload."""
        first, second = await self.exactly(2)
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(await self.exactly(2 if size == 126 else 8), "big")
        mask = await self.exactly(4) if second & 0x80 else bytes(4)
        payload = await self.exactly(size)
        if any(mask):
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        return first & 0x0F, payload

    async def close_code(self) -> int:
        """Read on to the close frame."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    async def ended(self) -> bytes:
        """Read what is left until the other end hangs up, in whatever way."""
        rest = b""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while data := await self._reader.read(1 << 16):
                    rest += data
            except ConnectionError:
                pass
        self._writer.transport.abort()
        return rest


def accept_key(key: str) -> str:
    magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return b64encode(sha1(f"{key}{magic}".encode()).digest()).decode()


@asynccontextmanager
async def raw_server(behave: Callable[[RawPeer], Awaitable[None]]) -> AsyncIterator[str]:
    """Answer each connection with a coroutine of the test; yields the server's WebSocket URL."""
    answers: list[asyncio.Task[None]] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with RawPeer(reader, writer) as peer:
            await behave(peer)

    def start(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers.append(asyncio.create_task(answer(reader, writer)))

    server = await asyncio.start_server(start, "127.0.0.1", 0)
    yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/chat?api_key=s3cret"
    server.close()
    await asyncio.gather(*answers)


async def accept_upgrade(peer: RawPeer, *, after: bytes = b"") -> dict[str, str]:
    """Answer an upgrade request with 101; returns its headers with lower-case names."""
    lines = (await peer.request_head()).decode().split("\r\n")[1:]
    pairs = (line.split(": ", 1) for line in lines if line)
    headers = {name.lower(): value for name, value in pairs}
    head = [
        "HTTP/1.1 101 Switching Protocols",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Accept: {accept_key(headers['sec-websocket-key'])}",
    ]
    peer.write("\r\n".join([*head, "", ""]).encode() + after)
    return headers
