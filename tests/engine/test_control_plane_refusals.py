"""Messages to chats by HTTP that cannot be obeyed."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from evibridge.engine import control_plane
from evibridge.engine.chat.agenda import MAX_WAITING
from evibridge.engine.chat.messages import MAX_CONTROL_BYTES
from evibridge.engine.chat.mistakes import MAX_IDENTICAL_FAULTS
from tests.engine.chat_client import AUDIO, PATIENCE_S, ChatClient, serving, types
from tests.engine.control_plane_client import (
    ORDER_STATUS,
    TURN,
    Answer,
    begun,
    chatting,
    post,
    send,
    shop,
)

DONE = Answer(200, {})


def settings(**members: Any) -> str:
    return json.dumps({"type": "session_settings", **members})


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        ("{}", ["type"], "literal_error"),
        ('{"type": "user_message"}', ["type"], "literal_error"),
        ('{"type": "audio_input", "data": "AAAA"}', ["type"], "value_error"),
        ('{"type": "user_input"}', ["text"], "missing"),
        ('{"type": "user_input", "text": 7}', ["text"], "string_type"),
        (settings(tools=[{"type": "function"}]), ["tools", 0, "name"], "missing"),
        (settings(audio={**AUDIO, "sample_rate": 1}), ["audio"], "value_error"),
        (settings(tools=[{**ORDER_STATUS, "name": "?"}]), [], "value_error"),
        (settings(variables=dict.fromkeys(map(str, range(300)), "")), ["variables"], "too_long"),
        (
            '{"type": "tool_response", "tool_call_id": "call_x", "content": ""}',
            ["tool_call_id"],
            "call_not_pending",
        ),
    ],
)
async def test_a_message_that_cannot_be_obeyed_is_422_and_no_matter_of_the_chat(
    body: str, loc: list[str | int], kind: str
) -> None:
    async with serving(shop()) as engine, chatting(engine) as (chat, chat_id):
        for _ in range(MAX_IDENTICAL_FAULTS):
            refused = await post(engine, chat_id, body)
        await chat.send("user_input", text="Hello?")
        turn = await chat.until("assistant_end")

    (detail,) = refused.body["detail"]
    assert refused.status == 422
    assert (detail["loc"], detail["type"]) == (["body", *loc], kind)
    assert detail["msg"]
    assert types(turn) == TURN


@pytest.mark.parametrize("body", ["", "[]", '"pause_assistant_message"', "{", "\xff"])
async def test_what_is_no_json_object_is_400(body: str) -> None:
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        refused = await post(engine, chat_id, body)

    assert (refused.status, refused.body["code"]) == (400, "E0100")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_what_is_not_called_json_is_415(content_type: str) -> None:
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        refused = await post(engine, chat_id, content_type=content_type)

    assert refused.status == 415
    assert "application/json" in refused.body["message"]


async def test_a_message_that_is_packed_is_415_and_counted() -> None:
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        refused = await post(engine, chat_id, **{"Content-Encoding": "gzip"})
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{engine.origin}/metrics") as page,
        ):
            metrics = await page.text()

    assert refused.status == 415
    assert "Content-Encoding" in refused.body["message"]
    assert 'control_plane_messages_total{status="415"} 1.0' in metrics


async def test_a_message_of_more_than_a_mebibyte_is_413() -> None:
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        refused = await post(engine, chat_id, " " * (MAX_CONTROL_BYTES + 1))

    assert refused.status == 413


async def test_a_message_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(control_plane, "BODY_TIMEOUT_S", 0.01)
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        reader, writer = await begun(engine, chat_id)
        refused = await asyncio.wait_for(reader.readline(), PATIENCE_S)
        writer.close()
        await writer.wait_closed()

    assert b"408" in refused


async def test_too_many_texts_that_wait_are_429() -> None:
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        await send(engine, chat_id, "pause_assistant_message")
        for _ in range(MAX_WAITING):
            assert await send(engine, chat_id, "assistant_input", text="Hold on.") == DONE
        full = await send(engine, chat_id, "assistant_input", text="Hold on.")

    assert full.status == 429


@pytest.mark.parametrize("path", ["/v0/evi/chat/", "//v0/evi/chat/"])
async def test_a_mirror_without_an_id_is_told_what_is_missing(path: str) -> None:
    async with serving(shop()) as engine, aiohttp.ClientSession() as session:
        async with session.get(f"{engine.origin}{path}") as response:
            assert response.status == 404
            assert "/v0/evi/chat/{chat_id}/connect" in (await response.json())["message"]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with ChatClient.connect(engine, path=path):
                pass
        assert refusal.value.status == 404


@pytest.mark.parametrize(("method", "action"), [("GET", "send"), ("POST", "connect")])
async def test_other_methods_are_not_allowed(method: str, action: str) -> None:
    async with serving(shop()) as engine, chatting(engine) as (_, chat_id):
        url = f"{engine.origin}/v0/evi/chat/{chat_id}/{action}"
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            assert response.status == 405
