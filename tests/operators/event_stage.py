"""Calls that a test plays, and programs that watch them over real sockets or one that is stuck."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from evibridge.bus import EventBus, Told
from evibridge.events import AgentSaid, CallerSaid, CallEvent
from evibridge.operators.event_reader import MAX_UNSENT_BYTES
from evibridge.operators.event_streams import EventStreams
from evibridge.operators.event_topics import LevelSink, WatchedCalls
from evibridge.sockets import Refusal, SocketListener, Upgrade, serve
from tests.sockets.peers import PATIENCE_S, RawPeer, upgrade_head

NOON_S = 1_795_867_200.0
NOON = "2026-11-28T12:00:00.000Z"


def said(text: str, *, interim: bool = False) -> CallerSaid:
    return CallerSaid(text, interim=interim, typed=False)


@dataclass
class Stage:
    """Two calls that go on, CA1 and CA2, and streams about them."""

    bus: EventBus = field(default_factory=lambda: EventBus(lambda: NOON_S))
    live: list[str] = field(default_factory=lambda: ["CA1", "CA2"])
    ended: list[str] = field(default_factory=list)
    forgotten: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    level_sinks: dict[str, list[LevelSink]] = field(default_factory=lambda: {"CA1": []})
    refusal: Refusal | None = None
    snapshots_fail: bool = False
    admit: Callable[[Upgrade], Refusal | None] | None = None
    """Who is let in; without it everybody, unless there is a refusal."""
    port: int = 0

    def __post_init__(self) -> None:
        calls = WatchedCalls(self.snapshot, self.summary, lambda: self.live, self.levels)
        admit = self.admit or (lambda _: self.refusal)
        self.streams = EventStreams(self.bus, calls, admit, lambda: NOON_S)

    def tell(self, event: CallEvent, call_id: str = "CA1") -> Told:
        return self.bus.publish(call_id, event)

    def summary(self, call_id: str) -> dict[str, object] | None:
        if call_id in self.forgotten or call_id not in self.live + self.ended:
            return None
        state = {"state": self.states[call_id]} if call_id in self.states else {}
        return {"call_id": call_id, "events": len(self.bus.history(call_id)), **state}

    def snapshot(self, call_id: str) -> dict[str, object] | None:
        if self.snapshots_fail:
            raise ZeroDivisionError
        summary = self.summary(call_id)
        return None if summary is None else {**summary, "lines": []}

    def levels(self, call_id: str, sink: LevelSink) -> Callable[[], None] | None:
        sinks = self.level_sinks.get(call_id)
        if sinks is None:
            return None
        sinks.append(sink)
        return lambda: sinks.remove(sink)

    def accept(self, path: str, **parameters: str) -> SocketListener | Refusal:
        """Ask for a stream without a connection."""
        route = self.streams.routes[0 if parameters else 1]
        return route.accept(Upgrade(path, {}, "127.0.0.1", parameters))

    def watch_call(self, query: str = "") -> "StuckSocket":
        """Open a stream of CA1 on a connection whose other end the test is, too."""
        return StuckSocket(self.accept(f"/v1/calls/CA1/events?{query}", call_id="CA1"))

    def watch_all(self, query: str = "") -> "StuckSocket":
        """Open a stream of all calls on such a connection."""
        return StuckSocket(self.accept(f"/v1/events?{query}"))


@asynccontextmanager
async def open_stage(
    admit: Callable[[Upgrade], Refusal | None] | None = None,
) -> AsyncIterator[Stage]:
    """Serve the streams on a port."""
    stage = Stage(admit=admit)
    server = await serve(web.Application(), stage.streams.routes, host="127.0.0.1", port=0)
    stage.port = server.port
    try:
        yield stage
    finally:
        await server.close()


class Watcher:
    """A program that reads events as they come."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection = connection

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = await self.connection.receive_json()
        return message

    async def several(self, count: int) -> list[dict[str, Any]]:
        return [await self.next() for _ in range(count)]

    async def close_code(self) -> int | None:
        """Read the end, which must come next."""
        async with asyncio.timeout(PATIENCE_S):
            message = await self.connection.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE
        return self.connection.close_code


async def slow_watcher(stage: Stage, path: str) -> RawPeer:
    """A program that reads only when it is asked to, with little room for what it has not read."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.setblocking(False)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.get_running_loop().sock_connect(small, ("127.0.0.1", stage.port))
        peer = RawPeer(*await asyncio.open_connection(sock=small, limit=4096))
    peer.write(upgrade_head(path))
    assert (await peer.response())[0] == 101
    return peer


class StuckSocket:
    """A connection whose other end takes bytes when the test says so."""

    def __init__(self, listener: SocketListener | Refusal) -> None:
        assert isinstance(listener, SocketListener)
        self.sent: list[dict[str, Any]] = []
        self.closed_with: int | None = None
        self.is_cut = False
        self._unsent = 0
        self._takes_all = True
        self._listener = listener
        listener.on_open(self)

    def stop_taking(self) -> None:
        self._takes_all = False

    def fill(self) -> None:
        """So much waits that nothing more is written."""
        self._unsent += MAX_UNSENT_BYTES + 1

    def take(self, count: int) -> None:
        self._unsent = max(0, self._unsent - count)

    def take_all(self) -> None:
        self._takes_all = True
        self._unsent = 0

    def hang_up(self) -> None:
        self._listener.on_close(1006, "")

    def unsent_bytes(self) -> int:
        return self._unsent

    def send_text(self, text: bytes, /) -> None:
        if self.closed_with is None and not self.is_cut:
            self.sent.append(json.loads(text))
            if not self._takes_all:
                self._unsent += len(text)

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"{len(data)} bytes: streams are text")

    def close(self, code: int = 1000, reason: str = "") -> None:
        del reason
        self.closed_with = code

    def abort(self) -> None:
        self.is_cut = True

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]


def long_sentence(number: int) -> AgentSaid:
    """Two of them are more than may be unsent."""
    return AgentSaid(str(number), "x" * 40_000)
