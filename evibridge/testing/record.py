"""What happens in a call that a test makes: told by its events, and by the mind of its agent."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from evibridge import events
from evibridge.events import CallEvent, EndReason

OPEN = "open"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool that the agent has called.

    Attributes:
        name: the tool
        arguments: what the model wrote
        outcome: `answered`, `superseded`, `cancelled`, or the code of its failure, such as
            `bad_arguments`; `open` while it runs
        answer: what the model was told: the result, the text of a `ToolError`, or the tool's
            fallback; None if nothing. Of a `background` or `silent` tool this is what it was told
            at once, while `outcome` is that of the function
    """

    name: str
    arguments: dict[str, Any]
    outcome: str
    answer: str | None


class CallRecord:
    """Grows while the call goes on.

    Attributes:
        events: of the call, in order
        greets: whether the mind opens the call with words; None until it has decided
        mind_said: the last sentence that the mind has chosen since the caller spoke
        mind_hangs_up: whether the mind has decided to end the call, which the server tells nobody
            before it does
        heard_until: the place in the events up to which the caller has heard the agent
    """

    def __init__(self) -> None:
        self.events: list[CallEvent] = []
        self.greets: bool | None = None
        self.mind_said: str | None = None
        self.mind_hangs_up = False
        self.heard_until = 0
        self._answers: dict[str, str | None] = {}
        self._changed = asyncio.Event()

    # What happens

    def add(self, call_id: str, event: CallEvent) -> None:
        """An event of the call."""
        del call_id  # there is one call
        self.events.append(event)
        self.changed()

    def model_was_told(self, tool_call_id: str, answer: str | None) -> None:
        """The mind got the answer of a tool call."""
        self._answers[tool_call_id] = answer

    def mind_greets(self, *, greets: bool) -> None:
        """The mind has decided whether to open the call with words."""
        self.greets = greets
        self.changed()

    def caller_heard(self, place: int) -> None:
        """The caller has heard all that the agent had said by this place in the events."""
        self.heard_until = place
        self.changed()

    def changed(self) -> None:
        """Something has happened that may be waited for."""
        self._changed.set()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Return when something is so, which is asked whenever something has happened."""
        while not is_so():
            self._changed.clear()
            await self._changed.wait()

    # What has happened

    @property
    def said(self) -> list[str]:
        """The agent's sentences."""
        return self.said_since(0)

    def said_since(self, place: int) -> list[str]:
        """The agent's sentences among the events from this place on."""
        return [event.text for event in self.events[place:] if isinstance(event, events.AgentSaid)]

    @property
    def all_is_heard(self) -> bool:
        """Whether the caller has heard all that the agent has said."""
        return not self.said_since(self.heard_until)

    @property
    def caller_said(self) -> dict[int, str]:
        """The caller's words that the server has taken, by the place of their events."""
        return {
            place: event.text
            for place, event in enumerate(self.events)
            if isinstance(event, events.CallerSaid) and not event.interim
        }

    @property
    def caller_is_told_to_wait(self) -> bool:
        """Whether a tool waits for an operator, and the agent has said to the caller what it can.

        Those are the mind's own words, or the tool's holding sentence if it has none.
        """
        if not self.approvals_wanted:
            return False
        said = self.said_since(max(self.caller_said, default=0))
        if self.mind_said is not None:
            return self.mind_said in said
        return bool(said) and self.all_is_heard

    def entry_since(self, place: int) -> str | None:
        """The entry that the caller's keys among the events from a place on have come to."""
        for event in reversed(self.events[place:]):
            if isinstance(event, events.DigitsEntered):
                return event.digits
            if isinstance(event, events.DigitPressed):
                return None
        return None

    @property
    def digits_sent(self) -> list[str]:
        """Keys whose tones were played to the caller's side."""
        return [event.digits for event in self.events if isinstance(event, events.DigitsSent)]

    @property
    def called(self) -> list[ToolUse]:
        """The tools that the agent has called."""
        outcomes = {
            event.tool_call_id: event.outcome
            for event in self.events
            if isinstance(event, events.ToolFinished | events.ToolDelivered)
        }
        return [
            ToolUse(
                event.name,
                json.loads(event.parameters),
                outcomes.get(event.tool_call_id, OPEN),
                self._answers.get(event.tool_call_id),
            )
            for event in self.events
            if isinstance(event, events.ToolStarted)
        ]

    @property
    def approvals_wanted(self) -> list[events.ApprovalWanted]:
        """The tools that wait for an operator."""
        settled = {
            event.tool_call_id
            for event in self.events
            if isinstance(event, events.ApprovalGiven | events.ToolFinished | events.ToolDelivered)
        }
        return [
            event
            for event in self.events
            if isinstance(event, events.ApprovalWanted) and event.tool_call_id not in settled
        ]

    @property
    def is_leaving(self) -> bool:
        """Whether the call ends by itself when the agent has said what it has to say."""
        decided = any(isinstance(event, events.HangUpDecided) for event in self.events)
        return decided or self.mind_hangs_up

    @property
    def ended(self) -> EndReason | None:
        """Why the call is over, None while it goes on."""
        ends = (event.reason for event in self.events if isinstance(event, events.CallEnded))
        return next(ends, None)
