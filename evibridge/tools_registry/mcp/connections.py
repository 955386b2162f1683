"""The connections to all MCP servers of a service."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType

import structlog

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.mcp.connection import (
    Delays,
    McpConnection,
    backoff_delays,
    import_mcp,
)
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.registry import Tool

START_WITHIN_S = 10.0
"""How long the start waits for servers that do not answer; they are connected to later."""
CLOSE_WITHIN_S = 8.0
"""A process has some seconds to end by itself, and is killed then."""

MAX_NAMES = 10_000
"""Of tools, those that were taken back included: more is a server gone astray."""
MAX_LOGGED = 200

log = structlog.get_logger()


class McpConnections:
    """The tools of several servers."""

    def __init__(self, connections: Sequence[McpConnection]) -> None:
        self._connections = tuple(connections)
        self._owners: dict[str, McpConnection] = {}
        """Whose tool a name was first: a call that was told of it reaches no other server."""
        self._logged: set[tuple[str, str]] = set()

    @property
    def tools(self) -> Mapping[str, Tool]:
        """All tools, by the names that the model uses; of two with one name, the first server's."""
        tools: dict[str, Tool] = {}
        for connection in self._connections:
            for name, tool in connection.tools.items():
                if self._owner(name, connection) is connection:
                    tools[name] = tool
                else:
                    self._log_clash(connection.server.name, name)
        return MappingProxyType(tools)

    @property
    def faults(self) -> Mapping[str, str]:
        """The servers that are not connected now, each with a sentence that says why."""
        return {
            connection.server.name: connection.fault
            for connection in self._connections
            if connection.fault is not None
        }

    def get(self, name: str) -> Tool | None:
        """Find a tool by the name that the model uses."""
        for connection in self._connections:
            if name in connection.tools and self._owner(name, connection) is connection:
                return connection.tools[name]
        return None

    def _owner(self, name: str, connection: McpConnection) -> McpConnection | None:
        """The one connection that may offer a tool of this name, None if there are too many."""
        if name not in self._owners and len(self._owners) < MAX_NAMES:
            self._owners[name] = connection
        return self._owners.get(name)

    def _log_clash(self, server: str, tool: str) -> None:
        if (server, tool) not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add((server, tool))
            log.warning(
                "mcp_tool_left_out",
                server=server,
                tool=tool,
                reason=f"A server before it has a tool {tool!r}; give one of them a `prefix`.",
            )


@asynccontextmanager
async def mcp_connections(
    servers: Sequence[McpServer], delays: Delays = backoff_delays
) -> AsyncIterator[McpConnections]:
    """Connect to all servers, keep them connected, and close all of it in the end.

    Entering takes until each was connected to or could not be, `START_WITHIN_S` at most. What is
    not connected then is tried on.

    Args:
        servers: which
        delays: between attempts to connect

    Raises:
        ToolDefinitionError: the `mcp` package is missing, or two servers have one name
    """
    start_until_s = asyncio.get_running_loop().time() + START_WITHIN_S
    names = [server.name for server in servers]
    for name in names:
        if names.count(name) > 1:
            raise ToolDefinitionError(f"Two MCP servers are named {name!r}; rename one of them.")
    if servers:
        await import_mcp(servers[0])
    connections = [McpConnection(server, delays) for server in servers]
    supervisors = [
        asyncio.create_task(connection.run(), name=f"MCP server {connection.server.name}")
        for connection in connections
    ]
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(start_until_s):
                for connection in connections:
                    await connection.tried.wait()
        yield McpConnections(connections)
    finally:
        for connection in connections:
            connection.end()
        await _end(supervisors)


async def _end(supervisors: Sequence[asyncio.Task[None]]) -> None:
    """Close all connections at once; the second cancellation ends what takes too long."""
    for within_s in (CLOSE_WITHIN_S, 1.0):
        for supervisor in supervisors:
            supervisor.cancel()
        if supervisors:
            await asyncio.wait(supervisors, timeout=within_s)
