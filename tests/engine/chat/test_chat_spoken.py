"""A conversation with the embedded ears, mind and voice; the caller is another synthesiser."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evibridge.audio.resample import Resampler
from evibridge.audio.wav import mono_pcm16
from evibridge.engine.hearing.ears import WhisperEars
from evibridge.engine.minds.script import ScriptedMind
from evibridge.engine.voices.voice import HibariVoice
from tests.engine.chat_client import AUDIO, ChatClient, Message, audio_of, of_type, serving, types
from tests.engine.chat_parts import HEARING_RATE_HZ, VOICE_RATE_HZ, silence
from tests.speech import spoken

BOOKSHOP = Path(__file__).parents[3] / "examples" / "bookshop.yaml"
TOOLS = [
    {"type": "function", "name": name, "parameters": '{"type": "object"}'}
    for name in ("order_status", "find_book", "reserve_book")
]


@pytest.fixture(scope="module")
def parts() -> Iterator[dict[str, Any]]:
    ears, voice = WhisperEars.load(), HibariVoice.load()
    yield {"ears": ears, "voice": voice, "mind": ScriptedMind.load(BOOKSHOP)}
    ears.close()
    voice.close()


def words(*turns: list[Message]) -> str:
    messages = [message for turn in turns for message in of_type(turn, "assistant_message")]
    return " ".join(message["message"]["content"] for message in messages)


def speech_in(turn: list[Message]) -> bytes:
    """The agent's audio, as ears take it."""
    pcm16 = b"".join(mono_pcm16(audio_of(chunk)) for chunk in of_type(turn, "audio_output"))
    return Resampler(VOICE_RATE_HZ, HEARING_RATE_HZ).process(pcm16)


async def say(chat: ChatClient, text: str) -> None:
    await chat.send_audio(silence(500) + spoken(text, HEARING_RATE_HZ, voice="en") + silence(1_200))


async def test_a_caller_asks_interrupts_and_says_goodbye(parts: dict[str, Any]) -> None:
    async with serving(**parts) as engine, ChatClient.connect(engine) as chat:
        await chat.until("chat_metadata")
        await chat.send("session_settings", audio=AUDIO, tools=TOOLS)
        greeting = await chat.until("assistant_end")
        assert "Paper Lantern" in words(greeting)
        heard = await asyncio.wait_for(parts["ears"].transcribe(speech_in(greeting)), 20)
        assert "book" in heard.text.lower()

        await say(chat, "Where is my order ten forty two, please?")
        asked = await chat.until("tool_call")
        assert json.loads(asked[-1]["parameters"]) == {"order_id": "1042"}
        content = "Order 1042 arrives on Friday."
        await chat.send("tool_response", tool_call_id=asked[-1]["tool_call_id"], content=content)
        assert content in words(asked, await chat.until("assistant_end"))

        await say(chat, "Tell me about the shop, please.")
        story = await chat.until("assistant_end")
        assert len(of_type(story, "assistant_message")) >= 4

        await say(chat, "That is all for today, goodbye.")
        farewell = await chat.rest()
        assert types(farewell)[0] == "user_interruption"
        assert chat.close_code == 1000
