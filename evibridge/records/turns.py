"""What was said in a call, each line with what its events tell: how it sounded, and what cut it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

from evibridge.agent.conversation import MAX_TEXT, Line
from evibridge.events import AgentHeard, AgentInterrupted, CallerSaid, CallEvent, TurnAnswered
from evibridge.records.document import Score, Turn

MAX_SCORES = 5
"""Kept of an utterance, the strongest; its event has all of them, and EVI knows 48 expressions."""


def turns(lines: Sequence[Line], events: Sequence[CallEvent]) -> list[Turn]:
    """Return what was said in a call.

    Args:
        lines: of the whole call
        events: those that are kept, oldest first; of a long call the oldest are missing
    """
    said = _said(lines, events)
    responses = _responses(lines, events, {number: place for number, (place, _) in said.items()})
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
    line: Line, said: CallerSaid | None, response_ms: int | None, *, was_interrupted: bool
) -> Turn:
    return Turn(
        who=line.who,
        at_s=round(line.at_s, 3),
        text=line.text,
        text_heard=line.text_heard,
        utterance_id=line.utterance_id,
        sent_ms=round(line.sent_ms),
        heard_ms=round(line.heard_ms),
        was_interrupted=was_interrupted,
        response_ms=response_ms,
        is_typed=said is not None and said.typed,
        scores=_strongest(said.scores) if said is not None and said.scores else None,
    )


def _strongest(scores: Mapping[str, float]) -> list[Score]:
    strongest = sorted(scores.items(), key=lambda each: -each[1])[:MAX_SCORES]
    return [Score(name=name, score=score) for name, score in strongest]


def _said(lines: Sequence[Line], events: Sequence[CallEvent]) -> dict[int, tuple[int, CallerSaid]]:
    """The event of each of the caller's lines, and its place; some of either may be forgotten."""
    of_text = defaultdict(list)
    for place, event in enumerate(events):
        if isinstance(event, CallerSaid) and not event.interim:
            of_text[event.text[:MAX_TEXT]].append((place, event))
    said = {}
    for number in reversed(range(len(lines))):  # the oldest are those that may be forgotten
        if lines[number].who == "caller" and of_text[lines[number].text]:
            said[number] = of_text[lines[number].text].pop()
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
