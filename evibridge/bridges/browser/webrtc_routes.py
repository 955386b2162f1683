"""Where callers in the browser come by WebRTC: an offer by HTTP, and an answer to it."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from aiohttp import web

from evibridge.bridges.browser.desk import BrowserDesk, CallerRefused, Place, PlaceUnknown
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.bridges.browser.messages import MAX_SECRET, MAX_SEQ
from evibridge.bridges.browser.offer_limits import OfferLimits
from evibridge.bridges.browser.origins import NOT_ALLOWED, Origins, origin_of
from evibridge.bridges.browser.refusal_log import RefusalLog
from evibridge.bridges.browser.webrtc_offer import Offer, read_offer
from evibridge.bridges.browser.webrtc_parts import LegParts
from evibridge.bus import EventBus
from evibridge.errors import BadAudio, BadMessage, EvibridgeError, LinkUnreachable
from evibridge.events import EndReason
from evibridge.sockets import receive_body
from evibridge.web_sessions import WebSessionRefused

if TYPE_CHECKING:
    from evibridge.bridges.browser.webrtc_leg import WebRtcLeg

OFFER_PATH = "/webrtc/offer"
ICE_PATH = "/webrtc/ice"
MAX_BODY_BYTES = 64 * 1024
"""An offer of a browser has 2 to 6 kB."""
BODY_TIMEOUT_S = 5.0
MAX_CONNECTING = 64
"""Connections that have not come to be: each is given 15 s."""
CLOSE_TIMEOUT_S = 3.0
JSON = "application/json"
NOT_INSTALLED = (
    "WebRTC is not installed on the server: connect by WebSocket, or install evibridge[webrtc]."
)
TOO_MANY = "Too many connections are being opened: try again in a moment."

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.Response]]


class _KeyMissing(EvibridgeError):
    """A page that hangs up has not shown the key of its call."""

    code = "key_missing"

    def __init__(self) -> None:
        super().__init__("Send the key of the call, as 'Authorization: Bearer <key>'.")


class WebRtcRoutes:
    """The routes of callers who come by WebRTC.

    Args:
        desk: lets callers in
        origins: decides whose pages may call
        ice_servers: for pages, and for our own end
        bus: tells what happens in calls
        holding: tells what the caller hears while he waits for the tool of a name
    """

    def __init__(
        self,
        desk: BrowserDesk,
        origins: Origins,
        ice_servers: IceServers,
        bus: EventBus,
        holding: Callable[[str], str | None],
    ) -> None:
        self._desk = desk
        self._origins = origins
        self._ice_servers = ice_servers
        self._legs: set[WebRtcLeg] = set()
        self._opening: set[WebRtcLeg] = set()
        self._limits = OfferLimits()
        self._refusals = RefusalLog()
        self._parts = LegParts(bus, holding, self._forget)
        self._loading: asyncio.Task[type[WebRtcLeg] | None] | None = None

    def add_routes(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_post(OFFER_PATH, self._answered(self._offer))
        app.router.add_delete(OFFER_PATH + "/{call_id}", self._answered(self._hang_up))
        app.router.add_post(ICE_PATH, self._answered(self._ice))
        for path in (OFFER_PATH, OFFER_PATH + "/{call_id}", ICE_PATH):
            app.router.add_options(path, self._preflight)

    def begin_loading(self) -> None:
        """Import what WebRTC needs, in a thread: it takes a second that no caller should wait."""
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(_import_leg))

    async def close(self) -> None:
        """Close all connections, within 3 s."""
        legs = list(self._legs)
        for leg in legs:
            self._close_leg(leg)
        if legs:
            closing = [asyncio.ensure_future(leg.closed()) for leg in legs]
            await asyncio.wait(closing, timeout=CLOSE_TIMEOUT_S)

    # The routes

    async def _offer(self, request: web.Request) -> web.Response:
        """Answer a page's offer: the call begins once the page is connected."""
        body = await _read_body(request)
        who = _Bearer(body)
        since = body.seq("since")
        if body.get("type") != "offer":
            raise BadMessage("The body's 'type' has to be \"offer\".")
        who.check(self._desk, origin_of(request.headers))
        wait_s = self._limits.begin(who.secret, _now_s())
        if wait_s > 0.0:
            raise CallerRefused("too_many_connections", TOO_MANY, wait_s)
        try:
            return await self._answer(request, who, read_offer(body.text("sdp")), since)
        finally:
            self._limits.end(who.secret)

    async def _answer(
        self, request: web.Request, who: "_Bearer", offer: Offer, since: int | None
    ) -> web.Response:
        leg_class = await self._leg_class()
        if leg_class is None:
            return self._fault(501, "webrtc_not_installed", NOT_INSTALLED)
        if sum(not leg.has_joined for leg in self._opening) >= MAX_CONNECTING:
            return self._fault(503, "service_full", TOO_MANY, retry_after_s=1)
        try:
            leg = leg_class(self._parts, offer, self._ice_servers.issue(time.time()), since)
        except BadAudio:
            return self._fault(501, "webrtc_not_installed", NOT_INSTALLED)
        self._legs.add(leg)
        self._opening.add(leg)
        try:
            place, sdp = await self._open(leg, who, origin_of(request.headers))
        except BaseException:
            self._close_leg(leg)
            raise
        answer = {
            "type": "answer",
            "sdp": sdp,
            "call_id": place.call_id,
            "key": place.key,
            "resume_s": place.resume_s,
        }
        location = f"{request.path}/{place.call_id}"
        return web.json_response(answer, headers={"Location": location})

    async def _open(
        self, leg: "WebRtcLeg", who: "_Bearer", origin: str | None
    ) -> tuple[Place, str]:
        """Find our addresses, and take the caller's place; returns what the page is answered.

        A token is used up at the end: without addresses the page may come another way with it. A
        place is taken at once, as its connections are numbered.
        """
        leg.place = who.return_to(self._desk)
        await leg.gather()
        if leg not in self._opening:  # the page has hung up, or the service ends
            raise PlaceUnknown
        if leg.place is None:
            leg.place = who.arrive(self._desk, origin)
        self._close_others(leg.place, leg)
        return leg.place, leg.answer()

    async def _hang_up(self, request: web.Request) -> web.Response:
        """End a call, as a page does that is closed; it may be over already."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not 0 < len(key) <= MAX_SECRET:
            raise _KeyMissing
        with suppress(PlaceUnknown):
            place = self._desk.find(key)
            if place.call_id == request.match_info["call_id"]:
                self._leave(place)
        return web.Response(status=204)

    def _leave(self, place: Place) -> None:
        call = place.call
        if call is not None:
            call.caller_left(EndReason.CALLER_HUNG_UP)
        else:
            self._close_others(place, None)
            place.leave()

    async def _ice(self, request: web.Request) -> web.Response:
        """The servers that a page may use to find a way here."""
        self.begin_loading()
        body = await _read_body(request)
        _Bearer(body).check(self._desk, origin_of(request.headers))
        servers = self._ice_servers.issue(time.time())
        return web.json_response({"ice_servers": [server.as_json() for server in servers]})

    async def _preflight(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers=self._origins.preflight_headers(request.headers))

    # Inside

    def _answered(self, handler: Handler) -> Handler:
        """Refuse pages of other origins, and make an answer of each fault."""

        async def answer(request: web.Request) -> web.Response:
            if self._origins.admit(request.headers):
                response = await self._outcome(handler, request)
            else:
                response = self._fault(403, "origin_not_allowed", NOT_ALLOWED)
            response.headers.update(self._origins.cors_headers(request.headers))
            response.headers["Cache-Control"] = "no-store"
            return response

        return answer

    async def _outcome(self, handler: Handler, request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except BadMessage as error:
            return self._fault(400, "bad_offer", str(error))
        except WebSessionRefused as error:
            return self._fault(401, error.code, str(error))
        except _KeyMissing as error:
            response = self._fault(401, error.code, str(error))
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        except PlaceUnknown as error:
            return self._fault(404, error.code, str(error))
        except CallerRefused as error:
            return self._fault(503, error.code, str(error), retry_after_s=error.retry_after_s)
        except LinkUnreachable as error:
            return self._fault(501, "webrtc_unavailable", str(error))
        except web.HTTPRequestEntityTooLarge as error:
            sentence = f"A body has at most {MAX_BODY_BYTES} bytes."
            return self._fault(error.status, "bad_offer", sentence)
        except web.HTTPClientError as error:
            return self._fault(error.status, "bad_offer", error.text or error.reason)

    def _fault(
        self, status: int, code: str, sentence: str, *, retry_after_s: float | None = None
    ) -> web.Response:
        count = self._refusals.count(code, _now_s())
        if count:
            log.info("webrtc_request_refused", why=code, count=count)
        retry = {} if retry_after_s is None else {"Retry-After": str(math.ceil(retry_after_s))}
        return web.json_response({"code": code, "message": sentence}, status=status, headers=retry)

    def _close_others(self, place: Place, leg: "WebRtcLeg | None") -> None:
        """A page connects once at a time; one that has the call gives it up when another joins."""
        for other in list(self._opening):
            is_same = other.place is not None and other.place.is_same(place)
            if is_same and other is not leg and not other.has_joined:
                self._close_leg(other)

    def _close_leg(self, leg: "WebRtcLeg") -> None:
        """Close a connection: it takes no room any more from those that are being opened."""
        self._opening.discard(leg)
        leg.close()

    def _forget(self, leg: "WebRtcLeg") -> None:
        self._opening.discard(leg)
        self._legs.discard(leg)

    async def _leg_class(self) -> "type[WebRtcLeg] | None":
        self.begin_loading()
        assert self._loading is not None
        return await asyncio.shield(self._loading)


@dataclass(frozen=True, slots=True)
class _Body:
    """A JSON object, whose members are not checked yet."""

    members: dict[str, Any] = field(repr=False)

    def get(self, name: str) -> Any:
        return self.members.get(name)

    def text(self, name: str) -> str:
        value = self.members.get(name)
        if not isinstance(value, str) or not value:
            raise BadMessage(f"The body lacks '{name}', a text.")
        return value

    def seq(self, name: str) -> int | None:
        value = self.members.get(name)
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 <= value <= MAX_SEQ):
            raise BadMessage(f"The body's '{name}' must be the 'seq' of a message received.")
        return value


class _Bearer:
    """Whoever shows a token, or the key of a call that he had."""

    def __init__(self, body: _Body) -> None:
        token, key = body.get("token"), body.get("key")
        if (token is None) == (key is None):
            raise BadMessage("The body needs either 'token' or 'key'.")
        self.secret = body.text("token" if key is None else "key")
        self._is_new = key is None
        if len(self.secret) > MAX_SECRET:
            raise BadMessage(f"A token or key has at most {MAX_SECRET} characters.")

    def check(self, desk: BrowserDesk, origin: str | None) -> None:
        """Refuse strangers, without using the token up."""
        if self._is_new:
            desk.check(self.secret, origin)
        else:
            desk.find(self.secret)

    def return_to(self, desk: BrowserDesk) -> Place | None:
        """The place of a caller who had one; None for one who is new."""
        return None if self._is_new else desk.come_back(self.secret)

    def arrive(self, desk: BrowserDesk, origin: str | None) -> Place:
        """Let a caller in who is new: the token is used up."""
        return desk.arrive(self.secret, origin)


async def _read_body(request: web.Request) -> _Body:
    if request.content_type != JSON:
        raise web.HTTPUnsupportedMediaType(text=f"The body must be {JSON}.")
    raw = await receive_body(request, max_bytes=MAX_BODY_BYTES, timeout_s=BODY_TIMEOUT_S)
    try:
        members = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise BadMessage("The body is not JSON in UTF-8.") from None
    if not isinstance(members, dict):
        raise BadMessage("The body must be a JSON object.")
    return _Body(members)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _import_leg() -> "type[WebRtcLeg] | None":
    try:
        from evibridge.bridges.browser.webrtc_leg import WebRtcLeg
    except ImportError as error:
        log.info("webrtc_not_installed", error=str(error))
        return None
    return WebRtcLeg
