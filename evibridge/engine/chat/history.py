"""What was said in a chat and in the earlier chats of its group, as a mind is told of it. Pure."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from evibridge.engine.minds.mind import HistoryEntry, ToolUse

MAX_CHARACTERS = 200_000
"""Some three hours of talk; beyond it the oldest entries are forgotten."""
LINE_CHARACTERS = 20
"""What a line counts beside its text, so that empty ones are bounded too."""


@dataclass(slots=True)
class _Line:
    role: Literal["user", "assistant", "tool"]
    content: str
    number: int
    segment_id: str | None = None
    tool: ToolUse | None = None

    @property
    def weight(self) -> int:
        arguments = len(str(self.tool.arguments)) if self.tool else 0
        return LINE_CHARACTERS + len(self.content) + arguments


class History:
    """Lines in the order they were said; the agent's are kept sentence by sentence."""

    def __init__(self) -> None:
        self._lines: deque[_Line] = deque()
        self._characters = 0
        self._added = 0

    def add_user(self, text: str) -> None:
        """The caller said or typed something."""
        self._add("user", text)

    def add_tool(self, use: ToolUse, result: str) -> None:
        """A tool has answered; an empty result is a failure without a word."""
        self._add("tool", result, tool=use)

    def add_sentence(self, segment_id: str, text: str) -> None:
        """The agent says a sentence."""
        self._add("assistant", text, segment_id=segment_id)

    def keep_heard(self, heard: Mapping[str, str]) -> None:
        """Shorten sentences, named by segment, to the words that reached the caller."""
        for line in self._lines:
            if line.segment_id is not None:
                line.content = heard.get(line.segment_id, line.content)
        self._lines = deque(line for line in self._lines if line.content or not line.segment_id)
        self._characters = sum(line.weight for line in self._lines)

    @property
    def awaits_answer(self) -> bool:
        """Whether the last words are the caller's."""
        return bool(self._lines) and self._lines[-1].role == "user"

    def place_of_last(self, count: int) -> int:
        """Where the last lines begin: EVI bounds what a resumed chat remembers."""
        if count < len(self._lines):
            return self._lines[-count].number if count else self._added
        return 0

    def entries(self, since: int = 0) -> list[HistoryEntry]:
        """The history for a prompt; neighbouring sentences of the agent are one entry.

        Args:
            since: a place of `place_of_last`
        """
        entries: list[HistoryEntry] = []
        for line in self._lines:
            if line.number < since:
                continue
            if line.role == "assistant" and entries and entries[-1].role == "assistant":
                joined = f"{entries[-1].content} {line.content}"
                entries[-1] = HistoryEntry("assistant", joined)
            else:
                entries.append(HistoryEntry(line.role, line.content, line.tool))
        return entries

    def _add(
        self,
        role: Literal["user", "assistant", "tool"],
        content: str,
        *,
        segment_id: str | None = None,
        tool: ToolUse | None = None,
    ) -> None:
        line = _Line(role, content, self._added, segment_id, tool)
        self._added += 1
        self._lines.append(line)
        self._characters += line.weight
        while self._characters > MAX_CHARACTERS and len(self._lines) > 1:
            self._characters -= self._lines.popleft().weight
