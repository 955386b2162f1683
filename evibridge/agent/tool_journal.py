"""What tool calls were answered, so that one that comes again is not run again.

A tool call may come twice: the server asks again on a resumed chat, or the same call comes by
another path. Its id is the same each time.
"""

from collections import defaultdict
from typing import Protocol

from evibridge.agent.tool_desk import Answer

MAX_ANSWERS = 64
"""Of a call, the newest: a tool call that comes again does so within minutes."""


class ToolJournal(Protocol):
    """Keeps the answer of each tool call, as long as the telephone call lasts."""

    async def recall(self, call_id: str, tool_call_id: str) -> Answer | None:
        """The answer of a tool call, None if it has none yet."""

    def record(self, call_id: str, answer: Answer) -> None:
        """A tool call was answered."""

    def forget(self, call_id: str) -> None:
        """The telephone call is over."""


class MemoryJournal:
    """The journal of one process."""

    def __init__(self) -> None:
        self._answers: defaultdict[str, dict[str, Answer]] = defaultdict(dict)

    async def recall(self, call_id: str, tool_call_id: str) -> Answer | None:
        """The answer of a tool call, None if it has none yet."""
        return self._answers.get(call_id, {}).get(tool_call_id)

    def record(self, call_id: str, answer: Answer) -> None:
        """A tool call was answered."""
        answers = self._answers[call_id]
        answers.pop(answer.tool_call_id, None)
        answers[answer.tool_call_id] = answer
        while len(answers) > MAX_ANSWERS:
            del answers[next(iter(answers))]

    def forget(self, call_id: str) -> None:
        """The telephone call is over."""
        self._answers.pop(call_id, None)
