"""What becomes of readers that do not keep up, in virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from evibridge.events import AgentPaused, CallBegan, CallEnded, DigitPressed, EndReason
from evibridge.operators import event_backlog, event_reader, event_slow_readers
from tests.operators.event_stage import Stage, StuckSocket, long_sentence, said
from tests.virtual_clock import run_in_virtual_time

ENDED = CallEnded(EndReason.CALLER_HUNG_UP)
MOMENT_S = 1.0
"""Longer than anything lasts here, but for the patience with a reader that takes nothing."""


def in_virtual_time(scene: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(scene)
    def test() -> None:
        run_in_virtual_time(scene())

    return test


def digits(socket: StuckSocket) -> list[str]:
    return [each["digit"] for each in socket.sent if each["type"] == "digit_pressed"]


def press(stage: Stage, count: int) -> list[str]:
    keys = [str(number) for number in range(count)]
    for key in keys:
        stage.tell(DigitPressed(key))
    return keys


def make_slow(stage: Stage, *sockets: StuckSocket) -> None:
    """Have more unsent than may be."""
    for socket in sockets:
        socket.stop_taking()
    for number in range(2):
        stage.tell(long_sentence(number))


@in_virtual_time
async def test_what_waited_is_told_when_the_reader_reads_again() -> None:
    stage = Stage()
    socket = stage.watch_call()
    make_slow(stage, socket)
    keys = press(stage, 256)
    await asyncio.sleep(MOMENT_S)
    assert digits(socket) == []
    socket.take_all()
    await asyncio.sleep(MOMENT_S)
    stage.tell(AgentPaused())
    assert socket.types == [
        "snapshot",
        *2 * ["agent_said"],
        *256 * ["digit_pressed"],
        "agent_paused",
    ]
    assert digits(socket) == keys


@in_virtual_time
async def test_a_snapshot_takes_the_place_of_what_waited_when_it_is_too_much() -> None:
    stage = Stage()
    socket = stage.watch_call()
    make_slow(stage, socket)
    press(stage, 257)
    last = stage.tell(DigitPressed("#"))
    socket.take_all()
    await asyncio.sleep(MOMENT_S)
    stage.tell(AgentPaused())
    assert socket.types[3:] == ["gap", "snapshot", "agent_paused"]
    assert socket.sent[3] == {"type": "gap", "call_id": "CA1", "missed": 258}
    assert socket.sent[4]["seq"] == last.seq


@in_virtual_time
async def test_interim_transcripts_neither_wait_nor_are_missed() -> None:
    stage = Stage()
    socket = stage.watch_call()
    make_slow(stage, socket)
    for _ in range(300):
        stage.tell(said("Wh", interim=True))
    stage.tell(said("Where?"))
    socket.take_all()
    await asyncio.sleep(MOMENT_S)
    stage.tell(said("An", interim=True))
    assert [each["text"] for each in socket.sent if each["type"] == "caller_said"] == [
        "Where?",
        "An",
    ]
    assert "gap" not in socket.types


@in_virtual_time
async def test_events_wait_behind_those_that_wait_already() -> None:
    stage = Stage()
    socket = stage.watch_call()
    make_slow(stage, socket)
    stage.tell(DigitPressed("1"))
    socket.take_all()
    stage.tell(DigitPressed("2"))
    assert digits(socket) == []
    await asyncio.sleep(MOMENT_S)
    assert digits(socket) == ["1", "2"]


@in_virtual_time
async def test_levels_do_not_wait() -> None:
    stage = Stage()
    socket, quick = stage.watch_call("levels=true"), stage.watch_call("levels=true")
    make_slow(stage, socket)
    (sink,) = stage.level_sinks["CA1"]
    sink(0.5, 0.0)
    socket.take_all()
    sink(0.0, 0.5)
    levels = [
        [(each["caller"], each["agent"]) for each in each_of.sent if each["type"] == "levels"]
        for each_of in (socket, quick)
    ]
    assert levels == [[(0.0, 0.5)], [(0.5, 0.0), (0.0, 0.5)]]


@in_virtual_time
async def test_calls_that_changed_while_a_reader_was_slow_are_in_its_next_summaries() -> None:
    stage = Stage()
    socket, quick = stage.watch_all("summaries=true"), stage.watch_all("summaries=true")
    make_slow(stage, socket)
    await asyncio.sleep(MOMENT_S)
    stage.tell(CallBegan(), "CA2")
    await asyncio.sleep(MOMENT_S)
    assert changed_calls(socket) == []
    socket.take_all()
    await asyncio.sleep(MOMENT_S)
    assert changed_calls(socket) == [["CA1", "CA2"]]
    assert changed_calls(quick) == [["CA1"], ["CA2"]]


def changed_calls(socket: StuckSocket) -> list[list[str]]:
    messages = [each["calls"] for each in socket.sent if each["type"] == "summaries"]
    return [[call["call_id"] for call in calls] for calls in messages]


@in_virtual_time
async def test_summaries_come_twice_a_second_at_most() -> None:
    stage = Stage()
    sockets = [stage.watch_all("summaries=true") for _ in range(2)]
    for _ in range(21):
        stage.tell(AgentPaused())
        await asyncio.sleep(0.1)
    assert [socket.types.count("summaries") for socket in sockets] == [4, 4]


@in_virtual_time
async def test_a_call_that_is_not_known_any_more_has_no_summary() -> None:
    stage = Stage()
    socket = stage.watch_all("summaries=true")
    stage.tell(AgentPaused(), "CA9")
    await asyncio.sleep(MOMENT_S)
    assert changed_calls(socket) == [[]]


# The end


@in_virtual_time
async def test_a_reader_that_takes_nothing_for_a_minute_is_cut() -> None:
    stage = Stage()
    socket, patient = stage.watch_call(), stage.watch_call()
    make_slow(stage, socket, patient)
    stage.tell(AgentPaused())
    with capture_logs() as logs:
        for _ in range(3):
            await asyncio.sleep(40)
            patient.take(1)
    assert (socket.is_cut, patient.is_cut) == (True, False)
    assert [(each["event"], each["call_id"]) for each in logs] == [
        ("event_reader_takes_nothing", "CA1")
    ]


@in_virtual_time
async def test_a_reader_is_told_of_the_end_after_what_waited() -> None:
    stage = Stage()
    socket = stage.watch_call()
    make_slow(stage, socket)
    keys = press(stage, 3)
    stage.tell(ENDED)
    await asyncio.sleep(MOMENT_S)
    assert digits(socket) == []
    socket.take_all()
    await asyncio.sleep(MOMENT_S)
    assert digits(socket) == keys
    assert [socket.types[-1], socket.closed_with] == ["call_ended", 1000]


@in_virtual_time
async def test_a_reader_that_missed_the_end_is_told_of_it_by_the_snapshot() -> None:
    stage = Stage()
    socket = stage.watch_call()
    make_slow(stage, socket)
    press(stage, 256)
    stage.tell(ENDED)
    socket.take_all()
    await asyncio.sleep(MOMENT_S)
    assert socket.types[3:] == ["gap", "snapshot"]
    assert socket.closed_with == 1000


@in_virtual_time
async def test_a_reader_that_missed_a_call_for_good_is_told_so() -> None:
    stage = Stage()
    socket = stage.watch_call()
    make_slow(stage, socket)
    press(stage, 257)
    stage.forgotten.add("CA1")
    socket.take_all()
    await asyncio.sleep(MOMENT_S)
    assert (socket.types[3:], socket.closed_with) == (["gap"], 1000)


@in_virtual_time
async def test_a_reader_for_whom_nothing_can_be_told_is_cut_and_the_others_go_on() -> None:
    stage = Stage()
    broken, other = stage.watch_call(), stage.watch_call()
    make_slow(stage, broken)
    press(stage, 257)
    make_slow(stage, other)
    keys = press(stage, 2)
    stage.snapshots_fail = True
    broken.take_all()
    other.take_all()
    with capture_logs() as logs:
        await asyncio.sleep(MOMENT_S)
    assert (broken.is_cut, other.is_cut) == (True, False)
    assert digits(other)[-2:] == keys
    assert [each["event"] for each in logs] == ["event_reader_failed"]


def test_nothing_is_left_of_readers_that_are_gone() -> None:
    async def scene() -> None:
        stage = Stage()
        sockets = [
            *(stage.watch_call("levels=true") for _ in range(2)),
            *(stage.watch_all("summaries=true") for _ in range(2)),
        ]
        make_slow(stage, *sockets)
        stage.tell(AgentPaused())
        sent = [len(socket.sent) for socket in sockets]
        for socket in sockets:
            socket.hang_up()
        stage.tell(AgentPaused())
        assert stage.level_sinks["CA1"] == []
        assert [len(socket.sent) for socket in sockets] == sent
        await asyncio.Event().wait()

    # Virtual time cannot pass without a timer.
    with pytest.raises(RuntimeError, match="Everybody waits"):
        run_in_virtual_time(scene())


# Any order of things

FINAL, INTERIM, TAKES, WAITS = "final", "interim", "takes", "waits"
STEPS = st.one_of(
    st.tuples(st.sampled_from([FINAL, INTERIM]), st.integers(1, 4)),
    st.tuples(st.just(TAKES), st.integers(1, 400)),
    st.tuples(st.just(WAITS), st.integers(1, 3)),
)


@settings(deadline=None)
@given(before=st.integers(0, 8), returns=st.booleans(), steps=st.lists(STEPS, max_size=30))
def test_whatever_a_slow_reader_misses_is_counted_and_the_rest_is_told_in_order(
    before: int, returns: bool, steps: list[tuple[str, int]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_backlog, "MAX_WAITING", 3)
        patch.setattr(event_reader, "MAX_UNSENT_BYTES", 300)
        patch.setattr(event_reader, "MOST_AT_ONCE", 2)
        patch.setattr(event_slow_readers, "MOST_EVENTS", 2)
        run_in_virtual_time(_watch_slowly(before, returns, steps))


async def _watch_slowly(before: int, returns: bool, steps: list[tuple[str, int]]) -> None:
    stage = Stage()
    number = count()
    final = [stage.tell(DigitPressed(str(next(number)))).seq for _ in range(before)]
    told = [] if not returns else final[:]
    socket = stage.watch_call("since=0" if returns and before else "")
    socket.stop_taking()
    for what, much in steps:
        if what == TAKES:
            socket.take(much)
        elif what == WAITS:
            await asyncio.sleep(much * event_slow_readers.LOOK_AGAIN_S)
        elif what == INTERIM:
            stage.tell(said("Wh", interim=True))
        else:
            told += [stage.tell(DigitPressed(str(next(number)))).seq for _ in range(much)]
    socket.take_all()
    await asyncio.sleep(MOMENT_S)
    assert_complete(socket, told)
    assert not socket.is_cut


def assert_complete(socket: StuckSocket, told: list[int]) -> None:
    """Follow what was told, message by message."""
    place, last_seq, missed = 0, 0, 0
    for message in socket.sent:
        if message["type"] == "gap":
            missed = message["missed"]
            place += missed
            continue
        if message["type"] == "snapshot":
            assert missed > 0 or last_seq == 0
            assert message["seq"] >= last_seq
        else:
            assert missed == 0
            assert message["seq"] > last_seq
        if message["type"] == "digit_pressed":
            assert message["seq"] == told[place]
            place += 1
        last_seq, missed = message["seq"], 0
    assert place == len(told)
