"""Sharing a TCP port: the first line of a connection decides which protocol gets it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from aiohttp import web
from picows import WSUpgradeRequest, WSUpgradeResponseWithListener

from evibridge.sockets._paths import Paths
from evibridge.sockets._picows import PicowsSocket, feed, server_protocol
from evibridge.sockets._upgrade import admit, handshake_fault, refused
from evibridge.sockets.interface import SocketRoute, Upgrade

HEAD_TIMEOUT_S = 10.0
"""How long a client may take to say what it wants."""
MAX_HEAD_BYTES = 16 * 1024
"""As much as picows takes."""


@dataclass(eq=False, slots=True)
class Port:
    """What all connections of one port share."""

    http: web.Server
    paths: Paths
    open_sockets: set[PicowsSocket]
    undecided: "set[Door]" = field(default_factory=set)
    is_closed: bool = False

    def close(self) -> None:
        """Cut the connections that have not sent their first line, and all that still come."""
        self.is_closed = True
        for door in list(self.undecided):
            door.cut()


class Door(asyncio.Protocol):
    """Reads the head of a request and hands the connection to picows or to aiohttp.

    aiohttp gets it as soon as the first line is complete. picows gets it with the whole head, so
    that there is no socket that is half open.
    """

    def __init__(self, port: Port) -> None:
        self._port = port
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance of asyncio.Transport under uvloop, but it has the same methods.
        self._transport = cast("asyncio.Transport", transport)
        self._port.undecided.add(self)
        self._timeout = asyncio.get_running_loop().call_later(HEAD_TIMEOUT_S, self.cut)
        if self._port.is_closed:
            self.cut()

    def data_received(self, data: bytes) -> None:
        self._head += data
        first_line, has_first_line, _ = self._head.partition(b"\r\n")
        wanted = self._wanted(first_line)
        if has_first_line and wanted is None:
            self._leave()
            self._hand_to_aiohttp()
        elif wanted is not None and b"\r\n\r\n" in self._head:
            self._leave()
            self._hand_to_picows(*wanted)
        elif len(self._head) > MAX_HEAD_BYTES:
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a connection that ends before it wanted anything is nobody's loss
        self._leave()

    def cut(self) -> None:
        """End the connection."""
        self._transport.abort()

    def _leave(self) -> None:
        self._port.undecided.discard(self)
        self._timeout.cancel()

    def _wanted(self, first_line: bytes) -> tuple[SocketRoute, Mapping[str, str]] | None:
        method, _, rest = first_line.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
        return self._port.paths.find(path) if method == b"GET" else None

    def _hand_to_aiohttp(self) -> None:
        protocol = self._port.http()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._head)

    def _hand_to_picows(self, route: SocketRoute, parameters: Mapping[str, str]) -> None:
        peer = str((self._transport.get_extra_info("peername") or [""])[0])

        def decide(request: WSUpgradeRequest) -> PicowsSocket | WSUpgradeResponseWithListener:
            fault = handshake_fault(request.headers)
            if fault is not None:
                return refused(fault)
            # picows wants these alone in their headers; Firefox sends "keep-alive, Upgrade".
            request.headers["Connection"] = "upgrade"
            request.headers["Upgrade"] = "websocket"
            path = request.path.decode("latin-1")
            upgrade = Upgrade(path, request.headers, peer, parameters)
            return admit(route, upgrade, self._port.open_sockets)

        protocol = server_protocol(decide, route.max_message_bytes)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        feed(protocol, self._transport, self._head)
