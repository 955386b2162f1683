"""The path of whole calls is measured, all of it; how large a figure is, no test asks."""

import importlib
import json
import sys
from collections import Counter
from operator import attrgetter
from types import FrameType

import pytest

from benchmarks import hot_path
from benchmarks.in_process_calls import open_calls
from benchmarks.path_stages import OTHER, STAGES, stage_of
from benchmarks.talk import UTTERANCES, Kind, talk
from evibridge import events
from evibridge.events import CallEvent

SMALL = 200
"""Bytes; a chunk has 25 000."""


@pytest.mark.usefixtures("logging_is_undone")
def test_pieces_stages_memory_and_needs_of_the_path_come_out() -> None:
    path = hot_path.measure_here(calls=2, rounds=2, with_sockets_ms=3.0)

    pieces = {piece.name: piece for piece in path.pieces}
    assert set(pieces) == set(Kind)
    assert pieces[Kind.FRAME].per_call_s == 50
    assert pieces[Kind.CHUNK].per_call_s == 5
    assert 0.2 <= pieces[Kind.ECHO].per_call_s <= 2
    for piece in path.pieces:
        assert 0 < sum(piece.stages_us.values()) == pytest.approx(piece.us)
        assert piece.bytes_in_use > 0
    assert "48 to 8 kHz" in pieces[Kind.CHUNK].stages_us
    assert pieces[Kind.FRAME].bytes_kept == pytest.approx(0, abs=SMALL)
    assert pieces[Kind.CHUNK].bytes_kept == pytest.approx(0, abs=SMALL)
    assert len(path.collections) == 3

    assert len(path.needs) == 4
    total_us = 1000 * path.ms_per_call_s
    assert sum(piece.us_per_call_s for piece in path.pieces) == pytest.approx(total_us)
    for need in path.needs:
        assert 0 < need.us_per_call_s == pytest.approx(need.share * total_us)
        assert need.us_per_call_s == pytest.approx((need.share_with_sockets or 0) * 3000)
    assert sum(need.share for need in path.needs) < 1

    assert "| logs " in hot_path.shown(path)
    assert json.loads(json.dumps(hot_path.figures(path)))["pieces"][0]["stages_us"]


async def test_calls_take_all_that_is_said_in_them() -> None:
    told: list[CallEvent] = []
    async with open_calls(1, lambda _, event: told.append(event)) as calls:
        marks = 0
        for number in range(2):
            told.clear()
            for batch in calls.batches(talk(number * UTTERANCES)):
                batch.serve()
                marks += batch.kind is Kind.ECHO
        assert Counter(map(type, told)) == {
            events.AgentSaid: UTTERANCES,
            events.AgentHeard: UTTERANCES,
            events.AgentInterrupted: 1,
            events.CallerSaid: 8,
            events.TurnAnswered: 4,
        }
        heard = [event for event in told if isinstance(event, events.AgentHeard)]
        assert sum(event.sent_ms for event in heard) == pytest.approx(20_000, abs=400)
        assert marks > 2 * UTTERANCES


@pytest.mark.usefixtures("logging_is_undone")
async def test_every_stage_is_on_the_path() -> None:
    met: set[str | None] = set()

    def note(frame: FrameType, _what: str, _about: object) -> None:
        met.add(stage_of(frame.f_globals.get("__name__", ""), frame.f_code.co_qualname))

    async with open_calls(1) as calls:
        for batch in calls.batches(talk(0)):
            sys.setprofile(note)
            batch.serve()
            sys.setprofile(None)

    assert met - {None, OTHER} == set(STAGES) - {OTHER}


def test_the_functions_of_the_stages_exist() -> None:
    for functions in STAGES.values():
        for function in functions:
            module, _, name = function.partition(":")
            found = importlib.import_module(module)
            assert not name or attrgetter(name)(found)
