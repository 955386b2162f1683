"""Calls by their ids, or by the beginnings of these."""

from collections.abc import Sequence
from urllib.parse import quote

from evibridge.errors import CommandRefused
from evibridge.operators.listing import MAX_LIMIT, MAX_TEXT
from evibridge.operators.views import Summary
from evibridge.terminal.calls_in_words import state_of
from evibridge.terminal.operator_answers import CALLS, checked
from evibridge.terminal.operator_client import OperatorClient
from evibridge.terminal_text import harmless

MIN_PREFIX = 4
"""Characters of an id that is not written in full."""
MAX_NAMED = 5
"""Of the calls that an abbreviation may mean."""


def path_of(call_id: str) -> str:
    """Where the API has a call."""
    return f"/v1/calls/{quote(call_id, safe='', errors='replace')}"


async def full_id(client: OperatorClient, written: str) -> str:
    """The id of the only call whose id begins like this, or what was written if none does.

    Raises:
        CommandRefused: there are several
    """
    if len(written) < MIN_PREFIX:
        return written
    found = await client.get("/v1/calls", state="all", q=written[:MAX_TEXT], limit=MAX_LIMIT)
    calls = [each for each in checked(CALLS, found)["calls"] if each["call_id"].startswith(written)]
    if len(calls) > 1 and all(each["call_id"] != written for each in calls):
        raise CommandRefused("ambiguous", _which(written, calls))
    return calls[0]["call_id"] if len(calls) == 1 else written


def _which(written: str, calls: Sequence[Summary]) -> str:
    named = [f"{each['call_id']} ({state_of(each)})" for each in calls[:MAX_NAMED]]
    if len(calls) > MAX_NAMED:
        named.append(f"{len(calls) - MAX_NAMED} more")
    others, last = ", ".join(named[:-1]), named[-1]
    return harmless(f"{written} may be {others} or {last}: write more of the id.")
