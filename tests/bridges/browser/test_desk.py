"""Places: who gets one, for how long, and who may come back."""

import asyncio

import pytest

from evibridge.agent.calls import Calls
from evibridge.bridges.browser import desk as desk_module
from evibridge.bridges.browser.desk import BrowserDesk, CallerRefused, Place, PlaceUnknown
from evibridge.events import CallerRefusal
from evibridge.web_sessions import WebSession, WebSessionRefused, WebSessions
from tests.bridges.browser.page import BrowserScene
from tests.parties import PATIENCE_S, all_gone
from tests.virtual_clock import run_in_virtual_time


class OpenCalls(Calls):
    """Calls that are let in, though nobody can hold them."""

    def __init__(self) -> None:
        super().__init__(max_calls=2)
        self._takes_new = True


def arrive(desk: BrowserDesk, sessions: WebSessions) -> Place:
    now_s = asyncio.get_running_loop().time()
    return desk.arrive(sessions.create(WebSession(), now_s), None)


def test_a_place_that_nobody_joins_is_free_again() -> None:
    async def wait() -> None:
        sessions, calls = WebSessions(), OpenCalls()
        desk = BrowserDesk(calls, sessions, resume_s=20.0, agent_name="Agent")
        place = arrive(desk, sessions)
        assert calls.free_places == 1
        assert desk.find(place.key).is_same(place)

        await asyncio.sleep(desk_module.WAITS_FOR_S)
        assert calls.free_places == 2
        with pytest.raises(PlaceUnknown):
            desk.come_back(place.key)
        assert place.join(object()) is None  # type: ignore[arg-type]

    run_in_virtual_time(wait())


def test_a_place_is_kept_for_another_way_when_a_connection_fails() -> None:
    async def wait() -> None:
        sessions, calls = WebSessions(), OpenCalls()
        desk = BrowserDesk(calls, sessions, resume_s=20.0, agent_name="Agent")
        place = arrive(desk, sessions)
        place.give_up()
        await asyncio.sleep(desk_module.NEXT_WAY_WITHIN_S - 1)
        assert desk.find(place.key).is_same(place)
        place.give_up()  # it is never kept for longer than without
        await asyncio.sleep(1)
        assert calls.free_places == 2

    run_in_virtual_time(wait())


def test_a_caller_who_leaves_before_his_call_has_begun_is_not_waited_for() -> None:
    async def wait() -> None:
        sessions, calls = WebSessions(), OpenCalls()
        desk = BrowserDesk(calls, sessions, resume_s=20.0, agent_name="Agent")
        place = arrive(desk, sessions)
        begun = asyncio.create_task(desk.all_begun(PATIENCE_S))
        await asyncio.sleep(0)
        place.leave()
        await begun
        assert asyncio.get_running_loop().time() == 0.0
        assert calls.free_places == 2
        with pytest.raises(PlaceUnknown):
            desk.find(place.key)

    run_in_virtual_time(wait())


def test_callers_for_whom_there_is_no_place_keep_their_tokens() -> None:
    async def wait() -> None:
        refusals: list[CallerRefusal] = []
        sessions, calls = WebSessions(), OpenCalls()
        desk = BrowserDesk(
            calls, sessions, resume_s=20.0, agent_name="Agent", on_refused=refusals.append
        )
        arrive(desk, sessions)
        arrive(desk, sessions)
        token = sessions.create(WebSession(), 0.0)
        with pytest.raises(CallerRefused) as refused:
            desk.arrive(token, None)
        assert refused.value.code == "service_full"
        assert refused.value.retry_after_s > 0
        with pytest.raises(WebSessionRefused):
            desk.arrive("nonsense", None)
        assert refusals == [CallerRefusal.BUSY]
        assert desk.check(token, None) == WebSession()

        await asyncio.sleep(desk_module.WAITS_FOR_S)
        desk.arrive(token, None)

    run_in_virtual_time(wait())


def test_before_and_after_its_time_the_service_takes_no_callers() -> None:
    async def wait() -> None:
        refusals: list[CallerRefusal] = []
        sessions = WebSessions()
        calls = Calls(max_calls=2)
        desk = BrowserDesk(
            calls, sessions, resume_s=20.0, agent_name="Agent", on_refused=refusals.append
        )
        with pytest.raises(CallerRefused) as refused:
            arrive(desk, sessions)
        assert refused.value.code == "draining"
        assert refusals == [CallerRefusal.DRAINING]

    run_in_virtual_time(wait())


def test_a_place_whose_call_may_not_begin_any_more_is_no_call() -> None:
    async def wait() -> None:
        sessions = WebSessions()
        desk = BrowserDesk(
            OpenCalls(), sessions, resume_s=20.0, agent_name="Agent"
        )  # and closed by now
        assert arrive(desk, sessions).join(object()) is None  # type: ignore[arg-type]

    run_in_virtual_time(wait())


def test_the_end_of_the_service_waits_for_callers_that_were_let_in_but_not_for_long() -> None:
    async def wait() -> None:
        sessions = WebSessions()
        desk = BrowserDesk(OpenCalls(), sessions, resume_s=20.0, agent_name="Agent")
        loop = asyncio.get_running_loop()
        await desk.all_begun(PATIENCE_S)
        assert loop.time() == 0.0

        arrive(desk, sessions)
        await desk.all_begun(1.0)
        assert loop.time() == 1.0
        await desk.all_begun(60.0)
        assert loop.time() == 1.0 + desk_module.BEGINS_WITHIN_S

        loop.call_later(1.0, desk.close)
        await desk.all_begun(60.0)
        assert loop.time() == 2.0 + desk_module.BEGINS_WITHIN_S

    run_in_virtual_time(wait())


def test_a_caller_who_comes_back_too_often_has_to_wait() -> None:
    async def wait() -> None:
        sessions = WebSessions()
        desk = BrowserDesk(OpenCalls(), sessions, resume_s=20.0, agent_name="Agent")
        place, other = arrive(desk, sessions), arrive(desk, sessions)
        for _ in range(10):
            desk.come_back(place.key)
        with pytest.raises(CallerRefused) as refused:
            desk.come_back(place.key)
        assert refused.value.code == "too_many_connections"
        assert refused.value.retry_after_s == 1

        assert desk.find(place.key).is_same(place), "who only asks need not wait"
        assert desk.come_back(other.key).is_same(other)
        await asyncio.sleep(1.0)
        assert desk.come_back(place.key).is_same(place)
        assert not desk.find(place.key).is_same(other)

    run_in_virtual_time(wait())


async def test_a_connection_that_was_overtaken_does_not_get_the_call(
    browser: BrowserScene,
) -> None:
    slow = browser.desk.arrive(browser.token(), None)
    page, _ = await browser.caller(key=slow.key)
    assert slow.is_taken_over
    assert slow.join(object()) is None  # type: ignore[arg-type]
    assert slow.call is browser.call

    slower = browser.desk.come_back(slow.key)
    await browser.caller(key=slow.key)
    assert (await page.told_before_close())[1] == 4002
    assert slower.is_taken_over
    assert not browser.desk.come_back(slow.key).is_taken_over


async def test_a_call_that_begins_is_not_waited_for_any_more(browser: BrowserScene) -> None:
    page = await browser.page()
    place = browser.desk.arrive(browser.token(), None)
    begun = asyncio.create_task(browser.desk.all_begun(PATIENCE_S))
    await page.hello(key=place.key)  # by another way than the one it arrived by
    async with asyncio.timeout(PATIENCE_S):
        await begun
    assert (await page.expect("welcome"))["call_id"] == place.call_id
    assert browser.desk.waiting() == 0
    assert place.call is browser.call
    place.give_up()  # a first connection that never came to be: the call has another one
    place.leave()
    assert browser.desk.find(place.key).is_same(place)


async def test_nobody_comes_back_to_a_call_that_is_over(browser: BrowserScene) -> None:
    page, welcome = await browser.caller()
    place = browser.desk.come_back(welcome["key"])
    await page.send(type="end")
    await page.told_before_close()
    await all_gone(browser.calls)
    assert place.call is None
    with pytest.raises(PlaceUnknown) as unknown:
        browser.desk.come_back(welcome["key"])
    assert unknown.value.code == "call_is_over"


def test_keys_and_callers_do_not_show_in_a_log() -> None:
    async def look() -> None:
        sessions = WebSessions()
        desk = BrowserDesk(OpenCalls(), sessions, resume_s=20.0, agent_name="Agent")
        token = sessions.create(WebSession("Ada"), 0.0)
        place = desk.arrive(token, None)
        assert len(place.key) >= 43
        for shown in (repr(place), repr(place._stay)):
            assert place.key not in shown
            assert "Ada" not in shown

    run_in_virtual_time(look())
