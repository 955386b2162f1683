"""What a tool call costs in a busy service: how soon the function runs, and its answer is sent.

    python -m benchmarks.tool_dispatch --calls 50 --seconds 30
    python -m benchmarks.tool_dispatch --import

Both sides of all calls talk all the time, and the chat of each calls a tool about every second: a
coroutine function and a plain function, which runs in a thread, by turns. The tools do nothing.

With `--import` it is measured what a file with a tool costs to import; see `import_time`.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import aiohttp

from benchmarks import import_time
from benchmarks.evi_stand_in import CALLS_TOOLS, TOOLS, ToolCalled
from benchmarks.heard import CallersReport, percentile
from benchmarks.processes import Cores, Program, Server, busy_s, running, serving
from benchmarks.report import headline, machine, numbers_only, table
from benchmarks.service_metrics import Bound, ServiceMeter
from benchmarks.timed_service import Times
from benchmarks.turns import ENDING_TIMEOUT_S, OPENING_TIMEOUT_S

CALLS = 50
SECONDS = 30.0
WARM_UP_S = 2.0
LAST_ANSWERS_S = 0.5
"""How long the last tool calls may take: an answer that has not come then never does."""
P99_BAR_MS = 3.0
"""What the way to the function and the way back may take together."""
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
KINDS = dict(zip(TOOLS, ("coroutine", "plain function"), strict=True))
"""What the tools are, by their names."""


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The tool calls of one kind; times are in ms, one of each that was answered.

    Attributes:
        kind: coroutine or plain function
        entered_after_ms: from the decoded message to the first line of the function
        written_after_ms: from its last line until its answer was given to the kernel
        together_ms: both
        answered_after_ms: from the `tool_call` to its answer, at the server
        called: how many there were
        unanswered: after which nothing came
        answers_too_many: beyond the first of each
        errors: answers that were a `tool_error`
    """

    kind: str
    entered_after_ms: list[float]
    written_after_ms: list[float]
    together_ms: list[float]
    answered_after_ms: list[float]
    called: int
    unanswered: int
    answers_too_many: int
    errors: int

    @property
    def holds(self) -> bool:
        """Whether it stays below the bar, and each call has its one answer."""
        is_exact = not (self.unanswered or self.answers_too_many or self.errors)
        return is_exact and percentile(self.together_ms, SHARES["p99"]) <= P99_BAR_MS

    @property
    def summary(self) -> dict[str, object]:
        """Everything, with percentiles for the single times."""
        return {
            name: _percentiles(value) if isinstance(value, list) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True, slots=True)
class Load:
    """What the service and the machine were busy with meanwhile.

    Attributes:
        core: CPU time of the service by the time that passed
        others: share of its core that other programs and the hypervisor had
        loop_lag_p99: of the service's event loop; None if it does not tell
        callers_late_p99_ms: how late the callers were: noise of the machine
        server_late_p99_ms: how late the EVI server's tool calls were; its clock ticks in ms
    """

    core: float
    others: float
    loop_lag_p99: Bound | None
    callers_late_p99_ms: float
    server_late_p99_ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """A service with so many calls.

    Attributes:
        unasked: answers to what was never called
    """

    calls: int
    dispatches: list[Dispatch]
    unasked: int
    load: Load

    @property
    def summary(self) -> dict[str, object]:
        """Everything, with percentiles for the single times."""
        dispatches = [dispatch.summary for dispatch in self.dispatches]
        return {**asdict(self), "dispatches": dispatches}


@dataclass(frozen=True, slots=True)
class ToolCallsReport:
    """What the EVI server tells of its tool calls, by their ids."""

    calls: Mapping[str, ToolCalled]
    unasked: int


@dataclass(frozen=True, slots=True)
class Talked:
    """While the callers talked."""

    from_s: float
    until_s: float
    core: float
    others: float

    def during(self, calls: Mapping[str, ToolCalled]) -> dict[str, ToolCalled]:
        """Those that were sent meanwhile."""
        return {
            each: call for each, call in calls.items() if self.from_s <= call.sent_s <= self.until_s
        }


async def measure(
    calls: int = CALLS, *, seconds: float = SECONDS, warm_up_s: float = WARM_UP_S
) -> Result:
    """Let so many callers talk, and time the tool calls."""
    cores = Cores.divided()
    with cores.with_us_as_load():
        async with (
            serving(["-m", "benchmarks.evi_stand_in"], cores.load) as evi,
            serving(
                ["-m", "benchmarks.timed_service"],
                cores.under_test,
                EVIBRIDGE_EVI_URL=evi.origin,
                EVIBRIDGE_MAX_CALLS=str(calls),
                HUME_CONFIG_ID=CALLS_TOOLS,  # which the stand-in takes as an order
            ) as bridge,
        ):
            command = f"-m benchmarks.callers --calls {calls} --warm-up {warm_up_s}".split()
            async with running([*command, f"twilio={bridge.origin}"], cores.load) as callers:
                [fault] = json.loads(await callers.line(timeout_s=OPENING_TIMEOUT_S))
                if fault is not None:
                    raise RuntimeError(f"The service could not be called: {fault}")
                meter = ServiceMeter(bridge.origin)
                await meter.start()
                talked = await _talk(callers, bridge.program, cores, seconds)
                await meter.stop()
                await asyncio.sleep(LAST_ANSWERS_S)
                told = await _tool_calls(evi)
                times = await _times(bridge.program)
                callers.say_no_more()
                [report] = json.loads(await callers.line(timeout_s=ENDING_TIMEOUT_S))
    late_p99_ms = CallersReport(**report).late_p99_ms
    return result_of(calls, talked, told, times, meter.lag_p99, late_p99_ms)


async def _talk(callers: Program, service: Program, cores: Cores, seconds: float) -> Talked:
    busy_before_s, cpu_before_s = busy_s(cores.under_test), service.cpu_s()
    from_s = time.perf_counter()
    callers.tell(f"talk 0 {seconds}")
    await callers.line(timeout_s=seconds + ENDING_TIMEOUT_S)
    lasted_s = time.perf_counter() - from_s
    cpu_s = service.cpu_s() - cpu_before_s
    others_s = busy_s(cores.under_test) - busy_before_s - cpu_s
    return Talked(from_s, from_s + seconds, cpu_s / lasted_s, max(0.0, others_s) / lasted_s)


async def _tool_calls(evi: Server) -> ToolCallsReport:
    async with aiohttp.ClientSession() as http, http.get(f"{evi.origin}/tool_calls") as answer:
        told = await answer.json()
    calls = {each: ToolCalled(**call) for each, call in told["calls"].items()}
    return ToolCallsReport(calls, told["unasked"])


async def _times(service: Program) -> dict[str, Times]:
    service.tell("times")
    told = json.loads(await service.line(timeout_s=ENDING_TIMEOUT_S))
    return {each: Times(**times) for each, times in told.items()}


def result_of(
    calls: int,
    talked: Talked,
    told: ToolCallsReport,
    times: Mapping[str, Times],
    loop_lag_p99: Bound | None,
    callers_late_p99_ms: float,
) -> Result:
    """Put together what the server has seen after the warm-up, and what the service has."""
    counted = talked.during(told.calls)
    late_ms = [call.late_s * 1000 for call in counted.values()]
    return Result(
        calls,
        [
            dispatch_of(
                kind, {each: call for each, call in counted.items() if call.name == name}, times
            )
            for name, kind in KINDS.items()
        ],
        told.unasked,
        Load(
            talked.core,
            talked.others,
            loop_lag_p99,
            callers_late_p99_ms,
            percentile(late_ms, SHARES["p99"]),
        ),
    )


def dispatch_of(
    kind: str, called: Mapping[str, ToolCalled], times: Mapping[str, Times]
) -> Dispatch:
    """Put together the tool calls of one kind."""
    entered_ms, written_ms = [], []
    for each in called:
        of = times.get(each)
        if of and of.entered_s and of.returned_s and of.written_s:
            entered_ms.append((of.entered_s - of.decoded_s) * 1000)
            written_ms.append((of.written_s - of.returned_s) * 1000)
    calls = called.values()
    answered = [call for call in calls if call.answered_s]
    return Dispatch(
        kind,
        entered_ms,
        written_ms,
        together_ms=[sum(ways) for ways in zip(entered_ms, written_ms, strict=True)],
        answered_after_ms=[(call.answered_s[0] - call.sent_s) * 1000 for call in answered],
        called=len(called),
        unanswered=len(called) - len(answered),
        answers_too_many=sum(len(call.answered_s) - 1 for call in answered),
        errors=sum(call.errors for call in calls),
    )


def _percentiles(values: list[float]) -> dict[str, float]:
    return {name: percentile(values, share) for name, share in SHARES.items()}


def shown(result: Result) -> str:
    """A result as tables, and the bar."""
    return f"{_times_shown(result)}\n\n{_load_shown(result)}\n\n{_bar_shown(result)}"


def _times_shown(result: Result) -> str:
    columns = (f"{result.calls} calls, ms", *SHARES)
    rows = [
        (f"{dispatch.kind}: {way}", *(f"{ms:.2f}" for ms in _percentiles(times).values()))
        for dispatch in result.dispatches
        for way, times in (
            ("decoded to entered", dispatch.entered_after_ms),
            ("returned to written", dispatch.written_after_ms),
            ("both together", dispatch.together_ms),
            ("from outside", dispatch.answered_after_ms),
        )
    ]
    return table(columns, rows)


def _load_shown(result: Result) -> str:
    columns = (
        "",
        "tool calls",
        "unanswered",
        "answers too many",
        "errors",
        "service's core",
        "others on the core",
        "loop lag, ms p99",
        "callers late, ms p99",
        "tool calls late, ms p99",
    )
    kinds = result.dispatches
    load = result.load
    row = (
        f"{result.calls} calls",
        f"{sum(kind.called for kind in kinds)}",
        f"{sum(kind.unanswered for kind in kinds)}",
        f"{sum(kind.answers_too_many for kind in kinds) + result.unasked}",
        f"{sum(kind.errors for kind in kinds)}",
        f"{load.core:.2f}",
        f"{load.others:.2f}",
        f"{load.loop_lag_p99 or ''}",
        f"{load.callers_late_p99_ms:.1f}",
        f"{load.server_late_p99_ms:.1f}",
    )
    return table(columns, [row])


def _bar_shown(result: Result) -> str:
    missed = [dispatch.kind for dispatch in result.dispatches if not dispatch.holds]
    if result.unasked:
        missed.append("answers that nobody asked for")
    return (
        f"Bar: both together p99 {P99_BAR_MS:g} ms, and one answer to each tool call. "
        f"Missed by: {', '.join(missed) or 'nobody'}."
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.tool_dispatch")
    options.add_argument("--calls", type=int, default=CALLS, help="at the same time")
    options.add_argument("--seconds", type=float, default=SECONDS, help="after the warm-up")
    options.add_argument(
        "--import",
        dest="imports",
        action="store_true",
        help="measure instead what importing a file with a tool costs",
    )
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    if given.imports:
        imports = import_time.measure()
        name, figures, text = (
            "import_time",
            import_time.figures(imports),
            import_time.shown(imports),
        )
    else:
        result = asyncio.run(measure(given.calls, seconds=given.seconds))
        name, figures, text = "tool_dispatch", result.summary, shown(result)
    if given.json:
        print(json.dumps(numbers_only({"machine": machine(), name: figures}), indent=2))
    else:
        print(f"{headline()}\n\n{text}")


if __name__ == "__main__":
    main()
