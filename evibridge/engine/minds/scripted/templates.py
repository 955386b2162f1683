"""Texts of a script with placeholders: `{slot}`, `{result.field}` and `{{variable}}`."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evibridge.errors import EngineSetupError

_SYMBOLS = re.compile(r"\{\{[^{}]*\}\}|\{[^{}]*\}|[^{}]+|[{}]")
_PLACEHOLDER = re.compile(r"\{ *([a-z][a-z0-9_]*(?:\.[A-Za-z0-9_-]+)*) *\}")
_VARIABLE = re.compile(r"\{\{ *([A-Za-z0-9_.-]+) *\}\}")


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A place in a text that is filled when it is spoken.

    Attributes:
        path: the name, and for a result the fields below it
        variable: it stands for a variable of the chat rather than for a slot of the script
    """

    path: tuple[str, ...]
    variable: bool = False


Lookup = Callable[[Placeholder], str | None]
"""Returns what stands for a placeholder, None when nothing is known."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with placeholders."""

    parts: tuple[str | Placeholder, ...]

    @classmethod
    def parse(cls, source: str) -> "Template":
        """Read the notation.

        Raises:
            EngineSetupError: the notation is wrong; the sentence says what to write
        """
        return cls(tuple(_part(symbol) for symbol in _SYMBOLS.findall(" ".join(source.split()))))

    def placeholders(self) -> frozenset[Placeholder]:
        """Return what has to be known for the text to be complete."""
        return frozenset(part for part in self.parts if isinstance(part, Placeholder))

    def fill(self, lookup: Lookup) -> str | None:
        """Return the text, None when a slot or result is unknown; unknown variables are empty."""
        texts = []
        for part in self.parts:
            text = part if isinstance(part, str) else lookup(part)
            if text is None and not (isinstance(part, Placeholder) and part.variable):
                return None
            texts.append(text or "")
        return "".join(texts).strip()

    def is_complete(self, lookup: Lookup) -> bool:
        """Tell whether everything that the text needs is known, variables included."""
        return all(lookup(placeholder) is not None for placeholder in self.placeholders())


def choose(variants: Sequence[Template], turn: int, lookup: Lookup) -> str | None:
    """Return one of several ways to say something.

    Of the variants that can be filled, those with the most placeholders are taken in turn: who
    gave a name is called by it. Variants that lack only variables of the chat stand back.

    Args:
        variants: in the order in which they are taken
        turn: how often there was a choice between these variants before
        lookup: tells what stands for a placeholder

    Returns:
        None when no variant can be said.
    """
    ranked: dict[tuple[bool, int], list[str]] = {}
    for variant in variants:
        text = variant.fill(lookup)
        if text:
            rank = variant.is_complete(lookup), len(variant.placeholders())
            ranked.setdefault(rank, []).append(text)
    if not ranked:
        return None
    best = ranked[max(ranked)]
    return best[turn % len(best)]


def _part(symbol: str) -> str | Placeholder:
    if not symbol.startswith(("{", "}")):
        return symbol
    if variable := _VARIABLE.fullmatch(symbol):
        return Placeholder((variable[1],), variable=True)
    if placeholder := _PLACEHOLDER.fullmatch(symbol):
        return Placeholder(tuple(placeholder[1].split(".")))
    raise EngineSetupError(
        f'"{symbol}" cannot be filled; write {{slot}}, {{result.field}} or {{{{variable}}}}'
    )
