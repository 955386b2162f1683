"""A call at one moment, as plain values: for operators, and as the record of one that is over."""

from dataclasses import dataclass, field
from enum import StrEnum

from evibridge.agent.conversation import Line
from evibridge.events import CallKind, Direction, EndReason


class CallState(StrEnum):
    """What a call does now; of several, the one that comes last here."""

    RINGING = "ringing"
    """Somebody is called, and has not answered."""
    CONNECTING = "connecting"
    """The EVI server is not there yet."""
    LISTENING = "listening"
    CALLER_SPEAKING = "caller_speaking"
    AGENT_SPEAKING = "agent_speaking"
    TOOL_RUNNING = "tool_running"
    PAUSED = "paused"
    HELD = "held"
    TAKEN_OVER = "taken_over"
    """An operator speaks with the caller in the agent's place."""
    RECONNECTING = "reconnecting"
    """The EVI server or the caller was lost, and is waited for."""
    NEEDS_APPROVAL = "needs_approval"
    ENDING = "ending"
    """A hang-up is decided; the last words are being heard."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A tool that waits for an operator, `expires_in_s` at most; `parameters` is its JSON text."""

    tool_call_id: str
    name: str
    parameters: str = field(repr=False)
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    """What is known of a call. Numbers, digits and lines are personal data.

    Attributes:
        lasts_s: since the caller came, or between coming and end
        is_paused: an operator has silenced the agent
        is_held: an operator has cut agent and caller off from each other
        caller_is_away: the caller's connection broke, and another one is waited for
        chat_is_ready: the EVI server is there
        digits: keys that the caller has pressed
        open_tools: names of the functions that run for the model
        lines: what was said, and what of the agent's words was heard; their `at_s` counts from the
            caller's coming
        ended: why the call is over, None while it goes on
        began_at_s: Unix time
        paused_by: name of the operator who has paused the agent, if one has
        held_by: name of the operator who has put the call on hold, if one has
        taken_over_by: name of the operator who speaks in the agent's place, if one does
        approvals: tools that wait for an operator
    """

    call_id: str
    chat_id: str
    chat_group_id: str
    lasts_s: float
    is_paused: bool
    is_held: bool
    caller_is_away: bool
    chat_is_ready: bool
    open_tools: tuple[str, ...]
    caller: str | None = field(repr=False)
    called: str | None = field(repr=False)
    digits: str = field(repr=False)
    lines: tuple[Line, ...] = field(repr=False)
    ended: EndReason | None = None
    state: CallState = CallState.CONNECTING
    kind: CallKind = CallKind.PHONE
    direction: Direction = Direction.INBOUND
    began_at_s: float = 0.0
    paused_by: str | None = None
    held_by: str | None = None
    taken_over_by: str | None = None
    approvals: tuple[PendingApproval, ...] = ()
