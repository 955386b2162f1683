import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from evibridge.bridges import hume_webhook
from evibridge.bridges.hume_events import ChatEnded, ChatStarted, ToolCalled
from evibridge.bridges.hume_webhook import (
    MAX_BODY_BYTES,
    MAX_REMEMBERED,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    WEBHOOK_PATH,
    WINDOW_S,
    HumeWebhook,
)
from evibridge.errors import CommandRefused
from tests.bridges.webhook_events import ended, started, tool_call
from tests.parties import PATIENCE_S
from tests.reference import evi_validator

KEY = "wh_test_key"
NOW_S = 1767000124.5
TIMESTAMP = "1767000124"
BODY = (
    b'{"event_name":"chat_ended","chat_group_id":"8f3c6a52-7b7e-4c0e-9b7d-2d7a3c1f5e10",'
    b'"chat_id":"c1a7d0b4-52f4-4b1e-8a5e-6f0f1c2b3a49","config_id":null,"caller_number":null,'
    b'"custom_session_id":null,"twilio_metadata":null,"end_time":1767000123456,'
    b'"duration_seconds":42,"end_reason":"USER_ENDED"}'
)
SIGNATURE = "baec35ae7d06ee8b15573b972cb86b9ba4a20018c28aaedb43c392946fa544a1"
"""The test vector of the reference."""


def signed(body: bytes, timestamp: str = TIMESTAMP, key: str = KEY) -> dict[str, str]:
    """The headers that EVI sends with a body."""
    digest = hmac.new(key.encode(), body + b"." + timestamp.encode(), hashlib.sha256)
    return {TIMESTAMP_HEADER: timestamp, SIGNATURE_HEADER: digest.hexdigest()}


class Told:
    """Notes what webhooks say; refuses, if there is a reason to."""

    def __init__(self) -> None:
        self.events: list[ChatStarted | ToolCalled | ChatEnded] = []
        self.refuses = False

    def chat_started(self, event: ChatStarted) -> None:
        self._note(event)

    def tool_called(self, event: ToolCalled) -> None:
        self._note(event)

    def chat_ended(self, event: ChatEnded) -> None:
        self._note(event)

    def _note(self, event: ChatStarted | ToolCalled | ChatEnded) -> None:
        if self.refuses:
            raise CommandRefused("service_full", "No more calls are taken now.")
        self.events.append(event)


@dataclass
class Service:
    """An HTTP server with the route, and EVI that calls it."""

    origin: str
    http: aiohttp.ClientSession
    told: Told = field(default_factory=Told)

    async def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Deliver whatever EVI need not have sent; returns status and body."""
        url = f"{self.origin}{WEBHOOK_PATH}"
        async with self.http.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def deliver(self, event: dict[str, Any]) -> int:
        """Deliver an event; returns the status."""
        body = json.dumps(event).encode()
        status, _ = await self.post(body, signed(body))
        return status


async def serve(http: aiohttp.ClientSession, key: str | None) -> AsyncIterator[Service]:
    told = Told()
    app = web.Application(client_max_size=1024)
    HumeWebhook(told, key, lambda: NOW_S).add_routes(app)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield Service(f"http://{host}:{port}", http, told)
    await runner.cleanup()


@pytest.fixture
async def service(http: aiohttp.ClientSession) -> AsyncIterator[Service]:
    async for service in serve(http, f" {KEY}\n"):
        yield service


@pytest.fixture(params=[None, "", " "])
async def keyless(
    http: aiohttp.ClientSession, request: pytest.FixtureRequest
) -> AsyncIterator[Service]:
    async for service in serve(http, request.param):
        yield service


async def test_the_reference_s_own_example_is_taken(service: Service) -> None:
    headers = {TIMESTAMP_HEADER: TIMESTAMP, SIGNATURE_HEADER: SIGNATURE}
    assert len(BODY) == 290

    assert await service.post(BODY, headers) == (200, "")
    (event,) = service.told.events
    assert event.chat_id == "c1a7d0b4-52f4-4b1e-8a5e-6f0f1c2b3a49"


async def test_each_event_has_its_effect(service: Service) -> None:
    for event in (started(), tool_call(), ended()):
        assert await service.deliver(event) == 200

    assert [type(event) for event in service.told.events] == [ChatStarted, ToolCalled, ChatEnded]


async def test_an_event_that_comes_again_has_none(service: Service) -> None:
    events = [started("c1a7d0b4-52f4-4b1e-8a5e-6f0f1c2b3a49"), tool_call(), tool_call(), ended()]
    for event in (*events, *reversed(events)):
        assert await service.deliver(event) == 200

    assert len(service.told.events) == len(events)


async def test_only_so_many_events_are_remembered(
    monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    monkeypatch.setattr(hume_webhook, "MAX_REMEMBERED", 2)
    events = [tool_call(tool_call_id=f"call_{number}") for number in range(3)]
    for event in (*events, events[2], events[0]):
        await service.deliver(event)

    assert len(service.told.events) == 4
    assert MAX_REMEMBERED >= 1000


async def test_an_event_that_could_have_no_effect_may_come_again(service: Service) -> None:
    event = tool_call()
    service.told.refuses = True
    body = json.dumps(event).encode()
    status, answer = await service.post(body, signed(body))
    assert status == 503
    assert json.loads(answer)["code"] == "service_full"

    service.told.refuses = False
    assert await service.deliver(event) == 200
    assert len(service.told.events) == 1


async def test_an_unknown_event_is_passed_over(service: Service) -> None:
    assert await service.deliver({"event_name": "chat_paused"}) == 200
    assert service.told.events == []


@pytest.mark.parametrize("body", [b"hello", b"[]", b'{"event_name": "chat_started"}', b"\xff"])
async def test_a_body_that_is_no_event_is_answered_as_evi_does(
    service: Service, body: bytes
) -> None:
    status, answer = await service.post(body, signed(body))

    assert status == 422
    evi_validator("HTTPValidationError").validate(json.loads(answer))
    assert service.told.events == []


@pytest.mark.parametrize(
    "headers",
    [
        signed(BODY, key="another key"),
        signed(BODY + b" "),
        signed(BODY) | {SIGNATURE_HEADER: SIGNATURE.upper() + "\xe4"},
        {TIMESTAMP_HEADER: TIMESTAMP},
    ],
)
async def test_nobody_else_is_believed(service: Service, headers: dict[str, str]) -> None:
    with capture_logs() as logs:
        status, answer = await service.post(BODY, headers)

    assert status == 401
    assert KEY not in answer
    assert service.told.events == []
    assert [line["why"] for line in logs if line["event"] == "webhook_refused"] == ["signature"]


async def test_the_signature_is_checked_before_the_body_is_read_as_json(service: Service) -> None:
    status, _ = await service.post(b"hello", signed(BODY))

    assert status == 401


@pytest.mark.parametrize(
    "timestamp",
    [
        "",
        "yesterday",
        "-1767000124",
        "1767000124.0",
        "\u0661",
        "9" * 5000,
        str(int(NOW_S - WINDOW_S)),
        str(int(NOW_S + WINDOW_S) + 1),
    ],
)
async def test_a_signature_is_good_for_three_minutes(service: Service, timestamp: str) -> None:
    status, _ = await service.post(BODY, signed(BODY, timestamp))

    assert status == 400
    assert service.told.events == []


@pytest.mark.parametrize("late_s", [WINDOW_S, -WINDOW_S])
async def test_a_clock_may_be_a_little_off(service: Service, late_s: float) -> None:
    timestamp = str(int(NOW_S - late_s * 0.9))

    assert (await service.post(BODY, signed(BODY, timestamp)))[0] == 200


async def test_a_request_without_a_timestamp_is_none_of_evi_s(service: Service) -> None:
    assert (await service.post(BODY, {SIGNATURE_HEADER: SIGNATURE}))[0] == 400


async def test_without_a_key_nobody_is_believed(keyless: Service) -> None:
    status, answer = await keyless.post(BODY, signed(BODY, key=""))

    assert status == 403
    assert "HUME_WEBHOOK_SIGNING_KEY" in answer
    assert keyless.told.events == []


async def test_a_body_is_of_bounded_size(service: Service) -> None:
    fitting = json.dumps(tool_call()).encode().ljust(MAX_BODY_BYTES)
    assert (await service.post(fitting, signed(fitting)))[0] == 200

    body = bytes(MAX_BODY_BYTES + 1)
    assert (await service.post(body, signed(body)))[0] == 413


async def test_a_body_that_is_packed_is_refused_by_whatever_server(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    packed = {"Content-Encoding": "gzip"}  # the server of the fixture unpacks, if it can

    assert (await service.post(b"hello", signed(b"hello") | packed))[0] == 415
    assert "Error handling request" not in caplog.text


async def test_a_body_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    monkeypatch.setattr(hume_webhook, "BODY_TIMEOUT_S", 0.05)

    async def half() -> AsyncIterator[bytes]:
        yield BODY[:10]
        await asyncio.Event().wait()

    url = f"{service.origin}{WEBHOOK_PATH}"
    async with (
        asyncio.timeout(PATIENCE_S),
        service.http.post(url, data=half(), headers=signed(BODY)) as answer,
    ):
        assert answer.status == 408
