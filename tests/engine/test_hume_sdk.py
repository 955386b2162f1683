"""Hume's own SDK, an independent judge of the protocol, holds whole conversations."""

import asyncio
import base64
import json
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import pytest

from evibridge.audio.wav import mono_pcm16, parse_wav
from evibridge.engine.mind import CallTool, HangUp, Say, ToolOutcome
from evibridge.engine.server import Engine
from tests.engine.chat_client import AUDIO, PATIENCE_S, serving
from tests.engine.chat_parts import (
    VOICE_RATE_HZ,
    LoudnessActivity,
    QueuedEars,
    RuleMind,
    Steps,
    ToneVoice,
    silence,
    tone,
)

with warnings.catch_warnings():
    # The SDK imports the deprecated half of the websockets package, in part at the first chat.
    warnings.simplefilter("ignore", DeprecationWarning)
    import_module("hume.empathic_voice.chat.client")
    from hume import AsyncHumeClient
    from hume.core.api_error import ApiError
    from hume.empathic_voice import (
        AssistantEnd,
        AssistantInput,
        AssistantMessage,
        AudioInput,
        AudioOutput,
        ChatMetadata,
        PauseAssistantMessage,
        ResumeAssistantMessage,
        SessionSettings,
        SubscribeEvent,
        Tool,
        ToolCallMessage,
        ToolErrorMessage,
        ToolResponseMessage,
        UserInput,
        UserInterruption,
        UserMessage,
        WebSocketError,
    )
    from hume.empathic_voice.chat.socket_client import AsyncChatSocketClient
    from hume.empathic_voice.types.audio_configuration import AudioConfiguration

CHUNK_BYTES = 640  # 20 ms at 16 kHz


@pytest.fixture(autouse=True)
def loud_is_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.VoiceActivity", LoudnessActivity)


@asynccontextmanager
async def chatting(engine: Engine, key: str = "any") -> AsyncIterator[AsyncChatSocketClient]:
    client = AsyncHumeClient(api_key=key, base_url=engine.origin)
    async with client.empathic_voice.chat.connect(
        verbose_transcription=True,
        allow_connection=True,
        session_settings={"audio": {**AUDIO}, "variables": {"name": "Ada", "age": 3}},
    ) as chat:
        assert isinstance(await receive(chat), ChatMetadata)
        yield chat


async def receive(chat: AsyncChatSocketClient) -> SubscribeEvent:
    return await asyncio.wait_for(chat.recv(), PATIENCE_S)


async def until(chat: AsyncChatSocketClient, kind: type) -> list[SubscribeEvent]:
    events = [await receive(chat)]
    while not isinstance(events[-1], kind):
        events.append(await receive(chat))
    return events


async def speak(chat: AsyncChatSocketClient, ms: int, *, base64_text: bool = False) -> None:
    speech = silence(200) + tone(ms) + silence(1_100)
    for at in range(0, len(speech), CHUNK_BYTES):
        chunk = speech[at : at + CHUNK_BYTES]
        if base64_text:
            await chat.send_publish(AudioInput(data=base64.b64encode(chunk).decode()))
        else:
            await chat._send(chunk)


def words(events: list[SubscribeEvent]) -> list[str | None]:
    return [event.message.content for event in events if isinstance(event, AssistantMessage)]


def echo(heard: str) -> Steps:
    return [Say(f"You said {heard}")]


@pytest.mark.parametrize("base64_text", [True, False])
async def test_a_conversation_is_held_with_speech_in_both_directions(base64_text: bool) -> None:
    mind = RuleMind(echo, greeting="Good day, {name}.")
    ears = QueuedEars("Hello.", "And again.")
    async with serving(mind, ears=ears, voice=ToneVoice(200)) as engine, chatting(engine) as chat:
        await chat.send_publish(SessionSettings(system_prompt="Be brief.", context=None))
        assert words(await until(chat, AssistantEnd)) == ["Good day, Ada."]

        for heard in ("Hello.", "And again."):
            await speak(chat, 1_000, base64_text=base64_text)
            turn = await until(chat, AssistantEnd)
            (said,) = [event for event in turn if isinstance(event, UserMessage)]
            (segment,) = [event for event in turn if isinstance(event, AssistantMessage)]
            (audio,) = [event for event in turn if isinstance(event, AudioOutput)]
            assert said.message.content == heard
            assert said.time.begin < said.time.end
            assert words(turn) == [f"You said {heard}"]
            assert (audio.id, audio.index) == (segment.id, 0)
            assert mono_pcm16(parse_wav(base64.b64decode(audio.data))) == tone(200, VOICE_RATE_HZ)

    assert mind.prompts[-1].system_prompt == "Be brief."
    assert mind.prompts[-1].variables["name"] == "Ada"


@pytest.mark.parametrize("fails", [False, True])
async def test_a_tool_is_called_and_its_answer_is_told(fails: bool) -> None:
    def tell(outcome: ToolOutcome) -> Steps:
        return [Say(outcome.content or "I do not know.")]

    look = CallTool("order_status", {"order_id": "1042"})
    mind = RuleMind(lambda _: [Say("One moment."), look], after_tool=tell)
    tool = Tool(type="function", name="order_status", parameters='{"type": "object"}')
    async with serving(mind) as engine, chatting(engine) as chat:
        audio = AudioConfiguration(encoding="linear16", sample_rate=16_000, channels=1)
        await chat.send_publish(SessionSettings(audio=audio, tools=[tool]))
        await chat.send_publish(UserInput(text="Where is order 1042?"))
        *_, call = await until(chat, ToolCallMessage)
        assert isinstance(call, ToolCallMessage)
        assert json.loads(call.parameters) == {"order_id": "1042"}
        assert (call.name, call.response_required) == ("order_status", True)

        answer: ToolErrorMessage | ToolResponseMessage
        if fails:
            answer = ToolErrorMessage(
                tool_call_id=call.tool_call_id, error="timeout", content="Ask later."
            )
        else:
            answer = ToolResponseMessage(tool_call_id=call.tool_call_id, content="It is here.")
        await chat.send_publish(answer)
        turn = await until(chat, AssistantEnd)

    assert words(turn)[-1] == ("Ask later." if fails else "It is here.")


async def test_the_caller_interrupts_the_agent() -> None:
    mind = RuleMind(lambda heard: [Say("Well.")] if heard == "Stop." else [Say("One. Two.")])
    parts = {"ears": QueuedEars("Stop."), "voice": ToneVoice(9_000)}
    async with serving(mind, **parts) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="Count."))
        stale = [e.id for e in await until(chat, AssistantEnd) if isinstance(e, AudioOutput)]
        await speak(chat, 1_000)
        turn = await until(chat, AssistantEnd)

    assert isinstance(turn[0], UserInterruption)
    assert isinstance(turn[1], UserMessage)
    assert words(turn) == ["Well."]
    assert not {event.id for event in turn if isinstance(event, AudioOutput)} & set(stale)


async def test_a_paused_agent_is_silent_until_it_is_resumed() -> None:
    async with (
        serving(RuleMind(echo), voice=ToneVoice(200)) as engine,
        chatting(engine) as chat,
    ):
        await chat.send_publish(PauseAssistantMessage())
        await chat.send_publish(UserInput(text="Hello?"))
        await chat.send_publish(AssistantInput(text="Back again."))
        await chat.send_publish(ResumeAssistantMessage())
        events = await until(chat, AssistantEnd)
        events += await until(chat, AssistantEnd)

    assert isinstance(events[0], UserMessage)
    assert words(events) == ["Back again.", "You said Hello?"]
    assert [e.from_text for e in events if isinstance(e, AssistantMessage)] == [True, False]


async def test_an_error_is_readable_and_the_chat_goes_on() -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as chat:
        await chat._send({"type": "dance"})
        *_, error = await until(chat, WebSocketError)
        assert isinstance(error, WebSocketError)
        assert error.code == "E0101"

        await chat.send_publish(UserInput(text="Hello?"))
        assert words(await until(chat, AssistantEnd)) == ["You said Hello?"]


async def test_iteration_ends_quietly_when_the_agent_hangs_up() -> None:
    mind = RuleMind(lambda _: [Say("Goodbye."), HangUp()])
    async with serving(mind, voice=ToneVoice(200)) as engine, chatting(engine) as chat:
        await chat.send_publish(UserInput(text="Bye."))
        async with asyncio.timeout(PATIENCE_S):
            events = [event async for event in chat]

    assert isinstance(events[-1], AssistantEnd)


async def test_a_wrong_key_is_an_api_error() -> None:
    async with serving(RuleMind(echo), api_keys=frozenset({"right"})) as engine:
        with pytest.raises(ApiError) as refusal:
            async with chatting(engine, key="wrong"):
                pass
        assert refusal.value.status_code == 401

        async with chatting(engine, key="right"):
            pass
