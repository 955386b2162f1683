import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from evibridge.engine.access import Access, parse_keys
from evibridge.engine.metrics import EngineMetrics
from evibridge.engine.minds.mind import Say
from evibridge.engine.parts import EngineParts
from evibridge.engine.server import TOKEN_PATH, Engine, _origin, start_engine
from evibridge.errors import SettingsError
from evibridge.sockets import Refusal, Upgrade
from tests.engine.chat_client import PATIENCE_S, ChatClient, serving, types
from tests.engine.chat_parts import QueuedEars, RuleMind, ToneVoice
from tests.reference import evi_validator

KEYS = Access(parse_keys("key-1:secret-1,key-2"))
Pair = tuple[str, str]
FORM = {"grant_type": "client_credentials"}
RIGHT_PAIR = ("key-1", "secret-1")


def echo() -> RuleMind:
    return RuleMind(lambda heard: [Say(f"You said {heard}")])


async def status_of(engine: Engine, path: str) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{engine.origin}{path}") as answer,
    ):
        return answer.status


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: dict[str, Any]


async def ask_for_token(
    engine: Engine, pair: Pair | None = RIGHT_PAIR, form: dict[str, str] = FORM
) -> Answer:
    headers = {"Authorization": aiohttp.encode_basic_auth(*pair)} if pair else {}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{engine.origin}{TOKEN_PATH}", headers=headers, data=form) as answer,
    ):
        return Answer(answer.status, answer.headers, await answer.json())


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_checks_are_answered(path: str) -> None:
    async with serving(echo()) as engine:
        assert await status_of(engine, path) == 200


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
    async with serving(echo(), access=KEYS) as engine:
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
        serving(echo(), access=KEYS) as engine,
        ChatClient.connect(engine, query=query, **headers) as chat,
    ):
        assert (await chat.next())["type"] == "chat_metadata"


# Tokens


async def test_a_token_opens_a_chat() -> None:
    async with serving(echo(), access=KEYS) as engine:
        answer = await ask_for_token(engine)
        token = answer.body["access_token"]
        async with ChatClient.connect(engine, query=f"access_token={token}") as chat:
            assert (await chat.next())["type"] == "chat_metadata"

    assert answer.status == 200
    evi_validator("TokenResponse").validate(answer.body)
    assert answer.body["token_type"] == "Bearer"
    assert answer.body["expires_in"] == 1800
    assert answer.headers["Cache-Control"] == "no-store"


async def test_a_wrong_token_is_refused_with_401() -> None:
    async with serving(echo(), access=KEYS) as engine:
        token = (await ask_for_token(engine)).body["access_token"]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with ChatClient.connect(engine, query=f"access_token={token[:-3]}"):
                pass

    assert refusal.value.status == 401


@pytest.mark.parametrize("pair", [None, ("key-1", "wrong"), ("key-2", "")])
async def test_a_wrong_pair_is_challenged(pair: Pair | None) -> None:
    async with serving(echo(), access=KEYS) as engine:
        answer = await ask_for_token(engine, pair)

    assert answer.status == 401
    assert answer.body["error"] == "invalid_client"
    assert answer.body["error_description"]
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.headers["Cache-Control"] == "no-store"


async def test_another_grant_is_refused_in_the_terms_of_oauth() -> None:
    async with serving(echo(), access=KEYS) as engine:
        answer = await ask_for_token(engine, form={"grant_type": "password"})

    assert answer.status == 400
    assert answer.body["error"] == "unsupported_grant_type"


async def test_a_form_that_is_too_long_is_not_read() -> None:
    async with (
        serving(echo(), access=KEYS) as engine,
        aiohttp.ClientSession() as session,
        session.post(f"{engine.origin}{TOKEN_PATH}", data=FORM | {"x": "x" * 5000}) as answer,
    ):
        assert answer.status == 413


async def test_a_form_that_is_packed_is_not_read() -> None:
    packed = {"Content-Encoding": "deflate"}
    async with (
        serving(echo(), access=KEYS) as engine,
        aiohttp.ClientSession() as session,
        session.post(f"{engine.origin}{TOKEN_PATH}", data=b"hello", headers=packed) as answer,
    ):
        assert answer.status == 415


async def test_a_form_that_does_not_come_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("evibridge.engine.server.FORM_TIMEOUT_S", 0.01)
    async with serving(echo(), access=KEYS) as engine:
        reader, writer = await asyncio.open_connection(*_address(engine.origin))
        writer.write(
            f"POST {TOKEN_PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.readline(), PATIENCE_S)
        writer.close()
        await writer.wait_closed()

    assert b"408" in answer


async def test_an_app_gets_a_token_on_a_laptop_without_keys() -> None:
    async with serving(echo()) as engine:
        pair = ("any-key", "any-secret")
        token = (await ask_for_token(engine, pair)).body["access_token"]
        async with ChatClient.connect(engine, query=f"access_token={token}") as chat:
            assert (await chat.next())["type"] == "chat_metadata"


# Limits and the end


async def test_a_full_engine_refuses_with_429_and_is_not_ready() -> None:
    async with serving(echo(), max_chats=1) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with ChatClient.connect(engine):
                pass
        full = await status_of(engine, "/readyz")
        healthy = await status_of(engine, "/healthz")

    assert refusal.value.status == 429
    assert (full, healthy) == (503, 200)


async def test_a_place_is_free_when_a_chat_has_ended() -> None:
    class Leaving(RuleMind):
        """Tells when what its chat held has been given back."""

        async def close(self) -> None:
            left.set()

    left = asyncio.Event()
    async with serving(Leaving(lambda _: []), max_chats=1) as engine:
        async with ChatClient.connect(engine) as chat:
            await chat.until("chat_metadata")
        await asyncio.wait_for(left.wait(), PATIENCE_S)

        async with ChatClient.connect(engine) as next_chat:
            assert (await next_chat.next())["type"] == "chat_metadata"


@pytest.mark.parametrize(
    ("max_chats", "query", "status"), [(9, "", 401), (0, "api_key=key-2", 429)]
)
async def test_refused_handshakes_are_counted(max_chats: int, query: str, status: int) -> None:
    metrics = EngineMetrics()
    async with serving(echo(), access=KEYS, max_chats=max_chats, metrics=metrics) as engine:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with ChatClient.connect(engine, query=query):
                pass

    line = f'evibridge_engine_handshakes_refused_total{{status="{status}"}} 1.0'
    assert line in metrics.page().decode()


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
