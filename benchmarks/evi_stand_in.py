"""A light EVI server that talks all the time: for every 200 ms it hears, it says 200 ms.

    python -m benchmarks.evi_stand_in --port 8765

An answer is loud if anything loud was in the 200 ms that it answers. `GET /counts` tells how much
was heard and said in the chats of each `config_id`, in whole frames of 20 ms a chat, so that a lost
frame can be found.

Chats of three `config_id`s are of another kind. `INTERRUPTED` ones are interrupted every two
seconds, each at moments of its own, and `GET /interruptions` tells when. `CALLS_TOOLS` ones call a
tool about every second, and `GET /tool_calls` tells what came of it. `OBEDIENT` ones do what
callers order; `POST /refuse?status=503` has new ones refused from then on, without a status no
more.
"""

import argparse
import asyncio
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import count, cycle
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pybase64
import uvloop
from aiohttp import web

from benchmarks.heard import in_whole_frames
from benchmarks.numbered_sound import LENGTH_MS, numbered
from benchmarks.orders import ORDERS, Order
from benchmarks.sound import MIDWAY, louder_from_ms, sound
from evibridge.audio.wav import wav_file
from evibridge.sockets import Refusal, Socket, SocketListener, SocketRoute, Upgrade, serve

CHAT_PATH = "/v0/evi/chat"
ANSWER_MS = 200
RATE_HZ = 48_000
"""EVI: audio output is WAV at 48 kHz."""
DEFAULT_CALLER_RATE_HZ = 8_000
CHUNKS_PER_SENTENCE = 10
SENTENCES_PER_TURN = 5
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""EVI: the largest message in either direction."""
INTERRUPTED, OBEDIENT, CALLS_TOOLS = "interrupted", "obedient", "calls-tools"
INTERRUPTED_EVERY_MS = 2_000
FIRST_INTERRUPTION_MS = 400
"""When the agent has something to be interrupted in."""
STAGGER_MS = 140
"""Between the interruptions of one chat and of the next: they fall anywhere between two chunks."""
LATE_CHUNKS = 2
"""EVI: chunks of an interrupted utterance may still be on the wire. One more comes after the next
utterance has begun."""
TOOL = "slow_tool"
"""The agent has to have it; see `counted_service`."""
TOOLS = ("async_tool", "plain_tool")
"""The agent has to have them; see `timed_service`."""
TOOL_CALLED_AFTER_S = (0.75, 1.25)
"""After the tool call before: no chat keeps step with another, or with the caller's audio."""
assert LENGTH_MS == ANSWER_MS


def _chunk(pcm16: bytes) -> bytes:
    return pybase64.b64encode(wav_file(pcm16, RATE_HZ))


_AUDIO: Mapping[bool, bytes] = {
    loud: _chunk(sound(ANSWER_MS, RATE_HZ, loud=loud)) for loud in (False, True)
}


SILENT_ANSWER_ENDING = b'"data":"%b"}' % _AUDIO[False]
"""Of every message with a silent answer."""
_KNOWN_FRAMES = 256


@dataclass(slots=True)
class Counts:
    """Audio of a chat so far, in ms."""

    heard_ms: float = 0.0
    said_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Audio of a caller as it came in one message."""

    pcm16: bytes
    is_loud: bool


# Callers repeat themselves byte by byte, and so do their bridges: each message is read once.
@lru_cache(_KNOWN_FRAMES)
def frame_in(text: bytes) -> Frame | None:
    """Read a message; None if it is not one with audio."""
    message = orjson.loads(text)
    if message["type"] != "audio_input":
        return None
    return _frame(pybase64.b64decode(message["data"]))


@lru_cache(_KNOWN_FRAMES)
def _frame(pcm16: bytes) -> Frame:
    # The rate is no matter for whether there is anything loud.
    return Frame(pcm16, louder_from_ms(pcm16, RATE_HZ, MIDWAY) is not None)


@dataclass(slots=True)
class Interruptions:
    """Of all chats."""

    sent: list[tuple[int, float]] = field(default_factory=list)
    """Number of each utterance that was interrupted, and when, on `time.perf_counter`'s clock."""
    utterances: Iterator[int] = field(default_factory=lambda: count(1))
    chats: Iterator[int] = field(default_factory=count)


@dataclass(slots=True)
class ToolCalled:
    """A `tool_call` and what came of it; times are on `time.perf_counter`'s clock.

    Attributes:
        sent_s: when it was sent
        late_s: how much later than it was due
        answered_s: when each of its answers came
        errors: how many of the answers were a `tool_error`
    """

    name: str
    sent_s: float
    late_s: float
    answered_s: list[float] = field(default_factory=list)
    errors: int = 0


@dataclass(slots=True)
class ToolCalls:
    """Of all chats."""

    by_id: dict[str, ToolCalled] = field(default_factory=dict)
    unasked: int = 0
    """Answers to what was never called."""
    chats: Iterator[int] = field(default_factory=count)


class StandInChat(SocketListener):
    """One chat: counts what it hears and answers by the clock of that audio.

    Args:
        query: of the URL
        counts: where chats add up
    """

    def __init__(self, query: Mapping[str, str], counts: Counts) -> None:
        rate_hz = query.get("session_settings[audio][sample_rate]", DEFAULT_CALLER_RATE_HZ)
        self._rate_hz = int(rate_hz)
        self._resumes = query.get("resumed_chat_group_id")
        self._counts = counts
        self._socket: Socket
        self._unanswered_ms = 0.0
        self._heard_loud = False
        self._chunks = 0
        self._sentence_id = b""

    def on_open(self, socket: Socket) -> None:
        """EVI: the metadata is the first message of every chat."""
        self._socket = socket
        chat_id = str(uuid.uuid4())
        self._send("chat_metadata", chat_id=chat_id, chat_group_id=self._resumes or chat_id)

    def on_text(self, text: bytes) -> None:
        """Audio counts; of everything else, only its format matters."""
        frame = frame_in(text)
        if frame is not None:
            self.hear(frame)
        else:
            self.take(orjson.loads(text))

    def on_binary(self, data: bytes) -> None:
        """EVI: a binary frame is raw audio of the caller."""
        self.hear(_frame(data))

    def hear(self, frame: Frame) -> None:
        """A frame of the caller has come in."""
        duration_ms = self.duration_ms(frame)
        self._counts.heard_ms += duration_ms
        self._unanswered_ms += duration_ms
        if frame.is_loud:
            self._heard_loud = True
        while self._unanswered_ms >= ANSWER_MS:
            self._unanswered_ms -= ANSWER_MS
            self._answer(loud=self._heard_loud)
            self._heard_loud = False

    def duration_ms(self, frame: Frame) -> float:
        """How long a frame lasts."""
        return len(frame.pcm16) * 500 / self._rate_hz

    def take(self, message: Mapping[str, Any]) -> None:
        """EVI: the format of the caller's audio may come in a message instead of the URL."""
        audio = message.get("audio")
        if message["type"] == "session_settings" and audio:
            self._rate_hz = int(audio.get("sample_rate", self._rate_hz))

    def _answer(self, *, loud: bool) -> None:
        if self._chunks % CHUNKS_PER_SENTENCE == 0:
            self._begin_sentence()
        self._say(_AUDIO[loud])

    def _say(self, audio: bytes) -> None:
        self._send_audio(self._sentence_id, self._chunks % CHUNKS_PER_SENTENCE, audio)
        self._chunks += 1
        self._counts.said_ms += ANSWER_MS

    def _begin_sentence(self) -> None:
        """EVI: the text of a sentence comes before its audio, `assistant_end` after a turn."""
        if self._chunks and self._chunks % (CHUNKS_PER_SENTENCE * SENTENCES_PER_TURN) == 0:
            self._send("assistant_end")
        self._sentence_id = uuid.uuid4().hex.encode()
        self._send(
            "assistant_message",
            id=self._sentence_id.decode(),
            from_text=False,
            is_quick_response=False,
            models={},
            message={"role": "assistant", "content": "And then there is more to say."},
        )

    def _send_audio(self, sentence_id: bytes, index: int, audio: bytes) -> None:
        output = b'{"type":"audio_output","id":"%b","index":%d,"data":"%b"}'
        self._socket.send_text(output % (sentence_id, index, audio))

    def _call_tool(self, tool_call_id: str, name: str, parameters: str) -> None:
        self._send(
            "tool_call",
            tool_call_id=tool_call_id,
            name=name,
            parameters=parameters,
            response_required=True,
            tool_type="function",
        )

    def _send(self, kind: str, **members: object) -> None:
        self._socket.send_text(orjson.dumps({"type": kind, **members}))


class InterruptedChat(StandInChat):
    """One whose sentences all have sounds of their own, and whose caller cuts in on them.

    Args:
        query: of the URL
        counts: where chats add up
        interruptions: of all chats
    """

    def __init__(
        self, query: Mapping[str, str], counts: Counts, interruptions: Interruptions
    ) -> None:
        super().__init__(query, counts)
        self._interruptions = interruptions
        later_ms = next(interruptions.chats) * STAGGER_MS % INTERRUPTED_EVERY_MS
        self._to_go_ms = float(FIRST_INTERRUPTION_MS + later_ms)
        self._number = 0
        self._audio = b""
        self._late: tuple[bytes, bytes] | None = None

    def hear(self, frame: Frame) -> None:
        """The caller's audio is the clock."""
        super().hear(frame)
        self._to_go_ms -= self.duration_ms(frame)
        if self._to_go_ms <= 0:
            self._to_go_ms += INTERRUPTED_EVERY_MS
            self._interrupt()

    def _answer(self, *, loud: bool) -> None:
        del loud
        if self._late is not None or self._chunks % CHUNKS_PER_SENTENCE == 0:
            self._begin_sentence()
        self._say(self._audio)
        if self._late is not None:
            self._send_audio(self._late[0], LATE_CHUNKS, self._late[1])
            self._late = None

    def _begin_sentence(self) -> None:
        super()._begin_sentence()
        self._number = next(self._interruptions.utterances)
        self._audio = _chunk(numbered(self._number, RATE_HZ))

    def _interrupt(self) -> None:
        self._late = self._sentence_id, self._audio
        self._interruptions.sent.append((self._number, time.perf_counter()))
        self._send("user_interruption", time=time.time_ns() // 1_000_000)
        for index in range(LATE_CHUNKS):
            self._send_audio(self._sentence_id, index, self._audio)
        self._send(
            "user_message",
            message={"role": "user", "content": "Wait."},
            models={},
            time={"begin": 0, "end": 100},
            from_text=False,
            interim=False,
        )


class ObedientChat(StandInChat):
    """One that does what its caller orders."""

    def hear(self, frame: Frame) -> None:
        """A frame of audio may be an order."""
        super().hear(frame)
        match ORDERS.get(frame.pcm16):
            case Order.CUT_CHAT:
                self._socket.abort()
            case Order.CALL_TOOL:
                self._call_tool(uuid.uuid4().hex, TOOL, "{}")


class ToolCallingChat(StandInChat):
    """One that calls its agent's tools by turns, and notes the answers.

    Args:
        query: of the URL
        counts: where chats add up
        tool_calls: of all chats
    """

    def __init__(self, query: Mapping[str, str], counts: Counts, tool_calls: ToolCalls) -> None:
        super().__init__(query, counts)
        self._tool_calls = tool_calls
        self._tools = cycle(TOOLS if next(tool_calls.chats) % 2 else TOOLS[::-1])
        self._timer: asyncio.TimerHandle

    def on_open(self, socket: Socket) -> None:
        """The first call comes at any moment of the first second."""
        super().on_open(socket)
        self._call_after(random.random())

    def on_close(self, code: int, reason: str) -> None:
        """Nobody is there any more."""
        del code, reason
        self._timer.cancel()

    def take(self, message: Mapping[str, Any]) -> None:
        """Anything but audio may be an answer."""
        now_s = time.perf_counter()
        if message["type"] not in ("tool_response", "tool_error"):
            super().take(message)
            return
        call = self._tool_calls.by_id.get(message["tool_call_id"])
        if call is None:
            self._tool_calls.unasked += 1
            return
        call.answered_s.append(now_s)
        call.errors += message["type"] == "tool_error"

    def _call_after(self, wait_s: float) -> None:
        due_s = time.perf_counter() + wait_s
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._call_next, due_s)

    def _call_next(self, due_s: float) -> None:
        self._call_after(random.uniform(*TOOL_CALLED_AFTER_S))
        tool_call_id, name = uuid.uuid4().hex, next(self._tools)
        order = {"number": len(self._tool_calls.by_id), "title": "Momo", "express": True}
        parameters = orjson.dumps({"order": order}).decode()
        now_s = time.perf_counter()
        self._tool_calls.by_id[tool_call_id] = ToolCalled(name, now_s, now_s - due_s)
        self._call_tool(tool_call_id, name, parameters)


class StandIn:
    """The server: what its chats have in common."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, list[Counts]] = defaultdict(list)
        self._interruptions = Interruptions()
        self._tool_calls = ToolCalls()
        self._refuses_with: int | None = None

    def routes(self, app: web.Application) -> list[SocketRoute]:
        """Add what is asked over HTTP to an application; returns what is asked by WebSocket."""
        app.router.add_get("/counts", self._tell_counts)
        app.router.add_get("/interruptions", self._tell_interruptions)
        app.router.add_get("/tool_calls", self._tell_tool_calls)
        app.router.add_post("/refuse", self._refuse)
        return [SocketRoute(CHAT_PATH, self._accept, MAX_MESSAGE_BYTES)]

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        query = dict(parse_qsl(urlsplit(upgrade.path).query))
        config_id = query.get("config_id", "")
        counts = Counts()
        self._counts[config_id].append(counts)
        if config_id == INTERRUPTED:
            return InterruptedChat(query, counts, self._interruptions)
        if config_id == CALLS_TOOLS:
            return ToolCallingChat(query, counts, self._tool_calls)
        if config_id != OBEDIENT:
            return StandInChat(query, counts)
        if self._refuses_with is not None:
            return Refusal(self._refuses_with, "So it was wanted.")
        return ObedientChat(query, counts)

    async def _tell_counts(self, _: web.Request) -> web.Response:
        sums = {
            config_id: {
                "heard_ms": sum(in_whole_frames(chat.heard_ms) for chat in chats),
                "said_ms": sum(in_whole_frames(chat.said_ms) for chat in chats),
            }
            for config_id, chats in self._counts.items()
        }
        return web.json_response(sums)

    async def _tell_interruptions(self, _: web.Request) -> web.Response:
        return web.json_response(self._interruptions.sent)

    async def _tell_tool_calls(self, _: web.Request) -> web.Response:
        calls = {each: asdict(call) for each, call in self._tool_calls.by_id.items()}
        return web.json_response({"calls": calls, "unasked": self._tool_calls.unasked})

    async def _refuse(self, request: web.Request) -> web.Response:
        status = request.query.get("status")
        self._refuses_with = None if status is None else int(status)
        return web.Response()


async def run(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    await serve(app, StandIn().routes(app), host="127.0.0.1", port=port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.evi_stand_in")
    options.add_argument("--port", type=int, default=8765)
    uvloop.run(run(options.parse_args().port))
