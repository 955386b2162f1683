"""Through Hume's own SDK: how chats end by themselves, and how their talk goes on in another."""

import asyncio

import pytest
from hume.empathic_voice import (
    AssistantEnd,
    ChatMetadata,
    PauseAssistantMessage,
    SessionSettings,
    SubscribeEvent,
    UserInput,
    UserMessage,
    WebSocketError,
)

from evibridge.engine.chat.timeouts import ChatLimits, EventMessage
from evibridge.engine.minds.mind import Say
from tests.engine.chat_client import PATIENCE_S, serving
from tests.engine.chat_parts import RuleMind, Steps, ToneVoice
from tests.engine.hume_client import (
    ChatSocket,
    chatting,
    close_code,
    connected,
    kinds,
    next_of,
    of_type,
    receive,
    rest,
    until,
    words,
)

SILENT = EventMessage(enabled=False)


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller has a tenth of a second to answer the check-in."""
    monkeypatch.setattr("evibridge.engine.chat.timeouts.CHECK_IN_GRACE_S", 0.1)


def echo(said: str) -> Steps:
    return [Say(f"You said {said}")]


def fault(events: list[SubscribeEvent]) -> tuple[str, str]:
    """Code and slug of the only error, which is the last message."""
    (error,) = of_type(events, WebSocketError)
    assert events[-1] is error
    return error.code, error.slug


# Timeouts


@pytest.mark.usefixtures("short_grace")
async def test_an_inactive_chat_is_checked_on_and_then_ended() -> None:
    limits = ChatLimits(inactivity_s=0.05)
    async with (
        serving(RuleMind(echo), voice=ToneVoice(200), limits=limits) as engine,
        chatting(engine) as chat,
    ):
        events = await rest(chat)

        assert close_code(chat) == 1000
    assert fault(events) == ("E0714", "inactivity_timeout")
    assert words(events)[0] == "Are you still there?"
    assert kinds(events)[-2:] == ["assistant_end", "error"]


async def test_without_a_check_in_an_inactive_chat_just_ends() -> None:
    limits = ChatLimits(inactivity_s=0.05, on_inactivity=SILENT)
    async with serving(RuleMind(echo), limits=limits) as engine, chatting(engine) as chat:
        events = await rest(chat)

        assert close_code(chat) == 1000
    assert kinds(events) == ["error"]
    assert fault(events) == ("E0714", "inactivity_timeout")


async def test_a_caller_who_answers_the_check_in_is_not_left() -> None:
    limits = ChatLimits(inactivity_s=0.05, on_inactivity=EventMessage(text="Hello?"))
    async with (
        serving(RuleMind(echo), voice=ToneVoice(200), limits=limits) as engine,
        chatting(engine) as chat,
    ):
        check_in = await until(chat, AssistantEnd)
        await chat.send_publish(UserInput(text="Yes."))
        answer = await until(chat, AssistantEnd)
        next_check_in = await until(chat, AssistantEnd)

    assert words(check_in + answer + next_check_in) == ["Hello?", "You said Yes.", "Hello?"]


@pytest.mark.usefixtures("short_grace")
async def test_a_paused_agent_does_not_check_in() -> None:
    limits = ChatLimits(inactivity_s=0.05)
    async with serving(RuleMind(echo), limits=limits) as engine, connected(engine) as chat:
        await chat.send_publish(PauseAssistantMessage())
        await chat.send_publish(UserInput(text="Hello?"))
        await until(chat, UserMessage)
        events = await rest(chat)

        assert close_code(chat) == 1000
    assert kinds(events) == ["error"]
    assert fault(events) == ("E0714", "inactivity_timeout")


async def test_the_longest_chat_ends_with_a_notice() -> None:
    limits = ChatLimits(max_duration_s=0.05)
    async with (
        serving(RuleMind(echo), voice=ToneVoice(200), limits=limits) as engine,
        chatting(engine) as chat,
    ):
        events = await rest(chat)

        assert close_code(chat) == 1000
    assert fault(events) == ("E0715", "max_duration_timeout")
    assert "goodbye" in " ".join(map(str, words(events)))
    assert kinds(events)[-2:] == ["assistant_end", "error"]


async def test_without_a_notice_the_longest_chat_just_ends() -> None:
    limits = ChatLimits(max_duration_s=0.05, on_max_duration=SILENT)
    async with serving(RuleMind(echo), limits=limits) as engine, chatting(engine) as chat:
        events = await rest(chat)

        assert close_code(chat) == 1000
    assert kinds(events) == ["error"]
    assert fault(events) == ("E0715", "max_duration_timeout")


# Chat groups


async def metadata_of(chat: ChatSocket) -> ChatMetadata:
    metadata = await receive(chat)
    assert isinstance(metadata, ChatMetadata)
    return metadata


async def test_a_resumed_chat_remembers_what_was_said_and_nothing_that_was_set() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine:
        async with connected(engine) as chat:
            first = await metadata_of(chat)
            await chat.send_publish(SessionSettings(system_prompt="Be brief."))
            await chat.send_publish(UserInput(text="I am Ada."))
            await until(chat, AssistantEnd)

        async with connected(engine, resumed_chat_group_id=first.chat_group_id) as chat:
            second = await metadata_of(chat)
            await chat.send_publish(UserInput(text="Who am I?"))
            turn = await until(chat, AssistantEnd)

    assert second.chat_group_id == first.chat_group_id
    assert second.chat_id != first.chat_id
    assert kinds(turn) == ["user_message", "assistant_message", "audio_output", "assistant_end"]
    prompt = mind.prompts[-1]
    assert [entry.content for entry in prompt.history if entry.role == "user"] == [
        "I am Ada.",
        "Who am I?",
    ]
    assert prompt.system_prompt is None


async def test_a_resumed_chat_is_not_greeted() -> None:
    mind = RuleMind(echo, greeting="Good day.")
    async with serving(mind) as engine:
        async with connected(engine) as chat:
            group_id = (await metadata_of(chat)).chat_group_id
            assert words(await until(chat, AssistantEnd)) == ["Good day."]

        async with connected(engine, resumed_chat_group_id=group_id) as chat:
            await metadata_of(chat)
            await chat.send_publish(SessionSettings(system_prompt="Be brief."))
            await chat.send_publish(UserInput(text="Hello?"))
            assert words(await until(chat, AssistantEnd)) == ["You said Hello?"]


async def test_the_memory_of_a_resumed_chat_can_be_limited() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine:
        async with connected(engine) as chat:
            group_id = (await metadata_of(chat)).chat_group_id
            for text in ("One.", "Two.", "Three."):
                await chat.send_publish(UserInput(text=text))
                await until(chat, AssistantEnd)

        async with connected(engine, resumed_chat_group_id=group_id, event_limit=1) as chat:
            await chat.send_publish(UserInput(text="Four."))
            await until(chat, AssistantEnd)

    assert [entry.content for entry in mind.prompts[-1].history if entry.role == "user"] == [
        "Three.",
        "Four.",
    ]


async def test_a_chat_group_that_does_not_exist_is_e0708() -> None:
    async with (
        serving(RuleMind(echo)) as engine,
        connected(engine, resumed_chat_group_id="8859a139-d98a-4e2f-af54-9dd66d8c96e1") as chat,
    ):
        events = await rest(chat)

        assert close_code(chat) == 1000
    assert fault(events)[0] == "E0708"


async def test_two_groups_do_not_know_each_other() -> None:
    mind = RuleMind(echo)
    async with serving(mind) as engine:
        for text in ("I am Ada.", "Who am I?"):
            async with connected(engine) as chat:
                await chat.send_publish(UserInput(text=text))
                await next_of(chat, AssistantEnd)

    assert [entry.content for entry in mind.prompts[-1].history] == ["Who am I?"]


async def test_a_client_may_leave_at_any_time() -> None:
    class Leaving(RuleMind):
        async def close(self) -> None:
            left.set()

    left = asyncio.Event()
    async with serving(Leaving(echo)) as engine, chatting(engine) as chat:
        await chat._websocket.close()
        await asyncio.wait_for(left.wait(), PATIENCE_S)

        assert close_code(chat) == 1000
