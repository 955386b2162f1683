"""How an MCP server is reached: over HTTP, or as a process of our own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx2
from mcp.client.streamable_http import streamable_http_client

from evibridge.tools_registry.mcp.process import run_process
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.mcp.unreachable import Seen

HTTP_TIMEOUT_S = 5.0
"""For a connection, and to send a request; answers have the deadlines of who waits for them."""
GOODBYE_TIMEOUT_S = 1.0
"""For the request that ends a session; its server may be gone already."""
MAX_EVENT_BYTES = 32 * 1024 * 1024
"""One message over HTTP. The largest results are then refused as such, like those of functions."""

_TLS = httpx2.create_ssl_context()
"""Takes a tenth of a second, too long for every connection that is tried."""

Streams = tuple[Any, Any]
"""What is read and what is written, as the package has them."""


@asynccontextmanager
async def open_transport(
    server: McpServer, seen: Seen, on_end: Callable[[], None]
) -> AsyncIterator[Streams]:
    """Connect to a server, or start its process; leaving ends both within seconds.

    Args:
        server: which
        seen: is kept up to date
        on_end: told when no more messages will come
    """
    transport: AbstractAsyncContextManager[Streams] = (
        run_process(server, seen) if server.url is None else _http(server, server.url, seen)
    )
    async with transport as (reading, writing):
        yield _Watched(reading, seen, on_end), writing


@asynccontextmanager
async def _http(server: McpServer, url: str, seen: Seen) -> AsyncIterator[Streams]:
    async def note_status(response: httpx2.Response) -> None:
        if response.request.method == "POST":  # the others are of no consequence
            seen.http_status = response.status_code

    async def hurry_goodbye(request: httpx2.Request) -> None:
        if request.method == "DELETE":
            request.extensions["timeout"] = httpx2.Timeout(GOODBYE_TIMEOUT_S).as_dict()

    client = httpx2.AsyncClient(
        headers=dict(server.headers),
        verify=_TLS,
        timeout=httpx2.Timeout(HTTP_TIMEOUT_S, read=None),
        event_hooks={"request": [hurry_goodbye], "response": [note_status]},
    )
    async with (
        client,
        streamable_http_client(
            url, http_client=client, max_sse_event_size=MAX_EVENT_BYTES
        ) as streams,
    ):
        yield streams


class _Watched:
    """Hands on what is read: the package tells nobody but itself when that ends."""

    def __init__(self, stream: Any, seen: Seen, on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._seen = seen
        self._on_end = on_end

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self._stream.__aexit__(exc_type, exc_val, exc_tb)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> object:
        try:
            item = await self._stream.__anext__()
        except BaseException:
            self._on_end()
            raise
        if isinstance(item, Exception):
            self._seen.has_nonsense = True
        return item
