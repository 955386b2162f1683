"""Calls that are over, for tests: what is known of them, and what has happened in them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from evibridge.agent.conversation import Line
from evibridge.agent.snapshot import CallSnapshot, CallState
from evibridge.bus import EventBus, Told
from evibridge.events import CallEvent, EndReason
from evibridge.records.call_record import call_record
from evibridge.records.document import Record, Recording

BEGAN_S = 1_795_857_120.123
BEGAN_AT = "2026-11-28T09:12:00.123Z"

ENDED = CallSnapshot(
    call_id="CA1",
    chat_id="chat-1",
    chat_group_id="group-1",
    lasts_s=62.5,
    is_paused=False,
    is_held=False,
    caller_is_away=False,
    chat_is_ready=False,
    open_tools=(),
    caller="+4930111",
    called="+1415222",
    digits="",
    lines=(),
    ended=EndReason.CALLER_HUNG_UP,
    state=CallState.ENDED,
    began_at_s=BEGAN_S,
)


def caller(at_s: float, text: str) -> Line:
    """Words of the caller."""
    return Line("caller", at_s, text, text)


def agent(at_s: float, text: str, heard: str | None = None, name: str = "u1") -> Line:
    """A sentence of the agent; it was heard to its end unless told otherwise."""
    heard = text if heard is None else heard
    return Line("agent", at_s, text, heard, name, 50.0 * len(text), 50.0 * len(heard))


def operator(at_s: float, text: str, by: str = "ana") -> Line:
    """Words of an operator to the caller."""
    return Line("operator", at_s, text, text, by=by)


def told(*events: tuple[float, CallEvent], call_id: str = "CA1") -> tuple[Told, ...]:
    """Events, each with the second of the call in which it was told."""
    times = iter([BEGAN_S, *(BEGAN_S + at_s for at_s, _ in events)])
    bus = EventBus(lambda: next(times))
    for _, event in events:
        bus.publish(call_id, event)
    return bus.history(call_id)


def record(
    call_id: str = "CA1",
    *events: tuple[float, CallEvent],
    lines: Sequence[Line] = (),
    recording: Recording | None = None,
    agent_name: str | None = None,
    **facts: Any,
) -> Record:
    """The record of a call."""
    snapshot = replace(ENDED, call_id=call_id, lines=tuple(lines), **facts)
    return call_record(snapshot, told(*events, call_id=call_id), recording, agent_name)
