"""Calls of people who sit before a page: what they can do, and what only telephones can."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from evibridge import ToolContext, Tools, events
from evibridge.agent.actions import Command
from evibridge.agent.briefing import MAX_KEPT_MESSAGES
from evibridge.agent.call_plan import CallerFacts
from evibridge.agent.commands import Transfer
from evibridge.errors import CommandRefused
from evibridge.events import CallKind
from tests.agent.stage import Stage
from tests.agent.test_tools_in_calls import use_tool
from tests.virtual_clock import run_in_virtual_time

ANN = CallerFacts("web-1", "Ann", kind=CallKind.BROWSER, variables={"shop": "Harbour", "age": 30})


def play(scene: Callable[[Stage], Awaitable[None]], tools: Tools | None = None) -> Stage:
    async def act() -> Stage:
        stage = Stage(tools, facts=ANN)
        stage.phone.can_transfer = False
        await stage.talk(1)
        await scene(stage)
        await stage.leave()
        return stage

    return run_in_virtual_time(act())


def test_variables_of_a_caller_are_told_beside_those_of_the_agent() -> None:
    async def scene(stage: Stage) -> None:
        del stage

    (settings,) = play(scene).evi.chats[0].of_type("session_settings")

    assert settings["variables"] == {"shop": "Harbour", "age": 30}


def test_the_call_says_where_its_caller_is() -> None:
    async def scene(stage: Stage) -> None:
        assert stage.call.snapshot().kind is CallKind.BROWSER

    play(scene)


def test_nobody_is_put_through_who_has_no_telephone() -> None:
    tools = Tools()

    @tools.tool
    async def ask_the_workshop(call: ToolContext) -> str:
        """Put through."""
        await call.transfer("+14155550100")
        return "Putting through."

    async def scene(stage: Stage) -> None:
        use_tool(stage.evi.chats[0], "ask_the_workshop")
        await stage.talk(1)
        with pytest.raises(CommandRefused) as refused:
            await stage.call.operate(Transfer("+14155550100"), "Ada")
        assert refused.value.code == "caller_has_no_telephone"

    (answer,) = play(scene, tools).evi.chats[0].of_type("tool_error")

    assert "cannot be put through" in answer["content"]


def test_a_caller_mutes_and_pauses() -> None:
    async def scene(stage: Stage) -> None:
        stage.call.caller_mutes(is_muted=False)
        stage.call.caller_mutes(is_muted=True)
        stage.call.caller_mutes(is_muted=True)
        stage.call.caller_pauses()
        await asyncio.sleep(1)
        stage.call.caller_resumes()
        stage.call.caller_mutes(is_muted=False)

    stage = play(scene)
    stage.call.caller_mutes(is_muted=True)  # too late

    assert stage.of_type(events.CallerMuted) == [
        events.CallerMuted(is_muted=True),
        events.CallerMuted(is_muted=False),
    ]
    kinds = [message["type"] for message in stage.evi.chats[0].told]
    assert kinds == ["session_settings", "pause_assistant_message", "resume_assistant_message"]


def test_nobody_writes_to_an_agent_who_does_not_read() -> None:
    refusals = []

    def write(stage: Stage) -> None:
        try:
            stage.call.caller_typed("Hello?")
        except CommandRefused as refusal:
            refusals.append(refusal.code)

    async def scene(stage: Stage) -> None:
        stage.call.command(Command.HOLD)
        write(stage)
        stage.call.command(Command.RELEASE)
        stage.evi.chats[0].end(1006)
        await asyncio.sleep(0)
        for _ in range(MAX_KEPT_MESSAGES + 1):
            write(stage)
        await stage.talk(3)
        stage.call.end_with("Goodbye.")
        write(stage)

    told = play(scene).evi.chats[1].of_type("user_input")

    assert refusals == ["call_is_held", "agent_is_away", "call_is_ending"]
    assert len(told) == MAX_KEPT_MESSAGES
