import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from evibridge.errors import (
    BadMessage,
    CommandRefused,
    EvibridgeError,
    LinkUnreachable,
    SettingsError,
)
from evibridge.operators.command_rate import CommandRate
from evibridge.terminal import operator_client
from evibridge.terminal.operator_answers import DONE, checked
from evibridge.terminal.operator_client import OperatorClient, token_to_show
from tests.faults.proxy import proxy
from tests.operators.api_stage import TOKENS, Stage, open_stage
from tests.terminal.stage import Terminal

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

pytestmark = pytest.mark.usefixtures("logging_is_undone")

PATIENCE_S = 5.0
NOBODY = "http://127.0.0.1:1"
NO_PAUSES = (0.0,) * 200
TOKEN = TOKENS[0].token
JSON = "application/json"
UNFIT = """{"detail": [
    {"loc": ["body", "to"], "msg": "no number", "type": "t"},
    {"loc": ["body"], "msg": "too long", "type": "t"}
]}"""
PAUSED = {"call_id": "CA1", "command": "pause", "by": "anna", "via": "control_plane"}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path, rate=CommandRate(per_s=1000, burst=1000)) as stage:
        yield stage


@asynccontextmanager
async def served(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    """A web server that answers everything like this."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def error_of(origin: str, token: str | None = None) -> EvibridgeError:
    """What becomes of a request."""
    async with asyncio.timeout(PATIENCE_S), OperatorClient(origin, token, (0.0,)) as client:
        with pytest.raises(EvibridgeError) as caught:
            await client.get("/v1/calls")
    return caught.value


async def error_of_stream(origin: str, token: str | None = None) -> EvibridgeError:
    async with asyncio.timeout(PATIENCE_S), OperatorClient(origin, token) as client:
        with pytest.raises(EvibridgeError) as caught:
            async with client.stream("/v1/events"):
                pass
    return caught.value


# Whom it asks


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://127.0.0.1:8080/", "HTTP://H"])
def test_an_origin_is_taken_with_or_without_a_slash(url: str) -> None:
    OperatorClient(url, None)


@pytest.mark.parametrize(
    "url",
    ["", "voice.example.com", "ftp://h", "http://h/v1", "http://h?x", "http://a:b@h", "http://h h",
     "http://h:99999", "http://"],
)  # fmt: skip
def test_what_is_no_origin_is_one_sentence(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^--url is no origin of a service: give one such as"):
        OperatorClient(url, None)


@pytest.mark.parametrize(
    ("setting", "token"),
    [
        (None, None),
        ("hush", "hush"),
        ("wall:read=glance,anna:control=hush,bob:control=quiet", "hush"),
        ("wall:read=glance,door:read=peep", "glance"),
    ],
)
def test_of_several_tokens_the_first_that_may_command_is_shown(
    setting: str | None, token: str | None
) -> None:
    assert token_to_show(setting) == token


async def test_a_document_is_read_with_a_query(stage: Stage) -> None:
    async with OperatorClient(stage.origin, TOKEN) as client:
        found = await client.get("/v1/calls", state="all", limit=1)

    assert [call["call_id"] for call in found["calls"]] == ["CA1"]


# Why not


@pytest.mark.parametrize(
    ("status", "kind", "body", "error", "sentence"),
    [
        (
            409,
            JSON,
            '{"code": "c", "message": "Not\\u001b now."}',
            CommandRefused,
            "Not\ufffd now.",
        ),
        (503, JSON, '{"code": "c", "message": "Full."}', CommandRefused, "Full."),
        (403, JSON, '{"code": "forbidden", "message": "Only here."}', SettingsError, "Only here."),
        (404, "text/plain", "No call has this id.", CommandRefused, "No call has this id."),
        (
            422,
            JSON,
            UNFIT,
            CommandRefused,
            "The service cannot use NUMBER: no number; body: too long.",
        ),
    ],
)
async def test_a_refusal_is_the_services_own_sentence(
    status: int, kind: str, body: str, error: type[EvibridgeError], sentence: str
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type=kind)

    async with served(refuse) as origin:
        refusals = [await error_of(origin), await error_of_stream(origin)]

    for refusal in refusals:
        assert (type(refusal), str(refusal)) == (error, sentence)
        assert refusal.retryable is (status == 503)


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", "<p>Hello.</p>"),
        (200, JSON, "{"),
        (302, "text/plain", "Elsewhere."),
        (404, "text/plain", "404: Not Found"),
        (404, JSON, '{"error": "not found"}'),
        (404, JSON, "[]"),
        (404, JSON, "\ud800".encode(errors="surrogatepass").decode("latin-1")),
        (501, "text/html", "<p>Sorry</p>"),
    ],
)
async def test_what_is_no_service_is_one_sentence(status: int, kind: str, body: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type=kind)

    async with served(answer) as origin:
        expected = f"{origin} is no evibridge service ({status}): give the origin of one as --url."
        assert str(await error_of(origin)) == expected
        assert str(await error_of_stream(origin)) == expected


async def test_a_proxy_without_a_service_behind_it_may_get_it_back() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=502, text="<p>Bad gateway</p>", content_type="text/html")

    async with served(answer) as origin:
        errors = [await error_of(origin), await error_of_stream(origin)]

    for error in errors:
        assert str(error).startswith(f"There is no evibridge service behind {origin} (502): start")
        assert error.retryable


async def test_a_program_that_speaks_something_else_is_no_service() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        origin = "http://{}:{}".format(*server.sockets[0].getsockname())
        errors = [await error_of(origin), await error_of_stream(origin)]
        https = await error_of(origin.replace("http:", "https:"))

    assert ["is no evibridge service" in str(error) for error in errors] == [True, True]
    assert "(it cannot be trusted, or does not speak TLS)" in str(https)


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        (None, "wants to see a token (401): set EVIBRIDGE_OPERATOR_TOKEN to the service's own."),
        ("wr0ng", "does not know the token in EVIBRIDGE_OPERATOR_TOKEN (401): set it to the "),
    ],
)
async def test_without_the_right_token_it_says_what_to_set(
    stage: Stage, token: str | None, sentence: str
) -> None:
    error = await error_of(stage.origin, token)

    assert isinstance(error, SettingsError)
    assert sentence in str(error)
    assert "wr0ng" not in str(error)


async def test_nobody_at_the_address_is_one_sentence() -> None:
    for error in (await error_of(NOBODY), await error_of_stream(NOBODY)):
        assert isinstance(error, LinkUnreachable)
        assert str(error) == (
            f"{NOBODY} cannot be reached (Connection refused): start the service with "
            "`evibridge run`, or give its origin as --url."
        )


# Lost answers


async def test_a_command_whose_answer_is_lost_is_done_once(stage: Stage) -> None:
    stage.call.may_answer = asyncio.Event()
    async with (
        asyncio.timeout(PATIENCE_S),
        proxy(stage.origin) as line,
        OperatorClient(line.origin, TOKEN, NO_PAUSES) as client,
    ):
        asked = asyncio.create_task(client.post("/v1/calls/CA1/pause", {}))
        await stage.call.was_asked.wait()
        for each in line._lines:
            each.reset()
        stage.call.may_answer.set()

        assert await asked == PAUSED

    assert len(stage.call.asked) == 1


async def test_a_command_that_is_still_being_done_is_waited_for(stage: Stage) -> None:
    """The first attempt is slow, its line is cut, and the next ones come too early."""
    stage.call.may_answer = asyncio.Event()
    async with (
        asyncio.timeout(PATIENCE_S),
        proxy(stage.origin) as line,
        OperatorClient(line.origin, TOKEN, (0.0, 0.0)) as client,
    ):
        asked = asyncio.create_task(client.post("/v1/calls/CA1/pause", {}))
        await stage.call.was_asked.wait()
        for each in line._lines:
            each.reset()

        with pytest.raises(CommandRefused, match="is not answered yet"):
            await asked
        stage.call.may_answer.set()

    assert len(stage.call.asked) == 1


@pytest.mark.parametrize(
    ("method", "sentence"),
    [
        ("get", r"cannot be reached \(it does not answer\)"),
        ("post", "does not answer, and may have done what it was asked for: see `evibridge calls"),
    ],
)
async def test_a_service_that_never_answers_is_one_sentence(method: str, sentence: str) -> None:
    asked: list[str | None] = []

    async def hang_up(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Idempotency-Key"))
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    body: list[Any] = [{}] if method == "post" else []
    async with (
        asyncio.timeout(PATIENCE_S),
        served(hang_up) as origin,
        OperatorClient(origin, None, (0.0, 0.0)) as client,
    ):
        with pytest.raises(LinkUnreachable, match=sentence):
            await getattr(client, method)("/v1/calls", *body)

    assert len(asked) >= 3  # aiohttp repeats some by itself
    assert len(set(asked)) == 1
    assert (asked[0] is None) is (method == "get")


async def test_a_service_that_says_nothing_is_not_waited_for_as_often_as_it_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(operator_client, "READ_WITHIN_S", 0.05)

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)

    silent: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        error = await error_of("http://{}:{}".format(*server.sockets[0].getsockname()))
        for writer in silent:
            writer.close()

    assert isinstance(error, LinkUnreachable)
    assert "cannot be reached (it does not answer)" in str(error)


async def test_whoever_waits_for_a_command_is_told_once_that_it_is_sent_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([None, None, PAUSED])

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response({"calls": [], "next": None})
        document = next(answers)
        if document is None and request.transport is not None:
            request.transport.close()
        return web.json_response(document)

    async with served(answer) as origin:
        ended = await Terminal(monkeypatch, capsys, TOKEN).run(
            "calls", "pause", "CA1", "--url", origin
        )

    assert (ended.code, ended.out) == (0, "Paused (call CA1, by anna, via control plane).\n")
    assert ended.err == f"{origin} has not answered: asking again, as one command.\n"


async def test_each_command_has_a_key_of_its_own(stage: Stage) -> None:
    async with OperatorClient(stage.origin, TOKEN) as client:
        for _ in range(2):
            assert await client.post("/v1/calls/CA1/pause", {}) == PAUSED

    assert len(stage.call.asked) == 2


def test_an_answer_of_another_version_is_one_sentence() -> None:
    assert checked(DONE, {**PAUSED, "more": 1}) == PAUSED
    with pytest.raises(BadMessage, match=r"use one of the service's version\.$"):
        checked(DONE, {"call_id": "CA1"})
