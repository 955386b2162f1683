"""A service as Twilio sees it: it answers webhooks with documents and a media stream with sound."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pybase64
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.test_utils import TestServer

PATIENCE_S = 5.0


@dataclass
class Request:
    path: str
    fields: dict[str, str]
    headers: dict[str, str]


class MediaPeer:
    """The service's end of a media stream."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self.stream_sid = ""

    async def read(self) -> dict[str, Any]:
        """The next message; `{"event": "closed", "code": ...}` when there is none."""
        message = await self._socket.receive(timeout=PATIENCE_S)
        if message.type is WSMsgType.TEXT:
            parsed: dict[str, Any] = orjson.loads(message.data)
            self.stream_sid = parsed.get("streamSid", "")
            return parsed
        return {"event": "closed", "code": self._socket.close_code}

    async def read_until(self, event: str) -> dict[str, Any]:
        while True:
            message = await self.read()
            if message["event"] in (event, "closed"):
                return message

    async def say(self, mulaw: bytes) -> None:
        payload = pybase64.b64encode(mulaw).decode()
        await self._send("media", {"payload": payload})

    async def mark(self, name: str) -> None:
        await self._send("mark", {"name": name})

    async def clear(self) -> None:
        await self._socket.send_json({"event": "clear", "streamSid": self.stream_sid})

    async def close(self, code: int = WSCloseCode.OK) -> None:
        await self._socket.close(code=code)

    def cut(self) -> None:
        transport = self._socket._req.transport if self._socket._req else None
        assert transport is not None
        transport.close()

    async def _send(self, event: str, body: dict[str, str]) -> None:
        message = {"event": event, "streamSid": self.stream_sid, event: body}
        await self._socket.send_str(orjson.dumps(message).decode())


async def hear_out(peer: MediaPeer) -> None:
    """Listen until the caller is gone."""
    while (await peer.read())["event"] != "closed":
        pass


@dataclass
class Service:
    """`documents` are answered in turn, by whatever path; `{origin}` in them is this server."""

    documents: list[str]
    on_stream: Callable[[MediaPeer], Awaitable[None]] = hear_out
    requests: list[Request] = field(default_factory=list)
    handshakes: list[Request] = field(default_factory=list)
    streams: list[asyncio.Future[None]] = field(default_factory=list)
    origin: str = ""
    refuse_media: int | None = None
    status_of_notices: int = 204
    content_type: str = "text/xml"
    longest_stream_s: float = PATIENCE_S

    def url(self, path: str) -> str:
        return f"{self.origin}{path}"

    def requests_to(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]

    async def answer(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.requests.append(Request(request.path, form, dict(request.headers)))
        if request.path == "/notice":
            return web.Response(status=self.status_of_notices)
        if not self.documents:
            return web.Response(status=503)
        document = self.documents.pop(0).replace("{origin}", self.origin)
        document = document.replace("{ws}", self.origin.replace("http", "ws"))
        return web.Response(text=document, content_type=self.content_type)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        self.handshakes.append(Request(request.path, {}, dict(request.headers)))
        if self.refuse_media is not None:
            return web.Response(status=self.refuse_media)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        stream = asyncio.ensure_future(self.on_stream(MediaPeer(socket)))
        self.streams.append(stream)
        await asyncio.wait([stream], timeout=self.longest_stream_s)
        return socket


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Service]:
    """Serve on a free port; at the end every stream has ended, and as it should."""
    app = web.Application()
    app.router.add_get("/media", service.stream)
    app.router.add_post("/{path:.*}", service.answer)
    async with TestServer(app) as server:
        service.origin = str(server.make_url("")).rstrip("/")
        yield service
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*service.streams)  # an assertion that failed in one fails the test
