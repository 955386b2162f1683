"""Connections that break in the middle of a call."""

import pytest

from evibridge.engine.hearing.ears import WhisperEars
from tests.browser.conftest import LOOPBACK_SERVICE, Microphones, Visit
from tests.browser.visitor import Transport, Visitor
from tests.faults.proxy import proxy
from tests.parties import tiny_evi
from tests.processes import Running, run_service

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(150)]

BACK_S = 8.0
"""After the opening of the microphone a caller whose connection broke early is back by then."""
LATER = (BACK_S, "Thank you very much.")


async def test_a_call_whose_socket_is_cut_goes_on_by_another(
    service: Running, ears: WhisperEars, visit: Visit, microphones: Microphones
) -> None:
    async with proxy(service.origin) as network:
        caller = await visit("websocket", microphone=microphones(LATER), origin=network.origin)
        await caller.opens()
        await caller.presses("Start talking")
        call_id = await caller.call_id("websocket")
        await caller.sees_state("speaking")

        network.end()

        await goes_on(caller, call_id, service, ears)


async def test_a_call_whose_peer_connection_is_closed_goes_on_by_another(
    service: Running, ears: WhisperEars, visit: Visit, microphones: Microphones
) -> None:
    caller = await visit("webrtc", microphone=microphones(LATER))
    await caller.opens()
    await caller.presses("Start talking")
    call_id = await caller.call_id("webrtc")
    await caller.sees_state("speaking")

    await caller.page.evaluate("observed.peers.at(-1).close()")

    await goes_on(caller, call_id, service, ears)


@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_when_the_service_is_stopped_the_page_says_why_the_call_has_ended(
    transport: Transport, visit: Visit
) -> None:
    async with (
        tiny_evi() as evi,
        run_service(
            module=LOOPBACK_SERVICE, EVIBRIDGE_EVI_URL=evi.origin, EVIBRIDGE_DRAIN_SECONDS="0"
        ) as service,
    ):
        caller = await visit(transport, origin=service.origin)
        await caller.opens()
        await caller.presses("Start talking")
        await caller.told("welcome")
        await (await evi.next_chat()).open()
        await caller.told("ready")

        await service.stop()

        await caller.sees_title("Call ended")
        assert "is being restarted" in await caller.hint()


async def goes_on(caller: Visitor, call_id: str, service: Running, ears: WhisperEars) -> None:
    await caller.sees_title("Reconnecting")
    await service.told("caller_lost", call_id=call_id)
    await service.told("caller_returned", call_id=call_id)
    welcome = await caller.told("welcome", times=2)
    assert welcome.message["call_id"] == call_id
    await caller.sees_said("You", "Thank you")
    thanked = await caller.told("transcript", by="caller", interim=False)
    await caller.sees_said("The Paper Lantern", "You are very welcome.")
    assert "welcome" in await (await caller.heard()).since(thanked.at_ms).words(ears)
    assert await caller.page.locator("#log .said", has_text="Good day").count() == 1
