"""Operators' programs that read events of calls; some of them connect, and never read.

    python -m benchmarks.event_readers

They take orders from standard input, in lines. A line of JSON with the members of `Watch` lets them
connect: `watching` is written when each that reads has its snapshot. The next line lets them leave:
what each of those has read is written then, as JSON with the members of `Read`.
"""

import asyncio
import json
import socket
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

import orjson
import uvloop

from evibridge.sockets import Socket, SocketListener, connect

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 10.0
SETTLE_S = 0.2
"""After which everything is read that was sent."""
RECEIVE_BUFFER_BYTES = 4096
SEGMENT_BYTES = 1400
"""As over the internet: on loopback segments are so long that the kernel alone would take as many
events as there are in minutes, from a service that nobody reads."""
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who connects, and where: URLs of WebSockets, one for each."""

    reading: Sequence[str]
    never_reading: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """What one program has read after its snapshot.

    Attributes:
        messages: of all kinds
        events: how many of each type, without interim transcripts
        interim: transcripts that later ones replace
        missed: events that it was told to have missed
    """

    messages: int
    size_bytes: int
    events: Mapping[str, int]
    interim: int
    missed: int


@dataclass(eq=False)
class EventReader(SocketListener):
    """One that reads; it looks at what it has read when it has left."""

    texts: list[bytes] = field(default_factory=list)
    is_told: asyncio.Event = field(default_factory=asyncio.Event)
    is_gone: asyncio.Event = field(default_factory=asyncio.Event)

    def on_text(self, text: bytes) -> None:
        """The snapshot, then events."""
        self.texts.append(text)
        self.is_told.set()

    def on_close(self, code: int, reason: str) -> None:
        """Everything was read."""
        del code, reason
        self.is_gone.set()

    @property
    def read(self) -> Read:
        """All of it but the first message."""
        events: Counter[str] = Counter()
        interim = missed = 0
        for text in self.texts[1:]:
            message = orjson.loads(text)
            missed += message.get("missed", 0)
            interim += message.get("interim", False)
            events[message["type"]] += not message.get("interim", False)
        size_bytes = sum(map(len, self.texts[1:]))
        return Read(len(self.texts) - 1, size_bytes, dict(events), interim, missed)


async def open_readers(urls: Sequence[str]) -> list[tuple[EventReader, Socket]]:
    """Connect those that read, and wait until each has its snapshot."""
    opened = []
    for url in urls:
        reader = EventReader()
        connection = await connect(
            url, reader, max_message_bytes=MAX_MESSAGE_BYTES, timeout_s=TIMEOUT_S
        )
        opened.append((reader, connection))
    async with asyncio.timeout(TIMEOUT_S):
        for reader, _ in opened:
            await reader.is_told.wait()
    return opened


async def leave(opened: Sequence[tuple[EventReader, Socket]]) -> list[Read]:
    """Let those that read leave, and return what they have read."""
    await asyncio.sleep(SETTLE_S)
    for _, connection in opened:
        connection.close()
    async with asyncio.timeout(TIMEOUT_S):
        for reader, _ in opened:
            await reader.is_gone.wait()
    return [reader.read for reader, _ in opened]


def never_read(url: str) -> socket.socket:
    """Connect as somebody who never reads, not even the answer."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
    sock.connect((parts.hostname, parts.port))
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    sock.sendall(HANDSHAKE.format(path=path, host=parts.netloc).encode())
    return sock


async def run() -> None:
    """Take orders until there are no more."""
    orders = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while order := await orders.readline():
        watch = Watch(**json.loads(order))
        deaf = [never_read(url) for url in watch.never_reading]
        opened = await open_readers(watch.reading)
        print("watching", flush=True)
        await orders.readline()
        read = await leave(opened)
        for sock in deaf:
            sock.close()
        print(orjson.dumps([asdict(each) for each in read]).decode(), flush=True)


if __name__ == "__main__":
    uvloop.run(run())
