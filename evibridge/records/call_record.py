"""Builds the record of a call when it is over."""

from collections.abc import Sequence
from math import ceil

from evibridge.agent.snapshot import CallSnapshot
from evibridge.bus import Told
from evibridge.event_wire import event_members, utc_text
from evibridge.events import (
    AgentInterrupted,
    CallerReturned,
    CallEvent,
    ChatOpened,
    ChatOpening,
    CommandGiven,
    EndReason,
    TurnAnswered,
)
from evibridge.records.document import (
    VERSION,
    GivenCommand,
    Latencies,
    Reconnects,
    Record,
    Recording,
)
from evibridge.records.tool_uses import tool_uses
from evibridge.records.turns import turns

_ENDED_BY = {EndReason.OPERATOR_HUNG_UP: "hangup", EndReason.TRANSFERRED: "transfer"}
"""Commands by how a call ends with them."""


def call_record(
    snapshot: CallSnapshot,
    told: Sequence[Told],
    recording: Recording | None = None,
    agent: str | None = None,
) -> Record:
    """Build the record of a call.

    Args:
        snapshot: the call at its end
        told: its events that are kept, oldest first
        recording: None if the call was not recorded
        agent: its name, if it has one
    """
    events = [each.event for each in told]
    began_at_s = snapshot.began_at_s
    # A call that cannot tell why it is over was not meant to be.
    end_reason = snapshot.ended or EndReason.FAULT
    ending = _ending(events, end_reason)
    return Record(
        version=VERSION,
        call_id=snapshot.call_id,
        kind=snapshot.kind,
        direction=snapshot.direction,
        agent=agent,
        caller=snapshot.caller,
        called=snapshot.called,
        chat_id=snapshot.chat_id,
        chat_group_id=snapshot.chat_group_id,
        chat_ids=_chat_ids(snapshot, events),
        began_at=utc_text(began_at_s),
        ended_at=utc_text(began_at_s + snapshot.lasts_s),
        lasts_s=round(snapshot.lasts_s, 3),
        end_reason=end_reason,
        ended_by=None if ending is None else ending.by,
        transferred_to=None if ending is None else ending.text,
        turns=turns(snapshot.lines, events),
        tools=tool_uses(told, lambda at_s: round(max(0.0, at_s - began_at_s), 3)),
        commands=_commands(told),
        latencies=_latencies(events),
        interruptions=sum(isinstance(event, AgentInterrupted) for event in events),
        reconnects=_reconnects(events),
        digits=len(snapshot.digits),
        recording=recording,
        events=[event_members(each) for each in told],
    )


def _chat_ids(snapshot: CallSnapshot, events: Sequence[CallEvent]) -> list[str]:
    """All chats of the call, the last one also if its event is forgotten."""
    opened = [event.chat_id for event in events if isinstance(event, ChatOpened)]
    return list(dict.fromkeys(each for each in (*opened, snapshot.chat_id) if each))


def _ending(events: Sequence[CallEvent], reason: EndReason) -> CommandGiven | None:
    """The command that has ended the call, if one has."""
    name = _ENDED_BY.get(reason)
    given = (event for event in reversed(events) if isinstance(event, CommandGiven))
    return next((event for event in given if event.command == name), None)


def _commands(told: Sequence[Told]) -> list[GivenCommand]:
    return [
        GivenCommand(
            command=each.event.command,
            by=each.event.by,
            at=utc_text(each.at_s),
            text=each.event.text,
        )
        for each in told
        if isinstance(each.event, CommandGiven)
    ]


def _latencies(events: Sequence[CallEvent]) -> Latencies:
    waited = [event.response_ms for event in events if isinstance(event, TurnAnswered)]
    ranked = sorted(waited)

    def percentile(percent: int) -> int | None:
        """The shortest wait that so many of the answers did not exceed."""
        return ranked[ceil(len(ranked) * percent / 100) - 1] if ranked else None

    return Latencies(
        response_ms=waited, p50=percentile(50), p95=percentile(95), max=percentile(100)
    )


def _reconnects(events: Sequence[CallEvent]) -> Reconnects:
    """A chat that was renewed was not lost."""
    after_loss = (ChatOpening.RESUMED, ChatOpening.AFRESH)
    return Reconnects(
        chat=sum(isinstance(event, ChatOpened) and event.why in after_loss for event in events),
        caller=sum(isinstance(event, CallerReturned) for event in events),
    )
