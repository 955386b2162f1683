"""What happens in calls, line by line in the log.

Texts are personal data: they stand in named attributes. What a tool answered, and what was set or
pressed, is left out.
"""

from collections.abc import Mapping

import structlog

from evibridge import events
from evibridge.bus import Told

log = structlog.get_logger(__name__)

_NAMES: Mapping[type, str] = {
    events.CallDialled: "call_dialled",
    events.AgentSaid: "agent_said",
    events.AgentHeard: "agent_cut_short",
    events.AgentInterrupted: "agent_interrupted",
    events.TurnAnswered: "turn_answered",
    events.ToolStarted: "tool_started",
    events.ToolFinished: "tool_finished",
    events.ToolDelivered: "tool_delivered",
    events.ApprovalWanted: "approval_wanted",
    events.ApprovalGiven: "approval_given",
    events.CommandGiven: "command_given",
    events.ServerReportedError: "evi_reported_error",
    events.ChatOpened: "chat_opened",
    events.ChatLost: "chat_lost",
    events.CallerLost: "caller_lost",
    events.CallerReturned: "caller_returned",
    events.FillerPlayed: "filler_played",
    events.CallerMuted: "caller_muted",
    events.HangUpDecided: "hang_up_decided",
    events.AgentPaused: "agent_paused",
    events.AgentResumed: "agent_resumed",
    events.CallHeld: "call_held",
    events.CallReleased: "call_released",
    events.CallTakenOver: "call_taken_over",
    events.CallHandedBack: "call_handed_back",
}
_LEFT_OUT: Mapping[type, frozenset[str]] = {
    events.CallDialled: frozenset({"to"}),
    events.CommandGiven: frozenset({"text"}),
    events.ToolFinished: frozenset({"content"}),
}
_NOTHING: frozenset[str] = frozenset()


def log_event(told: Told) -> None:
    """Write the line of an event, if it is worth one."""
    call_id, event = told.call_id, told.event
    if isinstance(event, events.CallerSaid):
        if not event.interim:
            log.info("caller_said", text=event.text, call_id=call_id)
    elif isinstance(event, events.OperatorSaid):
        if not event.interim:
            log.info("operator_said", by=event.by, is_spoken=event.is_spoken, call_id=call_id)
    elif isinstance(event, events.AgentHeard) and event.heard_ms == event.sent_ms:
        pass  # only what was cut short is news
    elif isinstance(event, events.DigitsEntered):  # they may be a PIN: only how many
        log.info("digits_entered", count=len(event.digits), call_id=call_id)
    elif name := _NAMES.get(type(event)):
        left_out = _LEFT_OUT.get(type(event), _NOTHING)
        fields = (field for field in event.__dataclass_fields__ if field not in left_out)
        log.info(name, **{field: getattr(event, field) for field in fields}, call_id=call_id)
