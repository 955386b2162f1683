"""A TCP proxy whose lines can be broken in the ways in which networks and programs break them."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import cast
from urllib.parse import urlsplit

BUFFER_BYTES = 4096
"""Of the kernel, on the way in: so little that a reader who stops is soon noticed."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Way(Enum):
    """What becomes of the bytes of a line."""

    FORWARD = auto()
    SWALLOW = auto()
    """They vanish, and the line stays open: a network that has fallen into a hole."""
    BLOCK = auto()
    """Those of the client are not read any more: a server that hangs, or is far too slow."""


class _End(asyncio.Protocol):
    """One end of a line."""

    def __init__(
        self, line: "Line", on_made: Callable[[asyncio.Transport], object] = lambda _: None
    ) -> None:
        self._line = line
        self._on_made = on_made
        self.transport: asyncio.Transport | None = None
        self.due: deque[bytes | None] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._on_made(self.transport)

    def data_received(self, data: bytes) -> None:
        self._line.pass_on(self, data)

    def write_next(self) -> None:
        assert self.transport is not None
        data = self.due.popleft()
        if data is None:
            self.transport.close()
        else:
            self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.lost(self, exc)


class Line:
    """One connection of a client, and the one to the server that belongs to it."""

    def __init__(self) -> None:
        self.way = Way.FORWARD
        self.delay_s = 0.0
        """Of every byte, in both directions."""
        self.bytes_per_s = 0
        """How fast the client's bytes are read; 0 for no limit."""
        self.client = _End(self)
        self.server = _End(self)
        self._early: list[bytes] = []

    # What a test does to it

    def reset(self) -> None:
        """Cut it: both ends get a TCP reset."""
        self.way = Way.SWALLOW
        for end in (self.client, self.server):
            if end.transport is not None:
                sock = end.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                end.transport.abort()

    def swallow(self) -> None:
        """Let everything vanish from now on."""
        self.way = Way.SWALLOW

    def block(self) -> None:
        """Read nothing of the client's any more."""
        assert self.client.transport is not None
        self.way = Way.BLOCK
        self.client.transport.pause_reading()

    def block_server(self) -> None:
        """Read nothing of the server's any more: a client that hangs."""
        assert self.server.transport is not None
        self.server.transport.pause_reading()

    def unblock(self) -> None:
        """Read on."""
        assert self.client.transport is not None
        self.way = Way.FORWARD
        self.client.transport.resume_reading()

    # What its ends tell

    def connected(self) -> None:
        """The server is there: it gets what the client has said meanwhile."""
        early, self._early = self._early, []
        for data in early:
            self.pass_on(self.client, data)

    def pass_on(self, end: _End, data: bytes) -> None:
        """An end has got something for the other one."""
        if self.way is Way.SWALLOW:
            return
        if self.bytes_per_s and end is self.client and end.transport is not None:
            end.transport.pause_reading()
            pause_s = len(data) / self.bytes_per_s
            asyncio.get_running_loop().call_later(pause_s, end.transport.resume_reading)
        other = self.server if end is self.client else self.client
        if other.transport is None:
            self._early.append(data)
        else:
            self._later(other, data)

    def lost(self, end: _End, error: Exception | None) -> None:
        """An end is gone; the other one learns of it, unless the network is a hole."""
        other = self.server if end is self.client else self.client
        if self.way is Way.SWALLOW or other.transport is None:
            return
        if error is None:
            self._later(other, None)
        else:
            other.transport.abort()

    def _later(self, end: _End, data: bytes | None) -> None:
        """Write to an end after the delay, in order; None closes it."""
        end.due.append(data)
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, end.write_next)
        else:
            end.write_next()

    def end(self) -> None:
        """Leave nothing open."""
        for end in (self.client, self.server):
            if end.transport is not None:
                end.transport.abort()


class Proxy:
    """Stands in front of a server; every connection through it is a line of its own."""

    def __init__(self, server_origin: str) -> None:
        self._server = urlsplit(server_origin)
        self._lines: list[Line] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self.origin = ""

    def line_to(self, server_side_port: int) -> Line:
        """The line whose client the server sees at this port."""
        return self._line("sockname", server_side_port, lambda line: line.server)

    def line_from(self, client_port: int) -> Line:
        """The line of the client that has this port."""
        return self._line("peername", client_port, lambda line: line.client)

    def accept(self) -> asyncio.Protocol:
        """A client comes."""
        line = Line()
        self._lines.append(line)
        line.client = _End(line, lambda _: self._connect_soon(line))
        return line.client

    def end(self) -> None:
        """Leave nothing open."""
        for task in self._connecting:
            task.cancel()
        for line in self._lines:
            line.end()
        self._lines.clear()

    def _line(self, name: str, port: int, end: Callable[[Line], _End]) -> Line:
        for line in self._lines:
            transport = end(line).transport
            if transport is not None and transport.get_extra_info(name)[1] == port:
                return line
        raise AssertionError(f"no line has port {port}")

    def _connect_soon(self, line: Line) -> None:
        task = asyncio.get_running_loop().create_task(self._connect(line))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, line: Line) -> None:
        loop = asyncio.get_running_loop()
        host, port = self._server.hostname, self._server.port
        assert host is not None
        assert port is not None
        try:
            await loop.create_connection(lambda: line.server, host, port)
        except OSError:
            line.reset()
        line.connected()


@asynccontextmanager
async def proxy(server_origin: str) -> AsyncIterator[Proxy]:
    """A running `Proxy`."""
    proxy = Proxy(server_origin)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    listening.bind(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(proxy.accept, sock=listening)
    host, port = listening.getsockname()
    proxy.origin = f"http://{host}:{port}"
    try:
        yield proxy
    finally:
        server.close()
        proxy.end()
