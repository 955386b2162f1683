"""Whole calls in virtual time: what a caller and an EVI server live through in hours."""

import asyncio
from contextlib import suppress
from itertools import count, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge import events
from evibridge.agent.actions import Command
from evibridge.agent.duties import FILLER_AFTER_S, FILLER_AGAIN_S
from evibridge.agent.manners import Manners
from evibridge.events import ChatOpening, EndReason
from evibridge.tools_registry.registry import Tools
from tests.agent.stage import CHAT_LASTS_S, MemoryChat, MemoryPhone, Stage
from tests.parties import wav
from tests.virtual_clock import run_in_virtual_time

KEPT_S = 2.0
"""Of the caller's voice, while there is no chat."""
OPENING_S = 0.4
"""An attempt that succeeds takes no longer here, its delay included."""


async def converse(stage: Stage, seconds: float) -> None:
    """Question and answer, every ten seconds."""
    for turn in count():
        if turn * 10 >= seconds:
            return
        await stage.talk(2, loud=True)
        chat = stage.evi.open_chats[-1]
        chat.hear(f"Question {turn}?")
        await stage.talk(1)
        chat.speak(f"answer {turn}", f"Answer {turn}.", 1500)
        await stage.talk(7)


def test_a_call_of_two_hours_is_one_conversation_without_a_gap() -> None:
    async def act() -> Stage:
        stage = Stage()
        await converse(stage, 7200)
        assert await stage.leave() is EndReason.CALLER_HUNG_UP
        return stage

    stage = run_in_virtual_time(act())

    openings = [event.why for event in stage.of_type(events.ChatOpened)]
    assert openings == [ChatOpening.FIRST, *[ChatOpening.RENEWED] * 4]
    assert {chat.group for chat in stage.evi.chats} == {"group-0"}
    assert not stage.of_type(events.ServerReportedError)
    assert stage.heard_ms == stage.spoken_ms
    assert len(stage.of_type(events.AgentSaid)) == 720
    assert len(stage.phone.sounds) == 720


def test_a_caller_who_never_stops_talking_is_taken_over_all_the_same() -> None:
    async def act() -> Stage:
        stage = Stage()
        await stage.talk(CHAT_LASTS_S + 60, loud=True)
        await stage.leave()
        return stage

    stage = run_in_virtual_time(act())

    assert not stage.of_type(events.ServerReportedError)
    assert [chat.resumes for chat in stage.evi.chats] == [False, True]
    assert stage.heard_ms == stage.spoken_ms


@given(before_s=st.floats(1, 40), down_s=st.floats(0, 15))
@settings(max_examples=60, deadline=None)
def test_a_server_that_is_gone_for_a_while_costs_no_more_than_what_cannot_be_kept(
    before_s: float, down_s: float
) -> None:
    async def act() -> Stage:
        stage = Stage()
        conversation = asyncio.create_task(stage.talk(before_s + down_s + 20, loud=True))
        await asyncio.sleep(before_s)
        stage.evi.go_down()
        await asyncio.sleep(down_s)
        stage.evi.is_up = True
        await conversation
        await stage.leave()
        return stage

    stage = run_in_virtual_time(act())

    first, second = stage.evi.chats
    assert second.group == first.group
    assert second.resumes
    lost_ms = stage.spoken_ms - stage.heard_ms
    backoff_s = 4.0  # the longest delay between two attempts
    assert 0 <= lost_ms <= max(0.0, down_s + OPENING_S + backoff_s - KEPT_S) * 1000 + 400


def test_a_short_loss_costs_nothing() -> None:
    async def act() -> Stage:
        stage = Stage()
        await stage.talk(5, loud=True)
        stage.evi.chats[0].end(1011)
        await stage.talk(5, loud=True)
        await stage.leave()
        return stage

    stage = run_in_virtual_time(act())

    assert len(stage.evi.chats) == 2
    assert stage.heard_ms == stage.spoken_ms


def test_nobody_waits_in_silence_for_a_server_that_does_not_come_back() -> None:
    async def act() -> tuple[Stage, float, float]:
        stage = Stage(manners=Manners(), filler=wav(900))
        await stage.talk(2)
        stage.evi.chats[0].speak("a", "One two three.", 3000)
        await asyncio.sleep(0.5)
        lost_s = asyncio.get_running_loop().time()
        stage.evi.go_down()
        assert await stage.ended() is EndReason.EVI_LOST
        return stage, lost_s, asyncio.get_running_loop().time()

    stage, lost_s, ended_s = run_in_virtual_time(act())

    assert 19 < ended_s - lost_s < 23
    sounds = stage.phone.sounds
    gaps = [after[0] - before[1] for before, after in pairwise(sounds)]
    assert len(gaps) >= 3
    assert max(gaps) <= max(FILLER_AFTER_S, FILLER_AGAIN_S) + 0.01
    assert stage.phone.hung_up_for is EndReason.EVI_LOST


def test_a_hold_of_an_hour_is_silence_on_both_sides() -> None:
    async def act() -> Stage:
        stage = Stage()
        await stage.talk(1)
        stage.call.command(Command.HOLD)
        await stage.talk(3600, loud=True)
        stage.evi.open_chats[-1].speak("a", "Is anybody there?", 1000)
        stage.call.command(Command.RELEASE)
        await stage.talk(1)
        await stage.leave()
        return stage

    stage = run_in_virtual_time(act())

    assert not any(any(chat.audio) for chat in stage.evi.chats)
    assert stage.heard_ms == stage.spoken_ms
    assert stage.phone.sounds == []


def test_a_pause_outlives_the_chat_it_was_asked_of() -> None:
    async def act() -> Stage:
        stage = Stage()
        await stage.talk(1)
        stage.call.command(Command.PAUSE)
        await stage.talk(CHAT_LASTS_S)
        stage.evi.open_chats[-1].end(1001)
        await stage.talk(5)
        stage.call.command(Command.RESUME)
        await stage.leave()
        return stage

    stage = run_in_virtual_time(act())

    pauses = [len(chat.of_type("pause_assistant_message")) for chat in stage.evi.chats]
    resumes = [len(chat.of_type("resume_assistant_message")) for chat in stage.evi.chats]
    assert (pauses, resumes) == ([1, 1, 1], [0, 0, 1])


def test_a_tool_that_hangs_is_answered_for_and_the_call_goes_on() -> None:
    tools = Tools()

    @tools.tool
    async def hang() -> str:
        """Never answer."""
        await asyncio.Event().wait()
        return ""

    async def act() -> Stage:
        stage = Stage(tools)
        await stage.talk(1)
        chat = stage.evi.chats[0]
        chat.say(type="tool_call", tool_call_id="call_1", name="hang", parameters="{}")
        await stage.talk(10, loud=True)
        await stage.leave()
        return stage

    stage = run_in_virtual_time(act())

    (answer,) = stage.evi.chats[0].of_type("tool_error")
    assert answer["code"] == "timeout"
    assert stage.heard_ms == stage.spoken_ms


def test_a_tool_answers_once_though_its_chat_is_lost_and_asks_again() -> None:
    tools = Tools()
    orders: list[str] = []

    @tools.tool
    async def order(title: str) -> str:
        """Order a book.

        Args:
            title: of the book
        """
        orders.append(title)
        await asyncio.sleep(2)
        return "ordered"

    def ask_again(chat: MemoryChat, message: dict[str, Any]) -> None:
        if chat.resumes and message["type"] == "session_settings":
            call_tool(chat, "call_2")

    def call_tool(chat: MemoryChat, tool_call_id: str) -> None:
        parameters = '{"title":"Emma"}'
        chat.say(type="tool_call", tool_call_id=tool_call_id, name="order", parameters=parameters)

    async def act() -> Stage:
        stage = Stage(tools)
        stage.evi.on_message = ask_again
        await stage.talk(1)
        call_tool(stage.evi.chats[0], "call_1")
        await stage.talk(1)
        stage.evi.chats[0].end(1006)
        await stage.talk(5)
        await stage.leave()
        return stage

    stage = run_in_virtual_time(act())

    assert orders == ["Emma"]
    answers = [answer for chat in stage.evi.chats for answer in chat.of_type("tool_response")]
    assert [(answer["tool_call_id"], answer["content"]) for answer in answers] == [
        ("call_2", "ordered")
    ]


def test_a_caller_who_comes_back_on_another_line_hears_the_rest() -> None:
    async def act() -> tuple[Stage, MemoryPhone]:
        stage = Stage()
        await stage.talk(1)
        stage.evi.chats[0].speak("a", "One two three four five six.", 6000)
        await stage.talk(2)
        stage.call.caller_lost()
        await asyncio.sleep(8)
        another = MemoryPhone()
        another.call = stage.call
        stage.call.caller_returned(another)
        await stage.talk(1)
        stage.evi.chats[0].speak("b", "One two three four five six.", 6000)
        await stage.talk(1)
        await stage.leave()
        return stage, another

    stage, another = run_in_virtual_time(act())

    (chat,) = stage.evi.chats
    assert stage.phone.was_released
    assert len(another.sounds) == 1
    assert chat.of_type("assistant_input")[0]["text"] == "One two three four five six."
    silence_ms = stage.heard_ms - stage.spoken_ms
    assert 7800 <= silence_ms <= 8200, "the server's clock is the caller's audio"


def test_a_call_that_is_too_long_ends() -> None:
    async def act() -> tuple[EndReason, float]:
        stage = Stage(call_s=600)
        return await stage.ended(), asyncio.get_running_loop().time()

    assert run_in_virtual_time(act()) == (EndReason.MAX_DURATION, 600)


def test_a_held_caller_is_not_heard_even_if_the_news_of_it_cannot_be_told() -> None:
    async def act() -> bytes:
        stage = Stage()
        await stage.talk(1, loud=True)
        stage.unpublishable.add(events.CallHeld)
        with suppress(BrokenPipeError):
            stage.call.command(Command.HOLD)
        audio = stage.evi.chats[-1].audio
        audio.clear()
        await stage.talk(2, loud=True)
        heard = bytes(audio)
        await stage.leave()
        return heard

    heard = run_in_virtual_time(act())

    assert len(heard) == 2 * 16_000
    assert not any(heard)
