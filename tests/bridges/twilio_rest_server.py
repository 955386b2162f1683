"""A server of the part of Twilio's REST API that the bridge uses, written from its documents.

It takes calls to be made like Twilio; `CalledPerson` plays who is called then.
"""

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
OVER = ("completed", "busy", "no-answer", "failed", "canceled")


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
    """One request with the right credentials: `POST Calls/{call_sid}.json`, or `POST Calls.json`.

    The values of a field that comes several times are parted by blanks.
    """

    call_sid: str
    fields: dict[str, str]


class TinyTwilioRest:
    """One account's REST API on a free port.

    Attributes:
        requests: all requests about calls that had the right credentials, in their order
        created: those that made calls, with the sids of these
        refused: how many had others
        statuses: of the calls that were made
        may_answer: whether a request for a call is answered, or waits for it with the call made
    """

    def __init__(self) -> None:
        self.origin = ""
        self.requests: list[RestRequest] = []
        self.created: list[RestRequest] = []
        self.refused = 0
        self.statuses: dict[str, str] = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._scripts: dict[str, deque[Answer | Fault]] = defaultdict(deque)
        self._news = asyncio.Condition()
        self.is_over = asyncio.Event()

    def script(self, call_sid: str, *answers: Answer | Fault) -> None:
        """What the next requests about a call get; further ones succeed.

        Those for new calls are about "". A fault loses the answer, but the call is made.
        """
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

    async def next_created(self, *, number: int = 1) -> RestRequest:
        """Wait until so many calls were made; returns the request for the last of them."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.created) >= number)
        return self.created[number - 1]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """`POST /2010-04-01/Accounts/{account}/Calls/{call}.json`."""
        fields = await self._read(request)
        if fields is None:
            return _response(UNAUTHENTICATED)
        call_sid = request.match_info["call"]
        async with self._news:
            self.requests.append(RestRequest(call_sid, fields))
            self._news.notify_all()
        script = self._scripts[call_sid]
        return await self._act(
            request, script.popleft() if script else self._change(self.requests[-1])
        )

    async def create(self, request: web.Request) -> web.StreamResponse:
        """`POST /2010-04-01/Accounts/{account}/Calls.json`."""
        fields = await self._read(request)
        if fields is None:
            return _response(UNAUTHENTICATED)
        script = self._scripts[""]
        answer = script.popleft() if script else None
        self.requests.append(RestRequest("", fields))
        if isinstance(answer, Answer):
            return _response(answer)
        call_sid = new_call_sid()
        self.statuses[call_sid] = "queued"
        async with self._news:
            self.created.append(RestRequest(call_sid, fields))
            self._news.notify_all()
        await self.may_answer.wait()
        return await self._act(request, answer or _call(call_sid, "queued", status=201))

    async def _read(self, request: web.Request) -> dict[str, str] | None:
        """The form, None without the right credentials."""
        credentials = b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode()).decode()
        is_known = request.headers.get("Authorization") == f"Basic {credentials}"
        if not is_known or request.match_info["account"] != ACCOUNT_SID:
            self.refused += 1
            return None
        assert request.content_type == "application/x-www-form-urlencoded"
        form = await request.post()
        return {name: " ".join(map(str, form.getall(name))) for name in form}

    def _change(self, request: RestRequest) -> Answer:
        """Twilio: `canceled` does nothing to a call that somebody has answered."""
        wanted = request.fields.get("Status", "in-progress")
        status = self.statuses.get(request.call_sid)
        if status is None:
            return _call(request.call_sid, wanted)
        if status in OVER:
            return CALL_IS_OVER
        if wanted == "completed" or status != "in-progress":
            self.statuses[request.call_sid] = wanted
        return _call(request.call_sid, self.statuses[request.call_sid])

    async def _act(self, request: web.Request, answer: Answer | Fault) -> web.StreamResponse:
        if isinstance(answer, Answer):
            return _response(answer)
        if answer == "silence":
            await self.is_over.wait()
        elif request.transport is not None:
            request.transport.abort()
        return web.Response()


def _call(call_sid: str, call_status: str, *, status: int = 200) -> Answer:
    """The call as it is now, a few of its properties."""
    call = {
        "account_sid": ACCOUNT_SID,
        "date_created": "Tue, 06 Oct 2026 10:00:00 +0000",
        "direction": "inbound",
        "from": "+14155550100",
        "sid": call_sid,
        "status": call_status,
        "to": "+14155550199",
        "uri": f"/2010-04-01/Accounts/{ACCOUNT_SID}/Calls/{call_sid}.json",
    }
    return Answer(status, json.dumps(call))


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
    app.router.add_post("/2010-04-01/Accounts/{account}/Calls.json", rest.create)
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
        rest.may_answer.set()
        await runner.cleanup()
