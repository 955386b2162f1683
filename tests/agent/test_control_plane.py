import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from evibridge.agent import control_plane
from evibridge.agent import evi_messages as evi
from evibridge.agent.commands import Via
from evibridge.agent.control_plane import (
    MAX_ANSWER_BYTES,
    MAX_CONNECTIONS,
    ControlPlane,
    DeliveryUnknown,
)
from evibridge.agent.evi_codec import encode
from evibridge.errors import LinkRefused, LinkUnreachable
from tests.agent.mirrored_evi import API_KEY, Fault, MirroredEvi, RealChat, mirrored_evi
from tests.parties import PATIENCE_S

HELLO = evi.AssistantInput("Hello.")


@pytest.fixture
async def server() -> AsyncIterator[MirroredEvi]:
    async with mirrored_evi() as server:
        yield server


@pytest.fixture
async def chat(server: MirroredEvi) -> RealChat:
    return await server.chat()


@asynccontextmanager
async def at(origin: str, api_key: str | None = API_KEY) -> AsyncIterator[ControlPlane]:
    plane = ControlPlane(origin, api_key)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield plane
    finally:
        await plane.close()


@pytest.fixture
async def plane(server: MirroredEvi) -> AsyncIterator[ControlPlane]:
    async with at(server.origin) as plane:
        yield plane


@pytest.mark.parametrize(
    "message",
    [
        evi.SessionSettings(variables={"name": "Ada"}, context=evi.Clear.CLEAR),
        evi.UserInput("Hello?"),
        HELLO,
        evi.ToolResponse("call_1", "found", tool_name="look"),
        evi.ToolError("call_1", error="not found", level="warn"),
        evi.PauseAssistant(),
        evi.ResumeAssistant(),
    ],
)
async def test_a_message_reaches_the_chat(
    plane: ControlPlane, chat: RealChat, message: evi.ClientMessage
) -> None:
    await plane.send(chat.chat_id, message)

    via, told = await chat.expect(message.type)
    assert via is Via.CONTROL_PLANE
    assert told == json.loads(encode(message))


async def test_one_connection_serves_many_messages(
    plane: ControlPlane, server: MirroredEvi, chat: RealChat
) -> None:
    for body in (b"{}", b"", b"[]"):
        server.answer_body = body
        await plane.send(chat.chat_id, HELLO)

    assert (server.sent, len(server.ports)) == (3, 1)


async def test_messages_of_many_calls_share_a_few_connections(
    plane: ControlPlane, server: MirroredEvi, chat: RealChat
) -> None:
    server.goes_on.clear()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2 * MAX_CONNECTIONS):
            tasks.create_task(plane.send(chat.chat_id, HELLO))
        await server.holds(MAX_CONNECTIONS)
        server.goes_on.set()

    assert server.sent == 2 * MAX_CONNECTIONS
    assert server.at_once == MAX_CONNECTIONS


async def test_a_server_may_want_no_key(server: MirroredEvi, chat: RealChat) -> None:
    server.api_key = None
    async with at(server.origin, None) as plane:
        await plane.send(chat.chat_id, HELLO)

    assert server.sent == 1


async def test_a_long_answer_is_not_waited_for(
    plane: ControlPlane, server: MirroredEvi, chat: RealChat
) -> None:
    server.answer_body = bytes(100 * MAX_ANSWER_BYTES)
    for _ in range(2):
        await plane.send(chat.chat_id, HELLO)

    assert server.sent == 2


@pytest.mark.parametrize("status", [307, 400, 401, 422, 429, 500, 503])
async def test_a_refusal_tells_that_nothing_was_delivered(
    plane: ControlPlane, server: MirroredEvi, chat: RealChat, status: int
) -> None:
    server.send_answers = status
    with pytest.raises(LinkRefused) as refusal:
        await plane.send(chat.chat_id, HELLO)
    assert refusal.value.status == status
    assert API_KEY not in str(refusal.value)

    server.send_answers = 200  # a server that answers is asked again at once
    await plane.send(chat.chat_id, HELLO)


async def test_a_chat_that_is_over_is_not_found(plane: ControlPlane, server: MirroredEvi) -> None:
    chat = await server.chat()
    await server.end(chat)

    with pytest.raises(LinkRefused) as refusal:
        await plane.send(chat.chat_id, HELLO)
    assert refusal.value.status == 404


async def test_an_id_cannot_lead_elsewhere(plane: ControlPlane) -> None:
    with pytest.raises(LinkRefused) as refusal:
        await plane.send("../../elsewhere?x=", HELLO)

    assert refusal.value.status == 404
    assert "%2F" in str(refusal.value)


async def test_a_server_that_is_not_there_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with mirrored_evi() as server:
        origin = server.origin
    async with at(origin) as plane:
        with pytest.raises(LinkUnreachable):
            await plane.send("chat-1", HELLO)
        async with mirrored_evi(urlsplit(origin).port or 0) as server:
            chat = await server.chat()
            with pytest.raises(LinkUnreachable, match="a moment ago"):
                await plane.send(chat.chat_id, HELLO)
            assert server.sent == 0

    monkeypatch.setattr(control_plane, "NOT_ASKED_FOR_S", 0.0)
    async with at(origin) as plane:
        with pytest.raises(LinkUnreachable):
            await plane.send("chat-1", HELLO)
        async with mirrored_evi(urlsplit(origin).port or 0) as server:
            chat = await server.chat()
            await plane.send(chat.chat_id, HELLO)


@pytest.mark.parametrize("fault", ["silence", "disconnect", 504])
async def test_without_an_answer_nobody_knows(
    monkeypatch: pytest.MonkeyPatch,
    server: MirroredEvi,
    chat: RealChat,
    fault: Fault | int,
) -> None:
    monkeypatch.setattr(control_plane, "ANSWER_TIMEOUT_S", 0.1)
    monkeypatch.setattr(control_plane, "CONNECT_TIMEOUT_S", 0.1)
    server.send_answers = fault
    async with at(server.origin) as plane:
        with pytest.raises(DeliveryUnknown):
            await plane.send(chat.chat_id, HELLO)


async def test_a_server_that_is_silent_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch, server: MirroredEvi, chat: RealChat
) -> None:
    monkeypatch.setattr(control_plane, "ANSWER_TIMEOUT_S", 0.1)
    monkeypatch.setattr(control_plane, "CONNECT_TIMEOUT_S", 0.1)
    server.send_answers = "silence"
    async with at(server.origin) as plane:
        with pytest.raises(DeliveryUnknown):
            await plane.send(chat.chat_id, HELLO)
        with pytest.raises(LinkUnreachable, match="a moment ago"):
            await plane.send(chat.chat_id, HELLO)
        assert server.sent == 1

        server.send_answers = 200
        await plane.send(chat.chat_id, HELLO, is_only_way=True)
        await plane.send(chat.chat_id, HELLO)

    assert server.sent == 3


async def test_a_connection_that_broke_is_no_reason_to_wait(
    plane: ControlPlane, server: MirroredEvi, chat: RealChat
) -> None:
    server.send_answers = "disconnect"
    with pytest.raises(DeliveryUnknown):
        await plane.send(chat.chat_id, HELLO)

    server.send_answers = 200
    await plane.send(chat.chat_id, HELLO)


async def test_a_key_that_cannot_be_sent_is_not_sent(server: MirroredEvi) -> None:
    async with at(server.origin, "two\nlines") as plane:
        with pytest.raises(LinkUnreachable, match="key") as refusal:
            await plane.send("chat-1", HELLO)
    assert "two" not in str(refusal.value)
    assert server.sent == 0


async def test_nothing_is_sent_when_the_service_ends(
    plane: ControlPlane, server: MirroredEvi, chat: RealChat
) -> None:
    await plane.close()

    with pytest.raises(LinkUnreachable, match="about to end"):
        await plane.send(chat.chat_id, HELLO)
    assert server.sent == 0


async def test_what_is_being_sent_when_the_service_ends_may_have_arrived(
    plane: ControlPlane, server: MirroredEvi, chat: RealChat
) -> None:
    server.goes_on.clear()
    sending = asyncio.create_task(plane.send(chat.chat_id, HELLO))
    await server.holds(1)
    await plane.close()

    with pytest.raises(DeliveryUnknown):
        await sending
