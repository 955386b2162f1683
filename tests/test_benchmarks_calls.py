"""What the benchmark of calls makes of its measurements: pure, but for one short ramp."""

import argparse
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest

from benchmarks import chart, ramp
from benchmarks.call_figures import Cost, Percentiles, Result
from benchmarks.calls_per_core import measure_ramp
from benchmarks.evi_stand_in import frame_in
from benchmarks.heard import CallersReport, Ear, in_whole_frames
from benchmarks.other_bridge import (
    OtherBridge,
    ProcessTree,
    listening_sockets,
    processes_that_have,
)
from benchmarks.processes import Cores, free_port, serving
from benchmarks.ramp import Knee, Outcome, Ramp, climb, judge
from benchmarks.report import numbers_only
from benchmarks.service_metrics import LAG, Bound, Histogram
from benchmarks.sound import LOUD, sound
from benchmarks.turns import (
    BRIDGE,
    FLOOR,
    NO_BRIDGE,
    UnderTest,
    lost_ms,
    warn_of_other_cores,
)
from benchmarks.webhooks import Stream, stream_in

# The knee


async def test_calls_are_measured_in_a_ramp_beside_the_floor_and_without_a_bridge() -> None:
    port = free_port()
    evi_url = f"http://127.0.0.1:{port}"
    command = f"-m benchmarks.handwritten_bridge --evi-url {evi_url} --config-id other"
    async with serving(command.split(), Cores.divided().under_test) as server:
        other = OtherBridge("other", "stream", server.origin)
        measured = await measure_ramp(
            [2], rounds=1, turn_s=1.0, warm_up_s=0.2, also=[other], evi_port=port
        )

    results = [step.result for step in measured.steps]
    assert [result.program for result in results] == [NO_BRIDGE, FLOOR, BRIDGE, "other"]
    without, floor, *bridges = results
    assert math.isnan(without.cost.cpu_ms_per_call_s)
    assert floor.cost.times_floor == 1.0
    for bridge in bridges:
        assert bridge.cost.cpu_ms_per_call_s > 0
        assert bridge.frames_lost == floor.frames_lost == 0
        assert bridge.heard_ms.p50 > 0
    assert bridges[0].loop_lag_p99 is not None
    assert {knee.program for knee in measured.knees} == {FLOOR, BRIDGE, "other"}
    assert "2, evibridge" in ramp.shown(measured)
    figures = numbers_only({"added_p99_bar_ms": 50.0, **_as_json(measured)})
    ET.fromstring(chart.svg(figures, {"cpu": "a core", "date": "today"}))


async def test_who_fails_drops_out_and_the_others_go_on() -> None:
    asked = []

    async def step(calls: int, programs: Sequence[str]) -> list[Result]:
        asked.append((calls, tuple(programs)))
        carried = {FLOOR: 100, BRIDGE: 50}
        return [
            result_of(NO_BRIDGE, calls),
            *(result_of(each, calls, lost=calls > carried[each]) for each in programs),
        ]

    measured = await climb(step, [FLOOR, BRIDGE], [50, 100, 150, 200])

    assert measured.knees == [
        Knee(BRIDGE, 50, is_at_least=False, why="100 lost 1 frames"),
        Knee(FLOOR, 100, is_at_least=False, why="150 lost 1 frames"),
    ]
    assert asked == [
        (50, (FLOOR, BRIDGE)),
        (100, (FLOOR, BRIDGE)),
        (100, (BRIDGE,)),
        (150, (FLOOR,)),
        (150, (FLOOR,)),
    ]


async def test_a_stall_that_does_not_come_again_is_none_of_the_programs() -> None:
    stalls = iter([True, False])

    async def step(calls: int, programs: Sequence[str]) -> list[Result]:
        added_ms = 80.0 if next(stalls) else 4.0
        return [
            result_of(NO_BRIDGE, calls),
            *(result_of(each, calls, added_p99_ms=added_ms) for each in programs),
        ]

    measured = await climb(step, [BRIDGE], [50])

    assert [(each.outcome, each.tries) for each in measured.steps] == [
        (Outcome.HELD, 1),
        (Outcome.HELD, 2),
    ]
    assert measured.knees == [Knee(BRIDGE, 50, is_at_least=True, why="no more than 50 tried")]


async def test_callers_who_cannot_go_on_end_the_ramp_without_a_verdict() -> None:
    async def step(calls: int, programs: Sequence[str]) -> list[Result]:
        late_ms = 30.0 if calls > 50 else 1.0
        return [result_of(each, calls, late_ms=late_ms) for each in (NO_BRIDGE, *programs)]

    measured = await climb(step, [BRIDGE], [50, 100, 150])

    [knee] = measured.knees
    assert (knee.calls, knee.is_at_least) == (50, True)
    assert "evibridge: at least 50 (the callers themselves were 30 ms late" in ramp.shown(measured)


def test_callers_whose_core_is_full_say_so() -> None:
    full = result_of(NO_BRIDGE, 50, load=0.99)

    judged = judge([full, result_of(BRIDGE, 50)])

    assert [each.why for each in judged] == ["the callers' own core was full at 50"] * 2


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({}, Outcome.HELD),
        ({"added_p99_ms": 49.0}, Outcome.HELD),
        ({"added_p99_ms": 51.0}, Outcome.FAILED),
        ({"added_p99_ms": math.nan}, Outcome.FAILED),
        ({"lost": True}, Outcome.FAILED),
        ({"fault": "refused"}, Outcome.FAILED),
        ({"added_p99_ms": 51.0, "late_ms": 11.0}, Outcome.UNKNOWN),
        ({"added_p99_ms": 51.0, "load": 0.99}, Outcome.UNKNOWN),
        ({"added_p99_ms": 51.0, "disturbed": 0.3}, Outcome.UNKNOWN),
        ({"late_ms": 11.0, "disturbed": 0.3}, Outcome.HELD),
    ],
)
def test_a_program_is_judged(result: dict[str, object], outcome: Outcome) -> None:
    judged = judge([result_of(NO_BRIDGE, 50), result_of(BRIDGE, 50, **result)])  # type: ignore[arg-type]

    assert [each.outcome for each in judged] == [Outcome.HELD, outcome]


def test_answers_that_are_late_without_a_bridge_leave_everything_open() -> None:
    without = result_of(NO_BRIDGE, 50, heard_p99_ms=12.0)

    judged = judge([without, result_of(BRIDGE, 50)])

    assert [each.outcome for each in judged] == [Outcome.UNKNOWN, Outcome.UNKNOWN]


# What is counted


def test_lost_audio_is_counted_in_both_directions() -> None:
    report = CallersReport(
        said_ms=1000, owed_ms=1000, heard_ms=940, answers_heard_after_ms=[], late_p99_ms=0.0
    )

    assert lost_ms(report, {"heard_ms": 980, "said_ms": 960}) == 20 + 20
    assert lost_ms(report, {"heard_ms": 1000, "said_ms": 900}) == 0
    assert lost_ms(report, None) == 60


@pytest.mark.parametrize(("audio_ms", "whole_ms"), [(0, 0), (0.1, 20), (197, 200), (200, 200)])
def test_what_a_filter_holds_back_is_not_lost(audio_ms: float, whole_ms: int) -> None:
    assert in_whole_frames(audio_ms) == whole_ms


def test_audio_that_nobody_listens_to_delays_what_follows_it() -> None:
    ear = Ear(LOUD // 2)
    ear.play(200.0, 1.0)
    ear.ask(1.1)
    was_waiting = ear.is_waiting
    ear.hear(sound(20, 8_000, loud=True), 8_000, 1.15)

    assert ear.waited_ms == [pytest.approx(100.0)]
    assert (was_waiting, ear.is_waiting) == (True, False)
    assert ear.audio_ms == 220.0


def test_only_audio_is_a_frame() -> None:
    frame = frame_in(b'{"type": "audio_input", "data": "AAD/fw=="}')

    assert frame is not None
    assert frame.is_loud
    assert frame.pcm16 == b"\x00\x00\xff\x7f"
    assert frame_in(b'{"type":"session_settings"}') is None


PAGE = """
# TYPE evibridge_event_loop_lag_seconds histogram
evibridge_event_loop_lag_seconds_bucket{le="0.001"} 90.0
evibridge_event_loop_lag_seconds_bucket{le="0.01"} 99.0
evibridge_event_loop_lag_seconds_bucket{le="+Inf"} 100.0
evibridge_event_loop_lag_seconds_count 100.0
evibridge_event_loop_lag_seconds_sum 1.0
"""


def test_a_percentile_is_bounded_by_the_bucket_that_holds_it() -> None:
    lag = Histogram.read(PAGE, LAG)

    assert str(lag.bound(0.9)) == "<= 1"
    assert str(lag.bound(0.99)) == "<= 10"
    assert str(lag.bound(1.0)) == "> 10"


def test_only_what_came_between_two_looks_counts() -> None:
    before = Histogram({0.001: 90.0, 0.01: 90.0, math.inf: 91.0})
    since = Histogram.read(PAGE, LAG).less(before)

    assert since.bound(1.0) == Bound(10.0)
    assert since.plus(since).up_to == {0.001: 0.0, 0.01: 18.0, math.inf: 18.0}
    assert str(since.less(since).bound(0.99)) == "0"


def test_a_page_without_the_histogram_bounds_nothing() -> None:
    nothing = Histogram.read("", LAG)

    assert nothing.less(nothing).bound(0.99) is None


# Bridges that somebody else runs


def test_another_bridge_is_named_with_its_way_and_its_address() -> None:
    bridge = OtherBridge.parse("plain=twilio=http://127.0.0.1:9000/voice?a=b")

    assert bridge == OtherBridge("plain", "twilio", "http://127.0.0.1:9000/voice?a=b")
    assert bridge.address == "twilio=http://127.0.0.1:9000/voice?a=b"


@pytest.mark.parametrize("text", ["plain", "plain=evi=http://a", "=twilio=http://a", "a=twilio=b"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not NAME=twilio=URL"):
        OtherBridge.parse(text)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine on which 30 listens at port 9000 and has a child 31, with a child 32."""
    columns = "sl local_address rem_address st tx rx tr tm uid timeout inode"
    lines = [
        columns,
        "0: 0100007F:2328 00000000:0000 0A 0 0 0 0 0 777",
        "1: 0100007F:2328 0100007F:9999 01 0 0 0 0 0 778",
        "2: 0100007F:2329 00000000:0000 0A 0 0 0 0 0 779",
    ]
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text("\n".join(lines))
    for pid, parent, sockets in ((1, 0, ""), (30, 1, "777 778"), (31, 30, ""), (32, 31, "5")):
        folder = tmp_path / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "task" / str(pid)).mkdir(parents=True)
        (folder / "fd" / "0").symlink_to("/dev/null")
        for number, inode in enumerate(sockets.split(), start=1):
            (folder / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} " + "0 " * 40)
        (folder / "statm").write_text("900 100 50")
    return tmp_path


def test_a_process_is_found_by_the_port_it_listens_on(proc: Path) -> None:
    sockets = listening_sockets(9000, proc)

    assert sockets == {"socket:[777]"}
    assert processes_that_have(sockets, proc) == {30}
    assert listening_sockets(80, proc) == set()


def test_children_of_a_bridge_are_counted_with_it(proc: Path) -> None:
    tree = ProcessTree.behind("http://127.0.0.1:9000/voice", proc)

    assert tree.pids() == [30, 31, 32]
    assert tree.rss_kb() == 3 * 100 * os.sysconf("SC_PAGE_SIZE") / 1024
    assert (tree.threads(), tree.files(), tree.sockets()) == (3, 6, 3)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9001", "http://192.0.2.1:9000", "http://a.test"])
def test_of_a_bridge_that_is_not_here_nothing_is_known(proc: Path, url: str) -> None:
    tree = ProcessTree.behind(url, proc)

    assert math.isnan(tree.cpu_s())
    assert math.isnan(tree.rss_kb())
    assert tree.sockets() is None


def test_a_bridge_that_shares_a_core_with_the_callers_is_warned_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    if Cores.divided().load == Cores.divided().under_test:
        pytest.skip("a machine with one core")
    warn_of_other_cores(UnderTest("other", "twilio=", ProcessTree([os.getpid()])))
    warn_of_other_cores(UnderTest("elsewhere", "twilio=", ProcessTree([])))

    assert "other may run where the callers do" in (told := capsys.readouterr().err)
    assert "elsewhere" not in told


def test_the_time_of_a_process_goes_on() -> None:
    tree = ProcessTree([os.getpid()])
    before_s, began_s = tree.cpu_s(), time.process_time()
    while time.process_time() - began_s < 0.02:
        pass

    assert tree.cpu_s() >= before_s + 0.02


def test_a_webhooks_answer_leads_to_its_own_host() -> None:
    twiml = (
        '<Response><Connect action="https://public.test/ended?attempt=1">'
        '<Stream url="wss://public.test/media"><Parameter name="token" value="T"/></Stream>'
        "</Connect></Response>"
    )

    assert stream_in(twiml, "http://127.0.0.1:9000/voice") == Stream(
        path="/media", parameters={"token": "T"}, ended_url="http://127.0.0.1:9000/ended?attempt=1"
    )


@pytest.mark.parametrize("answer", ["busy", "<Response><Reject/></Response>"])
def test_a_webhook_that_connects_nothing_is_a_fault(answer: str) -> None:
    with pytest.raises(RuntimeError, match="connects no stream"):
        stream_in(answer, "http://127.0.0.1:9000/voice")


# The picture


def test_a_ramp_is_drawn_with_its_knees_and_the_bar() -> None:
    held = [result_of(BRIDGE, calls) for calls in (50, 100)]
    failed = result_of(BRIDGE, 150, added_p99_ms=900.0)
    other = result_of("<other>", 50, cpu_ms=math.nan)
    judged = [
        each
        for results in (held[:1], held[1:], [failed], [other])
        for each in judge([result_of(NO_BRIDGE, 50), *results])
    ]
    knees = [Knee(BRIDGE, 100, is_at_least=False, why=""), Knee("<other>", 50, True, "")]
    figures = numbers_only({"added_p99_bar_ms": 50.0, **_as_json(Ramp(judged, knees))})

    bridge, unknown = chart.curves_of(figures)
    picture = ET.fromstring(chart.svg(figures, {"cpu": "a & b", "date": "today"}))

    assert [point.calls for point in bridge.points] == [50, 100, 150]
    assert (bridge.knee, unknown.knee) == ("100 calls", "at least 50 calls")
    texts = [element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"evibridge: 100 calls", "calls at the same time", "50"} <= set(texts)
    circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 3 + 4
    assert [circle.get("r") for circle in circles].count("7") == 1


def result_of(
    program: str,
    calls: int,
    *,
    lost: bool = False,
    added_p99_ms: float = 4.0,
    heard_p99_ms: float = 5.0,
    late_ms: float = 1.0,
    load: float = 0.5,
    disturbed: float = 0.0,
    cpu_ms: float = 3.0,
    fault: str | None = None,
) -> Result:
    """A program that holds, but for what is said."""
    return Result(
        program,
        calls,
        cost=Cost(cpu_ms, cpu_ms, cpu_ms, 1.5, 100.0, 0.3),
        frames_lost=int(lost),
        heard_ms=Percentiles(1.0, 2.0, heard_p99_ms),
        added_ms=Percentiles(1.0, 2.0, added_p99_ms),
        loop_lag_p99=Bound(5.0),
        longest_gc_pause=None,
        callers_late_p99_ms=late_ms,
        load=load,
        disturbed=disturbed,
        fault=fault,
    )


def _as_json(measured: Ramp) -> dict[str, object]:
    figures: dict[str, object] = orjson.loads(orjson.dumps(measured))
    return figures
