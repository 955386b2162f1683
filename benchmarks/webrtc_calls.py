"""What a call by WebRTC costs: CPU beside aiortc's own echo, and how many one core carries.

    python -m benchmarks.webrtc_calls --calls 10 --seconds 10 --rounds 2
    python -m benchmarks.webrtc_calls --ramp 10,20,30,40

Both sides talk all the time. Bridge and echo take turns with the same pages, which are in a process
of their own on another core, as is the EVI stand-in. The echo has no agent and no chat: stock
aiortc decodes the page's voice and encodes it again.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from benchmarks.processes import Cores, Program, Server, busy_s, running, serving
from benchmarks.report import headline, machine, numbers_only, table
from benchmarks.turns import AGENT, OPENING_TIMEOUT_S
from benchmarks.webrtc_pages import FRAME_S

CALLS, SECONDS, ROUNDS = 10, 8.0, 2
WARM_UP_S = 1.5
BRIDGE, ECHO = "evibridge", "aiortc's echo"
LOOPBACK_BRIDGE = ("-m", "benchmarks.webrtc_loopback", "evibridge", "run")
RATIO_BAR = 1.25
CALLS_WANTED = 20
REPORT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """One program under one load.

    Attributes:
        cpu_share: of a core, of all calls
        pages_share: of a core, that the pages used: from 0.9 on they are the limit
        agent_frames: of those that real time has, what share the pages heard
        talkspurts: that began while the agent talked without a pause: its voice had run dry
        gaps: within the agent's voice that pages would hear
        pages_late_ms: how late a page was itself, at the most: a stall of the machine
        disturbed: share of the core under test that other programs had: with more than a little
            of it, frames are lost that the bridge would not lose
    """

    program: str
    calls: int
    cpu_share: float
    pages_share: float
    agent_frames: float
    talkspurts: int
    gaps: int
    pages_late_ms: float
    disturbed: float

    @property
    def per_call(self) -> float:
        """Share of a core."""
        return self.cpu_share / self.calls


@asynccontextmanager
async def bridge(
    cores: Cores, calls: int, config_id: str = BRIDGE
) -> AsyncIterator[tuple[Server, Server]]:
    """The bridge as it ships, at loopback, and its EVI server."""
    async with (
        serving(["-m", "benchmarks.webrtc_stand_in"], cores.load) as evi,
        serving(
            [*LOOPBACK_BRIDGE, str(AGENT), "--evi-url", evi.origin],
            cores.under_test,
            EVIBRIDGE_MAX_CALLS=str(2 * calls),  # those of the turn before may be ending
            HUME_CONFIG_ID=config_id,
        ) as server,
    ):
        yield server, evi


async def talk(name: str, server: Server, cores: Cores, calls: int, seconds: float) -> Result:
    """Let pages talk to a program for a while."""
    command = f"-m benchmarks.webrtc_pages --calls {calls} --seconds {seconds} --warm-up"
    arguments = [*command.split(), str(WARM_UP_S), server.origin]
    async with running(arguments, cores.load) as pages:
        await pages.line(timeout_s=OPENING_TIMEOUT_S)
        before, busy_before_s = _used(server.program, pages), busy_s(cores.under_test)
        began_s = time.perf_counter()
        heard = json.loads(await pages.line(timeout_s=seconds + REPORT_TIMEOUT_S))
        lasted_s = time.perf_counter() - began_s
        used = _used(server.program, pages)
        packets, talkspurts, gaps = (
            sum(page[what] for page in heard) for what in ("packets", "talkspurts", "gaps")
        )
    return Result(
        name,
        calls,
        cpu_share=(used[0] - before[0]) / lasted_s,
        pages_share=(used[1] - before[1]) / lasted_s,
        agent_frames=packets / (calls * lasted_s / FRAME_S),
        talkspurts=talkspurts,
        gaps=gaps,
        pages_late_ms=max(page["late_ms"] for page in heard),
        disturbed=max(0.0, busy_s(cores.under_test) - busy_before_s - used[0] + before[0])
        / lasted_s,
    )


def _used(program: Program, pages: Program) -> tuple[float, float]:
    return program.cpu_s(), pages.cpu_s()


async def compare(calls: int, seconds: float, rounds: int) -> list[Result]:
    """Give the bridge and the echo turns."""
    cores, results = Cores.divided(), list[Result]()
    with cores.with_us_as_load():
        async with (
            bridge(cores, calls) as (ours, _),
            serving(["-m", "benchmarks.webrtc_echo"], cores.under_test) as echo,
        ):
            for _round in range(rounds):
                results.append(await talk(BRIDGE, ours, cores, calls, seconds))
                results.append(await talk(ECHO, echo, cores, calls, seconds))
    return results


async def ramp(numbers: Sequence[int], seconds: float) -> list[Result]:
    """Measure the bridge at each number of calls."""
    cores, results = Cores.divided(), list[Result]()
    with cores.with_us_as_load():
        for calls in numbers:
            async with bridge(cores, calls) as (ours, _):
                results.append(await talk(BRIDGE, ours, cores, calls, seconds))
    return results


def shown(results: Sequence[Result]) -> str:
    """Results as a table, and the bars."""
    columns = (
        "calls, program",
        "core, % a call",
        "core, %",
        "pages' core, %",
        "agent's frames, %",
        "ran dry",
        "gaps heard",
        "pages late, ms",
        "others on the core, %",
    )
    rows = [
        (
            f"{each.calls}, {each.program}",
            f"{100 * each.per_call:.2f}",
            f"{100 * each.cpu_share:.0f}",
            f"{100 * each.pages_share:.0f}",
            f"{100 * each.agent_frames:.1f}",
            "" if each.program == ECHO else f"{each.talkspurts}",
            f"{each.gaps}",
            f"{each.pages_late_ms:.0f}",
            f"{100 * each.disturbed:.0f}",
        )
        for each in results
    ]
    text = table(columns, rows)
    echo = [each.per_call for each in results if each.program == ECHO]
    if echo:
        ours = [each.per_call for each in results if each.program == BRIDGE]
        ratio = (sum(ours) / len(ours)) / (sum(echo) / len(echo))
        text += f"\n\nThe bridge used {ratio:.2f} times the CPU of the echo; bar: {RATIO_BAR:g}."
    else:
        text += f"\n\nWanted: {CALLS_WANTED} calls on a core without a gap."
    return text


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.webrtc_calls")
    options.add_argument("--calls", type=int, default=CALLS, help="at the same time")
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each turn")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="of turns")
    options.add_argument("--ramp", help="numbers of calls, by commas: the bridge alone")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    if given.ramp:
        numbers = [int(number) for number in given.ramp.split(",")]
        results = asyncio.run(ramp(numbers, given.seconds))
    else:
        results = asyncio.run(compare(given.calls, given.seconds, given.rounds))
    if given.json:
        figures = {"machine": machine(), "webrtc_calls": [asdict(each) for each in results]}
        print(json.dumps(numbers_only(figures), indent=2))
    else:
        print(f"{headline()}\n\n{shown(results)}")


if __name__ == "__main__":
    main()
