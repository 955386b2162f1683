"""Messages to chats by HTTP: their effects, and which chats they reach."""

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from evibridge.engine.access import LOCAL, Access, parse_keys
from evibridge.engine.chat import dialogue
from evibridge.engine.chat.chat import MAX_UNSENT_BYTES, Chat
from evibridge.engine.chat.handshake import Handshake
from evibridge.engine.chat.messages import PauseAssistant
from evibridge.engine.chat.mirrors import Mirror
from evibridge.engine.control_plane import ControlPlane
from evibridge.engine.metrics import EngineMetrics
from evibridge.engine.minds.mind import Say
from evibridge.engine.server import TOKEN_PATH, Engine
from tests.engine.chat_client import PATIENCE_S, serving, types, words
from tests.engine.chat_parts import RuleMind
from tests.engine.control_plane_client import (
    TURN,
    Answer,
    begun,
    called,
    chatting,
    gone,
    post,
    send,
    shop,
    watching,
)
from tests.engine.stuck_socket import StuckSocket, quick_parts

KEYS = Access(parse_keys("key-1:secret-1,key-2"))
DONE = Answer(200, {})
NO_CHAT = Answer(404, {"message": "There is no such chat, or it has ended."})


# Effects


async def test_a_text_is_answered_as_if_the_client_had_typed_it() -> None:
    async with serving(shop()) as engine, chatting(engine, query="") as (chat, chat_id):
        assert await send(engine, chat_id, "user_input", text="Hello?") == DONE
        turn = await chat.until("assistant_end")

    assert types(turn) == TURN
    assert turn[0]["from_text"]
    assert words(turn) == ["You said Hello?"]


async def test_the_agent_says_what_it_is_given() -> None:
    async with serving(shop()) as engine, chatting(engine) as (chat, chat_id):
        assert await send(engine, chat_id, "assistant_input", text="Please hold on.") == DONE
        turn = await chat.until("assistant_end")

    assert types(turn) == TURN[1:]
    assert words(turn) == ["Please hold on."]


async def test_settings_are_changed_without_a_word_to_the_client() -> None:
    mind = shop()
    async with serving(mind) as engine, chatting(engine) as (chat, chat_id):
        changed = await send(
            engine,
            chat_id,
            "session_settings",
            system_prompt="Be brief.",
            language_model_api_key="sk-own",
        )
        await chat.send("user_input", text="Hello?")
        turn = await chat.until("assistant_end")

    assert changed == DONE
    assert types(turn) == TURN
    assert mind.prompts[-1].system_prompt == "Be brief."
    assert mind.prompts[-1].language_model_api_key == "sk-own"


async def test_the_agent_is_paused_and_resumed() -> None:
    async with serving(shop()) as engine, chatting(engine) as (chat, chat_id):
        assert await send(engine, chat_id, "pause_assistant_message") == DONE
        await chat.send("user_input", text="Hello?")
        said = await chat.next()
        await chat.send("tool_response", tool_call_id="none", content="")
        paused = await chat.next()
        assert await send(engine, chat_id, "resume_assistant_message") == DONE
        turn = await chat.until("assistant_end")

    assert types([said, paused]) == ["user_message", "tool_error"]
    assert words(turn) == ["You said Hello?"]


@pytest.mark.parametrize(
    ("answered", "told"),
    [
        ({"kind": "tool_response", "content": "It is here."}, "It is here."),
        ({"kind": "tool_error", "error": "timeout", "content": "Ask later."}, "Ask later."),
        ({"kind": "tool_error", "error": "timeout"}, "It failed."),
    ],
)
async def test_a_tool_is_answered(answered: dict[str, Any], told: str) -> None:
    async with serving(shop()) as engine, chatting(engine) as (chat, chat_id):
        call_id = await called(chat)
        assert await send(engine, chat_id, tool_call_id=call_id, **answered) == DONE
        turn = await chat.until("assistant_end")

    assert words(turn) == [told]


async def test_of_two_answers_of_a_tool_the_first_counts() -> None:
    mind = shop()
    async with serving(mind) as engine, chatting(engine) as (chat, chat_id):
        call_id = await called(chat)
        await chat.send("tool_response", tool_call_id=call_id, content="First.")
        turn = await chat.until("assistant_end")
        late = await send(engine, chat_id, "tool_response", tool_call_id=call_id, content="Late.")

        call_id = await called(chat)
        await send(engine, chat_id, "tool_response", tool_call_id=call_id, content="Second.")
        turn += await chat.until("assistant_end")
        await chat.send("tool_response", tool_call_id=call_id, content="Late.")
        await chat.send("user_input", text="Thanks.")
        rest = await chat.until("assistant_end")

    assert late == DONE
    assert words(turn) == ["First.", "Second."]
    assert "tool_error" not in types(rest)
    assert len(mind.outcomes) == 2


async def test_settings_of_others_do_not_begin_the_greeting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialogue, "GREETING_WAIT_S", 60.0)
    mind = RuleMind(lambda said: [Say(said)], greeting="Hello {name}.")
    async with serving(mind) as engine, chatting(engine) as (chat, chat_id):
        await send(engine, chat_id, "session_settings", language_model_api_key="sk-own")
        await chat.send("session_settings", variables={"name": "Ada"})
        greeting = await chat.until("assistant_end")

    assert words(greeting) == ["Hello Ada."]


async def test_a_message_of_others_is_no_sign_that_the_client_is_there() -> None:
    socket = StuckSocket()
    chat = Chat(quick_parts(), Handshake(), LOCAL, live={})
    chat.on_open(socket)
    received_s = chat._last_received_s

    chat.take(PauseAssistant(), Mirror(chat, EngineMetrics()))

    assert chat._last_received_s == received_s
    chat.on_close(1006, "")
    await asyncio.wait_for(chat.finished(), PATIENCE_S)


# Which chat


@pytest.mark.parametrize("root", ["/v0/evi/chat", "//v0/evi/chat"])
async def test_the_paths_are_those_of_chats(root: str) -> None:
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        assert await post(engine, chat_id, root=root) == DONE
        assert await post(engine, chat_id.upper(), root=root) == DONE


async def test_a_chat_that_is_unknown_or_over_cannot_be_told_anything() -> None:
    async with serving(shop()) as engine:
        async with chatting(engine) as (chat, chat_id):
            assert await post(engine, "2c3a8636-2dde-47f1-8f9e-cea27791fd2e") == NO_CHAT
            await chat.close()
        await gone(engine)
        assert await post(engine, chat_id) == NO_CHAT


async def test_a_chat_that_ends_while_the_message_comes_cannot_be_told_it() -> None:
    async with serving(shop()) as engine, chatting(engine) as (chat, chat_id):
        reader, writer = await begun(engine, chat_id, "Expect: 100-continue\r\n")
        async with asyncio.timeout(PATIENCE_S):
            assert b"100" in await reader.readline()  # the chat was found
            await chat.close()
            await gone(engine)
            writer.write(b'{"type": "pause_assistant_message"}')
            assert await reader.readline() == b"\r\n"
            assert b"404" in await reader.readline()
            writer.close()
            await writer.wait_closed()


async def test_a_chat_that_ends_of_the_message_has_not_been_told_it() -> None:
    live: dict[str, Chat] = {}
    socket = StuckSocket()
    chat = Chat(quick_parts(), Handshake(), LOCAL, live)
    chat.on_open(socket)
    socket.backlog = MAX_UNSENT_BYTES + 1
    app = web.Application()
    ControlPlane(["/v0/evi/chat"], live, Access(), EngineMetrics()).add_to(app)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        message = {"type": "user_input", "text": "Hello?"}
        url = server.make_url(f"/v0/evi/chat/{chat.id}/send")
        async with session.post(url, json=message) as response:
            assert (response.status, await response.json()) == (404, NO_CHAT.body)

    assert socket.aborted.is_set()
    chat.on_close(1006, "")
    await asyncio.wait_for(chat.finished(), PATIENCE_S)


async def test_a_chat_is_reached_by_who_could_have_opened_it_and_by_nobody_else() -> None:
    async with (
        serving(shop(), access=KEYS) as engine,
        chatting(engine, query="allow_connection=true&api_key=key-1") as (_, chat_id),
    ):
        token = await _token(engine)
        assert await post(engine, chat_id, **{"X-Hume-Api-Key": "key-1"}) == DONE
        assert await post(engine, chat_id, query="api_key=key-1") == DONE
        assert await post(engine, chat_id, query=f"access_token={token}") == DONE
        assert await post(engine, chat_id, Authorization=f"Bearer {token}") == DONE

        assert await post(engine, chat_id, query="api_key=key-2") == NO_CHAT
        for query in ("", "api_key=key-3", f"access_token={token[:-3]}"):
            assert (await post(engine, chat_id, query=query)).status == 401


async def _token(engine: Engine) -> str:
    headers = {"Authorization": aiohttp.encode_basic_auth("key-1", "secret-1")}
    form = {"grant_type": "client_credentials"}
    url = engine.origin + TOKEN_PATH
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, headers=headers, data=form) as response,
    ):
        token: str = (await response.json())["access_token"]
        return token


async def test_messages_and_mirrors_are_counted() -> None:
    metrics = EngineMetrics()
    async with serving(shop(), metrics=metrics) as engine, chatting(engine) as (chat, chat_id):
        await post(engine, chat_id)
        await post(engine, chat_id, "{}")
        async with watching(engine, chat_id) as mirror:
            await mirror.next()
            open_page = metrics.page().decode()
            await chat.close()
            await mirror.rest()
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with watching(engine, chat_id):
                pass
    page = metrics.page().decode()

    assert 'control_plane_messages_total{status="200"} 1.0' in page
    assert 'control_plane_messages_total{status="422"} 1.0' in page
    assert "evibridge_engine_mirrors 1.0" in open_page
    assert "evibridge_engine_mirrors 0.0" in page
    assert 'mirrors_closed_total{reason="chat_ended"} 1.0' in page
    assert 'mirrors_refused_total{status="404"} 1.0' in page
