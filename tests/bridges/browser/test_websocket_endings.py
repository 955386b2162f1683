"""How calls by WebSocket end, and how callers come back to them."""

import asyncio

import pytest
from structlog.testing import capture_logs

from evibridge.agent.call import Call
from evibridge.bridges.browser import websocket_leg
from evibridge.bridges.browser.desk import Place
from evibridge.bridges.browser.websocket_leg import WebSocketLeg
from evibridge.events import EndReason
from evibridge.sockets._picows import PicowsSocket
from tests.bridges.browser.page import BrowserScene
from tests.bridges.browser.what_is_heard import MS, PIECE, hears, lost
from tests.parties import all_gone


async def test_a_call_that_ends_as_its_caller_comes_is_told_to_be_over(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = Place.join

    def join_and_end(place: Place, leg: WebSocketLeg) -> Call | None:
        call = join(place, leg)
        assert call is not None
        call.end(EndReason.SHUTDOWN)
        return call

    monkeypatch.setattr(Place, "join", join_and_end)
    page = await browser.page()
    await page.hello(token=browser.token())
    told, code = await page.told_before_close()
    assert [message["type"] for message in told] == ["welcome", "ended"]
    assert code == 1000


async def test_the_caller_ends_the_call(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    await chat.say("u1", "A very long sentence.", 2_000)
    await page.audio(100 * MS)
    await page.send(type="end")

    told, code = await page.told_before_close()
    assert code == 1000
    kinds = [message["type"] for message in told if message["type"] in ("heard", "ended")]
    assert kinds == ["heard", "ended"]
    assert told[-1]["reason"] == "caller_hung_up"
    assert told[-1]["sentence"] == "You have ended the call."
    assert told[-1]["seconds"] == told[-1]["at_s"]
    await all_gone(browser.calls)


async def test_the_agent_ends_the_call_once_it_was_heard(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    browser.call.end_with("Goodbye.")
    assert (await page.expect("ending"))["reason"] == "agent_hung_up"
    assert (await chat.expect("assistant_input"))["text"] == "Goodbye."
    await chat.say("u1", "Goodbye.", 100)
    await page.send(**await page.expect("mark"))

    told, code = await page.told_before_close()
    assert code == 1000
    assert told[-1]["reason"] == "agent_hung_up"


async def test_a_lost_server_is_told_and_its_return(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    await chat.close(1011)
    await page.expect("away")
    following = await browser.evi.next_chat()
    await following.open()
    await page.expect("ready")


async def test_a_caller_comes_back_and_is_told_what_was_missed(browser: BrowserScene) -> None:
    page, welcome = await browser.caller()
    chat = await browser.answer(page)
    await chat.hear_user("Where is my order?")
    since = (await page.expect("transcript"))["seq"]
    call = browser.call

    page.break_off()
    await lost(browser, call.call_id)
    await chat.hear_user("Are you there?")
    await chat.expect("pause_assistant_message")

    again, same = await browser.caller(key=welcome["key"], since=since)
    assert same["key"] == welcome["key"]
    assert same["call_id"] == welcome["call_id"]
    missed = await again.receive()
    assert isinstance(missed, dict)
    assert missed["text"] == "Are you there?"
    assert browser.call is call
    await chat.expect("resume_assistant_message")
    await again.speak(PIECE)
    await hears(chat, PIECE)


async def test_a_page_that_knows_nothing_any_more_is_told_everything(
    browser: BrowserScene,
) -> None:
    page, welcome = await browser.caller()
    chat = await browser.answer(page)
    await chat.hear_user("Where is my order?")
    await page.expect("transcript")
    page.break_off()

    for since in (None, 2**53):  # a number from nowhere is worth nothing
        again, _ = await browser.caller(key=welcome["key"], since=since)
        first, second = await again.receive(), await again.receive()
        assert isinstance(first, dict)
        assert isinstance(second, dict)
        assert (first["type"], second["type"]) == ("ready", "transcript")


async def test_a_page_that_comes_back_too_often_is_told_to_wait(browser: BrowserScene) -> None:
    _, welcome = await browser.caller()
    for _ in range(10):
        browser.desk.come_back(welcome["key"])
    page = await browser.page()
    await page.hello(key=welcome["key"])
    told, code = await page.told_before_close()
    assert code == 4001
    assert told[-1]["code"] == "too_many_connections"
    assert told[-1]["retry_after_s"] == 1


async def test_a_second_connection_takes_the_call_over(browser: BrowserScene) -> None:
    page, welcome = await browser.caller()
    chat = await browser.answer(page)
    listener = browser.call.tap.listen(lambda _: None)

    again, _ = await browser.caller(key=welcome["key"])
    told, code = await page.told_before_close()
    assert code == 4002
    assert "ended" not in [message["type"] for message in told]

    await chat.hear_user("Still here.")
    assert (await again.expect("transcript"))["text"] == "Still here."
    await again.speak(PIECE)
    await hears(chat, PIECE)
    assert browser.calls.live == 1
    listener()


async def test_a_page_that_falls_silent_is_lost_and_its_call_ends(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_leg, "LOST_AFTER_S", 0.1)
    page, _ = await browser.caller()
    call_id = browser.call.call_id
    await lost(browser, call_id)
    assert (await page.told_before_close())[1] == 1006


async def test_a_call_whose_caller_does_not_come_back_is_over(browser: BrowserScene) -> None:
    page, welcome = await browser.caller()
    call = browser.call
    await page.close()
    await lost(browser, call.call_id)
    call.end(EndReason.CALLER_LOST)
    await all_gone(browser.calls)

    late = await browser.page()
    await late.hello(key=welcome["key"])
    assert await late.refusal() == ("call_is_over", 4001)


async def test_the_end_of_the_service_is_told(browser: BrowserScene) -> None:
    page, _ = await browser.talk()
    (told, code), _ = await asyncio.gather(page.told_before_close(), browser.service.close())
    assert code == 1000
    assert told[-1]["reason"] == "shutdown"


async def test_a_connection_that_does_not_take_the_agents_voice_is_cut(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_leg, "MAX_UNSENT_BYTES", -1)
    page = await browser.page()
    with capture_logs() as logs:
        await page.hello(token=browser.token())
        assert (await page.told_before_close())[1] == 1006
    stuck = [log for log in logs if log["event"] == "caller_socket_stuck"]
    assert stuck[0]["call_id"] == browser.call.call_id


async def test_audio_that_waits_too_long_for_the_network_ends_the_connection(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_leg, "STUCK_AFTER_S", 0.15)
    page, chat = await browser.talk()
    behind(browser, 40_000)
    await chat.say("u1", "A very long sentence.", 2_000)
    assert (await page.told_before_close())[1] == 1006


async def test_an_interruption_is_never_behind_audio_that_the_network_does_not_take(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    behind(browser, 40_000)
    await chat.say("u1", "A very long sentence.", 5_000)
    await page.expect("transcript")
    await chat.send(type="user_interruption", time=1)
    while (message := await page.receive()) != {"type": "clear"}:
        assert not isinstance(message, bytes)


def behind(browser: BrowserScene, unsent_bytes: int) -> None:
    """The network takes what it is given, but says that so much is not on its way yet."""
    leg = browser.call._leg
    assert isinstance(leg, WebSocketLeg)
    assert isinstance(leg._socket, PicowsSocket)
    leg._socket.unsent_bytes = lambda: unsent_bytes
