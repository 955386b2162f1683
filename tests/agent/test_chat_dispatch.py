"""Messages of operators and of the call itself, on two ways to one chat, in virtual time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from evibridge.agent import evi_messages as evi
from evibridge.agent.commands import (
    Inject,
    OperatorCommand,
    Pause,
    Resume,
    Send,
    SetContext,
    SetVariables,
    Via,
)
from evibridge.agent.control_plane import ANSWER_TIMEOUT_S, ControlPlane, DeliveryUnknown
from evibridge.agent.digits import DigitCollection
from evibridge.agent.manners import Manners
from evibridge.errors import CommandRefused, LinkError, LinkRefused, LinkUnreachable
from evibridge.tools_registry.registry import Tools
from tests.agent.stage import MemoryChat, Stage
from tests.virtual_clock import run_in_virtual_time

ADA = "Ada"
Answer = Callable[[evi.ClientMessage], Awaitable[None]]


class Plane(ControlPlane):
    """A control plane that answers as a test wants."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("http://evi.example", None)
        self.answer = answer

    async def send(
        self, chat_id: str, message: evi.ClientMessage, *, is_only_way: bool = False
    ) -> None:
        assert chat_id
        assert not is_only_way
        await self.answer(message)


async def silent(_: evi.ClientMessage) -> None:
    await asyncio.sleep(ANSWER_TIMEOUT_S)
    raise DeliveryUnknown("no answer in time")


async def slow(_: evi.ClientMessage) -> None:
    await asyncio.sleep(0.5)


class PausableServer:
    """Obeys pause and resume, and answers words when it is not paused."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.is_paused = False
        self.answers = 0
        stage.evi.on_message = lambda chat, message: self.take(chat, message["type"])

    def take(self, chat: MemoryChat, kind: str) -> None:
        if kind == "pause_assistant_message":
            self.is_paused = True
        elif kind == "resume_assistant_message":
            self.is_paused = False
        del chat

    def hears(self, text: str) -> None:
        chat = self.stage.evi.open_chats[-1]
        chat.hear(text)
        if not self.is_paused:
            self.answers += 1
            chat.speak(f"a{self.answers}", "Here is your answer.", 1000)


async def outcome(stage: Stage, command: OperatorCommand) -> Via | str | None:
    """How a command has gone, or the code of its refusal."""
    try:
        return await stage.call.operate(command, ADA)
    except CommandRefused as refusal:
        return refusal.code


def user_inputs(stage: Stage) -> list[str]:
    return [each["text"] for chat in stage.evi.chats for each in chat.of_type("user_input")]


def test_a_resume_that_may_not_have_arrived_is_sent_again() -> None:
    async def scene() -> PausableServer:
        stage = Stage(control_plane=Plane(silent))
        server = PausableServer(stage)
        await stage.talk(1)
        await stage.call.operate(Pause(), ADA)
        await stage.call.operate(Resume(), ADA)
        server.hears("hello?")
        await stage.talk(5)
        await stage.leave()
        return server

    server = run_in_virtual_time(scene())
    assert not server.is_paused
    assert server.answers == 1


def test_a_pause_that_arrives_after_the_resume_is_undone() -> None:
    async def scene() -> PausableServer:
        plane = Plane(slow)
        stage = Stage(control_plane=plane)
        server = PausableServer(stage)
        await stage.talk(1)
        chat = stage.evi.chats[0]

        async def late(message: evi.ClientMessage) -> None:
            plane.answer = gone
            asyncio.get_running_loop().call_later(6, server.take, chat, message.type)
            await silent(message)

        async def gone(_: evi.ClientMessage) -> None:
            raise LinkUnreachable("it did not answer a moment ago")

        plane.answer = late
        await stage.call.operate(Pause(), ADA)
        await stage.call.operate(Resume(), ADA)
        await stage.talk(30)
        server.hears("hello?")
        await stage.talk(5)
        await stage.leave()
        return server

    server = run_in_virtual_time(scene())
    assert server.answers == 1


@pytest.mark.parametrize("command", [Inject("Where?"), Send(evi.UserInput("Where?"))])
@pytest.mark.parametrize("error", [LinkUnreachable("down"), LinkRefused("u", 404)])
def test_words_that_no_chat_was_told_are_not_reported_as_told(
    command: OperatorCommand, error: LinkError
) -> None:
    async def scene() -> tuple[Via | str | None, list[str]]:
        async def fail(_: evi.ClientMessage) -> None:
            await asyncio.sleep(0.03)
            raise error

        stage = Stage(control_plane=Plane(fail))
        await stage.talk(1)
        asked = asyncio.create_task(outcome(stage, command))
        await asyncio.sleep(0)
        stage.evi.chats[0].end(1011)
        way = await asked
        await stage.talk(5)
        told = user_inputs(stage)
        await stage.leave()
        return way, told

    assert run_in_virtual_time(scene()) == ("chat_was_lost", [])


def test_keys_that_wait_behind_an_operator_are_told_to_the_next_chat() -> None:
    async def scene() -> list[str]:
        digits = DigitCollection(sent_as="user_input")
        stage = Stage(manners=Manners(filler=None, digits=digits), control_plane=Plane(silent))
        await stage.talk(1)
        asked = asyncio.create_task(stage.call.operate(SetContext("A good customer."), ADA))
        await asyncio.sleep(0.1)
        for digit in "1042#":
            stage.call.caller_pressed(digit)
        stage.evi.chats[0].end(1011)
        await stage.talk(5)
        await asked
        told = user_inputs(stage)
        await stage.leave()
        return told

    assert len(run_in_virtual_time(scene())) == 1


def test_a_message_that_cannot_be_written_stops_no_other() -> None:
    async def scene() -> list[str]:
        stage = Stage(control_plane=Plane(slow))
        await stage.talk(1)
        asked = asyncio.create_task(stage.call.operate(SetContext("A good customer."), ADA))
        await asyncio.sleep(0.1)
        unwritable = evi.SessionSettings(metadata={"key": object()})
        stage.call._dispatch.tell(unwritable)
        stage.call.caller_typed("And I?")
        assert await asked is Via.CONTROL_PLANE
        await stage.talk(1)
        told = user_inputs(stage)
        await stage.leave()
        return told

    assert run_in_virtual_time(scene()) == ["And I?"]


def test_the_call_does_not_wait_for_all_that_an_operator_does_in_a_row() -> None:
    tools = Tools()

    @tools.tool
    async def look() -> str:
        """Look."""
        return "found"

    async def scene() -> float:
        async def very_slow(_: evi.ClientMessage) -> None:
            await asyncio.sleep(1.5)

        stage = Stage(tools, control_plane=Plane(very_slow))
        await stage.talk(1)
        commands = [
            asyncio.create_task(stage.call.operate(SetVariables({"n": number}), ADA))
            for number in range(6)
        ]
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        began_s, answered = loop.time(), loop.create_future()

        def take(_: MemoryChat, message: dict[str, object]) -> None:
            if message["type"] == "tool_response":
                answered.set_result(loop.time() - began_s)

        stage.evi.on_message = take
        stage.evi.chats[0].say(
            type="tool_call",
            tool_call_id="call_1",
            name="look",
            parameters="{}",
            response_required=True,
            tool_type="function",
        )
        waited_s: float = await answered
        await asyncio.gather(*commands)
        await stage.leave()
        return waited_s

    assert run_in_virtual_time(scene()) <= 2 * ANSWER_TIMEOUT_S
