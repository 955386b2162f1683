"""A light EVI server that talks all the time: for every 200 ms it hears, it says 200 ms.

    python -m benchmarks.evi_stand_in --port 8765

An answer is loud if anything loud was in the 200 ms that it answers. `GET /counts` tells how much
was heard and said in the chats of each `config_id`, so that a lost frame can be found.
"""

import argparse
import asyncio
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl, urlsplit

import orjson
import pybase64
import uvloop
from aiohttp import web

from benchmarks.sound import MIDWAY, louder_from_ms, sound
from evibridge.audio.wav import wav_file
from evibridge.sockets import Socket, SocketListener, SocketRoute, Upgrade, serve

CHAT_PATH = "/v0/evi/chat"
ANSWER_MS = 200
RATE_HZ = 48_000
"""EVI: audio output is WAV at 48 kHz."""
DEFAULT_CALLER_RATE_HZ = 8_000
CHUNKS_PER_SENTENCE = 10
SENTENCES_PER_TURN = 5
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""EVI: the largest message in either direction."""


def _answer_audio(*, loud: bool) -> bytes:
    return pybase64.b64encode(wav_file(sound(ANSWER_MS, RATE_HZ, loud=loud), RATE_HZ))


_AUDIO: Mapping[bool, bytes] = {loud: _answer_audio(loud=loud) for loud in (False, True)}


@dataclass(slots=True)
class Counts:
    """Audio of all chats of a `config_id` so far, in ms."""

    heard_ms: float = 0.0
    said_ms: float = 0.0


class StandInChat(SocketListener):
    """One chat: counts what it hears and answers by the clock of that audio.

    Args:
        caller_rate_hz: of the caller's int16 mono PCM
        counts: where chats add up
    """

    def __init__(self, caller_rate_hz: int, counts: Counts) -> None:
        self._rate_hz = caller_rate_hz
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
        metadata = {"type": "chat_metadata", "chat_id": chat_id, "chat_group_id": chat_id}
        socket.send_text(orjson.dumps(metadata))

    def on_text(self, text: bytes) -> None:
        """Audio counts; everything else is passed over."""
        message = orjson.loads(text)
        if message["type"] == "audio_input":
            self.on_binary(pybase64.b64decode(message["data"]))

    def on_binary(self, data: bytes) -> None:
        """EVI: a binary frame is raw audio of the caller."""
        duration_ms = len(data) * 500 / self._rate_hz
        self._counts.heard_ms += duration_ms
        self._unanswered_ms += duration_ms
        if louder_from_ms(data, self._rate_hz, MIDWAY) is not None:
            self._heard_loud = True
        while self._unanswered_ms >= ANSWER_MS:
            self._unanswered_ms -= ANSWER_MS
            self._answer(loud=self._heard_loud)
            self._heard_loud = False

    def _answer(self, *, loud: bool) -> None:
        index = self._chunks % CHUNKS_PER_SENTENCE
        if index == 0:
            self._begin_sentence()
        self._socket.send_text(
            b'{"type":"audio_output","id":"%b","index":%d,"data":"%b"}'
            % (self._sentence_id, index, _AUDIO[loud])
        )
        self._chunks += 1
        self._counts.said_ms += ANSWER_MS

    def _begin_sentence(self) -> None:
        """EVI: the text of a sentence comes before its audio, `assistant_end` after a turn."""
        if self._chunks and self._chunks % (CHUNKS_PER_SENTENCE * SENTENCES_PER_TURN) == 0:
            self._socket.send_text(b'{"type":"assistant_end"}')
        self._sentence_id = uuid.uuid4().hex.encode()
        message = {
            "type": "assistant_message",
            "id": self._sentence_id.decode(),
            "from_text": False,
            "is_quick_response": False,
            "models": {},
            "message": {"role": "assistant", "content": "And then there is more to say."},
        }
        self._socket.send_text(orjson.dumps(message))


async def run(port: int) -> None:
    """Serve until the process is ended."""
    counts: defaultdict[str, Counts] = defaultdict(Counts)

    def accept(upgrade: Upgrade) -> SocketListener:
        query = dict(parse_qsl(urlsplit(upgrade.path).query))
        rate_hz = query.get("session_settings[audio][sample_rate]", DEFAULT_CALLER_RATE_HZ)
        return StandInChat(int(rate_hz), counts[query.get("config_id", "")])

    async def tell_counts(_: web.Request) -> web.Response:
        return web.json_response({config: asdict(each) for config, each in counts.items()})

    app = web.Application()
    app.router.add_get("/counts", tell_counts)
    route = SocketRoute(CHAT_PATH, accept, MAX_MESSAGE_BYTES)
    await serve(app, [route], host="127.0.0.1", port=port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.evi_stand_in")
    options.add_argument("--port", type=int, default=8765)
    uvloop.run(run(options.parse_args().port))
