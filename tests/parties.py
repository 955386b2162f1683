"""The two programs that the bridge talks to, written from their protocol documents alone.

`TinyEvi` is an EVI server that says what a test tells it to say; `TinyTwilio` is a carrier that
sends what a test tells it to. Neither shares code with the bridge, the engine or the emulator.
"""

import asyncio
import base64
import json
import struct
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import aiohttp
from aiohttp import web

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

    async def send(self, **message: Any) -> None:
        """Send one message, which the protocol's schema has to allow."""
        evi_validator("SubscribeEvent").validate(message)
        await self.socket.send_str(json.dumps(message))

    async def open(self) -> None:
        """Every chat begins with its metadata."""
        await self.send(type="chat_metadata", chat_id=self.chat_id, chat_group_id=self.chat_id)

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

    async def send_audio(self, utterance_id: str, index: int, ms: int) -> None:
        """One chunk of a sentence."""
        data = base64.b64encode(wav(ms)).decode()
        await self.send(type="audio_output", id=utterance_id, index=index, data=data)

    async def hear_user(self, text: str, *, interim: bool = False) -> None:
        """Tell what the caller said."""
        await self.send(
            type="user_message",
            interim=interim,
            from_text=False,
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

    async def expect(self, kind: str) -> dict[str, Any]:
        """The next message of this type; others before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.received.get()
                if message["type"] == kind:
                    return message


class TinyEvi:
    """An EVI server on a free port."""

    def __init__(self) -> None:
        self._chats: asyncio.Queue[TinyChat] = asyncio.Queue()
        self.refuse_with: int | None = None
        self.origin = ""

    async def next_chat(self) -> TinyChat:
        """The next chat that somebody opens."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._chats.get()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`GET /v0/evi/chat`: every client message has to be one that the schema allows."""
        if self.refuse_with is not None:
            return web.Response(status=self.refuse_with)
        socket = web.WebSocketResponse(max_msg_size=16 << 20)
        await socket.prepare(request)
        chat = TinyChat(request, socket)
        await self._chats.put(chat)
        async for frame in socket:
            message = json.loads(frame.data)
            evi_validator("PublishEvent").validate(message)
            await chat.received.put(message)
        if not chat.closed_with.done():  # a test that gave up waiting has cancelled it
            chat.closed_with.set_result(socket.close_code or 1006)
        return socket


@asynccontextmanager
async def tiny_evi() -> AsyncIterator[TinyEvi]:
    """A running `TinyEvi`."""
    evi = TinyEvi()
    app = web.Application()
    app.router.add_get("/v0/evi/chat", evi.handle)
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
        parameter = ET.fromstring(body).find("./Connect/Stream/Parameter")
        assert parameter is not None, body
        return parameter.attrib["value"]

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
