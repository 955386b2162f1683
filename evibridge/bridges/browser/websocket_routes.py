"""Where callers in the browser come by WebSocket, and where the built-in page gets its token."""

import asyncio
from collections.abc import Callable

import structlog
from aiohttp import web

from evibridge.bridges.browser.desk import BrowserDesk
from evibridge.bridges.browser.origins import NOT_ALLOWED, Origins, is_same_origin, origin_of
from evibridge.bridges.browser.websocket_leg import SocketParts, WebSocketLeg
from evibridge.bus import EventBus
from evibridge.errors import Overloaded
from evibridge.loopback import is_local_request
from evibridge.sockets import Refusal, SocketListener, SocketRoute, Upgrade
from evibridge.web_sessions import LIFETIME_S, WebSession, WebSessions

PATH = "/browser"
SESSION_PATH = "/browser/session"
MAX_MESSAGE_BYTES = 64 * 1024
"""A typed text of 4000 characters has 48 kB if every one of them is escaped."""
SPARE_HANDSHAKES = 32
"""Open sockets that have not said who comes; each is given 5 s for it."""
ONLY_LOCAL = (
    "Only the page of this service, opened on this machine, gets a token here: ask for one with "
    "POST /v1/web-sessions."
)

log = structlog.get_logger(__name__)


class WebSocketRoutes:
    """The routes of callers who come by WebSocket.

    Args:
        desk: lets callers in
        sessions: gives out tokens
        origins: decides whose pages may call
        bus: tells what happens in calls
        holding: tells what the caller hears while he waits for the tool of a name
    """

    def __init__(
        self,
        desk: BrowserDesk,
        sessions: WebSessions,
        origins: Origins,
        bus: EventBus,
        holding: Callable[[str], str | None],
    ) -> None:
        self._sessions = sessions
        self._origins = origins
        self._parts = SocketParts(desk, bus, holding, set())
        self.socket_route = SocketRoute(PATH, self._accept, MAX_MESSAGE_BYTES)

    def add_routes(self, app: web.Application) -> None:
        """Add what is asked for by HTTP to an application."""
        app.router.add_post(SESSION_PATH, self._create_session)

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        """A page cannot read why a handshake failed, so all else is told in the socket."""
        if not self._origins.admit(upgrade.headers):
            log.warning("caller_socket_refused", why="origin_not_allowed")
            return Refusal(403, NOT_ALLOWED)
        if len(self._parts.strangers) >= SPARE_HANDSHAKES:
            log.warning("caller_socket_refused", why="too_many_handshakes")
            return Refusal(503, "Too many connections are being opened: try again in a moment.")
        return WebSocketLeg(self._parts, origin_of(upgrade.headers))

    async def _create_session(self, request: web.Request) -> web.Response:
        """Give the built-in page a token of its own."""
        is_local = is_local_request(request.headers, request.remote or "")
        if not is_local or ("Origin" in request.headers and not is_same_origin(request.headers)):
            return _fault(403, "origin_not_allowed", ONLY_LOCAL)
        session = WebSession(origin=origin_of(request.headers))
        try:
            token = self._sessions.create(session, asyncio.get_running_loop().time())
        except Overloaded as error:
            fault = _fault(503, "service_full", str(error))
            fault.headers["Retry-After"] = str(round(LIFETIME_S))
            return fault
        answer = {"token": token, "expires_in_s": LIFETIME_S}
        return web.json_response(answer, status=201, headers={"Cache-Control": "no-store"})


def _fault(status: int, code: str, sentence: str) -> web.Response:
    return web.json_response({"code": code, "message": sentence}, status=status)
