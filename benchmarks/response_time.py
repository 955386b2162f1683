"""How long the engine lets a caller wait: from the last word to the first sound of the answer.

    python -m benchmarks.response_time

A caller with a synthetic voice (espeak-ng) asks questions over the engine's chat socket, 8 kHz and
in real time; the scripted mind answers. Most of the wait is the silence that ends a turn, which is
a setting of the conversation; the rest is recognition, synthesis and everything between.
"""

import argparse
import asyncio
import json
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import pybase64

from benchmarks.caller_lines import FRAME_MS, RATE_HZ, chat_url
from benchmarks.evi_stand_in import MAX_MESSAGE_BYTES
from benchmarks.heard import Ear, percentile
from benchmarks.processes import ROOT, Cores, serving
from benchmarks.report import headline, machine, table
from benchmarks.sound import AUDIBLE, without_silent_end
from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.engine.turns import TurnTaking
from evibridge.sockets import Socket, SocketListener, connect

SCRIPT = ROOT / "examples" / "bookshop.yaml"
QUESTIONS = (
    "Are you open on Sunday?",
    "What are your opening hours?",
    "Where is your shop?",
    "Do you sell gift vouchers?",
    "What is your favourite book?",
    "How is the weather?",
    "Can I return a book?",
    "Are you a robot?",
    "What are your prices?",
    "Tell me a joke.",
)
FRAME_BYTES = 2 * RATE_HZ * FRAME_MS // 1000
CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 20.0
"""From the end of a question to the end of its answer."""
PAUSE_S = 0.5
"""Between an answer and the next question."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a question."""

    question: str
    understood_as: str
    response_ms: float


@dataclass(frozen=True, slots=True)
class ResponseTime:
    """What callers waited for, and what of that is a setting."""

    answers: list[Answer]
    p50_ms: float
    p95_ms: float
    end_of_turn_silence_ms: int


class Caller(SocketListener):
    """Speaks and listens in real time, by a clock that does not drift."""

    def __init__(self) -> None:
        self.ear = Ear(AUDIBLE)
        self.understood = ""
        self._socket: Socket
        self._turn_is_over = False
        self._due_s = time.perf_counter()

    def on_open(self, socket: Socket) -> None:
        """The URL has announced the format."""
        self._socket = socket

    def on_text(self, text: bytes) -> None:
        """Play audio; note what was understood and when the answer is complete."""
        now_s = time.perf_counter()
        message = orjson.loads(text)
        match message["type"]:
            case "audio_output":
                wav = parse_wav(pybase64.b64decode(message["data"]))
                self.ear.hear(mono_pcm16(wav), wav.rate_hz, now_s)
            case "user_message":
                self.understood = message["message"]["content"]
            case "assistant_end":
                self._turn_is_over = True

    async def ask(self, pcm16: bytes) -> None:
        """Say something that ends with its last sample, and listen to the answer.

        Raises:
            TimeoutError: there is none
        """
        self._turn_is_over = False
        self.understood = ""
        lead = -len(pcm16) % FRAME_BYTES  # silence before it, so that nothing follows the last word
        whole = bytes(lead) + pcm16
        for at in range(0, len(whole), FRAME_BYTES):
            await self._send(whole[at : at + FRAME_BYTES])
        self.ear.ask(time.perf_counter())
        await self.listen()

    async def listen(self) -> None:
        """Be quiet until a whole answer was heard, and a moment more.

        Raises:
            TimeoutError: there is none
        """
        deadline_s = time.perf_counter() + ANSWER_TIMEOUT_S
        while time.perf_counter() < deadline_s:
            await self._send(bytes(FRAME_BYTES))
            quiet_since_s = self.ear.played_until_s + PAUSE_S
            if self._turn_is_over and time.perf_counter() > quiet_since_s:
                return
        raise TimeoutError(f"The engine has not answered within {ANSWER_TIMEOUT_S:.0f} s.")

    def hang_up(self) -> None:
        """End the chat."""
        self._socket.close()

    async def _send(self, frame: bytes) -> None:
        self._due_s += FRAME_MS / 1000
        await asyncio.sleep(max(0.0, self._due_s - time.perf_counter()))
        data = pybase64.b64encode(frame)
        self._socket.send_text(b'{"type":"audio_input","data":"%b"}' % data)


def spoken(text: str) -> bytes:
    """A question in espeak-ng's voice, up to its last word: int16 mono PCM at 8 kHz."""
    command = ["espeak-ng", "--stdout", "-v", "en-us", "-s", "150", text]
    file = subprocess.run(command, check=True, capture_output=True, timeout=20).stdout
    wav = parse_wav(file)
    return without_silent_end(Resampler(wav.rate_hz, RATE_HZ).process(mono_pcm16(wav)))


async def measure(questions: Sequence[str] = QUESTIONS, script: Path = SCRIPT) -> ResponseTime:
    """Start an engine and ask it everything."""
    speeches = [spoken(question) for question in questions]
    cores = Cores.divided()
    command = ["-m", "evibridge", "engine", "--script", str(script)]
    async with serving(command, cores.under_test | cores.load) as engine:
        caller = Caller()
        await connect(
            chat_url(engine.origin),
            caller,
            max_message_bytes=MAX_MESSAGE_BYTES,
            timeout_s=CONNECT_TIMEOUT_S,
        )
        await caller.listen()  # to the greeting
        answers = []
        for question, speech in zip(questions, speeches, strict=True):
            await caller.ask(speech)
            answers.append(Answer(question, caller.understood, caller.ear.waited_ms[-1]))
        caller.hang_up()
    times_ms = [answer.response_ms for answer in answers]
    return ResponseTime(
        answers,
        p50_ms=percentile(times_ms, 0.5),
        p95_ms=percentile(times_ms, 0.95),
        end_of_turn_silence_ms=TurnTaking().end_of_turn_silence_ms,
    )


def shown(result: ResponseTime) -> str:
    """The figures, question by question."""
    rows = [
        (f"{answer.question} [{answer.understood_as}]", f"{answer.response_ms:.0f}")
        for answer in result.answers
    ]
    return (
        f"{table(('question [understood as]', 'answer heard after, ms'), rows)}\n\n"
        f"Response time p50 {result.p50_ms:.0f} ms, p95 {result.p95_ms:.0f} ms, of which "
        f"{result.end_of_turn_silence_ms} ms are the silence that ends a turn."
    )


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.response_time")
    options.add_argument("--questions", type=int, default=len(QUESTIONS), help="how many")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    result = asyncio.run(measure(QUESTIONS[: given.questions]))
    if given.json:
        print(json.dumps({"machine": machine(), "response_time": asdict(result)}, indent=2))
    else:
        print(f"{headline()}\n\n{shown(result)}")


if __name__ == "__main__":
    main()
