"""A TCP proxy whose connections can be broken as networks and programs break them."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

CHUNK_BYTES = 8 * 1024
"""Less than a message with audio, so that a client can be deafened between two of them."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends a reset instead of the rest."""


class Wire:
    """One client's connection, and the one to the server that belongs to it.

    Attributes:
        request: what the client has sent first
    """

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.request = b""
        self._client, to_client = client
        self._server, to_server = server
        self._ends = (to_client, to_server)
        self._requests: asyncio.Task[None] | None = None
        self._answers: asyncio.Task[None] | None = None
        self._is_deaf = False

    def reset(self) -> None:
        """Cut it: both ends get a TCP reset."""
        for end in self._ends:
            if not end.transport.is_closing():
                sock = end.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            end.transport.abort()

    def deafen(self) -> None:
        """Let the client get nothing more; what it sends still goes through."""
        self._is_deaf = True
        if self._answers is not None:
            self._answers.cancel()

    async def cut_by_server(self, timeout_s: float) -> bool:
        """Wait until the server closes the connection of a deaf client; False if it does not."""
        assert self._answers is not None
        await asyncio.wait([self._answers])
        try:
            async with asyncio.timeout(timeout_s):
                while await self._server.read(CHUNK_BYTES):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    async def pass_on(self, watch: Callable[["Wire", bytes], None]) -> None:
        """Let everything through until both ends have closed."""
        self._requests = asyncio.create_task(self._pass_requests())
        self._answers = asyncio.create_task(self._pass_answers(watch))
        await asyncio.wait([self._requests, self._answers])

    async def _pass_requests(self) -> None:
        _, to_server = self._ends
        with suppress(ConnectionError):
            while data := await self._client.read(CHUNK_BYTES):
                self.request = self.request or data
                to_server.write(data)
                await to_server.drain()
        to_server.close()

    async def _pass_answers(self, watch: Callable[["Wire", bytes], None]) -> None:
        to_client, _ = self._ends
        with suppress(ConnectionError):
            # The flag as well: reading what is there already never gives way to a cancellation.
            while not self._is_deaf and (data := await self._server.read(CHUNK_BYTES)):
                watch(self, data)
                to_client.write(data)
                await to_client.drain()
        if not self._is_deaf:
            to_client.close()


class Exchange:
    """Stands in front of a server; every connection through it is a wire of its own.

    Args:
        server_origin: where connections go
        watch: shown all that the server sends, before the client gets it
    """

    def __init__(
        self, server_origin: str, watch: Callable[[Wire, bytes], None] = lambda _wire, _data: None
    ) -> None:
        self._server = urlsplit(server_origin)
        self._watch = watch
        self._passing: set[asyncio.Task[None]] = set()
        self.wires: list[Wire] = []
        """In the order of their beginning."""
        self.origin = ""

    async def accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        """A client comes."""
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        try:
            server = await asyncio.open_connection(self._server.hostname, self._server.port)
        except OSError:
            to_client.transport.abort()
            return
        wire = Wire((client, to_client), server)
        self.wires.append(wire)
        await wire.pass_on(self._watch)

    async def end(self) -> None:
        """Leave nothing open."""
        for wire in self.wires:
            wire.reset()
        if self._passing:
            await asyncio.wait(self._passing)


@asynccontextmanager
async def exchange(
    server_origin: str, watch: Callable[[Wire, bytes], None] = lambda _wire, _data: None
) -> AsyncIterator[Exchange]:
    """A running `Exchange`."""
    running = Exchange(server_origin, watch)
    server = await asyncio.start_server(running.accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    running.origin = f"http://{host}:{port}"
    try:
        yield running
    finally:
        server.close()
        await running.end()
