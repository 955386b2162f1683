from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from evibridge import create_app, events
from evibridge.service import start_service
from evibridge.settings import Settings
from tests.bridges.conftest import AGENT, Scene, settings
from tests.parties import TinyEvi, TinyTwilio

pytestmark = pytest.mark.usefixtures("logging_is_undone")


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


async def test_whoever_watches_calls_and_fails_does_not_end_them(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    told: list[events.CallEvent] = []

    def fail(_: str, event: events.CallEvent) -> None:
        told.append(event)
        raise BrokenPipeError

    service = await start_service(AGENT, settings(evi), on_event=fail)
    scene = Scene(evi, service, http)
    try:
        twilio, chat = await scene.talk()
        await chat.say("a", "Good day.", ms=100)
        await twilio.expect("media")
    finally:
        await scene.calls[0].close()
        await service.close()

    assert [type(event) for event in told[:2]] == [events.CallBegan, events.ChatOpened]
    assert isinstance(told[-1], events.CallEnded)


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
        "/metrics",
    }


async def test_the_embedded_engine_is_the_one_that_the_settings_describe(tmp_path: Path) -> None:
    path = tmp_path / "engine.yaml"
    path.write_text(
        "ears: {kind: openai, base_url: 'http://127.0.0.1:1/v1', model: listener}\n"
        "voice: {kind: openai, base_url: 'http://127.0.0.1:1/v1', model: speaker, voice: v}\n"
    )
    embedded = Settings(
        _env_file=None, port=0, model="thinker", openai_base_url="http://127.0.0.1:1/v1",
        engine_config=path,
    )  # type: ignore[call-arg]  # fmt: skip

    with capture_logs() as logs:
        service = await start_service(AGENT, embedded)
        await service.close()

    (started,) = (line for line in logs if line["event"] == "embedded_engine_started")
    assert started["mind"] == "thinker at http://127.0.0.1:1/v1"
    assert started["ears"] == "listener at http://127.0.0.1:1/v1"
    assert started["voice"] == "speaker (v) at http://127.0.0.1:1/v1"
