"""The figures of calls: each program beside the floor, and all of them beside no bridge at all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

from benchmarks.heard import FRAME_MS, CallersReport, percentile
from benchmarks.report import table
from benchmarks.service_metrics import Bound
from benchmarks.turns import FLOOR, NO_BRIDGE, Turn, Usage


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of latencies, in ms."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values: list[float]) -> "Percentiles":
        """The three of all values."""
        return cls(*(percentile(values, share) for share in (0.5, 0.95, 0.99)))

    def less(self, other: "Percentiles") -> "Percentiles":
        """Each less the same of `other`."""
        return Percentiles(self.p50 - other.p50, self.p95 - other.p95, self.p99 - other.p99)

    def __str__(self) -> str:
        return f"{self.p50:.1f} / {self.p95:.1f} / {self.p99:.1f}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost a program; not numbers if its processes are not known.

    Attributes:
        cpu_ms_per_call_s: the median of the rounds
        times_floor: the median of the rounds' ratios
        core: CPU time of the program's turns by the time that passed
    """

    cpu_ms_per_call_s: float
    cpu_ms_lower_quartile: float
    cpu_ms_upper_quartile: float
    times_floor: float
    rss_kb_per_call: float
    core: float


@dataclass(frozen=True, slots=True)
class Result:
    """One program at one number of calls; times are from a loud frame to its loud answer.

    Attributes:
        cost: of the program
        frames_lost: of 20 ms, that did not come through, both directions
        heard_ms: until the answer was played, behind all that came before it in the turn
        added_ms: `heard_ms` less the same without a bridge
        loop_lag_p99: of the bridge's event loop
        longest_gc_pause: of the bridge
        callers_late_p99_ms: how late the callers themselves were: noise of the machine
        load: share of the load generator's cores that was used
        disturbed: share of the core under test that others had
        fault: why the program could not be called; then there are no figures
    """

    program: str
    calls: int
    cost: Cost
    frames_lost: int
    heard_ms: Percentiles
    added_ms: Percentiles
    loop_lag_p99: Bound | None
    longest_gc_pause: Bound | None
    callers_late_p99_ms: float
    load: float
    disturbed: float
    fault: str | None = None


NOTHING = CallersReport(0, 0, 0, [], math.nan)
"""Of callers who reached nobody."""


def results(usages: Sequence[Usage]) -> list[Result]:
    """Compare the programs of one number of calls with no bridge, the first, and with the floor."""
    direct = usages[0].report or NOTHING
    floor = next((usage.turns for usage in usages if usage.program == FLOOR), [])
    return [_result(usage, floor, direct) for usage in usages]


def _result(usage: Usage, floor: Sequence[Turn], direct: CallersReport) -> Result:
    report = usage.report or NOTHING
    heard_ms = Percentiles.of(report.answers_heard_after_ms)
    return Result(
        program=usage.program,
        calls=usage.calls,
        cost=_cost(usage, floor),
        frames_lost=round(usage.lost_ms / FRAME_MS),
        heard_ms=heard_ms,
        added_ms=heard_ms.less(Percentiles.of(direct.answers_heard_after_ms)),
        loop_lag_p99=usage.loop_lag_p99,
        longest_gc_pause=usage.longest_gc_pause,
        callers_late_p99_ms=report.late_p99_ms,
        load=_mean([turn.load for turn in usage.turns]),
        disturbed=_mean([turn.disturbed for turn in usage.turns]),
        fault=usage.fault,
    )


def _cost(usage: Usage, floor: Sequence[Turn]) -> Cost:
    cpu_ms = [turn.cpu_s * 1000 / turn.talked_s / usage.calls for turn in usage.turns]
    ratios = [turn.cpu_s / beside.cpu_s for turn, beside in zip(usage.turns, floor, strict=False)]
    lasted_s = sum(turn.lasted_s for turn in usage.turns)
    return Cost(
        cpu_ms_per_call_s=_median(cpu_ms),
        cpu_ms_lower_quartile=percentile(cpu_ms, 0.25),
        cpu_ms_upper_quartile=percentile(cpu_ms, 0.75),
        times_floor=_median(ratios),
        rss_kb_per_call=usage.grown_kb / usage.calls,
        core=sum(turn.cpu_s for turn in usage.turns) / lasted_s if lasted_s else math.nan,
    )


def _mean(values: Sequence[float]) -> float:
    return mean(values) if values else math.nan


def _median(values: Sequence[float]) -> float:
    return median(values) if values else math.nan


COLUMNS = (
    "calls, program",
    "CPU ms per call-second (quartiles)",
    "x floor",
    "kB per call",
    "core",
    "frames lost",
    "answer heard, ms",
    "added, ms",
    "loop lag, ms p99",
    "longest gc pause, ms",
    "callers late, ms p99",
    "callers' core",
    "others on the core",
)


def shown(measured: Sequence[Result]) -> str:
    """Results as a table; times are p50 / p95 / p99."""
    return table(COLUMNS, [cells(result) for result in measured])


def cells(result: Result) -> tuple[str, ...]:
    """One row of the table."""
    name = f"{result.calls}, {result.program}"
    if result.fault is not None:
        return (name, *[""] * (len(COLUMNS) - 1))
    cost = result.cost
    quartiles = f"{cost.cpu_ms_lower_quartile:.1f}-{cost.cpu_ms_upper_quartile:.1f}"
    return (
        name,
        _cell(cost.cpu_ms_per_call_s, f"{cost.cpu_ms_per_call_s:.1f} ({quartiles})"),
        _cell(cost.times_floor, f"{cost.times_floor:.2f}"),
        _cell(cost.rss_kb_per_call, f"{cost.rss_kb_per_call:.0f}"),
        _cell(cost.core, f"{cost.core:.2f}"),
        "" if result.program == NO_BRIDGE else f"{result.frames_lost}",
        str(result.heard_ms),
        "" if result.program == NO_BRIDGE else str(result.added_ms),
        str(result.loop_lag_p99 or ""),
        str(result.longest_gc_pause or ""),
        f"{result.callers_late_p99_ms:.1f}",
        f"{result.load:.2f}",
        _cell(result.disturbed, f"{result.disturbed:.2f}"),
    )


def _cell(value: float, text: str) -> str:
    return "" if math.isnan(value) else text
