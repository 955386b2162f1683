"""Through Hume's own SDK: messages to chats by HTTP, and mirrors by its own socket class."""

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

import httpx
import pytest
import websockets
from hume import AsyncHumeClient
from hume.core.api_error import ApiError
from hume.empathic_voice import (
    AssistantEnd,
    AssistantInput,
    AudioInput,
    ChatMetadata,
    ControlPlanePublishEvent,
    PauseAssistantMessage,
    ResumeAssistantMessage,
    SessionSettings,
    SubscribeEvent,
    Tool,
    ToolCallMessage,
    ToolErrorMessage,
    ToolResponseMessage,
    UserInput,
    WebSocketError,
)
from hume.empathic_voice.errors.unprocessable_entity_error import UnprocessableEntityError
from hume.environment import HumeClientEnvironment

from evibridge.engine.access import Access, parse_keys
from evibridge.engine.server import Engine
from tests.engine.chat_client import PATIENCE_S, serving
from tests.engine.control_plane_client import TURN, shop
from tests.engine.hume_client import ChatSocket, connected, kinds, next_of, receive, until, words

with warnings.catch_warnings():
    # As with chats: the deprecated half of the websockets package.
    warnings.simplefilter("ignore", DeprecationWarning)
    import_module("hume.empathic_voice.control_plane.client")
    from hume.empathic_voice.control_plane.socket_client import AsyncControlPlaneSocketClient

ORDER_STATUS = Tool(type="function", name="order_status", parameters="{}")
Send = Callable[[str, ControlPlanePublishEvent], Awaitable[None]]


@asynccontextmanager
async def sending(engine: Engine, key: str = "any") -> AsyncIterator[Send]:
    """The SDK's way to send a message to the chat of this id."""
    async with httpx.AsyncClient() as http:
        client = AsyncHumeClient(api_key=key, base_url=engine.origin, httpx_client=http)

        async def send(chat_id: str, message: ControlPlanePublishEvent) -> None:
            await client.empathic_voice.control_plane.send(chat_id, request=message)

        yield send


@asynccontextmanager
async def watched(engine: Engine) -> AsyncIterator[tuple[ChatSocket, str]]:
    """Open a chat that allows mirrors; yields it, its metadata read, and its id."""
    async with connected(engine, allow_connection=True) as chat:
        metadata = await receive(chat)
        assert isinstance(metadata, ChatMetadata)
        yield chat, metadata.chat_id


def mirror_url(engine: Engine, chat_id: str) -> str:
    return f"{engine.origin.replace('http:', 'ws:')}/v0/evi/chat/{chat_id}/connect"


@asynccontextmanager
async def watching(engine: Engine, chat_id: str) -> AsyncIterator[AsyncControlPlaneSocketClient]:
    """Open a mirror at the right address, which the SDK's own `connect` does not know."""
    headers = {"X-Hume-Api-Key": "any"}
    url = mirror_url(engine, chat_id)
    async with websockets.connect(url, additional_headers=headers) as socket:
        old_or_new: Any = socket  # the SDK names the class of the deprecated half
        yield AsyncControlPlaneSocketClient(websocket=old_or_new)


async def seen(mirror: AsyncControlPlaneSocketClient, kind: type) -> list[SubscribeEvent]:
    """All messages up to and including the next of a type."""
    async with asyncio.timeout(PATIENCE_S):
        events = [await mirror.recv()]
        while not isinstance(events[-1], kind):
            events.append(await mirror.recv())
    return events


def result(call_id: str) -> ToolResponseMessage:
    return ToolResponseMessage(tool_call_id=call_id, content="It is here.")


def failure(call_id: str) -> ToolErrorMessage:
    return ToolErrorMessage(tool_call_id=call_id, error="timeout", content="Ask later.")


async def test_every_message_of_the_control_plane_has_its_effect() -> None:
    mind = shop()
    async with (
        serving(mind) as engine,
        watched(engine) as (chat, chat_id),
        sending(engine) as send,
    ):
        await send(chat_id, SessionSettings(system_prompt="Be brief.", tools=[ORDER_STATUS]))
        await send(chat_id, UserInput(text="Hello?"))
        turn = await until(chat, AssistantEnd)
        await send(chat_id, AssistantInput(text="Please hold on."))
        said = words(await until(chat, AssistantEnd))
        for reply in (result, failure):
            await send(chat_id, UserInput(text="Where is my order?"))
            call = await next_of(chat, ToolCallMessage)
            await send(chat_id, reply(call.tool_call_id))
            said += words(await until(chat, AssistantEnd))
        await send(chat_id, PauseAssistantMessage())
        await send(chat_id, UserInput(text="And now?"))
        await send(chat_id, ResumeAssistantMessage())
        said += words(await until(chat, AssistantEnd))

    assert kinds(turn) == TURN
    assert said == ["Please hold on.", "It is here.", "Ask later.", "You said And now?"]
    assert mind.prompts[-1].system_prompt == "Be brief."


async def test_a_message_that_cannot_be_obeyed_is_an_error_that_says_why() -> None:
    async with (
        serving(shop()) as engine,
        watched(engine) as (_, chat_id),
        sending(engine) as send,
    ):
        with pytest.raises(UnprocessableEntityError) as invalid:
            await send(chat_id, result("call_x"))

    (detail,) = invalid.value.body.detail
    assert detail.loc == ["body", "tool_call_id"]
    assert detail.type == "call_not_pending"


async def test_who_may_not_reach_a_chat_gets_an_api_error() -> None:
    access = Access(parse_keys("right,other"))
    async with serving(shop(), access=access) as engine, connected(engine, key="right") as chat:
        metadata = await receive(chat)
        assert isinstance(metadata, ChatMetadata)
        for key, status in (("wrong", 401), ("other", 404)):
            async with sending(engine, key) as send:
                with pytest.raises(ApiError) as refused:
                    await send(metadata.chat_id, UserInput(text="Hello?"))
            assert refused.value.status_code == status


async def test_a_mirror_sees_the_chat_and_takes_part_in_it() -> None:
    mind = shop()
    async with serving(mind) as engine, watched(engine) as (chat, chat_id):
        await chat.send_publish(UserInput(text="Hello?"))
        await until(chat, AssistantEnd)
        async with watching(engine, chat_id) as mirror:
            history = await seen(mirror, AssistantEnd)
            await mirror.send_publish(SessionSettings(tools=[ORDER_STATUS]))
            await mirror.send_publish(UserInput(text="Where is my order?"))
            (*_, call) = live = await seen(mirror, ToolCallMessage)
            assert isinstance(call, ToolCallMessage)
            await mirror.send_publish(result(call.tool_call_id))
            live += await seen(mirror, AssistantEnd)
            turn = await until(chat, AssistantEnd)
            await mirror._send_model(AudioInput(data="AAAA"))
            refused = (await seen(mirror, WebSocketError))[-1]
            await chat._websocket.close()
            async with asyncio.timeout(PATIENCE_S):
                assert [event async for event in mirror] == []
            assert mirror._websocket.close_code == 1000

    assert kinds(history) == [
        "chat_metadata",
        "user_message",
        "assistant_message",
        "assistant_end",
    ]
    assert [kind for kind in kinds(live) if kind not in ("session_settings", "tool_response")] == (
        kinds(turn)
    )
    assert {"session_settings", "tool_response"} < set(kinds(live))
    assert isinstance(refused, WebSocketError)
    assert refused.code == "E0101"


async def test_the_sdks_own_connect_is_refused_unless_it_is_led_to_the_right_address() -> None:
    async with serving(shop()) as engine, watched(engine) as (_, chat_id):
        client = AsyncHumeClient(api_key="any", base_url=engine.origin)
        with pytest.raises(ApiError) as refused:
            async with client.empathic_voice.control_plane.connect(chat_id):
                pass
        assert refused.value.status_code == 404

        led = HumeClientEnvironment(
            base="http://unused", evi=f"{mirror_url(engine, chat_id)}?_=", tts="", stream=""
        )
        client = AsyncHumeClient(api_key="any", environment=led)
        async with client.empathic_voice.control_plane.connect(chat_id) as mirror:
            assert kinds(await seen(mirror, ChatMetadata)) == ["chat_metadata"]
