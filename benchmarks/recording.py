"""What it costs to record a call, and whether the recording keeps time.

    python -m benchmarks.recording --minutes 60

Both sides of a call talk all the time, on a bad line: the caller's clock runs 200 ppm faster than
ours, about once a minute nothing comes for up to 2 s and then all at once, and now and then the
agent is interrupted. An hour takes seconds: its clock jumps from piece to piece. What it is written
with is real, the file as well.
"""

import argparse
import asyncio
import json
import random
import tempfile
import threading
import time
import wave
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from benchmarks.report import headline, machine, numbers_only, table
from evibridge.agent.call_tap import LAG_S
from evibridge.audio.timeline import Timeline
from evibridge.records.disk_thread import DiskThread
from evibridge.records.recording import Recording

RATE_HZ = 8000
MINUTES = 60.0
TICKS_S = {"recorded": 1.0, "recorded and listened to": 0.05}
"""How often the sound is taken."""
DRIFT = 200e-6
PIECE_S, CHUNK_S = 0.02, 0.2
JITTER_S, LONGEST_STALL_S = 0.03, 2.0
STALL_IN_PIECES, CLEAR_IN_CHUNKS = 3000, 100
"""On average."""
WRITE_TIMEOUT_S = 60.0


class Kind(StrEnum):
    """What happens in a call."""

    CALLER = "a piece of the caller's voice comes"
    AGENT = "a chunk of the agent's is queued"
    CLEAR = "and what is queued is dropped"
    TICK = "the sound is taken"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A call that was recorded.

    Attributes:
        how: how often the sound was taken
        wall_s: how long it took, by its own clock
        wav_s: how long the file is
        stalls: how often nothing came from the caller, and then all at once
        kept: share of what came from the caller that is in the file
        cpu_s_per_hour: of the process, for an hour of the call; the disk's thread is in it
        failure: why the file ends before the call
    """

    how: str
    wall_s: float
    wav_s: float
    stalls: int
    kept: float
    cpu_s_per_hour: float
    failure: str | None


async def measure(minutes: float = MINUTES) -> list[Recorded]:
    """Record the same call as often as there are ways to listen to it."""
    with tempfile.TemporaryDirectory() as folder:
        return [
            await _record(how, tick_s, 60 * minutes, Path(folder) / f"{tick_s}.wav")
            for how, tick_s in TICKS_S.items()
        ]


async def _record(how: str, tick_s: float, wall_s: float, path: Path) -> Recorded:
    line = _Line(random.Random(1))
    steps = sorted([*line.caller(wall_s), *line.agent(wall_s), *_ticks(tick_s, wall_s)])
    disk = DiskThread()
    recording = Recording(path, RATE_HZ, disk, lambda _: None)
    began_s = time.process_time()
    await _play(steps, recording, disk, wall_s)
    await recording.close()
    cpu_s = time.process_time() - began_s
    disk.close()
    wav_s, kept_s = _in_file(path)
    return Recorded(
        how,
        wall_s,
        wav_s,
        line.stalls,
        kept_s / (line.pieces * PIECE_S),
        cpu_s * 3600 / wall_s,
        recording.failure,
    )


class _Line:
    """Brings both sides of a call; steps are a time and what happens then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.pieces = 0
        self.stalls = 0

    def caller(self, wall_s: float) -> Iterator[tuple[float, Kind]]:
        free_s = 0.0
        for number in range(1, int(wall_s / PIECE_S)):
            sent_s = number * PIECE_S * (1 - DRIFT)
            if not self._chance.randrange(STALL_IN_PIECES):
                free_s = sent_s + LONGEST_STALL_S * self._chance.random()
                self.stalls += 1
            free_s = max(free_s, sent_s + JITTER_S * self._chance.random())
            if free_s < wall_s:
                self.pieces += 1
                yield free_s, Kind.CALLER

    def agent(self, wall_s: float) -> Iterator[tuple[float, Kind]]:
        for number in range(int(wall_s / CHUNK_S)):
            yield number * CHUNK_S, Kind.AGENT
            if not self._chance.randrange(CLEAR_IN_CHUNKS):
                yield (number + 0.5) * CHUNK_S, Kind.CLEAR


def _ticks(tick_s: float, wall_s: float) -> Iterator[tuple[float, Kind]]:
    for number in range(1, int(wall_s / tick_s)):
        yield number * tick_s, Kind.TICK


async def _play(
    steps: list[tuple[float, Kind]], recording: Recording, disk: DiskThread, wall_s: float
) -> None:
    voice = np.full(round(PIECE_S * RATE_HZ), 1000, np.int16).tobytes()
    chunk = np.full(round(CHUNK_S * RATE_HZ), -1000, np.int16).tobytes()
    timeline = Timeline(RATE_HZ, 0.0)
    written_until_s = 0.0
    for now_s, kind in steps:
        if kind == Kind.CALLER:
            timeline.caller(voice, now_s)
        elif kind == Kind.AGENT:
            timeline.agent(chunk, now_s)
        elif kind == Kind.CLEAR:
            timeline.clear(now_s)
        else:
            recording.write(timeline.take(now_s - LAG_S))
        if now_s > written_until_s + 5:  # the disk is given the time that has not really passed
            written_until_s = now_s
            await _all_written(disk)
    recording.write(timeline.take(wall_s))


async def _all_written(disk: DiskThread) -> None:
    done = threading.Event()
    disk.run(done.set)
    if not await asyncio.to_thread(done.wait, WRITE_TIMEOUT_S):
        raise RuntimeError("The disk does not take the recording.")


def _in_file(path: Path) -> tuple[float, float]:
    """How long a file is, and how much of that the caller is heard, in s."""
    with wave.open(str(path)) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
    return len(frames) / RATE_HZ, int(np.count_nonzero(frames[:, 0])) / RATE_HZ


def shown(results: list[Recorded]) -> str:
    """Results as a table."""
    columns = (
        "a call that is",
        "by its clock, s",
        "in its file, s",
        "off, ms",
        "stalls",
        "of the caller's voice, %",
        "CPU s per call-hour",
    )
    rows = [
        (
            f"{result.how}{' (' + result.failure + ')' if result.failure else ''}",
            f"{result.wall_s:.3f}",
            f"{result.wav_s:.3f}",
            f"{(result.wav_s - result.wall_s) * 1000:.3f}",
            f"{result.stalls}",
            f"{result.kept * 100:.1f}",
            f"{result.cpu_s_per_hour:.2f}",
        )
        for result in results
    ]
    return table(columns, rows)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.recording")
    options.add_argument("--minutes", type=float, default=MINUTES, help="that the call lasts")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    results = asyncio.run(measure(given.minutes))
    if given.json:
        figures = {"machine": machine(), "recording": [asdict(result) for result in results]}
        print(json.dumps(numbers_only(figures), indent=2))
    else:
        print(f"{headline()}\n\n{shown(results)}")


if __name__ == "__main__":
    main()
