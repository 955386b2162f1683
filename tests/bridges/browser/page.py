"""A web page at its end of the WebSocket, written from the protocol alone."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import WSMsgType

from evibridge import sockets
from evibridge.agent.call import Call
from evibridge.agent.calls import Calls
from evibridge.bridges.browser.desk import BrowserDesk
from evibridge.bus import EventBus
from evibridge.service import Service
from evibridge.web_sessions import WebSession, WebSessions
from tests.parties import PATIENCE_S, TinyChat, TinyEvi

ALLOWED = "https://shop.example"
"""An origin whose pages may call."""


class TinyPage:
    """One connection of a page."""

    def __init__(self, origin: str, http: aiohttp.ClientSession) -> None:
        self._origin = origin
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self.seqs: list[int] = []
        """Numbers of the events that it was told of."""

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        """The WebSocket, once it is open."""
        assert self._socket is not None
        return self._socket

    async def connect(self, **headers: str) -> Self:
        """Open the WebSocket."""
        self._socket = await self._http.ws_connect(f"{self._origin}/browser", headers=headers)
        return self

    async def hello(self, **members: Any) -> None:
        """Say who comes."""
        await self.send(type="hello", **members)

    async def send(self, **message: Any) -> None:
        """Send a message."""
        await self.socket.send_str(json.dumps(message))

    async def speak(self, pcm16: bytes) -> None:
        """Send a piece of the caller's voice."""
        await self.socket.send_bytes(pcm16)

    async def receive(self) -> dict[str, Any] | bytes:
        """The next message, or the next audio."""
        async with asyncio.timeout(PATIENCE_S):
            frame = await self.socket.receive()
        if frame.type is WSMsgType.BINARY:
            assert isinstance(frame.data, bytes)
            return frame.data
        assert frame.type is WSMsgType.TEXT, f"{frame.type} {frame.data}"
        message: dict[str, Any] = json.loads(frame.data)
        self.seqs += [message["seq"]] if "seq" in message else []
        return message

    async def expect(self, kind: str, **members: Any) -> dict[str, Any]:
        """The next message of this type that has these members; all before it is passed over."""
        while True:
            message = await self.receive()
            if isinstance(message, bytes) or message["type"] != kind:
                continue
            if members.items() <= message.items():
                return message

    async def audio(self, size: int) -> bytes:
        """The next so many bytes of the agent's voice; messages between them are passed over."""
        heard = b""
        while len(heard) < size:
            piece = await self.receive()
            heard += piece if isinstance(piece, bytes) else b""
        return heard

    async def told_before_close(self) -> tuple[list[dict[str, Any]], int]:
        """All messages until the service closes the socket, and the code of that."""
        async with asyncio.timeout(2 * PATIENCE_S):
            frames = [frame async for frame in self.socket]
        messages = [json.loads(each.data) for each in frames if each.type is WSMsgType.TEXT]
        return messages, self.socket.close_code or 1006

    async def refusal(self) -> tuple[str, int]:
        """Why the service has closed the socket, and with which code."""
        messages, code = await self.told_before_close()
        assert messages[-1]["type"] == "refused", messages
        assert messages[-1]["message"].endswith(".")
        return messages[-1]["code"], code

    def break_off(self) -> None:
        """The network is gone."""
        connection = self.socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()

    async def close(self) -> None:
        """Leave nothing open."""
        if self._socket is not None:
            await self._socket.close()


@dataclass
class BrowserScene:
    """A service between pages and an EVI server that a test plays."""

    evi: TinyEvi
    service: Service
    server: sockets.Server
    desk: BrowserDesk
    sessions: WebSessions
    http: aiohttp.ClientSession
    pages: list[TinyPage] = field(default_factory=list)

    @property
    def origin(self) -> str:
        """Where pages call."""
        return f"http://127.0.0.1:{self.server.port}"

    @property
    def calls(self) -> Calls:
        """All live calls."""
        return self.service.calls

    @property
    def bus(self) -> EventBus:
        """What happens in them."""
        return self.service.parts.bus

    @property
    def call(self) -> Call:
        """The only call that goes on."""
        (call,) = self.calls.all_live()
        assert isinstance(call, Call)
        return call

    def token(self, session: WebSession | None = None, lifetime_s: float = 60.0) -> str:
        """A token, as somebody's server asks for it."""
        now_s = asyncio.get_running_loop().time()
        return self.sessions.create(session or WebSession(), now_s, lifetime_s)

    async def page(self, **headers: str) -> TinyPage:
        """A page that has opened its socket."""
        page = TinyPage(self.origin, self.http)
        self.pages.append(page)
        return await page.connect(**headers)

    async def caller(self, **hello: Any) -> tuple[TinyPage, dict[str, Any]]:
        """A page that has its call, and the welcome that it was given."""
        page = await self.page()
        who = {} if "key" in hello else {"token": self.token()}
        await page.hello(**{**who, **hello})
        return page, await page.expect("welcome")

    async def talk(self, **hello: Any) -> tuple[TinyPage, TinyChat]:
        """A call that has come as far as a conversation."""
        page, _ = await self.caller(**hello)
        return page, await self.answer(page)

    async def answer(self, page: TinyPage) -> TinyChat:
        """The agent is there."""
        chat = await self.evi.next_chat()
        await chat.open()
        await chat.expect("session_settings")
        await page.expect("ready")
        return chat
