"""Through Hume's own SDK: what a client may set, when it counts, and how it is taken back."""

from typing import Any

import pytest
from hume.empathic_voice import (
    AssistantEnd,
    AssistantInput,
    BuiltinToolConfig,
    Context,
    PauseAssistantMessage,
    ResumeAssistantMessage,
    SessionSettings,
    Tool,
    ToolErrorMessage,
    ToolResponseMessage,
    UserInput,
    UserMessage,
)
from hume.empathic_voice.types.audio_configuration import AudioConfiguration

from evibridge.engine.minds.mind import Prompt, Say
from tests.engine.chat_client import AUDIO, serving
from tests.engine.chat_parts import (
    LoudnessActivity,
    QueuedEars,
    RuleMind,
    Steps,
    ToneVoice,
    silence,
    tone,
)
from tests.engine.hume_client import ChatSocket, chatting, heard, send_audio, until, words


def echo(said: str) -> Steps:
    return [Say(f"You said {said}")]


async def answered(chat: ChatSocket, mind: RuleMind) -> Prompt:
    """Ask something; what the mind was told for its answer."""
    await chat.send_publish(UserInput(text="Hello?"))
    await until(chat, AssistantEnd)
    return mind.prompts[-1]


async def test_every_member_of_the_settings_is_understood() -> None:
    mind, voice = RuleMind(echo), ToneVoice(200)
    async with (
        serving(mind, voice=voice, web_search=lambda _: NotImplemented) as engine,
        chatting(engine, session_settings=None) as chat,
    ):
        settings = SessionSettings(
            audio=AudioConfiguration(encoding="linear16", sample_rate=16_000, channels=1),
            builtin_tools=[BuiltinToolConfig(name="hang_up"), BuiltinToolConfig(name="web_search")],
            context=Context(text="Verified.", type="persistent"),
            custom_session_id="call-4711",
            language_model_api_key="sk-own",
            metadata={"queue": 7},
            system_prompt="Greet {{name}}.",
            tools=[Tool(type="function", name="order_status", parameters='{"type": "object"}')],
            variables={"name": "Ada", "age": 3.5, "vip": False},
            voice_id="Ava Song",
        )
        await chat.send_publish(settings)
        prompt = await answered(chat, mind)

    assert prompt.instructions() == "Greet Ada."
    assert prompt.variables == {"name": "Ada", "age": "3.5", "vip": "false"}
    assert prompt.context == "Verified."
    assert prompt.custom_session_id == "call-4711"
    assert prompt.language_model_api_key == "sk-own"
    assert [tool.name for tool in prompt.tools] == ["order_status", "hang_up", "web_search"]
    assert voice.voices == ["Ava Song"]


async def test_a_message_changes_only_the_members_that_it_contains() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(SessionSettings(system_prompt="Be {{how}}.", voice_id="Ava Song"))
        await chat.send_publish(SessionSettings(variables={"how": "brief"}))
        before = await answered(chat, mind)
        await chat.send_publish(SessionSettings(variables={"how": "kind"}))
        after = await answered(chat, mind)

    assert (before.instructions(), after.instructions()) == ("Be brief.", "Be kind.")


async def test_a_variable_without_a_value_stays_as_it_was_typed() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(SessionSettings(system_prompt="Greet {{name}}."))
        assert (await answered(chat, mind)).instructions() == "Greet {{name}}."


@pytest.mark.parametrize("kind", ["temporary", None])
async def test_a_temporary_context_is_for_one_answer(kind: Any) -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(SessionSettings(context=Context(text="Verified.", type=kind)))
        first, second = await answered(chat, mind), await answered(chat, mind)

    assert (first.context, second.context) == ("Verified.", None)


async def test_a_persistent_context_stays_until_it_is_taken_back_with_null() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, chatting(engine) as chat:
        context = Context(text="Verified.", type="persistent")
        await chat.send_publish(SessionSettings(context=context))
        given = [(await answered(chat, mind)).context for _ in range(2)]
        await chat.send_publish(SessionSettings(system_prompt="Be brief."))
        kept = (await answered(chat, mind)).context
        await chat.send_publish(SessionSettings(context=None))
        taken_back = (await answered(chat, mind)).context

    assert (given, kept, taken_back) == (["Verified."] * 2, "Verified.", None)


async def test_a_context_makes_the_agent_say_nothing() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, chatting(engine) as chat:
        await chat.send_publish(SessionSettings(context=Context(text="Verified.")))
        await chat.send_publish(UserInput(text="Hello?"))
        turn = await until(chat, AssistantEnd)

    assert isinstance(turn[0], UserMessage)
    assert turn[0].message.content == "Hello?"
    assert words(turn) == ["You said Hello?"]


async def test_the_voice_is_switched_for_what_is_spoken_next() -> None:
    voice = ToneVoice(200)
    async with serving(RuleMind(echo), voice=voice) as engine, chatting(engine) as chat:
        for voice_id in ("Ava Song", "5bb7de05-c8fe-426a-8fcc-ba4fc4ce9f9c", None):
            await chat.send_publish(SessionSettings(voice_id=voice_id))
            await chat.send_publish(AssistantInput(text="Hello."))
            await until(chat, AssistantEnd)

    assert voice.voices == ["Ava Song", "5bb7de05-c8fe-426a-8fcc-ba4fc4ce9f9c", None]


async def test_a_new_list_of_tools_takes_the_place_of_the_old_one() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine, chatting(engine) as chat:
        for names in (["one", "two"], ["three"]):
            tools = [Tool(type="function", name=name, parameters="{}") for name in names]
            await chat.send_publish(SessionSettings(tools=tools))
            prompt = await answered(chat, mind)

    assert [tool.name for tool in prompt.tools] == ["three"]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
async def test_any_usual_rate_is_heard(monkeypatch: pytest.MonkeyPatch, rate_hz: int) -> None:
    monkeypatch.setattr("evibridge.engine.hearing.hearing.VoiceActivity", LoudnessActivity)
    speech = silence(200, rate_hz) + tone(600, rate_hz) + silence(1_100, rate_hz)
    audio = AudioConfiguration(encoding="linear16", sample_rate=rate_hz, channels=1)
    async with (
        serving(RuleMind(echo), ears=QueuedEars("Hello.")) as engine,
        chatting(engine, session_settings={"audio": {**AUDIO}}) as chat,
    ):
        await chat.send_publish(SessionSettings(audio=audio))
        await send_audio(chat, speech)
        assert heard(await until(chat, AssistantEnd)) == ["Hello."]


async def test_every_message_may_carry_a_session_id() -> None:
    async with serving(RuleMind(echo)) as engine, chatting(engine) as chat:
        for message in (
            PauseAssistantMessage(custom_session_id="call-4711"),
            ResumeAssistantMessage(custom_session_id="call-4711"),
            ToolErrorMessage(custom_session_id="call-4711", tool_call_id="none", error="none"),
            ToolResponseMessage(custom_session_id="call-4711", tool_call_id="none", content=""),
        ):
            await chat.send_publish(message)
        assert await until(chat, ToolErrorMessage)
        assert await until(chat, ToolErrorMessage)
        await chat.send_publish(AssistantInput(custom_session_id="call-4711", text="Good day."))
        assert words(await until(chat, AssistantEnd)) == ["Good day."]
        await chat.send_publish(UserInput(custom_session_id="call-4711", text="Hello?"))
        assert words(await until(chat, AssistantEnd)) == ["You said Hello?"]
