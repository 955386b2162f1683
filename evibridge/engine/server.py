"""The engine's front door: one port with the chat socket and a health check."""

import asyncio
from dataclasses import dataclass, field
from ipaddress import ip_address

from aiohttp import web

from evibridge.engine.chat import Chat
from evibridge.engine.ears import Ears
from evibridge.engine.handshake import is_authorised, read_handshake
from evibridge.engine.mind import Mind
from evibridge.engine.turns import TurnTaking
from evibridge.engine.voice import Voice
from evibridge.sockets import Refusal, Server, SocketListener, SocketRoute, Upgrade, serve

CHAT_PATHS = ("/v0/evi/chat", "//v0/evi/chat")
"""The second is what SDKs make of an origin with a trailing slash."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
WRONG_KEY = "The API key is missing or wrong."
NOT_LOCAL = "An engine without API keys only serves clients on its own machine."
CLOSE_TIMEOUT_S = 2.0
"""How long clients have to answer a close frame, and then tasks to end."""


@dataclass(frozen=True, slots=True)
class EngineParts:
    """What an engine is made of; the parts are shared by its chats and closed by their owner.

    Attributes:
        tool_timeout_s: how long a client may take to answer a tool call
        api_keys: keys that open a chat; without any, only clients on this machine may
    """

    ears: Ears
    mind: Mind
    voice: Voice
    turn_taking: TurnTaking = field(default_factory=TurnTaking)
    tool_timeout_s: float = 30.0
    api_keys: frozenset[str] = field(default=frozenset(), repr=False)


class Engine:
    """A running engine; `start_engine` makes it.

    Attributes:
        origin: where clients connect, as `http://127.0.0.1:8765`
    """

    def __init__(self, parts: EngineParts) -> None:
        self.origin = ""
        self._parts = parts
        self._chats: set[Chat] = set()
        self._closing = False
        self._server: Server

    async def open(self, host: str, port: int) -> None:
        """Start to listen."""
        app = web.Application()
        app.router.add_get("/healthz", _healthz)
        routes = [SocketRoute(path, self._accept, MAX_MESSAGE_BYTES) for path in CHAT_PATHS]
        self._server = await serve(app, routes, host=host, port=port)
        self.origin = _origin(host, self._server.port)

    async def close(self) -> None:
        """End every chat with 1001, then stop listening."""
        self._closing = True
        for chat in self._chats:
            chat.end(1001, "The engine is shutting down.")
        # Clients get the time to read the close frame before connections are cut.
        endings = [asyncio.create_task(chat.finished()) for chat in self._chats]
        await _wait(endings)
        await self._server.close()
        await _wait(endings)

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        handshake = read_handshake(upgrade)
        parts = self._parts
        if not is_authorised(upgrade, handshake.api_key, parts.api_keys):
            return Refusal(401, WRONG_KEY if parts.api_keys else NOT_LOCAL)
        if self._closing:
            return Refusal(503, "The engine is shutting down.")
        return Chat(
            ears=parts.ears,
            mind=parts.mind,
            voice=parts.voice,
            turn_taking=parts.turn_taking,
            tool_timeout_s=parts.tool_timeout_s,
            settings=handshake.settings,
            live=self._chats,
        )


async def start_engine(parts: EngineParts, *, host: str, port: int) -> Engine:
    """Serve the EVI chat protocol; port 0 takes a free one.

    Raises:
        SettingsError: the address cannot be had
    """
    engine = Engine(parts)
    await engine.open(host, port)
    return engine


async def _wait(endings: list[asyncio.Task[None]]) -> None:
    if endings:
        await asyncio.wait(endings, timeout=CLOSE_TIMEOUT_S)


async def _healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def _origin(host: str, port: int) -> str:
    """Where a program on this machine reaches the port."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"
