"""Where callers in the browser come by WebSocket, and where the built-in page gets its token."""

import asyncio
from collections.abc import Callable, Mapping

import structlog
from aiohttp import web

from evibridge.bridges.browser.desk import BrowserDesk
from evibridge.bridges.browser.origins import NOT_ALLOWED, Origins, is_same_origin, origin_of
from evibridge.bridges.browser.strangers import Strangers
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
ONLY_LOCAL = (
    "Only the page of this service, opened on this machine, gets a token here: ask for one with "
    "POST /v1/web-sessions."
)
NO_TOKENS = "This service gives tokens through POST /v1/web-sessions only."
OWN_PAGE = frozenset({"same-origin", "none"})
"""What browsers say of a page of this service, or of a person (Fetch Metadata, Sec-Fetch-Site)."""

log = structlog.get_logger(__name__)


class WebSocketRoutes:
    """The routes of callers who come by WebSocket.

    Args:
        desk: lets callers in
        sessions: gives out tokens
        origins: decides whose pages may call
        bus: tells what happens in calls
        holding: tells what the caller hears while he waits for the tool of a name
        gives_tokens: whether the built-in page, and programs of this machine, get tokens unasked
    """

    def __init__(
        self,
        desk: BrowserDesk,
        sessions: WebSessions,
        origins: Origins,
        bus: EventBus,
        holding: Callable[[str], str | None],
        *,
        gives_tokens: bool,
    ) -> None:
        self._sessions = sessions
        self._origins = origins
        self._gives_tokens = gives_tokens
        self._parts = SocketParts(desk, bus, holding, Strangers())
        self.socket_route = SocketRoute(PATH, self._accept, MAX_MESSAGE_BYTES)

    def add_routes(self, app: web.Application) -> None:
        """Add what is asked for by HTTP to an application."""
        app.router.add_post(SESSION_PATH, self._create_session)

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        """A page cannot read why a handshake failed, so all else is told in the socket."""
        if not self._origins.admit(upgrade.headers):
            log.warning("caller_socket_refused", why="origin_not_allowed")
            return Refusal(403, NOT_ALLOWED)
        return WebSocketLeg(self._parts, origin_of(upgrade.headers))

    async def _create_session(self, request: web.Request) -> web.Response:
        """Give the built-in page a token of its own."""
        if not self._gives_tokens:
            return _fault(403, "no_tokens_here", NO_TOKENS)
        is_local = is_local_request(request.headers, request.remote or "")
        if not is_local or not _is_own(request.headers):
            return _fault(403, "origin_not_allowed", ONLY_LOCAL)
        session = WebSession(origin=origin_of(request.headers))
        try:
            token = self._sessions.create(session, asyncio.get_running_loop().time())
        except Overloaded as error:
            fault = _fault(503, "service_full", str(error))
            fault.headers["Retry-After"] = str(round(LIFETIME_S))
            return fault
        answer = {"token": token, "expires_in_s": round(LIFETIME_S)}
        return web.json_response(answer, status=201, headers={"Cache-Control": "no-store"})


def _is_own(headers: Mapping[str, str]) -> bool:
    """Tell whether a page of this service has sent a request, or a program that is no browser.

    Browsers name `Origin`, or say with `Sec-Fetch-Site` where a request comes from; one that does
    neither, but sends others of the `Sec-Fetch-` headers, has something to hide.
    """
    site = headers.get("Sec-Fetch-Site")
    if "Origin" in headers:
        return is_same_origin(headers) and site in {None, *OWN_PAGE}
    if site is not None:
        return site in OWN_PAGE
    return not any(name.lower().startswith("sec-fetch-") for name in headers)


def _fault(status: int, code: str, sentence: str) -> web.Response:
    return web.json_response({"code": code, "message": sentence}, status=status)
