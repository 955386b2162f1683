import asyncio

import aiohttp
import pytest

from evibridge.engine.mind import Say
from evibridge.engine.server import Engine, EngineParts, _origin, start_engine
from evibridge.errors import SettingsError
from evibridge.sockets import Refusal, Upgrade
from tests.engine.chat_client import PATIENCE_S, ChatClient, serving, types
from tests.engine.chat_parts import QueuedEars, RuleMind, ToneVoice

KEYS = frozenset({"key-1", "key-2"})


def echo() -> RuleMind:
    return RuleMind(lambda heard: [Say(f"You said {heard}")])


async def test_a_health_check_is_answered() -> None:
    async with (
        serving(echo()) as engine,
        aiohttp.ClientSession() as session,
        session.get(f"{engine.origin}/healthz") as answer,
    ):
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/v0/evi/chat", "//v0/evi/chat"])
async def test_a_chat_opens_with_its_metadata(path: str) -> None:
    async with serving(echo()) as engine, ChatClient.connect(engine, path=path) as chat:
        metadata = await chat.next()

    assert metadata["type"] == "chat_metadata"
    assert metadata["chat_id"] != metadata["chat_group_id"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [("", {}), ("api_key=wrong", {}), ("", {"X-Hume-Api-Key": "wrong"})],
)
async def test_a_wrong_key_is_refused_with_401(query: str, headers: dict[str, str]) -> None:
    async with serving(echo(), api_keys=KEYS) as engine:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with ChatClient.connect(engine, query=query, **headers):
                pass

    assert refusal.value.status == 401


async def test_a_stranger_is_told_why_he_may_not_connect_without_keys() -> None:
    engine = Engine(EngineParts(ears=QueuedEars(), mind=echo(), voice=ToneVoice()))

    refusal = engine._accept(Upgrade("/v0/evi/chat", {}, "192.0.2.7"))

    assert isinstance(refusal, Refusal)
    assert refusal.status == 401
    assert "own machine" in refusal.sentence


@pytest.mark.parametrize(
    ("query", "headers"), [("api_key=key-2", {}), ("", {"X-Hume-Api-Key": "key-1"})]
)
async def test_a_right_key_opens_a_chat(query: str, headers: dict[str, str]) -> None:
    async with (
        serving(echo(), api_keys=KEYS) as engine,
        ChatClient.connect(engine, query=query, **headers) as chat,
    ):
        assert (await chat.next())["type"] == "chat_metadata"


async def test_chats_are_told_when_the_engine_goes_away() -> None:
    thinking_for_ever = RuleMind(lambda _: [asyncio.Event()])
    async with serving(thinking_for_ever) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("user_input", text="Hello?")
        await chat.until("user_message")

        closing = asyncio.create_task(engine.close())
        assert await chat.rest() == []
        await asyncio.wait_for(closing, PATIENCE_S)

        assert chat.close_code == 1001
        with pytest.raises(aiohttp.ClientConnectorError):
            async with ChatClient.connect(engine):
                pass


async def test_a_client_that_does_not_answer_the_close_is_cut() -> None:
    async with serving(echo()) as engine:
        reader, writer = await asyncio.open_connection(*_address(engine.origin))
        writer.write(
            b"GET /v0/evi/chat HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await asyncio.wait_for(reader.readuntil(b"chat_metadata"), PATIENCE_S)

        await asyncio.wait_for(engine.close(), PATIENCE_S)

        with_close_frame = await asyncio.wait_for(reader.read(), PATIENCE_S)
        assert (1001).to_bytes(2, "big") in with_close_frame
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_comes_while_the_engine_closes_is_turned_away() -> None:
    async with serving(echo()) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        closing = asyncio.create_task(engine.close())
        await asyncio.sleep(0)  # the close begins, and waits for the client to answer it

        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with ChatClient.connect(engine):
                pass

        assert refusal.value.status == 503
        await chat.rest()
        await asyncio.wait_for(closing, PATIENCE_S)


async def test_a_port_in_use_is_a_sentence_for_its_owner() -> None:
    parts = EngineParts(ears=QueuedEars(), mind=echo(), voice=ToneVoice())
    async with serving(echo()) as engine:
        host, port = _address(engine.origin)
        with pytest.raises(SettingsError, match="in use"):
            await start_engine(parts, host=host, port=port)


async def test_chats_do_not_wait_for_each_other() -> None:
    patience = asyncio.Event()
    mind = RuleMind(lambda heard: [patience, Say("Late.")] if heard == "slow" else [Say("Quick.")])
    async with (
        serving(mind) as engine,
        ChatClient.connect(engine) as slow,
        ChatClient.connect(engine) as quick,
    ):
        await slow.send("user_input", text="slow")
        await slow.until("user_message")
        await quick.send("user_input", text="quick")
        assert types(await quick.until("assistant_end"))[-1] == "assistant_end"

        patience.set()
        assert types(await slow.until("assistant_end"))[0] == "assistant_message"


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::1", "http://[::1]:80"),
        ("::", "http://[::1]:80"),
        ("localhost", "http://localhost:80"),
    ],
)
def test_the_origin_can_be_reached_from_this_machine(host: str, origin: str) -> None:
    assert _origin(host, 80) == origin


def _address(origin: str) -> tuple[str, int]:
    host, _, port = origin.removeprefix("http://").partition(":")
    return host, int(port)
