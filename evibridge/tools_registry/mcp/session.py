"""One connection to an MCP server, from the handshake to its end.

This module and those that it imports know the `mcp` package, which takes a second or two to
import: `connection.py` imports them in a thread, and only where a server is configured.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from enum import Enum, auto
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mcp
from mcp.client.subscriptions import SubscriptionLost
from mcp_types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    Implementation,
    ToolListChangedNotification,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from evibridge.errors import LinkUnreachable, ToolError, ToolUnavailable
from evibridge.tools_registry.mcp.results import MCP_ERROR, UNKNOWN_REASON, text_of
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.mcp.tools import ListedTool
from evibridge.tools_registry.mcp.transports import open_transport
from evibridge.tools_registry.mcp.unreachable import Seen, reason_of

CONNECT_TIMEOUT_S = 30.0
"""For the connection and the handshake; a command may have to fetch its program first."""
LIST_TIMEOUT_S = 10.0
"""For all pages of the list of tools."""
MAX_PAGES = 32
MAX_LISTED = 1024
PING_TIMEOUT_S = 5.0
LISTEN_TIMEOUT_S = 10.0
LISTEN_AGAIN_S = 15.0
"""How long after its end another stream of news is asked for."""

_RESERVED_ERRORS = range(-32768, -31999)
"""Codes of JSON-RPC and of MCP; the others are the server's own, and so are their texts."""


class News(Enum):
    """What a connection calls attention to."""

    TOOLS_CHANGED = auto()
    """The list of tools is to be read again."""
    SUSPICION = auto()
    """Something failed as if the connection were broken."""
    NONE = auto()
    """Nothing has happened for a while."""


@asynccontextmanager
async def open_session(server: McpServer) -> AsyncIterator["McpSession"]:
    """Connect to a server, shake hands, and close all of it in the end.

    An exception inside ends the connection and is raised as one of these:

    Raises:
        LinkUnreachable: it cannot be connected to, or not any more; the text says why
    """
    seen = Seen()
    session = McpSession(server)
    try:
        client = mcp.Client(
            open_transport(server, seen, session.on_end),
            message_handler=session.on_message,
            client_info=Implementation(name="evibridge", version=_version()),
            cache=None,
        )
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                session.client = await stack.enter_async_context(client)
            seen.has_answered = True
            yield session
    except Exception as error:
        raise LinkUnreachable(reason_of(server, error, seen)) from error


class McpSession:
    """A connection that lives, or has until a moment ago."""

    client: mcp.Client

    def __init__(self, server: McpServer) -> None:
        self._server = server
        self._ended = asyncio.Event()
        self._have_tools_changed = False
        self._is_suspect = False
        self._stirred = asyncio.Event()

    # What the package reports

    def on_end(self) -> None:
        """No more messages will come."""
        self._ended.set()
        self._stirred.set()

    async def on_message(self, message: object) -> None:
        """A notification has come, or an exception in place of a message."""
        if isinstance(message, ToolListChangedNotification):
            self._tools_changed()

    def _tools_changed(self) -> None:
        self._have_tools_changed = True
        self._stirred.set()

    def _suspect(self) -> None:
        self._is_suspect = True
        self._stirred.set()

    # What the holder of the connection asks for

    async def news(self, within_s: float) -> News:
        """Wait for something to happen.

        Raises:
            MCPError: the connection has come to its end
        """
        try:
            async with asyncio.timeout(within_s):
                await self._stirred.wait()
        except TimeoutError:
            return News.NONE
        if self._ended.is_set():
            raise _no_more_messages()
        if self._have_tools_changed:
            return News.TOOLS_CHANGED
        self._is_suspect = False
        self._stirred.clear()
        return News.SUSPICION

    async def pause(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            MCPError: the connection has come to its end
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()
                raise _no_more_messages()

    async def list_tools(self) -> tuple[list[ListedTool], bool]:
        """Read the list of tools; also tells whether it was read to its end.

        Raises:
            TimeoutError, MCPError, ValidationError: the connection is of no use
        """
        self._have_tools_changed = False
        if not (self._ended.is_set() or self._is_suspect):
            self._stirred.clear()
        listed: list[ListedTool] = []
        cursor: str | None = None
        async with asyncio.timeout(LIST_TIMEOUT_S):
            for _ in range(MAX_PAGES):
                page = await self.client.list_tools(cursor=cursor)
                listed += [
                    ListedTool(tool.name, tool.description or tool.title or "", tool.input_schema)
                    for tool in page.tools
                ]
                cursor = page.next_cursor
                if cursor is None or len(listed) >= MAX_LISTED:
                    break
        return listed[:MAX_LISTED], cursor is None and len(listed) <= MAX_LISTED

    async def ping(self) -> bool:
        """Ask for any answer, and tell whether one came in time.

        Raises:
            MCPError: the connection is of no use
        """
        session = self.client.session
        try:
            async with asyncio.timeout(PING_TIMEOUT_S):
                if self.client.protocol_version in MODERN_PROTOCOL_VERSIONS:
                    await session.send_discover(self.client.protocol_version)
                else:
                    await session.send_ping()
        except TimeoutError:
            return False
        except mcp.MCPError as error:
            if error.code != METHOD_NOT_FOUND:  # which is an answer, too
                raise
        return True

    async def listen(self) -> None:
        """Follow the changes of the list of tools, in versions of MCP that tell them on request.

        Returns when there is nothing to follow.
        """
        while self.client.protocol_version in MODERN_PROTOCOL_VERSIONS:
            try:
                async with asyncio.timeout(LISTEN_TIMEOUT_S) as limit:
                    async with self.client.listen(tools_list_changed=True) as changes:
                        limit.reschedule(None)
                        self._tools_changed()  # perhaps, before there was somebody to tell
                        async for _ in changes:
                            self._tools_changed()
            except mcp.MCPError as error:
                if error.code != CONNECTION_CLOSED:
                    return
            except (SubscriptionLost, TimeoutError):
                pass
            self._suspect()
            await asyncio.sleep(LISTEN_AGAIN_S)

    # What tools ask for

    async def call(self, tool: str, arguments: dict[str, object]) -> str:
        """Call a tool; cancelling this tells the server that nobody waits any more.

        What it returns is not checked against the schema that the server gives for it: a result
        that deviates is of use to a model as well.

        Raises:
            ToolError: the server refused, or the tool failed there; the text is the server's
            ToolUnavailable: there is no answer that can be read
        """
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        try:
            result = await self.client.session.send_request(request, CallToolResult)
        except mcp.MCPError as error:
            if error.code == INVALID_PARAMS or error.code not in _RESERVED_ERRORS:
                raise ToolError(error.message or UNKNOWN_REASON, code=MCP_ERROR) from None
            if error.code == HEADER_MISMATCH:
                self._tools_changed()
            self._suspect()
            if error.code == CONNECTION_CLOSED:
                raise self._unavailable("broke the connection") from None
            raise self._unavailable(f"answered with the error {error.code}") from None
        except ValidationError:
            raise self._unavailable("sent a result that cannot be read") from None
        return text_of(result)

    def _unavailable(self, what: str) -> ToolUnavailable:
        return ToolUnavailable(f"cannot be used: the MCP server {self._server.name} {what}")


def _no_more_messages() -> mcp.MCPError:
    return mcp.MCPError(CONNECTION_CLOSED, "no more messages will come")


def _version() -> str:
    try:
        return version("evibridge")
    except PackageNotFoundError:  # run from its source, without being installed
        return "0"


def _keep_out_of_the_log() -> None:
    """Silence the package: it logs what it could not read, and callers' data may be in it."""
    for name in ("mcp.client", "mcp.os", "mcp.shared"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    # Its session logs under a name that may be somebody else's as well.
    package = str(Path(mcp.__file__).parent)
    logging.getLogger("client").addFilter(lambda record: not record.pathname.startswith(package))


_keep_out_of_the_log()
