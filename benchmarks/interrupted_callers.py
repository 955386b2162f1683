"""Callers who cut in on the agent again and again, and note when it falls silent.

    python -m benchmarks.interrupted_callers --calls 50 --seconds 30 twilio=http://127.0.0.1:8080

The EVI server is the stand-in with chats of the kind `INTERRUPTED`. `twilio` calls a bridge by its
webhook, `stream` by its media socket alone, `evi` the stand-in itself; of several programs one is
called after another. It writes what was measured of each to standard output, as a line of JSON.
"""

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import orjson
import uvloop

from benchmarks.caller_lines import (
    RATE_HZ,
    EviLine,
    TwilioLine,
    call_in,
    chat_url,
    open_chats,
    open_streams,
)
from benchmarks.callers import Callers
from benchmarks.evi_stand_in import INTERRUPTED
from benchmarks.heard import FRAME_MS
from benchmarks.numbered_sound import LENGTH_MS, number_in


@dataclass(slots=True)
class Silenced:
    """What one caller has noticed.

    Attributes:
        at_s: when the agent was silenced in each utterance, on `time.perf_counter`'s clock
        late_frames: of utterances in which it had been silenced before
    """

    at_s: dict[int, float] = field(default_factory=dict)
    late_frames: int = 0
    _utterance: int = 0
    _piece: bytes = b""

    def hear(self, pcm16: bytes, rate_hz: int) -> None:
        """A chunk of the agent's voice has come in, or a piece of one: bridges may cut them."""
        self._piece += pcm16
        chunk_bytes = 2 * rate_hz * LENGTH_MS // 1000
        while len(self._piece) >= chunk_bytes:
            chunk, self._piece = self._piece[:chunk_bytes], self._piece[chunk_bytes:]
            self._utterance = number_in(chunk, rate_hz)
            if self._utterance in self.at_s:
                self.late_frames += LENGTH_MS // FRAME_MS

    def note(self, now_s: float) -> None:
        """The agent is silenced, wherever it is in a chunk."""
        self._piece = b""
        self.at_s[self._utterance] = now_s


class InterruptedPhone(TwilioLine):
    """A telephone: the agent falls silent when `clear` comes."""

    listens_always = True

    def __init__(self, call_sid: str, parameters: Mapping[str, str]) -> None:
        super().__init__(call_sid, parameters)
        self.silenced = Silenced()

    def hear(self, pcm16: bytes, now_s: float) -> None:
        """Audio of the agent has come in."""
        super().hear(pcm16, now_s)
        self.silenced.hear(pcm16, RATE_HZ)

    def clear(self, now_s: float) -> None:
        """The agent was interrupted."""
        self.silenced.note(now_s)
        super().clear(now_s)


class InterruptedChatLine(EviLine):
    """An EVI client without a bridge, who has to refuse late chunks himself."""

    def __init__(self) -> None:
        super().__init__()
        self.silenced = Silenced()

    def hear(self, pcm16: bytes, rate_hz: int, now_s: float) -> None:
        """Audio of the agent has come in."""
        super().hear(pcm16, rate_hz, now_s)
        self.silenced.hear(pcm16, rate_hz)

    def interrupted(self, now_s: float) -> None:
        """`user_interruption` has come."""
        self.silenced.note(now_s)


@dataclass(frozen=True, slots=True)
class Report:
    """What all callers have noticed after the warm-up.

    Attributes:
        from_s: when the warm-up was over; all times are on `time.perf_counter`'s clock
        until_s: when the last caller had said his last frame
        silenced: number of each utterance in which the agent was silenced, and when
        late_frames: that came after the agent had been silenced in their utterance
        callers_late_p99_ms: how late the callers themselves were: noise of the machine
    """

    from_s: float
    until_s: float
    silenced: list[tuple[int, float]]
    late_frames: int
    callers_late_p99_ms: float


async def measure(program: str, *, calls: int, warm_up_s: float, seconds: float) -> Report:
    """Open so many calls, talk, be interrupted, and hang up."""
    dial, _, url = program.partition("=")
    lines: Sequence[InterruptedPhone | InterruptedChatLine]
    if dial == "twilio":
        lines = await call_in(url, calls, InterruptedPhone)
    elif dial == "stream":
        lines = await open_streams(url, calls, InterruptedPhone)
    else:
        chat = f"{chat_url(url)}&config_id={INTERRUPTED}"
        lines = await open_chats(chat, calls, InterruptedChatLine)
    callers = Callers(lines)
    await callers.talk(warm_up_s)
    callers.forget_times()
    from_s = time.perf_counter()
    await callers.talk(seconds)
    until_s = time.perf_counter()
    late_p99_ms = callers.late_p99_ms
    await callers.leave()
    return Report(
        from_s,
        until_s,
        silenced=[moment for line in lines for moment in line.silenced.at_s.items()],
        late_frames=sum(line.silenced.late_frames for line in lines),
        callers_late_p99_ms=late_p99_ms,
    )


async def measure_all(
    programs: Sequence[str], *, calls: int, warm_up_s: float, seconds: float
) -> None:
    """Call one program after another, and print what was measured."""
    for program in programs:
        report = await measure(program, calls=calls, warm_up_s=warm_up_s, seconds=seconds)
        print(orjson.dumps(asdict(report)).decode(), flush=True)


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.interrupted_callers")
    options.add_argument("programs", nargs="+", metavar="twilio|stream|evi=URL")
    options.add_argument("--calls", type=int, default=50)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--warm-up", type=float, default=2.0, metavar="SECONDS")
    given = options.parse_args()
    uvloop.run(
        measure_all(
            given.programs, calls=given.calls, warm_up_s=given.warm_up, seconds=given.seconds
        )
    )


if __name__ == "__main__":
    main()
