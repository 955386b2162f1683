"""The list of calls: those that go on, then those that have ended, each newest first."""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from evibridge.agent.snapshot import CallSnapshot
from evibridge.errors import BadMessage
from evibridge.events import EndReason
from evibridge.operators.errors import unfit_for
from evibridge.operators.moments import Moment, milliseconds
from evibridge.operators.parts import ServiceParts
from evibridge.operators.views import Summary
from evibridge.records.call_filter import CallFilter
from evibridge.records.summary import words

MAX_LIMIT = 200
MAX_TEXT = 200
MAX_CURSOR = 300

MAX_REASONS = 400
"""Characters: each reason once."""
MAX_MS = 3_600_000
OF_ENDED = (
    "end_reason",
    "began_from",
    "began_before",
    "interrupted",
    "slower_than_ms",
    "recorded",
)
"""Parameters that ended calls alone are chosen by."""

_REASON = f"({'|'.join(EndReason)})"
_LIVE = re.compile(r"live\.(-?[0-9]{1,15})\.(.+)", re.DOTALL)
_ENDED = "ended."

Place = tuple[int, str]
"""Of a live call in the list: when it began, in Unix ms, and its id."""


class ListQuery(BaseModel):
    """Which calls."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    state: Literal["live", "ended", "all"] = "live"
    q: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    """Words that were said, of numbers, ids or names of tools, all of which a call has; the last of
    them may be unfinished."""
    agent: Annotated[str, StringConstraints(max_length=MAX_TEXT)] = ""
    """Name of the agent, to the letter."""
    end_reason: (
        Annotated[
            str,
            StringConstraints(max_length=MAX_REASONS, pattern=rf"^{_REASON}(,{_REASON})*$"),
        ]
        | None
    ) = None
    """One of them is the call's: separated by commas. This and what follows is for ended calls."""
    began_from: Moment | None = None
    """It began at this moment or later."""
    began_before: Moment | None = None
    """It began before this moment."""
    interrupted: Literal["true"] | None = None
    """The agent's voice was cut off in it."""
    slower_than_ms: Annotated[int, Field(ge=0, le=MAX_MS)] | None = None
    """The caller waited longer than that for one of 20 answers (`response_p95_ms`)."""
    recorded: Literal["true"] | None = None
    """There is a recording of it."""
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
        RequestRefused: the cursor is none of ours, or a parameter is not for these calls
        Overloaded: ended calls cannot be looked up any more
    """
    _refuse_if_not_for_all(query)
    live_before, ended_before = _places(query.before)
    calls: list[Summary] = []
    if query.state != "ended" and ended_before is None:
        live = await _live(query, parts, live_before)
        calls = [parts.summary_of(call) for call in live[: query.limit]]
        if len(live) > query.limit:
            return {"calls": calls, "next": _live_cursor(live[query.limit - 1])}
    if query.state == "live":
        return {"calls": calls, "next": None}
    if len(calls) == query.limit:
        return {"calls": calls, "next": _ENDED}
    try:
        page = await parts.records.search(
            query.q, query.limit - len(calls), ended_before or None, _filter(query)
        )
    except BadMessage:
        raise _unknown_cursor() from None
    calls += cast("list[Summary]", page.calls)
    return {"calls": calls, "next": None if page.next is None else _ENDED + page.next}


def _refuse_if_not_for_all(query: ListQuery) -> None:
    """Live calls are not chosen by what is known at their end."""
    if query.state == "ended":
        return
    for name in OF_ENDED:
        if getattr(query, name) is not None:
            message = "Only ended calls are chosen by this: ask for state=ended"
            raise unfit_for(["query", name], message, "value_error")


def _filter(query: ListQuery) -> CallFilter:
    began_from, began_before = (
        None if moment is None else milliseconds(moment)
        for moment in (query.began_from, query.began_before)
    )
    return CallFilter(
        agent=query.agent or None,
        end_reasons=[EndReason(each) for each in (query.end_reason or "").split(",") if each],
        began_from_ms=began_from,
        began_before_ms=began_before,
        is_interrupted=query.interrupted is not None,
        slower_than_ms=query.slower_than_ms,
        is_recorded=query.recorded is not None,
    )


async def _live(
    query: ListQuery, parts: ServiceParts, before: Place | None
) -> Sequence[CallSnapshot]:
    """Live calls that match, newest first."""
    if query.agent not in ("", parts.facts.agent):
        return []
    wanted = words(query.q)
    found = []
    for call in tuple(parts.calls.live_calls()):
        snapshot = call.snapshot(with_lines=bool(wanted))
        if (before is None or _place(snapshot) < before) and _has(snapshot, wanted):
            found.append(snapshot)
        await asyncio.sleep(0)  # audio goes first: to search a long call takes milliseconds
    return sorted(found, key=_place, reverse=True)


def _has(call: CallSnapshot, wanted: Sequence[str]) -> bool:
    """As ended calls are found: every word, and of the last one perhaps the beginning only.

    Of tools, those are known that run or wait.
    """
    if not wanted:
        return True
    texts = (
        call.call_id,
        call.caller,
        call.called,
        *call.open_tools,
        *(approval.name for approval in call.approvals),
        *(line.text for line in call.lines),
    )
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
