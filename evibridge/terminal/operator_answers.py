"""What the operator API answers, checked before anybody relies on it."""

from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from evibridge.errors import BadMessage
from evibridge.operators.listing import CallList
from evibridge.operators.views import CommandDone, Snapshot, Summary

T = TypeVar("T")

CALLS = TypeAdapter(CallList)
SUMMARIES = TypeAdapter(list[Summary])
SUMMARY = TypeAdapter(Summary)
SNAPSHOT = TypeAdapter(Snapshot)
DONE = TypeAdapter(CommandDone)

OTHER_VERSION = (
    "The service tells something that this command cannot read: use one of the service's version."
)


def checked(kind: TypeAdapter[T], document: Any) -> T:
    """A JSON document as what it has to be; members that are not known are left out.

    Raises:
        BadMessage: it is something else
    """
    try:
        return kind.validate_python(document)
    except ValidationError:
        raise BadMessage(OTHER_VERSION) from None
