"""What tool calls were answered, so that one that comes again is not run again.

A tool call may come twice: the server asks again on a resumed chat, or the same call comes by
another path. Its id is the same each time.
"""

from collections import OrderedDict
from typing import Protocol

from evibridge.agent.tool_desk import Answer

MAX_ANSWERS = 2048
"""An answer is a sentence or two, and a repeated call comes within the same conversation."""


class ToolJournal(Protocol):
    """Keeps the answer of each tool call. What is recorded stays."""

    async def recall(self, call_id: str, tool_call_id: str) -> Answer | None:
        """The answer of a tool call, None if it has none yet."""

    def record(self, call_id: str, answer: Answer) -> None:
        """A tool call was answered; a second answer to the same is not kept."""


class MemoryJournal:
    """The journal of one process.

    Args:
        max_answers: kept, of all calls together; the oldest are forgotten
    """

    def __init__(self, max_answers: int = MAX_ANSWERS) -> None:
        self._max_answers = max_answers
        self._answers: OrderedDict[tuple[str, str], Answer] = OrderedDict()

    async def recall(self, call_id: str, tool_call_id: str) -> Answer | None:
        """The answer of a tool call, None if it has none yet."""
        return self._answers.get((call_id, tool_call_id))

    def record(self, call_id: str, answer: Answer) -> None:
        """A tool call was answered; a second answer to the same is not kept."""
        self._answers.setdefault((call_id, answer.tool_call_id), answer)
        while len(self._answers) > self._max_answers:
            self._answers.popitem(last=False)
