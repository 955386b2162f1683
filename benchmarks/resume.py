"""How soon the agent is heard again when its EVI server is lost in the middle of an answer.

    python -m benchmarks.resume --rounds 20

The server is the engine with the script of the example shop. A caller asks for a story; when a
little of it has come as far as the telephone, the connection to the engine gets a TCP reset. The
bridge resumes the chat group and has the agent say the unfinished sentence again. Each round is a
call of its own.
"""

import argparse
import asyncio
import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from urllib.parse import parse_qs, urlsplit

import pybase64

from benchmarks.caller_lines import TwilioLine, call_in
from benchmarks.engine_caller import FRAME_BYTES, SILENCE
from benchmarks.engine_under_test import engine
from benchmarks.heard import FRAME_MS, Ear, percentile
from benchmarks.processes import Cores, serving
from benchmarks.questions import spoken
from benchmarks.report import headline, machine, table
from benchmarks.sound import AUDIBLE
from benchmarks.turns import AGENT
from benchmarks.wires import Wire, exchange
from evibridge.audio.g711 import pcm16_to_mulaw

QUESTION = "Tell me a story."
ROUNDS = 20
MOST_PIECES = 5
"""Rounds differ in how much of the answer the telephone has been sent: up to a second."""
PATIENCE_S = 20.0
"""For a whole round; one that takes longer is a fault of the bridge."""
P95_BAR_MS = 2000.0

_GROUP = re.compile(rb'"chat_group_id":"([^"]+)"')
_PIECE = b'"audio_output"'


@dataclass(frozen=True, slots=True)
class Round:
    """One loss; times are in ms from the reset.

    Attributes:
        pieces: of the answer that the telephone had been sent
        media_ms: until the telephone was sent the first piece of the new chat's voice
        heard_ms: until that voice could be heard, behind what the telephone still had to play
        silence_ms: from the end of what the telephone had to play until that voice
        same_group: whether the old chat's group was asked for, and was the one that answered
    """

    pieces: int
    media_ms: float
    heard_ms: float
    silence_ms: float
    same_group: bool


class Asker(TwilioLine):
    """A caller with a question, whose server is lost when he hears the answer.

    Args:
        call_sid: of the call
        parameters: that the webhook's answer asks for
        question: int16 mono PCM at 8 kHz; it is said at once, over the greeting
        pieces: of the answer that the telephone is sent before the loss
    """

    listens_always = True

    def __init__(
        self, call_sid: str, parameters: Mapping[str, str], question: bytes, pieces: int
    ) -> None:
        super().__init__(call_sid, parameters)
        self.ear = Ear(AUDIBLE)
        self.over: asyncio.Future[Round] = asyncio.get_running_loop().create_future()
        whole = question + bytes(-len(question) % FRAME_BYTES)
        frames = (whole[at : at + FRAME_BYTES] for at in range(0, len(whole), FRAME_BYTES))
        self._to_say = deque(frames)
        self._pieces = pieces
        self._sent = self._got = 0
        self._tail = b""
        self._groups: dict[Wire, str] = {}
        """Of each chat of the call, in the order of their beginning."""
        self._reset_s: float | None = None
        self._is_there_again = False
        self._media_s: float | None = None
        self._silent_from_s = 0.0

    async def talk(self) -> None:
        """Send one frame after the other, for ever."""
        due_s = time.perf_counter()
        while True:
            due_s += FRAME_MS / 1000
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            frame = self._to_say.popleft() if self._to_say else SILENCE
            self.send_payload(pybase64.b64encode(pcm16_to_mulaw(frame)), time.perf_counter())

    def watch(self, chat: Wire, data: bytes) -> None:
        """The engine sends something: text, which stands in a server's frames as it is."""
        group = _GROUP.search(data)
        if group is not None:
            self._groups.setdefault(chat, group[1].decode())
        text, self._tail = self._tail + data, data[1 - len(_PIECE) :]
        pieces = text.count(_PIECE)
        if self._reset_s is not None:
            self._is_there_again |= pieces > 0
        elif not self._to_say:
            self._sent += pieces
            if self._sent > self._pieces:
                chat.deafen()

    def hear(self, pcm16: bytes, now_s: float) -> None:
        """A piece of the agent's voice has come in."""
        if self._is_there_again and self._media_s is None:
            assert self._reset_s is not None
            self._media_s, self._silent_from_s = now_s, self.ear.played_until_s
            self.ear.ask(self._reset_s)
        super().hear(pcm16, now_s)
        if self.ear.waited_ms and not self.over.done():
            self.over.set_result(self._round())
        if self._reset_s is None and not self._to_say:
            self._got += 1
            if self._got == self._pieces:
                self._reset_s = time.perf_counter()
                next(iter(self._groups)).reset()

    def _round(self) -> Round:
        assert self._reset_s is not None
        assert self._media_s is not None
        [heard_ms] = self.ear.waited_ms
        silent_ms = (self._silent_from_s - self._reset_s) * 1000
        first, *_, last = self._groups.values()
        chat = list(self._groups)[-1]
        asked_for = parse_qs(urlsplit(chat.request.split(b" ")[1].decode()).query)
        return Round(
            self._pieces,
            media_ms=(self._media_s - self._reset_s) * 1000,
            heard_ms=heard_ms,
            silence_ms=heard_ms - silent_ms,
            same_group=asked_for.get("resumed_chat_group_id") == [first] and first == last,
        )


async def measure(rounds: int = ROUNDS) -> list[Round]:
    """Lose the server so many times, each time in another call."""
    cores = Cores.divided()
    question = spoken(QUESTION)
    askers: list[Asker] = []
    whose: dict[Wire, Asker] = {}

    def watch(chat: Wire, data: bytes) -> None:
        # A chat of the call before may not be over yet when the next one begins.
        whose.setdefault(chat, askers[-1]).watch(chat, data)

    with cores.with_us_as_load():
        async with (
            engine("script") as server,
            exchange(server.origin, watch) as to_engine,
            serving(
                ["-m", "evibridge", "run", str(AGENT), "--evi-url", to_engine.origin],
                cores.under_test,
                EVIBRIDGE_LOG_LEVEL="warning",
            ) as bridge,
        ):

            def asker(call_sid: str, parameters: Mapping[str, str]) -> Asker:
                pieces = 1 + len(askers) % MOST_PIECES
                askers.append(Asker(call_sid, parameters, question, pieces))
                return askers[-1]

            return [await _round(bridge.origin, asker) for _ in range(rounds)]


async def _round(origin: str, asker: Callable[[str, Mapping[str, str]], Asker]) -> Round:
    [line] = await call_in(origin, 1, asker)
    talking = asyncio.create_task(line.talk())
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await line.over
    finally:
        talking.cancel()
        line.hang_up()


SHARES = {"p50": 0.5, "p95": 0.95, "max": 1.0}


def times(rounds: Sequence[Round]) -> dict[str, dict[str, float]]:
    """Percentiles of each of the three times, in ms."""
    return {
        name: {
            share_name: percentile([getattr(each, name) for each in rounds], share)
            for share_name, share in SHARES.items()
        }
        for name in ("media_ms", "heard_ms", "silence_ms")
    }


def shown(rounds: Sequence[Round]) -> str:
    """The figures as a table, and the bar."""
    names = {
        "media_ms": "first media of the new chat",
        "heard_ms": "heard, behind what was still to be played",
        "silence_ms": "silence in between",
    }
    rows = [
        (names[name], *(f"{ms:.0f}" for ms in figures.values()))
        for name, figures in times(rounds).items()
    ]
    same = sum(each.same_group for each in rounds)
    return (
        f"{table(('from the reset, ms', *SHARES), rows)}\n\n"
        f"{len(rounds)} losses; {same} were resumed in the same chat group. "
        f"Bar for the first media: p95 {P95_BAR_MS:g} ms."
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.resume")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="calls, one after another")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    rounds = asyncio.run(measure(given.rounds))
    if given.json:
        figures = {"times": times(rounds), "rounds": [asdict(each) for each in rounds]}
        print(json.dumps({"machine": machine(), "resume": figures}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(rounds)}")


if __name__ == "__main__":
    main()
