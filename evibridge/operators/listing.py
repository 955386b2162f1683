"""The list of calls: those that go on, then those that have ended, each newest first."""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from evibridge.agent.snapshot import CallSnapshot
from evibridge.errors import BadMessage
from evibridge.operators.errors import unfit_for
from evibridge.operators.parts import ServiceParts
from evibridge.operators.views import Summary, summary_of
from evibridge.records.summary import words

MAX_LIMIT = 200
MAX_TEXT = 200
MAX_CURSOR = 300

_LIVE = re.compile(r"live\.(-?[0-9]{1,15})\.(.+)", re.DOTALL)
_ENDED = "ended."

Place = tuple[int, str]
"""Of a live call in the list: when it began, in Unix ms, and its id."""


class ListQuery(BaseModel):
    """Which calls."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    state: Literal["live", "ended", "all"] = "live"
    q: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    """Words that were said, of numbers or ids, all of which a call has; the last of them may be
    unfinished."""
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    before: Annotated[str, StringConstraints(max_length=MAX_CURSOR)] = ""
    """`next` of the page before."""


class CallList(TypedDict):
    """A page of calls; `next` is null on the last one."""

    calls: list[Summary]
    next: str | None


async def list_calls(query: ListQuery, parts: ServiceParts) -> CallList:
    """Give one page.

    Raises:
        RequestRefused: the cursor is none of ours
        Overloaded: ended calls cannot be looked up any more
    """
    live_before, ended_before = _places(query.before)
    calls: list[Summary] = []
    if query.state != "ended" and ended_before is None:
        live = await _live(query, parts, live_before)
        calls = [summary_of(call, parts.latest.of(call.call_id)) for call in live[: query.limit]]
        if len(live) > query.limit:
            return {"calls": calls, "next": _live_cursor(live[query.limit - 1])}
    if query.state == "live":
        return {"calls": calls, "next": None}
    if len(calls) == query.limit:
        return {"calls": calls, "next": _ENDED}
    try:
        page = await parts.records.search(query.q, query.limit - len(calls), ended_before or None)
    except BadMessage:
        raise _unknown_cursor() from None
    calls += cast("list[Summary]", page.calls)
    return {"calls": calls, "next": None if page.next is None else _ENDED + page.next}


async def _live(
    query: ListQuery, parts: ServiceParts, before: Place | None
) -> Sequence[CallSnapshot]:
    """Live calls that match, newest first."""
    wanted = words(query.q)
    found = []
    for call in tuple(parts.calls.live_calls()):
        snapshot = call.snapshot(with_lines=bool(wanted))
        if (before is None or _place(snapshot) < before) and _has(snapshot, wanted):
            found.append(snapshot)
        await asyncio.sleep(0)  # audio goes first: to search a long call takes milliseconds
    return sorted(found, key=_place, reverse=True)


def _has(call: CallSnapshot, wanted: Sequence[str]) -> bool:
    """As ended calls are found: every word, and of the last one perhaps the beginning only."""
    if not wanted:
        return True
    texts = (call.call_id, call.caller, call.called, *(line.text for line in call.lines))
    said = set(words("\n".join(text for text in texts if text)))
    *whole, last = wanted
    return said.issuperset(whole) and any(word.startswith(last) for word in said)


def _place(call: CallSnapshot) -> Place:
    return round(call.began_at_s * 1000), call.call_id


def _live_cursor(call: CallSnapshot) -> str:
    began_ms, call_id = _place(call)
    return f"live.{began_ms}.{call_id}"


def _places(cursor: str) -> tuple[Place | None, str | None]:
    """Where to go on among the live calls, and among the ended; "" is before the first of them."""
    if not cursor:
        return None, None
    if cursor.startswith(_ENDED):
        return None, cursor.removeprefix(_ENDED)
    live = _LIVE.fullmatch(cursor)
    if live is None:
        raise _unknown_cursor()
    return (int(live[1]), live[2]), None


def _unknown_cursor() -> Exception:
    return unfit_for(
        ["query", "before"], "Input should be the `next` of a page before", "value_error"
    )
