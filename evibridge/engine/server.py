"""The engine's front door: one port with chats, control plane, tokens, health checks, metrics."""

import asyncio
import time
from ipaddress import ip_address

import structlog
from aiohttp import web

from evibridge.engine.access import Token, TokenRefusal
from evibridge.engine.chat.chat import Chat
from evibridge.engine.chat.handshake import read_handshake
from evibridge.engine.control_plane import ControlPlane
from evibridge.engine.measured import measured
from evibridge.engine.metrics import CONTENT_TYPE
from evibridge.engine.parts import EngineParts
from evibridge.engine.voices.say import spoken
from evibridge.sockets import (
    Refusal,
    Server,
    SocketListener,
    SocketRoute,
    Upgrade,
    receive_body,
    serve,
)

CHAT_PATHS = ("/v0/evi/chat", "//v0/evi/chat")
"""The second is what SDKs make of an origin with a trailing slash."""
TOKEN_PATH = "/oauth2-cc/token"  # noqa: S105 - an address, not a secret
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
MAX_FORM_BYTES = 4 * 1024
FORM_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
"""How long clients have to answer a close frame, and then tasks to end."""
NOT_KEPT = {"Cache-Control": "no-store"}
SHUTTING_DOWN = "The engine is shutting down."
FULL = "The engine has as many chats as it may have: try again in a moment."


log = structlog.get_logger()


class Engine:
    """A running engine; `start_engine` makes it.

    Attributes:
        origin: where clients connect, as `http://127.0.0.1:8765`
    """

    def __init__(self, parts: EngineParts) -> None:
        self.origin = ""
        self._parts = measured(parts)
        self._chats: dict[str, Chat] = {}
        self._control_plane = ControlPlane(
            CHAT_PATHS, self._chats, self._parts.access, self._parts.metrics
        )
        self._turns_away = False
        self._server: Server

    async def open(self, host: str, port: int) -> None:
        """Start to listen."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post(TOKEN_PATH, self._token)
        self._control_plane.add_to(app)
        routes = [SocketRoute(path, self._accept, MAX_MESSAGE_BYTES) for path in CHAT_PATHS]
        routes += self._control_plane.socket_routes()
        self._server = await serve(app, routes, host=host, port=port)
        self.origin = _origin(host, self._server.port)

    async def drain(self, timeout_s: float) -> None:
        """Take no new chat, and return when the last one has come to its own end.

        Those that are still open at the deadline are closed with 1001. Health checks and metrics
        are answered on, until `close`.
        """
        self._turns_away = True
        await self._wait_for_chats(timeout_s)
        self._end_chats()
        await self._wait_for_chats(CLOSE_TIMEOUT_S)

    async def close(self) -> None:
        """End every chat with 1001, then stop listening."""
        self._turns_away = True
        self._end_chats()
        # Clients get the time to read the close frame before connections are cut.
        await self._wait_for_chats(CLOSE_TIMEOUT_S)
        await self._server.close()
        await self._wait_for_chats(CLOSE_TIMEOUT_S)
        if self._parts.webhooks is not None:
            await self._parts.webhooks.close()

    async def speak(self, text: str) -> bytes:
        """A text in the engine's own voice, as a WAV file at 48 kHz.

        Raises:
            UpstreamFailed: the service that speaks gave no usable answer
            Overloaded: too much waits already to be spoken
        """
        return await spoken(text, self._parts.voice)

    def _end_chats(self) -> None:
        for chat in self._chats.values():
            chat.end(1001, SHUTTING_DOWN, why="engine_closed")

    async def _wait_for_chats(self, timeout_s: float) -> None:
        if self._chats:
            endings = [asyncio.create_task(chat.finished()) for chat in self._chats.values()]
            await asyncio.wait(endings, timeout=timeout_s)

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        handshake = read_handshake(upgrade)
        keys, token = handshake.api_keys, handshake.access_token
        access = self._parts.access
        owner = access.admits(upgrade, keys, token, time.time())
        if owner is None:
            refusal = Refusal(401, access.wrong_credentials)
        elif self._turns_away:
            refusal = Refusal(503, SHUTTING_DOWN)
        elif self._is_full():
            refusal = Refusal(429, FULL)  # UNCONFIRMED U2: EVI's status for too many chats
        else:
            return Chat(self._parts, handshake, owner, self._chats)
        log.info("chat_refused", status=refusal.status, reason=refusal.sentence)
        self._parts.metrics.handshake_refused(refusal.status)
        return refusal

    def _is_full(self) -> bool:
        return len(self._chats) >= self._parts.max_chats

    async def _healthz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _readyz(self, _: web.Request) -> web.Response:
        if self._turns_away:
            return web.Response(status=503, text=SHUTTING_DOWN)
        if self._is_full():
            return web.Response(status=503, text=FULL)
        return web.Response(text="ok")

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._parts.metrics.page(), headers={"Content-Type": CONTENT_TYPE})

    async def _token(self, request: web.Request) -> web.Response:
        body = await receive_body(request, max_bytes=MAX_FORM_BYTES, timeout_s=FORM_TIMEOUT_S)
        form, peer = body.decode(errors="replace"), request.remote or ""
        answer = self._parts.access.issue_token(request.headers, peer, form, time.time())
        return _refused_token(answer) if isinstance(answer, TokenRefusal) else _token(answer)


async def start_engine(parts: EngineParts, *, host: str, port: int) -> Engine:
    """Serve the EVI chat protocol; port 0 takes a free one.

    Raises:
        SettingsError: the address cannot be had
    """
    engine = Engine(parts)
    await engine.open(host, port)
    return engine


def _token(token: Token) -> web.Response:
    body = {
        "access_token": token.text,
        "token_type": "Bearer",
        "expires_in": token.expires_in_s,
    }
    return web.json_response(body, headers=NOT_KEPT)


def _refused_token(refusal: TokenRefusal) -> web.Response:
    body = {"error": refusal.error, "error_description": refusal.sentence}
    challenge = {"WWW-Authenticate": 'Basic realm="evibridge"'} if refusal.status == 401 else {}
    return web.json_response(body, status=refusal.status, headers=NOT_KEPT | challenge)


def _origin(host: str, port: int) -> str:
    """Where a program on this machine reaches the port."""
    try:
        address = ip_address(host)
    except ValueError:
        return f"http://{host}:{port}"
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"
    return f"http://[{host}]:{port}" if address.version == 6 else f"http://{host}:{port}"
