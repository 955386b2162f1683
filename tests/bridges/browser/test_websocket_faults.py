"""What strangers and broken pages send: each is told what is wrong, and no call suffers."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from evibridge.bridges.browser import caller_channel, desk, strangers, websocket_leg
from evibridge.bridges.browser.origins import Origins
from evibridge.bridges.browser.websocket_routes import WebSocketRoutes
from evibridge.web_sessions import WebSession
from tests.bridges.browser.page import ALLOWED, BrowserScene
from tests.parties import PATIENCE_S, TinyChat, all_gone

LOUD = b"\x00\x40" * 320  # 20 ms at 16 kHz


async def test_a_page_that_says_nothing_is_closed(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket_leg, "HELLO_TIMEOUT_S", 0.05)
    page = await browser.page()
    assert await page.refusal() == ("bad_hello", 1008)


@pytest.mark.parametrize(
    "first",
    [
        {"type": "ping"},
        {"type": "nonsense"},
        {"type": "hello"},
        {"type": "hello", "token": "a", "key": "b"},
        {"type": "hello", "token": 5},
        {"type": "hello", "token": "a", "capture_rate_hz": "many"},
    ],
)
async def test_whoever_does_not_say_hello_first_is_closed(
    browser: BrowserScene, first: dict[str, Any]
) -> None:
    page = await browser.page()
    await page.send(**first)
    assert await page.refusal() == ("bad_hello", 1008)


async def test_audio_before_the_hello_is_not_taken(browser: BrowserScene) -> None:
    page = await browser.page()
    await page.speak(LOUD)
    assert await page.refusal() == ("bad_hello", 1008)


async def test_a_hello_that_comes_again_is_refused_and_the_call_goes_on(
    browser: BrowserScene,
) -> None:
    page, _ = await browser.talk()
    await page.hello(token=browser.token())
    assert (await page.expect("refused"))["code"] == "bad_message"
    await page.send(type="ping")
    await page.expect("pong")


async def test_a_token_lets_one_caller_in(browser: BrowserScene) -> None:
    token = browser.token()
    await browser.caller(token=token)
    page = await browser.page()
    await page.hello(token=token)
    assert await page.refusal() == ("token_used", 4001)


async def test_tokens_that_let_nobody_in(browser: BrowserScene) -> None:
    for token, code in (
        ("nonsense", "token_unknown"),
        (browser.token(lifetime_s=0.0), "token_expired"),
        (browser.token(WebSession(origin=ALLOWED)), "token_for_another_origin"),
    ):
        page = await browser.page(Origin=browser.origin)
        await page.hello(token=token)
        assert await page.refusal() == (code, 4001)
    assert browser.calls.live == 0


async def test_an_allowed_page_of_another_site_calls_with_its_token(browser: BrowserScene) -> None:
    page = await browser.page(Origin=ALLOWED)
    await page.hello(token=browser.token(WebSession(origin=ALLOWED)))
    await page.expect("welcome")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_a_page_of_another_site_does_not_get_a_socket(
    browser: BrowserScene, origin: str
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await browser.page(Origin=origin)
    assert refused.value.status == 403


async def test_a_key_that_is_none_finds_no_call(browser: BrowserScene) -> None:
    page = await browser.page()
    await page.hello(key="nonsense")
    assert await page.refusal() == ("call_is_over", 4001)


async def test_a_full_service_keeps_the_token_good_for_later(browser: BrowserScene) -> None:
    await browser.caller()
    await browser.caller()
    token = browser.token()
    late = await browser.page()
    await late.hello(token=token)
    told, code = await late.told_before_close()
    assert code == 4001
    assert told[-1]["code"] == "service_full"
    assert told[-1]["retry_after_s"] > 0

    await browser.pages[0].send(type="end")
    await browser.pages[0].told_before_close()
    await browser.pages[1].send(type="end")
    await browser.pages[1].told_before_close()
    await all_gone(browser.calls)
    await browser.caller(token=token)


async def test_while_calls_are_drained_none_begins_but_callers_come_back(
    browser: BrowserScene,
) -> None:
    page, welcome = await browser.caller()
    draining = asyncio.create_task(browser.calls.drain(PATIENCE_S))
    await asyncio.sleep(0)  # it has begun

    late = await browser.page()
    await late.hello(token=browser.token())
    assert await late.refusal() == ("draining", 4001)

    page.break_off()
    again, _ = await browser.caller(key=welcome["key"])
    await again.send(type="end")
    async with asyncio.timeout(PATIENCE_S):
        await draining


async def test_of_sockets_without_a_hello_the_oldest_makes_room_for_the_newest(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 2)
    talking, _ = await browser.caller()  # has said who it is
    silent = [await browser.page() for _ in range(3)]
    told, code = await silent[0].told_before_close()
    assert code == 4001
    assert told[-1]["code"] == "too_many_connections"
    assert told[-1]["retry_after_s"] == 1

    await browser.caller()
    assert await silent[1].refusal() == ("too_many_connections", 4001)
    await talking.send(type="ping")
    await talking.expect("pong")
    await silent[2].send(type="ping")
    assert await silent[2].refusal() == ("bad_hello", 1008)


async def test_a_refused_socket_that_is_not_closed_takes_no_room(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MAX_STRANGERS", 1)
    refused = await browser.page()
    await refused.send(type="ping")
    assert isinstance(told := await refused.receive(), dict)
    assert told["code"] == "bad_hello"

    page = await browser.page()
    await browser.page()
    assert await page.refusal() == ("too_many_connections", 4001)
    assert await refused.told_before_close() == ([], 1008)


@pytest.mark.parametrize(
    "rates",
    [
        {"capture_rate_hz": 7_999},
        {"capture_rate_hz": 96_001},
        {"capture_rate_hz": 44_101},
        {"playback_rate_hz": 96_000},
        {"playback_rate_hz": 0},
        {"playback_rate_hz": 44_101},
        {"capture_rate_hz": 11_025},
        {"playback_rate_hz": 47_950},
    ],
)
async def test_a_rate_that_cannot_be_converted_uses_no_token_up(
    browser: BrowserScene, rates: dict[str, int]
) -> None:
    token = browser.token()
    page = await browser.page()
    await page.hello(token=token, **rates)
    assert await page.refusal() == ("rate_not_usable", 4001)
    await browser.caller(token=token)


async def test_what_is_refused_for_its_rate_has_cost_no_filter(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def design(*_: int) -> None:
        raise AssertionError("A filter was made.")

    token = browser.token()
    page = await browser.page()
    monkeypatch.setattr("evibridge.audio.resample._design", design)
    await page.hello(token=token, capture_rate_hz=11_025)
    assert await page.refusal() == ("rate_not_usable", 4001)


async def test_a_stranger_does_not_learn_which_rates_can_be_used(browser: BrowserScene) -> None:
    page = await browser.page()
    await page.hello(token="nonsense", capture_rate_hz=44_101)
    assert await page.refusal() == ("token_unknown", 4001)


@pytest.mark.parametrize("size", [0, 1, 641, 3_842])
async def test_audio_that_cannot_be_taken_is_left_out(browser: BrowserScene, size: int) -> None:
    page, chat = await browser.talk()
    await page.speak(bytes(size))
    refused = await page.expect("refused")
    assert refused["code"] == "bad_audio"
    assert str(size) in refused["message"]

    await page.speak(bytes(size))
    await page.speak(LOUD)
    await page.send(type="ping")
    assert (await page.receive()) == {"type": "pong"}  # it is told once
    assert (await chat.expect("audio_input"))["type"] == "audio_input"


async def test_more_audio_than_there_can_be_is_dropped(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    for _ in range(200):  # 20 s
        await page.speak(bytes(3_200))
    await page.send(type="text", text="All sent.")
    seconds = await _seconds_until_text(chat)
    assert seconds < 5  # of twenty: what may come at once, and a little more on a busy machine


async def test_audio_in_crumbs_is_dropped_too(browser: BrowserScene) -> None:
    with capture_logs() as logs:
        page, chat = await browser.talk()
        for _ in range(2_000):
            await page.speak(bytes(2))
        await page.send(type="text", text="All sent.")
        await chat.expect("user_input")
        await asyncio.gather(page.told_before_close(), browser.service.close())
    (dropped,) = [log["audio_dropped"] for log in logs if log["event"] == "caller_socket_closed"]
    assert dropped > 1_000  # though it is an eighth of a second


async def _seconds_until_text(chat: TinyChat) -> float:
    seconds = 0.0
    while True:
        async with asyncio.timeout(PATIENCE_S):
            message = await chat.received.get()
        if message["type"] == "user_input":
            return seconds
        seconds += len(message.get("data", "")) * 3 / 4 / 32_000


@pytest.mark.parametrize("as_text", [True, False])
async def test_a_message_of_a_megabyte_ends_the_connection(
    browser: BrowserScene, as_text: bool
) -> None:
    page, _ = await browser.talk()
    if as_text:
        await page.send(type="text", text="a" * 2**20)
    else:
        await page.speak(bytes(2**20))
    assert (await page.told_before_close())[1] == 1009


@pytest.mark.parametrize(
    "message",
    [
        {"type": "text", "text": ""},
        {"type": "text", "text": "a" * 4_001},
        {"type": "mute"},
        {"type": "mark", "name": 5},
        {"type": "sing"},
    ],
)
async def test_a_bad_message_is_refused_and_the_call_goes_on(
    browser: BrowserScene, message: dict[str, Any]
) -> None:
    page, _ = await browser.talk()
    await page.send(**message)
    assert (await page.expect("refused"))["code"] == "bad_message"
    await page.send(type="ping")
    await page.expect("pong")


async def test_a_flood_of_messages_is_not_read_and_told_once_a_second(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_channel, "PER_S", 0.001)
    page, _ = await browser.talk()
    for _ in range(caller_channel.BURST + 100):
        await page.send(type="ping")
    for _ in range(caller_channel.BURST):
        assert await page.receive() == {"type": "pong"}
    refused = await page.receive()
    assert isinstance(refused, dict)
    assert refused["code"] == "too_many_messages"

    browser.call.end_with("Goodbye.")
    assert (await page.receive()) == await _ending(browser)


async def _ending(browser: BrowserScene) -> dict[str, Any]:
    """The event that was told last, as a page is told it."""
    told = browser.bus.history(browser.call.call_id)[-1]
    at_s = round(told.at_s - browser.call.snapshot().began_at_s, 3)
    return {"type": "ending", "reason": "agent_hung_up", "seq": told.seq, "at_s": at_s}


async def test_marks_that_were_never_placed_change_nothing(browser: BrowserScene) -> None:
    page, _ = await browser.talk()
    await page.send(type="mark", name="nonsense")
    await page.send(type="ping")
    assert await page.receive() == {"type": "pong"}


async def test_what_a_page_sends_behind_the_end_is_passed_over(browser: BrowserScene) -> None:
    page, _ = await browser.talk()
    for message in ({"type": "end"}, {"type": "mark", "name": "m"}, {"type": "text", "text": "a"}):
        await page.socket.send_str(json.dumps(message))
    await page.speak(LOUD)
    told, code = await page.told_before_close()
    assert code == 1000
    assert [message["type"] for message in told] == ["ended"]


async def test_a_place_that_is_lost_while_somebody_comes_back_is_no_call(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.Place, "join", lambda _place, _leg: None)
    page = await browser.page()
    await page.hello(token=browser.token())
    assert await page.refusal() == ("call_is_over", 4001)


async def test_neither_secrets_nor_words_get_into_the_log(browser: BrowserScene) -> None:
    token = browser.token(WebSession("Ada Lovelace", {"customer": "c-4711"}))
    with capture_logs() as logs:
        page, welcome = await browser.caller(token=token)
        chat = await browser.answer(page)
        await page.send(type="text", text="my secret")
        await chat.expect("user_input")
        await page.speak(b"1")
        await page.expect("refused")
        for who in ({"token": token}, {"key": "not-a-key"}, {"key": welcome["key"], "token": 1}):
            stranger = await browser.page()
            await stranger.hello(**who)
            await stranger.refusal()
        await page.send(type="end")
        await page.told_before_close()
        await all_gone(browser.calls)
    assert [log for log in logs if log["event"] == "caller_socket_refused"]
    for private in (token, welcome["key"], "Lovelace", "c-4711", "my secret", "not-a-key"):
        assert private not in str(logs)


# The built-in page's token


async def ask(browser: BrowserScene, **headers: str) -> tuple[int, dict[str, Any]]:
    async with browser.http.post(f"{browser.origin}/browser/session", headers=headers) as answer:
        return answer.status, await answer.json()


async def test_the_built_in_page_gets_a_token_for_itself(browser: BrowserScene) -> None:
    status, answer = await ask(browser, Origin=browser.origin)
    assert status == 201
    assert repr(answer["expires_in_s"]) == "60"

    page = await browser.page(Origin=browser.origin)
    await page.hello(token=answer["token"])
    await page.expect("welcome")


async def test_a_local_program_gets_a_token_too(browser: BrowserScene) -> None:
    status, answer = await ask(browser)
    assert status == 201
    await browser.caller(token=answer["token"])


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost:1"},
        {"Origin": ALLOWED},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Origin": "null"},
        {"X-Forwarded-For": "203.0.113.7"},
        {"Host": "voice.example.com"},
    ],
)
async def test_nobody_else_gets_one(browser: BrowserScene, headers: dict[str, str]) -> None:
    status, answer = await ask(browser, **headers)
    assert status == 403
    assert answer["code"] == "origin_not_allowed"
    assert answer["message"].endswith(".")


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_a_page_that_names_no_origin_may_be_this_services_own(
    browser: BrowserScene, site: str
) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "cors"}
    status, _ = await ask(browser, **headers)
    assert status == 201
    status, _ = await ask(browser, Origin=browser.origin, **headers)
    assert status == 201


async def test_a_page_that_contradicts_itself_gets_no_token(browser: BrowserScene) -> None:
    headers = {"Origin": browser.origin, "Sec-Fetch-Site": "cross-site"}
    status, answer = await ask(browser, **headers)
    assert (status, answer["code"]) == (403, "origin_not_allowed")


async def test_a_service_that_gives_no_tokens_unasked_says_who_does(
    browser: BrowserScene, http: aiohttp.ClientSession
) -> None:
    routes = WebSocketRoutes(
        browser.desk,
        browser.sessions,
        Origins(None),
        browser.bus,
        lambda _: None,
        gives_tokens=False,
    )
    app = web.Application()
    routes.add_routes(app)
    async with TestServer(app) as server, http.post(server.make_url("/browser/session")) as answer:
        assert answer.status == 403
        assert await answer.json() == {
            "code": "no_tokens_here",
            "message": "This service gives tokens through POST /v1/web-sessions only.",
        }


async def test_there_is_an_end_to_tokens(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evibridge.web_sessions.MAX_OPEN", 1)
    browser.token()
    async with browser.http.post(f"{browser.origin}/browser/session") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "60"
        assert (await answer.json())["code"] == "service_full"
