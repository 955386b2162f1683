"""Twilio in front of the calls: webhooks that answer with TwiML, and the media socket.

A call comes in as `POST /twilio/voice`, which hands out a ticket; the stream's `start` brings the
ticket back and begins the call. When the socket closes, Twilio asks `/twilio/stream-ended` how to
go on: a call that we ended is hung up, a stream that broke gets a second try.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from evibridge.agent.call import Call, CallerFacts
from evibridge.agent.calls import Calls
from evibridge.bridges import twiml
from evibridge.bridges.twilio_leg import TwilioLeg
from evibridge.bridges.twilio_messages import Start
from evibridge.bridges.twilio_signature import SignatureCheck
from evibridge.bridges.twilio_tickets import Tickets
from evibridge.events import EndReason
from evibridge.sockets import Refusal, SocketListener, SocketRoute, Upgrade

MAX_MESSAGE_BYTES = 64 * 1024
"""Twilio's messages are below 1 kB; a `start` with many parameters stays far below this."""
MAX_ATTEMPTS = 2
"""Streams per call: the first, and one more when it broke."""
MAX_REMEMBERED_ENDS = 10_000
"""Ended calls whose reason is kept until Twilio asks; it asks within seconds."""
FAULTS = frozenset(
    {
        EndReason.CALLER_STALLED,
        EndReason.EVI_LOST,
        EndReason.EVI_REFUSED,
        EndReason.EVI_UNREACHABLE,
        EndReason.FAULT,
    }
)
"""Ends that the caller is owed a sentence for."""
OVER = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TwilioBridge:
    """All of Twilio's routes.

    Args:
        calls: where calls begin
        check: who is Twilio
        public_origin: the origin that Twilio calls; None takes the one each local program used
    """

    def __init__(self, calls: Calls, check: SignatureCheck, public_origin: str | None) -> None:
        self._calls = calls
        self._check = check
        self._public_origin = public_origin
        self._tickets = Tickets()
        self._legs: set[TwilioLeg] = set()
        self._ended: dict[str, EndReason] = {}

    # Wiring

    def add_routes(self, app: web.Application) -> None:
        """Add the webhooks to an application."""
        for path, handler in {
            "/twilio/voice": self._voice,
            twiml.STREAM_ENDED_PATH: self._stream_ended,
            twiml.STREAM_STATUS_PATH: self._stream_status,
            "/twilio/call-status": self._call_status,
        }.items():
            app.router.add_post(path, self._signed(handler))

    @property
    def media_route(self) -> SocketRoute:
        """The route of the media socket."""
        return SocketRoute(twiml.MEDIA_PATH, self._accept_stream, MAX_MESSAGE_BYTES)

    # The stream's side: `Reception`

    def stream_started(self, leg: TwilioLeg, start: Start) -> Call | None:
        """Begin the call whose ticket the stream carries."""
        now_s = asyncio.get_running_loop().time()
        ticket = self._tickets.redeem(start.call_sid, start.parameters.get("token", ""), now_s)
        if ticket is None:
            return None
        parameters = {name: text for name, text in start.parameters.items() if name != "token"}
        self._ended.pop(start.call_sid, None)
        return self._calls.begin(
            CallerFacts(start.call_sid, ticket.caller, ticket.called, parameters), leg
        )

    def stream_opened(self, leg: TwilioLeg) -> None:
        """The socket is open; it has to show its ticket soon."""
        self._legs.add(leg)

    def stream_closed(self, leg: TwilioLeg) -> None:
        """The socket is gone."""
        self._legs.discard(leg)

    def call_ended(self, call_sid: str, reason: EndReason) -> None:
        """Remember why, for when Twilio asks what comes next."""
        self._ended[call_sid] = reason
        while len(self._ended) > MAX_REMEMBERED_ENDS:
            del self._ended[next(iter(self._ended))]

    def _accept_stream(self, upgrade: Upgrade) -> SocketListener | Refusal:
        if not self._check.admits_stream(upgrade.path, upgrade.headers, upgrade.peer):
            log.warning("stream_refused", why="signature", peer=upgrade.peer)
            return Refusal(403, "The request is not signed by Twilio.")
        now_s = asyncio.get_running_loop().time()
        unstarted = sum(1 for leg in self._legs if not leg.has_started)
        if unstarted >= max(1, self._tickets.count(now_s)):
            return Refusal(503, "No call is waiting for a stream.")
        return TwilioLeg(self)

    # Webhooks

    def _signed(self, handler: Callable[[web.Request, Any], Awaitable[web.Response]]) -> Handler:
        """Let a handler see only requests that are Twilio's; it gets the form beside them."""

        async def check(request: web.Request) -> web.Response:
            form = await request.post()
            peer = request.remote or ""
            if not self._check.admits_webhook(request.path_qs, form, request.headers, peer):
                log.warning("webhook_refused", why="signature", path=request.path)
                raise web.HTTPForbidden(text="The request is not signed by Twilio.")
            return await handler(request, form)

        return check

    async def _voice(self, request: web.Request, form: Any) -> web.Response:
        """A call comes in."""
        call_sid = form.get("CallSid")
        if not call_sid:
            raise web.HTTPBadRequest(text="The form has no CallSid.")
        now_s = asyncio.get_running_loop().time()
        if self._tickets.count(now_s) >= self._calls.free_places:
            log.warning("call_rejected", why="all lines are busy", call_id=call_sid)
            return _document(twiml.reject_busy())
        return self._stream(request, form, attempt=1)

    async def _stream_ended(self, request: web.Request, form: Any) -> web.Response:
        """A stream is over, and Twilio asks what to do with the call."""
        call_sid = form.get("CallSid", "")
        reason = self._ended.get(call_sid)
        if reason is not None:
            return _document(twiml.hang_up(apology=reason in FAULTS))
        attempt = request.query.get("attempt", "")
        if attempt.isdecimal() and int(attempt) < MAX_ATTEMPTS and call_sid:
            log.warning("stream_broke", call_id=call_sid, attempt=int(attempt))
            return self._stream(request, form, attempt=int(attempt) + 1)
        return _document(twiml.hang_up(apology=True))

    async def _stream_status(self, request: web.Request, form: Any) -> web.Response:
        """Twilio's view of a stream; a failed handshake shows only here."""
        del request
        if form.get("StreamEvent") == "stream-error":
            call_sid = form.get("CallSid", "")
            log.warning("stream_error", call_id=call_sid, error=form.get("StreamError"))
            for leg in [leg for leg in self._legs if leg.call_sid == call_sid]:
                leg.abort()
        return web.Response(status=204)

    async def _call_status(self, request: web.Request, form: Any) -> web.Response:
        """The call's own state: the sign of a hang-up that comes even when the socket is stuck."""
        del request
        call = self._calls.get(form.get("CallSid", ""))
        if form.get("CallStatus") in OVER and call is not None:
            call.caller_left(EndReason.CALLER_HUNG_UP)
        return web.Response(status=204)

    def _stream(self, request: web.Request, form: Any, *, attempt: int) -> web.Response:
        origin = self._public_origin or f"http://{request.host}"
        ticket = self._tickets.issue(
            form["CallSid"],
            asyncio.get_running_loop().time(),
            caller=form.get("From"),
            called=form.get("To"),
        )
        return _document(twiml.connect_stream(origin, ticket.token, attempt=attempt))


def _document(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/xml")
