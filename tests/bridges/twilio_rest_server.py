"""A server of the part of Twilio's REST API that the bridge uses, written from its documents."""

import asyncio
import json
import uuid
from base64 import b64encode
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from tests.parties import PATIENCE_S

ACCOUNT_SID = f"AC{'0123456789abcdef' * 2}"
AUTH_TOKEN = "a-token-that-nobody-may-see"

Fault = Literal["silence", "disconnect"]
"""No answer at all, and a connection that breaks instead of one."""


@dataclass(frozen=True)
class Answer:
    """What a request is answered with."""

    status: int
    body: str
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)


def error(status: int, code: int) -> Answer:
    """An error of Twilio's."""
    return Answer(
        status,
        json.dumps(
            {
                "code": code,
                "message": "The words of Twilio.",
                "more_info": f"https://www.twilio.com/docs/errors/{code}",
                "status": status,
            }
        ),
    )


CALL_IS_OVER = error(404, 20404)
UNAUTHENTICATED = error(401, 20003)


@dataclass(frozen=True)
class RestRequest:
    """One request with the right credentials: `POST Calls/{call_sid}.json`."""

    call_sid: str
    fields: dict[str, str]


class TinyTwilioRest:
    """One account's REST API on a free port.

    Attributes:
        requests: all requests about calls that had the right credentials, in their order
        refused: how many had others
    """

    def __init__(self) -> None:
        self.origin = ""
        self.requests: list[RestRequest] = []
        self.refused = 0
        self._scripts: dict[str, deque[Answer | Fault]] = defaultdict(deque)
        self._news = asyncio.Condition()
        self.is_over = asyncio.Event()

    def script(self, call_sid: str, *answers: Answer | Fault) -> None:
        """What the next requests about a call get; further ones succeed."""
        self._scripts[call_sid].extend(answers)

    def completed(self) -> list[str]:
        """The calls that were asked to be ended, in the order of the requests."""
        done = {"Status": "completed"}
        return [request.call_sid for request in self.requests if request.fields == done]

    async def asked(self, call_sid: str, *, times: int = 1) -> RestRequest:
        """Wait until there were this many requests about a call; returns the last of them."""

        def about() -> list[RestRequest]:
            return [request for request in self.requests if request.call_sid == call_sid]

        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(about()) >= times)
        return about()[times - 1]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`POST /2010-04-01/Accounts/{account}/Calls/{call}.json`."""
        credentials = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        is_known = request.headers.get("Authorization") == f"Basic {credentials}"
        if not is_known or request.match_info["account"] != ACCOUNT_SID:
            self.refused += 1
            return _response(UNAUTHENTICATED)
        assert request.content_type == "application/x-www-form-urlencoded"
        call_sid = request.match_info["call"]
        fields = {name: str(value) for name, value in (await request.post()).items()}
        async with self._news:
            self.requests.append(RestRequest(call_sid, fields))
            self._news.notify_all()
        script = self._scripts[call_sid]
        return await self._act(request, script.popleft() if script else _call(call_sid, fields))

    async def _act(self, request: web.Request, answer: Answer | Fault) -> web.StreamResponse:
        if isinstance(answer, Answer):
            return _response(answer)
        if answer == "silence":
            await self.is_over.wait()
        elif request.transport is not None:
            request.transport.abort()
        return web.Response()


def _call(call_sid: str, fields: dict[str, str]) -> Answer:
    """The call as it is now, a few of its properties."""
    call = {
        "account_sid": ACCOUNT_SID,
        "date_created": "Tue, 06 Oct 2026 10:00:00 +0000",
        "direction": "inbound",
        "from": "+14155550100",
        "sid": call_sid,
        "status": fields.get("Status", "in-progress"),
        "to": "+14155550199",
        "uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{call_sid}.json",
    }
    return Answer(200, json.dumps(call))


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, text=answer.body, headers=dict(answer.headers))


def new_call_sid() -> str:
    """A call's name as Twilio makes them."""
    return f"CA{uuid.uuid4().hex}"


@asynccontextmanager
async def tiny_twilio_rest() -> AsyncIterator[TinyTwilioRest]:
    """A running `TinyTwilioRest`."""
    rest = TinyTwilioRest()
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", rest.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    rest.origin = f"http://{host}:{port}"
    try:
        yield rest
    finally:
        rest.is_over.set()
        await runner.cleanup()
