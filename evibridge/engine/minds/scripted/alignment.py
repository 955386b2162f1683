"""Laying one form of a phrase along an utterance.

The words of a form have to be heard in its order. Each word that is heard earns points; the form
is heard when it earns two thirds of the points it could earn, where strange words that stand
inside it count as points it could have earned. Finding the best alignment of two rows of words
takes a time bounded by their lengths, whatever the words are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evibridge.engine.minds.scripted.utterance import (
    LIGHT_POINTS,
    SUBJECT_POINTS,
    SlotKind,
    Utterance,
)
from evibridge.engine.minds.scripted.words import is_light

# A number is a strong sign by itself. The other slots take whatever is there, so they prove
# little, and a form that spells words out wins over one that catches them in a slot.
_NUMBER_POINTS = 3
_SLOT_POINTS = 1


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a form that catches what was said there."""

    name: str
    kind: SlotKind


Part = str | Slot


@dataclass(frozen=True, slots=True)
class Match:
    """A form that was heard.

    Attributes:
        slots: what was caught; a slot that caught nothing is absent
        score: points, times the share of the possible points; comparable between forms
        outright: the form was heard in full, and what was said besides is a third at most
    """

    slots: dict[str, str]
    score: float
    outright: bool


def match_form(form: Sequence[Part], utterance: Utterance) -> Match | None:
    """Return how a form was heard, None when it was not."""
    possible = sum(_points(part) for part in form)
    if not _enough(sum(_at_best(part, utterance) for part in form), possible):
        return None
    found = _Alignment(form, utterance).best()
    if not _enough(found.points, possible + found.strange):
        return None
    complete = found.points == possible
    outright = complete and _enough(found.explained, utterance.points(0, len(utterance)))
    # Light words alone ("what are you") say something only together, and a form of slots
    # alone ("{order_id:number}") is the whole of what is said: not any sentence with a number.
    if not (found.subject or complete) or not (outright or any(map(_is_word, form))):
        return None
    score = found.points**2 / (possible + found.strange)
    return Match(slots=dict(found.slots), score=score, outright=outright)


def _is_word(part: Part) -> bool:
    return isinstance(part, str)


def _enough(points: int, possible: int) -> bool:
    return 3 * points >= 2 * possible


def _points(part: Part) -> int:
    if isinstance(part, Slot):
        return _NUMBER_POINTS if part.kind == "number" else _SLOT_POINTS
    return LIGHT_POINTS if is_light(part) else SUBJECT_POINTS


def _at_best(part: Part, utterance: Utterance) -> int:
    """Return the points that a part earns if it is heard anywhere: most forms fail here."""
    if isinstance(part, str):
        return max((span.points for span in utterance.heard(part)), default=0)
    if part.kind == "number" and not utterance.has_number():
        return 0
    return _points(part)


class _Path(NamedTuple):
    """An alignment from some part and some word on.

    Attributes:
        points: earned by the parts that are heard
        strange: points of words of subject that stand between them
        explained: points of the words of subject that were heard, those in slots included
        subject: a word of subject or a number is among the parts that are heard
        slots: name and content of each slot that caught something
    """

    points: int = 0
    strange: int = 0
    explained: int = 0
    subject: bool = False
    slots: tuple[tuple[str, str], ...] = ()

    @property
    def margin(self) -> int:
        """By how much the path passes the two-thirds test, up to a constant of the form."""
        return 3 * self.points - 2 * self.strange


_END = _Path()


class _Alignment:
    """The alignment of a form with an utterance that passes the test by the widest margin.

    `_rest(part, word, begun, touching)` is the best path of the parts from `part` on along the
    words from `word` on. `begun`: a part was heard before, so that a skipped word is a strange
    one. `touching`: the part before ends here, or the utterance begins here; only then may a slot
    that takes any words begin.
    """

    def __init__(self, form: Sequence[Part], utterance: Utterance) -> None:
        self._form, self._utterance = form, utterance
        self._known: dict[tuple[int, int, bool, bool], _Path] = {}

    def best(self) -> _Path:
        return self._rest(0, 0, begun=False, touching=True)

    def _rest(self, part: int, word: int, *, begun: bool, touching: bool) -> _Path:
        if part == len(self._form) or word == len(self._utterance):
            return _END
        key = part, word, begun, touching
        if key not in self._known:
            paths = [
                *self._hear(part, word, touching=touching),
                *self._skip(part, word, begun=begun, touching=touching),
            ]
            self._known[key] = max(paths, key=lambda path: path.margin)
        return self._known[key]

    def _skip(self, part: int, word: int, *, begun: bool, touching: bool) -> Iterator[_Path]:
        yield _END
        heard = self._form[part]
        light = isinstance(heard, str) and is_light(heard)
        yield self._rest(part + 1, word, begun=begun, touching=touching and light)
        if not begun:
            yield self._rest(part, word + 1, begun=False, touching=False)
            return
        strange = self._utterance.points(word, word + 1)
        # One word instead of another: only what it weighs more is strange.
        path = self._rest(part + 1, word + 1, begun=True, touching=False)
        yield path._replace(strange=path.strange + max(0, strange - _points(heard)))
        path = self._rest(part, word + 1, begun=True, touching=False)
        yield path._replace(strange=path.strange + strange)

    def _hear(self, part: int, word: int, *, touching: bool) -> Iterator[_Path]:
        heard = self._form[part]
        if isinstance(heard, str):
            for span in self._utterance.heard(heard):
                if span.begin == word:
                    path = self._extend(part, word, span.end, span.points)
                    yield path._replace(subject=path.subject or not is_light(heard))
        elif heard.kind == "number":
            number = self._utterance.number_at(word)
            if number is not None:
                path = self._extend(part, word, number.end, _NUMBER_POINTS)
                caught = ((heard.name, number.digits), *path.slots)
                yield path._replace(subject=True, slots=caught)
        elif touching:
            for end in self._slot_ends(part, word, heard.kind):
                # "It" and "that" mean what was caught before.
                if not self._utterance.points(word, end):
                    continue
                path = self._extend(part, word, end, _SLOT_POINTS)
                read = self._utterance.name if heard.kind == "name" else self._utterance.written
                yield path._replace(slots=((heard.name, read(word, end)), *path.slots))

    def _extend(self, part: int, begin: int, end: int, points: int) -> _Path:
        path = self._rest(part + 1, end, begun=True, touching=True)
        return path._replace(
            points=path.points + points,
            explained=path.explained + self._utterance.points(begin, end),
        )

    def _slot_ends(self, part: int, begin: int, kind: SlotKind) -> Iterator[int]:
        """Yield where a slot may end; of equally good paths the first is taken."""
        if kind == "word":
            yield begin + 1
        elif kind == "name":
            yield from range(self._utterance.name_end(begin), begin, -1)
        else:
            yield from (
                end for end in range(begin + 1, len(self._utterance)) if self._begins(part + 1, end)
            )
            yield len(self._utterance)

    def _begins(self, part: int, word: int) -> bool:
        """Tell whether a part is heard at a word, which ends the text before it."""
        if part == len(self._form):
            return False
        heard = self._form[part]
        if isinstance(heard, str):
            return any(span.begin == word for span in self._utterance.heard(heard))
        return heard.kind == "number" and self._utterance.number_at(word) is not None
