import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from evibridge.emulators import twilio_webhooks
from evibridge.emulators.twilio_webhooks import MAX_NOTICES, Webhooks, signature, without_secrets
from evibridge.emulators.twiml import MAX_DOCUMENT_BYTES, Hangup
from evibridge.errors import BadMessage, LinkRefused, LinkUnreachable

from .service_double import Service, running


@pytest.mark.parametrize(
    ("url", "fields", "expected"),
    [
        ("wss://bridge.example.com/twilio/media", None, "hGVJmeOLwZmJhPeWsyRDIvgH8Zc="),
        ("wss://bridge.example.com/twilio/media/", None, "K34XpNWz3mSbbFwtWeDWONZkGSc="),
        ("wss://bridge.example.com:8443/twilio/media", None, "lXh33f5GRY3YJmeAfD1FMqLgVHQ="),
        (
            "https://example.com/myapp.php?foo=1&bar=2",
            {
                "CallSid": "CA1234567890ABCDE",
                "Caller": "+14158675310",
                "Digits": "1234",
                "From": "+14158675310",
                "To": "+18005551212",
            },
            "L/OH5YylLD5NRKLltdqwSvS0BnU=",
        ),
        (
            "https://bridge.example.com:443/twilio/voice#rc=2",
            {
                "CallSid": "CA0123456789abcdef0123456789abcdef",
                "AccountSid": "AC0123456789abcdef0123456789abcdef",
                "From": "+14155550100",
                "To": "+14155550199",
                "CallStatus": "ringing",
                "Direction": "inbound",
                "ApiVersion": "2010-04-01",
                "CallerCity": "",
            },
            "tI/TLoVojMSooNNTZiuSZxvkc9Y=",
        ),
    ],
)
def test_signatures_are_twilios(url: str, fields: dict[str, str] | None, expected: str) -> None:
    assert signature("12345", url, fields) == expected


def test_an_http_url_is_signed_with_its_port() -> None:
    assert signature("12345", "http://a.example:8080/x") != signature("12345", "http://a.example/x")


def test_secrets_of_a_url_are_not_shown() -> None:
    assert without_secrets("https://me:pass@a.example:1/x?key=1") == "https://a.example:1/x"


@asynccontextmanager
async def webhooks(auth_token: str | None = None) -> AsyncIterator[tuple[Webhooks, list[str]]]:
    """Webhooks, and the sentences about failed status callbacks."""
    failures: list[str] = []
    hooks = Webhooks(auth_token, failures.append)
    try:
        yield hooks, failures
    finally:
        await hooks.close()


async def test_a_form_is_posted_and_the_document_read() -> None:
    async with running(Service(["<Response><Hangup/></Response>"])) as service:
        async with webhooks() as (hooks, _):
            document = await hooks.fetch(service.url("/voice"), {"CallSid": "CA1", "City": ""})
        (request,) = service.requests
    assert document == [Hangup()]
    assert request.fields == {"CallSid": "CA1", "City": ""}
    assert "X-Twilio-Signature" not in request.headers


async def test_a_form_is_signed_with_the_token() -> None:
    fields = {"CallSid": "CA1", "City": ""}
    async with running(Service(["<Response/>"])) as service:
        async with webhooks("12345") as (hooks, _):
            await hooks.fetch(service.url("/voice?a=1"), fields)
        (request,) = service.requests
        signed = request.headers["X-Twilio-Signature"]
        assert signed == signature("12345", service.url("/voice?a=1"), fields)


async def test_a_refusal_names_the_status_but_no_query() -> None:
    async with running(Service([])) as service, webhooks() as (hooks, _):
        with pytest.raises(LinkRefused) as caught:
            await hooks.fetch(service.url("/voice?key=1"), {})
        assert caught.value.status == 503
        assert str(caught.value).startswith(f"{service.url('/voice')} refused")


async def test_a_redirect_by_http_is_a_refusal() -> None:
    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=301, headers={"Location": "/elsewhere"})

    app = web.Application()
    app.router.add_post("/voice", redirect)
    async with TestServer(app) as server, webhooks() as (hooks, _):
        with pytest.raises(LinkRefused, match="301"):
            await hooks.fetch(str(server.make_url("/voice")), {})


async def test_plain_text_is_no_document() -> None:
    """Twilio would read it out to the caller."""
    service = Service(["<Response/>"], content_type="text/plain")
    async with running(service), webhooks() as (hooks, _):
        with pytest.raises(BadMessage, match="answered with text/plain"):
            await hooks.fetch(service.url("/voice"), {})


async def test_a_body_without_end_is_not_read_to_its_end() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/xml"})
        await response.prepare(request)
        with suppress(OSError):  # the client hangs up
            while True:
                await response.write(b" " * MAX_DOCUMENT_BYTES)
        return response

    app = web.Application()
    app.router.add_post("/voice", endless)
    async with TestServer(app) as server, webhooks() as (hooks, _):
        with pytest.raises(BadMessage, match="bytes; Twilio takes 65536"):
            await hooks.fetch(str(server.make_url("/voice")), {})


async def test_nobody_listens() -> None:
    async with running(Service([])) as service:
        closed_url = service.url("/voice")
    async with webhooks() as (hooks, _):
        with pytest.raises(LinkUnreachable, match="is the service running there"):
            await hooks.fetch(closed_url, {})


async def test_a_service_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_webhooks, "TIMEOUT_S", 0.05)
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/voice", hang)
    async with TestServer(app) as server, webhooks() as (hooks, _):
        with pytest.raises(LinkUnreachable, match=r"no answer within 0\.05 s"):
            await hooks.fetch(str(server.make_url("/voice")), {})
        released.set()


async def test_status_callbacks_arrive_before_the_end() -> None:
    async with running(Service([])) as service:
        async with webhooks() as (hooks, failures):
            hooks.notify(service.url("/notice"), {"a": "1"})
            hooks.notify(service.url("/notice"), {"a": "2"})
        assert sorted(request.fields["a"] for request in service.requests) == ["1", "2"]
    assert failures == []


async def test_a_failed_status_callback_is_only_told() -> None:
    async with running(Service([], status_of_notices=500)) as service:
        async with webhooks() as (hooks, failures):
            hooks.notify(service.url("/notice"), {})
        assert failures == [
            f"{service.url('/notice')} refused the connection with HTTP status 500."
        ]


async def test_status_callbacks_do_not_pile_up() -> None:
    async with running(Service([])) as service:
        async with webhooks() as (hooks, failures):
            for _ in range(MAX_NOTICES + 1):
                hooks.notify(service.url("/notice"), {})
        assert len(service.requests) == MAX_NOTICES
    assert failures == ["Too many status callbacks are unanswered."]
