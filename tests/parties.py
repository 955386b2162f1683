"""The two programs that the bridge talks to, written from their protocol documents alone.

`TinyEvi` is an EVI server that says what a test tells it to say; `TinyTwilio` is a carrier that
sends what a test tells it to. Neither shares code with the bridge, the engine or the emulator.
"""

import asyncio
import base64
import json
import struct
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import aiohttp
from aiohttp import web
from jsonschema.exceptions import best_match

from evibridge.agent.calls import Calls
from tests.reference import evi_validator

PATIENCE_S = 5.0
"""Every wait of a test is bounded by this."""


def wav(ms: int, rate_hz: int = 48_000, level: int = 8000) -> bytes:
    """A WAV file with a square wave of 500 Hz: int16 mono PCM."""
    half = rate_hz // 1000
    period = struct.pack("<h", level) * half + struct.pack("<h", -level) * half
    data = (period * (ms // 2 + 1))[: rate_hz * ms // 1000 * 2]
    fmt = struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    body = b"WAVEfmt " + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


class TinyChat:
    """One chat socket at the server's end."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.query = request.query
        self.headers = request.headers
        self.socket = socket
        self.received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.closed_with: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.chat_id = str(uuid.uuid4())
        self.group_id = self.query.get("resumed_chat_group_id", self.chat_id)
        self._transport = request.transport

    async def send(self, **message: Any) -> None:
        """Send one message, which the protocol's schema has to allow."""
        evi_validator("SubscribeEvent").validate(message)
        await self.socket.send_str(json.dumps(message))

    async def open(self) -> None:
        """Every chat begins with its metadata."""
        await self.send(type="chat_metadata", chat_id=self.chat_id, chat_group_id=self.group_id)

    async def say(self, utterance_id: str, text: str, ms: int, *, end: bool = True) -> None:
        """One sentence with its audio, and the end of the turn."""
        await self.send(
            type="assistant_message",
            id=utterance_id,
            from_text=False,
            is_quick_response=False,
            models={},
            message={"role": "assistant", "content": text},
        )
        await self.send_audio(utterance_id, 0, ms)
        if end:
            await self.send(type="assistant_end")

    async def send_audio(
        self, utterance_id: str, index: int, ms: int, *, rate_hz: int = 48_000
    ) -> None:
        """One chunk of a sentence."""
        data = base64.b64encode(wav(ms, rate_hz)).decode()
        await self.send(type="audio_output", id=utterance_id, index=index, data=data)

    async def hear_user(self, text: str, *, interim: bool = False, typed: bool = False) -> None:
        """Tell what the caller said."""
        await self.send(
            type="user_message",
            interim=interim,
            from_text=typed,
            models={},
            time={"begin": 0, "end": 100},
            message={"role": "user", "content": text},
        )

    async def call_tool(self, tool_call_id: str, name: str, parameters: str) -> None:
        """Have the bridge run a function."""
        await self.send(
            type="tool_call",
            tool_call_id=tool_call_id,
            name=name,
            parameters=parameters,
            response_required=True,
            tool_type="function",
        )

    async def fail(self, code: str) -> None:
        """Report an error."""
        await self.send(type="error", code=code, slug="a_slug", message="A sentence.")

    async def close(self, code: int | None = 1000) -> None:
        """Close the chat; None is a close frame without a code, which is read as 1005."""
        if code is None:
            assert self._transport is not None
            self._transport.write(b"\x88\x00")
        else:
            await self.socket.close(code=code)

    async def ended(self) -> int:
        """Wait until the chat is over; returns the code with which the bridge closed it."""
        async with asyncio.timeout(PATIENCE_S):
            return await asyncio.shield(self.closed_with)

    @property
    def peer_port(self) -> int:
        """TCP port of the client's end of the connection."""
        assert self._transport is not None
        port: int = self._transport.get_extra_info("peername")[1]
        return port

    async def expect(self, kind: str, *, within_s: float = PATIENCE_S) -> dict[str, Any]:
        """The next message of this type; others before it are passed over."""
        async with asyncio.timeout(within_s):
            while True:
                message = await self.received.get()
                if message["type"] == kind:
                    return message


class TinyEvi:
    """An EVI server on a free port."""

    def __init__(self) -> None:
        self._chats: list[TinyChat] = []
        self._arrived = asyncio.Condition()
        self.refuse_with: int | None = None
        self.refusals: dict[str, list[int]] = {}
        """Statuses for the next chats of a group, one each; of those of no group yet under "".
        0 leaves the client without an answer."""
        self.complaints: list[str] = []
        """What the bridge sent and the protocol's schema does not allow."""
        self.posted: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        """Messages that came by the control plane, each with the id of its chat."""
        self.control_plane_status = 200
        """What the control plane answers; 0 leaves the client without an answer."""
        self.origin = ""

    async def next_chat(
        self, wanted: Callable[[TinyChat], bool] = lambda _: True, *, within_s: float = PATIENCE_S
    ) -> TinyChat:
        """The next chat that somebody opens, or the next that is wanted."""
        async with asyncio.timeout(within_s), self._arrived:
            while True:
                for chat in self._chats:
                    if wanted(chat):
                        self._chats.remove(chat)
                        return chat
                await self._arrived.wait()

    def forget_chats(self) -> None:
        """Nobody will ask for the chats that were opened so far."""
        self._chats.clear()

    async def next_posted(self) -> dict[str, Any]:
        """The next message that comes by the control plane."""
        async with asyncio.timeout(PATIENCE_S):
            return (await self.posted.get())[1]

    async def take_post(self, request: web.Request) -> web.Response:
        """`POST /v0/evi/chat/{chat_id}/send`."""
        message = await request.json()
        evi_validator("ControlPlanePublishEvent").validate(message)
        if self.control_plane_status in (0, 200):
            await self.posted.put((request.match_info["chat_id"], message))
        if self.control_plane_status == 0:
            await asyncio.Event().wait()
        return web.Response(status=self.control_plane_status)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`GET /v0/evi/chat`: every client message has to be one that the schema allows."""
        refusals = self.refusals.get(request.query.get("resumed_chat_group_id", ""))
        if self.refuse_with is not None or refusals:
            status = self.refuse_with or (refusals or [500]).pop(0)
            if status == 0:
                await asyncio.Event().wait()
            return web.Response(status=status)
        socket = web.WebSocketResponse(max_msg_size=16 << 20)
        await socket.prepare(request)
        chat = TinyChat(request, socket)
        async with self._arrived:
            self._chats.append(chat)
            self._arrived.notify_all()
        async for frame in socket:
            message = json.loads(frame.data)
            fault = best_match(evi_validator("PublishEvent").iter_errors(message))
            if fault is not None:
                self.complaints.append(fault.message)
                raise fault
            await chat.received.put(message)
        if not chat.closed_with.done():  # a test that gave up waiting has cancelled it
            chat.closed_with.set_result(socket.close_code or 1006)
        return socket


async def all_gone(calls: Calls) -> None:
    """Return when the last call is over, sidecars among them."""
    async with asyncio.timeout(PATIENCE_S):
        while calls.live:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)


@asynccontextmanager
async def tiny_evi() -> AsyncIterator[TinyEvi]:
    """A running `TinyEvi`."""
    evi = TinyEvi()
    app = web.Application()
    app.router.add_get("/v0/evi/chat", evi.handle)
    app.router.add_post("/v0/evi/chat/{chat_id}/send", evi.take_post)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    evi.origin = f"http://{host}:{port}"
    try:
        yield evi
    finally:
        await runner.cleanup()


class TinyTwilio:
    """One call at the carrier's end: its webhooks and its media socket."""

    def __init__(self, origin: str, http: aiohttp.ClientSession) -> None:
        self._origin = origin
        self._http = http
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._sequence = 0
        self.call_sid = f"CA{uuid.uuid4().hex}"
        self.stream_sid = f"MZ{uuid.uuid4().hex}"

    def again(self, origin: str | None = None) -> "TinyTwilio":
        """The same call with another stream, perhaps by another way."""
        other = TinyTwilio(origin or self._origin, self._http)
        other.call_sid = self.call_sid
        return other

    async def post(
        self, path: str, headers: dict[str, str] | None = None, **fields: str
    ) -> tuple[int, str]:
        """Call a webhook; returns status and body."""
        form = {"CallSid": self.call_sid, "From": "+14155550100", "To": "+14155550199", **fields}
        async with self._http.post(self._origin + path, data=form, headers=headers) as answer:
            return answer.status, await answer.text()

    async def ring(self) -> str:
        """`POST /twilio/voice`; returns the ticket in the document."""
        status, body = await self.post("/twilio/voice", CallStatus="ringing")
        assert status == 200, body
        return ticket_in(body)

    async def connect(self, headers: dict[str, str] | None = None) -> Self:
        """Open the media socket."""
        url = f"ws://{urlsplit(self._origin).netloc}/twilio/media"
        self._socket = await self._http.ws_connect(url, headers=headers)
        await self.send(event="connected", protocol="Call", version="1.0.0")
        return self

    async def start(self, token: str, **parameters: str) -> None:
        """Show the ticket."""
        await self.send(
            event="start",
            streamSid=self.stream_sid,
            start={
                "accountSid": f"AC{'0' * 32}",
                "callSid": self.call_sid,
                "streamSid": self.stream_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"token": token, **parameters},
            },
        )

    async def send(self, **message: Any) -> None:
        """Send one message, numbered as Twilio does."""
        if message["event"] != "connected":
            self._sequence += 1
            message["sequenceNumber"] = str(self._sequence)
        await self.socket.send_str(json.dumps(message))

    async def send_raw(self, text: str) -> None:
        """Send what is perhaps no message at all."""
        await self.socket.send_str(text)

    async def echo(self, name: str) -> None:
        """Report a mark: everything before it was played, or cleared."""
        await self.send(event="mark", streamSid=self.stream_sid, mark={"name": name})

    async def press(self, *digits: str) -> None:
        """The caller presses keys."""
        for digit in digits:
            body = {"track": "inbound_track", "digit": digit}
            await self.send(event="dtmf", streamSid=self.stream_sid, dtmf=body)

    async def speak(self, mulaw: bytes) -> None:
        """Send a piece of the caller's voice."""
        payload = base64.b64encode(mulaw).decode()
        body = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": payload}
        await self.send(event="media", streamSid=self.stream_sid, media=body)

    async def expect(self, event: str) -> dict[str, Any]:
        """The next message of this kind; others before it are passed over."""
        while True:
            message = await self.receive()
            if message["event"] == event:
                return message

    async def receive(self) -> dict[str, Any]:
        """The next message of the bridge."""
        async with asyncio.timeout(PATIENCE_S):
            message: dict[str, Any] = await self.socket.receive_json()
            return message

    async def closed(self) -> int:
        """Wait until the bridge closes the socket; returns the code."""
        async with asyncio.timeout(2 * PATIENCE_S):
            async for _ in self.socket:
                pass
        return self.socket.close_code or 1006

    async def hang_up(self) -> None:
        """The caller puts the phone down."""
        await self.send(event="stop", streamSid=self.stream_sid, stop={"callSid": self.call_sid})
        await self.socket.close()

    async def close(self) -> None:
        """Leave nothing open, whatever became of the call."""
        if self._socket is not None:
            await self._socket.close()

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        """The media socket, once it is open."""
        assert self._socket is not None
        return self._socket


def ticket_in(document: str) -> str:
    """The ticket that a stream's document holds."""
    parameter = ET.fromstring(document).find("./Connect/Stream/Parameter")
    assert parameter is not None, document
    return parameter.attrib["value"]
