"""An MCP server that is a process of our own: JSON-RPC messages, one a line, on its pipes.

The `mcp` package has such a transport, which copies a line again with every piece of it, sets no
limit to its length, and does not tell how the process ended.
"""

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.mcp.stderr import logged_stderr
from evibridge.tools_registry.mcp.unreachable import Seen

MAX_MESSAGE_BYTES = 2 * 1024 * 1024
"""A page of a list of tools; the event loop stands still while it is parsed."""
MAX_BEHIND_BYTES = 1024 * 1024
"""Unread by the process: it has stopped reading."""
END_WITHIN_S = 2.0
"""To end by itself once its input is closed, and again to end on SIGTERM."""


@asynccontextmanager
async def run_process(server: McpServer, seen: Seen) -> AsyncIterator[tuple["_Output", "_Input"]]:
    """Start the server's command; leaving ends it and its children.

    Args:
        server: whose `command` it is
        seen: learns the exit code

    Raises:
        OSError: it cannot be started
    """
    assert server.command is not None
    loop = asyncio.get_running_loop()
    async with logged_stderr(server.name) as stderr:
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=MAX_MESSAGE_BYTES, loop=loop),
            *server.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=stderr,
            env={**get_default_environment(), **server.env},
            cwd=server.cwd,
            start_new_session=True,
        )
        process = Process(transport, protocol, loop)
        stderr.close()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield _Output(process.stdout), _Input(process.stdin)
        finally:
            try:
                await _end(process)
            finally:
                transport.close()  # a child in a session of its own may hold the pipes still
            seen.exit_code = process.returncode


async def _end(process: Process) -> None:
    """Close its input, then ask it to end, then kill it with all that it has started."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        if not await _ends(process):
            _signal_group(process, signal.SIGTERM)
            await _ends(process)
    finally:
        _signal_group(process, signal.SIGKILL)  # its children may live on without it
        await _ends(process)


async def _ends(process: Process) -> bool:
    """Tell whether it ends in time; it has not while a child of its own holds its pipes."""
    try:
        async with asyncio.timeout(END_WITHIN_S):
            await process.wait()
    except TimeoutError:
        return False
    return True


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


class _Output:
    """What the process writes, as the package wants to read it."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """The pipe ends with the process."""

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            line = await self._stream.readline()
        except ValueError as error:  # it is longer than the limit, and dropped
            return error
        if not line:
            raise StopAsyncIteration
        await asyncio.sleep(0)  # what is there already would be read without a pause
        try:
            return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
        except ValidationError as error:
            return error


class _Input:
    """What the process reads, as the package wants to write it."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """The process is ended by who started it."""

    async def send(self, item: SessionMessage) -> None:
        """Write a message, and wait while too much is unread.

        Raises:
            ClosedResourceError: the process reads no more
        """
        pipe = self._stream.transport
        if pipe.is_closing() or pipe.get_write_buffer_size() > MAX_BEHIND_BYTES:
            raise anyio.ClosedResourceError
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        try:
            self._stream.write(f"{text}\n".encode(errors="replace"))
            await self._stream.drain()
        except OSError:
            raise anyio.ClosedResourceError from None
