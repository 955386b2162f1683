"""Accepting WebSockets, on a port of our own or within an aiohttp server that is not ours."""

import asyncio
import errno
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, cast

from aiohttp import web

from evibridge.errors import SettingsError
from evibridge.sockets._http_log import HTTP_LOG
from evibridge.sockets._one_port import Door, Port
from evibridge.sockets._paths import Paths, as_aiohttp_wants_it
from evibridge.sockets._picows import CLOSE_TIMEOUT_S, PicowsSocket, feed, server_protocol
from evibridge.sockets._upgrade import admit, handshake_fault
from evibridge.sockets.interface import SocketRoute, Upgrade

KEEP_ALIVE_S = 75.0
"""How long an HTTP connection may idle or take to send a head; proxies keep theirs for 60 s."""
BACKLOG = 1024
"""Connections that wait to be accepted: after a restart all callers come at once."""


class Server:
    """One open port, made by `serve`."""

    def __init__(self, runner: web.AppRunner, listening: asyncio.Server, shared: Port) -> None:
        self._runner = runner
        self._listening = listening
        self._shared = shared
        self._port: int = listening.sockets[0].getsockname()[1]

    @property
    def port(self) -> int:
        """The TCP port, also when port 0 was asked for."""
        return self._port

    async def close(self) -> None:
        """Stop listening, cut every connection, run the application's clean-up.

        What is about to end gets 2 s for it: a socket whose closing handshake has begun, and an
        HTTP request that is being answered.
        """
        self._listening.close()
        self._shared.close()
        await _end_all(self._shared.open_sockets)
        await self._runner.cleanup()


async def serve(
    app: web.Application, routes: Iterable[SocketRoute], *, host: str, port: int
) -> Server:
    """Serve an aiohttp application and WebSocket routes on one port.

    Args:
        app: answers everything that is not a WebSocket; must not be running yet
        routes: where WebSockets are accepted
        host: a name or an address; the empty string is every interface
        port: 0 takes any free one

    Raises:
        SettingsError: the address cannot be had, most often because the port is in use
    """
    routes = list(routes)
    open_sockets: set[PicowsSocket] = set()
    _mount(app, routes, open_sockets)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=HTTP_LOG,
        auto_decompress=False,  # it would inflate whatever comes, before a handler says no
        keepalive_timeout=KEEP_ALIVE_S,
        shutdown_timeout=CLOSE_TIMEOUT_S,
    )
    await runner.setup()
    assert runner.server is not None
    shared = Port(runner.server, Paths(routes), open_sockets)
    try:
        listening = await asyncio.get_running_loop().create_server(
            lambda: Door(shared), host, port, backlog=BACKLOG
        )
    except OSError as error:
        await runner.cleanup()
        raise SettingsError(_why_not_listening(host, port, error)) from error
    return Server(runner, listening, shared)


def _why_not_listening(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} of {host} is in use: "
            "stop the program that uses it or choose another port."
        )
    cause = error.strerror or error
    return f"Cannot listen on port {port} of {host} ({cause}): choose another host or port."


def mount(app: web.Application, routes: Iterable[SocketRoute]) -> None:
    """Accept WebSockets in an aiohttp application, whoever runs it, over TCP.

    The application's shutdown cuts the connections, as `Server.close` does.
    """
    _mount(app, routes, set())


def _mount(
    app: web.Application, routes: Iterable[SocketRoute], open_sockets: set[PicowsSocket]
) -> None:
    async def end_all(_: web.Application) -> None:
        await _end_all(open_sockets)

    app.on_shutdown.append(end_all)
    for route in routes:
        path = as_aiohttp_wants_it(route.path)
        app.router.add_get(path, _late_upgrade(route, open_sockets), allow_head=False)


async def _end_all(open_sockets: set[PicowsSocket]) -> None:
    await asyncio.gather(*(socket.end() for socket in open_sockets))


def _late_upgrade(
    route: SocketRoute, open_sockets: set[PicowsSocket]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Answer an upgrade request that aiohttp has read: picows gets the bytes that follow it.

    Reverse proxies send such requests on connections that have carried plain HTTP before.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        fault = handshake_fault(request.headers)
        if fault is not None:
            return web.Response(status=fault.status, text=fault.sentence)
        transport = request.transport
        if transport is not None:
            peer, parameters = request.remote or "", dict(request.match_info)
            upgrade = Upgrade(request.raw_path, request.headers, peer, parameters)
            protocol = server_protocol(
                lambda _: admit(route, upgrade, open_sockets), route.max_message_bytes
            )
            protocol.connection_made(transport)
            feed(protocol, transport, _plain_head(request.headers["Sec-WebSocket-Key"]))
            passage = _Passage(protocol, transport)
            request.protocol.set_parser(cast("Any", passage))  # typed as aiohttp's own parser
            await passage.ended.wait()
        return web.Response()  # nobody is there to read it

    return handle


def _plain_head(key: str) -> bytes:
    """Repeat an upgrade request that aiohttp has accepted, as picows wants to read it."""
    return (
        "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


class _Passage:
    """Stands where aiohttp expects its WebSocket parser, and passes the bytes on to picows."""

    def __init__(self, protocol: asyncio.BufferedProtocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._transport = transport
        self.ended = asyncio.Event()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        feed(self._protocol, self._transport, data)
        return False, b""

    def feed_eof(self) -> None:
        self._protocol.connection_lost(None)
        self.ended.set()
