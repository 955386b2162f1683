"""The port of the stand-in model: routes, and a record of what it was asked."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Awaitable
from typing import Any, Literal

from aiohttp import web

from tests.engine.model_servers.variants import Answer, variant

MAX_RECORDS = 1000


class Record:
    """One request, and how it ended."""

    def __init__(self, request: web.Request, body: dict[str, Any]) -> None:
        self.told = {
            "path": request.path,
            "query": dict(request.query),
            "authorization": request.headers.get("Authorization"),
            "body": body,
        }
        self.ended: asyncio.Future[Literal["answered", "client_left"]] = asyncio.Future()


class ModelServer:
    def __init__(self, first_token_s: float, token_s: float) -> None:
        self._first_token_s = first_token_s
        self._token_s = token_s
        self._records = deque[Record](maxlen=MAX_RECORDS)
        self._asked = asyncio.Event()
        self._tries = Counter[int]()

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.post("/v1/chat/completions", self._openai),
                web.post("/chat/completions", self._custom),
                web.post("/{variant}/chat/completions", self._custom),
                web.get("/requests", self._requests),
                web.get("/requests/arrival", self._arrival),
                web.get("/requests/last/end", self._last_end),
                web.delete("/requests", self._forget),
            ]
        )
        return app

    async def _openai(self, request: web.Request) -> web.StreamResponse:
        text = await request.read()
        return await self._answer(request, json.loads(text)["model"], text)

    async def _custom(self, request: web.Request) -> web.StreamResponse:
        text = await request.read()
        return await self._answer(request, request.match_info.get("variant", "normal"), text)

    async def _answer(self, request: web.Request, name: str, text: bytes) -> web.StreamResponse:
        body = json.loads(text)
        record = Record(request, body)
        self._records.append(record)
        self._asked.set()
        attempt = hash((request.path, text))
        self._tries[attempt] += 1
        answer = Answer(request, body, self._tries[attempt], self._first_token_s, self._token_s)
        return await _recorded(record, variant(name)(answer))

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


async def _recorded(record: Record, work: Awaitable[web.StreamResponse]) -> web.StreamResponse:
    try:
        response = await work
    except (asyncio.CancelledError, ConnectionError):
        record.ended.set_result("client_left")
        raise
    record.ended.set_result("answered")
    return response
