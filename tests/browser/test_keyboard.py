"""People who have no pointer, and people who do not see the page."""

from typing import Literal

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Visit
from tests.browser.settling import settles
from tests.browser.visitor import PATIENCE_MS, Visitor
from tests.processes import Running

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(150)]

FOCUSED = """() => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(document.activeElement);
    const hasOutline = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
    const isMarked = hasOutline || boxShadow !== "none";
    return [document.activeElement.innerText.trim(), isMarked];
}"""
CONTROLS = "button, input, select, a"
MOST_CONTROLS = 20


async def test_a_whole_call_is_made_by_keys(service: Running, visit: Visit) -> None:
    caller = await visit()
    await caller.opens()

    await tabs_to(caller, "Start talking")
    await caller.key("Enter")
    call_id = await caller.call_id("webrtc")
    await caller.sees_state("speaking")
    await caller.key("m")
    await caller.sees_title("You are muted")
    await caller.hears_announced("You are muted")
    await service.told("caller_muted", call_id=call_id, is_muted=True)
    await caller.key("m")
    await service.told("caller_muted", call_id=call_id, is_muted=False)
    await caller.key("p")
    await caller.sees_title("Paused")
    await caller.key("p")
    await service.told("agent_resumed", call_id=call_id)
    await caller.key("t")
    await caller.page.keyboard.type("What time is it, mum?")
    await caller.key("Enter")
    await caller.sees_said("You", "What time is it, mum?")
    await caller.key("Escape")
    await caller.sees("Press Esc again to end the call.")
    await caller.key("Escape")
    await caller.sees_title("Call ended")
    await service.told("call_ended", call_id=call_id, reason="caller_hung_up")

    await caller.hears_announced("Call ended: You ended the call after ")
    assert (await caller.announced())[0] == "Connecting"
    assert caller.asked == {service.origin.removeprefix("http://")}
    assert not await caller.violations()


async def test_a_key_that_is_held_down_presses_a_button_once(visit: Visit) -> None:
    caller = await visit()
    await caller.opens()

    await tabs_to(caller, "Start talking")
    for _ in range(5):
        await caller.page.keyboard.down("Enter")
    await caller.page.keyboard.up("Enter")

    await caller.sees_state("speaking")


async def test_a_double_click_begins_a_call_and_does_not_cancel_it(visit: Visit) -> None:
    caller = await visit()
    await caller.opens()

    await caller.button("Start talking").dblclick()

    await caller.sees_state("speaking")


async def test_the_focus_is_always_somewhere(visit: Visit) -> None:
    caller = await visit()
    await caller.opens()

    await tabs_to(caller, "Type instead")
    await caller.key("Enter")
    await has_focus(caller, "Cancel")
    await caller.sees_state("speaking")
    await has_focus(caller, "Message to the agent", role="textbox")
    await caller.button("Sound").press("Enter")
    await caller.page.get_by_label("Take turns.").focus()
    await caller.key("Escape")
    await has_focus(caller, "Sound")
    await caller.page.get_by_label("Message to the agent").fill("A draft that nobody sends")
    await caller.key("Escape", "Escape")
    await has_focus(caller, "Type again")

    await expect(caller.button("Talk instead")).to_be_visible()
    assert await caller.page.locator("#message").input_value() == ""


async def test_each_control_has_a_name_and_shows_that_it_has_the_focus(visit: Visit) -> None:
    caller = await visit()
    await caller.opens()
    await all_have_names(caller)
    await caller.key("d")
    await caller.sees("Take turns.")
    await all_have_names(caller)
    await caller.key("Escape")
    await settles(caller)
    await caller.presses("Start talking")
    await caller.sees_state("speaking")
    await caller.key("t")
    await all_have_names(caller)


async def tabs_to(caller: Visitor, name: str) -> None:
    """Go on with Tab until a control has the focus; each one on the way shows that it has it."""
    for _ in range(MOST_CONTROLS):
        await caller.key("Tab")
        focused, is_marked = await caller.page.evaluate(FOCUSED)
        assert is_marked, f"nothing shows that {focused!r} has the focus"
        if focused == name:
            return
    raise AssertionError(f"{name!r} cannot be reached with Tab")


async def has_focus(
    caller: Visitor, name: str, *, role: Literal["button", "textbox"] = "button"
) -> None:
    control = caller.page.get_by_role(role, name=name, exact=True)
    await expect(control).to_be_focused(timeout=PATIENCE_MS)


async def all_have_names(caller: Visitor) -> None:
    for control in await caller.page.locator(CONTROLS).all():
        if await control.is_visible():
            snapshot = await control.aria_snapshot()
            assert '"' in snapshot, f"a control has no name: {snapshot}"
