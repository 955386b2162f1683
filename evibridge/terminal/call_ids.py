"""Calls by their ids, or by the beginnings of these."""

from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from evibridge.errors import CommandRefused, SettingsError
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


async def full_id(client: OperatorClient, written: str, *, or_ended: bool = False) -> str:
    """The id of the only call whose id begins like this, or what was written if none does.

    Calls that go on come first: they can be steered also while no ended call can be looked up.

    Args:
        client: asks the service
        written: the id, or its beginning
        or_ended: whether a call that has ended may be meant as well as one that goes on;
            otherwise only if none goes on

    Raises:
        CommandRefused: there are several
        SettingsError: nothing was written
    """
    if not written.strip():
        raise SettingsError("Give the id of a call.")
    if len(written) < MIN_PREFIX:
        return written
    calls = await _beginning_with(client, written, "live")
    if not calls or (or_ended and not _has(calls, written)):
        calls += await _ended_beginning_with(client, written)
    if _has(calls, written) or not calls:
        return written
    if len(calls) > 1:
        raise CommandRefused("ambiguous", _which(written, calls))
    return calls[0]["call_id"]


async def _ended_beginning_with(client: OperatorClient, written: str) -> list[Summary]:
    """None if they cannot be looked up now: what is asked next says so if it matters."""
    try:
        return await _beginning_with(client, written, "ended")
    except CommandRefused:
        return []


async def _beginning_with(
    client: OperatorClient, written: str, state: Literal["live", "ended"]
) -> list[Summary]:
    found = await client.get("/v1/calls", state=state, q=written[:MAX_TEXT], limit=MAX_LIMIT)
    return [each for each in checked(CALLS, found)["calls"] if each["call_id"].startswith(written)]


def _has(calls: Sequence[Summary], call_id: str) -> bool:
    return any(each["call_id"] == call_id for each in calls)


def _which(written: str, calls: Sequence[Summary]) -> str:
    named = [f"{each['call_id']} ({state_of(each)})" for each in calls[:MAX_NAMED]]
    if len(calls) > MAX_NAMED:
        named.append(f"{len(calls) - MAX_NAMED} more")
    others, last = ", ".join(named[:-1]), named[-1]
    return harmless(f"{written} may be {others} or {last}: write more of the id.")
