"""What stands in the way of a call, and what the page says to do about it."""

import aiohttp
import pytest
from playwright.async_api import Route, expect

from tests.browser.chromium import MICROPHONE_FORBIDDEN, NO_MICROPHONE
from tests.browser.conftest import LOOPBACK_SERVICE, Visit
from tests.browser.settling import settles
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
NOBODY_ANSWERS = """
    if (isSecureContext) {
      MediaDevices.prototype.getUserMedia = () => new Promise(() => {});
      Permissions.prototype.query = async () => ({ state: "prompt" });
    }
"""
CHOSEN_ONCE = "if (isSecureContext) localStorage.setItem('evibridge.microphone', 'gone');"
KEEPS_TRACKS = """
    if (isSecureContext) {
      const open = MediaDevices.prototype.getUserMedia;
      window.tracks = [];
      MediaDevices.prototype.getUserMedia = async function (wanted) {
        const stream = await open.call(this, wanted);
        tracks.push(...stream.getAudioTracks());
        return stream;
      };
    }
"""
CUT = """() => {
    const isOutside = ({ left, right }) => left < -0.5 || right > innerWidth + 0.5;
    return [...document.querySelectorAll("button, h1, strong, #hint, .tag")]
      .filter((part) => part.checkVisibility() && !part.closest(".sr"))
      .filter((part) => part.scrollWidth > part.clientWidth + 1
        || part.scrollHeight > part.clientHeight + 1 || isOutside(part.getBoundingClientRect()))
      .map((part) => `${part.id} ${part.textContent}`);
}"""
"""What of the page does not fit into its place."""
LEAST_TALK_PX = 50


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
    await settles(caller)
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
    assert token not in caller.page.url
    await caller.key("Tab", "Enter")  # the link that skips to the controls
    await caller.page.reload()
    await caller.presses("Start talking")
    await caller.sees_state("speaking")
    await settles(caller)
    await caller.presses("End call")
    await caller.sees("Open your link again to call once more.")
    await expect(caller.button("Talk again")).to_be_hidden()

    stranger = await visit(may_complain=NOT_LOADED)
    await stranger.opens(f"/#token={token}")
    await stranger.presses("Start talking")
    await stranger.sees_title("This link was used")
    await expect(stranger.button("Try again")).to_be_hidden()


async def test_who_may_not_call_is_told_nothing_that_is_for_operators(visit: Visit) -> None:
    async def refuse(route: Route) -> None:
        await route.fulfill(status=403, json={"code": "not_local", "message": "Set the address."})

    caller = await visit(may_complain=NOT_LOADED)
    await caller.page.route("**/browser/session", refuse)
    await caller.opens()

    await caller.presses("Start talking")

    await caller.sees_title("A link is needed")
    assert await caller.hint() == "This page needs a link from whoever runs it."
    await expect(caller.button("Try again")).to_be_hidden()


async def test_a_page_that_did_not_load_fully_can_be_loaded_again(visit: Visit) -> None:
    caller = await visit(may_complain=NOT_LOADED)
    await caller.page.route("**/caller/meter.js", lambda route: route.abort())
    await caller.opens()

    await caller.sees_title("The page did not load fully")
    assert await caller.hint() == "Load it again."
    await expect(caller.button("Sound")).to_be_disabled()

    await caller.page.unroute("**/caller/meter.js")
    await caller.presses("Reload")
    await expect(caller.button("Start talking")).to_be_enabled()


async def test_a_microphone_that_was_chosen_once_and_is_gone_is_no_obstacle(visit: Visit) -> None:
    caller = await visit()
    await caller.page.add_init_script(CHOSEN_ONCE)
    await caller.opens()

    await caller.presses("Start talking")

    await caller.sees_state("speaking")


async def test_who_is_asked_for_the_microphone_is_told_where_to_allow_it(visit: Visit) -> None:
    caller = await visit()
    await caller.page.add_init_script(NOBODY_ANSWERS)
    await caller.opens()

    await caller.presses("Start talking")

    await caller.sees("Allow the microphone in your browser.")
    await settles(caller)
    await caller.presses("Cancel")
    await expect(caller.button("Start talking")).to_be_visible()


async def test_a_microphone_that_is_lost_in_a_call_is_opened_again(visit: Visit) -> None:
    caller = await visit()
    await caller.page.add_init_script(KEEPS_TRACKS)
    await caller.opens()

    await caller.presses("Start talking")
    await caller.sees_state("speaking")
    await caller.page.evaluate("tracks[0].dispatchEvent(new Event('ended'))")
    await caller.sees_title("The agent cannot hear you")
    await settles(caller)
    await caller.presses("Talk: switch the microphone on")

    await caller.sees("The microphone is on.")
    await expect(caller.button("Mute")).to_be_visible()


async def test_who_pauses_while_there_is_no_connection_is_told_so(visit: Visit) -> None:
    caller = await visit(may_complain="ERR_INTERNET_DISCONNECTED")
    await caller.opens()

    await caller.presses("Start talking")
    await caller.sees_state("speaking")
    await caller.presses("Type")
    await caller.page.context.set_offline(True)
    await caller.page.evaluate("observed.peers.at(-1).close()")
    await caller.sees_state("reconnecting")
    await caller.presses("Pause")
    await caller.sees("Not connected just now.")
    await caller.types("Are you there?")

    field = caller.page.get_by_label("Message to the agent")
    assert await field.input_value() == "Are you there?"


@pytest.mark.parametrize(
    ("width", "height", "text"),
    [(360, 740, "200%"), (320, 568, "100%"), (640, 360, "100%"), (320, 256, "100%")],
)
async def test_nothing_is_cut_where_text_is_large_or_windows_are_low(
    visit: Visit, width: int, height: int, text: str
) -> None:
    caller = await visit()
    await caller.page.set_viewport_size({"width": width, "height": height})
    await caller.opens()
    await caller.page.evaluate(f"document.documentElement.style.fontSize = '{text}'")

    assert await caller.page.evaluate(CUT) == []
    await caller.presses("Start talking")
    await caller.sees_said("The Paper Lantern", "Good day")
    assert await caller.page.evaluate(CUT) == []
    await expect(caller.button("End call")).to_be_in_viewport(ratio=1)
    talk = await caller.page.locator("#talk").bounding_box()
    assert talk
    assert talk["height"] >= LEAST_TALK_PX
    await settles(caller)
    await caller.presses("End call")
    await caller.sees_title("Call ended")
    assert await caller.page.evaluate(CUT) == []


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
        await second.presses("Cancel")
        await settles(second)
        await second.presses("Start talking")
        await second.sees_title("All lines are busy")

        await first.presses("End call")
        await service.told("call_ended")
        await settles(second)
        await second.presses("Try again")
        await second.told("welcome")
