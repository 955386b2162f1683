"""Programs under the same load, one after another, over and over: the turns of a measurement.

The programs under test have one core; the EVI stand-in and the callers, which are the load
generator, have the others.
"""

import json
import math
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from benchmarks.heard import CallersReport
from benchmarks.other_bridge import OtherBridge, ProcessTree
from benchmarks.processes import Cores, Program, busy_s, running, serving
from benchmarks.service_metrics import Bound, ServiceMeter

AGENT = Path(__file__).with_name("agent.py")
NO_BRIDGE, FLOOR, BRIDGE = "no bridge", "floor", "evibridge"
WARM_UP_S = 1.0
OPENING_TIMEOUT_S = 120.0
"""Until all calls are open and warmed up."""
ENDING_TIMEOUT_S = 30.0
"""For what a turn takes longer than it should, and for the end of all calls."""


class Watched(Protocol):
    """Processes whose use of the machine is known, or is not a number."""

    def cpu_s(self) -> float:
        """CPU time so far."""

    def rss_kb(self) -> float:
        """Resident memory."""


@dataclass(frozen=True, slots=True)
class UnderTest:
    """A program that is called.

    Attributes:
        name: in tables
        address: how and where it is called, as `benchmarks.callers` reads it
        processes: that do its work
        service: reads the bridge's own figures, where it is known how
    """

    name: str
    address: str
    processes: Watched
    service: ServiceMeter | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One program's turn.

    Attributes:
        talked_s: how long its callers talked
        lasted_s: until they had heard all answers
        cpu_s: of the program
        heard_after_ms: from each loud frame until its loud answer was played
        load: share of the load generator's cores that was used; each of its two processes can use
            no more than one
        disturbed: share of the core under test that others had: other programs, and the hypervisor
    """

    talked_s: float
    lasted_s: float
    cpu_s: float
    heard_after_ms: list[float]
    load: float
    disturbed: float


@dataclass(slots=True)
class Usage:
    """One program under one load.

    Attributes:
        fault: why it could not be called; then there is nothing else
        grown_kb: resident memory with all calls, less that without any
        lost_ms: audio of both directions that did not come through
    """

    program: str
    calls: int
    fault: str | None = None
    turns: list[Turn] = field(default_factory=list)
    grown_kb: float = math.nan
    lost_ms: float = 0.0
    report: CallersReport | None = None
    loop_lag_p99: Bound | None = None
    longest_gc_pause: Bound | None = None


class Others:
    """Bridges that somebody else runs, with what they need when nobody calls.

    Args:
        bridges: that run already
    """

    def __init__(self, bridges: Sequence[OtherBridge] = ()) -> None:
        self.under_test = [
            UnderTest(bridge.name, bridge.address, ProcessTree.behind(bridge.url))
            for bridge in bridges
        ]
        for each in self.under_test:
            warn_of_other_cores(each)
        self.idle_kb = {each.name: each.processes.rss_kb() for each in self.under_test}
        """When the measurement began: what calls have taken once may not come back."""


def warn_of_other_cores(bridge: UnderTest) -> None:
    """Tell whoever has started a bridge where it should run."""
    cores = Cores.divided().under_test
    if isinstance(bridge.processes, ProcessTree) and not bridge.processes.cores() <= cores:
        core = ",".join(map(str, sorted(cores)))
        print(
            f"{bridge.name} may run where the callers do: start it by `taskset -c {core}`, "
            "or its figures cannot be compared.",
            file=sys.stderr,
        )


async def take_turns(
    calls: int,
    names: Sequence[str],
    *,
    others: Others,
    rounds: int,
    turn_s: float,
    warm_up_s: float = WARM_UP_S,
    evi_port: int | None = None,
) -> list[Usage]:
    """Measure programs at one number of calls.

    Args:
        calls: to each program
        names: of the programs, ours or others'; no bridge is always among them, and first
        others: those that are not ours
        rounds: in which each program has one turn
        turn_s: length of a turn
        warm_up_s: before the first turn
        evi_port: of the EVI stand-in; any free one by default
    """
    cores = Cores.divided()
    with cores.with_us_as_load():
        async with AsyncExitStack() as stack:
            evi = await stack.enter_async_context(
                serving(["-m", "benchmarks.evi_stand_in"], cores.load, port=evi_port)
            )
            programs = [UnderTest(NO_BRIDGE, f"evi={evi.origin}", ProcessTree([]))]
            if FLOOR in names:
                programs.append(await stack.enter_async_context(_floor(evi.origin, cores)))
            if BRIDGE in names:
                programs.append(await stack.enter_async_context(_bridge(evi.origin, cores, calls)))
            programs += [each for each in others.under_test if each.name in names]
            idle_kb = {each.name: each.processes.rss_kb() for each in programs} | others.idle_kb
            command = f"-m benchmarks.callers --calls {calls} --warm-up {warm_up_s}".split()
            addresses = [program.address for program in programs]
            callers = await stack.enter_async_context(running(command + addresses, cores.load))
            load = Load((callers, evi.program), len(cores.load))
            table = _Table(programs, Turns(callers, load, cores.under_test))
            usages = await table.seat(calls)
            for _ in range(rounds):
                await table.go_round(turn_s)
            for program, usage in zip(programs, usages, strict=True):
                usage.grown_kb = program.processes.rss_kb() - idle_kb[program.name]
            await table.settle(evi.origin)
            return usages


@asynccontextmanager
async def _floor(evi_origin: str, cores: Cores) -> AsyncIterator[UnderTest]:
    arguments = ["-m", "benchmarks.floor", "--evi-url", evi_origin]
    async with serving(arguments, cores.under_test) as server:
        yield UnderTest(FLOOR, f"stream={server.origin}", server.program)


@asynccontextmanager
async def _bridge(evi_origin: str, cores: Cores, calls: int) -> AsyncIterator[UnderTest]:
    """The bridge as it ships, its log in a file."""
    async with serving(
        ["-m", "evibridge", "run", str(AGENT), "--evi-url", evi_origin],
        cores.under_test,
        EVIBRIDGE_MAX_CALLS=str(calls),
        HUME_CONFIG_ID=BRIDGE,  # by which the stand-in counts
    ) as server:
        meter = ServiceMeter(server.origin)
        yield UnderTest(BRIDGE, f"twilio={server.origin}", server.program, meter)


class Load:
    """How much of what it may use the load generator uses.

    Args:
        processes: that it consists of; each has one thread that works
        cores: that they share
    """

    def __init__(self, processes: Sequence[Watched], cores: int) -> None:
        self._processes = processes
        self._cores = cores
        self._began_s = 0.0
        self._cpu_s: list[float] = []

    def start(self) -> None:
        """A turn begins."""
        self._cpu_s = [process.cpu_s() for process in self._processes]
        self._began_s = time.perf_counter()

    def read(self) -> float:
        """The share since then."""
        lasted_s = time.perf_counter() - self._began_s
        used_s = [
            process.cpu_s() - before
            for process, before in zip(self._processes, self._cpu_s, strict=True)
        ]
        return max(sum(used_s) / self._cores, *used_s) / lasted_s


class Turns:
    """Lets callers talk when it is their turn, and reads what that costs.

    Args:
        callers: `benchmarks.callers`, of some programs
        load: of which they are a part
        cores: of the programs
    """

    def __init__(self, callers: Program, load: Load, cores: frozenset[int]) -> None:
        self._callers = callers
        self._load = load
        self._cores = cores

    async def opened(self) -> list[str | None]:
        """Wait until all calls are open; returns why a program cannot be called, for each."""
        faults: list[str | None] = json.loads(await self._callers.line(timeout_s=OPENING_TIMEOUT_S))
        return faults

    async def turn(self, number: int, program: UnderTest, turn_s: float) -> Turn:
        """Give one to a program, which is the callers' `number`."""
        if program.service is not None:
            await program.service.start()
        self._load.start()
        busy_before_s, cpu_before_s = busy_s(self._cores), program.processes.cpu_s()
        began_s = time.perf_counter()
        self._callers.tell(f"talk {number} {turn_s}")
        heard = await self._callers.line(timeout_s=turn_s + ENDING_TIMEOUT_S)
        lasted_s = time.perf_counter() - began_s
        cpu_s = program.processes.cpu_s() - cpu_before_s
        own_s = 0.0 if program.name == NO_BRIDGE else cpu_s
        others_s = busy_s(self._cores) - busy_before_s - own_s
        load, disturbed = self._load.read(), max(0.0, others_s) / lasted_s
        if program.service is not None:
            await program.service.stop()
        return Turn(turn_s, lasted_s, cpu_s, json.loads(heard), load, disturbed)

    async def end(self) -> list[CallersReport | None]:
        """Let all callers hang up; returns their reports, None of a program without callers."""
        self._callers.say_no_more()
        reports = json.loads(await self._callers.line(timeout_s=ENDING_TIMEOUT_S))
        return [None if report is None else CallersReport(**report) for report in reports]


class _Table:
    """Gives each program its turns, and writes down what they cost.

    Args:
        programs: under test, in the order of the callers' arguments
        turns: of their callers
    """

    def __init__(self, programs: Sequence[UnderTest], turns: Turns) -> None:
        self._programs = programs
        self._turns = turns
        self._usages: list[Usage] = []

    async def seat(self, calls: int) -> list[Usage]:
        """Wait until all calls are open; returns what will be filled in."""
        faults = await self._turns.opened()
        self._usages = [
            Usage(program.name, calls, fault)
            for program, fault in zip(self._programs, faults, strict=True)
        ]
        return self._usages

    async def go_round(self, turn_s: float) -> None:
        """Give each program one turn."""
        for number, (program, usage) in enumerate(zip(self._programs, self._usages, strict=True)):
            if usage.fault is None:
                usage.turns.append(await self._turns.turn(number, program, turn_s))

    async def settle(self, evi_origin: str) -> None:
        """End all calls and take what was counted."""
        reports = await self._turns.end()
        counts = await audio_counts(evi_origin)
        for program, usage, report in zip(self._programs, self._usages, reports, strict=True):
            usage.report = report
            if report is not None:
                usage.lost_ms = lost_ms(report, counts.get(program.name))
            if program.service is not None:
                usage.loop_lag_p99 = program.service.lag_p99
                usage.longest_gc_pause = program.service.longest_gc_pause


async def audio_counts(evi_origin: str) -> dict[str, Any]:
    """What the stand-in has heard and said so far, by `config_id`."""
    async with aiohttp.ClientSession() as http, http.get(f"{evi_origin}/counts") as answer:
        counts: dict[str, Any] = await answer.json()
        return counts


def lost_ms(report: CallersReport, at_the_server: dict[str, int] | None) -> int:
    """Audio that did not come through, in both directions.

    Args:
        report: of the callers
        at_the_server: what the stand-in has heard from the program and said to it; None if the
            program does not ask for its `config_id`, so that only the agent's audio is counted
    """
    if at_the_server is None:
        return max(0, report.owed_ms - report.heard_ms)
    lost_of_caller_ms = report.said_ms - at_the_server["heard_ms"]
    lost_of_agent_ms = at_the_server["said_ms"] - report.heard_ms
    return max(0, lost_of_caller_ms) + max(0, lost_of_agent_ms)
