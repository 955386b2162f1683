"""Calls that we make: from an operator's wish to the first word, or to why there is none.

    dial ──► Twilio's REST API ──► ringing ──► answered ──► its stream begins: a call like any other
                                      └───────────┴───────► busy, no answer, called off ...

Twilio is told two addresses that hold a token made for the call: one asks for the document once
somebody has answered, the other is told how the call fares. Twilio may use either before its answer
to our request is here, or when that answer is lost: whichever comes first ties the token to a sid.
"""

import asyncio
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlencode

import structlog

from evibridge.agent.actions import HangUp
from evibridge.agent.call_plan import CallerFacts
from evibridge.agent.snapshot import CallSnapshot
from evibridge.bridges import twilio_http
from evibridge.bridges.twilio_dialled import Dialled
from evibridge.bridges.twilio_rest import TwilioRest
from evibridge.dialling import checked_number
from evibridge.errors import CommandRefused
from evibridge.events import CallDialled, CallEnded, CallEvent, CommandGiven, EndReason

OUTBOUND_PATH = "/twilio/outbound"
CALL_STATUS_PATH = "/twilio/call-status"
RING_S = 45
"""How long it rings; a voicemail often answers after 20 to 30 s."""
NEWS_WITHIN_S = RING_S + 15.0
"""Without a word of Twilio: once it was asked, and again once the call has left its queue."""
STREAM_WITHIN_S = 15.0
"""After somebody has answered; Twilio takes well under a second."""
MAX_GIVEN_UP = 100
"""Requests without an answer: should one of them have made a call, it is known and called off."""
MAX_RECORDS = 100
"""Of calls that nobody answered, the newest."""

log = structlog.get_logger(__name__)


class FrontDesk(Protocol):
    """Who knows of all the callers, those that we do not call among them."""

    @property
    def is_open(self) -> bool:
        """Whether new calls are taken at all."""

    @property
    def free_places(self) -> int:
        """How many more calls there may be."""

    def call_off(self, call_sid: str, how: HangUp) -> None:
        """End a call at the carrier that has no stream, and let none begin."""


class OutboundCalls:
    """Whoever is being called.

    Args:
        desk: tells whether there is a place, and ends calls at the carrier
        rest: Twilio's REST API; None without credentials
        public_origin: the origin that Twilio calls
        number: called from where a wish names none
        publish: gets a call's id and each event of it before its stream begins
    """

    def __init__(
        self,
        desk: FrontDesk,
        rest: TwilioRest | None,
        public_origin: str | None,
        number: str | None,
        publish: Callable[[str, CallEvent], object],
    ) -> None:
        self._desk = desk
        self._rest = rest
        self._public_origin = public_origin
        self._number = number
        self._publish = publish
        self._pending: list[Dialled] = []
        self._given_up: deque[str] = deque(maxlen=MAX_GIVEN_UP)
        self._records: deque[CallSnapshot] = deque(maxlen=MAX_RECORDS)
        self._requests: set[asyncio.Task[CallSnapshot]] = set()
        self._changed = asyncio.Event()
        self._is_closed = False

    @property
    def ringing(self) -> int:
        """How many are called and have not answered; each has taken a place."""
        return sum(1 for call in self._pending if not call.is_answered)

    def snapshots(self) -> list[CallSnapshot]:
        """Those who are being called now, in the order in which they were dialled."""
        now_s = _now_s()
        return [call.snapshot(now_s) for call in self._pending if call.call_sid]

    def snapshot(self, call_sid: str) -> CallSnapshot | None:
        """A call without a stream as it is now, or as it ended if that is not long ago."""
        pending = self._of_sid(call_sid)
        if pending is not None:
            return pending.snapshot(_now_s())
        ended = (record for record in reversed(self._records) if record.call_id == call_sid)
        return next(ended, None)

    # Operators

    async def dial(
        self, to: str, from_: str | None, parameters: Mapping[str, str], by: str
    ) -> CallSnapshot:
        """Call somebody; returns once Twilio has taken the wish, and it is about to ring.

        Args:
            to: whom, a number in E.164 or a `sip:` address
            from_: a number of the account's; None takes the service's own
            parameters: handed to the tools of the call
            by: a name for the operator

        Raises:
            CommandRefused: `no_credentials`, `no_number`, `bad_number`, `service_full`,
                `carrier_refused`, `carrier_unreachable`, or `carrier_unclear`: nobody knows whether
                the telephone rings; if it does, it is called off as soon as Twilio says so
        """
        if self._rest is None or self._public_origin is None:
            raise CommandRefused(
                "no_credentials",
                "To call somebody, the service needs TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN and "
                "EVIBRIDGE_PUBLIC_URL.",
            )
        from_ = from_ or self._number
        if from_ is None:
            raise CommandRefused(
                "no_number", "Name a number to call from, or set EVIBRIDGE_OUTBOUND_NUMBER."
            )
        _check("The number to call", to)
        _check("The number to call from", from_)
        self._require_place()
        token = secrets.token_urlsafe(24)
        call = Dialled(to, from_, dict(parameters), by, token, time.time(), _now_s())
        self._pending.append(call)
        # Whoever asked may go away meanwhile: the request to Twilio may not be lost sight of.
        create = self._create(call, self._rest, self._public_origin)
        request = asyncio.get_running_loop().create_task(create)
        self._requests.add(request)
        request.add_done_callback(self._request_done)
        return await asyncio.shield(request)

    def hang_up(self, call_sid: str, by: str) -> bool:
        """Call off a call whose stream has not begun; returns whether there is such a call.

        Args:
            call_sid: of whoever is called
            by: a name for the operator
        """
        call = self._of_sid(call_sid)
        if call is None:
            return False
        self._publish(call_sid, CommandGiven("hangup", by))
        self._call_off(call, EndReason.OPERATOR_HUNG_UP)
        return True

    # Twilio

    def answered(self, call_sid: str, token: str) -> CallerFacts | None:
        """Somebody has answered, and Twilio asks what to do; None for a call that is not ours."""
        call = self._of_token(token)
        if call is not None:
            self._name(call, call_sid)
        if call is None or call.call_sid != call_sid or call.ended is not None:
            return None
        if not call.is_answered:
            call.is_answered = True
            self._changed.set()
            self._wait(call, STREAM_WITHIN_S)
        return call.facts()

    def told(self, call_sid: str, status: str, token: str = "") -> None:
        """Twilio tells how a call fares.

        Args:
            call_sid: of any call
            status: its `CallStatus`
            token: what the address held that was told
        """
        if any(_is_same(token, given_up) for given_up in self._given_up):
            self._given_up.remove(token)
            log.warning("call_made_all_the_same", call_id=call_sid)
            self._desk.call_off(call_sid, HangUp(EndReason.NOT_CONNECTED))
            return
        call = self._of_token(token)
        if call is not None:
            self._name(call, call_sid)
        call = self._of_sid(call_sid)
        if call is None:
            return
        reason = _end_reason(status, is_answered=call.is_answered)
        if reason is not None:
            self._end(call, reason)
        elif not call.is_answered:
            self._wait(call, NEWS_WITHIN_S)

    def begun(self, call_sid: str) -> None:
        """The stream has begun: it is a call like any other."""
        call = self._of_sid(call_sid)
        if call is not None:
            self._forget(call)

    # The end of the service

    async def none_rings(self, timeout_s: float) -> None:
        """Return when everybody has answered, or is not called any more, at most after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.ringing:
                    self._changed.clear()
                    await self._changed.wait()

    async def close(self) -> None:
        """Call off what has no stream; what Twilio is asked for now as soon as it has answered."""
        self._is_closed = True
        for call in [call for call in self._pending if call.call_sid]:
            self._call_off(call, EndReason.SHUTDOWN)
        if self._requests:
            await asyncio.wait(self._requests, timeout=twilio_http.REQUEST_TIMEOUT_S)

    # Inside

    def _require_place(self) -> None:
        if self._is_closed or not self._desk.is_open:
            raise CommandRefused("service_full", "The service begins no calls now: it is ending.")
        if self._desk.free_places < 1:
            raise CommandRefused(
                "service_full", "As many calls go on as may: wait until one of them has ended."
            )

    async def _create(self, call: Dialled, rest: TwilioRest, origin: str) -> CallSnapshot:
        query = urlencode({"dialled": call.token})
        try:
            call_sid = await rest.create_call(
                to=call.to,
                from_=call.from_,
                url=f"{origin}{OUTBOUND_PATH}?{query}",
                status_callback=f"{origin}{CALL_STATUS_PATH}?{query}",
                ring_s=RING_S,
            )
        except CommandRefused as refusal:
            if not call.call_sid:  # else Twilio has said otherwise
                self._forget(call)
                self._given_up.append(call.token)
                log.warning("call_not_made", why=refusal.code)
                raise
        else:
            self._name(call, call_sid)
        return call.snapshot(_now_s())

    def _request_done(self, request: asyncio.Task[CallSnapshot]) -> None:
        self._requests.discard(request)
        if not request.cancelled():
            request.exception()  # whoever asked may have gone

    def _name(self, call: Dialled, call_sid: str) -> None:
        """Twilio has named a call, now or before."""
        if call.call_sid or not call_sid:
            return
        call.call_sid = call_sid
        self._publish(call_sid, CallDialled(call.to, call.by))
        if self._is_closed:
            self._call_off(call, EndReason.SHUTDOWN)
        else:
            self._wait(call, NEWS_WITHIN_S)

    def _wait(self, call: Dialled, timeout_s: float) -> None:
        if call.timer is not None:
            call.timer.cancel()
        call.timer = asyncio.get_running_loop().call_later(timeout_s, self._no_news, call)

    def _no_news(self, call: Dialled) -> None:
        log.warning("carrier_told_nothing", call_id=call.call_sid, answered=call.is_answered)
        was_answered = call.is_answered
        self._call_off(call, EndReason.NOT_CONNECTED if was_answered else EndReason.NO_ANSWER)

    def _call_off(self, call: Dialled, reason: EndReason) -> None:
        self._end(call, reason)
        self._desk.call_off(call.call_sid, HangUp(reason))

    def _end(self, call: Dialled, reason: EndReason) -> None:
        self._forget(call)
        call.ended = reason
        self._records.append(call.snapshot(_now_s()))
        log.info("call_came_to_nothing", call_id=call.call_sid, reason=reason.value)
        self._publish(call.call_sid, CallEnded(reason))

    def _forget(self, call: Dialled) -> None:
        self._pending.remove(call)
        if call.timer is not None:
            call.timer.cancel()
        self._changed.set()

    def _of_sid(self, call_sid: str) -> Dialled | None:
        named = (call for call in self._pending if call.call_sid)
        return next((call for call in named if call.call_sid == call_sid), None)

    def _of_token(self, token: str) -> Dialled | None:
        return next((call for call in self._pending if _is_same(token, call.token)), None)


def _end_reason(status: str, *, is_answered: bool) -> EndReason | None:
    """Why nothing comes of a call of this status; None if something may."""
    match status:
        case "busy":
            return EndReason.BUSY
        case "no-answer":
            return EndReason.NO_ANSWER
        case "completed" if is_answered:
            return EndReason.CALLER_HUNG_UP
        case "completed" | "failed" | "canceled":
            return EndReason.NOT_CONNECTED
        case _:
            return None


def _check(what: str, number: str) -> None:
    try:
        checked_number(number)
    except ValueError as error:
        raise CommandRefused("bad_number", f"{what} {error}.") from None


def _is_same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _now_s() -> float:
    return asyncio.get_running_loop().time()
