"""What stands in the way of a call, and what the page says to do about it."""

import aiohttp
import pytest
from playwright.async_api import expect

from tests.browser.chromium import MICROPHONE_FORBIDDEN, NO_MICROPHONE
from tests.browser.conftest import LOOPBACK_SERVICE, Visit
from tests.parties import tiny_evi
from tests.processes import Running, run_service

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(150)]

NO_WAY_FOR_UDP = """
    window.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration) {
        super({ ...configuration, iceTransportPolicy: "relay" });
      }
    };
"""
NOT_LOADED = "Failed to load resource"


async def test_who_forbids_the_microphone_learns_how_to_allow_it_and_may_type(
    visit: Visit,
) -> None:
    caller = await visit(flags=MICROPHONE_FORBIDDEN)
    await caller.opens()

    await caller.presses("Start talking")
    await caller.sees_title("The microphone is blocked")
    await caller.sees("Set Microphone to Allow.")
    await expect(caller.button("Try again")).to_be_visible()

    await caller.presses("Type instead")
    await caller.sees_state("speaking")


async def test_who_has_no_microphone_is_told_to_plug_one_in(visit: Visit) -> None:
    caller = await visit(flags=NO_MICROPHONE)
    await caller.opens()

    await caller.presses("Start talking")

    await caller.sees_title("No microphone found")
    assert "Plug one in" in await caller.hint()


async def test_where_a_network_lets_no_udp_through_the_call_goes_by_websocket(
    visit: Visit,
) -> None:
    caller = await visit("webrtc", may_complain=NOT_LOADED)
    await caller.page.add_init_script(NO_WAY_FOR_UDP)
    await caller.opens()

    await caller.presses("Start talking")

    await caller.call_id("websocket")
    await caller.sees_said("The Paper Lantern", "Good day")


async def test_who_has_no_network_is_told_to_look_at_it(visit: Visit) -> None:
    caller = await visit(may_complain="ERR_INTERNET_DISCONNECTED")
    await caller.opens()

    await caller.page.context.set_offline(True)
    await caller.presses("Start talking")
    await caller.sees_title("The service does not answer")
    assert "Check your network" in await caller.hint()

    await caller.page.context.set_offline(False)
    await caller.presses("Try again")
    await caller.sees_state("speaking")


async def test_a_link_lets_in_once(service: Running, visit: Visit) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{service.origin}/browser/session") as answer,
    ):
        token = (await answer.json())["token"]
    caller = await visit()
    await caller.opens(f"/#token={token}")
    await caller.presses("Start talking")
    await caller.sees_state("speaking")
    assert token not in caller.page.url

    stranger = await visit(may_complain=NOT_LOADED)
    await stranger.opens(f"/#token={token}")
    await stranger.presses("Start talking")
    await stranger.sees_title("This link was used")


async def test_when_all_lines_are_busy_the_page_says_so_and_tries_again(visit: Visit) -> None:
    async with (
        tiny_evi() as evi,
        run_service(
            module=LOOPBACK_SERVICE, EVIBRIDGE_MAX_CALLS="1", EVIBRIDGE_EVI_URL=evi.origin
        ) as service,
    ):
        first = await visit(origin=service.origin)
        await first.opens()
        await first.presses("Start talking")
        await first.told("welcome")
        await (await evi.next_chat()).open()
        await first.told("ready")

        second = await visit(origin=service.origin, may_complain=NOT_LOADED)
        await second.opens()
        await second.presses("Start talking")
        await second.sees_title("All lines are busy")
        assert "trying again in" in await second.hint()

        await first.presses("End call")
        await service.told("call_ended")
        await second.presses("Try again")
        await second.told("welcome")
