"""Operators and a whole call: over real sockets, between a carrier and an EVI server."""

import asyncio

import pytest

from evibridge.agent import control_plane
from evibridge.agent.commands import Decide, Inject, Pause, Resume, Say, SetContext, Via
from evibridge.errors import CommandRefused
from evibridge.tools_registry.progress import Verdict
from tests.bridges.conftest import Scene
from tests.parties import PATIENCE_S, TinyTwilio

ADA = "Ada"


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control plane is not waited for long."""
    monkeypatch.setattr(control_plane, "ANSWER_TIMEOUT_S", 0.2)
    monkeypatch.setattr(control_plane, "CONNECT_TIMEOUT_S", 0.1)


async def operate(scene: Scene, twilio: TinyTwilio, command: object) -> Via | None:
    call = scene.service.calls.get(twilio.call_sid)
    assert call is not None
    async with asyncio.timeout(PATIENCE_S):
        return await call.operate(command, ADA)  # type: ignore[arg-type]


async def test_what_operators_ask_for_goes_out_where_every_observer_of_the_chat_sees_it(
    scene: Scene,
) -> None:
    twilio, _ = await scene.talk()

    assert await operate(scene, twilio, Say("We close at six.")) is Via.CONTROL_PLANE
    assert await scene.evi.next_posted() == {
        "type": "assistant_input",
        "text": "We close at six.",
    }


async def test_a_server_without_a_control_plane_is_told_by_the_chat(scene: Scene) -> None:
    twilio, chat = await scene.talk()
    scene.evi.control_plane_status = 404

    assert await operate(scene, twilio, Pause()) is Via.CHAT_SOCKET
    await chat.expect("pause_assistant_message")


@pytest.mark.usefixtures("_impatient")
async def test_a_message_that_may_have_arrived_is_not_sent_again(
    scene: Scene,
) -> None:
    twilio, chat = await scene.talk()
    scene.evi.control_plane_status = 0

    with pytest.raises(CommandRefused) as refused:
        await operate(scene, twilio, Inject("Where is my order?"))
    assert refused.value.code == "delivery_unknown"
    await scene.evi.next_posted()
    assert await operate(scene, twilio, SetContext("He is in a hurry.")) is Via.CHAT_SOCKET
    told = await chat.expect("session_settings")  # before it, nothing came by the chat
    assert told["context"]["text"] == "He is in a hurry."


async def test_what_the_call_tells_waits_behind_what_an_operator_does(scene: Scene) -> None:
    twilio, chat = await scene.talk()
    call = scene.service.calls.get(twilio.call_sid)
    assert call is not None

    paused = asyncio.create_task(call.operate(Pause(), ADA))
    await asyncio.sleep(0)  # it is on its way
    call.caller_typed("And this?")
    assert scene.evi.posted.empty()
    assert await paused is Via.CONTROL_PLANE

    assert (await scene.evi.next_posted())["type"] == "pause_assistant_message"
    await chat.expect("user_input")


@pytest.mark.usefixtures("_impatient")
async def test_a_pause_of_which_nothing_is_known_is_told_by_the_chat_as_well(
    scene: Scene,
) -> None:
    twilio, chat = await scene.talk()
    scene.evi.control_plane_status = 0

    assert await operate(scene, twilio, Pause()) is Via.CHAT_SOCKET
    await chat.expect("pause_assistant_message")


@pytest.mark.usefixtures("_impatient")
async def test_a_sentence_that_is_not_spoken_in_time_is_told_by_the_chat_as_well(
    scene: Scene,
) -> None:
    twilio, chat = await scene.talk()
    scene.evi.control_plane_status = 0

    assert await operate(scene, twilio, Say("We close at six.")) is Via.CHAT_SOCKET
    assert (await chat.expect("assistant_input"))["text"] == "We close at six."


@pytest.mark.usefixtures("_impatient")
async def test_a_chat_that_is_lost_between_command_and_answer_took_no_words(
    scene: Scene,
) -> None:
    twilio, chat = await scene.talk()
    scene.evi.control_plane_status = 0
    asked = asyncio.create_task(operate(scene, twilio, Inject("Where is my order?")))
    await scene.evi.next_posted()

    await chat.close(1011)
    following = await scene.evi.next_chat()
    await following.open()

    with pytest.raises(CommandRefused) as refused:
        await asked
    assert refused.value.code == "chat_was_lost"


async def test_a_paused_agent_can_be_resumed_by_the_way_it_was_paused(scene: Scene) -> None:
    twilio, _ = await scene.talk()

    await operate(scene, twilio, Pause())
    assert await operate(scene, twilio, Pause()) is None
    assert await operate(scene, twilio, Resume()) is Via.CONTROL_PLANE
    assert (await scene.evi.next_posted())["type"] == "pause_assistant_message"
    assert (await scene.evi.next_posted())["type"] == "resume_assistant_message"


async def test_a_tool_that_does_not_wait_is_not_decided_about(scene: Scene) -> None:
    twilio, _ = await scene.talk()

    with pytest.raises(CommandRefused, match="No tool waits under this id"):
        await operate(scene, twilio, Decide("call_1", Verdict(is_approved=True)))


@pytest.mark.usefixtures("_impatient")
async def test_a_call_that_ends_meanwhile_leaves_no_operator_waiting(
    scene: Scene,
) -> None:
    twilio, _ = await scene.talk()
    scene.evi.control_plane_status = 0
    said = asyncio.create_task(operate(scene, twilio, Say("Goodbye.")))
    await scene.evi.next_posted()

    await twilio.post("/twilio/call-status", CallStatus="completed")

    assert await said is None
