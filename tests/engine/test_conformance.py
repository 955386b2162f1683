"""What the protocol asks of a server and Hume's SDK cannot send: written by hand, on the wire."""

import asyncio
import base64
import json
import re
from itertools import pairwise
from urllib.parse import quote, urlencode
from uuid import UUID

import aiohttp
import pytest
from yarl import URL

from evibridge.audio.wav import wav_file
from evibridge.engine.minds.mind import CallTool, Say
from evibridge.engine.server import MAX_MESSAGE_BYTES
from tests.engine.chat_client import (
    AUDIO,
    PATIENCE_S,
    ChatClient,
    Message,
    of_type,
    serving,
    types,
    words,
)
from tests.engine.chat_parts import (
    HEARING_RATE_HZ,
    LoudnessActivity,
    QueuedEars,
    RuleMind,
    Steps,
    ToneVoice,
    silence,
    tone,
)
from tests.reference import evi_examples

ANSWERED = ["user_message", "assistant_message", "audio_output", "assistant_end"]


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.hearing.VoiceActivity", LoudnessActivity)


def echo(said: str) -> Steps:
    return [Say(f"You said {said}")]


async def goes_on(chat: ChatClient) -> bool:
    """Tell whether a typed text is answered, and nothing else was told before it."""
    await chat.send("user_input", text="Hello?")
    turn = await chat.until("assistant_end")
    return types(turn) == ANSWERED and words(turn) == ["You said Hello?"]


# The handshake


@pytest.mark.parametrize(
    "path", ["/v0/evi/chat/", "/v0/evi/chat/c1a7d0b4/connect", "/v0/assistant/chat", "/"]
)
async def test_other_paths_than_that_of_the_chat_are_refused(path: str) -> None:
    async with serving(RuleMind(echo)) as engine:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            async with ChatClient.connect(engine, path=path):
                pass

    assert refusal.value.status == 404


async def test_a_request_that_is_no_upgrade_is_refused() -> None:
    async with (
        serving(RuleMind(echo)) as engine,
        aiohttp.ClientSession() as session,
        session.get(f"{engine.origin}/v0/evi/chat") as answer,
    ):
        assert 400 <= answer.status < 500


async def test_parameters_and_headers_that_nobody_knows_are_ignored() -> None:
    query = (
        "fernSdkLanguage=JavaScript&fernSdkVersion=0.15.16&future=1&x[y]=2&session_settings[z]=3"
    )
    headers = {"X-Fern-Language": "Python", "User-Agent": "hume/0.14.1"}
    async with (
        serving(RuleMind(echo)) as engine,
        ChatClient.connect(engine, query=query, **headers) as chat,
    ):
        assert (await chat.next())["type"] == "chat_metadata"
        assert await goes_on(chat)


@pytest.mark.parametrize(
    "query",
    [
        "session_settings[system_prompt]=Greet+{{name}}.&session_settings[variables][name]=Jo",
        quote("session_settings[system_prompt]=Greet {{name}}.", safe="=")
        + quote("&session_settings[variables][name]=Jo", safe="&="),
        'session_settings[system_prompt]=Greet+{{name}}.&session_settings[variables]={"name":"Jo"}',
        'session_settings={"system_prompt":"Greet {{name}}.","variables":{"name":"Jo"}}',
    ],
    ids=["brackets", "percent", "variables in one text", "settings in one text"],
)
async def test_settings_of_a_query_may_be_spelled_in_every_way(query: str) -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, ChatClient.connect(engine, query=query) as chat:
        await chat.until("chat_metadata")
        assert await goes_on(chat)

    assert mind.prompts[-1].instructions() == "Greet Jo."


async def test_the_old_spelling_of_the_voice_is_understood() -> None:
    voice = ToneVoice()
    async with (
        serving(RuleMind(echo), voice=voice) as engine,
        ChatClient.connect(engine, query="voice_id=Ava+Song") as chat,
    ):
        await chat.until("chat_metadata")
        assert await goes_on(chat)

    assert voice.voices == ["Ava Song"]


async def test_tools_cannot_be_offered_by_a_query() -> None:
    mind = RuleMind(echo)
    query = urlencode(
        {
            "session_settings": json.dumps(
                {
                    "tools": [{"type": "function", "name": "a", "parameters": "{}"}],
                    "builtin_tools": [{"name": "hang_up"}],
                    "metadata": {"queue": 7},
                }
            )
        }
    )
    async with serving(mind) as engine, ChatClient.connect(engine, query=query) as chat:
        await chat.until("chat_metadata")
        assert await goes_on(chat)

    assert mind.prompts[-1].tools == []


# Messages


async def test_the_examples_of_the_reference_are_taken() -> None:
    examples = dict(evi_examples())
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        for schema in ("SessionSettings", "AudioInput", "UserInput", "AssistantInput"):
            await chat.send_raw(json.dumps(examples[schema]))
        answer = await chat.until("assistant_end")
        text = await chat.until("assistant_end")

    assert types(answer) == ANSWERED
    assert types(text) == ANSWERED[1:]
    assert words(text) == [examples["AssistantInput"]["text"]]


@pytest.mark.parametrize(
    "message",
    [
        {"type": "user_input", "text": "Hello?", "future": {"a": [1]}},
        {"type": "user_input", "text": "Hello?", "custom_session_id": None},
        {"text": "Hello?", "type": "user_input"},
    ],
)
async def test_members_that_nobody_knows_and_null_ids_are_ignored(message: Message) -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send_raw(json.dumps(message))
        assert words(await chat.until("assistant_end")) == ["You said Hello?"]


async def test_settings_of_nothing_but_null_are_no_mistake() -> None:
    members = [
        *("audio", "system_prompt", "context", "variables", "tools", "builtin_tools", "voice_id"),
        *("language_model_api_key", "metadata", "custom_session_id"),
    ]
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("session_settings", audio=AUDIO)
        await chat.send("session_settings", **dict.fromkeys(members))
        await chat.send_audio(silence(20))  # the format has stayed
        assert await goes_on(chat)


async def test_optional_members_of_a_tools_answer_may_be_null() -> None:
    mind = RuleMind(
        lambda _: [CallTool("look", {})], after_tool=lambda done: [Say(str(done.content))]
    )
    tool = {"type": "function", "name": "look", "parameters": "{}", "description": None}
    async with serving(mind) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("session_settings", tools=[{**tool, "fallback_content": None}])
        await chat.send("user_input", text="Look.")
        call = (await chat.until("tool_call"))[-1]
        optional = dict.fromkeys(["content", "code", "level", "tool_type", "custom_session_id"])
        await chat.send("tool_error", tool_call_id=call["tool_call_id"], error="boom", **optional)
        turn = await chat.until("assistant_end")

    assert words(turn) == ["None"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{",
        '"user_input"',
        '{"type": "user_input", "text": "\\ud800"}',
        "[" * 50_000,
        '{"type": "user_input", "text": NaN}',
    ],
    ids=["nothing", "null", "half", "text", "half a character", "nested", "NaN"],
)
async def test_what_is_no_json_object_is_e0100(text: str) -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send_raw(text)
        assert (await chat.next())["code"] == "E0100"
        assert await goes_on(chat)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": None},
        {"type": ["user_input"]},
        {"type": "chat_metadata"},
        {"type": "user_input", "text": None},
        {"type": "user_input", "text": 7},
        {"type": "assistant_input"},
        {"type": "audio_input"},
        {"type": "audio_input", "data": None},
        {"type": "tool_response", "tool_call_id": "call_1"},
        {"type": "tool_response", "tool_call_id": "call_1", "content": {"slot": "10:30"}},
        {"type": "tool_error", "tool_call_id": "call_1"},
        {"type": "session_settings", "context": {"type": "persistent"}},
        {"type": "session_settings", "context": {"text": "a", "type": "editable"}},
        {"type": "session_settings", "audio": {**AUDIO, "channels": 0}},
        {"type": "session_settings", "audio": {**AUDIO, "encoding": "mulaw"}},
        {"type": "session_settings", "audio": {"encoding": "linear16"}},
        {"type": "session_settings", "builtin_tools": [{"name": "dance"}]},
        {"type": "session_settings", "tools": [{"type": "function", "parameters": "{}"}]},
        {"type": "session_settings", "tools": {"name": "a"}},
        {"type": "session_settings", "variables": {"name": None}},
    ],
    ids=json.dumps,
)
async def test_what_is_missing_or_wrong_is_e0101(message: Message) -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send_raw(json.dumps(message))
        assert (await chat.next())["code"] == "E0101"
        assert await goes_on(chat)


async def test_messages_in_an_odd_order_harm_nothing() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("resume_assistant_message")
        for _ in range(2):
            await chat.send("pause_assistant_message")
        for _ in range(2):
            await chat.send("resume_assistant_message")
        await chat.send("session_settings")
        await chat.send("session_settings", audio=AUDIO)
        await chat.send_audio(silence(100))
        await chat.send("session_settings", audio={**AUDIO, "sample_rate": 8_000})
        assert await goes_on(chat)


async def test_an_answer_to_no_call_is_refused_by_its_id() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("tool_response", tool_call_id="call_1", content="")
        await chat.send("tool_error", tool_call_id="call_2", error="")
        refused = [await chat.next(), await chat.next()]

    assert types(refused) == ["tool_error", "tool_error"]
    assert [error["tool_call_id"] for error in refused] == ["call_1", "call_2"]


# Audio


async def test_a_message_of_more_than_16_mb_closes_the_chat_with_1009() -> None:
    async with serving(RuleMind(echo)) as engine:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(engine.origin).port)
        writer.write(
            b"GET /v0/evi/chat HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        await asyncio.wait_for(reader.readuntil(b"chat_metadata"), PATIENCE_S)
        size = (MAX_MESSAGE_BYTES + 1).to_bytes(8, "big")
        writer.write(b"\x81\xff" + size + b"mask" + b"the first of many bytes")
        rest = await asyncio.wait_for(reader.read(), PATIENCE_S)
        writer.close()
        await writer.wait_closed()

    assert b"\x88" in rest
    assert (1009).to_bytes(2, "big") in rest


async def test_a_message_of_almost_16_mb_is_read() -> None:
    data = base64.b64encode(bytes(MAX_MESSAGE_BYTES * 3 // 4 - 300)).decode()
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("session_settings", audio=AUDIO)
        await chat.send("audio_input", data=data)
        assert (await chat.next())["code"] == "E0723"
        assert await goes_on(chat)


async def test_raw_audio_before_its_format_is_e0101_and_can_be_mended() -> None:
    async with (
        serving(RuleMind(echo), ears=QueuedEars("Hello.")) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.until("chat_metadata")
        await chat.send_audio(tone(20))
        assert (await chat.next())["code"] == "E0101"
        await chat.send("session_settings", audio=AUDIO)
        await chat.send_audio(silence(200) + tone(600) + silence(1_100))
        assert words(await chat.until("assistant_end")) == ["You said Hello."]


async def test_a_wav_stream_needs_no_settings_and_may_come_as_text() -> None:
    speech = silence(200) + tone(600) + silence(1_100)
    stream = wav_file(speech, HEARING_RATE_HZ)
    async with (
        serving(RuleMind(echo), ears=QueuedEars("Hello.")) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.until("chat_metadata")
        for at in range(0, len(stream), 3_200):
            data = base64.b64encode(stream[at : at + 3_200]).decode()
            await chat.send("audio_input", data=data)
        assert words(await chat.until("assistant_end")) == ["You said Hello."]


# The order of messages


async def test_messages_keep_the_order_that_clients_depend_on() -> None:
    """G1 to G5 of the protocol, over a greeting, texts, answers, a tool and an interruption."""
    mind = RuleMind(
        lambda said: (
            [Say("Let me see. One moment."), CallTool("look", {})]
            if said == "Look."
            else [Say("One. Two. Three.")]
        ),
        after_tool=lambda _: [Say("It is here. Anything else?")],
        greeting="Good day. How can I help?",
    )
    tool = {"type": "function", "name": "look", "parameters": "{}"}
    async with (
        serving(mind, voice=ToneVoice(600)) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.send("session_settings", tools=[tool])
        messages = await chat.until("assistant_end")
        await chat.send("assistant_input", text="Hold on. I am checking.")
        messages += await chat.until("assistant_end")
        await chat.send("user_input", text="Look.")
        messages += await chat.until("tool_call")
        call_id = messages[-1]["tool_call_id"]
        await chat.send("tool_response", tool_call_id=call_id, content="")
        messages += await chat.until("assistant_end")
        await chat.send("user_input", text="Count.")
        messages += await chat.until("assistant_end")

    assert messages[0]["type"] == "chat_metadata"
    segments: list[str] = []
    for before, message in pairwise(messages):
        match message["type"]:
            case "assistant_message":
                assert message["id"] not in segments
                segments.append(message["id"])
                index = 0
            case "audio_output":
                assert (message["id"], message["index"]) == (segments[-1], index)
                index += 1
            case "assistant_end":
                assert before["type"] == "audio_output"
    assert len(segments) == 11
    assert len(of_type(messages, "assistant_end")) == 4


async def test_ids_have_the_shape_that_clients_know() -> None:
    mind = RuleMind(lambda _: [Say("One moment."), CallTool("look", {})])
    tool = {"type": "function", "name": "look", "parameters": "{}"}
    async with serving(mind) as engine, ChatClient.connect(engine) as chat:
        metadata = await chat.next()
        await chat.send("session_settings", tools=[tool])
        await chat.send("user_input", text="Look.")
        turn = await chat.until("tool_call")

    for member in ("chat_id", "chat_group_id"):
        assert str(UUID(metadata[member])) == metadata[member]
    assert re.fullmatch(r"call_\w{32}", turn[-1]["tool_call_id"])
    for segment in of_type(turn, "assistant_message"):
        assert re.fullmatch(r"[0-9a-f]{32}", segment["id"])


async def test_the_client_is_not_told_its_own_settings() -> None:
    async with serving(RuleMind(echo)) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("session_settings", language_model_api_key="sk-own", system_prompt="Hi.")
        assert await goes_on(chat)
