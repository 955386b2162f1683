"""Twilio in front of the calls: webhooks that answer with TwiML, and the media socket.

A call comes in as `POST /twilio/voice`, which hands out a ticket; the stream's `start` brings the
ticket back and begins the call. When the socket closes, Twilio asks `/twilio/stream-ended` how to
go on: a call that we ended is hung up, a stream that broke gets a second try.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web
from multidict import MultiDictProxy

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
SPARE_HANDSHAKES = 4
"""Open sockets without a ticket that are borne, so that an idle one keeps no caller out."""
BODY_TIMEOUT_S = 5.0
"""For a form of a few kB."""
TELL_TIMEOUT_S = 3.0
"""Twilio asks within a second how to go on after a stream."""
FORM = "application/x-www-form-urlencoded"
MAX_REMEMBERED_ENDS = 10_000
"""Ended calls whose reason is kept until Twilio asks; it asks within seconds."""
FAULTS = frozenset(
    {
        EndReason.CALLER_STALLED,
        EndReason.EVI_LOST,
        EndReason.EVI_REFUSED,
        EndReason.EVI_UNREACHABLE,
        EndReason.FAULT,
        EndReason.SHUTDOWN,
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
        self._unasked: set[str] = set()
        self._asked = asyncio.Event()

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
        if ticket is None or not self._calls.is_open:
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
        """Remember why, for when Twilio asks what comes next.

        A stream that broke is no end of ours: Twilio is given another stream.
        """
        if reason is EndReason.CALLER_LOST:
            return
        self._ended[call_sid] = reason
        if reason is not EndReason.CALLER_HUNG_UP:  # then there is nothing left to ask about
            self._unasked.add(call_sid)
        while len(self._ended) > MAX_REMEMBERED_ENDS:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            self._unasked.discard(oldest)

    async def all_told(self) -> None:
        """Return when Twilio has asked about every call that we ended, at most after a while.

        A webhook that nobody answers would end a call with Twilio's own error message.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(TELL_TIMEOUT_S):
                while self._unasked:
                    self._asked.clear()
                    await self._asked.wait()

    def _accept_stream(self, upgrade: Upgrade) -> SocketListener | Refusal:
        if not self._check.admits_stream(upgrade.path, upgrade.headers, upgrade.peer):
            log.warning("stream_refused", why="signature", peer=upgrade.peer)
            return Refusal(403, "The request is not signed by Twilio.")
        now_s = asyncio.get_running_loop().time()
        unstarted = sum(1 for leg in self._legs if not leg.has_started)
        if unstarted >= self._tickets.count(now_s) + SPARE_HANDSHAKES:
            return Refusal(503, "No call is waiting for a stream.")
        return TwilioLeg(self)

    # Webhooks

    def _signed(self, handler: Callable[[web.Request, Any], Awaitable[web.Response]]) -> Handler:
        """Let a handler see only requests that are Twilio's; it gets the form beside them."""

        async def check(request: web.Request) -> web.Response:
            form = await _read_form(request)
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
        if not self._has_place_for(call_sid):
            log.warning("call_rejected", why="all lines are busy", call_id=call_sid)
            return _document(twiml.reject_busy())
        return self._stream(request, form, attempt=1)

    async def _stream_ended(self, request: web.Request, form: Any) -> web.Response:
        """A stream is over, and Twilio asks what to do with the call."""
        call_sid = form.get("CallSid", "")
        reason = self._ended.get(call_sid)
        if reason is not None:
            self._unasked.discard(call_sid)
            self._asked.set()
            return _document(twiml.hang_up(apology=reason in FAULTS))
        if form.get("CallStatus") in OVER:
            return _document(twiml.hang_up())
        attempt = request.query.get("attempt", "")
        may_try_again = attempt.isdecimal() and int(attempt) < MAX_ATTEMPTS
        if call_sid and may_try_again and self._has_place_for(call_sid):
            log.warning("stream_broke", call_id=call_sid, attempt=int(attempt))
            return self._stream(request, form, attempt=int(attempt) + 1)
        return _document(twiml.hang_up(apology=True))

    async def _stream_status(self, request: web.Request, form: Any) -> web.Response:
        """Twilio's view of a stream; a failed handshake shows only here."""
        del request
        if form.get("StreamEvent") == "stream-error":
            stream_sid = form.get("StreamSid")
            log.warning("stream_error", call_id=form.get("CallSid"), error=form.get("StreamError"))
            # A call may have another stream by now: the callbacks come in any order.
            for leg in [leg for leg in self._legs if leg.stream_sid == stream_sid]:
                leg.abort()
        return web.Response(status=204)

    async def _call_status(self, request: web.Request, form: Any) -> web.Response:
        """The call's own state: the sign of a hang-up that comes even when the socket is stuck."""
        del request
        call_sid = form.get("CallSid", "")
        if form.get("CallStatus") in OVER:
            self._tickets.drop(call_sid)
            self._unasked.discard(call_sid)
            self._asked.set()
            call = self._calls.get(call_sid)
            if call is not None:
                call.caller_left(EndReason.CALLER_HUNG_UP)
        return web.Response(status=204)

    def _has_place_for(self, call_sid: str) -> bool:
        """Whether a call may have a stream; one that has a ticket or goes on has its place."""
        now_s = asyncio.get_running_loop().time()
        if self._tickets.holds(call_sid, now_s) or self._calls.get(call_sid) is not None:
            return True
        return self._tickets.count(now_s) < self._calls.free_places

    def _stream(self, request: web.Request, form: Any, *, attempt: int) -> web.Response:
        origin = self._public_origin or f"http://{request.host}"
        ticket = self._tickets.issue(
            form["CallSid"],
            asyncio.get_running_loop().time(),
            caller=_number(form.get("From")),
            called=_number(form.get("To")),
        )
        return _document(twiml.connect_stream(origin, ticket.token, attempt=attempt))


def _document(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/xml")


async def _read_form(request: web.Request) -> MultiDictProxy[Any]:
    """The form of a webhook; this is done for everybody, so it is bounded in size and time."""
    if request.content_type != FORM:
        raise web.HTTPUnsupportedMediaType(text=f"The body must be {FORM}.")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.post()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The body did not come in time.") from None
    except (ValueError, LookupError, ConnectionError):  # charset or bytes that are none
        raise web.HTTPBadRequest(text="The body cannot be read as a form.") from None


def _number(value: str | None) -> str | None:
    """Who calls; a withheld number comes as a word such as `anonymous`."""
    known = value is not None and value.startswith(("+", "client:", "sip:", "sips:"))
    return value if known else None
