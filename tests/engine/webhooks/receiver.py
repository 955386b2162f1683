"""A receiver of webhooks, written from the protocol's documents alone: it trusts nothing."""

import asyncio
import hashlib
import hmac
import json
import socket
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from evibridge.engine.webhooks.webhook import Webhook
from tests.reference import evi_validator

PATIENCE_S = 5.0
"""Every wait of a test is bounded by this."""
KEY = "wh_test_key"
MAX_AGE_S = 180
"""Official receivers refuse what is older."""
SCHEMAS = {
    "chat_started": "WebhookEventChatStarted",
    "tool_call": "WebhookEventToolCall",
    "chat_ended": "WebhookEventChatEnded",
}


def is_signed(body: bytes, timestamp: str, signature: str, key: str = KEY) -> bool:
    """What official receivers compute."""
    signed = body.decode() + "." + timestamp
    wanted = hmac.new(key.encode(), signed.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, signature)


@dataclass(frozen=True)
class Received:
    """One request, whose body fits its schema."""

    event: dict[str, Any]
    body: bytes
    headers: dict[str, str]

    @property
    def name(self) -> str:
        """Which event it tells."""
        return str(self.event["event_name"])

    @property
    def timestamp(self) -> str:
        """Of the signature."""
        return self.headers["X-Hume-AI-Webhook-Timestamp"]

    @property
    def signature(self) -> str:
        """In hexadecimal."""
        return self.headers["X-Hume-AI-Webhook-Signature"]

    @property
    def is_genuine(self) -> bool:
        """Whether it is signed, and not long ago."""
        age_s = abs(time.time() - int(self.timestamp))
        return age_s < MAX_AGE_S and is_signed(self.body, self.timestamp, self.signature)


class Receiver:
    """Answers what a test tells it to answer, and keeps what it was told.

    Attributes:
        answers: statuses of the next answers, 200 from then on; None breaks the connection
        may_answer: cleared, it lets senders wait
        told: all requests so far
        busiest: the most requests of one chat at a time
    """

    def __init__(self) -> None:
        self.answers: deque[int | None] = deque()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.told: list[Received] = []
        self.busiest = 0
        self.url = ""
        self._news: asyncio.Queue[Received] = asyncio.Queue()
        self._open: list[str] = []

    async def next(self) -> Received:
        """The next request, as soon as it is there."""
        return await asyncio.wait_for(self._news.get(), PATIENCE_S)

    async def until(self, name: str) -> list[Received]:
        """All requests up to and including the next one that tells this event."""
        received = [await self.next()]
        while received[-1].name != name:
            received.append(await self.next())
        return received

    async def handle(self, request: web.Request) -> web.Response:
        """Keep a request, and answer it."""
        body = await request.read()
        event = json.loads(body)
        evi_validator(SCHEMAS[event["event_name"]]).validate(event)
        evi_validator("WebhookHeaders").validate(dict(request.headers))
        received = Received(event, body, dict(request.headers))
        self.told.append(received)
        self._news.put_nowait(received)
        self._open.append(event["chat_id"])
        self.busiest = max(self.busiest, self._open.count(event["chat_id"]))
        try:
            await self.may_answer.wait()
        finally:
            self._open.remove(event["chat_id"])
        status = self.answers.popleft() if self.answers else 200
        if status is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        headers = {"Location": f"{self.url}/elsewhere"} if status == 302 else {}
        return web.Response(status=status, headers=headers)


def bound_socket() -> socket.socket:
    """A port of this machine at which nobody listens yet: connections to it are refused."""
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    return bound


@asynccontextmanager
async def receiving(at: socket.socket | None = None) -> AsyncIterator[Receiver]:
    """Run a receiver, at a port that a test has bound or at any free one."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    at = at or bound_socket()
    receiver.url = f"http://127.0.0.1:{at.getsockname()[1]}"
    await web.SockSite(runner, at).start()
    try:
        yield receiver
    finally:
        receiver.may_answer.set()
        await runner.cleanup()


def webhook(receiver: Receiver, query: str = "", *events: str) -> Webhook:
    """The receiver, as an owner configures it."""
    wanted = {"events": frozenset(events)} if events else {}
    return Webhook(f"{receiver.url}/hume{query}", KEY, **wanted)  # type: ignore[arg-type]
