"""Twilio's REST API: calling somebody, and ending calls without waiting for Twilio to ask.

The client of the `twilio` package takes 12 MB and half a second to import. That happens when a
`TwilioRest` is made, before there are calls, and not at all in a service that makes none.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog

from evibridge.bridges import twilio_http
from evibridge.bridges.twilio_faults import Fault, FaultKind, fault_of
from evibridge.bridges.twilio_http import TwilioHttp
from evibridge.errors import CommandRefused

RETRY_PAUSES_S = (0.5, 2.0)
"""Before the second try and the third, more or less: calls that end together come back apart."""
TWILIO_ORIGIN = "https://api.twilio.com"
NEWS = ("initiated", "completed")
"""Of a call that we make: it has left Twilio's queue, and it is over in whatever way. That somebody
answered shows in the request for a document."""
OVER = frozenset({"completed", "busy", "no-answer", "failed", "canceled"})
"""Twilio's statuses of calls that are over."""
ADVICE = {
    10004: "the account has as many calls at a time as it may",
    21210: "the number to call from is not one of the account's, nor verified in it",
    21211: "the number to call does not exist",
    21212: "the number to call from is not one of the account's, nor verified in it",
    21214: "the number to call cannot be reached",
    21215: "allow calls to that country in Twilio's console, under Voice > Settings",
    21216: "Twilio calls no such number from this account",
    21217: "the number to call does not exist",
    21219: "verify the number in Twilio's console, a trial account calls no others",
}
"""What there is to do about errors that people meet; the others are in Twilio's documents."""

_CODES = {
    FaultKind.UNREACHABLE: "carrier_unreachable",
    FaultKind.UNCLEAR: "carrier_unclear",
}
_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")

T = TypeVar("T")

log = structlog.get_logger(__name__)


class TwilioRest:
    """One account's REST API.

    Args:
        account_sid: `AC...`, the account that the calls belong to
        auth_token: its token
        origin: where the API is: one of Twilio's regions, or a server that stands in for it
    """

    def __init__(self, account_sid: str, auth_token: str, *, origin: str = TWILIO_ORIGIN) -> None:
        from twilio.rest import Client

        self._http = TwilioHttp(origin)
        self._calls = Client(account_sid, auth_token, http_client=self._http).calls
        self._name = f"Twilio's REST API at {origin}"
        self._credentials_are_refused = False

    async def create_call(
        self, *, to: str, from_: str, url: str, status_callback: str, ring_s: int
    ) -> str:
        """Have Twilio call somebody; returns the call's sid, before anybody can have answered.

        A request is never repeated: Twilio would call twice.

        Args:
            to: whom, a number in E.164 or a `sip:` address
            from_: a number of the account's
            url: asked by POST for the document to run once somebody has answered
            status_callback: told by POST of `NEWS`
            ring_s: how long it may ring, to which Twilio adds up to 5 s

        Raises:
            CommandRefused: `carrier_refused` or `carrier_unreachable`, and there is no call; or
                `carrier_unclear`, and there may be one
        """
        call_sid = await self._ask(
            lambda: self._create(
                to=to,
                from_=from_,
                url=url,
                status_callback=status_callback,
                status_callback_event=list(NEWS),
                timeout=ring_s,
            )
        )
        if isinstance(call_sid, Fault):
            raise self._refused(call_sid)
        return call_sid

    async def complete(self, call_sid: str, document: str | None = None) -> None:
        """End a call at the carrier, or go on with a document; one that is over is as good.

        Never raises. What fails is tried again twice, for up to 20 s in all, and then logged.
        """
        change = {"status": "completed"} if document is None else {"twiml": document}
        await self._insist(call_sid, lambda: self._update(call_sid, **change))

    async def cancel(self, call_sid: str) -> None:
        """Stop calling somebody; whoever has answered meanwhile is hung up on. As `complete`."""
        await self._insist(call_sid, lambda: self._cancel(call_sid))

    async def close(self) -> None:
        """Close the connections; calls that are being completed are given up."""
        await self._http.close()

    async def _insist(self, call_sid: str, attempt: Callable[[], Awaitable[Any]]) -> None:
        outcome = await attempt()
        for pause_s in RETRY_PAUSES_S:
            if not isinstance(outcome, Fault) or not outcome.is_passing:
                break
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            outcome = await attempt()
        if isinstance(outcome, Fault) and outcome.kind is not FaultKind.CALL_IS_OVER:
            self._tell(outcome, call_sid)

    async def _cancel(self, call_sid: str) -> Any:
        """Twilio: `canceled` ends calls that nobody has answered, and no others."""
        call = await self._update(call_sid, status="canceled")
        if isinstance(call, Fault):
            is_settled = call.kind is not FaultKind.CALL_IS_OVER
        else:
            is_settled = call.status in OVER
        return call if is_settled else await self._update(call_sid, status="completed")

    async def _update(self, call_sid: str, **change: str) -> Any:
        return await self._ask(lambda: self._calls(call_sid).update_async(**change))

    async def _create(self, **wish: Any) -> str:
        call = await self._calls.create_async(**wish)
        if not isinstance(call.sid, str) or not _CALL_SID.fullmatch(call.sid):
            raise ValueError("The answer has no call's sid.")
        return call.sid

    async def _ask(self, request: Callable[[], Awaitable[T]]) -> T | Fault:
        """What the request gives, or what went wrong with it."""
        if self._http.is_closed:
            return Fault(FaultKind.CLOSED, "is not asked any more, because the service ends")
        try:
            return await request()
        except Exception as error:  # noqa: BLE001 - of whatever class, it is told to somebody
            return fault_of(error, twilio_http.REQUEST_TIMEOUT_S)

    def _refused(self, fault: Fault) -> CommandRefused:
        """What an operator is told of a call that could not be made."""
        match fault.kind:
            case FaultKind.REFUSED | FaultKind.CALL_IS_OVER:
                code = fault.code
                words = f', "{fault.words}"' if fault.words else ""
                advice = ADVICE.get(code, _see(code))
                sentence = f"Twilio refuses the call (error {code}{words}): {advice}."
            case FaultKind.TOO_MANY | FaultKind.UNREACHABLE:
                sentence = f"{self._name} {fault.what}: nobody was called, try again later."
            case FaultKind.UNCLEAR:
                sentence = (
                    f"{self._name} {fault.what}: "
                    "if the telephone rings all the same, the call is ended."
                )
            case _:
                sentence = f"{self._name} {fault.what}."
        refusal = CommandRefused(_CODES.get(fault.kind, "carrier_refused"), sentence)
        refusal.retryable = fault.kind in (FaultKind.TOO_MANY, FaultKind.UNREACHABLE)
        return refusal

    def _tell(self, fault: Fault, call_sid: str) -> None:
        """Log that a call could not be ended."""
        name, what = self._name, fault.what
        match fault.kind:
            case FaultKind.CREDENTIALS:
                if not self._credentials_are_refused:  # every call meets this one
                    self._credentials_are_refused = True
                    sentence = f"{name} {what}."
                    log.error("twilio_credentials_refused", call_id=call_sid, error=sentence)
                return
            case FaultKind.REFUSED:
                sentence = f"{name} {what} to end the call: {_see(fault.code)}."
            case _ if fault.is_passing:
                sentence = f"{name} {what}: the call may go on there until the caller hangs up."
            case _:
                sentence = f"{name} {what}."
        log.warning("call_not_completed", call_id=call_sid, error=sentence)


def _see(code: int) -> str:
    return f"see https://www.twilio.com/docs/api/errors/{code}"
