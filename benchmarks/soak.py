"""Whether calls leave anything behind: memory, tasks, timers, sockets, files.

    python -m benchmarks.soak --calls 2000 --lanes 20 --seconds 2

So many callers (`--lanes`) make one call after another. A tenth of the calls are broken: at every
stage, from both sides, in turn. The calls come in equal blocks, after each of which the service is
left to come to rest and counted. What grows from the first block to the last has been left behind:
each block is like the first, and more calls at once would need more memory once.
"""

import argparse
import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import uvloop

from benchmarks.broken_calls import BROKEN, REFUSED, SoakCaller, Stage
from benchmarks.counted_service import Held
from benchmarks.evi_stand_in import OBEDIENT
from benchmarks.processes import Cores, Program, Server, serving
from benchmarks.report import headline, machine, table
from benchmarks.wires import exchange
from evibridge.errors import EvibridgeError

CALLS, LANES, SECONDS = 2_000, 20, 2.0
BLOCKS = 10
RESUME_S = 2.0
"""Instead of 20 s, so that lost calls end soon."""
REST_S = 30.0
"""How long it may take until nothing of a call is left: the carrier has its time to ask what comes
next, and an EVI server to come back."""
LOOK_EVERY_S = 0.25
COUNT_TIMEOUT_S = 10.0
RSS_BAR = 0.02
"""Resident memory after the last block may exceed that after the first by so much."""


@dataclass(frozen=True, slots=True)
class Count:
    """The service at rest after so many calls."""

    calls: int
    held: Held
    temporary_files: int


@dataclass(frozen=True, slots=True)
class Soak:
    """All counts, and how the calls went.

    Attributes:
        calls: of each stage
        failed: of each stage, calls in which the service did not do what it has to
    """

    counts: list[Count]
    calls: dict[Stage, int]
    failed: dict[Stage, int]

    @property
    def rss_growth(self) -> float:
        """Share by which resident memory has grown from the first block's end to the last's."""
        return self.counts[-1].held.rss_kb / self.counts[1].held.rss_kb - 1

    @property
    def left_behind(self) -> dict[str, int]:
        """What there is more of after the last call than before the first."""
        first, last = self.counts[0], self.counts[-1]
        counted = ("live", "tasks", "timers", "sockets", "files", "threads")
        more = {name: getattr(last.held, name) - getattr(first.held, name) for name in counted}
        more["temporary files"] = last.temporary_files - first.temporary_files
        return {name: number for name, number in more.items() if number > 0}


async def measure(
    calls: int = CALLS,
    *,
    lanes: int = LANES,
    seconds: float = SECONDS,
    broken: Sequence[Stage] = BROKEN,
    broken_share: float = 0.1,
    blocks: int = BLOCKS,
    resume_s: float = RESUME_S,
) -> Soak:
    """Make all calls and count.

    Args:
        calls: how many
        lanes: callers at the same time
        seconds: length of a call
        broken: how calls are broken, in turn
        broken_share: how many of them are
        blocks: equal parts of the calls
        resume_s: how long the service waits for what it has lost
    """
    cores = Cores.divided()
    with cores.with_us_as_load(), TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            evi = await enter(serving(["-m", "benchmarks.evi_stand_in"], cores.load))
            service = await enter(
                serving(
                    ["-m", "benchmarks.counted_service"],
                    cores.under_test,
                    EVIBRIDGE_EVI_URL=evi.origin,
                    EVIBRIDGE_LOG_LEVEL="error",
                    EVIBRIDGE_MAX_CALLS=str(calls + lanes),  # a ticket that nobody uses has a place
                    EVIBRIDGE_RESUME_SECONDS=str(resume_s),
                    HUME_CONFIG_ID=OBEDIENT,  # which the stand-in takes as an order
                    TMPDIR=folder,
                )
            )
            team = _Team(
                [
                    SoakCaller(
                        service.origin,
                        await enter(exchange(service.origin)),
                        await enter(_http()),
                        seconds,
                    )
                    for _ in range(lanes)
                ]
            )
            counter = _Counter(service.program, Path(folder))
            await counter.count(0)
            stages = cycle(broken)
            number = calls // blocks
            for _ in range(blocks):
                breaks = list(islice(stages, round(number * broken_share)))
                for status, shift in _shifts(number, breaks):
                    await _refuse(evi, status)
                    await team.work(shift)
                await counter.count(team.calls)
    return Soak(counter.counts, dict(team.made), dict(+team.failed))


def _shifts(number: int, breaks: Sequence[Stage]) -> Iterator[tuple[int | None, list[Stage]]]:
    """So many calls; those that have to be refused are apart, because one server refuses all."""
    mixed = [stage for stage in breaks if stage not in REFUSED]
    mixed += [Stage.WHOLE] * (number - len(breaks))
    random.Random(number).shuffle(mixed)
    yield None, mixed
    for stage, status in REFUSED.items():
        yield status, [each for each in breaks if each is stage]


class _Team:
    """All callers, and how their calls went."""

    def __init__(self, callers: Sequence[SoakCaller]) -> None:
        self._callers = callers
        self.made: Counter[Stage] = Counter()
        self.failed: Counter[Stage] = Counter()

    @property
    def calls(self) -> int:
        """Made so far."""
        return self.made.total()

    async def work(self, shift: Sequence[Stage]) -> None:
        """Share these calls out: whoever is free makes the next one."""
        to_do = iter(shift)

        async def work(caller: SoakCaller) -> None:
            for stage in to_do:
                self.made[stage] += 1
                try:
                    went_well = await caller.call(stage)
                except (RuntimeError, OSError, EvibridgeError, aiohttp.ClientError) as error:
                    print(f"{stage}: {error!r}", file=sys.stderr)
                    went_well = False
                self.failed[stage] += not went_well

        async with asyncio.TaskGroup() as group:
            for caller in self._callers:
                group.create_task(work(caller))


class _Counter:
    """Counts what the service holds.

    Args:
        program: the service
        folder: where it would put temporary files
    """

    def __init__(self, program: Program, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self.counts: list[Count] = []

    async def count(self, calls: int) -> None:
        """Wait until the service is at rest, or has had the time for it, and count."""
        for _ in range(round(REST_S / LOOK_EVERY_S)):
            await asyncio.sleep(LOOK_EVERY_S)
            self._program.tell("count")
            held = Held(**json.loads(await self._program.line(timeout_s=COUNT_TIMEOUT_S)))
            if not self.counts or _is_at_rest(held, self.counts[0].held):
                break
        self.counts.append(Count(calls, held, self._temporary_files()))

    def _temporary_files(self) -> int:
        return sum(1 for _ in self._folder.rglob("*"))


def _is_at_rest(held: Held, before: Held) -> bool:
    return held.live == 0 and all(
        getattr(held, name) <= getattr(before, name) for name in ("tasks", "timers", "sockets")
    )


def _http() -> aiohttp.ClientSession:
    """For webhooks; a connection that is kept would be counted."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))


async def _refuse(evi: Server, status: int | None) -> None:
    """Have the EVI server refuse all chats from now on, or none."""
    query = {} if status is None else {"status": str(status)}
    async with _http() as http, http.post(f"{evi.origin}/refuse", params=query) as answer:
        answer.raise_for_status()


def shown(soak: Soak) -> str:
    """Counts as a table, calls as another, and the bar."""
    columns = (
        "after calls",
        "resident, MB",
        "live calls",
        "tasks",
        "timers",
        "sockets",
        "open files",
        "threads",
        "temporary files",
        "objects",
    )
    rows = [
        (
            f"{count.calls}",
            f"{count.held.rss_kb / 1024:.2f}",
            f"{count.held.live}",
            f"{count.held.tasks}",
            f"{count.held.timers}",
            f"{count.held.sockets}",
            f"{count.held.files}",
            f"{count.held.threads}",
            f"{count.temporary_files}",
            f"{count.held.objects}",
        )
        for count in soak.counts
    ]
    stages = [
        (stage, f"{soak.calls[stage]}", f"{soak.failed.get(stage, 0)}")
        for stage in Stage
        if stage in soak.calls
    ]
    left = ", ".join(f"{number} {name}" for name, number in soak.left_behind.items())
    return (
        f"{table(columns, rows)}\n\n{table(('how calls went', 'calls', 'failed'), stages)}\n\n"
        f"Left behind: {left or 'nothing'}. Resident memory has grown by "
        f"{100 * soak.rss_growth:+.1f} % since the first block; bar {100 * RSS_BAR:g} %."
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    options.add_argument("--calls", type=int, default=CALLS)
    options.add_argument("--lanes", type=int, default=LANES, help="callers at the same time")
    options.add_argument("--seconds", type=float, default=SECONDS, help="length of a call")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    soak = uvloop.run(measure(given.calls, lanes=given.lanes, seconds=given.seconds))
    if given.json:
        figures = {
            **asdict(soak),
            "left_behind": soak.left_behind,
            "rss_growth": soak.rss_growth,
        }
        print(json.dumps({"machine": machine(), "soak": figures}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(soak)}")


if __name__ == "__main__":
    main()
