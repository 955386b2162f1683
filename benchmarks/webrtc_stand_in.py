"""An EVI server for callers in the browser: says 200 ms of a voice for every 200 ms it hears.

    python -m benchmarks.webrtc_stand_in --port 8765

It answers with a voice, because a codec takes the tones of `evi_stand_in` for silence. Each chat
whose `config_id` is `interrupted` says five seconds instead, and is interrupted in the middle, over
and over. `GET /times` tells of each chat when loud audio began and interruptions were sent.
"""

import argparse
import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
import pybase64
import uvloop
from aiohttp import web

from benchmarks.sound import louder_from_ms
from benchmarks.webrtc_voice import BURST_LEVEL, voice
from evibridge.audio.wav import wav_file
from evibridge.sockets import Refusal, Socket, SocketListener, SocketRoute, Upgrade, serve

CHAT_PATH = "/v0/evi/chat"
INTERRUPTED = "interrupted"
RATE_HZ = 48_000
CALLER_RATE_HZ = 16_000
ANSWER_MS = 200
SPEECH_MS = 5_000
PIECES_PER_ANSWER = 10
"""Of 20 ms each, as callers by WebRTC send them."""
SPEAKS_S, IS_SILENT_S = 0.9, 0.6
STAGGER_S = 0.137
MAX_MESSAGE_BYTES = 16 * 1024 * 1024


def _chunk(ms: int) -> bytes:
    return pybase64.b64encode(wav_file(voice(ms, RATE_HZ), RATE_HZ))


def _is_loud(audio_input: bytes) -> bool:
    pcm16 = pybase64.b64decode(orjson.loads(audio_input)["data"])
    return louder_from_ms(pcm16, CALLER_RATE_HZ, BURST_LEVEL) is not None


@dataclass(slots=True)
class Times:
    """Of one chat, on `time.perf_counter`'s clock."""

    bursts_s: list[float] = field(default_factory=list)
    interrupted_s: list[float] = field(default_factory=list)


class Chat(SocketListener):
    """One chat.

    Args:
        times: where it notes what happens
        answer: what it says, ready to be sent
        is_interrupted: whether it speaks by a clock and is interrupted
        later_s: how much later than others
    """

    def __init__(
        self, times: Times, answer: bytes, *, is_interrupted: bool, later_s: float
    ) -> None:
        self._times = times
        self._answer = answer
        self._is_interrupted = is_interrupted
        self._later_s = later_s
        self._loop = asyncio.get_running_loop()
        self._socket: Socket
        self._timer: asyncio.TimerHandle | None = None
        self._sentence_id = ""
        self._pieces = 0
        self._is_loud = False

    def on_open(self, socket: Socket) -> None:
        """EVI: the metadata is the first message of every chat."""
        self._socket = socket
        chat_id = str(uuid.uuid4())
        self._send("chat_metadata", chat_id=chat_id, chat_group_id=chat_id)
        self._begin_sentence()
        if self._is_interrupted:
            self._timer = self._loop.call_later(self._later_s, self._speak)

    def on_text(self, text: bytes) -> None:
        """Audio is counted, and answered now and then."""
        if not text.startswith(b'{"type":"audio_input"'):
            return
        now_s = time.perf_counter()
        was_loud, self._is_loud = self._is_loud, _is_loud(text)
        if self._is_loud and not was_loud:
            self._times.bursts_s.append(now_s)
        self._pieces += 1
        if not self._is_interrupted and self._pieces % PIECES_PER_ANSWER == 0:
            self._say()

    def on_close(self, code: int, reason: str) -> None:
        """The caller has gone."""
        del code, reason
        if self._timer is not None:
            self._timer.cancel()

    def _speak(self) -> None:
        self._begin_sentence()
        self._say()
        self._timer = self._loop.call_later(SPEAKS_S, self._interrupt)

    def _interrupt(self) -> None:
        self._times.interrupted_s.append(time.perf_counter())
        self._send("user_interruption", time=time.time_ns() // 1_000_000)
        self._timer = self._loop.call_later(IS_SILENT_S, self._speak)

    def _say(self) -> None:
        output = b'{"type":"audio_output","id":"%b","index":0,"data":"%b"}'
        self._socket.send_text(output % (self._sentence_id.encode(), self._answer))

    def _begin_sentence(self) -> None:
        self._sentence_id = uuid.uuid4().hex
        self._send(
            "assistant_message",
            id=self._sentence_id,
            from_text=False,
            is_quick_response=False,
            models={},
            message={"role": "assistant", "content": "And then there is more to say."},
        )

    def _send(self, kind: str, **members: object) -> None:
        self._socket.send_text(orjson.dumps({"type": kind, **members}))


class StandIn:
    """The server."""

    def __init__(self) -> None:
        self._chats: list[Times] = []
        self._answers = {True: _chunk(SPEECH_MS), False: _chunk(ANSWER_MS)}

    def routes(self, app: web.Application) -> list[SocketRoute]:
        """Add what is asked over HTTP to an application; returns what is asked by WebSocket."""
        app.router.add_get("/times", self._tell)
        return [SocketRoute(CHAT_PATH, self._accept, MAX_MESSAGE_BYTES)]

    def _accept(self, upgrade: Upgrade) -> SocketListener | Refusal:
        query: Mapping[str, Any] = dict(parse_qsl(urlsplit(upgrade.path).query))
        is_interrupted = query.get("config_id") == INTERRUPTED
        times, later_s = Times(), len(self._chats) * STAGGER_S % (SPEAKS_S + IS_SILENT_S)
        self._chats.append(times)
        answer = self._answers[is_interrupted]
        return Chat(times, answer, is_interrupted=is_interrupted, later_s=later_s)

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(times) for times in self._chats])


async def run(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    await serve(app, StandIn().routes(app), host="127.0.0.1", port=port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.webrtc_stand_in")
    options.add_argument("--port", type=int, default=8765)
    uvloop.run(run(options.parse_args().port))
