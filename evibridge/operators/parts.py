"""What the operator API works with: everything that it knows of the rest of the service."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from evibridge.agent.commands import OperatedCall
from evibridge.agent.snapshot import CallSnapshot
from evibridge.dialling import TransferTarget
from evibridge.operators.latest import Latest
from evibridge.operators.views import Summary, summary_of
from evibridge.records.call_filter import ALL_CALLS, CallFilter
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

    async def search(
        self,
        text: str | None,
        limit: int,
        before: str | None = None,
        wanted: CallFilter = ALL_CALLS,
    ) -> Page:
        """Find ended calls, newest first.

        Raises:
            BadMessage: the cursor `before` is none
            Overloaded: nothing can be looked up at the moment, or any more
        """

    async def count_since(self, began_ms: int) -> int:
        """Count the ended calls that began at or after a moment, in Unix milliseconds.

        Raises:
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

OpenVoice = Callable[[str, str, str], Awaitable[str]]
"""Lets an operator speak with a caller: takes the call's id, the SDP that a page offers and the
operator's name, and gives the SDP that answers it; raises `CommandRefused`."""


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What operators are told of the service.

    Attributes:
        agent: its name
        lines: how many calls have a line now, those that ring among them
        max_lines: how many may have one at a time
        is_draining: whether no more callers are let in
        stops_at_s: when the calls are cut that go on by then, in Unix seconds; None if the service
            does not end
        records_sound: whether the sound of calls is kept
        has_voice: whether an operator can speak by microphone
        number: telephone number of the service, if it has one of its own
        transfer_targets: whom callers are put through to often
        ice_servers: what `RTCPeerConnection` is to use, with credentials that end
    """

    agent: str
    lines: Callable[[], int]
    max_lines: int
    is_draining: Callable[[], bool]
    stops_at_s: Callable[[], float | None]
    records_sound: bool
    has_voice: bool
    number: str | None
    transfer_targets: Sequence[TransferTarget]
    ice_servers: Callable[[], Sequence[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class ServiceParts:
    """What `OperatorApi` is given."""

    calls: OperatedCalls
    dial: Dial
    attach: Attach
    make_web_session: MakeWebSession
    records: CallRecords
    latest: Latest
    facts: ServiceFacts
    open_voice: OpenVoice

    def summary_of(self, call: CallSnapshot) -> Summary:
        """A call, for lists."""
        return summary_of(call, self.latest.of(call.call_id), self.facts.agent)
