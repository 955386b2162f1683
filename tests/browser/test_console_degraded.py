"""The console while something between it and the calls is broken, slow, or going away."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import Desk
from tests.browser.console_callers import call_as
from tests.browser.console_calls import ADA, AGENT, SAM, TOKENS, WALL, ConsoleCalls
from tests.browser.console_operator import Operator
from tests.browser.console_wire import Wire
from tests.browser.visitor import PATIENCE_MS
from tests.faults.proxy import proxy
from tests.parties import TinyEvi, tiny_evi
from tests.processes import running

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(150)]

FAILED_REQUESTS = "Failed to load resource|WebSocket connection to|ERR_"
STOPPED = re.compile(
    r"Live view stopped at (\d\d:\d\d:\d\d)\. Calls go on without it\. Trying again"
)
NEW_TOKENS = TOKENS.replace(ADA, "ada-now-drinks-coffee")
AN_HOUR_OFF = """
  (() => {
    const Right = Date;
    window.Date = class extends Right {
      constructor(...given) {
        super(...(given.length ? given : [Right.now() + OFFSET_MS]));
      }
      static now() {
        return Right.now() + OFFSET_MS;
      }
    };
  })();
"""


@asynccontextmanager
async def served(
    evi: TinyEvi, folder: Path, *, port: str = "0", tokens: str = TOKENS, drain_s: str = "0"
) -> AsyncIterator[ConsoleCalls]:
    """A service that a test may stop or kill."""
    async with running(
        *("run", str(AGENT), "--port", port, "--evi-url", evi.origin),
        announced_by="phone webhook",
        EVIBRIDGE_OPERATOR_TOKEN=tokens,
        EVIBRIDGE_DATA_DIR=str(folder),
        EVIBRIDGE_DRAIN_SECONDS=drain_s,
        HUME_API_KEY="any",
    ) as service:
        calls = ConsoleCalls(service, evi, folder)
        yield calls
        await calls.clear()


async def kill(calls: ConsoleCalls) -> str:
    """End a service at once, as a machine does that loses its power; returns its port."""
    calls.service.process.kill()
    await calls.service.ended()
    return calls.service.origin.rpartition(":")[2]


async def sees_notice(ada: Operator, words: str | re.Pattern[str]) -> str:
    notice = ada.page.locator("#notices .note:visible")
    await expect(notice).to_contain_text(words, timeout=PATIENCE_MS)
    return await notice.inner_text()


async def clock_of(ada: Operator) -> str:
    """Hours, minutes and seconds of the computer that the page is on."""
    words: str = await ada.page.evaluate("new Date().toTimeString().slice(0, 8)")
    return words


async def sees_no_notice(ada: Operator) -> None:
    await expect(ada.page.locator("#notices .note")).to_be_hidden(timeout=PATIENCE_MS)


async def test_a_service_that_dies_leaves_what_was_seen_and_is_found_again(
    desk: Desk, tmp_path: Path
) -> None:
    async with tiny_evi() as evi, served(evi, tmp_path) as calls:
        ada = await desk(ADA, origin=calls.service.origin, may_complain=FAILED_REQUESTS)
        call = await calls.call()
        await ada.opens_call(call)
        await call.caller_says("Where is my book?")
        await ada.sees_line("Where is my book?")
        await ada.page.evaluate("window.isNotLoadedAgain = true")
        before = await clock_of(ada)

        port = await kill(calls)

        told = STOPPED.search(await sees_notice(ada, STOPPED))
        assert told
        assert before <= told[1] <= await clock_of(ada)
        await expect(ada.page.get_by_role("alert").first).to_contain_text("Live view stopped")
        await ada.sees_line("Where is my book?")
        await expect(ada.row(call)).to_be_visible()
        await ada.presses_control("Pause")
        await ada.sees_line("The server cannot be reached.", "It is not known whether it was done.")

        async with served(evi, tmp_path, port=port) as again:
            await sees_no_notice(ada)
            await expect(ada.control("Pause")).to_be_hidden(timeout=PATIENCE_MS)
            await ada.sees_line("Where is my book?")
            next_call = await call_as(again, "+442079460318")
            await ada.opens_call(next_call)
            await next_call.caller_says("And where is the other one?")
            await ada.sees_line("And where is the other one?")
            assert await ada.page.evaluate("window.isNotLoadedAgain")


async def test_a_service_that_has_forgotten_the_token_asks_for_another_one(
    desk: Desk, tmp_path: Path
) -> None:
    async with tiny_evi() as evi, served(evi, tmp_path) as calls:
        ada = await desk(ADA, origin=calls.service.origin, may_complain=FAILED_REQUESTS)
        await ada.sees("No calls")
        port = await kill(calls)
        await sees_notice(ada, STOPPED)

        async with served(evi, tmp_path, port=port, tokens=NEW_TOKENS) as again:
            await ada.presses("Try now")
            await ada.sees("This token is not valid. Ask whoever runs the server for a new one.")
            await expect(ada.page.locator("#list")).to_be_hidden()

            await ada.shows_token("ada-now-drinks-coffee")

            await ada.sees_calls(await again.call())


async def test_a_network_that_was_gone_brings_what_was_missed(
    calls: ConsoleCalls, desk: Desk
) -> None:
    async with proxy(calls.service.origin) as network:
        ada = await desk(ADA, origin=network.origin, may_complain=FAILED_REQUESTS)
        call = await calls.call()
        await ada.opens_call(call)
        await call.caller_says("Before.")
        await ada.sees_line("Before.")

        await ada.page.context.set_offline(True)
        network.end()

        await sees_notice(ada, STOPPED)
        await ada.presses_control("Hold")
        await ada.sees_line("The server cannot be reached. Nothing was done; press again.")
        await call.caller_says("Meanwhile.")

        await ada.page.context.set_offline(False)

        await sees_no_notice(ada)
        await ada.sees_line("Meanwhile.")
        await call.caller_says("After.")
        await ada.sees_line("After.")
        for text in ("Before.", "Meanwhile.", "After."):
            await expect(ada.line(text)).to_have_count(1)


async def test_a_server_that_ends_tells_when(desk: Desk, tmp_path: Path) -> None:
    async with tiny_evi() as evi, served(evi, tmp_path, drain_s="90") as calls:
        ada = await desk(origin=calls.service.origin, may_complain=FAILED_REQUESTS)
        await ada.opens("/console")
        call = await calls.call()

        calls.service.process.send_signal(signal.SIGTERM)
        await ada.shows_token(ADA)

        words = await sees_notice(ada, "This server takes no new calls.")
        assert re.search(
            r"It stops when the last call ends, at the latest in 1:(30|[012]\d)\.", words
        )
        await ada.opens_call(call)
        await call.phone.hangs_up()
        await sees_notice(ada, STOPPED)


async def test_a_command_that_is_slow_or_fails_says_so_in_the_transcript(
    calls: ConsoleCalls, desk: Desk
) -> None:
    may_go_on = asyncio.Event()

    async def late(route: Route) -> None:
        await may_go_on.wait()
        await route.continue_()

    async def broken(route: Route) -> None:
        await route.fulfill(status=500, body="<h1>Something else</h1>")

    ada = await desk(ADA, may_complain=FAILED_REQUESTS)
    call = await calls.call()
    await ada.opens_call(call)
    await ada.page.route("**/pause", late)
    await ada.page.route("**/hold", broken)

    await ada.presses_control("Pause")
    await expect(ada.control("Pause")).to_have_attribute("aria-busy", "true")
    await ada.presses_control("Hold")
    await ada.sees_line("The server has answered with 500.", "It is not known whether it was done.")
    await expect(ada.control("Hold")).to_be_visible()

    may_go_on.set()
    await expect(ada.control("Resume")).to_be_visible(timeout=PATIENCE_MS)
    await ada.sees_call_state("Paused by you")


async def test_the_history_says_why_it_cannot_be_read_and_tries_again(
    calls: ConsoleCalls, desk: Desk
) -> None:
    async def broken(route: Route) -> None:
        await route.fulfill(status=500, body="{}")

    call = await calls.call()
    await call.caller_says("Where is my book?")
    ada = await desk(ADA, may_complain=FAILED_REQUESTS)
    await ada.sees_calls(call)
    await call.phone.hangs_up()
    await ada.page.route("**/v1/calls?*state=ended*", broken)

    await ada.goes_to("History")
    await ada.sees("The server has answered with 500.")

    await ada.page.unroute("**/v1/calls?*state=ended*")
    await ada.presses("Try again")
    await expect(ada.past_row(call)).to_be_visible(timeout=PATIENCE_MS)


async def test_updates_that_were_skipped_are_told(calls: ConsoleCalls, desk: Desk) -> None:
    wire = Wire()
    ada = await desk()
    await wire.lay(ada.page)
    await ada.signs_in(ADA)
    call = await calls.call()
    await ada.opens_call(call)
    await call.caller_says("Where is my book?")
    await ada.sees_line("Where is my book?")

    wire.tell_call({"type": "gap", "call_id": call.call_id, "missed": 3})
    await ada.sees_line("skipped")
    wire.tell_list({"type": "gap", "call_id": None, "missed": 12})
    words = await sees_notice(ada, "12 updates were skipped.")
    assert "What you see is up to date." in words

    await ada.presses("Dismiss")
    await sees_no_notice(ada)


@pytest.mark.parametrize("question", ["Hang up", "Transfer"])
async def test_a_question_about_a_call_that_has_ended_goes_with_it(
    question: str, calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA, may_complain=FAILED_REQUESTS)  # its record is yet to come
    call = await calls.call()
    await ada.opens_call(call)
    await call.agent_says("Good afternoon.")
    await ada.presses_control(question)
    await expect(ada.dialog).to_contain_text(call.number)

    await call.phone.hangs_up()

    await expect(ada.dialog).to_have_text(
        "The call has ended.", use_inner_text=True, timeout=PATIENCE_MS
    )
    await expect(ada.dialog.get_by_role("button")).to_have_count(0)
    await expect(ada.dialog).to_be_hidden(timeout=PATIENCE_MS)
    await ada.sees_call_state("Caller hung up")
    await expect(ada.page.locator("#one h1")).to_be_focused()


@pytest.mark.parametrize("offset_h", [-1, 1])
async def test_lengths_are_right_on_a_computer_whose_clock_is_wrong(
    offset_h: int, calls: ConsoleCalls, desk: Desk
) -> None:
    call = await calls.call()
    ada = await desk()
    script = AN_HOUR_OFF.replace("OFFSET_MS", str(offset_h * 3_600_000))
    await ada.page.add_init_script(script)

    await ada.signs_in(ADA)

    await ada.sees_in_row(call, "0:0")
    await ada.opens_call(call)
    await call.caller_says("Where is my book?")
    await ada.sees_line("0:0", "Where is my book?")
    await expect(ada.page.locator("#one .sub")).to_contain_text(re.compile(r"· 0:[0-2]\d"))


async def test_who_may_only_watch_is_told_by_every_button(calls: ConsoleCalls, desk: Desk) -> None:
    wall = await desk(WALL)
    call = await calls.call()
    await wall.opens_call(call)

    await sees_notice(wall, "You can watch, not act.")
    for name in ("Pause", "Hold", "Take over", "Transfer", "Hang up"):
        await expect(wall.control(name)).to_have_attribute("aria-disabled", "true")
        await expect(wall.control(name)).to_have_attribute("title", "You can watch, not act.")

    await wall.presses("Change token")
    await wall.shows_token(SAM)
    await sees_no_notice(wall)
    await expect(wall.control("Pause")).not_to_have_attribute("aria-disabled", "true")
