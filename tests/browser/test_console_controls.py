"""What operators do with live calls, by the buttons and keys of the console."""

import re

import pytest
from playwright.async_api import expect

from evibridge.emulators.call_report import CallEnd, CallEventKind
from tests.browser.conftest import Desk
from tests.browser.console_calls import (
    ADA,
    AGENT_HZ,
    CALLER_HZ,
    SAM,
    TARGETS,
    WALL,
    ConsoleCalls,
    tone,
)
from tests.browser.console_operator import CONFLICT, NOT_YET_WRITTEN, UNAUTHORIZED
from tests.browser.visitor import PATIENCE_MS

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(100)]

LONG_MS = 30_000
"""Nobody speaks for so long unless he is stopped late."""
REFUND = {"order_id": "HB-10482", "amount": "12.99"}


# The list


async def test_a_call_appears_with_its_caller_and_last_words_and_leaves_when_it_has_ended(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA, may_complain=NOT_YET_WRITTEN)
    await ada.sees("No calls right now")

    call = await calls.call()
    await ada.sees_in_row(call, "Listening", call.number)
    await call.caller_says("Where is order 1042?")
    await ada.sees_in_row(call, "Where is order 1042?", "0:0")
    await ada.opens_call(call)
    await call.agent_says("It left us on Friday.", LONG_MS)
    await ada.sees_in_row(call, "Agent speaking", "It left us on Friday.")
    await expect(ada.page).to_have_title("1 live: evibridge console", timeout=PATIENCE_MS)

    await ada.sees_line("Caller", "Where is order 1042?")
    await ada.sees_line("Agent", "It left us on Friday.")
    await call.phone.hangs_up()
    await ada.sees_call_state("Caller hung up")
    await ada.is_told_aloud("Call ended: caller hung up")
    await expect(ada.control("Pause")).to_be_hidden()
    await ada.page.mouse.move(700, 400)  # a row under the pointer would stay
    await expect(ada.rows).to_have_count(0, timeout=PATIENCE_MS)
    await ada.sees_heading(call.number)
    await ada.sees_line("Caller", "Where is order 1042?")


async def test_calls_that_need_approval_come_first_and_are_found_by_filter_words_and_number(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA)
    first, second = await calls.call(), await calls.call()
    await ada.sees_calls(first, second)

    await second.calls_tool("refund_order", **REFUND)
    await ada.sees_calls(second, first)
    await ada.sees_in_row(second, "Needs approval")
    await expect(ada.page.locator("#nav-live")).to_contain_text("1 needs you")
    await ada.page.get_by_role("button", name="Needs you").click()
    await ada.sees_calls(second)
    await ada.page.get_by_role("button", name="All", exact=False).first.click()
    await ada.sees_calls(second, first)

    await first.caller_says("I look for a book on lighthouses.")
    await first.caller_says("It is a present.")
    await ada.sees_in_row(first, "It is a present.")
    await ada.searches("lighthouses")
    await ada.sees_calls(first)
    await ada.searches(second.number[-4:])
    await ada.sees_calls(second)
    await ada.searches("refund")
    await ada.sees_calls(second)
    await ada.searches("zeppelin")
    await ada.sees("No call matches “zeppelin” now")
    await ada.presses("Clear filters")
    await ada.sees_calls(second, first)


async def test_keys_go_from_call_to_call_open_one_and_go_back(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA)
    first, second = await calls.call(), await calls.call()
    await ada.sees_calls(first, second)

    await ada.key("j")
    await expect(ada.row(first)).to_be_focused()
    await ada.key("j")
    await expect(ada.row(second)).to_be_focused()
    await ada.key("k")
    await expect(ada.row(first)).to_be_focused()
    await ada.key("j", "Enter")
    await ada.sees_heading(second.number)
    await expect(ada.row(second)).to_have_attribute("aria-selected", "true")
    await ada.key("Escape")
    await expect(ada.page.locator("#one")).to_be_hidden()
    await expect(ada.row(second)).to_be_focused()


# What the caller hears


async def test_a_paused_agent_falls_silent_until_it_is_resumed_and_others_see_by_whom(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada, sam = await desk(ADA), await desk(SAM)
    call = await calls.call()
    await ada.opens_call(call)
    await sam.opens_call(call)
    await call.agent_says("Once upon a time there was a shop.", LONG_MS)
    began = await call.phone.notices(CallEventKind.AGENT_STARTED)

    await ada.presses_control("Pause")
    await calls.evi_is_told(call, "pause_assistant_message")
    stopped = await call.phone.notices(CallEventKind.AGENT_STOPPED)
    assert stopped.at_ms - began.at_ms < LONG_MS
    await ada.sees_call_state("Paused by you")
    await ada.sees_line("You paused the agent.")
    await ada.is_told_aloud("Paused")
    await expect(ada.control("Resume")).to_have_attribute("aria-pressed", "true")
    await expect(ada.line("Agent").locator("s.unheard").first).to_contain_text("shop.")
    await sam.sees_call_state("Paused by ada")
    await sam.sees_line("ada paused the agent.")
    field = ada.page.locator("form.compose input")
    await expect(field).to_have_attribute(
        "placeholder", "The agent is paused. Resume it, or take over, to say something."
    )

    so_far = call.phone.now
    await sam.presses_control("Resume")
    await calls.evi_is_told(call, "resume_assistant_message")
    await ada.sees_line("sam resumed the agent.")
    await call.agent_says("Where was I?")
    await call.phone.notices(CallEventKind.AGENT_STARTED, after=so_far)


async def test_agent_and_caller_do_not_hear_each_other_while_the_call_is_on_hold(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA)
    call = await calls.call()
    await ada.opens_call(call)

    await call.agent_says("Once upon a time there was a shop.", LONG_MS)
    began = await call.phone.notices(CallEventKind.AGENT_STARTED)
    await ada.sees_in_row(call, "Agent speaking")
    await ada.key("h")
    stopped = await call.phone.notices(CallEventKind.AGENT_STOPPED)
    assert stopped.at_ms - began.at_ms < LONG_MS
    await ada.sees_call_state("On hold")
    await ada.sees_in_row(call, "On hold")
    await ada.sees_line("You put the call on hold.")
    await ada.is_told_aloud("On hold")

    so_far = call.phone.now
    await ada.presses_control("Release")
    await ada.sees_call_state("Listening")
    await ada.sees_line("You took the call off hold.")
    await call.agent_says("Thank you for waiting.")
    await call.phone.notices(CallEventKind.AGENT_STARTED, after=so_far)


async def test_what_an_operator_says_is_heard_and_what_he_whispers_is_not(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA)
    call = await calls.call()
    await ada.opens_call(call)

    await ada.whispers("She is a regular. Be generous.")
    await calls.context_of(call, "She is a regular. Be generous.")
    await ada.sees_line("You whispered", "“She is a regular. Be generous.”")
    assert not call.phone.heard

    so_far = call.phone.now
    await ada.says("We close at six.")
    asked = await calls.evi_is_told(call, "assistant_input")
    assert asked["text"] == "We close at six."
    await ada.sees_line("You had this said", "“We close at six.”")
    await call.agent_says(asked["text"])
    await call.phone.notices(CallEventKind.AGENT_STARTED, after=so_far)
    await ada.sees_line("Agent", "We close at six.")


async def test_who_listens_hears_the_caller_and_the_agent(calls: ConsoleCalls, desk: Desk) -> None:
    wall = await desk(WALL)
    call = await calls.call()
    await wall.opens_call(call)

    await wall.presses_control("Listen")
    await expect(wall.control("Listen")).to_have_attribute("aria-pressed", "true")
    await expect(wall.control("Listen")).not_to_have_attribute("aria-busy", "true")
    await call.agent_says("A tone.", 5000)
    await wall.hears_tone(AGENT_HZ)
    call.phone.speaks(tone(CALLER_HZ, 2500))
    await wall.hears_tone(CALLER_HZ)
    await wall.presses_control("Listen")
    await expect(wall.control("Listen")).to_have_attribute("aria-pressed", "false")


# Tools that wait


async def test_an_approved_tool_runs_and_the_others_see_who_was_quicker(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada, sam = await desk(ADA), await desk(SAM)
    call = await calls.call()
    await ada.opens_call(call)
    await sam.opens_call(call)

    await call.calls_tool("refund_order", **REFUND)
    await expect(ada.approval).to_contain_text("Approve refund_order?", timeout=PATIENCE_MS)
    await expect(ada.approval).to_contain_text("HB-10482")
    await expect(ada.approval).to_contain_text(re.compile(r"\b(90|8\d) s left, then declined"))
    await expect(ada.approval).to_contain_text(re.compile(r"\b8\d s left"), timeout=PATIENCE_MS)
    await expect(ada.page.locator("#alarm")).to_have_text(
        f"{call.number}: refund_order needs your approval"
    )
    await expect(ada.row(call)).to_be_focused()  # no event moves it

    await expect(sam.approval).to_contain_text("Approve refund_order?", timeout=PATIENCE_MS)
    await sam.key("a")
    await expect(sam.approval).to_be_focused()
    await sam.settles()
    await sam.key("Control+Enter")
    answer = await call.expects("tool_response")
    assert "12.99 pounds for HB-10482" in answer["content"]
    await expect(ada.approval).to_contain_text("Approved by sam: refund_order")
    await expect(sam.approval).to_be_hidden(timeout=PATIENCE_MS)
    await ada.line("refund_order").locator("summary").click()
    await ada.sees_line("refund_order", "Approved by sam", "12.99 pounds for HB-10482")
    await sam.sees_line("refund_order", "12.99")


async def test_a_declined_tool_does_not_run_and_the_model_is_told(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA)
    call = await calls.call()
    await ada.opens_call(call)

    await call.calls_tool("refund_order", **REFUND)
    decline = ada.approval.get_by_role("button", name="Decline")
    await expect(decline).to_be_visible(timeout=PATIENCE_MS)
    await ada.settles()
    await decline.click()
    answer = await call.expects("tool_error")
    assert "on their way" not in str(answer)
    await expect(ada.approval).to_be_hidden(timeout=PATIENCE_MS)
    failed = ada.lines.locator("details.failed", has_text="refund_order")
    await expect(failed).to_contain_text("The model was told:", timeout=PATIENCE_MS)
    await ada.sees_in_row(call, "Listening")


# The end of a call


async def test_a_caller_is_put_through_to_a_saved_number(calls: ConsoleCalls, desk: Desk) -> None:
    ada = await desk(ADA, may_complain=f"{NOT_YET_WRITTEN}|{CONFLICT}")
    call = await calls.call()
    await ada.opens_call(call)

    await ada.presses_control("Pause")
    await ada.sees_call_state("Paused by you")
    await ada.key("f")
    await expect(ada.dialog).to_contain_text(f"Transfer {call.number}")
    number = ada.dialog.get_by_label("Number or sip: address")
    await expect(number).to_be_focused()
    await number.fill("the workshop")
    await number.press("Enter")
    await expect(ada.dialog.get_by_role("alert")).to_have_text(
        "Write a number with its country, as +44 20 7946 0100, or a sip: address."
    )
    await expect(number).to_have_attribute("aria-invalid", "true")
    await ada.answers("Workshop")
    await expect(number).to_have_value(TARGETS["Workshop"])
    first = ada.dialog.get_by_label("Say first (optional)")
    await first.fill("I connect you.")
    await ada.answers("Transfer")
    await expect(ada.dialog.get_by_role("alert")).to_have_text(
        "The agent is paused: resume it first.", timeout=PATIENCE_MS
    )
    await first.fill("")
    await ada.answers("Transfer")

    report = await call.phone.ended()
    assert report.end is CallEnd.TRANSFERRED
    to = [event.detail for event in report.events if event.kind is CallEventKind.TRANSFER]
    assert to == [TARGETS["Workshop"]]
    await ada.sees_call_state(f"Transferred to {TARGETS['Workshop']}")
    await ada.sees_line("You transferred the call", TARGETS["Workshop"])


async def test_a_call_is_hung_up_only_after_a_second_thought(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada, sam = [await desk(each, may_complain=NOT_YET_WRITTEN) for each in (ADA, SAM)]
    call = await calls.call()
    await ada.opens_call(call)
    await sam.opens_call(call)

    await ada.presses_control("Hang up")
    await expect(ada.dialog).to_contain_text(f"Hang up on {call.number}?")
    await expect(ada.dialog.get_by_role("button", name="Keep the call")).to_be_focused()
    await ada.key("Enter")
    await expect(ada.dialog).to_be_hidden()
    await expect(ada.control("Hang up")).to_be_focused()
    await ada.sees_call_state("Listening")

    await ada.key("Shift+X")
    await expect(ada.dialog.get_by_role("button", name="Hang up")).to_be_focused()
    await ada.key("Enter")
    report = await call.phone.ended()
    assert report.end is CallEnd.AGENT_HUNG_UP
    await ada.sees_line("You hung up.")
    await ada.sees_call_state("Hung up by ada")
    await sam.sees_line("ada hung up.")
    await sam.sees_call_state("Hung up by ada")


# Who may come in


async def test_who_may_only_read_sees_everything_and_can_do_nothing_but_listen(
    calls: ConsoleCalls, desk: Desk
) -> None:
    wall = await desk(WALL)
    call = await calls.call()
    await wall.sees("You can watch, not act.")
    await wall.opens_call(call)
    await call.caller_says("Is anybody there?")
    await wall.sees_line("Caller", "Is anybody there?")

    for name in ("Pause", "Hold", "Take over", "Transfer", "Hang up"):
        await expect(wall.control(name)).to_have_attribute("aria-disabled", "true")
        await expect(wall.control(name)).to_have_attribute("title", "You can watch, not act.")
    await expect(wall.control("Listen")).not_to_have_attribute("aria-disabled", "true")
    await wall.key("p", "Shift+X")
    await expect(wall.dialog).to_be_hidden()
    await expect(wall.page.locator("form.compose input")).not_to_be_editable()
    await call.calls_tool("refund_order", **REFUND)
    for name in ("Approve", "Decline"):
        control = wall.approval.get_by_role("button", name=name)
        await expect(control).to_have_attribute("aria-disabled", "true", timeout=PATIENCE_MS)
    posts = [each for each in wall.posted if "/v1/" in each]
    assert not posts


async def test_a_wrong_token_is_told_so_and_the_right_one_stands_in_no_address_and_no_log(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(may_complain=UNAUTHORIZED)
    await ada.opens("/console")
    await ada.sees("Paste an operator token.")
    wrong = "somebody-elses-token"
    await ada.shows_token(wrong)
    reason = ada.page.locator("#signin-reason")
    await expect(reason).to_have_text(
        "This token is not valid. Ask whoever runs the server for a new one.", timeout=PATIENCE_MS
    )
    await ada.shows_token(ADA)
    await ada.sees("No calls right now")

    call = await calls.call()
    await ada.opens_call(call)
    await ada.presses_control("Listen")
    await expect(ada.control("Listen")).to_have_attribute("aria-pressed", "true")
    await ada.presses_control("Pause")
    await ada.sees_call_state("Paused by you")
    await ada.page.reload()
    await ada.sees_heading(call.number)
    assert len(ada.addresses) > 10
    for token in (ADA, wrong):
        assert not [each for each in (*ada.addresses, ada.page.url) if token in each]
        assert not [line for line in calls.service.log if token in line]
    assert await ada.violations() == []
