"""What an engine shows of its work, after a chat over a real socket."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from evibridge.engine.hearing.ears import Transcript
from evibridge.engine.minds.mind import Say
from evibridge.engine.server import Engine
from evibridge.engine.voices.phrases import Phrases
from evibridge.engine.voices.sentences import sentences
from evibridge.errors import Overloaded
from tests.engine.chat_client import AUDIO, PATIENCE_S, ChatClient, serving, words
from tests.engine.chat_parts import (
    LoudnessActivity,
    QueuedEars,
    RuleMind,
    ToneVoice,
    silence,
    tone,
)


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.hearing.VoiceActivity", LoudnessActivity)


async def shown(engine: Engine) -> dict[str, float]:
    """The page of metrics: each series by its name."""
    timeout = aiohttp.ClientTimeout(PATIENCE_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{engine.origin}/metrics") as response,
    ):
        lines = (await response.text()).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.removeprefix("evibridge_engine_"): float(value) for name, value in pairs}


async def test_a_spoken_turn_is_timed_in_every_part() -> None:
    mind = RuleMind(lambda _: [Say("It is here.")])
    async with (
        serving(mind, ears=QueuedEars("Where is it?")) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.send("session_settings", audio=AUDIO)
        await chat.send_audio(silence(200) + tone(600) + silence(1100))
        await chat.until("assistant_end")
        page = await shown(engine)

    assert page["chats"] == 1
    assert page["turns_total"] == 1
    for name in (
        "answer_seconds",
        "recognition_seconds",
        "mind_first_words_seconds",
        "synthesis_first_chunk_seconds",
    ):
        assert page[f"{name}_count"] == 1
        assert 0 <= page[f"{name}_sum"] < PATIENCE_S


class BusyVoice(ToneVoice):
    """A voice that has too much to say already."""

    async def speak(self, sentence: str, voice_id: str | None = None) -> AsyncIterator[bytes]:
        if sentence == "Hello.":
            raise Overloaded("too much to say")
        async for chunk in super().speak(sentence, voice_id):
            yield chunk


class BusyEars(QueuedEars):
    """Ears that have too much to hear already."""

    async def transcribe(self, pcm16: bytes) -> Transcript:
        raise Overloaded(f"too much to hear beside {len(pcm16)} bytes")


async def test_a_part_that_is_overloaded_is_counted_and_the_caller_hears_why() -> None:
    mind = RuleMind(lambda _: [Say("Hello.")])
    async with (
        serving(mind, ears=BusyEars(), voice=BusyVoice()) as engine,
        ChatClient.connect(engine) as chat,
    ):
        await chat.send("session_settings", audio=AUDIO)
        await chat.send_audio(silence(200) + tone(600) + silence(1100))
        question = await chat.until("assistant_end")
        await chat.send("user_input", text="Hello?")
        apology = await chat.until("assistant_end")
        page = await shown(engine)

    assert words(apology)[-1] == Phrases().apology
    assert words(question) == sentences(Phrases().please_repeat)
    assert page['overloads_total{part="voice"}'] == 1
    assert page['overloads_total{part="ears"}'] == 1


async def test_a_chat_that_is_over_is_counted_by_its_reason() -> None:
    async with serving(RuleMind(lambda _: [])) as engine:
        async with ChatClient.connect(engine) as chat:
            await chat.until("chat_metadata")
        await engine.drain(PATIENCE_S)
        page = await shown(engine)

    assert page["chats"] == 0
    assert page['chats_ended_total{reason="client_left"}'] == 1
