"""Texts of others on a terminal: without what it would obey, and no wider than there is room."""

import json
import re
import textwrap
import unicodedata
from collections.abc import Iterator
from typing import Any

# Control characters move the cursor or colour what follows, those of the writing direction make a
# line read as another one, and half a surrogate pair cannot be printed.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
_MORE = "…"
_MIN_TEXT = 20
"""Columns for the text of a paragraph; a narrower terminal breaks the lines itself."""


def harmless(text: str) -> str:
    """A text as one line, in which a terminal finds nothing to obey."""
    return _HARMFUL.sub(_REPLACEMENT, " ".join(text.split()))


def json_text(value: Any) -> str:
    """A value as JSON for people and programs, in which a terminal finds nothing to obey."""
    lines = json.dumps(value, indent=2, ensure_ascii=False).split("\n")
    return "\n".join(_HARMFUL.sub(_escaped, line) for line in lines)


def columns(text: str) -> int:
    """How many columns of a terminal a line takes."""
    return sum(map(_width, text))


def beginning(text: str, width: int) -> str:
    """As much of a line as fits into so many columns, with a sign if there is more."""
    if columns(text) <= width:
        return text
    return "".join(_fitting(text, width - 1)) + _MORE


def ending(text: str, width: int) -> str:
    """The last of a line that fits into so many columns, with a sign if there is more."""
    if columns(text) <= width:
        return text
    return _MORE + "".join(_fitting(text[::-1], width - 1))[::-1]


def paragraph(head: str, text: str, width: int) -> str:
    """A text of some length, in so many columns, those that the head takes left free below it."""
    lines = textwrap.fill(
        text,
        max(width, len(head) + _MIN_TEXT),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_on_hyphens=False,
    )
    return lines or head


def heard_of(text: str, text_heard: str) -> str:
    """The agent's words, those that were not heard in brackets."""
    words, heard = text.split(), text_heard.split()
    if words[: len(heard)] != heard:
        return f"{text} [heard: {text_heard}]"
    unheard = words[len(heard) :]
    return " ".join((*heard, f"[not heard: {' '.join(unheard)}]") if unheard else words)


def _fitting(text: str, width: int) -> Iterator[str]:
    for character in text:
        width -= _width(character)
        if width < 0:
            return
        yield character


def _width(character: str) -> int:
    """Columns of a character: those of East Asia take two, and accents of their own none."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _escaped(harmful: re.Match[str]) -> str:
    # JSON has escaped what could stand outside of a string.
    return f"\\u{ord(harmful[0]):04x}"
