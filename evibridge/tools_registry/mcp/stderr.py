"""What the process of an MCP server writes to its standard error, as lines of the log."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TextIO

import structlog

from evibridge.tools_registry.arguments import clip

MAX_LINE_CHARS = 500
MAX_LINES = 1000
"""Of one process; a server that writes on is read and not logged any more."""
LAST_LINES_S = 0.5
"""How long the last words of a process that has ended are waited for."""

log = structlog.get_logger()


@asynccontextmanager
async def logged_stderr(server: str) -> AsyncIterator[TextIO]:
    """Open a file for a process to write to; its lines are logged at level debug.

    The file may be closed as soon as the process has inherited it.

    Args:
        server: how the log calls the server
    """
    reading, writing = os.pipe()
    lines = _Lines(server)
    with os.fdopen(writing, "w") as file:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: lines, os.fdopen(reading, "rb", buffering=0)
        )
        try:
            yield file
        finally:
            file.close()
            try:
                await asyncio.wait((lines.ended,), timeout=LAST_LINES_S)
            finally:
                transport.close()


class _Lines(asyncio.Protocol):
    def __init__(self, server: str) -> None:
        self._server = server
        self._count = 0
        self._begun = ""
        """The line whose end has not come yet."""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        *lines, begun = (self._begun + data.decode(errors="replace")).split("\n")
        self._begun = begun[:MAX_LINE_CHARS]
        for line in lines:
            self._log(line)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        self._log(self._begun)
        self.ended.set_result(None)

    def _log(self, line: str) -> None:
        if line.strip() and self._count < MAX_LINES:
            self._count += 1
            log.debug("mcp_stderr", server=self._server, line=clip(line.rstrip(), MAX_LINE_CHARS))
