"""Whether calls leave anything behind: memory, tasks, timers, sockets, files.

    python -m benchmarks.soak --calls 2000 --lanes 20 --seconds 2
    python -m benchmarks.soak --url http://127.0.0.1:9000 --evi-port 8765

So many callers (`--lanes`) make one call after another. A tenth of the calls are broken: at every
stage, from both sides, in turn. The calls come in equal blocks, after each of which the service is
left to come to rest and counted. What grows from the first block to the last has been left behind:
each block is like the first, and more calls at once would need more memory once.

With `--url` it is a bridge that runs already that is soaked. What can be seen of its processes from
outside is counted.
"""

import argparse
import asyncio
import json
import math
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import uvloop

from benchmarks.broken_calls import BROKEN, REFUSED, SoakCaller, Stage
from benchmarks.counted_service import Held
from benchmarks.evi_stand_in import OBEDIENT
from benchmarks.other_bridge import ProcessTree, add_evi_port
from benchmarks.processes import Cores, Server, serving
from benchmarks.report import headline, machine, numbers_only, table
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
COUNTED = ("live", "tasks", "timers", "sockets", "files", "threads")
"""Of what is held, what has to be the same after all calls as before."""
RSS_BAR = 0.02
"""Resident memory after the last block may exceed that after the first by so much."""


@dataclass(frozen=True, slots=True)
class Count:
    """The service at rest after so many calls; None for what is not known."""

    calls: int
    held: Held
    temporary_files: int | None


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
        first, last = (
            {name: getattr(count.held, name) for name in COUNTED}
            | {"temporary files": count.temporary_files}
            for count in (self.counts[0], self.counts[-1])
        )
        more = {name: last[name] - first[name] for name in last if last[name] is not None}
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
    url: str | None = None,
    evi_port: int | None = None,
) -> Soak:
    """Make all calls and count.

    Args:
        calls: how many
        lanes: callers at the same time
        seconds: length of a call
        broken: how calls are broken, in turn
        broken_share: how many of them are
        blocks: equal parts of the calls
        resume_s: how long our service waits for what it has lost
        url: of a bridge that runs already and is soaked instead
        evi_port: of the EVI stand-in; any free one by default
    """
    cores = Cores.divided()
    with cores.with_us_as_load():
        async with AsyncExitStack() as stack:
            enter = stack.enter_async_context
            stand_in = serving(["-m", "benchmarks.evi_stand_in"], cores.load, port=evi_port)
            evi = await enter(stand_in)
            soaked = (
                _Soaked.running(url)
                if url
                else await enter(_our_service(evi.origin, cores, calls + lanes, resume_s))
            )
            team = _Team(
                [
                    SoakCaller(
                        soaked.url,
                        await enter(exchange(soaked.url)),
                        await enter(_http()),
                        seconds,
                    )
                    for _ in range(lanes)
                ]
            )
            counter = _Counter(soaked)
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


@dataclass(frozen=True, slots=True)
class _Soaked:
    """The service that is soaked.

    Attributes:
        url: of its webhook, or its origin
        held: counts what it holds
        folder: where it would put temporary files; None if that is not known
    """

    url: str
    held: Callable[[], Awaitable[Held]]
    folder: Path | None

    @classmethod
    def running(cls, url: str) -> "_Soaked":
        """One that runs already: what it holds is seen from outside."""
        processes = ProcessTree.behind(url)

        async def held() -> Held:
            return Held(
                live=None,
                tasks=None,
                timers=None,
                sockets=processes.sockets(),
                files=processes.files(),
                threads=processes.threads(),
                objects=None,
                rss_kb=processes.rss_kb(),
            )

        return cls(url, held, None)


@asynccontextmanager
async def _our_service(
    evi_origin: str, cores: Cores, places: int, resume_s: float
) -> AsyncIterator[_Soaked]:
    """The bridge that tells what it holds; a ticket that nobody uses has a place, too."""
    with TemporaryDirectory() as folder:
        async with serving(
            ["-m", "benchmarks.counted_service"],
            cores.under_test,
            EVIBRIDGE_EVI_URL=evi_origin,
            EVIBRIDGE_LOG_LEVEL="error",
            EVIBRIDGE_MAX_CALLS=str(places),
            EVIBRIDGE_RESUME_SECONDS=str(resume_s),
            HUME_CONFIG_ID=OBEDIENT,  # which the stand-in takes as an order
            TMPDIR=folder,
        ) as service:

            async def held() -> Held:
                service.program.tell("count")
                return Held(**json.loads(await service.program.line(timeout_s=COUNT_TIMEOUT_S)))

            yield _Soaked(service.origin, held, Path(folder))


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
    """Counts what a service holds."""

    def __init__(self, soaked: _Soaked) -> None:
        self._soaked = soaked
        self.counts: list[Count] = []

    async def count(self, calls: int) -> None:
        """Wait until the service is at rest, or has had the time for it, and count."""
        for _ in range(round(REST_S / LOOK_EVERY_S)):
            await asyncio.sleep(LOOK_EVERY_S)
            held = await self._soaked.held()
            if not self.counts or _is_at_rest(held, self.counts[0].held):
                break
        self.counts.append(Count(calls, held, self._temporary_files()))

    def _temporary_files(self) -> int | None:
        folder = self._soaked.folder
        return None if folder is None else sum(1 for _ in folder.rglob("*"))


def _is_at_rest(held: Held, before: Held) -> bool:
    return not held.live and all(
        (getattr(held, name) or 0) <= (getattr(before, name) or 0)
        for name in ("tasks", "timers", "sockets")
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
            "" if math.isnan(count.held.rss_kb) else f"{count.held.rss_kb / 1024:.2f}",
            *(_cell(getattr(count.held, name)) for name in COUNTED),
            _cell(count.temporary_files),
            _cell(count.held.objects),
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


def _cell(number: int | None) -> str:
    return "" if number is None else f"{number}"


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    options.add_argument("--calls", type=int, default=CALLS)
    options.add_argument("--lanes", type=int, default=LANES, help="callers at the same time")
    options.add_argument("--seconds", type=float, default=SECONDS, help="length of a call")
    options.add_argument(
        "--url",
        help="a bridge that runs already, by the http URL of its webhook; evibridge by its origin. "
        f"Its EVI server is the one of --evi-port, which it asks for config_id={OBEDIENT}; "
        "otherwise that server does none of what callers order",
    )
    add_evi_port(options)
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    soak = uvloop.run(
        measure(
            given.calls,
            lanes=given.lanes,
            seconds=given.seconds,
            url=given.url,
            evi_port=given.evi_port,
        )
    )
    if given.json:
        figures = {
            **asdict(soak),
            "left_behind": soak.left_behind,
            "rss_growth": soak.rss_growth,
        }
        print(json.dumps(numbers_only({"machine": machine(), "soak": figures}), indent=2))
    else:
        print(f"{headline()}\n\n{shown(soak)}")


if __name__ == "__main__":
    main()
