"""What the operator API works with: everything that it knows of the rest of the service."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from evibridge.agent.commands import OperatedCall
from evibridge.agent.snapshot import CallSnapshot
from evibridge.operators.latest import Latest
from evibridge.records.index import Page
from evibridge.web_sessions import WebSession

T = TypeVar("T")


class OperatedCalls(Protocol):
    """The calls of this process."""

    def get(self, call_id: str) -> OperatedCall | None:
        """The live call of this id."""

    def snapshot(self, call_id: str) -> CallSnapshot | None:
        """A call as it is now, or as it was at its end if that is not long ago."""

    def live_calls(self) -> Iterable[OperatedCall]:
        """All calls that go on."""


class CallRecords(Protocol):
    """What is kept of calls that have ended."""

    async def search(self, text: str | None, limit: int, before: str | None = None) -> Page:
        """Find ended calls, newest first.

        Raises:
            BadMessage: the cursor `before` is none
            Overloaded: nothing can be looked up at the moment, or any more
        """

    async def load(self, call_id: str) -> bytes | None:
        """The JSON text of the record of a call; None if there is none.

        Raises:
            Overloaded: nothing can be looked up at the moment, or any more
        """

    async def view(self, call_id: str, make: Callable[[Mapping[str, Any]], T]) -> T | None:
        """What another thread makes of the record of a call; None if there is none.

        Args:
            call_id: of the call
            make: gets the members of the record, but of its events only the last

        Raises:
            Overloaded: nothing can be looked up at the moment, or any more
        """

    async def recording(self, call_id: str, *, newest: bool = False) -> Path | None:
        """Where the recording of a call is that its record names; None if it has none.

        Args:
            call_id: of the call
            newest: the one that was written last, as also if there is no record

        Raises:
            Overloaded: nothing can be looked up at the moment, or any more
        """


Dial = Callable[[str, str | None, Mapping[str, str], str], Awaitable[CallSnapshot]]
"""Calls somebody: takes the number, the number that is shown or None, parameters for the call, and
the operator's name; raises `CommandRefused`."""
Attach = Callable[[str, str], Awaitable[tuple[CallSnapshot, bool]]]
"""Takes part in a chat: takes its id and the operator's name, and tells whether there was no call
of it before; raises `CommandRefused`."""
MakeWebSession = Callable[[WebSession, float], str]
"""Makes a token for a caller's page: takes what the call is to know, and how long the token may
wait, in seconds; raises `Overloaded`."""


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """What `OperatorApi` is given."""

    calls: OperatedCalls
    dial: Dial
    attach: Attach
    make_web_session: MakeWebSession
    records: CallRecords
    latest: Latest
