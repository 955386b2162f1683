"""The port of the stand-in speech service: routes, and a record of what it was asked."""

import asyncio
import json
from collections import Counter, deque
from typing import Any

from aiohttp import web

from evibridge.audio.wav import parse_wav
from tests.engine.speech_servers.variants import Asked, variant

MAX_RECORDS = 1000


class _Record:
    def __init__(self, request: web.Request, fields: dict[str, Any]) -> None:
        self.told = {
            "path": request.path,
            "authorization": request.headers.get("Authorization"),
            "body": fields,
        }
        self.ended: asyncio.Future[str] = asyncio.Future()


class SpeechServer:
    def __init__(self) -> None:
        self._records = deque[_Record](maxlen=MAX_RECORDS)
        self._asked = asyncio.Event()
        self._tries = Counter[str]()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=2**24)
        app.add_routes(
            [
                web.post("/v1/audio/speech", self._speech),
                web.post("/v1/audio/transcriptions", self._transcription),
                web.get("/requests", self._requests),
                web.get("/requests/arrival", self._arrival),
                web.get("/requests/last/end", self._last_end),
                web.delete("/requests", self._forget),
            ]
        )
        return app

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        return await self._answer("speech", request, await request.json(), b"")

    async def _transcription(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        file = form["file"]
        assert isinstance(file, web.FileField)
        sound = parse_wav(file.file.read())
        fields["file"] = f"{sound.rate_hz} Hz, {sound.channels} channel, {len(sound.data)} bytes"
        return await self._answer("transcription", request, fields, bytes(sound.data))

    async def _answer(
        self, kind: str, request: web.Request, fields: dict[str, Any], pcm16: bytes
    ) -> web.StreamResponse:
        record = _Record(request, fields)
        self._records.append(record)
        self._asked.set()
        attempt = json.dumps(fields)
        self._tries[attempt] += 1
        asked = Asked(request, fields, pcm16, self._tries[attempt])
        try:
            response = await variant(kind, fields["model"])(asked)
        except (asyncio.CancelledError, ConnectionError):
            record.ended.set_result("client_left")
            raise
        record.ended.set_result("answered")
        return response

    async def _requests(self, _: web.Request) -> web.Response:
        """All requests so far, oldest first."""
        return web.json_response([record.told for record in self._records])

    async def _arrival(self, _: web.Request) -> web.Response:
        """Nothing, as soon as something has been asked."""
        await self._asked.wait()
        return web.json_response(None)

    async def _last_end(self, _: web.Request) -> web.Response:
        """How the last request ended, as soon as it has."""
        return web.json_response(await asyncio.shield(self._records[-1].ended))

    async def _forget(self, _: web.Request) -> web.Response:
        self._records.clear()
        self._asked.clear()
        self._tries.clear()
        return web.Response()
