"""The benchmark of operators who watch runs, and its figures make sense."""

import math

from benchmarks import watched_calls
from benchmarks.event_readers import Read
from benchmarks.watchers import not_told

CALLS = 11
"""So many that in some of them something is told at any time."""
SAID_BEFORE = {"one": {"caller_said": 1, "agent_said": 5}, "other": {"caller_said": 0}}
SAID = {"one": {"caller_said": 3, "agent_said": 6}, "other": {"caller_said": 1}}


async def test_calls_that_are_watched_are_measured_beside_those_that_are_not() -> None:
    measured = await watched_calls.measure(
        CALLS, seconds=0.6, rounds=1, warm_up_s=0.2, readers=CALLS, never_reading=2
    )

    unwatched, all_calls, one_each, recorded = measured.results
    assert measured.frames_lost == 0
    assert all(result.cpu_ms_per_call_s > 0 for result in measured.results)
    assert all_calls.heard_ms.p50 > 0  # there is a question each second: in the second turn
    assert all(result.lost == result.missed == 0 for result in measured.results)
    assert unwatched.times_unwatched == 1.0
    for watched in (all_calls, one_each):
        assert watched.messages_per_s >= watched.events_per_s > 0
    assert math.isnan(recorded.messages_per_s)
    assert "11, 11 watch all calls" in watched_calls.shown(measured)


def test_an_event_that_was_not_told_is_lost() -> None:
    read = Read(messages=2, size_bytes=200, events={"caller_said": 2}, interim=0, missed=0)

    assert not_told(read, ["one"], SAID, SAID_BEFORE) == 1
    assert not_told(read, ["one", "other"], SAID, SAID_BEFORE) == 2
    assert not_told(read, ["other"], SAID, SAID_BEFORE) == 0


def test_what_a_reader_was_told_to_have_missed_is_not_lost() -> None:
    read = Read(messages=3, size_bytes=300, events={"gap": 1, "snapshot": 1}, interim=0, missed=9)

    assert not_told(read, ["one"], SAID, SAID_BEFORE) == 0
