"""The EVI stand-in with a lively conversation in each chat: there is always something to tell.

    python -m benchmarks.lively_stand_in --port 8765

Audio is as at `evi_stand_in`. By the clock of his audio, the caller says something every four
seconds and is transcribed four times meanwhile, the last time with the expressions of his voice;
each of the agent's sentences, every two seconds, has expressions too; every eight seconds a tool is
called. `GET /said` tells what was sent in each chat, by its id.
"""

import argparse
import asyncio
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count, dropwhile
from urllib.parse import parse_qsl, urlsplit

import orjson
import uvloop
from aiohttp import web

from benchmarks.evi_stand_in import (
    CHAT_PATH,
    MAX_MESSAGE_BYTES,
    Counts,
    Frame,
    StandIn,
    StandInChat,
)
from evibridge.sockets import Socket, SocketListener, SocketRoute, Upgrade, serve

SAYS_EVERY_MS = 4_000
INTERIM_AT_MS = (600, 1_200, 1_800)
FINAL_AT_MS = 2_400
TOOL_AT_MS = 3_000
"""After every second time that the caller has said something."""
TOOL_CALLED_EVERY_MS = 2 * SAYS_EVERY_MS
STAGGER_MS = 740
"""Between one chat and the next: nothing is said in all of them at once."""
TOOL = "find_order"
"""The agent has to have it; see `lively_agent`."""
WORDS = "Could you tell me where my order is, and when I can have it?"
SCORES = {f"Expression number {number}": 0.0123 * (number % 40) for number in range(48)}
"""EVI: 48 expressions of a voice, whatever they are called."""


@dataclass(slots=True)
class Said:
    """What was sent in a chat, named as the events that are told of it; without interim words."""

    caller_said: int = 0
    agent_said: int = 0
    tool_started: int = 0


class LivelyChat(StandInChat):
    """One chat.

    Args:
        query: of the URL
        counts: where its audio adds up
        said: where the rest adds up, by the ids of chats
    """

    def __init__(self, query: Mapping[str, str], counts: Counts, said: dict[str, Said]) -> None:
        super().__init__(query, counts)
        self._chat_id = str(uuid.uuid4())
        self._clock_ms = float(len(said) * STAGGER_MS % TOOL_CALLED_EVERY_MS)
        self._said = said[self._chat_id] = Said()
        began_ms = self._clock_ms
        self._course = dropwhile(lambda due: due[0] <= began_ms, self._all_that_is_said())
        self._next_ms, self._say_next = next(self._course)

    def on_open(self, socket: Socket) -> None:
        """EVI: the metadata is the first message of every chat."""
        self._socket = socket
        self._send("chat_metadata", chat_id=self._chat_id, chat_group_id=self._chat_id)

    def hear(self, frame: Frame) -> None:
        """The caller's audio is the clock."""
        super().hear(frame)
        self._clock_ms += self.duration_ms(frame)
        while self._clock_ms >= self._next_ms:
            self._say_next()
            self._next_ms, self._say_next = next(self._course)

    def _all_that_is_said(self) -> Iterator[tuple[float, Callable[[], None]]]:
        for times in count():
            begins_ms = times * SAYS_EVERY_MS
            for number, at_ms in enumerate(INTERIM_AT_MS, 1):
                words = WORDS[: len(WORDS) * number // (len(INTERIM_AT_MS) + 1)]
                yield begins_ms + at_ms, partial(self._transcribe, words, interim=True)
            yield begins_ms + FINAL_AT_MS, partial(self._transcribe, WORDS, interim=False)
            if times % 2:
                yield begins_ms + TOOL_AT_MS, self._call_for_an_order

    def _transcribe(self, words: str, *, interim: bool) -> None:
        self._said.caller_said += not interim
        now_ms = round(self._clock_ms)
        self._send(
            "user_message",
            message={"role": "user", "content": words},
            models={} if interim else {"prosody": {"scores": SCORES}},
            time={"begin": now_ms - 1000, "end": now_ms},
            from_text=False,
            interim=interim,
        )

    def _call_for_an_order(self) -> None:
        self._said.tool_started += 1
        self._call_tool(uuid.uuid4().hex, TOOL, '{"number": 1042}')

    def _begin_sentence(self) -> None:
        super()._begin_sentence()
        self._said.agent_said += 1
        self._send(
            "assistant_prosody",
            id=self._sentence_id.decode(),
            models={"prosody": {"scores": SCORES}},
        )


class LivelyStandIn(StandIn):
    """The server; it counts audio by `config_id` as well."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, Said] = {}

    def routes(self, app: web.Application) -> list[SocketRoute]:
        """Add what is asked over HTTP to an application; returns what is asked by WebSocket."""
        super().routes(app)
        app.router.add_get("/said", self._tell_said)
        return [SocketRoute(CHAT_PATH, self._accept_lively, MAX_MESSAGE_BYTES)]

    def _accept_lively(self, upgrade: Upgrade) -> SocketListener:
        query = dict(parse_qsl(urlsplit(upgrade.path).query))
        counts = Counts()
        self._counts[query.get("config_id", "")].append(counts)
        return LivelyChat(query, counts, self._said)

    async def _tell_said(self, _: web.Request) -> web.Response:
        said = {chat_id: asdict(each) for chat_id, each in self._said.items()}
        return web.json_response(said, dumps=lambda value: orjson.dumps(value).decode())


async def run(port: int) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    await serve(app, LivelyStandIn().routes(app), host="127.0.0.1", port=port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.lively_stand_in")
    options.add_argument("--port", type=int, default=8765)
    uvloop.run(run(options.parse_args().port))
