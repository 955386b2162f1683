"""How an MCP server is reached: over HTTP, or as a process of our own."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import httpx2
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.inbound import MCP_PROTOCOL_VERSION_HEADER
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from evibridge.tools_registry.mcp.process import MAX_MESSAGE_BYTES, run_process
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.mcp.unreachable import Seen

HTTP_TIMEOUT_S = 5.0
"""For a connection, and to send a request; answers have the deadlines of who waits for them."""
GOODBYE_TIMEOUT_S = 1.0
"""For the request that ends a session; its server may be gone already."""
SILENCE_TIMEOUT_S = 150.0
"""For an answer that nobody may wait for any more: no call takes as long."""
GET_EVERY_S = 1.0
"""For streams that a server ends; it may ask for another one at once."""

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

    headers = httpx2.Headers(dict(server.headers))
    headers["Accept-Encoding"] = "identity"  # little that is compressed may be very much
    client = _Client(
        headers=headers,
        verify=_TLS,
        timeout=httpx2.Timeout(HTTP_TIMEOUT_S, read=None),
        event_hooks={
            "request": [_limit_silence, _Pace().wait],
            "response": [note_status, _limit_body],
        },
    )
    async with (
        client,
        streamable_http_client(
            url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES
        ) as streams,
    ):
        yield streams


class _Client(httpx2.AsyncClient):
    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Send a request; silence is an answer, as the package gives up all calls at an error."""
        try:
            return await super().send(request, **options)
        except httpx2.ReadTimeout:
            return httpx2.Response(HTTPStatus.GATEWAY_TIMEOUT, request=request)


async def _limit_silence(request: httpx2.Request) -> None:
    """Set how long to wait for an answer, where cancelling a call does not end its request."""
    version = request.headers.get(MCP_PROTOCOL_VERSION_HEADER)
    if request.method == "DELETE":
        request.extensions["timeout"] = httpx2.Timeout(GOODBYE_TIMEOUT_S).as_dict()
    elif request.method == "POST" and version not in MODERN_PROTOCOL_VERSIONS:
        timeout = httpx2.Timeout(HTTP_TIMEOUT_S, read=SILENCE_TIMEOUT_S)
        request.extensions["timeout"] = timeout.as_dict()


class _Pace:
    """Keeps the streams that one connection asks for apart in time."""

    def __init__(self) -> None:
        self._next_s = 0.0

    async def wait(self, request: httpx2.Request) -> None:
        """Wait for the turn of a request."""
        if request.method != "GET":
            return
        now_s = asyncio.get_running_loop().time()
        turn_s = max(now_s, self._next_s)
        self._next_s = turn_s + GET_EVERY_S
        await asyncio.sleep(turn_s - now_s)


async def _limit_body(response: httpx2.Response) -> None:
    """Set how much of an answer is read; events have a limit of their own, each."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    media_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        response.stream = _Limited(response.stream, 0)
    elif (
        media_type != "text/event-stream"
        or not response.is_success
        or response.request.method == "DELETE"
    ):  # all others are read whole
        response.stream = _Limited(response.stream, MAX_MESSAGE_BYTES)


class _Limited(httpx2.AsyncByteStream):
    """A body that fails, for its one call, where it exceeds a limit or stops."""

    def __init__(self, stream: httpx2.AsyncByteStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        stream = aiter(self._stream)
        try:
            async for chunk in stream:
                size += len(chunk)
                if size > self._limit:
                    raise httpx2.StreamError("the body is too long, or compressed")
                yield chunk
        except httpx2.ReadTimeout as error:
            raise httpx2.StreamError("the body stopped") from error
        finally:
            if isinstance(stream, AsyncGenerator):
                await stream.aclose()

    async def aclose(self) -> None:
        await self._stream.aclose()


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
