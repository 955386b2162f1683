"""When each side of a call spoke: for a picture of it, to a tenth of a second."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from evibridge.agent.conversation import MS_PER_CHARACTER
from evibridge.records.document import Turn

MAX_PAIRS = 60
"""Of one side; a picture of the whole call has no room for more."""
DECIMALS = 1

Pair = tuple[float, float]
"""Beginning and end, in seconds of the call."""


def callers_voice(turns: Sequence[Turn], lasts_s: float) -> list[Pair]:
    """When the caller spoke, at most `MAX_PAIRS` pairs in the order of time.

    Args:
        turns: of the call
        lasts_s: the call
    """
    return simplified(_of_caller(turns), lasts_s)


def agents_voice(turns: Sequence[Turn], lasts_s: float) -> list[Pair]:
    """When the caller heard the agent, or an operator in its place; as `callers_voice`."""
    return simplified(_of_agent(turns), lasts_s)


def simplified(spoken: Iterable[Pair], lasts_s: float, max_pairs: int = MAX_PAIRS) -> list[Pair]:
    """Put pairs in order, and bridge the shortest silences until there are few enough pairs.

    What is not within the call is cut off, and pairs that touch become one.
    """
    pairs: list[Pair] = []
    for pair in sorted(spoken):
        from_s, to_s = (round(min(max(0.0, at_s), lasts_s), DECIMALS) for at_s in pair)
        if pairs and from_s <= pairs[-1][1]:
            pairs[-1] = (pairs[-1][0], max(pairs[-1][1], to_s))
        elif from_s < to_s:
            pairs.append((from_s, to_s))
    return _bridged(pairs, max_pairs)


def _bridged(pairs: Sequence[Pair], max_pairs: int) -> list[Pair]:
    """The same, its shortest silences left out."""
    if len(pairs) <= max_pairs:
        return list(pairs)
    silences = [later[0] - earlier[1] for earlier, later in pairwise(pairs)]
    longest = sorted(range(len(silences)), key=silences.__getitem__, reverse=True)
    breaks = sorted(longest[: max_pairs - 1])
    begins = [0, *(place + 1 for place in breaks)]
    ends = [*breaks, len(pairs) - 1]
    return [(pairs[begin][0], pairs[end][1]) for begin, end in zip(begins, ends, strict=True)]


def _of_caller(turns: Iterable[Turn]) -> Iterator[Pair]:
    before_s = 0.0
    for turn in turns:
        if turn.who == "caller" and not turn.is_typed:
            yield _written_down(turn, before_s)
        before_s = turn.at_s


def _of_agent(turns: Iterable[Turn]) -> Iterator[Pair]:
    """One sentence waits for the other: they are announced before they are heard."""
    before_s = over_s = 0.0
    for turn in turns:
        if turn.who == "operator" and not turn.is_typed:
            yield _written_down(turn, before_s)
        elif turn.who != "caller":
            heard_s = _estimated_s(turn) if turn.who == "operator" else turn.heard_ms / 1000
            begin_s = max(over_s, turn.at_s)
            over_s = begin_s + heard_s
            yield begin_s, over_s
        before_s = turn.at_s


def _written_down(turn: Turn, before_s: float) -> Pair:
    """When somebody spoke whose words are known when they are over; not before the turn before."""
    if turn.spoke_ms is not None:
        return turn.at_s - turn.spoke_ms / 1000, turn.at_s
    return max(before_s, turn.at_s - _estimated_s(turn)), turn.at_s


def _estimated_s(turn: Turn) -> float:
    return len(turn.text) * MS_PER_CHARACTER / 1000
