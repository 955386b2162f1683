"""What a phone call costs: CPU, memory, lost frames and added latency, as multiples of the floor.

    python -m benchmarks.calls_per_core --calls 10,50 --rounds 20

Both sides of a call talk all the time, which is the worst case. The callers of the bridge, of the
floor, and of the EVI server itself take turns of a second. The programs under test have one core;
the EVI stand-in and the callers have the others.
"""

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.call_figures import BRIDGE, FLOOR, Result, Usage, results, shown
from benchmarks.callers import TURN_S
from benchmarks.heard import CallersReport
from benchmarks.processes import Cores, Program, running, serving
from benchmarks.report import headline, machine

AGENT = Path(__file__).with_name("agent.py")
WARM_UP_S = 1.0
OPENING_TIMEOUT_S = 60.0
"""Until all calls are open and warmed up."""
ROUND_TIMEOUT_S = 10 * TURN_S
"""For three turns, or for the end of all calls."""


async def measure(
    calls: Sequence[int], *, rounds: int, warm_up_s: float = WARM_UP_S
) -> list[Result]:
    """Measure without a bridge, with the floor and with the bridge at each number of calls."""
    measured = []
    for number in calls:
        measured += await _measure(number, rounds, warm_up_s)
    return measured


async def _measure(calls: int, rounds: int, warm_up_s: float) -> list[Result]:
    cores = Cores.divided()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        evi = await enter(serving(["-m", "benchmarks.evi_stand_in"], cores.load))
        floor = await enter(
            serving(["-m", "benchmarks.floor", "--evi-url", evi.origin], cores.under_test)
        )
        bridge = await enter(
            serving(
                ["-m", "evibridge", "run", str(AGENT), "--evi-url", evi.origin],
                cores.under_test,
                EVIBRIDGE_LOG_LEVEL="warning",
                EVIBRIDGE_MAX_CALLS=str(calls),
                HUME_CONFIG_ID=BRIDGE,  # by which the stand-in counts
            )
        )
        meters = {FLOOR: _Meter(floor.program), BRIDGE: _Meter(bridge.program)}
        command = (
            f"-m benchmarks.callers --calls {calls} --rounds {rounds} --warm-up {warm_up_s} "
            f"evi={evi.origin} stream={floor.origin} twilio={bridge.origin}"
        )
        callers = await enter(running(command.split(), cores.load))
        direct, *reports = await _follow(callers, list(meters.values()), rounds)
        counts = await _counts(evi.origin)
    usages = [
        Usage(meter.cpu_s, meter.grown_kb, _lost_ms(report, counts[name]), report)
        for report, (name, meter) in zip(reports, meters.items(), strict=True)
    ]
    return results(calls, direct, *usages)


class _Meter:
    """CPU of each round and growth of a program under test, from its idle state on."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self._idle_kb = program.rss_kb()
        self._last_cpu_s = 0.0
        self.cpu_s: list[float] = []
        self.grown_kb = 0.0

    def start(self) -> None:
        """The first round begins."""
        self._last_cpu_s = self._program.cpu_s()

    def read(self) -> None:
        """A round is over."""
        cpu_s = self._program.cpu_s()
        self.cpu_s.append(cpu_s - self._last_cpu_s)
        self._last_cpu_s = cpu_s
        self.grown_kb = self._program.rss_kb() - self._idle_kb


async def _follow(callers: Program, meters: Sequence[_Meter], rounds: int) -> list[CallersReport]:
    """Read the meters when the callers say so; returns the callers' reports."""
    await callers.line(timeout_s=OPENING_TIMEOUT_S)
    for meter in meters:
        meter.start()
    for _ in range(rounds):
        await callers.line(timeout_s=ROUND_TIMEOUT_S)
        for meter in meters:
            meter.read()
    reports = json.loads(await callers.line(timeout_s=ROUND_TIMEOUT_S))
    return [CallersReport(**report) for report in reports]


async def _counts(evi_origin: str) -> dict[str, Any]:
    async with aiohttp.ClientSession() as http, http.get(f"{evi_origin}/counts") as answer:
        counts: dict[str, Any] = await answer.json()
        return counts


def _lost_ms(report: CallersReport, at_the_server: Mapping[str, float]) -> float:
    """Audio of both directions that did not come through."""
    lost_of_caller_ms = report.said_ms - at_the_server["heard_ms"]
    lost_of_agent_ms = at_the_server["said_ms"] - report.heard_ms
    return lost_of_caller_ms + lost_of_agent_ms


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.calls_per_core")
    options.add_argument("--calls", default="10,50", help="numbers of calls, with commas")
    options.add_argument("--rounds", type=int, default=20, help="turns of a second for each")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    calls = [int(number) for number in given.calls.split(",")]
    measured = asyncio.run(measure(calls, rounds=given.rounds))
    if given.json:
        figures = [asdict(result) for result in measured]
        print(json.dumps({"machine": machine(), "calls_per_core": figures}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(measured)}")


if __name__ == "__main__":
    main()
