"""Calls that we have ended, until their carrier has ended them too.

Twilio asks within a second what comes after a stream that was closed, and is told to speak a last
sentence, to dial somebody else, or to hang up. A call that it does not ask about is ended through
its REST API, if there are credentials.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass

import structlog

from evibridge.agent.actions import HangUp
from evibridge.bridges import twiml
from evibridge.bridges.twilio_rest import TwilioRest
from evibridge.events import EndReason

ASKS_WITHIN_S = 3.0
"""Twilio asks within a second how to go on after a stream."""
MAX_REMEMBERED = 1_000
"""Ended calls of which it is known what follows, until Twilio asks."""
FAULTS = frozenset(
    {
        EndReason.CALLER_LOST,
        EndReason.CALLER_STALLED,
        EndReason.EVI_LOST,
        EndReason.EVI_REFUSED,
        EndReason.EVI_UNREACHABLE,
        EndReason.FAULT,
    }
)
"""Ends that the caller is owed an apology for, and somebody else to speak to."""
CUT_SHORT = frozenset({EndReason.MAX_DURATION, EndReason.SHUTDOWN})
"""Ends that the caller is owed a sentence for."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LastWords:
    """What Twilio says to a caller whose call does not end by itself.

    Attributes:
        apology: after a fault
        closing: when the call is too long, or the service ends
        fallback_number: where a call goes that cannot be saved; None hangs up
    """

    apology: str
    closing: str
    fallback_number: str | None = None

    def document(self, how: HangUp) -> str:
        """The TwiML that follows a call that ended so, or goes to somebody else."""
        reason = how.reason
        if how.transfer_to is not None:
            return twiml.dial(how.transfer_to)
        if reason in FAULTS and self.fallback_number is not None:
            return twiml.dial(self.fallback_number, self.apology)
        if reason in FAULTS:
            return twiml.hang_up(self.apology)
        return twiml.hang_up(self.closing if reason in CUT_SHORT else how.last_words)


class Endings:
    """Remembers what follows each call that ended, and sees to it that its carrier hears of it.

    Args:
        last_words: what callers are told
        rest: ends calls that Twilio does not ask about; None without credentials
    """

    def __init__(self, last_words: LastWords, rest: TwilioRest | None) -> None:
        self._last_words = last_words
        self._rest = rest
        self._ends: dict[str, HangUp] = {}
        self._unasked: dict[str, asyncio.TimerHandle] = {}
        self._completing: dict[str, asyncio.Task[None]] = {}
        self._asked = asyncio.Event()

    def ended(self, call_sid: str, how: HangUp) -> None:
        """We have ended a call, or handed it on; its stream is being closed."""
        self._remember(call_sid, how)
        if how.reason is not EndReason.CALLER_HUNG_UP:  # then there is nothing left to ask about
            self._settle(call_sid)
            loop = asyncio.get_running_loop()
            self._unasked[call_sid] = loop.call_later(ASKS_WITHIN_S, self._not_asked, call_sid)

    def called_off(self, call_sid: str, how: HangUp) -> None:
        """We have ended a call that has no stream: Twilio asks only if somebody answers it yet."""
        self._remember(call_sid, how)
        self._settle(call_sid)
        assert self._rest is not None, "no call is made without it"
        self._ask_carrier(call_sid, self._rest.cancel(call_sid))

    def asked(self, call_sid: str) -> str | None:
        """Twilio asks what comes next: the document, None for a call that we have not ended."""
        self._settle(call_sid)
        return self._document(call_sid)

    def is_over(self, call_sid: str) -> None:
        """Twilio reports the end of a call: it will not ask any more."""
        self._settle(call_sid)

    async def all_told(self) -> None:
        """Return when no carrier is left that has not heard of the end, at most after a while.

        A webhook that nobody answers would end a call with Twilio's own error message.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * ASKS_WITHIN_S):
                while self._unasked:
                    self._asked.clear()
                    await self._asked.wait()
        await self.close()

    async def close(self) -> None:
        """Nobody can ask any more: end what is left through the REST API, within a bound."""
        for call_sid in list(self._unasked):
            self._not_asked(call_sid)
        if self._completing:
            await asyncio.wait(self._completing.values(), timeout=ASKS_WITHIN_S)
        for task in list(self._completing.values()):
            task.cancel()
        if self._rest is not None:
            await self._rest.close()

    def _remember(self, call_sid: str, how: HangUp) -> None:
        self._ends.pop(call_sid, None)
        self._ends[call_sid] = how
        while len(self._ends) > MAX_REMEMBERED:
            oldest = next(iter(self._ends))
            del self._ends[oldest]
            self._settle(oldest)

    def _document(self, call_sid: str) -> str | None:
        how = self._ends.get(call_sid)
        return None if how is None else self._last_words.document(how)

    def _settle(self, call_sid: str) -> None:
        """Twilio knows; a request that would end the call, whatever it does now, is not wanted."""
        completing = self._completing.get(call_sid)
        if completing is not None:
            completing.cancel()
        timer = self._unasked.pop(call_sid, None)
        if timer is not None:
            timer.cancel()
            self._asked.set()

    def _not_asked(self, call_sid: str) -> None:
        self._settle(call_sid)
        if self._rest is None:
            log.warning("carrier_did_not_ask", call_id=call_sid)
            return
        how = self._ends.get(call_sid)
        # Whoever is put through to somebody is not hung up on.
        follows = self._document(call_sid) if how is not None and how.transfer_to else None
        self._ask_carrier(call_sid, self._rest.complete(call_sid, follows))

    def _ask_carrier(self, call_sid: str, request: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(request)
        self._completing[call_sid] = task
        task.add_done_callback(lambda _: self._completing.pop(call_sid, None))
