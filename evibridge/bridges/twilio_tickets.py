"""One-use tokens that tie a media stream to the webhook that asked for it.

Twilio's handshake signature has no timestamp, so a captured one stays valid for ever. The token in
the stream's parameters is good for one stream of one call, for a minute.
"""

import hmac
import secrets
from dataclasses import dataclass, field

from evibridge.agent.call_plan import CallerFacts

TICKET_S = 60.0
"""From the webhook to the stream's `start`, which takes Twilio well under a second."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A promise of a place for one call."""

    facts: CallerFacts
    token: str = field(repr=False)
    attempt: int = 1
    """Number of the stream among those of its call."""


class Tickets:
    """Tickets that were issued and not used. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self._open: dict[str, tuple[Ticket, float]] = {}

    def count(self, now_s: float) -> int:
        """Tickets that may still be used; each is a place that is taken."""
        self._forget_old(now_s)
        return len(self._open)

    def call_sids(self, now_s: float) -> list[str]:
        """Calls whose ticket may still be used."""
        self._forget_old(now_s)
        return list(self._open)

    def holds(self, call_sid: str, now_s: float) -> bool:
        """Whether this call has a ticket that may still be used."""
        self._forget_old(now_s)
        return call_sid in self._open

    def drop(self, call_sid: str) -> None:
        """The call is over before its stream began."""
        self._open.pop(call_sid, None)

    def issue(self, facts: CallerFacts, now_s: float, *, attempt: int = 1) -> Ticket:
        """A ticket for this call; a repeated webhook of the same call gets the same one."""
        self._forget_old(now_s)
        held = self._open.get(facts.call_id)
        if held is not None:
            return held[0]
        ticket = Ticket(facts, secrets.token_urlsafe(24), attempt)
        self._open[facts.call_id] = (ticket, now_s + TICKET_S)
        return ticket

    def redeem(self, call_sid: str, token: str, now_s: float) -> Ticket | None:
        """Use the ticket up; None if it was never issued, is used, has expired or differs."""
        self._forget_old(now_s)
        held = self._open.get(call_sid)
        if held is None or not hmac.compare_digest(held[0].token.encode(), token.encode()):
            return None
        del self._open[call_sid]
        return held[0]

    def _forget_old(self, now_s: float) -> None:
        for call_sid in [sid for sid, (_, until_s) in self._open.items() if until_s <= now_s]:
            del self._open[call_sid]
