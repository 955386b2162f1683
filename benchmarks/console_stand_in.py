"""Calls of which there is much to see in the console, and that cost little else.

Their callers type, so that no sound goes through the service. The EVI server is in this process; in
each chat something is said now and then, and in one of them as fast as is wanted.
"""

import asyncio
import itertools
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import WSMsgType, web

CHAT_PATH = "/v0/evi/chat"
SAYS_EVERY_S = 2.0
"""In each chat but that which is watched."""
OPENS_WITHIN_S = 20.0
INTERIM_EACH, AGENT_EACH = 6, 12
"""Of the fast one's messages all but each sixth are interim, and each twelfth is the agent's."""
PING_EVERY_S = 1.0
HELLO = {
    "type": "hello",
    "microphone": False,
    "capture_rate_hz": 16_000,
    "playback_rate_hz": 24_000,
}
SCORES = {f"Expression number {number}": 0.0123 * (number % 40) for number in range(48)}
TOLD = "Could you tell me where my order is, and when I can have it?"


@dataclass(eq=False)
class Chat:
    """One conversation, of which nothing is heard."""

    socket: web.WebSocketResponse
    chat_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    async def opens(self) -> None:
        """Say who it is."""
        await self._send("chat_metadata", chat_id=self.chat_id, chat_group_id=self.chat_id)

    async def caller_said(self, text: str, *, interim: bool = False) -> None:
        """Tell a transcript."""
        await self._send(
            "user_message",
            message={"role": "user", "content": text},
            models={} if interim else {"prosody": {"scores": SCORES}},
            time={"begin": 0, "end": 900},
            from_text=False,
            interim=interim,
        )

    async def agent_says(self, text: str) -> None:
        """Let the agent say something, without a sound."""
        await self._send(
            "assistant_message",
            id=uuid.uuid4().hex,
            from_text=False,
            is_quick_response=False,
            models={},
            message={"role": "assistant", "content": text},
        )
        await self._send("assistant_end")

    async def talks_fast(self, per_s: float, seconds: float) -> int:
        """Say so many things a second, each with the time; returns how many there were."""
        began_s = time.monotonic()
        number = round(per_s * seconds)
        for sent, due_s in zip(range(number), _each(1 / per_s), strict=False):
            await asyncio.sleep(max(0.0, began_s + due_s - time.monotonic()))
            text = f"{TOLD[: 20 + 7 * (sent % INTERIM_EACH)]} {stamp()}"
            if sent % AGENT_EACH == AGENT_EACH - 1:
                await self.agent_says(text)
            else:
                await self.caller_said(text, interim=bool((sent + 1) % INTERIM_EACH))
        return number

    async def _send(self, kind: str, **members: object) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **members}))


def _each(period_s: float) -> Iterator[float]:
    return (count * period_s for count in itertools.count())


def stamp() -> str:
    """The time in ms, as the page finds it again."""
    return f"#{time.time() * 1000:.1f}#"


class Chats:
    """The EVI server.

    Attributes:
        opened: chats in the order in which they were opened
    """

    def __init__(self) -> None:
        self.opened: list[Chat] = []
        self._arrived = asyncio.Event()

    async def answer(self, request: web.Request) -> web.WebSocketResponse:
        """A chat is opened."""
        socket = web.WebSocketResponse(max_msg_size=0)
        await socket.prepare(request)
        chat = Chat(socket)
        await chat.opens()
        self.opened.append(chat)
        self._arrived.set()
        async for _ in socket:
            pass
        return socket

    async def arrived(self, number: int) -> None:
        """Wait until there are so many."""
        async with asyncio.timeout(OPENS_WITHIN_S):
            while len(self.opened) < number:
                self._arrived.clear()
                await self._arrived.wait()

    async def talk(self) -> None:
        """Say something now and then, in all chats but the first one."""
        with suppress(ConnectionError):  # the calls end
            for number in itertools.count():
                for chat in self.opened[1:]:
                    await chat.caller_said(f"{TOLD} {number}")
                    await asyncio.sleep(SAYS_EVERY_S / len(self.opened))


@asynccontextmanager
async def serving_chats() -> AsyncIterator[tuple[Chats, str]]:
    """A running EVI server, and its origin."""
    chats = Chats()
    app = web.Application()
    app.router.add_get(CHAT_PATH, chats.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield chats, "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@asynccontextmanager
async def callers(origin: str, number: int) -> AsyncIterator[None]:
    """So many people who type call a service, and stay."""
    async with AsyncExitStack() as leaving:
        http = await leaving.enter_async_context(aiohttp.ClientSession())
        for _ in range(number):
            async with http.post(f"{origin}/browser/session") as session:
                token = (await session.json())["token"]
            socket = await leaving.enter_async_context(http.ws_connect(f"{origin}/browser"))
            await socket.send_str(json.dumps({**HELLO, "token": token}))
            for task in (_listen(socket), _stay(socket)):
                leaving.callback(asyncio.create_task(task).cancel)
        yield


async def _listen(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Play everything at once."""
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        told = json.loads(message.data)
        if told["type"] == "mark":
            with suppress(ConnectionError):  # it is being closed
                await socket.send_str(json.dumps({"type": "mark", "name": told["name"]}))


async def _stay(socket: aiohttp.ClientWebSocketResponse) -> None:
    """A page that is silent for five seconds is lost."""
    with suppress(ConnectionError):
        while True:
            await asyncio.sleep(PING_EVERY_S)
            await socket.send_str('{"type": "ping"}')
