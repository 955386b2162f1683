"""The notation for what callers say: words, alternatives and slots.

where is (my|the|) (order|parcel) {order_id:number}
"""

import itertools
import math
import re
from dataclasses import dataclass

from evibridge.engine.minds.scripted.alignment import Match, Part, Slot, match_form
from evibridge.engine.minds.scripted.utterance import SLOT_KINDS, SlotKind, Utterance
from evibridge.engine.minds.scripted.words import words_of
from evibridge.errors import EngineSetupError

MAX_FORMS = 64
"""Ways to say one phrase; more are better written as several phrases."""

MAX_PARTS = 30
"""Words and slots of one phrase; callers take a breath earlier."""

_SYMBOLS = re.compile(r"[()|]|\{[^{}]*\}|[^(){}|]+|[{}]")
_SLOT = re.compile(r"\{ *([a-z][a-z0-9_]*) *: *([a-z]+) *\}")

_Form = tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Phrase:
    """One way to put something, with its alternatives written out.

    Attributes:
        forms: each a row of words and slots
    """

    forms: tuple[_Form, ...]

    @classmethod
    def parse(cls, source: str) -> "Phrase":
        """Read the notation.

        Raises:
            EngineSetupError: the notation is wrong; the sentence says what to write
        """
        groups = _groups(source)
        ways = math.prod(len(group) for group in groups)
        if ways > MAX_FORMS:
            raise EngineSetupError(
                f'"{source}" can be said in {ways} ways; '
                f"write several phrases of at most {MAX_FORMS} ways each"
            )
        forms = tuple(tuple(itertools.chain(*choice)) for choice in itertools.product(*groups))
        for form in forms:
            _check(form, source)
        return cls(forms)

    def slots(self) -> dict[str, SlotKind]:
        """Return the kinds of the slots by name."""
        return {
            part.name: part.kind for form in self.forms for part in form if isinstance(part, Slot)
        }

    def match(self, utterance: Utterance) -> Match | None:
        """Return how the phrase was heard, None when it was not."""
        matches = [match for form in self.forms if (match := match_form(form, utterance))]
        return max(matches, key=lambda match: match.score, default=None)


def _groups(source: str) -> list[list[_Form]]:
    """Split a phrase into what is said one after the other, each with its alternatives."""
    groups: list[list[_Form]] = []
    inside = False
    for symbol in _SYMBOLS.findall(source):
        if symbol == "(" and not inside:
            inside = True
            groups.append([()])
        elif symbol == "|" and inside:
            groups[-1].append(())
        elif symbol == ")" and inside:
            inside = False
        elif symbol in ("(", "|", ")"):
            raise EngineSetupError(
                f'"{source}" has a "{symbol}" out of place; '
                "write alternatives as (one|other), without parentheses inside"
            )
        elif inside:
            groups[-1][-1] += _parts(symbol, source)
        else:
            groups.append([_parts(symbol, source)])
    if inside:
        raise EngineSetupError(f'"{source}" lacks a ")"; write alternatives as (one|other)')
    return groups


def _parts(symbol: str, source: str) -> _Form:
    if not symbol.startswith(("{", "}")):
        return tuple(word.text for word in words_of(symbol))
    if slot := _SLOT.fullmatch(symbol):
        for kind in SLOT_KINDS:
            if kind == slot[2]:
                return (Slot(slot[1], kind),)
    raise EngineSetupError(
        f'"{source}" has a slot that cannot be read; write {{name:kind}}, '
        f"the name in lower case, the kind one of {', '.join(SLOT_KINDS)}"
    )


def _check(form: _Form, source: str) -> None:
    names = [part.name for part in form if isinstance(part, Slot)]
    if not form:
        raise EngineSetupError(f'"{source}" may be silence; write at least one word to be heard')
    if len(form) > MAX_PARTS:
        raise EngineSetupError(f'"{source}" is too long; write at most {MAX_PARTS} words')
    if len(names) > len(set(names)):
        raise EngineSetupError(f'"{source}" has the same slot twice; give each its own name')
