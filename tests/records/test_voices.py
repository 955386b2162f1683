from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge import events
from evibridge.agent.conversation import Line
from evibridge.events import CallEvent
from evibridge.records.document import Turn
from evibridge.records.voices import MAX_PAIRS, Pair, agents_voice, callers_voice, simplified
from tests.records.calls import agent, caller, operator, record

LASTS_S = 100.0
TEN = "a" * 10
"""A text that takes 0.6 s if nobody has measured it."""


def turns(*lines: Line, told: tuple[CallEvent, ...] = ()) -> list[Turn]:
    return record("CA1", *((1.0, event) for event in told), lines=lines).turns


def heard(at_s: float, ms: int) -> Line:
    """A sentence of the agent that was heard for so long."""
    return Line("agent", at_s, "Hm.", "Hm.", "u1", 9000.0, float(ms))


# The caller


def test_the_caller_spoke_until_his_words_were_known() -> None:
    said = events.CallerSaid(TEN, interim=False, typed=False, spoke_ms=1400)
    assert callers_voice(turns(caller(5.0, TEN), told=(said,)), LASTS_S) == [(3.6, 5.0)]


def test_how_long_the_caller_spoke_is_estimated_if_the_server_does_not_tell() -> None:
    said = turns(caller(5.0, TEN), agent(6.0, "Hm."), caller(6.2, TEN))
    assert callers_voice(said, LASTS_S) == [(4.4, 5.0), (6.0, 6.2)]


def test_what_was_written_in_the_callers_place_was_not_spoken() -> None:
    typed = events.CallerSaid(TEN, interim=False, typed=True)
    assert callers_voice(turns(caller(5.0, TEN), told=(typed,)), LASTS_S) == []


# The agent


def test_the_agent_spoke_as_long_as_it_was_heard() -> None:
    assert agents_voice(turns(heard(5.0, 1500), caller(7.0, "Hm."), heard(8.0, 0)), LASTS_S) == [
        (5.0, 6.5)
    ]


def test_sentences_that_are_announced_together_are_heard_one_after_the_other() -> None:
    said = turns(heard(5.0, 1500), heard(5.1, 1000), heard(9.0, 500))
    assert agents_voice(said, LASTS_S) == [(5.0, 7.5), (9.0, 9.5)]


@pytest.mark.parametrize(("is_spoken", "pair"), [(True, (4.4, 5.0)), (False, (5.0, 5.6))])
def test_an_operator_speaks_on_the_agents_side(is_spoken: bool, pair: Pair) -> None:
    said = events.OperatorSaid(TEN, "ana", interim=False, is_spoken=is_spoken)
    lines = turns(heard(1.0, 500), operator(5.0, TEN), told=(said,))
    assert agents_voice(lines, LASTS_S) == [(1.0, 1.5), pair]
    assert callers_voice(lines, LASTS_S) == []


# Pairs


@pytest.mark.parametrize(
    ("spoken", "told"),
    [
        ([], []),
        ([(3.0, 4.0), (1.0, 2.0)], [(1.0, 2.0), (3.0, 4.0)]),
        ([(1.0, 3.0), (2.0, 4.0)], [(1.0, 4.0)]),
        ([(1.0, 4.0), (2.0, 3.0)], [(1.0, 4.0)]),
        ([(1.0, 2.0), (2.04, 3.0)], [(1.0, 3.0)]),
        ([(1.0, 1.04)], []),
        ([(-1.0, 1.0), (9.0, 11.0), (12.0, 13.0)], [(0.0, 1.0), (9.0, 10.0)]),
    ],
)
def test_pairs_are_in_order_within_the_call_and_do_not_touch(
    spoken: list[Pair], told: list[Pair]
) -> None:
    assert simplified(spoken, 10.0) == told


def test_the_shortest_silences_are_left_out_first() -> None:
    spoken = [(0.0, 1.0), (3.0, 4.0), (4.5, 5.0), (8.0, 9.0), (9.2, 9.5)]
    assert simplified(spoken, 10.0, 4) == [(0.0, 1.0), (3.0, 4.0), (4.5, 5.0), (8.0, 9.5)]
    assert simplified(spoken, 10.0, 3) == [(0.0, 1.0), (3.0, 5.0), (8.0, 9.5)]
    assert simplified(spoken, 10.0, 2) == [(0.0, 5.0), (8.0, 9.5)]
    assert simplified(spoken, 10.0, 1) == [(0.0, 9.5)]


TENTHS = st.integers(0, 3000).map(lambda tenths: tenths / 10)
SPOKEN = st.lists(st.tuples(TENTHS, TENTHS).map(lambda pair: (min(pair), max(pair))), max_size=200)


@given(SPOKEN, TENTHS, st.integers(1, MAX_PAIRS))
def test_however_people_speak_there_are_few_pairs_that_lose_nothing(
    spoken: list[Pair], lasts_s: float, max_pairs: int
) -> None:
    told = simplified(spoken, lasts_s, max_pairs)

    assert len(told) <= max_pairs
    assert all(0 <= from_s < to_s <= lasts_s for from_s, to_s in told)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(told))
    for from_s, to_s in spoken:
        if from_s < min(to_s, lasts_s):
            cut = (from_s, min(to_s, lasts_s))
            assert any(begin <= cut[0] and cut[1] <= end for begin, end in told)


@given(SPOKEN, st.integers(2, MAX_PAIRS))
def test_no_silence_is_left_out_that_is_longer_than_one_that_is_told(
    spoken: list[Pair], max_pairs: int
) -> None:
    exactly = simplified(spoken, 300.0, 999)
    told = simplified(spoken, 300.0, max_pairs)

    silences = {pair: pair[1] - pair[0] for pair in gaps(exactly)}
    kept = [silences[pair] for pair in gaps(told)]
    left_out = [silences[pair] for pair in gaps(exactly) if pair not in gaps(told)]
    assert len(told) == min(len(exactly), max_pairs)
    assert max(left_out, default=0.0) <= min(kept, default=300.0)


def gaps(pairs: list[Pair]) -> list[Pair]:
    return [(earlier[1], later[0]) for earlier, later in pairwise(pairs)]
