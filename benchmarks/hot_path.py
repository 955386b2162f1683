"""What whole calls cost in one process, without sockets: microseconds, memory, and for what.

    python -m benchmarks.hot_path --calls 100 --rounds 10

So many calls are served in turn, so that caches behave as in service. The lowest of many rounds
counts: whatever is above it is the machine's other work.
"""

import argparse
import gc
import json
import os
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from time import perf_counter

import uvloop

from benchmarks.in_process_calls import Batch, InProcessCalls, open_calls
from benchmarks.path_stages import OTHER, STAGES, Sampler
from benchmarks.report import headline, machine, table
from benchmarks.service_needs import Cost, measure_needs
from benchmarks.talk import TALK_S, UTTERANCES, Kind, talk
from evibridge.logs import configure_logs

CALLS = 100
ROUNDS = 5
MEMORY_CALLS = 5
"""Memory of one call does not depend on the others; following it is slow."""
WARM_UP_TALKS = 3
"""Until the interpreter has most of what it keeps for itself: free objects, names in its cache of
attributes. That is bounded, and what little still comes counts as kept by calls."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a call is handed, and what that costs."""

    name: str
    per_call_s: float
    """So many come in a second of a call."""
    us: float
    """Of CPU, from picows' callback to its return."""
    stages_us: Mapping[str, float]
    """The same, by what it is spent on; the sum is `us`."""
    bytes_in_use: int
    """Of memory at most while it is handled, beyond what the call has before."""
    bytes_kept: float | None
    """Of that, how much the call still has afterwards, on average. Of a chunk, when the mark that
    it made due has come back; None of the echo, which is in that."""

    @property
    def us_per_call_s(self) -> float:
        """In a second of a call."""
        return self.us * self.per_call_s


@dataclass(frozen=True, slots=True)
class Need:
    """What a service needs beyond audio: a part of the path."""

    name: str
    us_per_call_s: float
    share: float
    """Of the path in the process."""
    share_with_sockets: float | None
    """Of what a call-second costs with sockets; None if that is not known."""


@dataclass(frozen=True, slots=True)
class HotPath:
    """One second of a call in which both sides talk all the time."""

    calls: int
    pieces: list[Piece]
    collections: list[float]
    """Of garbage, in 1000 call-seconds: of the youngest objects, of older ones, of all."""
    needs: list[Need]
    with_sockets_ms: float | None
    """CPU of a call-second with sockets, as it was given."""

    @property
    def ms_per_call_s(self) -> float:
        """CPU of it."""
        return sum(piece.us_per_call_s for piece in self.pieces) / 1000


def measure(
    *, calls: int = CALLS, rounds: int = ROUNDS, with_sockets_ms: float | None = None
) -> HotPath:
    """Measure in a process of its own, where nothing else was loaded or has been logged.

    Args:
        calls: served in turn
        rounds: of 20 call-seconds each
        with_sockets_ms: measured CPU of a call-second with sockets, to compare with
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_measure_alone, calls, rounds, with_sockets_ms).result()


def measure_here(calls: int, rounds: int, with_sockets_ms: float | None = None) -> HotPath:
    """The same in this process, whose logs it takes over."""
    with _logs_to_nowhere():
        return uvloop.run(_measure(calls, rounds, with_sockets_ms))


def _measure_alone(calls: int, rounds: int, with_sockets_ms: float | None) -> HotPath:
    gc.collect()
    gc.freeze()  # as `evibridge run` does with what was loaded at the start
    return measure_here(calls, rounds, with_sockets_ms)


@contextmanager
def _logs_to_nowhere() -> Iterator[None]:
    """Log as a service does for machines, and keep nothing."""
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        configure_logs("info", "json")
        yield


async def _measure(calls: int, rounds: int, with_sockets_ms: float | None) -> HotPath:
    async with open_calls(calls) as opened:
        talks = _Talks(opened)
        talks.hold()
        times, collections = _timed(talks, calls, rounds)
        counts = _sampled(talks, rounds)
    memory = await _followed()
    pieces = [
        Piece(kind, per_call_s, us, _shared(us, counts[kind]), *memory[kind])
        for kind, (per_call_s, us) in times.items()
    ]
    total_us = sum(piece.us_per_call_s for piece in pieces)
    costs = await measure_needs(calls, rounds)
    needs = [_need(cost, total_us, with_sockets_ms) for cost in costs]
    return HotPath(calls, pieces, collections, needs, with_sockets_ms)


class _Talks:
    """One talk after another, by the same calls."""

    def __init__(self, calls: InProcessCalls) -> None:
        self._calls = calls
        self._begun = 0

    def next(self) -> Iterator[Batch]:
        """What is to be served for the next one."""
        steps = talk(self._begun * UTTERANCES)
        self._begun += 1
        return self._calls.batches(steps)

    def hold(self) -> None:
        """Serve the next one: afterwards, calls have all that a call has that goes on."""
        for batch in self.next():
            batch.serve()


def _timed(
    talks: _Talks, calls: int, rounds: int
) -> tuple[dict[Kind, tuple[float, float]], list[float]]:
    """Of each kind, pieces in a call-second and microseconds of one; and garbage collections."""
    to_be_held = [talks.next() for _ in range(rounds)]  # what is made here is not the calls'
    lowest_s: dict[Kind, dict[int, float]] = {kind: {} for kind in Kind}
    before = _collections()
    for batches in to_be_held:
        _time(batches, lowest_s)
    call_s = calls * TALK_S * rounds
    collections = [
        1000 * (now - then) / call_s for now, then in zip(_collections(), before, strict=True)
    ]
    times = {
        kind: (len(steps_s) / TALK_S, 1e6 * fmean(steps_s.values()))
        for kind, steps_s in lowest_s.items()
    }
    return times, collections


def _time(batches: Iterator[Batch], lowest_s: dict[Kind, dict[int, float]]) -> None:
    """Lower the least that each step of each kind has ever taken any calls, in s a call."""
    for batch in batches:
        begin_s = perf_counter()
        batch.serve()
        took_s = (perf_counter() - begin_s) / len(batch)
        steps_s = lowest_s[batch.kind]
        steps_s[batch.step] = min(took_s, steps_s.get(batch.step, took_s))


def _collections() -> list[int]:
    return [generation["collections"] for generation in gc.get_stats()]


def _sampled(talks: _Talks, rounds: int) -> dict[Kind, Counter[str]]:
    """How often the path of each kind was found in which stage."""
    sampler = Sampler()
    with sampler.running():
        for _ in range(rounds):
            for batch in talks.next():
                with sampler.serving(batch.kind):
                    batch.serve()
    return {kind: sampler.counts(kind) for kind in Kind}


def _shared(us: float, counts: Counter[str]) -> dict[str, float]:
    """Divide time among stages, in their order."""
    times = counts.total()
    if times == 0:
        return {OTHER: us}
    return {stage: us * counts[stage] / times for stage in STAGES if counts[stage]}


async def _followed() -> dict[Kind, tuple[int, float | None]]:
    """Of each kind, bytes in use at most while a piece is handled, and bytes kept of each."""
    tracemalloc.start()
    try:
        async with open_calls(MEMORY_CALLS) as opened:
            talks = _Talks(opened)
            for _ in range(WARM_UP_TALKS):
                talks.hold()
            return _memory(talks.next())
    finally:
        tracemalloc.stop()


def _memory(batches: Iterator[Batch]) -> dict[Kind, tuple[int, float | None]]:
    most: Counter[Kind] = Counter()
    kept: Counter[Kind] = Counter()
    pieces: Counter[Kind] = Counter()
    for batch in batches:
        for receive, frame in zip(batch.receivers, batch.frames, strict=True):
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            receive(frame)
            after, peak = tracemalloc.get_traced_memory()
            most[batch.kind] = max(most[batch.kind], peak - before)
            kept[batch.kind] += after - before
            pieces[batch.kind] += 1
    kept[Kind.CHUNK] += kept.pop(Kind.ECHO)
    return {
        kind: (most[kind], None if kind is Kind.ECHO else kept[kind] / pieces[kind])
        for kind in Kind
    }


def _need(cost: Cost, total_us: float, with_sockets_ms: float | None) -> Need:
    us = cost.us_per_call_s
    share_with_sockets = None if with_sockets_ms is None else us / (1000 * with_sockets_ms)
    return Need(cost.need, us, us / total_us, share_with_sockets)


def shown(path: HotPath) -> str:
    """Everything as tables."""
    young, older, full = path.collections
    summary = (
        f"{path.calls} calls without sockets: {path.ms_per_call_s:.2f} ms CPU per call-second, "
        f"and in 1000 of them {young:.1f} garbage collections of young objects, "
        f"{older:.1f} of older ones and {full:.1f} of all."
    )
    return "\n\n".join((_pieces(path), summary, _stages(path), _needs(path)))


def _pieces(path: HotPath) -> str:
    rows = [
        (
            piece.name,
            f"{piece.per_call_s:g}",
            f"{piece.us:.1f}",
            f"{piece.us_per_call_s:.1f}",
            f"{piece.bytes_in_use}",
            "" if piece.bytes_kept is None else f"{piece.bytes_kept:.0f}",
        )
        for piece in path.pieces
    ]
    columns = ("", "in a call-second", "us", "us per call-second", "bytes in use", "bytes kept")
    return table(columns, rows)


def _stages(path: HotPath) -> str:
    met = [stage for stage in STAGES if any(stage in piece.stages_us for piece in path.pieces)]
    rows = [
        _stage_row(
            stage,
            [piece.stages_us.get(stage, 0.0) for piece in path.pieces],
            sum(piece.stages_us.get(stage, 0.0) * piece.per_call_s for piece in path.pieces),
        )
        for stage in met
    ]
    total = _stage_row("sum", [piece.us for piece in path.pieces], 1000 * path.ms_per_call_s)
    columns = ["us of", *(piece.name for piece in path.pieces), "a call-second"]
    return table(columns, [*rows, total])


def _stage_row(name: str, each_us: Sequence[float], call_s_us: float) -> tuple[str, ...]:
    return name, *(f"{us:.2f}" if us else "" for us in each_us), f"{call_s_us:.1f}"


def _needs(path: HotPath) -> str:
    columns = ["a service needs", "us per call-second", "of the path"]
    rows = [[need.name, f"{need.us_per_call_s:.1f}", f"{need.share:.1%}"] for need in path.needs]
    if path.with_sockets_ms is not None:
        columns.append(f"of {path.with_sockets_ms:g} ms with sockets")
        for row, need in zip(rows, path.needs, strict=True):
            row.append(f"{need.share_with_sockets:.1%}")
    return table(columns, rows)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.hot_path")
    options.add_argument("--calls", type=int, default=CALLS, help="in turn (%(default)s)")
    options.add_argument(
        "--rounds", type=int, default=ROUNDS, help="of 20 call-seconds each (%(default)s)"
    )
    options.add_argument(
        "--path-ms",
        type=float,
        metavar="MS",
        help="CPU of a call-second with sockets, as calls_per_core has measured it",
    )
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    path = measure(calls=given.calls, rounds=given.rounds, with_sockets_ms=given.path_ms)
    if given.json:
        print(json.dumps({"machine": machine(), "hot_path": figures(path)}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(path)}")


def figures(path: HotPath) -> dict[str, object]:
    """All of them, for machines."""
    return {**asdict(path), "ms_per_call_s": path.ms_per_call_s}


if __name__ == "__main__":
    main()
