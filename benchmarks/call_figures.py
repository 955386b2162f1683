"""The figures of calls: the bridge beside the floor, and both beside no bridge at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.caller_lines import FRAME_MS
from benchmarks.callers import TURN_S
from benchmarks.heard import CallersReport, percentile
from benchmarks.report import table

NO_BRIDGE, FLOOR, BRIDGE = "no bridge", "floor", "evibridge"


@dataclass(frozen=True, slots=True)
class Usage:
    """One program under one load."""

    cpu_s: list[float]
    """Of each round, in which the program's callers had one turn."""
    grown_kb: float
    """Resident memory with all calls, less that without any."""
    lost_ms: float
    """Audio of both directions that did not come through."""
    report: CallersReport


@dataclass(frozen=True, slots=True)
class Cost:
    """What calls cost a program."""

    cpu_ms_per_call_s: float
    """The median of the rounds."""
    cpu_ms_lower_quartile: float
    cpu_ms_upper_quartile: float
    times_floor: float
    """The median of the rounds' ratios."""
    rss_kb_per_call: float
    frames_lost: int


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


@dataclass(frozen=True, slots=True)
class Result:
    """One program at one number of calls; times are from a loud frame to its loud answer."""

    program: str
    calls: int
    cost: Cost | None
    """None without a bridge."""
    heard_ms: Percentiles
    """Until the answer was played, behind all that came before it in the turn."""
    added_ms: Percentiles
    """`heard_ms` less the same without a bridge."""
    callers_late_p99_ms: float
    """How late the callers themselves were: noise of the machine."""


def results(calls: int, direct: CallersReport, floor: Usage, bridge: Usage) -> list[Result]:
    """The three results at one number of calls."""
    return [
        _result(NO_BRIDGE, calls, None, direct, direct),
        _result(FLOOR, calls, _cost(calls, floor, floor), floor.report, direct),
        _result(BRIDGE, calls, _cost(calls, bridge, floor), bridge.report, direct),
    ]


def _cost(calls: int, usage: Usage, floor: Usage) -> Cost:
    cpu_ms = [cpu_s * 1000 / TURN_S / calls for cpu_s in usage.cpu_s]
    return Cost(
        cpu_ms_per_call_s=median(cpu_ms),
        cpu_ms_lower_quartile=percentile(cpu_ms, 0.25),
        cpu_ms_upper_quartile=percentile(cpu_ms, 0.75),
        times_floor=median(a / b for a, b in zip(usage.cpu_s, floor.cpu_s, strict=True)),
        rss_kb_per_call=usage.grown_kb / calls,
        frames_lost=round(usage.lost_ms / FRAME_MS),
    )


def _result(
    program: str, calls: int, cost: Cost | None, report: CallersReport, direct: CallersReport
) -> Result:
    heard_ms = Percentiles.of(report.answers_heard_after_ms)
    return Result(
        program=program,
        calls=calls,
        cost=cost,
        heard_ms=heard_ms,
        added_ms=heard_ms.less(Percentiles.of(direct.answers_heard_after_ms)),
        callers_late_p99_ms=report.late_p99_ms,
    )


def shown(measured: Sequence[Result]) -> str:
    """Results as a table; times are p50 / p95 / p99."""
    columns = (
        "calls, program",
        "CPU ms per call-second (quartiles)",
        "x floor",
        "kB per call",
        "frames lost",
        "answer heard, ms",
        "added, ms",
        "callers late, ms p99",
    )
    rows = [
        (
            f"{result.calls}, {result.program}",
            *_cost_cells(result.cost),
            _cell(result.heard_ms),
            _cell(result.added_ms),
            f"{result.callers_late_p99_ms:.1f}",
        )
        for result in measured
    ]
    return table(columns, rows)


def _cost_cells(cost: Cost | None) -> tuple[str, str, str, str]:
    if cost is None:
        return ("", "", "", "")
    quartiles = f"{cost.cpu_ms_lower_quartile:.1f}-{cost.cpu_ms_upper_quartile:.1f}"
    return (
        f"{cost.cpu_ms_per_call_s:.1f} ({quartiles})",
        f"{cost.times_floor:.2f}",
        f"{cost.rss_kb_per_call:.0f}",
        f"{cost.frames_lost}",
    )


def _cell(percentiles: Percentiles) -> str:
    return f"{percentiles.p50:.1f} / {percentiles.p95:.1f} / {percentiles.p99:.1f}"
