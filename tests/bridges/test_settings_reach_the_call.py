"""What the owner sets is what a call is held to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from evibridge import Agent, ToolContext, Tools
from evibridge.agent import course
from evibridge.service import start_service
from tests.bridges.conftest import Scene, settings
from tests.parties import PATIENCE_S, TinyEvi

tools = Tools()


@tools.tool
async def parameters(call: ToolContext) -> dict[str, str]:
    """Tell what the stream was started with."""
    return dict(call.parameters)


@tools.tool
async def hang() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return ""


@asynccontextmanager
async def scene_with(
    evi: TinyEvi, http: aiohttp.ClientSession, **more: object
) -> AsyncIterator[Scene]:
    agent = Agent(system_prompt="Be brief.", tools=tools)
    service = await start_service(agent, settings(evi, **more))
    scene = Scene(evi, service, http)
    try:
        yield scene
    finally:
        for twilio in scene.calls:
            await twilio.close()
            await twilio.post("/twilio/call-status", CallStatus="completed")
        await service.close()


async def test_the_key_and_the_config_are_sent_where_they_belong(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    async with scene_with(evi, http, hume_api_key="s3cret", hume_config_id="c-1") as scene:
        _, chat = await scene.talk()

        assert chat.headers["X-Hume-Api-Key"] == "s3cret"
        assert chat.query["config_id"] == "c-1"
        assert "s3cret" not in str(chat.query)


async def test_custom_parameters_reach_the_tools_and_the_token_does_not(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    async with scene_with(evi, http) as scene:
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token, tenant="acme")
        chat = await evi.next_chat()
        await chat.open()
        await chat.call_tool("call_1", "parameters", "{}")

        assert (await chat.expect("tool_response"))["content"] == '{"tenant":"acme"}'


async def test_a_tool_without_a_deadline_of_its_own_has_that_of_the_settings(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    async with scene_with(evi, http, tool_seconds=0.05) as scene:
        _, chat = await scene.talk()
        await chat.call_tool("call_1", "hang", "{}")

        assert (await chat.expect("tool_error"))["code"] == "timeout"


async def test_a_call_ends_after_the_longest_time(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    async with scene_with(evi, http, max_call_seconds=0.2) as scene:
        twilio, chat = await scene.talk()

        assert await twilio.closed() == 1000
        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000


async def test_a_server_that_never_begins_the_chat_is_given_up(
    evi: TinyEvi, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course.CallLimits.__init__, "__defaults__", (0.2, 1800.0, 20.0))
    async with scene_with(evi, http) as scene:
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        chat = await evi.next_chat()

        assert await twilio.closed() == 1000
        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000


async def test_tools_that_run_are_cancelled_when_the_caller_leaves(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    async with scene_with(evi, http) as scene:
        twilio, chat = await scene.talk()
        await chat.call_tool("call_1", "hang", "{}")
        await twilio.hang_up()

        async with asyncio.timeout(PATIENCE_S):
            await chat.closed_with
            while scene.service.calls.get(twilio.call_sid) is not None:
                await twilio.post("/twilio/stream-status", StreamEvent="stream-stopped")


async def test_a_service_that_takes_no_calls_is_not_ready(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    async with scene_with(evi, http) as scene:
        async with http.get(f"{scene.service.origin}/readyz") as answer:
            before = answer.status
        await scene.service.calls.close()

        async with http.get(f"{scene.service.origin}/readyz") as answer:
            assert (before, answer.status) == (200, 503)
