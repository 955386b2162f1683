import asyncio

import aiohttp
import pytest

from evibridge.engine.metrics import EngineMetrics
from evibridge.engine.minds.mind import HangUp, Say
from evibridge.engine.server import Engine
from tests.engine.chat_client import PATIENCE_S, ChatClient, serving, words
from tests.engine.chat_parts import RuleMind

FOR_EVER_S = 3600.0


def farewell() -> RuleMind:
    return RuleMind(lambda _: [Say("Goodbye."), HangUp()])


async def begin_to_drain(engine: Engine, timeout_s: float) -> "asyncio.Task[None]":
    draining = asyncio.create_task(engine.drain(timeout_s))
    await asyncio.sleep(0)  # it begins to wait for the chats
    return draining


async def ready(engine: Engine) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{engine.origin}/readyz") as answer,
    ):
        return answer.status, await answer.text()


async def test_chats_go_on_to_their_own_end() -> None:
    async with serving(farewell()) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        draining = await begin_to_drain(engine, FOR_EVER_S)

        await chat.send("user_input", text="That is all.")
        heard = await chat.rest()

        await asyncio.wait_for(draining, PATIENCE_S)
        assert words(heard) == ["Goodbye."]
        assert chat.close_code == 1000


async def test_no_new_chat_is_taken() -> None:
    async with serving(farewell()) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        draining = await begin_to_drain(engine, FOR_EVER_S)

        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with ChatClient.connect(engine):
                pass
        status, sentence = await ready(engine)

        assert refusal.value.status == 503
        assert (status, sentence) == (503, "The engine is shutting down.")
        assert not draining.done()
        await chat.close()
        await asyncio.wait_for(draining, PATIENCE_S)


async def test_an_engine_without_chats_has_nothing_to_wait_for() -> None:
    async with serving(farewell()) as engine:
        await asyncio.wait_for(engine.drain(FOR_EVER_S), PATIENCE_S)

        assert (await ready(engine))[0] == 503


async def test_chats_are_closed_with_1001_at_the_deadline() -> None:
    metrics = EngineMetrics()
    async with (
        serving(farewell(), metrics=metrics) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.until("chat_metadata")
        draining = await begin_to_drain(engine, 0.01)

        assert await chat.rest() == []
        await asyncio.wait_for(draining, PATIENCE_S)

        assert chat.close_code == 1001
    ended = 'evibridge_engine_chats_ended_total{reason="engine_closed"} 1.0'
    assert ended in metrics.page().decode()


async def test_a_drain_that_is_broken_off_can_be_followed_by_a_close() -> None:
    async with serving(farewell()) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        draining = await begin_to_drain(engine, FOR_EVER_S)
        draining.cancel()
        await asyncio.wait([draining])

        closing = asyncio.create_task(engine.close())
        await chat.rest()
        await asyncio.wait_for(closing, PATIENCE_S)

        assert draining.cancelled()
        assert chat.close_code == 1001
