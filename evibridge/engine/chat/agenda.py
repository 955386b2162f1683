"""What the agent is doing and what it will do next. Pure.

The agent speaks in parts, one at a time. A part that was stopped may still report for a moment; its
number is stale by then, and `running` does not know it any more.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from evibridge.engine.chat.actions import Recite
from evibridge.engine.chat.tool_calls import Answered
from evibridge.engine.minds.mind import Occasion

MAX_WAITING = 32
"""Texts to recite that wait for a pause or another part to end."""


@dataclass(frozen=True, slots=True)
class OnOccasion:
    """The mind is to speak without being spoken to."""

    occasion: Occasion


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The last words of the caller wait to be answered."""


Waiting = Recite | Answered | OnOccasion | Unanswered


@dataclass(slots=True)
class Part:
    """The part that runs now.

    Attributes:
        calls: tool calls of its turn so far
        context: the context that its turn answers with
        spoke: a sentence of it has begun
        said: a sentence has begun that is no stop-gap
        awaits_tool: it ended with a tool call, and its turn goes on with the answer
        hangs_up: the chat ends after it
    """

    number: int
    work: Waiting
    calls: int = 0
    context: str | None = None
    spoke: bool = False
    said: bool = False
    awaits_tool: bool = False
    hangs_up: bool = False

    @property
    def answers(self) -> bool:
        """Whether it answers the caller."""
        return isinstance(self.work, Unanswered | Answered)

    @property
    def from_text(self) -> bool:
        """Whether the client gave the words."""
        return isinstance(self.work, Recite) and self.work.from_text

    @property
    def occasion(self) -> Occasion | None:
        """Why the mind speaks unasked, if it does."""
        return self.work.occasion if isinstance(self.work, OnOccasion) else None


class Agenda:
    """One part that runs, and the work that waits for it to end."""

    def __init__(self) -> None:
        self.part: Part | None = None
        self._parts = 0
        self._waiting: deque[Waiting] = deque()

    @property
    def is_full(self) -> bool:
        """Whether too much waits already."""
        return len(self._waiting) >= MAX_WAITING

    @property
    def has_work(self) -> bool:
        """Whether something waits."""
        return bool(self._waiting)

    def includes(self, work: Waiting) -> bool:
        """Whether this is being done, or waits."""
        return work in self._waiting or (self.part is not None and self.part.work == work)

    def tool_answers(self) -> list[Answered]:
        """The answers of tools that wait to be told."""
        return [work for work in self._waiting if isinstance(work, Answered)]

    def running(self, number: int) -> Part | None:
        """Return the part that runs, if this is its number."""
        return self.part if self.part is not None and self.part.number == number else None

    def add(self, work: Waiting) -> None:
        """Do this after all that waits."""
        self._waiting.append(work)

    def add_next(self, work: Waiting) -> None:
        """Do this before all that waits: it belongs to the turn that runs."""
        self._waiting.appendleft(work)

    def keep(self, wanted: Callable[[Waiting], bool]) -> None:
        """Forget what waits and is not wanted any more."""
        self._waiting = deque(work for work in self._waiting if wanted(work))

    def begin_next(self) -> Part | None:
        """Make the next work the part that runs; None while one runs or nothing waits."""
        if self.part is not None or not self._waiting:
            return None
        self._parts += 1
        self.part = Part(self._parts, self._waiting.popleft())
        return self.part

    def end_part(self) -> bool:
        """Let no part run; tell whether one did."""
        ended, self.part = self.part is not None, None
        return ended
