"""What was said in a call, each line with what its events tell: how it sounded, and what cut it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from evibridge.agent.conversation import MAX_TEXT, Line
from evibridge.events import (
    AgentHeard,
    AgentInterrupted,
    CallerSaid,
    CallEvent,
    OperatorSaid,
    TurnAnswered,
)
from evibridge.records.document import Score, Turn

MAX_SCORES = 5
"""Kept of an utterance, the strongest; its event has all of them, and EVI knows 48 expressions."""

_Said: TypeAlias = CallerSaid | OperatorSaid


def turns(lines: Sequence[Line], events: Sequence[CallEvent]) -> list[Turn]:
    """Return what was said in a call.

    Args:
        lines: of the whole call
        events: those that are kept, oldest first; of a long call the oldest are missing
    """
    said = _said(lines, events)
    callers = {
        number: place for number, (place, event) in said.items() if isinstance(event, CallerSaid)
    }
    responses = _responses(lines, events, callers)
    interrupted = _interrupted(events)
    return [
        _turn(
            line,
            said[number][1] if number in said else None,
            responses.get(number),
            was_interrupted=line.utterance_id in interrupted and line.text_heard != line.text,
        )
        for number, line in enumerate(lines)
    ]


def _turn(
    line: Line, said: _Said | None, response_ms: int | None, *, was_interrupted: bool
) -> Turn:
    by_caller = said if isinstance(said, CallerSaid) else None
    by_operator = said if isinstance(said, OperatorSaid) else None
    scores = None if by_caller is None else by_caller.scores
    return Turn(
        who=line.who,
        by=line.by,
        at_s=round(line.at_s, 3),
        text=line.text,
        text_heard=line.text_heard,
        utterance_id=line.utterance_id,
        sent_ms=round(line.sent_ms),
        heard_ms=round(line.heard_ms),
        was_interrupted=was_interrupted,
        response_ms=response_ms,
        is_typed=(by_caller is not None and by_caller.typed)
        or (by_operator is not None and not by_operator.is_spoken),
        scores=_strongest(scores) if scores else None,
        spoke_ms=None if by_caller is None else by_caller.spoke_ms,
    )


def _strongest(scores: Mapping[str, float]) -> list[Score]:
    strongest = sorted(scores.items(), key=lambda each: -each[1])[:MAX_SCORES]
    return [Score(name=name, score=score) for name, score in strongest]


def _said(lines: Sequence[Line], events: Sequence[CallEvent]) -> dict[int, tuple[int, _Said]]:
    """The event of what a person said by the line's number, and its place; some are forgotten."""
    of_text = defaultdict(list)
    for place, event in enumerate(events):
        if isinstance(event, CallerSaid | OperatorSaid) and not event.interim:
            by = event.by if isinstance(event, OperatorSaid) else None
            of_text[by, event.text[:MAX_TEXT]].append((place, event))
    said = {}
    for number in reversed(range(len(lines))):  # the oldest are those that may be forgotten
        line = lines[number]
        if line.who != "agent" and of_text[line.by, line.text]:
            said[number] = of_text[line.by, line.text].pop()
    return said


def _responses(
    lines: Sequence[Line], events: Sequence[CallEvent], places: Mapping[int, int]
) -> dict[int, int]:
    """How long the caller has waited for a line, in ms, by its number: the first after his own."""
    callers = sorted(places)
    said_at = [places[number] for number in callers]
    responses: dict[int, int] = {}
    for place, event in enumerate(events):
        before = bisect_left(said_at, place)
        if not isinstance(event, TurnAnswered) or not before:
            continue
        after = range(callers[before - 1] + 1, len(lines))
        answer = next((number for number in after if lines[number].who == "agent"), None)
        if answer is not None:
            responses.setdefault(answer, event.response_ms)
    return responses


def _interrupted(events: Sequence[CallEvent]) -> set[str]:
    """Ids of what was over when the agent was cut off: that is told right after their fates."""
    interrupted: set[str] = set()
    just_over: set[str] = set()
    for event in events:
        if isinstance(event, AgentHeard):
            just_over.add(event.utterance_id)
            continue
        if isinstance(event, AgentInterrupted):
            interrupted |= just_over
        just_over = set()
    return interrupted
