"""One call that we make, until its stream begins."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from evibridge.agent.call_plan import CallerFacts
from evibridge.agent.snapshot import CallSnapshot, CallState
from evibridge.events import Direction, EndReason


@dataclass(slots=True, eq=False)
class Dialled:
    """Somebody who is called, until the stream begins. Numbers are personal data.

    Attributes:
        by: a name for the operator who wanted it
        token: known to Twilio alone, by which its requests show that they are of this call
        began_at_s: Unix time
        began_s: on the event loop's clock
        call_sid: empty until Twilio has told it
        ended: why nothing came of it
        timer: ends it when Twilio tells nothing
    """

    to: str = field(repr=False)
    from_: str = field(repr=False)
    parameters: Mapping[str, str] = field(repr=False)
    by: str
    token: str = field(repr=False)
    began_at_s: float
    began_s: float
    call_sid: str = ""
    is_answered: bool = False
    ended: EndReason | None = None
    timer: asyncio.TimerHandle | None = None

    def facts(self) -> CallerFacts:
        """Whoever is called is the caller, as everywhere."""
        return CallerFacts(
            self.call_sid, self.to, self.from_, self.parameters, direction=Direction.OUTBOUND
        )

    def snapshot(self, now_s: float) -> CallSnapshot:
        """The call as it is now."""
        state = CallState.CONNECTING if self.is_answered else CallState.RINGING
        return CallSnapshot(
            call_id=self.call_sid,
            chat_id="",
            chat_group_id="",
            lasts_s=now_s - self.began_s,
            is_paused=False,
            is_held=False,
            caller_is_away=False,
            chat_is_ready=False,
            open_tools=(),
            caller=self.to,
            called=self.from_,
            digits="",
            lines=(),
            ended=self.ended,
            state=state if self.ended is None else CallState.ENDED,
            direction=Direction.OUTBOUND,
            began_at_s=self.began_at_s,
        )
