"""What ended calls are chosen by beside their words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evibridge.events import EndReason
from evibridge.records.document import Outline
from evibridge.records.summary import is_recorded


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the index has of a call in columns of their own, in their order."""

    agent: str | None
    end_reason: str
    interruptions: int
    response_p95_ms: int | None
    is_recorded: bool


def facts_of(record: Outline) -> CallFacts:
    """Return what a call is chosen by."""
    return CallFacts(
        record.agent,
        record.end_reason.value,
        record.interruptions,
        record.latencies.p95,
        is_recorded(record),
    )


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What a call has to be; what is not set is not looked at.

    Attributes:
        agent: its name, to the letter
        end_reasons: one of them is the call's
        began_from_ms: it began then or later, in Unix milliseconds
        began_before_ms: it began before that
        is_interrupted: the agent was cut off at least once
        slower_than_ms: one of 20 answers took longer
        is_recorded: there is a recording
    """

    agent: str | None = None
    end_reasons: Sequence[EndReason] = ()
    began_from_ms: int | None = None
    began_before_ms: int | None = None
    is_interrupted: bool = False
    slower_than_ms: int | None = None
    is_recorded: bool = False

    def conditions(self) -> Iterator[tuple[str, Sequence[str | int]]]:
        """Yield conditions on the columns of the index, in SQL, each with its values."""
        if self.agent is not None:
            yield "agent = ?", [self.agent]
        if self.end_reasons:
            places = ", ".join("?" for _ in self.end_reasons)
            yield f"end_reason IN ({places})", [reason.value for reason in self.end_reasons]
        if self.began_from_ms is not None:
            yield "began_ms >= ?", [self.began_from_ms]
        if self.began_before_ms is not None:
            yield "began_ms < ?", [self.began_before_ms]
        if self.is_interrupted:
            yield "interruptions > 0", []
        if self.slower_than_ms is not None:
            yield "response_p95_ms > ?", [self.slower_than_ms]
        if self.is_recorded:
            yield "is_recorded", []


ALL_CALLS = CallFilter()
