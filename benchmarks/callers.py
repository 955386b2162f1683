"""A load generator: simulated callers who talk all the time and time when they hear answers.

    python -m benchmarks.callers --calls 50 --rounds 10 twilio=http://127.0.0.1:8080

Each argument is a program to call, and how: `twilio` is the whole protocol with webhook and ticket,
`stream` a Twilio media stream without them, `evi` the chat protocol, straight to an EVI server.
The callers of several programs take turns of a second, so that what disturbs the machine disturbs
all of them alike.

It writes lines to standard output: `steady` when the warm-up is over, `round` whenever everybody
has had a turn, and at last what was measured, as JSON, in the order of the arguments.
"""

import argparse
import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

import orjson
import uvloop

from benchmarks.caller_lines import FRAME_MS, dial_evi, dial_stream, dial_twilio
from benchmarks.evi_stand_in import ANSWER_MS
from benchmarks.heard import CallersReport, Ear, percentile

TICK_MS = 1
"""Callers do not speak in step: they begin on different ticks, and so do the agent's answers."""
TICKS_PER_FRAME = FRAME_MS // TICK_MS
TURN_S = 1.0
DRAIN_TIMEOUT_MS = 2_000
"""How long the last answers may take after the last frame."""


class Line(Protocol):
    """One caller's connection."""

    ear: Ear
    frames_sent: int

    def send_frame(self, now_s: float) -> None:
        """The caller's next 20 ms."""

    def hang_up(self) -> None:
        """End the call."""


DIALS: Mapping[str, Callable[[str, int], Awaitable[Sequence[Line]]]] = {
    "twilio": dial_twilio,
    "stream": dial_stream,
    "evi": dial_evi,
}


class Callers:
    """The callers of one program: each sends its frame every 20 ms, by one clock without drift.

    A late tick is made up for at once, as by a network that was held up.
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._speaking: list[list[Line]] = [[] for _ in range(TICKS_PER_FRAME)]
        self._silent = deque(
            (at * ANSWER_MS // TICK_MS // len(lines), line) for at, line in enumerate(lines)
        )
        self._tick = 0
        self._late_ms: list[float] = []

    async def talk(self, duration_s: float) -> None:
        """Take a turn."""
        begin_s = time.perf_counter()
        for tick in range(round(duration_s * 1000 / TICK_MS)):
            due_s = begin_s + tick * TICK_MS / 1000
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            now_s = time.perf_counter()
            self._late_ms.append(max(0.0, now_s - due_s) * 1000)
            for line in self._lines_of_tick():
                line.send_frame(now_s)
            self._tick += 1

    def forget_times(self) -> None:
        """The warm-up is over."""
        self._late_ms.clear()
        for line in self._lines:
            line.ear.waited_ms.clear()

    @property
    def late_p99_ms(self) -> float:
        """How late they were themselves: noise of the machine."""
        return percentile(self._late_ms, 0.99)

    async def leave(self) -> CallersReport:
        """Hang up when every answer is there, or when it is clear that some are lost."""
        for _ in range(DRAIN_TIMEOUT_MS // FRAME_MS):
            if all(map(_has_all_answers, self._lines)):
                break
            await asyncio.sleep(FRAME_MS / 1000)
        for line in self._lines:
            line.hang_up()
        return CallersReport(
            said_ms=sum(line.frames_sent for line in self._lines) * FRAME_MS,
            heard_ms=sum(line.ear.audio_ms for line in self._lines),
            answers_heard_after_ms=[ms for line in self._lines for ms in line.ear.waited_ms],
            late_p99_ms=self.late_p99_ms,
        )

    def _lines_of_tick(self) -> list[Line]:
        speaking = self._speaking[self._tick % TICKS_PER_FRAME]
        while self._silent and self._silent[0][0] == self._tick:
            speaking.append(self._silent.popleft()[1])
        return speaking


def _has_all_answers(line: Line) -> bool:
    said_ms = line.frames_sent * FRAME_MS
    return line.ear.audio_ms >= said_ms // ANSWER_MS * ANSWER_MS


async def measure(
    programs: Sequence[str], *, calls: int, warm_up_s: float, rounds: int
) -> list[CallersReport]:
    """Open so many calls to each program, talk in turns, and hang up."""
    everybody = []
    for program in programs:
        dial, _, url = program.partition("=")
        everybody.append(Callers(await DIALS[dial](url, calls)))
    for callers in everybody:
        await callers.talk(warm_up_s)
        callers.forget_times()
    print("steady", flush=True)
    for _ in range(rounds):
        for callers in everybody:
            await callers.talk(TURN_S)
        print("round", flush=True)
    return [await callers.leave() for callers in everybody]


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.callers")
    options.add_argument("programs", nargs="+", metavar="twilio|stream|evi=URL")
    options.add_argument("--calls", type=int, default=10, help="to each program")
    options.add_argument("--rounds", type=int, default=10, help="turns of a second for each")
    options.add_argument("--warm-up", type=float, default=1.0, metavar="SECONDS")
    given = options.parse_args()
    reports = uvloop.run(
        measure(given.programs, calls=given.calls, warm_up_s=given.warm_up, rounds=given.rounds)
    )
    print(orjson.dumps([asdict(report) for report in reports]).decode(), flush=True)


if __name__ == "__main__":
    main()
