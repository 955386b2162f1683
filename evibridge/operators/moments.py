"""Moments, as operators write them in queries: UTC, as `2026-11-28T09:12:00.123Z`."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, StringConstraints, WithJsonSchema

MAX_MOMENT = 27
PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"


def milliseconds(moment: str) -> int:
    """The Unix time of a moment in ms, a part of one cut off.

    Raises:
        ValueError: there is no such moment
    """
    whole, _, part = moment.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return int(seconds) * 1000 + int(part.ljust(3, "0")[:3] or 0)


def _checked(moment: str) -> str:
    try:
        milliseconds(moment)
    except (ValueError, OverflowError):
        raise ValueError("must be a moment, such as 2026-11-28T09:12:00.123Z") from None
    return moment


Moment = Annotated[
    str,
    StringConstraints(max_length=MAX_MOMENT, pattern=PATTERN),
    AfterValidator(_checked),
    WithJsonSchema({"type": "string", "maxLength": MAX_MOMENT, "pattern": PATTERN}),
]
