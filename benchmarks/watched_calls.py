"""What operators cost who watch calls: CPU, latency and memory of the service that tells them.

    python -m benchmarks.watched_calls --calls 50 --seconds 20 --rounds 3

Both sides of all calls talk all the time, in conversations of which something is told about twice a
second. The calls of one service have turns in which nobody watches; in which readers of all calls
do, of whom some connect and never read; and in which as many do of one call each, who take interim
transcripts as well. Another service, which records its calls, has turns between them.
"""

import argparse
import asyncio
import json
import math
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean, median

from benchmarks.call_figures import Percentiles
from benchmarks.heard import FRAME_MS, CallersReport, percentile
from benchmarks.other_bridge import ProcessTree
from benchmarks.processes import Cores, Server, running, serving
from benchmarks.report import headline, machine, numbers_only, table
from benchmarks.service_metrics import Bound, ServiceMeter
from benchmarks.turns import (
    NO_BRIDGE,
    WARM_UP_S,
    Load,
    Turn,
    Turns,
    UnderTest,
    audio_counts,
    lost_ms,
)
from benchmarks.watchers import Seen, Watchers

AGENT = Path(__file__).with_name("lively_agent.py")
CALLS, SECONDS, ROUNDS = 50, 20.0, 3
TURN_S = 4.0
"""The others are silent meanwhile, and a bridge takes a telephone for dead that is so for long."""
READERS, NEVER_READING = 20, 5
CPU_BAR = 1.10
"""CPU of calls that are watched, by that of the same calls when they are not."""
UNWATCHED, RECORDED = "nobody watches", "nobody watches, recorded"


@dataclass(slots=True)
class Situation:
    """A circumstance of calls, and its turns so far.

    Attributes:
        program: which serves the calls
        line: number of the calls, among those of all callers
        watchers: who come and go with each turn
        rss_kb: of the program at the end of the last turn, with its watchers
    """

    program: UnderTest
    line: int
    watchers: Watchers | None = None
    turns: list[Turn] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    rss_kb: float = math.nan

    async def take_turns(self, turns: Turns, seconds: float) -> None:
        """Let its callers talk for so long, and its watchers watch."""
        if self.watchers is not None:
            await self.watchers.come()
        number = math.ceil(seconds / TURN_S)
        for _ in range(number):
            self.turns.append(await turns.turn(self.line, self.program, seconds / number))
        self.rss_kb = self.program.processes.rss_kb()
        if self.watchers is not None:
            self.seen.append(await self.watchers.go())

    @property
    def heard_ms(self) -> Percentiles:
        """From each loud frame until its loud answer was played."""
        return Percentiles.of([ms for turn in self.turns for ms in turn.heard_after_ms])


@dataclass(frozen=True, slots=True)
class Result:
    """One situation; times are from a loud frame to its loud answer, which is both ways.

    Attributes:
        cpu_ms_per_call_s: median of the turns
        times_unwatched: CPU, median of the turns' ratios
        events_per_s: that each of those was told who read
        messages_per_s: that all of them were told together, and the size of them in kB
        heard_ms: until the answer was played
        added_ms: `heard_ms` less the same without a bridge
        lost: events that somebody was not told of, nor that he had missed them
        missed: events that somebody was told to have missed
        rss_mb: resident memory at the end
        disturbed: share of the core under test that others had
    """

    situation: str
    calls: int
    cpu_ms_per_call_s: float
    cpu_ms_lower_quartile: float
    cpu_ms_upper_quartile: float
    times_unwatched: float
    events_per_s: float
    messages_per_s: float
    kb_per_s: float
    heard_ms: Percentiles
    added_ms: Percentiles
    lost: int
    missed: int
    rss_mb: float
    loop_lag_p99: Bound | None
    load: float
    disturbed: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All of a run.

    Attributes:
        frames_lost: of 20 ms, in all calls and both directions
        callers_late_p99_ms: how late the callers were: noise of the machine
    """

    results: list[Result]
    frames_lost: int
    callers_late_p99_ms: float


async def measure(
    calls: int = CALLS,
    *,
    seconds: float = SECONDS,
    rounds: int = ROUNDS,
    warm_up_s: float = WARM_UP_S,
    readers: int = READERS,
    never_reading: int = NEVER_READING,
) -> Measured:
    """Measure all situations.

    Args:
        calls: to each service
        seconds: that each situation lasts in a round
        rounds: how often each comes
        warm_up_s: before the first turn
        readers: in situations that have some
        never_reading: how many readers of all calls connect and never read
    """
    cores = Cores.divided()
    with cores.with_us_as_load():
        async with (
            serving(["-m", "benchmarks.lively_stand_in"], cores.load) as evi,
            _service(evi, cores, calls, UNWATCHED) as plain,
            _service(evi, cores, calls, RECORDED, record=True) as recording,
            running(_callers(calls, warm_up_s, evi, plain, recording), cores.load) as callers,
            running(["-m", "benchmarks.event_readers"], cores.load) as program,
        ):
            load = Load((callers, evi.program, program), len(cores.load))
            turns = Turns(callers, load, cores.under_test)
            for fault in filter(None, await turns.opened()):
                raise RuntimeError(f"A service could not be called: {fault}")
            of_all = await Watchers.of_all_calls(program, evi, plain, readers, never_reading)
            of_one_each = await Watchers.of_one_call_each(program, evi, plain, readers)
            situations = [
                Situation(UnderTest(NO_BRIDGE, evi.origin, ProcessTree([])), 0),
                _situation(UNWATCHED, plain, 1),
                _situation(f"{readers} watch all calls", plain, 1, of_all),
                _situation(f"{readers} watch one each", plain, 1, of_one_each),
                _situation(RECORDED, recording, 2),
            ]
            for _ in range(rounds):
                for situation in situations:
                    await situation.take_turns(turns, seconds)
            reports = [report for report in await turns.end() if report is not None]
            counts = await audio_counts(evi.origin)
    return Measured(
        results(situations, calls),
        frames_lost=_frames_lost(reports[1:], [counts[UNWATCHED], counts[RECORDED]]),
        callers_late_p99_ms=max(report.late_p99_ms for report in reports),
    )


def _service(
    evi: Server, cores: Cores, calls: int, name: str, *, record: bool = False
) -> AbstractAsyncContextManager[Server]:
    """The bridge as it ships, its log in a file."""
    return serving(
        ["-m", "evibridge", "run", str(AGENT), "--evi-url", evi.origin],
        cores.under_test,
        EVIBRIDGE_MAX_CALLS=str(calls),
        EVIBRIDGE_RECORD=str(record),
        HUME_CONFIG_ID=name,  # by which the stand-in counts
    )


def _callers(calls: int, warm_up_s: float, evi: Server, *services: Server) -> list[str]:
    command = f"-m benchmarks.callers --calls {calls} --warm-up {warm_up_s} evi={evi.origin}"
    return [*command.split(), *(f"twilio={service.origin}" for service in services)]


def _situation(
    name: str, service: Server, line: int, watchers: Watchers | None = None
) -> Situation:
    meter = ServiceMeter(service.origin)
    return Situation(UnderTest(name, service.origin, service.program, meter), line, watchers)


def _frames_lost(reports: Sequence[CallersReport], at_the_server: Sequence[dict[str, int]]) -> int:
    lost = [lost_ms(report, counts) for report, counts in zip(reports, at_the_server, strict=True)]
    return round(sum(lost) / FRAME_MS)


def results(situations: Sequence[Situation], calls: int) -> list[Result]:
    """Compare all situations but the first, which has no bridge, with the second, unwatched."""
    without, unwatched, *_ = situations
    return [_result(each, unwatched, without.heard_ms, calls) for each in situations[1:]]


def _result(
    situation: Situation, unwatched: Situation, without_ms: Percentiles, calls: int
) -> Result:
    turns, seen = situation.turns, situation.seen
    cpu_ms = [turn.cpu_s * 1000 / turn.talked_s / calls for turn in turns]
    ratios = [
        turn.cpu_s / beside.cpu_s for turn, beside in zip(turns, unwatched.turns, strict=True)
    ]
    talked_s = sum(turn.talked_s for turn in turns)
    messages_per_s = sum(each.messages for each in seen) / talked_s
    service = situation.program.service
    assert service is not None
    return Result(
        situation=situation.program.name,
        calls=calls,
        cpu_ms_per_call_s=median(cpu_ms),
        cpu_ms_lower_quartile=percentile(cpu_ms, 0.25),
        cpu_ms_upper_quartile=percentile(cpu_ms, 0.75),
        times_unwatched=median(ratios),
        events_per_s=messages_per_s / seen[0].readers if seen else math.nan,
        messages_per_s=messages_per_s if seen else math.nan,
        kb_per_s=sum(each.size_bytes for each in seen) / 1000 / talked_s if seen else math.nan,
        heard_ms=situation.heard_ms,
        added_ms=situation.heard_ms.less(without_ms),
        lost=sum(each.lost for each in seen),
        missed=sum(each.missed for each in seen),
        rss_mb=situation.rss_kb / 1024,
        loop_lag_p99=service.lag_p99,
        load=mean(turn.load for turn in turns),
        disturbed=mean(turn.disturbed for turn in turns),
    )


COLUMNS = (
    "calls, of which",
    "CPU ms per call-second (quartiles)",
    "x unwatched",
    "events a reader, 1/s",
    "messages, 1/s",
    "answer heard, ms",
    "added, ms",
    "x unwatched, p50 / p99",
    "events lost",
    "resident, MB",
    "loop lag, ms p99",
    "others on the core",
)


def shown(measured: Measured) -> str:
    """Results as a table, and the bar; times are p50 / p95 / p99."""
    unwatched = measured.results[0]
    rows = [_cells(result, unwatched) for result in measured.results]
    return (
        f"{table(COLUMNS, rows)}\n\n"
        f"Frames lost: {measured.frames_lost}. "
        f"Callers late, ms p99: {measured.callers_late_p99_ms:.1f}.\n\n"
        f"Bar for those who watch: {CPU_BAR:.2f} times the CPU, and no event lost."
    )


def _cells(result: Result, unwatched: Result) -> tuple[str, ...]:
    quartiles = f"{result.cpu_ms_lower_quartile:.2f}-{result.cpu_ms_upper_quartile:.2f}"
    added, unwatched_added = result.added_ms, unwatched.added_ms
    missed = f" ({result.missed} told to be missed)" if result.missed else ""
    is_watched = not math.isnan(result.messages_per_s)
    return (
        f"{result.calls}, {result.situation}",
        f"{result.cpu_ms_per_call_s:.2f} ({quartiles})",
        f"{result.times_unwatched:.2f}",
        f"{result.events_per_s:.1f}" if is_watched else "",
        f"{result.messages_per_s:.0f}" if is_watched else "",
        f"{result.heard_ms}",
        f"{added}",
        f"{added.p50 / unwatched_added.p50:.2f} / {added.p99 / unwatched_added.p99:.2f}",
        f"{result.lost}{missed}" if is_watched else "",
        f"{result.rss_mb:.0f}",
        f"{result.loop_lag_p99 or ''}",
        f"{result.disturbed:.2f}",
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.watched_calls")
    options.add_argument("--calls", type=int, default=CALLS, help="to each service")
    options.add_argument(
        "--seconds", type=float, default=SECONDS, help="of each situation in a round"
    )
    options.add_argument(
        "--rounds", type=int, default=ROUNDS, help="in which each situation comes once"
    )
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    measured = asyncio.run(measure(given.calls, seconds=given.seconds, rounds=given.rounds))
    if given.json:
        figures = {"machine": machine(), "watched_calls": asdict(measured)}
        print(json.dumps(numbers_only(figures), indent=2))
    else:
        print(f"{headline()}\n\n{shown(measured)}")


if __name__ == "__main__":
    main()
