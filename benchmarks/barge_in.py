"""How soon the agent falls silent: from `user_interruption` at the server to `clear` at the phone.

    python -m benchmarks.barge_in --calls 50 --seconds 30

Both sides of all calls talk all the time, and each caller cuts in every two seconds. Both times are
taken outside of the bridge, on one clock, so that two ways over loopback and the wake-ups of two
other programs are in the figure. The same without a bridge has one way, and tells what that is.
"""

import argparse
import asyncio
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import aiohttp

from benchmarks.evi_stand_in import INTERRUPTED
from benchmarks.heard import percentile
from benchmarks.interrupted_callers import Report
from benchmarks.other_bridge import OtherBridge, ProcessTree, add_options
from benchmarks.processes import Cores, Program, running, serving
from benchmarks.report import headline, machine, numbers_only, table
from benchmarks.turns import AGENT, BRIDGE, NO_BRIDGE, OPENING_TIMEOUT_S, Others, UnderTest

CALLS = 50
SECONDS = 30.0
WARM_UP_S = 2.0
P50_BAR_MS, P99_BAR_MS = 5.0, 20.0
"""What the bridge has to stay below."""


@dataclass(frozen=True, slots=True)
class Result:
    """One program under interruptions.

    Attributes:
        silenced_after_ms: of each interruption, from the server to the telephone
        unanswered: interruptions after which nobody fell silent
        late_frames: frames of 20 ms of an interrupted utterance that came after its `clear`
        cores: CPU time of the bridge by the time that passed; NaN if its processes are not known
        callers_late_p99_ms: how late the callers themselves were: noise of the machine
    """

    program: str
    calls: int
    silenced_after_ms: list[float]
    unanswered: int
    late_frames: int
    cores: float
    callers_late_p99_ms: float

    def after_ms(self, share: float) -> float:
        """The time that this share of the interruptions does not exceed."""
        return percentile(self.silenced_after_ms, share)

    @property
    def summary(self) -> dict[str, object]:
        """Everything, with percentiles for the single times."""
        times = {name: self.after_ms(share) for name, share in SHARES.items()}
        single = asdict(self)
        interruptions = len(single.pop("silenced_after_ms"))
        return {**single, "interruptions": interruptions, "after_ms": times}


SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


async def measure(
    calls: int = CALLS,
    *,
    seconds: float = SECONDS,
    warm_up_s: float = WARM_UP_S,
    also: Sequence[OtherBridge] = (),
    evi_port: int | None = None,
) -> list[Result]:
    """Measure without a bridge, with ours and with others."""
    cores = Cores.divided()
    with cores.with_us_as_load():
        async with (
            serving(["-m", "benchmarks.evi_stand_in"], cores.load, port=evi_port) as evi,
            serving(
                ["-m", "evibridge", "run", str(AGENT), "--evi-url", evi.origin],
                cores.under_test,
                EVIBRIDGE_MAX_CALLS=str(calls),
                HUME_CONFIG_ID=INTERRUPTED,  # which the stand-in takes as an order
            ) as bridge,
        ):
            programs = [
                UnderTest(NO_BRIDGE, f"evi={evi.origin}", ProcessTree([])),
                UnderTest(BRIDGE, f"twilio={bridge.origin}", bridge.program),
                *Others(also).under_test,
            ]
            command = (
                f"-m benchmarks.interrupted_callers --calls {calls} --seconds {seconds} "
                f"--warm-up {warm_up_s}"
            ).split()
            addresses = [program.address for program in programs]
            async with running(command + addresses, cores.load) as callers:
                reports = [
                    await _follow(callers, program, OPENING_TIMEOUT_S + seconds)
                    for program in programs
                ]
            sent = await _interruptions(evi.origin)
    return [
        result_of(program.name, calls, report, sent, core)
        for program, (report, core) in zip(programs, reports, strict=True)
    ]


async def _follow(callers: Program, program: UnderTest, timeout_s: float) -> tuple[Report, float]:
    """Wait for what the callers of a program have noticed; with the share of a core it used."""
    cpu_s, began_s = program.processes.cpu_s(), time.perf_counter()
    report = Report(**json.loads(await callers.line(timeout_s=timeout_s)))
    used_s = program.processes.cpu_s() - cpu_s
    return report, used_s / (time.perf_counter() - began_s)


async def _interruptions(evi_origin: str) -> list[tuple[int, float]]:
    """Of both programs; the callers' own times tell which are theirs."""
    async with aiohttp.ClientSession() as http, http.get(f"{evi_origin}/interruptions") as answer:
        sent: list[tuple[int, float]] = await answer.json()
        return sent


def result_of(
    program: str, calls: int, report: Report, sent: Sequence[tuple[int, float]], cores: float
) -> Result:
    """Put together what the server sent after the warm-up and what came of it at the callers."""
    silenced_s = dict(report.silenced)
    counted = {
        number: sent_s for number, sent_s in sent if report.from_s <= sent_s <= report.until_s
    }
    return Result(
        program,
        calls,
        silenced_after_ms=[
            (silenced_s[number] - sent_s) * 1000
            for number, sent_s in counted.items()
            if number in silenced_s
        ],
        unanswered=len(counted.keys() - silenced_s.keys()),
        late_frames=report.late_frames,
        cores=cores,
        callers_late_p99_ms=report.callers_late_p99_ms,
    )


def shown(results: Sequence[Result]) -> str:
    """Results as a table, and the bars."""
    columns = (
        "calls, program",
        "interruptions",
        *(f"{name}, ms" for name in SHARES),
        "never silenced",
        "frames after `clear`",
        "bridge's core",
        "callers late, ms p99",
    )
    rows = [
        (
            f"{result.calls}, {result.program}",
            f"{len(result.silenced_after_ms) + result.unanswered}",
            *(f"{result.after_ms(share):.1f}" for share in SHARES.values()),
            f"{result.unanswered}",
            "" if result.program == NO_BRIDGE else f"{result.late_frames}",
            "" if math.isnan(result.cores) else f"{result.cores:.2f}",
            f"{result.callers_late_p99_ms:.1f}",
        )
        for result in results
    ]
    bars = f"p50 {P50_BAR_MS:g} ms and p99 {P99_BAR_MS:g} ms"
    return f"{table(columns, rows)}\n\nBars for the bridge: {bars}, and no frame after `clear`."


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.barge_in")
    options.add_argument("--calls", type=int, default=CALLS, help="at the same time")
    options.add_argument("--seconds", type=float, default=SECONDS, help="for each program")
    add_options(options, config_id=f"config_id={INTERRUPTED}")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    results = asyncio.run(
        measure(given.calls, seconds=given.seconds, also=given.also, evi_port=given.evi_port)
    )
    if given.json:
        figures = [result.summary for result in results]
        print(json.dumps(numbers_only({"machine": machine(), "barge_in": figures}), indent=2))
    else:
        print(f"{headline()}\n\n{shown(results)}")


if __name__ == "__main__":
    main()
