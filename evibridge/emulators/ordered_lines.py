"""The lines of a conversation in order of time, though their texts become known in another order.

Pure: what an agent says takes its place when it begins and gets its text once that is recognised.
"""

from bisect import insort
from dataclasses import dataclass

MAX_HELD = 50
"""Lines that wait at a time; of more, the earliest that is complete overtakes."""


@dataclass(slots=True, eq=False)
class Line:
    """What somebody said, or what happened, at a point of the call."""

    at_ms: int
    who: str
    text: str | None = None
    """None until it is known."""


class OrderedLines:
    """Holds each line back until every earlier one is complete."""

    def __init__(self) -> None:
        self._held: list[Line] = []

    def put(self, at_ms: int, who: str, text: str | None = None) -> Line:
        """Give a line its place, behind those of the same time; its text may be set later."""
        line = Line(at_ms, who, text)
        insort(self._held, line, key=lambda held: held.at_ms)
        return line

    def take(self) -> list[Line]:
        """The lines whose turn has come since the last call."""
        taken: list[Line] = []
        has_to_wait = False
        for line in tuple(self._held):
            has_to_wait = has_to_wait or line.text is None
            if not has_to_wait or (line.text is not None and len(self._held) > MAX_HELD):
                taken.append(line)
                self._held.remove(line)
        return taken

    def take_rest(self) -> list[Line]:
        """All lines that are left, complete or not."""
        rest, self._held = self._held, []
        return rest
