"""The tools of a call, each from its events."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import orjson

from evibridge.bus import Told
from evibridge.event_wire import utc_text
from evibridge.events import (
    ApprovalGiven,
    ApprovalWanted,
    ToolDelivered,
    ToolFinished,
    ToolStarted,
)
from evibridge.records.document import Approval, ToolUse

UNDECIDED = Approval(by=None, at=None, approved=None)

_ToolEvent: TypeAlias = ToolStarted | ApprovalWanted | ApprovalGiven | ToolFinished | ToolDelivered


def tool_uses(told: Iterable[Told], since_began: Callable[[float], float]) -> list[ToolUse]:
    """Return the tools of a call, in the order in which they were called.

    Args:
        told: the events that are kept, oldest first
        since_began: from Unix time to seconds of the call
    """
    uses: list[ToolUse] = []
    places: dict[str, int] = {}
    for each in told:
        event = each.event
        if not isinstance(event, _ToolEvent):
            continue
        # Chats that follow on each other may give the same id again.
        if isinstance(event, ToolStarted) or event.tool_call_id not in places:
            places[event.tool_call_id] = len(uses)
            uses.append(_unknown(event.tool_call_id, event.name))
        place = places[event.tool_call_id]
        news = _news(event, utc_text(each.at_s), since_began(each.at_s))
        uses[place] = uses[place].model_copy(update=news)
    return uses


def _unknown(tool_call_id: str, name: str) -> ToolUse:
    """A use of which nothing is known yet, or any more."""
    return ToolUse(
        id=tool_call_id,
        name=name,
        at_s=None,
        arguments=None,
        path=None,
        outcome=None,
        content=None,
        duration_ms=None,
        delivered=None,
        approval=None,
    )


def _news(event: _ToolEvent, at: str, at_s: float) -> dict[str, Any]:
    match event:
        case ToolStarted(parameters=parameters, path=path):
            return {"at_s": at_s, "arguments": _arguments(parameters), "path": path}
        case ApprovalWanted(parameters=parameters):
            return {"arguments": _arguments(parameters), "approval": UNDECIDED}
        case ApprovalGiven(is_approved=approved, by=by):
            return {"approval": Approval(by=by, at=at, approved=approved)}
        case ToolFinished(outcome=outcome, content=content, duration_ms=ms):
            return {"outcome": outcome, "content": content, "duration_ms": ms}
    return {"delivered": event.outcome}


def _arguments(parameters: str) -> Any:
    """What a model wrote: JSON, or its text if it is none, or nested too deeply for a record."""
    try:
        arguments = orjson.loads(parameters)
        orjson.dumps({"tools": [{"arguments": arguments}]})
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return parameters
    return arguments
