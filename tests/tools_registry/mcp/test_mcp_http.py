"""Servers over HTTP: those that are none, and those of MCP versions with sessions."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from evibridge.tools_registry.mcp import session, transports
from evibridge.tools_registry.mcp.connections import mcp_connections
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.outcome import ToolFailure, ToolResult
from evibridge.tools_registry.runner import BACKGROUND_TIMEOUT_S
from tests.tools_registry.mcp.stage import LONG_S, at_once, logged, never, other_tasks, run

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """An address at which every request is handled by this."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield f"http://user:s3cret@127.0.0.1:{port}/s3cret/mcp?key=s3cret"
    finally:
        await runner.cleanup()


def clients_tasks() -> set[asyncio.Task[Any]]:
    """The tasks that are none of the server's."""
    return {task for task in other_tasks() if "aiohttp" not in repr(task)}


async def fault_of(url: str) -> str:
    """Why a server is not connected; nothing secret may be said of it."""
    server = McpServer("crm", url=url, headers={"Authorization": "Bearer s3cret"})
    with logged() as log:
        async with mcp_connections([server], never) as connections:
            sentence = connections.faults["crm"]
        assert clients_tasks() == set()
    (line,) = log.of("mcp_unreachable", server="crm")
    assert line["reason"] == sentence
    assert "s3cret" not in str(log.lines)
    return sentence.removeprefix("The MCP server 'crm' ").removesuffix(".")


def status(number: int, **headers: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=number, headers=headers)

    return answer


@pytest.mark.parametrize(
    ("handler", "what"),
    [
        (status(401), "refuses its credentials (HTTP status 401); check its `headers`"),
        (status(403), "refuses its credentials (HTTP status 403); check its `headers`"),
        (
            status(404),
            "serves no MCP at its address (HTTP status 404); check the path of its `url`",
        ),
        (
            status(307, Location="https://elsewhere.example/s3cret"),
            "serves no MCP at its address (HTTP status 307); check the path of its `url`",
        ),
        (status(502), "is out of order (HTTP status 502); look at its own log"),
        (status(200), "does not speak MCP (error -32600); check its `url`"),
    ],
    ids=["401", "403", "404", "redirect", "502", "nonsense"],
)
async def test_an_address_that_serves_no_mcp(handler: Handler, what: str) -> None:
    async with served(handler) as url:
        assert await fault_of(url) == what


async def test_an_address_at_which_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert await fault_of(f"http://127.0.0.1:{port}/mcp") == (
        f"cannot be reached at http://127.0.0.1:{port} (All connection attempts failed); check its "
        f"`url`, and that it runs"
    )


async def test_an_address_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CONNECT_TIMEOUT_S", 0.2)

    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with served(silent) as url:
        assert await fault_of(url) == (
            "does not answer; check that its `url` is that of an MCP server"
        )


async def test_an_address_at_which_something_else_listens() -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert await fault_of(address) == (
            f"broke the connection to {address}; look at its own log"
        )


class SessionServer:
    """Speaks MCP of 2025: sessions that it may forget, and JSON for answers."""

    def __init__(self) -> None:
        self.sessions: list[str] = []
        self.forgotten: set[str] = set()
        self.broken = self.holds_on = False
        self.keys: set[str | None] = set()
        self.encodings: set[str | None] = set()
        self.padding = 0
        self.is_compressed = self.refuses = self.begins = self.is_hasty = False
        self.streams = asyncio.Semaphore(0)
        self.left = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.names = ["echo", "wait"]
        self.changed = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.keys.add(request.headers.get("X-Key"))
        self.encodings.add(request.headers.get("Accept-Encoding"))
        if request.method == "DELETE":
            if self.holds_on:
                await asyncio.Event().wait()
            return web.Response()
        if request.method == "GET":
            return await self.stream(request)
        message = json.loads(await request.read())
        session = request.headers.get("Mcp-Session-Id")
        if session in self.forgotten:
            return web.Response(status=404)
        if message["method"] == "notifications/cancelled":
            self.cancelled.set()
        if "id" not in message:
            return web.Response(status=202)
        if message.get("params", {}).get("name") == "wait":
            return await self.wait(request)
        return await self.answer(message)

    async def wait(self, request: web.Request) -> web.StreamResponse:
        """Give no answer, or one without an end."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            if self.begins:
                await response.prepare(request)
                await response.write(b"{")
            await asyncio.Event().wait()
        finally:
            self.left.set()
        return response

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Tell of a change of the tools, once."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.streams.release()
        if self.is_hasty:
            await response.write(b"retry: 0\n\n")
            return response
        await self.changed.wait()
        self.changed.clear()
        news = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
        await response.write(f"event: message\ndata: {json.dumps(news)}\n\n".encode())
        return response

    async def answer(self, message: dict[str, Any]) -> web.StreamResponse:
        headers = {}
        result: dict[str, Any] | None = None
        match message["method"]:
            case "initialize":
                self.sessions.append(f"session{len(self.sessions)}")
                headers["Mcp-Session-Id"] = self.sessions[-1]
                result = {
                    "protocolVersion": "2025-06-18",
                    "capabilities": {"tools": {"listChanged": True}},
                    "serverInfo": {"name": "sessions", "version": "1"},
                }
            case "tools/list":
                tools = [{"name": name, "inputSchema": {"type": "object"}} for name in self.names]
                result = {"tools": tools}
            case "tools/call" if self.broken:
                return web.Response(status=500)
            case "tools/call" if self.refuses:
                error = {"code": 1066, "message": "No."}
                return self.padded({"jsonrpc": "2.0", "id": message["id"], "error": error}, 400)
            case "tools/call":
                result = {"content": [{"type": "text", "text": self.sessions[-1]}]}
                return self.padded({"jsonrpc": "2.0", "id": message["id"], "result": result}, 200)
            case "ping":
                result = {}
        if result is None:
            error = {"code": -32601, "message": "Method not found"}
            return web.json_response({"jsonrpc": "2.0", "id": message["id"], "error": error})
        reply = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        return web.json_response(reply, headers=headers)

    def padded(self, reply: dict[str, Any], status: int) -> web.Response:
        """An answer with as much white space as is wanted."""
        text = json.dumps(reply) + " " * self.padding
        response = web.Response(text=text, content_type="application/json", status=status)
        if self.is_compressed:
            response.enable_compression(web.ContentCoding.gzip)
        return response


@pytest.fixture
def sessions() -> SessionServer:
    return SessionServer()


def crm(url: str) -> McpServer:
    return McpServer("crm", url=url, headers={"X-Key": "s3cret"}, fallback="Sorry.")


async def test_a_server_that_forgot_its_session_is_greeted_again(sessions: SessionServer) -> None:
    with logged() as log:
        async with (
            served(sessions.handle) as url,
            mcp_connections([crm(url)], at_once) as connections,
        ):
            assert await run(connections, "echo") == ToolResult("session0")
            sessions.forgotten.add("session0")
            outcome = await run(connections, "echo")
            assert isinstance(outcome, ToolFailure)
            assert (outcome.code, outcome.content) == ("unavailable", "Sorry.")
            await log.told("mcp_connected", times=2)
            assert await run(connections, "echo") == ToolResult("session1")
    assert clients_tasks() == set()


async def test_headers_are_sent_with_every_request_and_logged_never(
    sessions: SessionServer,
) -> None:
    with logged() as log:
        async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
            await run(connections, "echo")
    assert sessions.keys == {"s3cret"}
    assert "s3cret" not in str(log.lines)


async def test_a_call_that_is_late_is_cancelled_by_a_notification(
    sessions: SessionServer,
) -> None:
    async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
        outcome = await run(connections, "wait", timeout_s=0.2)
        assert isinstance(outcome, ToolFailure)
        assert outcome.code == "timeout"
        async with asyncio.timeout(LONG_S):
            await sessions.cancelled.wait()
        assert await run(connections, "echo") == ToolResult("session0")
        assert connections.faults == {}


async def test_a_call_that_fails_by_itself_does_not_break_the_connection(
    sessions: SessionServer,
) -> None:
    async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
        sessions.broken = True
        assert await run(connections, "echo") == ToolFailure(
            "The tool echo cannot be used: the MCP server crm answered with the error -32603.",
            "Sorry.",
            "unavailable",
        )
        sessions.broken = False
        assert await run(connections, "echo") == ToolResult("session0")
        assert connections.faults == {}
    assert len(sessions.sessions) == 1


async def test_a_server_tells_of_new_tools_on_a_stream(sessions: SessionServer) -> None:
    with logged() as log:
        async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
            sessions.names.append("late")
            sessions.changed.set()
            await log.told("mcp_tools_changed")
            assert await run(connections, "late") == ToolResult("session0")


async def test_a_server_that_does_not_let_go_is_left_alone_after_a_second(
    sessions: SessionServer,
) -> None:
    sessions.holds_on = True
    async with served(sessions.handle) as url:
        async with mcp_connections([crm(url)]) as connections:
            await run(connections, "echo")
            closing = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - closing < 4
    assert clients_tasks() == set()


# Servers that mean no good


def unavailable(code: int) -> ToolFailure:
    return ToolFailure(
        f"The tool echo cannot be used: the MCP server crm answered with the error {code}.",
        "Sorry.",
        "unavailable",
    )


async def test_an_answer_that_is_too_long_fails_its_call_and_no_other(
    sessions: SessionServer,
) -> None:
    async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
        sessions.padding = 2 * 1024 * 1024
        assert await run(connections, "echo") == unavailable(-32700)
        sessions.padding = 0
        assert await run(connections, "echo") == ToolResult("session0")
        assert connections.faults == {}
    assert len(sessions.sessions) == 1


async def test_an_answer_that_is_compressed_fails_its_call_as_nobody_asked_for_it(
    sessions: SessionServer,
) -> None:
    async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
        sessions.is_compressed = True
        assert await run(connections, "echo") == unavailable(-32700)
        sessions.is_compressed = False
        assert await run(connections, "echo") == ToolResult("session0")
        assert connections.faults == {}
    assert sessions.encodings == {"identity"}


async def test_a_redirection_that_is_too_long_is_not_read() -> None:
    async def redirect(request: web.Request) -> web.StreamResponse:
        await request.read()
        headers = {"Location": "/elsewhere", "Content-Type": "text/event-stream"}
        return web.Response(status=307, headers=headers, body=b" " * (2 * 1024 * 1024 + 1))

    async with served(redirect) as url:
        assert await fault_of(url) == "does not speak MCP; check its `url`"


async def test_a_refusal_is_read_unless_it_is_too_long(sessions: SessionServer) -> None:
    sessions.refuses = True
    async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
        outcome = await run(connections, "echo")
        assert isinstance(outcome, ToolFailure)
        assert (outcome.code, outcome.content) == ("mcp_error", "No.")
        sessions.padding = 2 * 1024 * 1024
        assert await run(connections, "echo") == unavailable(-32603)
        assert connections.faults == {}


@pytest.mark.parametrize("begins", [False, True])
async def test_a_call_that_is_never_answered_does_not_keep_its_request_for_ever(
    sessions: SessionServer, monkeypatch: pytest.MonkeyPatch, *, begins: bool
) -> None:
    sessions.begins = begins
    async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
        with monkeypatch.context() as impatient:
            impatient.setattr(transports, "SILENCE_TIMEOUT_S", 0.3)
            outcome = await run(connections, "wait", timeout_s=0.1)
            assert isinstance(outcome, ToolFailure)
            assert outcome.code == "timeout"
            async with asyncio.timeout(LONG_S):
                await sessions.left.wait()
        assert await run(connections, "echo") == ToolResult("session0")
        assert connections.faults == {}
    assert len(sessions.sessions) == 1


def test_silence_is_borne_longer_than_any_call_takes() -> None:
    assert transports.SILENCE_TIMEOUT_S > BACKGROUND_TIMEOUT_S


async def test_streams_that_a_server_ends_at_once_are_not_asked_for_at_once(
    sessions: SessionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "GET_EVERY_S", 600.0)
    sessions.is_hasty = True
    async with served(sessions.handle) as url, mcp_connections([crm(url)]) as connections:
        async with asyncio.timeout(LONG_S):
            await sessions.streams.acquire()
        for _ in range(20):
            await run(connections, "echo")
        assert sessions.streams.locked()


async def test_streams_that_a_server_ends_are_asked_for_again(
    sessions: SessionServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "GET_EVERY_S", 0.01)
    sessions.is_hasty = True
    async with (
        served(sessions.handle) as url,
        mcp_connections([crm(url)]),
        asyncio.timeout(LONG_S),
    ):
        for _ in range(4):
            await sessions.streams.acquire()
