"""Hume's own SDK opens chats, is refused, is told of its mistakes, and leaves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from hume import AsyncHumeClient, HumeClient
from hume.core.api_error import ApiError
from hume.core.events import EventType
from hume.empathic_voice import (
    AssistantEnd,
    ChatMetadata,
    ConnectSessionSettings,
    SessionSettings,
    UserInput,
    UserMessage,
    WebSocketError,
)
from websockets.exceptions import ConnectionClosedError

from evibridge.engine.access import Access, parse_keys
from evibridge.engine.chat.mistakes import MAX_IDENTICAL_FAULTS
from evibridge.engine.minds.mind import HangUp, Say
from evibridge.engine.server import TOKEN_PATH
from tests.engine.chat_client import AUDIO, PATIENCE_S, serving
from tests.engine.chat_parts import RuleMind, Steps, ToneVoice
from tests.engine.hume_client import (
    chatting,
    close_code,
    connected,
    kinds,
    next_of,
    receive,
    rest,
    until,
    words,
)

CONFIG_ID = "1b60e1a0-cc59-424a-8d2c-189d354db3f3"
SETTINGS = {
    "audio": {**AUDIO},
    "context": {"text": "Verified.", "type": "persistent"},
    "custom_session_id": "call-4711",
    "event_limit": 20,
    "language_model_api_key": "sk-own",
    "system_prompt": "Greet {{name}} & be brief; 100%.",
    "variables": {"name": "Ada Lovelace", "age": 3, "height": 1.5, "vip": True},
    "voice_id": "Ava Song",
}


def echo(said: str) -> Steps:
    return [Say(f"You said {said}")]


# Opening


@pytest.mark.parametrize(("settings", "age"), [(dict, "3"), (ConnectSessionSettings, "3.0")])
async def test_every_argument_of_connect_is_understood(
    settings: Callable[..., Any], age: str
) -> None:
    mind, voice = RuleMind(echo), ToneVoice(200)
    async with (
        serving(mind, voice=voice, access=Access(parse_keys("right"))) as engine,
        connected(
            engine,
            key="right",
            api_key="right",
            allow_connection=True,
            config_id=CONFIG_ID,
            config_version=3,
            event_limit=50,
            verbose_transcription=True,
            session_settings=settings(**SETTINGS),
        ) as chat,
    ):
        assert isinstance(await receive(chat), ChatMetadata)
        await chat.send_publish(UserInput(text="Hello?"))
        turn = await until(chat, AssistantEnd)

    (prompt,) = mind.prompts[-1:]
    assert prompt.variables == {"name": "Ada Lovelace", "age": age, "height": "1.5", "vip": "true"}
    assert prompt.instructions() == "Greet Ada Lovelace & be brief; 100%."
    assert prompt.context == "Verified."
    assert prompt.language_model_api_key == "sk-own"
    assert prompt.custom_session_id == "call-4711"
    assert voice.voices == ["Ava Song"]
    assert {event.model_dump()["custom_session_id"] for event in turn} == {"call-4711"}


async def test_settings_that_are_none_count_as_not_given() -> None:
    mind = RuleMind(echo)
    settings = {"audio": {**AUDIO}, **dict.fromkeys(SETTINGS.keys() - {"audio"})}
    async with serving(mind) as engine, chatting(engine, session_settings=settings) as chat:
        await chat.send_publish(UserInput(text="Hello?"))
        assert words(await until(chat, AssistantEnd)) == ["You said Hello?"]

    prompt = mind.prompts[-1]
    assert (prompt.system_prompt, prompt.context, prompt.variables) == (None, None, {})


async def test_a_chat_opens_with_its_metadata_alone() -> None:
    async with serving(RuleMind(echo)) as engine, connected(engine) as chat:
        metadata = await receive(chat)
        assert isinstance(metadata, ChatMetadata)
        assert len({metadata.chat_id, metadata.chat_group_id, metadata.request_id}) == 3


async def test_an_origin_with_a_trailing_slash_will_do() -> None:
    async with serving(RuleMind(echo)) as engine:
        client = AsyncHumeClient(api_key="any", base_url=f"{engine.origin}/")
        async with client.empathic_voice.chat.connect() as chat:
            assert isinstance(await receive(chat), ChatMetadata)


# Credentials


async def test_a_wrong_key_is_an_api_error() -> None:
    async with serving(RuleMind(echo), access=Access(parse_keys("right"))) as engine:
        for key in ("wrong", None):
            with pytest.raises(ApiError) as refusal:
                async with connected(engine, key=key):
                    pass
            assert refusal.value.status_code == 401

        async with connected(engine, key="right") as chat:
            assert isinstance(await receive(chat), ChatMetadata)


async def test_a_key_in_the_query_alone_opens_a_chat() -> None:
    async with (
        serving(RuleMind(echo), access=Access(parse_keys("right"))) as engine,
        connected(engine, key=None, api_key="right") as chat,
    ):
        assert isinstance(await receive(chat), ChatMetadata)


async def test_a_token_that_was_fetched_opens_a_chat() -> None:
    async with serving(RuleMind(echo), access=Access(parse_keys("key:secret"))) as engine:
        headers = {"Authorization": aiohttp.encode_basic_auth("key", "secret")}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(
                engine.origin + TOKEN_PATH, data={"grant_type": "client_credentials"}
            ) as answer,
        ):
            token = (await answer.json())["access_token"]

        async with connected(engine, key=None, access_token=token) as chat:
            assert isinstance(await receive(chat), ChatMetadata)
        with pytest.raises(ApiError) as refusal:
            async with connected(engine, key=None, access_token="guessed"):
                pass
    assert refusal.value.status_code == 401


async def test_a_full_engine_is_an_api_error() -> None:
    async with serving(RuleMind(echo), max_chats=1) as engine, chatting(engine):
        with pytest.raises(ApiError) as refusal:
            async with connected(engine):
                pass
    assert refusal.value.status_code == 429


# Mistakes of the client


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no JSON", "E0100"),
        ('{"type": "dance"}', "E0101"),
        ('{"type": "user_input"}', "E0101"),
        ('{"type": "session_settings", "variables": {"name": ["Ada"]}}', "E0101"),
    ],
)
async def test_a_mistake_is_told_and_the_chat_goes_on(text: str, code: str) -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as chat:
        await chat._send(text)
        error = await next_of(chat, WebSocketError)
        await chat.send_publish(UserInput(text="Hello?"))
        turn = await until(chat, AssistantEnd)

    assert error.code == code
    assert error.message
    assert error.request_id
    assert words(turn) == ["You said Hello?"]


async def test_ten_identical_mistakes_close_the_chat_with_1008() -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as chat:
        for _ in range(MAX_IDENTICAL_FAULTS):
            await chat._send('{"type": "dance"}')
        errors = [await receive(chat) for _ in range(MAX_IDENTICAL_FAULTS)]
        with pytest.raises(ConnectionClosedError):
            await receive(chat)

        assert kinds(errors) == ["error"] * MAX_IDENTICAL_FAULTS
        assert close_code(chat) == 1008


async def test_a_settings_message_that_is_wrong_changes_nothing() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(SessionSettings(system_prompt="Be brief."))
        wrong = {"type": "session_settings", "system_prompt": "Sing.", "audio": {"channels": 1}}
        await chat._send(wrong)
        assert (await next_of(chat, WebSocketError)).code == "E0101"
        await chat.send_publish(UserInput(text="Hello?"))
        await until(chat, AssistantEnd)

    assert mind.prompts[-1].system_prompt == "Be brief."


# Other ways to use the SDK, and ends


async def test_a_listener_is_told_of_every_message_and_of_the_end() -> None:
    mind = RuleMind(lambda _: [Say("Goodbye."), HangUp()])
    async with serving(mind, voice=ToneVoice(200)) as engine, connected(engine) as chat:
        told: list[str] = []
        errors: list[object] = []
        chat.on(EventType.OPEN, lambda _: told.append("open"))
        chat.on(EventType.MESSAGE, lambda event: told.append(event.type))
        chat.on(EventType.ERROR, errors.append)
        chat.on(EventType.CLOSE, lambda _: told.append("close"))
        await chat.send_publish(UserInput(text="Bye."))
        listening: Awaitable[None] = chat.start_listening()  # type: ignore[no-untyped-call]
        await asyncio.wait_for(listening, PATIENCE_S)

    assert errors == []
    assert told == [
        *("open", "chat_metadata", "user_message"),
        *("assistant_message", "audio_output", "assistant_end", "close"),
    ]


async def test_the_synchronous_client_holds_a_chat_too() -> None:
    def chat_in_a_thread(origin: str) -> list[str]:
        client = HumeClient(api_key="any", base_url=origin)
        with client.empathic_voice.chat.connect(
            session_settings=ConnectSessionSettings(system_prompt="Be brief.")
        ) as chat:
            chat.send_publish(UserInput(text="Bye."))
            return [event.type for event in chat]

    mind = RuleMind(lambda _: [Say("Goodbye."), HangUp()])
    async with serving(mind, voice=ToneVoice(200)) as engine:
        types = await asyncio.wait_for(
            asyncio.to_thread(chat_in_a_thread, engine.origin), PATIENCE_S
        )

    assert types == [
        *("chat_metadata", "user_message", "assistant_message", "audio_output", "assistant_end"),
    ]


async def test_iteration_ends_quietly_when_the_engine_goes_away() -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as chat:
        closing = asyncio.create_task(engine.close())
        assert await rest(chat) == []
        await asyncio.wait_for(closing, PATIENCE_S)

        assert close_code(chat) == 1001


async def test_pings_are_answered() -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as chat:
        pong = await chat._websocket.ping()
        await asyncio.wait_for(pong, PATIENCE_S)


async def test_two_chats_do_not_hear_each_other() -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as one, chatting(engine) as two:
        await one.send_publish(UserInput(text="One."))
        await two.send_publish(UserInput(text="Two."))
        first, second = await until(one, AssistantEnd), await until(two, AssistantEnd)

    assert [words(first), words(second)] == [["You said One."], ["You said Two."]]
    assert isinstance(first[0], UserMessage)
