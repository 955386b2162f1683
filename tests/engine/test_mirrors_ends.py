"""Mirrors of chats: who gets one, and how they end."""

import asyncio

import aiohttp
import pytest

from evibridge.engine.access import Access, parse_keys
from evibridge.engine.chat import mirrors
from evibridge.engine.chat.chat import Chat
from evibridge.engine.chat.handshake import Handshake
from evibridge.engine.chat.mirrors import MAX_MIRROR_BACKLOG_BYTES, Mirror
from evibridge.engine.metrics import EngineMetrics
from evibridge.engine.server import Engine
from tests.engine.chat_client import (
    PATIENCE_S,
    serving,
    types,
)
from tests.engine.control_plane_client import (
    TURN,
    chatting,
    gone,
    shop,
    turn_of,
    watching,
)
from tests.engine.stuck_socket import StuckSocket, quick_parts

# Who gets a mirror


async def refusal_of(engine: Engine, chat_id: str, query: str = "") -> int:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        async with watching(engine, chat_id, query=query):
            pass
    return refusal.value.status


@pytest.mark.parametrize("query", ["", "allow_connection=false"])
async def test_a_chat_has_to_allow_mirrors(query: str) -> None:
    async with serving(shop()) as engine, chatting(engine, query=query) as (_, chat_id):
        assert await refusal_of(engine, chat_id) == 403


async def test_a_chat_that_is_unknown_or_over_has_no_mirrors() -> None:
    async with serving(shop()) as engine:
        async with chatting(engine) as (_, chat_id):
            assert await refusal_of(engine, "2c3a8636-2dde-47f1-8f9e-cea27791fd2e") == 404
        await gone(engine)
        assert await refusal_of(engine, chat_id) == 404


async def test_a_chat_is_watched_by_who_could_have_opened_it_and_by_nobody_else() -> None:
    keys = Access(parse_keys("key-1,key-2"))
    async with (
        serving(shop(), access=keys) as engine,
        chatting(engine, query="allow_connection=true&api_key=key-1") as (_, chat_id),
    ):
        assert await refusal_of(engine, chat_id) == 401
        assert await refusal_of(engine, chat_id, "api_key=key-3") == 401
        assert await refusal_of(engine, chat_id, "api_key=key-2") == 404
        async with watching(engine, chat_id, **{"X-Hume-Api-Key": "key-1"}) as mirror:
            assert (await mirror.next())["type"] == "chat_metadata"


async def test_a_chat_has_so_many_mirrors_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "MAX_MIRRORS", 1)
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        async with watching(engine, chat_id) as mirror:
            await mirror.next()
            assert await refusal_of(engine, chat_id) == 429
        async with watching(engine, chat_id) as mirror:
            assert (await mirror.next())["type"] == "chat_metadata"


# Ends


async def test_mirrors_are_closed_when_the_agent_hangs_up() -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        await chat.send("user_input", text="bye")
        heard = await chat.rest()
        assert (await mirror.rest())[1:] == heard
        assert mirror.close_code == 1000


async def test_mirrors_are_closed_when_the_client_leaves() -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        chat.cut()
        assert types(await mirror.rest()) == ["chat_metadata"]
        assert mirror.close_code == 1000


async def test_mirrors_are_closed_when_the_engine_ends() -> None:
    async with (
        serving(shop()) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id) as mirror,
    ):
        await asyncio.gather(engine.close(), chat.rest(), mirror.rest())
        assert (chat.close_code, mirror.close_code) == (1001, 1000)


async def test_a_mirror_that_comes_as_the_chat_ends_is_told_what_was_and_closed() -> None:
    chat, socket = Chat(quick_parts(), Handshake(allow_connection=True), "ada", {}), StuckSocket()
    chat.on_open(StuckSocket())
    chat.on_close(1000, "")

    Mirror(chat, EngineMetrics()).on_open(socket)

    assert (socket.sent, socket.closed_with) == (["chat_metadata"], 1000)
    await asyncio.wait_for(chat.finished(), PATIENCE_S)


async def test_a_mirror_that_takes_nothing_is_cut_and_told_no_more() -> None:
    metrics, socket = EngineMetrics(), StuckSocket()
    chat = Chat(quick_parts(), Handshake(allow_connection=True), "ada", {})
    chat.on_open(StuckSocket())
    mirror = Mirror(chat, metrics)
    mirror.on_open(socket)
    socket.backlog = MAX_MIRROR_BACKLOG_BYTES + 1
    chat.on_text(b'{"type": "session_settings"}')
    assert socket.aborted.is_set()

    socket.backlog = 0
    chat.on_text(b'{"type": "session_settings"}')
    chat.end(1000, "", why="hang_up")
    mirror.on_close(1006, "")
    assert (socket.sent, socket.closed_with) == (["chat_metadata"], None)
    assert 'mirrors_closed_total{reason="reader_too_slow"} 1.0' in metrics.page().decode()
    chat.on_close(1006, "")
    await asyncio.wait_for(chat.finished(), PATIENCE_S)


async def test_a_slow_mirror_holds_up_neither_the_chat_nor_other_mirrors() -> None:
    metrics = EngineMetrics()
    prompt = "x" * 1_000_000
    async with (
        serving(shop(), metrics=metrics) as engine,
        chatting(engine) as (chat, chat_id),
        watching(engine, chat_id),
        watching(engine, chat_id) as quick,
    ):
        sent = 0
        async with asyncio.timeout(PATIENCE_S):
            while 'mirrors_closed_total{reason="reader_too_slow"} 0.0' in metrics.page().decode():
                await chat.send("session_settings", system_prompt=prompt)
                await quick.until("session_settings")
                sent += 1
        turn = await turn_of(chat, "Hello?")
        assert await quick.until("assistant_end") == turn

    assert sent * len(prompt) > MAX_MIRROR_BACKLOG_BYTES
    assert types(turn) == TURN
