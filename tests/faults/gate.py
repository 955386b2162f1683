"""Where the tools of the service under test wait until a test lets them go on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from tests.parties import PATIENCE_S


class Errand:
    """A tool that runs in the service."""

    def __init__(
        self, call_id: str, title: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.call_id = call_id
        self.title = title
        self._reader = reader
        self._writer = writer

    def finish(self, answer: str) -> None:
        """Let the tool return this."""
        self._writer.write(answer.encode())
        self._writer.close()

    async def end(self) -> None:
        """Leave nothing open."""
        self._writer.transport.abort()
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def given_up(self, *, within_s: float = PATIENCE_S) -> bool:
        """Wait until the tool goes away without its answer."""
        async with asyncio.timeout(within_s):
            return await self._reader.read() == b""


class Gate:
    """Every run of the tool passes here."""

    def __init__(self) -> None:
        self._errands: list[Errand] = []
        self._waiting: list[Errand] = []
        self._arrived = asyncio.Condition()
        self.port = 0

    def runs(self, call_id: str) -> int:
        """How often the tool was run for a call."""
        return sum(1 for errand in self._errands if errand.call_id == call_id)

    async def next(self, call_id: str) -> Errand:
        """The next run for a call."""
        async with asyncio.timeout(PATIENCE_S), self._arrived:
            while True:
                for errand in self._waiting:
                    if errand.call_id == call_id:
                        self._waiting.remove(errand)
                        return errand
                await self._arrived.wait()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One run: it stays until it is let go."""
        asked = json.loads(await reader.readline())
        errand = Errand(asked["call_id"], asked["title"], reader, writer)
        async with self._arrived:
            self._errands.append(errand)
            self._waiting.append(errand)
            self._arrived.notify_all()

    async def end(self) -> None:
        """Leave nothing open."""
        for errand in self._errands:
            await errand.end()


@asynccontextmanager
async def gate() -> AsyncIterator[Gate]:
    """A running `Gate`."""
    gate = Gate()
    server = await asyncio.start_server(gate.handle, "127.0.0.1", 0)
    gate.port = server.sockets[0].getsockname()[1]
    try:
        yield gate
    finally:
        server.close()
        await gate.end()
