"""A load generator: simulated callers who talk all the time and time when they hear answers.

    python -m benchmarks.callers --calls 50 twilio=http://127.0.0.1:8080

Each argument is a program to call, and how: `twilio` is the whole protocol with webhook and ticket,
`stream` a Twilio media stream without them, `evi` the chat protocol, straight to an EVI server.

When all calls are open and warmed up it writes a line of JSON to standard output: of each program,
in the order of the arguments, why it could not be called, or null. Then it takes orders from
standard input. `talk 0 5.0` lets the callers of the first program talk for 5 s; when they have
heard all answers, a line of JSON tells how long they have waited for each, in ms. At the end of the
input all callers hang up, and what was measured is written, as JSON.
"""

import argparse
import asyncio
import gc
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Protocol

import orjson
import uvloop

from benchmarks.caller_lines import dial_evi, dial_stream, dial_twilio
from benchmarks.evi_stand_in import ANSWER_MS
from benchmarks.heard import FRAME_MS, CallersReport, Ear, in_whole_frames, percentile
from benchmarks.webhooks import FAULTS

TICK_MS = 1
"""Callers do not speak in step: they begin on different ticks, and so do the agent's answers."""
TICKS_PER_FRAME = FRAME_MS // TICK_MS
DRAIN_S = 3.0
"""How long the last answers may take after the last frame."""
SILENCE_S = 1.0
"""When nothing has come for so long, nothing more will."""
BREATHE_AFTER_S = 3.0
"""A bridge takes a telephone for dead that sends no frame for some seconds."""


class Line(Protocol):
    """One caller's connection."""

    ear: Ear
    frames_sent: int

    def send_frame(self, now_s: float) -> None:
        """The caller's next 20 ms."""

    def breathe(self, now_s: float) -> None:
        """20 ms of silence that ask for nothing."""

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
        self._waited_ms: list[float] = []
        self._last_frame_s = time.perf_counter()

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
        self._last_frame_s = time.perf_counter()

    async def breathe(self) -> None:
        """Be silent, and no longer than a telephone can be."""
        now_s = time.perf_counter()
        if now_s - self._last_frame_s < BREATHE_AFTER_S:
            return
        self._last_frame_s = now_s
        for lines in self._speaking:
            for line in lines:
                line.breathe(time.perf_counter())
            await asyncio.sleep(TICK_MS / 1000)

    async def hear_out(self) -> None:
        """Wait until every answer is there, or until it is clear that some are lost."""
        give_up_s = time.perf_counter() + DRAIN_S
        heard_ms, heard_at_s = -1, time.perf_counter()
        while not all(map(_has_all_answers, self._lines)):
            now_s = time.perf_counter()
            if self._heard_ms != heard_ms:
                heard_ms, heard_at_s = self._heard_ms, now_s
            if now_s > give_up_s or now_s > heard_at_s + SILENCE_S:
                break
            await asyncio.sleep(FRAME_MS / 1000)

    def forget_times(self) -> None:
        """The warm-up is over."""
        self._late_ms.clear()
        self.note_times()
        self._waited_ms.clear()

    def note_times(self) -> list[float]:
        """Return how long the answers took that were heard since the last time, in ms."""
        waited_ms = [ms for line in self._lines for ms in line.ear.waited_ms]
        for line in self._lines:
            line.ear.waited_ms.clear()
        self._waited_ms += waited_ms
        return waited_ms

    @property
    def late_p99_ms(self) -> float:
        """How late they were themselves: noise of the machine."""
        return percentile(self._late_ms, 0.99)

    async def leave(self) -> CallersReport:
        """Hang up when every answer is there."""
        await self.hear_out()
        for line in self._lines:
            line.hang_up()
        self.note_times()
        return CallersReport(
            said_ms=sum(line.frames_sent for line in self._lines) * FRAME_MS,
            owed_ms=sum(map(_owed_ms, self._lines)),
            heard_ms=self._heard_ms,
            answers_heard_after_ms=self._waited_ms,
            late_p99_ms=self.late_p99_ms,
        )

    @property
    def _heard_ms(self) -> int:
        return sum(in_whole_frames(line.ear.audio_ms) for line in self._lines)

    def _lines_of_tick(self) -> list[Line]:
        speaking = self._speaking[self._tick % TICKS_PER_FRAME]
        while self._silent and self._silent[0][0] == self._tick:
            speaking.append(self._silent.popleft()[1])
        return speaking


def _owed_ms(line: Line) -> int:
    return line.frames_sent * FRAME_MS // ANSWER_MS * ANSWER_MS


def _has_all_answers(line: Line) -> bool:
    return in_whole_frames(line.ear.audio_ms) >= _owed_ms(line)


async def measure(
    programs: Sequence[str], *, calls: int, warm_up_s: float, orders: AsyncIterator[str]
) -> list[CallersReport | None]:
    """Open so many calls to each program, talk as ordered, and hang up.

    Returns:
        what was measured, of each program that could be called
    """
    everybody: list[Callers | None] = []
    faults: list[str | None] = []
    for program in programs:
        callers, fault = await _opened(program, calls)
        everybody.append(callers)
        faults.append(fault)
        if callers is not None:
            await _take_turn(callers, warm_up_s, everybody)
            callers.forget_times()
    gc.freeze()  # what is there stays, and need not be looked through again and again
    _write(faults)
    async for order in orders:
        _, number, seconds = order.split()
        callers = everybody[int(number)]
        assert callers is not None
        await _take_turn(callers, float(seconds), everybody)
        _write(callers.note_times())
    return [None if callers is None else await callers.leave() for callers in everybody]


async def _opened(program: str, calls: int) -> tuple[Callers | None, str | None]:
    dial, _, url = program.partition("=")
    try:
        return Callers(await DIALS[dial](url, calls)), None
    except FAULTS as error:
        return None, str(error) or repr(error)


async def _take_turn(
    callers: Callers, duration_s: float, everybody: Sequence[Callers | None]
) -> None:
    """Talk and hear the answers out, so that nothing of a turn is left for the next one."""
    await callers.talk(duration_s)
    await callers.hear_out()
    for others in everybody:
        if others is not None:
            await others.breathe()


async def _orders() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    async for line in reader:
        yield line.decode()


def _write(message: object) -> None:
    print(orjson.dumps(message).decode(), flush=True)


async def _run(programs: Sequence[str], calls: int, warm_up_s: float) -> None:
    reports = await measure(programs, calls=calls, warm_up_s=warm_up_s, orders=_orders())
    _write([None if report is None else asdict(report) for report in reports])


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.callers")
    options.add_argument("programs", nargs="+", metavar="twilio|stream|evi=URL")
    options.add_argument("--calls", type=int, default=10, help="to each program")
    options.add_argument("--warm-up", type=float, default=1.0, metavar="SECONDS")
    given = options.parse_args()
    uvloop.run(_run(given.programs, given.calls, given.warm_up))


if __name__ == "__main__":
    main()
