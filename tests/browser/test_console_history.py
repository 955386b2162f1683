"""Operators look at calls that have ended."""

import csv
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from playwright.async_api import Route, expect

from evibridge.emulators.call_report import CallEventKind
from tests.browser.conftest import Desk
from tests.browser.console_calls import ADA, CALLER_HZ, WALL, ConsoleCall, ConsoleCalls, tone
from tests.browser.console_operator import NOT_YET_WRITTEN, Operator
from tests.browser.visitor import PATIENCE_MS

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.timeout(100)]

SPOKE_MS = 1500
SPOKEN_TO = "+442079460101"
PLAYS_FROM = """
  atS => players.some(
    ({ paused, currentTime }) => !paused && currentTime > atS && currentTime < atS + 2.5,
  )
"""


class Ended(NamedTuple):
    """Calls of the history.

    Attributes:
        long: the caller has asked for a dragonfly, and let the agent finish
        cut: the caller has interrupted the agent
        put_through: to somebody else
    """

    long: ConsoleCall
    cut: ConsoleCall
    put_through: ConsoleCall


@pytest_asyncio.fixture(loop_scope="package", scope="module")
async def ended(console_service: ConsoleCalls) -> AsyncIterator[Ended]:
    """Three calls that have ended, each for another reason."""
    calls = console_service
    ended = Ended(await calls.call(), await calls.call(), await calls.call())
    await talks_long(ended.long)
    await is_cut_off(ended.cut)
    for call in ended[:2]:
        await call.phone.hangs_up()
    await calls.puts_through(ended.put_through, SPOKEN_TO)
    await ended.put_through.phone.ended()
    for call in ended:
        await calls.record_of(call)
    yield ended


async def talks_long(call: ConsoleCall) -> None:
    """Ask for something, wait for the answer, and thank for it."""
    so_far = call.phone.now
    call.phone.speaks(tone(CALLER_HZ, SPOKE_MS))
    await call.phone.notices(CallEventKind.CALLER_SPEAKS, after=so_far)
    await call.caller_says("Have you a book about a dragonfly?")
    await call.agent_says("Yes, there is one on the second shelf.", SPOKE_MS)
    await call.phone.notices(CallEventKind.AGENT_STOPPED, after=so_far)
    await call.caller_says("Thank you.")
    so_far = call.phone.now
    await call.agent_says("You are welcome.")
    await call.phone.notices(CallEventKind.AGENT_STOPPED, after=so_far)


async def is_cut_off(call: ConsoleCall) -> None:
    """Do not let the agent finish."""
    await call.agent_says("Once upon a time there was a shop.", 20_000)
    await call.phone.notices(CallEventKind.AGENT_STARTED)
    await call.chat.send(type="user_interruption", time=0)
    await call.phone.notices(CallEventKind.AGENT_STOPPED)


async def is_not_written(route: Route) -> None:
    """Answer as the service does before there is a record."""
    body = {"code": "record_not_found", "message": "The call goes on yet."}
    await route.fulfill(status=404, json=body)


async def sees_past(ada: Operator, *calls: ConsoleCall) -> None:
    """Wait until these calls, and no others of them, stand in the history."""
    for call in calls:
        await expect(ada.past_row(call)).to_be_visible(timeout=PATIENCE_MS)


async def misses(ada: Operator, *calls: ConsoleCall) -> None:
    """Wait until none of these calls stands in the history."""
    for call in calls:
        await expect(ada.past_row(call)).to_have_count(0, timeout=PATIENCE_MS)


async def test_ended_calls_are_found_by_filters_and_words_and_saved_as_a_table(
    ended: Ended, desk: Desk, tmp_path: Path
) -> None:
    ada = await desk(ADA)
    await ada.goes_to("History")
    await sees_past(ada, *ended)
    await expect(ada.past_row(ended.long)).to_contain_text("Caller hung up")
    await expect(ada.past_row(ended.long)).to_contain_text("Harbour Books")
    await expect(ada.past_row(ended.put_through)).to_contain_text(f"Transferred to {SPOKEN_TO}")

    await ada.presses("Interrupted")
    await misses(ada, ended.long, ended.put_through)
    await sees_past(ada, ended.cut)
    await ada.presses("Interrupted")
    await ada.presses("Transferred")
    await misses(ada, ended.long, ended.cut)
    await sees_past(ada, ended.put_through)
    await ada.presses("Transferred")
    await ada.page.get_by_label("Why it ended").select_option(label="Caller hung up")
    await misses(ada, ended.put_through)
    await sees_past(ada, ended.long, ended.cut)

    await ada.searches("dragonfly")
    await misses(ada, ended.cut)
    await sees_past(ada, ended.long)
    async with ada.page.expect_download() as saving:
        await ada.presses("Save as CSV")
    saved = tmp_path / "calls.csv"
    await (await saving.value).save_as(saved)
    heading, *lines = csv.reader(saved.read_text("utf-8-sig").splitlines())
    assert len(lines) == 1
    assert any(ended.long.number in cell for cell in lines[0])
    assert len(heading) == len(lines[0])
    await ada.sees("Saved 1 call.")

    await ada.searches("no such words at all")
    await ada.sees("No call matches “no such words at all” today")
    await ada.presses("Clear filters")
    await sees_past(ada, *ended)


async def test_an_ended_call_is_read_heard_from_a_line_on_and_saved(
    ended: Ended, desk: Desk, tmp_path: Path
) -> None:
    wall = await desk(WALL)
    await wall.goes_to("History")
    await wall.past_row(ended.long).get_by_role("link").click()
    await wall.sees_heading(ended.long.number)
    await wall.sees_call_state("Caller hung up")
    await wall.sees_line("Caller", "Have you a book about a dragonfly?")
    await wall.sees_line("Agent", "Yes, there is one on the second shelf.")
    await expect(wall.page.get_by_role("toolbar", name="Call controls")).to_be_hidden()

    await wall.presses("Play the recording")
    await wall.page.wait_for_function(PLAYS_FROM, arg=0)
    await wall.presses("Pause")
    record = await saved_record(wall, tmp_path)
    assert record["call_id"] == ended.long.call_id
    welcome = wall.line("Agent", "You are welcome.")
    at_s = int((await welcome.locator("time").inner_text()).split(":")[1])
    assert at_s >= 2
    await welcome.get_by_title("Play from here").click()
    await wall.page.wait_for_function(PLAYS_FROM, arg=at_s)
    position = wall.page.get_by_label("Position in the recording")
    reached = re.compile(f"0:0[{at_s}-9] of ")
    await expect(position).to_have_attribute("aria-valuetext", reached, timeout=PATIENCE_MS)
    await expect(welcome).to_have_class("ln by-agent marked", timeout=PATIENCE_MS)
    await wall.key("Escape")
    await sees_past(wall, *ended)


async def test_a_call_whose_record_is_not_written_yet_is_shown_as_soon_as_it_is(
    ended: Ended, desk: Desk
) -> None:
    ada = await desk(ADA, may_complain=NOT_YET_WRITTEN)
    call = ended.long
    record = f"**/v1/calls/{call.call_id}/record"
    await ada.page.route(record, is_not_written)
    async with ada.page.expect_response(record) as answering:
        await ada.page.goto(f"{ada.origin}/console#/history/{call.call_id}")
    assert (await answering.value).status == 404
    await ada.page.unroute(record)
    await ada.sees_heading(call.number)
    await ada.sees_line("Caller", "Have you a book about a dragonfly?")
    await expect(ada.page.get_by_role("button", name="Save record")).to_be_visible()


async def test_an_open_call_that_ends_gets_its_recording_when_the_record_is_written(
    calls: ConsoleCalls, desk: Desk
) -> None:
    ada = await desk(ADA, may_complain=NOT_YET_WRITTEN)
    call = await calls.call()
    record = f"**/v1/calls/{call.call_id}/record"
    await ada.page.route(record, is_not_written)
    await ada.opens_call(call)
    await call.caller_says("I have changed my mind.")
    await ada.sees_line("Caller", "I have changed my mind.")
    await call.phone.hangs_up()
    await ada.sees_call_state("Caller hung up")
    await ada.sees("The record is being written.")
    await expect(ada.page.get_by_role("button", name="Save record")).to_be_hidden()

    await ada.page.unroute(record)
    await expect(ada.page.get_by_role("button", name="Save record")).to_be_visible(
        timeout=PATIENCE_MS
    )
    await expect(ada.page.get_by_role("button", name="Play the recording")).to_be_visible()
    await ada.sees_line("Caller", "I have changed my mind.")


async def saved_record(operator: Operator, folder: Path) -> dict[str, object]:
    """What the button saves."""
    async with operator.page.expect_download() as saving:
        await operator.presses("Save record")
    path = folder / "record.json"
    await (await saving.value).save_as(path)
    record: dict[str, object] = json.loads(path.read_text("utf-8"))
    return record
