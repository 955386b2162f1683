"""An EVI server whose chats others have opened, written from the protocol's documents alone.

It mirrors them and takes messages for them by its control plane.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiohttp import web

from evibridge.agent.commands import Via
from tests.parties import PATIENCE_S
from tests.reference import evi_validator

API_KEY = "a-key-that-nobody-may-see"

Fault = Literal["silence", "disconnect"]
"""No answer at all, and a connection that breaks instead of one."""


class RealChat:
    """A chat that goes on; its client is the test.

    Attributes:
        is_allowed: whether it may be mirrored
        told: what it was told and is still to be looked at, each with its way
    """

    def __init__(self) -> None:
        self.chat_id = str(uuid.uuid4())
        self.group_id = str(uuid.uuid4())
        self.is_allowed = True
        self.is_over = False
        self.told: asyncio.Queue[tuple[Via, dict[str, Any]]] = asyncio.Queue()
        self.mirrors: list[web.WebSocketResponse] = []
        self.mirrored = asyncio.Event()
        """Set when somebody has opened a mirror since it was cleared."""
        self._history: list[str] = []
        self._requests: list[web.Request] = []

    async def begin(self) -> None:
        """Every chat begins with its metadata."""
        await self.say(type="chat_metadata", chat_id=self.chat_id, chat_group_id=self.group_id)

    async def say(self, **message: Any) -> None:
        """Tell every mirror, and those that will come; the protocol's schema has to allow it."""
        evi_validator("SubscribeEvent").validate(message)
        await self.say_raw(json.dumps(message))

    async def say_raw(self, text: str) -> None:
        """Tell every mirror what is perhaps no message."""
        self._history.append(text)
        for mirror in self.mirrors:
            await mirror.send_str(text)

    async def hear_user(self, text: str) -> None:
        """Tell what the caller said."""
        await self.say(
            type="user_message",
            interim=False,
            from_text=False,
            models={},
            time={"begin": 0, "end": 100},
            message={"role": "user", "content": text},
        )

    async def speak(self, utterance_id: str, text: str) -> None:
        """Tell a sentence of the agent."""
        await self.say(
            type="assistant_message",
            id=utterance_id,
            from_text=False,
            is_quick_response=False,
            models={},
            message={"role": "assistant", "content": text},
        )

    async def call_tool(self, tool_call_id: str, name: str, parameters: str = "{}") -> None:
        """The model uses a tool."""
        await self.say(
            type="tool_call",
            tool_call_id=tool_call_id,
            name=name,
            parameters=parameters,
            response_required=True,
            tool_type="function",
        )

    async def expect(self, kind: str) -> tuple[Via, dict[str, Any]]:
        """The next message of this type, and its way; others before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                via, message = await self.told.get()
                if message["type"] == kind:
                    return via, message

    async def was_mirrored(self) -> None:
        """Wait until somebody has opened a mirror, and forget that he has."""
        async with asyncio.timeout(PATIENCE_S):
            await self.mirrored.wait()
        self.mirrored.clear()

    async def close_mirrors(self, code: int = 1000) -> None:
        """Close every mirror, as the end of the chat does."""
        mirrors, self.mirrors = self.mirrors, []
        for mirror in mirrors:
            await mirror.close(code=code)

    def cut_mirrors(self) -> None:
        """Break the connection of every mirror."""
        self.mirrors.clear()
        requests, self._requests = self._requests, []
        for request in requests:
            if request.transport is not None:
                request.transport.abort()

    async def mirror(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(max_msg_size=16 << 20)
        await socket.prepare(request)
        for text in self._history:
            await socket.send_str(text)
        self.mirrors.append(socket)
        self._requests.append(request)
        self.mirrored.set()
        async for frame in socket:
            await self.take(Via.CHAT_SOCKET, json.loads(frame.data))
        if socket in self.mirrors:
            self.mirrors.remove(socket)
        return socket

    async def take(self, via: Via, message: dict[str, Any]) -> None:
        evi_validator("ControlPlanePublishEvent").validate(message)
        await self.told.put((via, message))


class MirroredEvi:
    """The server, on a free port.

    Attributes:
        api_key: that clients have to show
        send_answers: status or fault for what is sent by the control plane
        refuses_mirrors: status for everybody who wants a mirror
        sent: how many requests the control plane has had
        ports: of the connections that these came by
        at_once: how many of them it had at the same time at most
    """

    def __init__(self) -> None:
        self.origin = ""
        self.api_key: str | None = API_KEY
        self.send_answers: int | Fault = 200
        self.refuses_mirrors: int | None = None
        self.sent = 0
        self.ports: set[int] = set()
        self.at_once = 0
        self.answer_body = b"{}"
        self.goes_on = asyncio.Event()
        """Until this is set, nothing that is sent is answered."""
        self.goes_on.set()
        self._now = 0
        self._arrived = asyncio.Event()
        self._chats: dict[str, RealChat] = {}

    async def chat(self, *, is_allowed: bool = True) -> RealChat:
        """Somebody opens a chat."""
        chat = RealChat()
        chat.is_allowed = is_allowed
        self._chats[chat.chat_id] = chat
        await chat.begin()
        return chat

    async def holds(self, count: int) -> None:
        """Wait until so many requests of the control plane wait for an answer."""
        async with asyncio.timeout(PATIENCE_S):
            while self._now < count:
                self._arrived.clear()
                await self._arrived.wait()

    async def end(self, chat: RealChat) -> None:
        """The chat is over."""
        del self._chats[chat.chat_id]
        await chat.close_mirrors()

    async def on_send(self, request: web.Request) -> web.StreamResponse:
        """`POST /v0/evi/chat/{chat_id}/send`."""
        assert request.headers.get("X-Hume-Api-Key") == self.api_key
        assert request.content_type == "application/json"
        assert request.transport is not None
        self.ports.add(request.transport.get_extra_info("peername")[1])
        self.sent += 1
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        self._arrived.set()
        try:
            await self.goes_on.wait()
            return await self._answer(request)
        finally:
            self._now -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.send_answers == "disconnect":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if self.send_answers == "silence":
            await asyncio.Event().wait()
        chat = self._chats.get(request.match_info["chat_id"])
        if chat is None:
            return web.Response(status=404)
        if self.send_answers != 200:
            return web.Response(status=int(self.send_answers), headers={"Location": "/elsewhere"})
        await chat.take(Via.CONTROL_PLANE, await request.json())
        return web.Response(body=self.answer_body)

    async def on_connect(self, request: web.Request) -> web.StreamResponse:
        """`GET /v0/evi/chat/{chat_id}/connect`."""
        if request.headers.get("X-Hume-Api-Key") != self.api_key:
            return web.Response(status=401)
        if self.refuses_mirrors == 0:
            await asyncio.Event().wait()
        if self.refuses_mirrors is not None:
            return web.Response(status=self.refuses_mirrors)
        chat = self._chats.get(request.match_info["chat_id"])
        if chat is None:
            return web.Response(status=404)
        return await chat.mirror(request) if chat.is_allowed else web.Response(status=403)


@asynccontextmanager
async def mirrored_evi(port: int = 0) -> AsyncIterator[MirroredEvi]:
    """A running `MirroredEvi`."""
    evi = MirroredEvi()
    app = web.Application()
    app.router.add_post("/v0/evi/chat/{chat_id}/send", evi.on_send)
    app.router.add_get("/v0/evi/chat/{chat_id}/connect", evi.on_connect)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    host, port = runner.addresses[0][:2]
    evi.origin = f"http://{host}:{port}"
    try:
        yield evi
    finally:
        evi.goes_on.set()
        await runner.cleanup()
