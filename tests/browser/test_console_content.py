"""What callers, agents and tools bring in is shown as it is, however odd, long or much it is."""

from collections.abc import Mapping
from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Desk
from tests.browser.console_callers import call_as, live
from tests.browser.console_calls import ADA, ConsoleCalls
from tests.browser.console_operator import Operator
from tests.browser.console_wire import Wire
from tests.browser.visitor import PATIENCE_MS

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(150)]

MARKUP = "<img src=x onerror='window.ran=1'><b>bold</b>&amp;<script>window.ran=1</script>"
HEBREW = "איפה הספר שלי? 1042 📚"
FAMILY = "👨‍👩‍👧‍👦"
MANY = 50
BIG = 1_000_000


async def direction(ada: Operator, selector: str, text: str) -> str:
    """In which direction a text runs."""
    words = ada.page.locator(selector).filter(has_text=text).first
    await expect(words).to_be_visible(timeout=PATIENCE_MS)
    runs: str = await words.evaluate("element => getComputedStyle(element).direction")
    return runs


async def test_markup_is_text_wherever_it_comes_from(calls: ConsoleCalls, desk: Desk) -> None:
    ada = await desk(ADA, may_complain="404")  # its record is yet to come
    name = f"client:{MARKUP[:60]}"
    call = await call_as(calls, name)
    await ada.opens_call(call)
    await expect(ada.page).to_have_title("1 live: evibridge console")
    await call.caller_says(f"Caller {MARKUP}")
    await call.agent_says(f"Agent {MARKUP}")
    await ada.sees_line(f"Caller {MARKUP}")
    await ada.sees_line(f"Agent {MARKUP}")
    await ada.sees_in_row(call, MARKUP)

    await call.calls_tool("order_status", order_id=MARKUP)
    await call.expects("tool_response")
    await ada.line("order_status").locator("summary").click()
    await expect(ada.line("order_status").locator("dd").nth(1)).to_contain_text(MARKUP)
    await call.calls_tool("refund_order", order_id=MARKUP, amount=MARKUP)
    await expect(ada.approval).to_contain_text(MARKUP, timeout=PATIENCE_MS)
    await ada.presses_control("Hang up")
    await expect(ada.dialog).to_contain_text(name)
    await call.phone.hangs_up()
    await ada.sees_call_state("Caller hung up")
    await ada.goes_to("History")
    await expect(ada.past_row(call)).to_contain_text(name, timeout=PATIENCE_MS)

    brought = await ada.page.evaluate(
        "document.querySelectorAll('main img, main b, main script').length"
    )
    assert brought == await ada.page.evaluate("document.querySelectorAll('main b').length")
    assert await ada.page.get_by_text("bold", exact=True).count() == 0
    assert await ada.page.evaluate("window.ran") is None
    assert await ada.violations() == []


async def test_a_tool_that_returns_a_book_is_shown_in_pieces(
    calls: ConsoleCalls, desk: Desk
) -> None:
    book = "📚" + "x" * (BIG - 3) + "."
    wire = Wire()
    wire.alter = lambda told: {**told, "content": book} if told["type"] == "tool_finished" else told
    ada = await desk()
    await wire.lay(ada.page)
    await ada.signs_in(ADA)
    call = await calls.call()
    await ada.opens_call(call)
    await call.calls_tool("order_status", order_id="HB-1")
    await call.expects("tool_response")

    row = ada.line("order_status")
    await row.locator("summary").click()
    result = row.locator("dd").nth(1)
    assert len(await result.locator("code").inner_text()) < BIG / 100
    await row.get_by_role("button", name="Show all 1.0 MB").click()

    await expect(result.locator(".piece").last).to_contain_text(".", timeout=PATIENCE_MS)
    pieces = await result.locator("code").all_text_contents()
    assert "".join(pieces) == book
    assert await result.locator(".piece").count() > MANY / 2
    await call.caller_says("Are you still there?")
    await ada.sees_line("Are you still there?")
    await ada.presses_control("Pause")
    await ada.sees_call_state("Paused by you")


async def test_text_runs_in_the_direction_of_its_language(calls: ConsoleCalls, desk: Desk) -> None:
    ada = await desk(ADA)
    call = await call_as(calls, f"client:{FAMILY}")
    await ada.opens_call(call)
    await call.caller_says(HEBREW)
    await call.agent_says("Where it was.")

    assert await direction(ada, "#call-log li.ln p", HEBREW) == "rtl"
    assert await direction(ada, "#call-log li.ln p", "Where it was.") == "ltr"
    assert await direction(ada, "#call-log li.ln", HEBREW) == "ltr"
    await expect(ada.page.locator("#one h1")).to_have_text(f"client:{FAMILY}")
    await call.phone.hangs_up()


async def test_fifty_calls_have_fifty_rows_and_those_that_need_somebody_stand_first(
    calls: ConsoleCalls, desk: Desk
) -> None:
    wire = Wire()
    ada = await desk()
    await wire.lay(ada.page)
    await ada.signs_in(ADA)
    await ada.sees_calls(await calls.call())
    (real,) = await live(calls)

    wire.tell_list(snapshot_of([one_of_many(real, number) for number in range(MANY)]))

    await expect(ada.rows).to_have_count(MANY, timeout=PATIENCE_MS)
    await expect(ada.page).to_have_title(f"1 needs you, {MANY} live: evibridge console")
    await expect(ada.rows.first).to_contain_text("+4420000000048")
    await expect(ada.rows.nth(1)).to_contain_text("+4420000000000")
    for _ in range(MANY):
        await ada.key("j")
    await expect(
        ada.page.locator("#list .call[aria-selected=true], #list .call:focus")
    ).to_contain_text("+4420000000049")
    await expect(ada.rows.nth(MANY - 1)).to_be_in_viewport()
    await ada.searches("0000000048")
    await expect(ada.rows).to_have_count(1, timeout=PATIENCE_MS)


def one_of_many(call: Mapping[str, Any], number: int) -> dict[str, Any]:
    """A call like a real one; the last but one needs somebody."""
    needs = number == MANY - 2
    approvals = [{"tool_call_id": "t", "name": "refund_order", "expires_in_s": 60}] if needs else []
    return {
        **call,
        "call_id": f"CA{number:032}",
        "caller": f"+44200000000{number:02}",
        "began_at": f"2026-11-28T09:{number:02}:00.000Z",
        "state": "needs_approval" if needs else "agent_speaking",
        "approvals": approvals,
    }


def snapshot_of(many: list[dict[str, Any]]) -> dict[str, Any]:
    at = "2026-11-28T12:00:00.000Z"
    return {"type": "snapshot", "call_id": None, "seq": 1, "at": at, "calls": many}
