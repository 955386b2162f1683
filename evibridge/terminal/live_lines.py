"""Lines that come one after the other, the last of which may change as long as it is not final."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TextIO

from evibridge.terminal_text import ending, paragraph

_BEGIN_AGAIN = "\r\x1b[K"
"""To the left, and erase the line."""


class Tone(Enum):
    """What the colour of a line means; its value is one of ANSI."""

    PLAIN = ""
    AGENT = "36"
    """The agent's voice."""
    NEEDED = "33"
    """A person is needed, or a figure is not as good as it should be."""
    BROKEN = "31"
    """Something is broken, or ends."""
    FAINT = "2"
    """Not final."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line.

    Attributes:
        head: columns before the text; what the text has no room for goes below it
        text: without anything that a terminal obeys
        is_interim: the next one of these replaces it, an empty one without a trace
    """

    head: str
    text: str
    tone: Tone = Tone.PLAIN
    is_interim: bool = False


class LiveLines:
    """Writes lines to a terminal, or to anything else, which gets no interim lines.

    Args:
        stream: is written to
        width: tells how many columns the terminal has; None if it is none
        has_colours: whether its user wants any
    """

    def __init__(
        self,
        stream: TextIO,
        width: Callable[[], int] | None = None,
        *,
        has_colours: bool = False,
    ) -> None:
        self._stream = stream
        self._width = width
        self._has_colours = has_colours
        self._interim: Line | None = None

    @property
    def takes_interim(self) -> bool:
        """Whether interim lines are shown."""
        return self._width is not None

    def show(self, line: Line) -> None:
        """Write a line; an interim one stays below those that come after it."""
        if self._width is None:
            if not line.is_interim:
                self._write(f"{line.head}{line.text}\n")
            return
        width = self._width()
        if line.is_interim:
            had_one, self._interim = self._interim is not None, line if line.text else None
            if had_one or self._interim is not None:
                self._write(_BEGIN_AGAIN + self._interim_text(width))
        else:
            begin = "" if self._interim is None else _BEGIN_AGAIN
            text = self._coloured(paragraph(line.head, line.text, width), line.tone)
            self._write(f"{begin}{text}\n{self._interim_text(width)}")

    def end(self) -> None:
        """No line comes any more, and what is not final will not be."""
        self.show(Line("", "", is_interim=True))

    def _interim_text(self, width: int) -> str:
        """The newest words, in one row: what has wrapped could not be replaced."""
        if self._interim is None:
            return ""
        text = self._interim.head + ending(
            self._interim.text, max(width - 1 - len(self._interim.head), 1)
        )
        return self._coloured(text, self._interim.tone)

    def _coloured(self, text: str, tone: Tone) -> str:
        if not self._has_colours or not tone.value:
            return text
        return f"\x1b[{tone.value}m{text}\x1b[0m"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def live_lines(stream: TextIO, environment: Mapping[str, str] = os.environ) -> LiveLines:
    """Find out what can be done with a stream.

    Args:
        stream: such as standard output
        environment: `NO_COLOR` and `TERM` stand in it
    """
    if not stream.isatty() or environment.get("TERM") == "dumb":
        return LiveLines(stream)
    return LiveLines(
        stream,
        lambda: shutil.get_terminal_size().columns,
        has_colours=not environment.get("NO_COLOR"),
    )
