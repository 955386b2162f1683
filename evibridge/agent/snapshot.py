"""A call at one moment, as plain values: for operators, and as the record of one that is over."""

from dataclasses import dataclass, field

from evibridge.agent.conversation import Line
from evibridge.events import EndReason


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
