"""What the tests of MCP connections share: servers, a log that can be waited for, calls."""

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.mcp.connections import McpConnections
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.outcome import ToolOutcome
from evibridge.tools_registry.runner import ToolRunner
from tests.tools_registry.nobody import NOBODY

SERVERS = Path(__file__).parent / "servers"
LONG_S = 20.0
CALL = ToolContext(call_id="c1", chat_id="e1")


def at_once() -> Iterator[float]:
    """Delays between attempts to connect, for those who cannot wait."""
    return itertools.repeat(0.01)


def never() -> Iterator[float]:
    """Delays of somebody who tries once."""
    return itertools.repeat(600.0)


def plain_server(*manners: str, name: str = "plain", **options: Any) -> McpServer:
    command = [sys.executable, "-ES", str(SERVERS / "plain.py"), *manners]
    return McpServer(name, command=command, **options)


def shop_on_pipes(**options: Any) -> McpServer:
    return McpServer("pipes", command=[sys.executable, str(SERVERS / "shop.py")], **options)


class HttpShop:
    """The shop over HTTP, in a process that can be killed and started again."""

    def __init__(self) -> None:
        self._port = 0
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, str(SERVERS / "shop.py"), str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

    def kill(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def server(self, **options: Any) -> McpServer:
        return McpServer("http", url=f"http://127.0.0.1:{self._port}/mcp", **options)


@contextmanager
def http_shop() -> Iterator[HttpShop]:
    shop = HttpShop()
    shop.start()
    try:
        yield shop
    finally:
        shop.kill()


class Log:
    """What was logged, for those who wait for it."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    def __call__(self, _: object, level: str, line: MutableMapping[str, Any]) -> Any:
        self.lines.append({**line, "level": level})
        self._news.set()
        raise structlog.DropEvent

    def of(self, event: str, **attributes: Any) -> list[dict[str, Any]]:
        wanted = {"event": event, **attributes}.items()
        return [line for line in self.lines if wanted <= line.items()]

    async def told(self, event: str, *, times: int = 1, **attributes: Any) -> dict[str, Any]:
        """Wait for an event with these attributes for the `times`th time."""
        async with asyncio.timeout(LONG_S):
            while len(lines := self.of(event, **attributes)) < times:
                self._news.clear()
                await self._news.wait()
        return lines[times - 1]


@contextmanager
def logged() -> Iterator[Log]:
    log = Log()
    processors = structlog.get_config()["processors"]
    before = processors.copy()
    processors[:] = [log]
    try:
        yield log
    finally:
        processors[:] = before


def other_tasks() -> set[asyncio.Task[Any]]:
    """The tasks besides the one that asks."""
    return asyncio.all_tasks() - {asyncio.current_task()}


async def run(
    tools: McpConnections, tool: str, /, *, timeout_s: float = LONG_S, **arguments: Any
) -> ToolOutcome:
    """Call a tool as a call does."""
    runner = ToolRunner(tools, default_timeout_s=timeout_s)
    try:
        return await runner.run(tool, json.dumps(arguments), CALL, NOBODY)
    finally:
        await runner.close()
