"""Events of calls as JSON, as operators' streams and the records of calls have them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, get_args

import orjson

from evibridge.bus import Told
from evibridge.events import CallEvent


def _type_name(event_class: type) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", event_class.__name__).lower()


TYPE_NAMES: dict[type, str] = {each: _type_name(each) for each in get_args(CallEvent)}
"""What each event is called: `caller_said` for `CallerSaid`."""


class _Newest:
    """The event that was encoded last: all its readers ask for it, one after the other."""

    __slots__ = ("text", "told")

    def __init__(self) -> None:
        self.told: Told | None = None
        self.text = b""


_newest = _Newest()


def event_members(told: Told) -> dict[str, Any]:
    """Return an event's JSON members: `type`, `call_id`, `seq`, `at`, and its own fields."""
    members: dict[str, Any] = {
        "type": TYPE_NAMES[type(told.event)],
        "call_id": told.call_id,
        "seq": told.seq,
        "at": utc_text(told.at_s),
    }
    for name in type(told.event).__match_args__:
        members[name] = _plain(getattr(told.event, name))
    return members


def encode(told: Told) -> bytes:
    """Return an event as JSON text."""
    if _newest.told is not told:
        _newest.text = orjson.dumps(event_members(told))
        _newest.told = told
    return _newest.text


def utc_text(at_s: float) -> str:
    """Return a Unix time to the millisecond, as `2026-11-28T09:12:00.123Z`."""
    at = datetime.fromtimestamp(at_s, UTC)
    return f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        # A surrogate without its other half, as Python's own JSON parser lets through, is no text.
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return dict(value)
    return value
