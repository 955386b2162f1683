"""`/metrics` of a service that runs: who may read it, and what it tells of a call."""

import asyncio
import gc
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from evibridge import create_app
from evibridge.metrics import CONTENT_TYPE
from evibridge.service import Service, start_service
from tests.bridges.conftest import AGENT, Scene, settings
from tests.metrics_page import Page, read_page
from tests.parties import PATIENCE_S, TinyEvi

FROM_AFAR = {"X-Forwarded-For": "203.0.113.9"}

pytestmark = pytest.mark.usefixtures("logging_is_undone")


@pytest.fixture
async def service(evi: TinyEvi) -> AsyncIterator[Service]:
    service = await start_service(AGENT, settings(evi, max_calls=1))
    yield service
    await service.close()


@pytest.fixture
async def guarded(evi: TinyEvi) -> AsyncIterator[Service]:
    """A service that has a token for its operators."""
    service = await start_service(AGENT, settings(evi, operator_token="schlüssel"))
    yield service
    await service.close()


@pytest.fixture
async def scene(
    evi: TinyEvi, service: Service, http: aiohttp.ClientSession
) -> AsyncIterator[Scene]:
    scene = Scene(evi, service, http)
    yield scene
    for twilio in scene.calls:
        await twilio.close()


async def page_of(origin: str, http: aiohttp.ClientSession) -> Page:
    async with http.get(f"{origin}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == CONTENT_TYPE
        text = await answer.text()
    assert "+1415" not in text
    return read_page(text, prefix="evibridge_")


async def test_a_call_can_be_followed_on_the_page(scene: Scene) -> None:
    origin = scene.service.origin
    twilio, chat = await scene.talk()
    await chat.hear_user("Where", interim=True)
    await chat.hear_user("Where is order 7?")
    await chat.call_tool("t", "order_status", '{"order_id": "7"}')
    await chat.expect("tool_response")
    await chat.say("a", "It is on its way.", ms=500)
    mark = (await twilio.expect("mark"))["mark"]["name"]
    during = await page_of(origin, scene.http)
    assert "reject" in (await scene.carrier().post("/twilio/voice"))[1].lower()
    await twilio.echo(mark)
    await twilio.hang_up()
    await scene.service.drain(PATIENCE_S)
    await scene.carrier().post("/twilio/voice")
    after = await page_of(origin, scene.http)

    assert (during["calls"], during["calls_max"]) == (1, 1)
    assert during['calls_ended_total{reason="caller_hung_up"}'] == 0
    assert during['chats_opened_total{why="first"}'] == 1
    assert during["caller_turns_total"] == 1
    assert during["agent_sentences_total"] == 1
    assert during['tool_calls_total{outcome="answered"}'] == 1
    assert during["tool_seconds_count"] == 1
    assert after["calls"] == 0
    assert after['calls_ended_total{reason="caller_hung_up"}'] == 1
    assert after["call_seconds_count"] == 1
    assert after["agent_audio_sent_seconds_total"] == pytest.approx(0.5)
    assert 0 < after["agent_audio_heard_seconds_total"] <= 0.5
    assert after['callers_refused_total{why="busy"}'] == 1
    assert after['callers_refused_total{why="draining"}'] == 1


async def test_the_event_loop_and_the_garbage_collector_are_watched(
    service: Service, http: aiohttp.ClientSession
) -> None:
    gc.collect()
    async with asyncio.timeout(PATIENCE_S):
        while not (page := await page_of(service.origin, http))["event_loop_lag_seconds_count"]:
            pass

    assert page["gc_pause_seconds_count"] >= 1


async def test_a_service_that_has_ended_watches_nothing_and_others_go_on(evi: TinyEvi) -> None:
    before = list(gc.callbacks)
    one = await start_service(AGENT, settings(evi))
    other = await start_service(AGENT, settings(evi))
    assert len(gc.callbacks) == len(before) + 2
    await one.close()
    assert len(gc.callbacks) == len(before) + 1
    await other.close()

    assert gc.callbacks == before


async def test_somebody_elses_server_has_the_page_too(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    runner = web.AppRunner(create_app(AGENT, settings(evi, max_calls=3)))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        page = await page_of("http://{}:{}".format(*runner.addresses[0][:2]), http)
    finally:
        await runner.cleanup()

    assert page["calls_max"] == 3


async def test_without_a_token_only_this_machine_is_answered(
    service: Service, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{service.origin}/metrics", headers=FROM_AFAR) as answer:
        assert answer.status == 403
        assert "set EVIBRIDGE_OPERATOR_TOKEN" in await answer.text()


@pytest.mark.parametrize("credentials", [{}, {"Authorization": "Bearer schl\udcfcssel"}])
async def test_who_shows_no_token_or_a_wrong_one_is_asked_for_it(
    guarded: Service, http: aiohttp.ClientSession, credentials: dict[str, str]
) -> None:
    headers = FROM_AFAR | credentials
    async with http.get(f"{guarded.origin}/metrics", headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_the_token_is_good_from_anywhere(
    guarded: Service, http: aiohttp.ClientSession
) -> None:
    headers = FROM_AFAR | {"Authorization": "Bearer schlüssel"}
    async with http.get(f"{guarded.origin}/metrics", headers=headers) as answer:
        assert answer.status == 200
