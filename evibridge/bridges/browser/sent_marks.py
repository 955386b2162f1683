"""Marks that a page was sent, and what may be believed of them.

A page says of each mark that the audio before it was played. It may be wrong, or lie: no mark is
believed that it was not sent, and none before the audio can have been played.
"""

from dataclasses import dataclass

SLACK_S = 0.1
"""A page's clock is not ours, and its first piece of audio may be there before we think so."""
MAX_SENT = 1000
"""A page that sends none back has the oldest forgotten; there are two a second at most."""


@dataclass(frozen=True, slots=True)
class SentMark:
    """A mark, and when the page can have played all the audio before it at the earliest."""

    name: str
    played_s: float


class SentMarks:
    """Those of one page. Time is an argument, in seconds."""

    def __init__(self) -> None:
        self._sent: dict[str, float] = {}
        self._early: dict[str, float] = {}
        self.forgotten = 0
        """Marks for which there was no room."""

    @property
    def wake_s(self) -> float | None:
        """When `take` has something to hand out, None if nothing waits."""
        return min(self._early.values(), default=None)

    def sent(self, mark: SentMark) -> None:
        """The page was sent a mark."""
        self._sent[mark.name] = mark.played_s - SLACK_S
        if len(self._sent) > MAX_SENT:
            self.forgotten += 1
            del self._sent[next(iter(self._sent))]

    def heard(self, name: str) -> None:
        """The page says that it has played all before this mark, which `take` may hand out."""
        due_s = self._sent.pop(name, None)
        if due_s is not None:
            self._early[name] = due_s

    def take(self, now_s: float) -> list[str]:
        """Take the marks that the page has told of, and that can have been played by now."""
        due = [name for name, due_s in self._early.items() if due_s <= now_s]
        for name in due:
            del self._early[name]
        return due

    def clear(self, now_s: float) -> None:
        """The page is told to drop what it has not played: each of its marks may come at once."""
        for marks in (self._sent, self._early):
            marks.update(dict.fromkeys(marks, now_s))
