"""Twilio in front of the calls: webhooks that answer with TwiML, and the media socket.

A call comes in as `POST /twilio/voice`, which hands out a ticket; the stream's `start` brings the
ticket back and begins the call. Of a call that we make, `/twilio/outbound` is asked in its place,
once somebody has answered. When the socket closes, Twilio asks `/twilio/stream-ended` how to go on:
a call that we ended is hung up; if the stream broke, the call waits for another one, which comes by
the document that is the answer.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import structlog
from aiohttp import web
from multidict import MultiDict

from evibridge.agent.actions import HangUp
from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerFacts
from evibridge.agent.calls import Calls
from evibridge.bridges import twiml
from evibridge.bridges.twilio_endings import Endings, LastWords
from evibridge.bridges.twilio_leg import TwilioLeg
from evibridge.bridges.twilio_messages import Start
from evibridge.bridges.twilio_outbound import CALL_STATUS_PATH, OUTBOUND_PATH, OutboundCalls
from evibridge.bridges.twilio_rest import OVER, TwilioRest
from evibridge.bridges.twilio_signature import SignatureCheck
from evibridge.bridges.twilio_tickets import Tickets
from evibridge.events import CallerRefusal, CallEvent, Direction, EndReason
from evibridge.sockets import Refusal, SocketListener, SocketRoute, Upgrade, receive_body

MAX_MESSAGE_BYTES = 64 * 1024
"""Twilio's messages are below 1 kB; a `start` with many parameters stays far below this."""
MAX_ATTEMPTS = 5
"""Streams of one call: a line that breaks again and again is not worth having."""
TRIES = frozenset(map(str, range(1, MAX_ATTEMPTS)))
"""Numbers of streams that may have another one after them."""
STREAM_COMES_WITHIN_S = 5.0
"""After the webhook; Twilio takes well under a second."""
SPARE_HANDSHAKES = 4
"""Open sockets without a ticket that are borne, so that an idle one keeps no caller out."""
MAX_FORM_BYTES = 64 * 1024
"""A form has a few kB."""
MAX_FORM_FIELDS = 256
"""A form has some thirty; every header of a SIP call is one more."""
BODY_TIMEOUT_S = 5.0
FORM = "application/x-www-form-urlencoded"

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TwilioBridge:
    """All of Twilio's routes.

    Args:
        calls: where calls begin
        check: who is Twilio
        public_origin: the origin that Twilio calls; None takes the one each local program used
        last_words: what callers are told when their calls do not end by themselves
        rest: makes calls, and ends those that Twilio does not ask about; None without credentials
        on_refused: is told of each caller who is not let in
        outbound_number: of the account, from which calls are made unless another one is named
        publish: gets the id of a call that we make and its events before its stream begins
    """

    def __init__(
        self,
        calls: Calls,
        check: SignatureCheck,
        public_origin: str | None,
        last_words: LastWords,
        rest: TwilioRest | None = None,
        on_refused: Callable[[CallerRefusal], None] = lambda _: None,
        outbound_number: str | None = None,
        publish: Callable[[str, CallEvent], object] = lambda _call_id, _event: None,
    ) -> None:
        self._calls = calls
        self._check = check
        self._public_origin = public_origin
        self._last_words = last_words
        self._tickets = Tickets()
        self._legs: set[TwilioLeg] = set()
        self._endings = Endings(last_words, rest)
        self._on_refused = on_refused
        self.outbound = OutboundCalls(self, rest, public_origin, outbound_number, publish)
        """Whoever is being called."""
        self._ticket_used = asyncio.Event()
        calls.count_waiting(self._callers_on_their_way)

    # Wiring

    def add_routes(self, app: web.Application) -> None:
        """Add the webhooks to an application."""
        for path, handler in {
            "/twilio/voice": self._voice,
            OUTBOUND_PATH: self._answered,
            twiml.STREAM_ENDED_PATH: self._stream_ended,
            twiml.STREAM_STATUS_PATH: self._stream_status,
            CALL_STATUS_PATH: self._call_status,
        }.items():
            app.router.add_post(path, self._signed(handler))

    @property
    def media_route(self) -> SocketRoute:
        """The route of the media socket."""
        return SocketRoute(twiml.MEDIA_PATH, self._accept_stream, MAX_MESSAGE_BYTES)

    # The stream's side: `Reception`

    def stream_started(self, leg: TwilioLeg, start: Start) -> Call | None:
        """Begin the call whose ticket the stream carries, or bring its caller back."""
        now_s = asyncio.get_running_loop().time()
        ticket = self._tickets.redeem(start.call_sid, start.parameters.get("token", ""), now_s)
        self._ticket_used.set()
        if ticket is None or not self._calls.may_begin:
            return None
        leg.attempt = ticket.attempt
        call = self._calls.get(start.call_sid)
        if call is not None and not call.is_over:
            if self._is_on_the_line(start.call_sid):
                log.warning("stream_refused", why="its call has a stream", call_id=start.call_sid)
                return None
            call.caller_returned(leg)
            return call
        parameters = {name: text for name, text in start.parameters.items() if name != "token"}
        parameters.update(ticket.facts.parameters)
        self.outbound.begun(start.call_sid)
        return self._calls.begin(replace(ticket.facts, parameters=parameters), leg)

    def _is_on_the_line(self, call_sid: str) -> bool:
        """Whether a stream of this call still brings audio, so that another one is not Twilio's."""
        return any(leg.call_sid == call_sid and leg.brings_audio for leg in self._legs)

    def stream_opened(self, leg: TwilioLeg) -> None:
        """The socket is open; it has to show its ticket soon."""
        self._legs.add(leg)

    def stream_closed(self, leg: TwilioLeg) -> None:
        """The socket is gone."""
        self._legs.discard(leg)

    def call_ended(self, call_sid: str, how: HangUp) -> None:
        """Remember why, for when Twilio asks what comes next; a stream on its way is too late."""
        self._tickets.drop(call_sid)
        self._ticket_used.set()
        self._endings.ended(call_sid, how)

    def caller_hung_up(self, call_sid: str) -> None:
        """Twilio says that the call is over."""
        self._tickets.drop(call_sid)
        self._ticket_used.set()
        self.outbound.told(call_sid, "completed")
        call = self._calls.get(call_sid)
        if call is not None:
            call.caller_left(EndReason.CALLER_HUNG_UP)
        self._endings.is_over(call_sid)

    # The calls' side: `FrontDesk`

    @property
    def is_open(self) -> bool:
        """Whether new calls are taken at all."""
        return self._calls.is_open

    @property
    def free_places(self) -> int:
        """How many more calls there may be; whoever was let in, or is called, has a place."""
        return self._calls.free_places

    def _callers_on_their_way(self) -> int:
        """Those who have a ticket, or whose telephones ring."""
        now_s = asyncio.get_running_loop().time()
        waiting = [sid for sid in self._tickets.call_sids(now_s) if self._calls.get(sid) is None]
        return len(waiting) + self.outbound.ringing

    def call_off(self, call_sid: str, how: HangUp) -> None:
        """End a call at the carrier that has no stream, and let none begin."""
        self._tickets.drop(call_sid)
        self._ticket_used.set()
        self._endings.called_off(call_sid, how)

    async def all_begun(self, timeout_s: float) -> None:
        """Return when nobody who was let in, or is called, is still without a stream.

        Waits `timeout_s` at most.
        """
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        await self.outbound.none_rings(timeout_s)
        left_s = deadline_s - asyncio.get_running_loop().time()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left_s, STREAM_COMES_WITHIN_S)):
                while self._tickets.count(asyncio.get_running_loop().time()):
                    self._ticket_used.clear()
                    await self._ticket_used.wait()

    async def all_told(self) -> None:
        """Return when every carrier knows of the calls that we ended, at most after a while."""
        await self.outbound.close()
        await self._endings.all_told()

    async def close(self) -> None:
        """Nobody will ask any more: end what is left through the REST API."""
        await self.outbound.close()
        await self._endings.close()

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
        call_sid = _call_sid(form)
        document = self._endings.asked(call_sid)
        if document is not None:  # a request that comes again, or is replayed
            return _document(document)
        if not self._has_place_for(call_sid):
            why = CallerRefusal.BUSY if self._calls.is_open else CallerRefusal.DRAINING
            log.warning("call_rejected", why=why.value, call_id=call_sid)
            self._on_refused(why)
            return _document(twiml.reject_busy())
        return self._stream(request, _facts(form), attempt=1)

    async def _answered(self, request: web.Request, form: Any) -> web.Response:
        """Somebody has answered whom we have called."""
        call_sid = _call_sid(form)
        document = self._endings.asked(call_sid)
        if document is not None:
            return _document(document)
        facts = self.outbound.answered(call_sid, request.query.get("dialled", ""))
        if facts is None or not self._calls.may_begin:
            log.warning("call_refused", why="it is not of this service", call_id=call_sid)
            return _document(twiml.hang_up())
        return self._stream(request, facts, attempt=1)

    async def _stream_ended(self, request: web.Request, form: Any) -> web.Response:
        """A stream is over, and Twilio asks what to do with the call."""
        call_sid = form.get("CallSid", "")
        document = self._endings.asked(call_sid)
        if document is not None:
            return _document(document)
        if form.get("CallStatus") in OVER:
            self.caller_hung_up(call_sid)
            return _document(twiml.hang_up())
        attempt = request.query.get("attempt", "")
        may_try_again = attempt in TRIES
        for leg in self._legs:
            if may_try_again and leg.call_sid == call_sid and leg.attempt <= int(attempt):
                leg.is_over = True
        if call_sid and may_try_again and self._has_place_for(call_sid):
            log.warning("stream_broke", call_id=call_sid, attempt=int(attempt))
            return self._stream(request, _facts(form), attempt=int(attempt) + 1)
        call = self._calls.get(call_sid)
        if call is not None:
            call.end(EndReason.CALLER_LOST)
        self.outbound.told(call_sid, "failed")
        document = self._endings.asked(call_sid)
        return _document(document or self._last_words.document(HangUp(EndReason.CALLER_LOST)))

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
        call_sid, status = form.get("CallSid", ""), form.get("CallStatus", "")
        self.outbound.told(call_sid, status, request.query.get("dialled", ""))
        if status in OVER:
            self.caller_hung_up(call_sid)
        return web.Response(status=204)

    def _has_place_for(self, call_sid: str) -> bool:
        """Whether a call may have a stream; one that has a ticket or goes on has its place."""
        now_s = asyncio.get_running_loop().time()
        if self._tickets.holds(call_sid, now_s) or self._calls.get(call_sid) is not None:
            return True
        return self.free_places > 0

    def _stream(self, request: web.Request, facts: CallerFacts, *, attempt: int) -> web.Response:
        origin = self._public_origin or f"http://{request.host}"
        now_s = asyncio.get_running_loop().time()
        ticket = self._tickets.issue(facts, now_s, attempt=attempt)
        return _document(twiml.connect_stream(origin, ticket.token, attempt=attempt))


def _document(text: str) -> web.Response:
    return web.Response(text=text, content_type="text/xml")


def _call_sid(form: Any) -> str:
    call_sid: str = form.get("CallSid", "")
    if not call_sid:
        raise web.HTTPBadRequest(text="The form has no CallSid.")
    return call_sid


async def _read_form(request: web.Request) -> MultiDict[str]:
    """The form of a webhook; this is done for everybody, so it is bounded in every way."""
    charset = (request.charset or "utf-8").lower()
    if request.content_type != FORM or charset != "utf-8":
        raise web.HTTPUnsupportedMediaType(text=f"The body must be {FORM} in UTF-8.")
    body = await receive_body(request, max_bytes=MAX_FORM_BYTES, timeout_s=BODY_TIMEOUT_S)
    try:
        return MultiDict(
            parse_qsl(
                body.decode(),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_FORM_FIELDS,
            )
        )
    except ValueError:  # too many fields, or bytes that are no UTF-8
        raise web.HTTPBadRequest(text="The body cannot be read as a form.") from None


def _facts(form: Any) -> CallerFacts:
    """What Twilio tells of a call; whoever is called by us is the caller, as everywhere."""
    from_, to = _number(form.get("From")), _number(form.get("To"))
    if form.get("Direction") == "outbound-api":
        return CallerFacts(form["CallSid"], to, from_, direction=Direction.OUTBOUND)
    return CallerFacts(form["CallSid"], from_, to)


def _number(value: str | None) -> str | None:
    """Who calls; a withheld number comes as a word such as `anonymous`."""
    known = value is not None and value.startswith(("+", "client:", "sip:", "sips:"))
    return value if known else None
