from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from evibridge import create_app
from tests.bridges.conftest import AGENT, settings
from tests.parties import TinyEvi, TinyTwilio, tiny_evi

pytestmark = pytest.mark.usefixtures("logging_is_undone")


@pytest.fixture
async def evi() -> AsyncIterator[TinyEvi]:
    async with tiny_evi() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_the_service_runs_inside_somebody_elses_server(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    runner = web.AppRunner(create_app(AGENT, settings(evi)))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    origin = "http://{}:{}".format(*runner.addresses[0][:2])
    twilio = TinyTwilio(origin, http)
    try:
        async with http.get(f"{origin}/readyz") as ready:
            assert ready.status == 200
        async with http.get(f"{origin}/healthz") as healthy:
            assert await healthy.json() == {"status": "ok"}
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        chat = await evi.next_chat()
        await chat.open()
        await chat.expect("session_settings")
        await chat.say("a", "Good day.", ms=100)
        await twilio.expect("media")
    finally:
        await twilio.close()
        await runner.cleanup()


async def test_the_routes_that_carriers_and_probes_rely_on_are_there(evi: TinyEvi) -> None:
    app = create_app(AGENT, settings(evi))

    assert {resource.canonical for resource in app.router.resources()} >= {
        "/twilio/voice",
        "/twilio/media",
        "/twilio/stream-ended",
        "/twilio/stream-status",
        "/twilio/call-status",
        "/healthz",
        "/readyz",
    }
