"""Chats that a language model holds: a real engine, a real socket, a model in another process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from evibridge.engine.minds.completions import CompletionsMind
from evibridge.engine.server import Engine
from evibridge.engine.voices.phrases import Phrases
from tests.engine.chat_client import (
    AUDIO,
    PATIENCE_S,
    ChatClient,
    of_type,
    serving,
    types,
    words,
)
from tests.engine.chat_parts import LoudnessActivity, QueuedEars, ToneVoice, silence, tone
from tests.engine.model_servers.running import RunningModel, running_model

TOOL = {
    "type": "function",
    "name": "order_status",
    "parameters": '{"type": "object", "properties": {"order_id": {"type": "string"}}}',
}


@pytest.fixture(scope="module")
def process() -> Iterator[RunningModel]:
    with running_model() as process:
        yield process


@pytest.fixture
def server(process: RunningModel) -> RunningModel:
    process.forget()
    return process


@asynccontextmanager
async def thinking(server: RunningModel, model: str, **parts: Any) -> AsyncIterator[Engine]:
    """An engine whose mind is a variant of the stand-in model."""
    mind = CompletionsMind(base_url=f"{server.origin}/v1", api_key="sk-1", model=model)
    try:
        async with serving(mind, **parts) as engine:
            yield engine
    finally:
        await mind.close()


def told(server: RunningModel) -> list[dict[str, Any]]:
    """What the model was told last."""
    told: list[dict[str, Any]] = server.requests()[-1]["body"]["messages"]
    return told


async def ask(chat: ChatClient, text: str) -> list[dict[str, Any]]:
    await chat.send("user_input", text=text)
    return await chat.until("assistant_end")


async def test_the_model_knows_its_prompt_with_variables_and_context(server: RunningModel) -> None:
    async with thinking(server, "normal") as engine, ChatClient.connect(engine) as chat:
        await chat.send(
            "session_settings",
            system_prompt="Greet {{name}}.",
            variables={"name": "Ada"},
            context={"text": "Verified.", "type": "temporary"},
        )
        await chat.until("assistant_end")  # the greeting
        await ask(chat, "Hello?")
        first = told(server)
        await ask(chat, "And now?")

    assert first[0] == {"role": "system", "content": "Greet Ada."}
    assert "{Context: Verified.}" in first[-1]["content"]
    assert "Verified" not in str(told(server)[-1])


async def test_a_result_that_comes_at_once_is_told_behind_the_words_before_the_call(
    server: RunningModel,
) -> None:
    async with (
        thinking(server, "calls-tool", voice=ToneVoice(2_000)) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.send("session_settings", tools=[TOOL])
        await chat.until("chat_metadata")
        await chat.send("user_input", text="Where is order 1042?")
        (call,) = of_type(await chat.until("tool_call"), "tool_call")
        assert call["parameters"] == '{"order_id":"1042"}'
        await chat.send("tool_response", tool_call_id=call["tool_call_id"], content="It is here.")
        answer = await chat.until("assistant_end")

    assert words(answer)[-1] == "The tool said: It is here."
    assert [message["role"] for message in told(server)[-2:]] == ["assistant", "tool"]
    assert told(server)[-2]["content"] == "One moment."
    assert types(answer).count("tool_call") == 0


async def test_after_a_barge_in_the_model_knows_what_was_really_heard(
    server: RunningModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.hearing.VoiceActivity", LoudnessActivity)
    parts = {"voice": ToneVoice(6_000), "ears": QueuedEars("Stop.")}
    async with thinking(server, "normal", **parts) as engine, ChatClient.connect(engine) as chat:
        await chat.send("session_settings", audio=AUDIO)
        greeting = await chat.until("assistant_end")
        await chat.send_audio(silence(200) + tone(1_000) + silence(1_100))
        interrupted = await chat.until("user_message")
        await chat.until("assistant_end")

    assert "user_interruption" in types(interrupted)
    assert words(greeting)[-1].startswith("Is there anything else?")
    assert "anything else" not in str(told(server))
    assert told(server)[-1]["content"] == "Stop."


async def test_a_model_that_fails_is_an_error_and_one_spoken_sentence(server: RunningModel) -> None:
    async with thinking(server, "status-401") as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        turn = await ask(chat, "Hello?")
        again = await ask(chat, "Hello?")

    for failed in (turn, again):
        assert [error["code"] for error in of_type(failed, "error")] == ["E0712"]
        assert words(failed) == [Phrases().apology]
        assert "sk-1" not in str(failed)


async def test_a_slow_model_is_filled_in_for(server: RunningModel) -> None:
    async with (
        thinking(server, "slow", filler_after_s=0.05) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.until("chat_metadata")
        await chat.send("user_input", text="Hello?")
        filler = of_type(await chat.until("assistant_message"), "assistant_message")[0]

    assert filler["is_quick_response"]
    assert filler["message"]["content"] == Phrases().filler


async def test_a_client_that_leaves_ends_the_request_at_the_model(server: RunningModel) -> None:
    async with thinking(server, "stalls") as engine:
        async with ChatClient.connect(engine) as chat:
            await chat.until("chat_metadata")
            await chat.send("user_input", text="Hello?")
            await asyncio.wait_for(server.asked(), PATIENCE_S)

        assert await asyncio.wait_for(server.last_end(), PATIENCE_S) == "client_left"
