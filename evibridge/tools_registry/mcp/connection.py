"""The connection to one MCP server: made, held, and made again for as long as the process lives."""

import asyncio
import importlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

import structlog

from evibridge.errors import LinkUnreachable, ToolDefinitionError, ToolUnavailable
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.registry import Tool

if TYPE_CHECKING:
    from evibridge.tools_registry.mcp.session import McpSession

FIRST_DELAY_S = 0.5
"""Before the first attempt after a loss."""
MAX_DELAY_S = 30.0
"""Between two attempts; the delay doubles up to this, half of it at random, so that services that
lost the same server do not come back in step."""
STABLE_S = 30.0
"""A connection that lasted this long: the next loss is another matter."""
PING_EVERY_S = 15.0
MAX_MISSED_PINGS = 3
"""In a row. A server that works off a call in its only thread answers none meanwhile."""
RELIST_AFTER_S = 0.5
"""After the news that tools have changed, which come one by one; it doubles while they go on."""
MAX_RELIST_AFTER_S = 30.0
CALM_AFTER_S = 10.0
"""Without news after a listing: the next change is another matter."""
MAX_REASONS = 200
"""For leaving out tools, that are logged for one server."""

Delays = Callable[[], Iterator[float]]
"""Begins the delays of one outage, in seconds; they never end."""

_Result = TypeVar("_Result")

log = structlog.get_logger()


async def import_mcp(server: McpServer) -> None:
    """Import what MCP takes, a second or two of work, in a thread.

    Args:
        server: whoever needs it, for the error

    Raises:
        ToolDefinitionError: a package is missing
    """
    try:
        await asyncio.to_thread(importlib.import_module, "evibridge.tools_registry.mcp.session")
    except ImportError as error:
        raise ToolDefinitionError(
            f"{server.label} needs a package that is missing ({error.name}); "
            f"install evibridge[mcp]."
        ) from error


def backoff_delays() -> Iterator[float]:
    """Seconds between attempts to connect: they double, and half of each is left to chance."""
    delay_s = FIRST_DELAY_S
    while True:
        yield delay_s * (1 + random.random()) / 2
        delay_s = min(2 * delay_s, MAX_DELAY_S)


class McpConnection:
    """Holds the connection to one server; `run` is its one supervisor.

    Needs `import_mcp` to have been called.

    Args:
        server: as its author wrote it
        delays: between attempts to connect

    Attributes:
        tried: set once the server was connected to, or could not be for the first time
    """

    def __init__(self, server: McpServer, delays: Delays = backoff_delays) -> None:
        self.server = server
        self.tried = asyncio.Event()
        self._delays = delays
        self._session: McpSession | None = None
        self._tools: Mapping[str, Tool] = MappingProxyType({})
        self._fault = f"{server.label} has not answered yet; it is waited for."
        self._connected_s: float | None = None
        """When the connection was made; None once its loss is logged."""
        self._is_outage_logged = False
        self._is_ending = False
        self._logged: set[str] = set()
        """Why tools are left out; it is the same every time."""

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools that were listed last, by the names that the model uses."""
        return self._tools

    @property
    def fault(self) -> str | None:
        """Why there is no connection now, in one sentence; None if there is one."""
        return self._fault if self._session is None else None

    def end(self) -> None:
        """Have `run` not connect again; cancelling it then ends it.

        A cancellation alone may be lost: while a connection is taken down, anyio takes it for one
        of its own.
        """
        self._is_ending = True

    async def run(self) -> None:
        """Connect, and again whenever the connection breaks, until this is ended."""
        delays = self._delays()
        while True:
            try:
                await self._hold()
            except LinkUnreachable as error:
                if self._is_ending:
                    return
                if self._was_stable():
                    delays = self._delays()
                self._note_loss(str(error))
            await asyncio.sleep(next(delays))

    async def _hold(self) -> None:
        """Make one connection and hold it until it breaks.

        Raises:
            LinkUnreachable: it could not be made, or is broken now
        """
        from evibridge.tools_registry.mcp.session import open_session

        async with open_session(self.server) as session, asyncio.TaskGroup() as tasks:
            await self._list_tools(session)
            self._session, self._connected_s = session, time.monotonic()
            self._is_outage_logged = False
            self.tried.set()
            log.info("mcp_connected", server=self.server.name, tools=len(self._tools))
            tasks.create_task(session.listen())
            try:
                await self._serve(session)
            finally:
                self._session = None
                self._fault = f"{self.server.label} was lost just now; it is connected to again."

    async def _serve(self, session: "McpSession") -> None:
        from evibridge.tools_registry.mcp.session import News

        missed_pings = 0
        relist_after_s, listed_s = RELIST_AFTER_S, -math.inf
        while missed_pings < MAX_MISSED_PINGS:
            if await session.news(PING_EVERY_S) is News.TOOLS_CHANGED:
                is_calm = time.monotonic() - listed_s > CALM_AFTER_S
                relist_after_s = (
                    RELIST_AFTER_S if is_calm else min(2 * relist_after_s, MAX_RELIST_AFTER_S)
                )
                await session.pause(relist_after_s)
                await self._list_tools(session)
                listed_s = time.monotonic()
            else:
                missed_pings = 0 if await session.ping() else missed_pings + 1
        raise TimeoutError

    async def _list_tools(self, session: "McpSession") -> None:
        from evibridge.tools_registry.mcp.tools import make_tools

        listed, is_complete = await session.list_tools()
        tools, left_out = await _in_daemon_thread(
            lambda: make_tools(self.server, listed, self._call)
        )
        if self._session is not None and tools.keys() != self._tools.keys():
            log.info("mcp_tools_changed", server=self.server.name, tools=len(tools))
        self._tools = MappingProxyType(tools)
        if not is_complete:
            self._log_left_out(
                "*", f"{self.server.label} lists more tools than are read; the rest is left out."
            )
        for each in left_out:
            self._log_left_out(each.tool, each.reason)

    async def _call(self, tool: str, arguments: dict[str, object]) -> str:
        if self._session is None:
            raise ToolUnavailable(
                f"cannot be used: the MCP server {self.server.name} is not connected"
            )
        return await self._session.call(tool, arguments)

    def _was_stable(self) -> bool:
        since_s = self._connected_s
        return since_s is not None and time.monotonic() - since_s >= STABLE_S

    def _note_loss(self, reason: str) -> None:
        name = self.server.name
        if self._connected_s is not None:
            self._connected_s = None
            log.warning("mcp_disconnected", server=name, reason=reason)
        elif not self._is_outage_logged:
            self._is_outage_logged = True
            log.warning("mcp_unreachable", server=name, reason=reason)
        self._fault = reason
        self.tried.set()

    def _log_left_out(self, tool: str, reason: str) -> None:
        if reason in self._logged or len(self._logged) > MAX_REASONS:
            return
        self._logged.add(reason)
        if len(self._logged) > MAX_REASONS:
            tool = "*"
            reason = f"{self.server.label} has more tools that are left out; they are not logged."
        log.warning("mcp_tool_left_out", server=self.server.name, tool=tool, reason=reason)


async def _in_daemon_thread(work: Callable[[], _Result]) -> _Result:
    """Do something that may take long; the process does not wait for it to end."""
    done: Future[_Result] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            done.set_exception(error)
        else:
            done.set_result(result)

    Thread(target=run, name="mcp", daemon=True).start()
    return await asyncio.wrap_future(done)
