"""EVI's webhooks: what happens in chats that may have been opened anywhere.

Every request is checked before it is read: HMAC-SHA256 with the account's signing key, over the raw
body, a dot and the timestamp. EVI may deliver an event several times, and in any order.
"""

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Protocol

import orjson
import structlog
from aiohttp import web

from evibridge.bridges.hume_events import (
    ChatEnded,
    ChatStarted,
    Misshapen,
    ToolCalled,
    UnknownEvent,
    WebhookEvent,
    not_json,
    read_event,
)
from evibridge.errors import CommandRefused
from evibridge.sockets import receive_body

WEBHOOK_PATH = "/hume/webhook"
TIMESTAMP_HEADER = "X-Hume-AI-Webhook-Timestamp"
SIGNATURE_HEADER = "X-Hume-AI-Webhook-Signature"
MAX_BODY_BYTES = 256 * 1024
"""An event is below 2 kB, but for the arguments of a tool."""
BODY_TIMEOUT_S = 5.0
WINDOW_S = 180.0
"""EVI: a signature is good for so long. A clock may be as much fast as it may be slow."""
MAX_TIMESTAMP_DIGITS = 12
MAX_REMEMBERED = 4096
"""Events that have had their effect; a repeated delivery comes within minutes."""

NO_KEY = (
    "Webhooks are not taken: set HUME_WEBHOOK_SIGNING_KEY to the signing key of the EVI account."
)

log = structlog.get_logger(__name__)


class ChatWebhooks(Protocol):
    """Who acts on events; each is told once.

    A method that cannot do so now raises `CommandRefused`; EVI may deliver the event again.
    """

    def chat_started(self, event: ChatStarted) -> None:
        """A chat was opened."""

    def tool_called(self, event: ToolCalled) -> None:
        """The model of a chat calls a function."""

    def chat_ended(self, event: ChatEnded) -> None:
        """A chat is over."""


class HumeWebhook:
    """The route of EVI's webhooks.

    Args:
        told: acts on them
        signing_key: of the account; without one, nobody is answered
        clock: Unix time in seconds
    """

    def __init__(
        self,
        told: ChatWebhooks,
        signing_key: str | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._told = told
        self._key = (signing_key or "").strip().encode(errors="surrogateescape")
        self._clock = clock
        self._had_effect: dict[tuple[str, str, str], None] = {}

    def add_routes(self, app: web.Application) -> None:
        """Add the route to an application."""
        app.router.add_post(WEBHOOK_PATH, self._deliver)

    async def _deliver(self, request: web.Request) -> web.Response:
        body = await self._checked_body(request)
        try:
            event = read_event(orjson.loads(body))
        except orjson.JSONDecodeError:
            event = not_json()
        match event:
            case Misshapen(detail):
                log.warning("webhook_misshapen", members=[fault["loc"] for fault in detail])
                return web.json_response({"detail": detail}, status=422)
            case UnknownEvent():
                log.info("webhook_passed_over", event_name=event.name[:64])
                return web.Response()
            case known:
                return self._act_once(known)

    def _act_once(self, event: WebhookEvent) -> web.Response:
        if event.key in self._had_effect:
            return web.Response()
        try:
            self._act(event)
        except CommandRefused as refusal:
            log.warning("webhook_without_effect", call_id=event.chat_id, why=str(refusal))
            return web.json_response({"code": refusal.code, "message": str(refusal)}, status=503)
        self._had_effect[event.key] = None
        if len(self._had_effect) > MAX_REMEMBERED:
            del self._had_effect[next(iter(self._had_effect))]
        return web.Response()

    def _act(self, event: WebhookEvent) -> None:
        match event:
            case ChatStarted():
                self._told.chat_started(event)
            case ToolCalled():
                self._told.tool_called(event)
            case ended:
                self._told.chat_ended(ended)

    async def _checked_body(self, request: web.Request) -> bytes:
        """The raw body, if EVI has sent it."""
        if not self._key:
            raise web.HTTPForbidden(text=NO_KEY)
        timestamp = request.headers.get(TIMESTAMP_HEADER, "")
        if not self._is_fresh(timestamp):
            log.warning("webhook_refused", why="timestamp", peer=request.remote)
            raise web.HTTPBadRequest(
                text=f"{TIMESTAMP_HEADER} has to be the Unix time, at most {WINDOW_S:g} s off."
            )
        body = await receive_body(request, max_bytes=MAX_BODY_BYTES, timeout_s=BODY_TIMEOUT_S)
        expected = hmac.new(self._key, body + b"." + timestamp.encode(), hashlib.sha256)
        shown = request.headers.get(SIGNATURE_HEADER, "")
        if not hmac.compare_digest(shown.encode(errors="replace"), expected.hexdigest().encode()):
            log.warning("webhook_refused", why="signature", peer=request.remote)
            raise web.HTTPUnauthorized(text="The request is not signed with the account's key.")
        return body

    def _is_fresh(self, timestamp: str) -> bool:
        if not (timestamp.isascii() and timestamp.isdigit()):
            return False
        if len(timestamp) > MAX_TIMESTAMP_DIGITS:
            return False
        return abs(self._clock() - int(timestamp)) <= WINDOW_S
