"""People who type, pause and leave."""

import pytest

from evibridge.engine.hearing.ears import WhisperEars
from tests.browser.chromium import NO_MICROPHONE
from tests.browser.conftest import Visit
from tests.browser.settling import settles
from tests.browser.visitor import Transport
from tests.processes import Running

pytestmark = [
    pytest.mark.asyncio(loop_scope="package"),
    pytest.mark.timeout(150),
    pytest.mark.parametrize("transport", ["webrtc", "websocket"]),
]

SILENT_WITHIN_MS = 2000


async def test_who_has_no_microphone_types_and_is_answered_aloud(
    transport: Transport, service: Running, ears: WhisperEars, visit: Visit
) -> None:
    caller = await visit(transport, flags=NO_MICROPHONE)
    await caller.opens()

    await caller.presses("Type instead")
    call_id = await caller.call_id(transport)
    await caller.sees_state("speaking")
    await caller.types("Just a moment, please.")
    asked = await caller.told("transcript", by="caller", typed=True)
    await caller.sees_said("You", "Just a moment, please.")
    await caller.sees_said("The Paper Lantern", "Take your time.")
    await caller.sees_title("Waiting for you")

    assert "your time" in await (await caller.heard()).since(asked.at_ms).words(ears)
    said = service.logged("caller_said", call_id=call_id)
    assert [line["text"] for line in said] == ["Just a moment, please."]


async def test_a_paused_agent_is_silent_until_it_is_resumed(
    transport: Transport, service: Running, visit: Visit
) -> None:
    caller = await visit(transport)
    await caller.opens()

    await caller.presses("Start talking")
    call_id = await caller.call_id(transport)
    await caller.sees_state("speaking")
    await caller.presses("Pause")
    paused = await caller.told("paused", by="you")
    await caller.sees_title("Paused")
    await service.told("agent_paused", call_id=call_id)
    await caller.presses("Type")
    await caller.types("Where is order 1042?")
    await caller.sees_said("You", "Where is order 1042?")
    silent_ms = await caller.hears_silence()
    await caller.presses("Pause")  # it says Resume, and keeps its name for screen readers
    await caller.told("resumed")
    await caller.sees_state("listening")
    await service.told("agent_resumed", call_id=call_id)
    await caller.types("Just a moment, please.")
    await caller.sees_said("The Paper Lantern", "Take your time.")

    assert silent_ms - paused.at_ms < SILENT_WITHIN_MS


async def test_whoever_ends_the_call_may_read_what_was_said_and_call_again(
    transport: Transport, service: Running, visit: Visit
) -> None:
    caller = await visit(transport)
    await caller.opens()

    await caller.presses("Start talking")
    call_id = await caller.call_id(transport)
    await caller.sees_said("The Paper Lantern", "Good day")
    await settles(caller)
    await caller.presses("End call")
    await caller.sees_title("Call ended")
    assert (await caller.hint()).startswith("You ended the call after ")
    await service.told("call_ended", call_id=call_id, reason="caller_hung_up")
    await caller.presses("Read the conversation")
    await caller.sees("Good day, this is the Paper Lantern book shop.")

    await settles(caller)
    await caller.presses("Talk again")
    await caller.sees_state("speaking")
    again = await caller.told("welcome", times=2)
    assert again.message["call_id"] != call_id


async def test_a_page_that_is_closed_ends_its_call(
    transport: Transport, service: Running, visit: Visit
) -> None:
    caller = await visit(transport)
    await caller.opens()

    await caller.presses("Start talking")
    call_id = await caller.call_id(transport)
    await caller.sees_state("speaking")
    await caller.leaves()

    await service.told("call_ended", call_id=call_id, reason="caller_hung_up")
