"""Each command is done once, however often it is sent: a repetition gets the first answer."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

IDEMPOTENCY_KEY = "Idempotency-Key"
"""The header that names a command."""
MAX_KEY = 200
"""Characters of it."""
MAX_KEYS = 1000
"""Of one author, the newest."""
KEEP_S = 24 * 3600.0
"""Nobody is in doubt about a command for longer."""

Answer = TypeVar("Answer")


class Begin(Enum):
    """What becomes of a command that has no answer yet."""

    FIRST = "first"
    """It is to be done."""
    RUNNING = "running"
    """It is being done."""
    OTHER_BODY = "other_body"
    """Its key belongs to another command."""


@dataclass(slots=True)
class _Entry(Generic[Answer]):
    body: bytes
    begun_s: float
    answer: Answer | None = None


_Entries = OrderedDict[tuple[str, str], _Entry[Answer]]


class Idempotency(Generic[Answer]):
    """The commands that have come with a key, oldest first, and their answers."""

    def __init__(self) -> None:
        self._of_author: dict[str, _Entries[Answer]] = {}

    def knows(self, author: str, path: str, key: str, now_s: float) -> bool:
        """Tell whether a command has come before."""
        return (path, key) in self._entries(author, now_s)

    def begin(self, author: str, path: str, key: str, body: bytes, now_s: float) -> Begin | Answer:
        """Tell of a command.

        Args:
            author: name of the operator
            path: of the request; the same key at another one is another command
            key: the operator's name for this command
            body: of the request, or what stands for it; a repetition has the same
            now_s: monotonic time

        Returns:
            the answer to give again, or what to do without one
        """
        entries = self._entries(author, now_s)
        entry = entries.get((path, key))
        if entry is None:
            if len(entries) == MAX_KEYS:
                entries.popitem(last=False)
            entries[path, key] = _Entry(body, now_s)
            return Begin.FIRST
        if entry.body != body:
            return Begin.OTHER_BODY
        return Begin.RUNNING if entry.answer is None else entry.answer

    def finish(self, author: str, path: str, key: str, answer: Answer) -> None:
        """Keep the answer to a command that has begun."""
        entry = self._of_author.get(author, OrderedDict()).get((path, key))
        if entry is not None:
            entry.answer = answer

    def drop(self, author: str, path: str, key: str) -> None:
        """Forget a command that was not done."""
        self._of_author.get(author, OrderedDict()).pop((path, key), None)

    def _entries(self, author: str, now_s: float) -> _Entries[Answer]:
        entries = self._of_author.setdefault(author, OrderedDict())
        while entries and next(iter(entries.values())).begun_s + KEEP_S <= now_s:
            entries.popitem(last=False)
        return entries
