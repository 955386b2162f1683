"""What a Google-style docstring tells the model: the description and the `Args:` entries."""

import re
from dataclasses import dataclass

_SECTION = re.compile(r"(Args|Returns|Raises):\s*")
_ENTRY = re.compile(r"(?P<name>\w+)(?: ?\(.*?\))?:(?:\s+(?P<text>.*))?")


@dataclass(frozen=True, slots=True)
class ToolDocstring:
    """The two parts of a docstring that the model reads."""

    description: str
    """Everything before the first of `Args:`, `Returns:` and `Raises:`."""
    parameters: dict[str, str]
    """Parameter name -> its text on one line."""


def read_docstring(text: str) -> ToolDocstring:
    """Split a docstring whose indentation `inspect.getdoc` has already removed.

    A deeper line goes on with the entry above it. Any text is accepted: what does not look like a
    section belongs to the description.
    """
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if _SECTION.fullmatch(line)]
    description = "\n".join(lines[: starts[0]] if starts else lines).strip()
    parameters: dict[str, str] = {}
    for start in starts:
        if lines[start].startswith("Args:"):
            parameters |= _read_entries(lines[start + 1 :])
    return ToolDocstring(description, parameters)


def _read_entries(lines: list[str]) -> dict[str, str]:
    """Read `name: text` entries up to the first line that is not indented."""
    entries: dict[str, list[str]] = {}
    entry_indent: int | None = None
    current: list[str] = []
    for line in filter(str.strip, lines):
        words = line.strip()
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            break
        if entry_indent is None:
            entry_indent = indent
        entry = _ENTRY.fullmatch(words) if indent <= entry_indent else None
        if entry is None:
            current.append(words)
        else:
            current = entries[entry["name"]] = [entry["text"] or ""]
    return {name: " ".join(filter(None, parts)) for name, parts in entries.items()}
