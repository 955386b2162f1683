"""Whole calls by WebSocket: between a page and an EVI server, over real sockets."""

import asyncio
import base64

import pytest

from evibridge.agent.commands import Hold, Inject, Pause, Release, Resume, SetContext
from evibridge.bridges.browser import sent_marks
from evibridge.events import CallKind
from evibridge.web_sessions import WebSession
from tests.bridges.browser.page import BrowserScene
from tests.bridges.browser.what_is_heard import MS, PIECE, caller_audio, hears
from tests.parties import PATIENCE_S, wav


async def test_a_page_is_welcomed_and_told_when_the_agent_is_there(browser: BrowserScene) -> None:
    page, welcome = await browser.caller()
    assert welcome == {
        "type": "welcome",
        "call_id": browser.call.call_id,
        "key": welcome["key"],
        "resume_s": 10.0,
        "agent": {"name": "Lantern"},
        "transport": "websocket",
    }

    chat = await browser.evi.next_chat()
    await chat.open()
    ready = await page.expect("ready")
    assert ready["seq"] == browser.bus.last_seq
    assert 0 <= ready["at_s"] < PATIENCE_S
    assert browser.call.facts.kind is CallKind.BROWSER


async def test_the_agent_is_told_what_the_session_says_of_the_caller(
    browser: BrowserScene,
) -> None:
    session = WebSession("Ada", {"customer": "17"}, {"shop": "Lamp", "vip": True})
    await browser.caller(token=browser.token(session))
    chat = await browser.evi.next_chat()
    await chat.open()

    told = await chat.expect("session_settings")
    assert told["variables"] == {"shop": "Lamp", "vip": True}
    assert told["audio"]["sample_rate"] == 16_000
    assert browser.call.facts.caller == "Ada"
    assert browser.call.facts.parameters == {"customer": "17"}


async def test_the_callers_voice_reaches_the_server_as_it_is(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    await page.speak(PIECE)
    await hears(chat, PIECE)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000, 96_000])
async def test_a_callers_voice_at_another_rate_is_converted(
    browser: BrowserScene, rate_hz: int
) -> None:
    page, chat = await browser.talk(capture_rate_hz=rate_hz)
    await page.speak(wav(120, rate_hz)[44:])
    heard = b""
    while not any(heard):  # silence may have stood for what came late
        heard = (await caller_audio(chat, 2))[-2 * 16 * 120 :]
    assert len(heard) == 2 * 16 * 120


@pytest.mark.parametrize("rate_hz", [8_000, 24_000, 44_100, 48_000])
async def test_the_agents_voice_comes_at_the_rate_that_the_page_plays(
    browser: BrowserScene, rate_hz: int
) -> None:
    page, chat = await browser.talk(playback_rate_hz=rate_hz)
    await chat.say("u1", "Hello.", 200)

    transcript = await page.expect("transcript")
    assert transcript["by"] == "agent"
    assert transcript["id"] == "u1"
    assert transcript["text"] == "Hello."
    voice = await page.audio(2 * rate_hz // 5)
    assert len(voice) == 2 * rate_hz // 5
    assert any(voice)


async def test_a_mark_comes_behind_its_audio_and_proves_that_it_was_heard(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    await chat.say("u1", "Good morning.", 300)

    await page.audio(300 * MS)
    mark = await page.expect("mark")
    await page.send(**mark)

    heard = await page.expect("heard")
    assert heard["id"] == "u1"
    assert heard["text"] == "Good morning."
    assert heard["complete"] is True


async def test_a_mark_that_comes_before_its_audio_can_have_been_played_waits(
    browser: BrowserScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent_marks, "SLACK_S", -3_600.0)
    page, chat = await browser.talk()
    await chat.say("u1", "Good morning.", 350)
    await page.send(**await page.expect("mark"))
    await page.send(type="ping")
    told = await page.receive()
    while told != {"type": "pong"}:
        assert isinstance(told, bytes) or told["type"] != "heard"
        told = await page.receive()


async def test_a_mark_that_was_not_sent_yet_proves_nothing(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    await chat.say("u1", "A very long sentence.", 5_000)
    await page.audio(100 * MS)
    await page.send(type="mark", name="0:5000")  # as it will be called
    await chat.send(type="user_interruption", time=1)
    await page.expect("clear")
    heard = await page.expect("heard")
    assert heard["complete"] is False


async def test_marks_that_the_page_has_dropped_come_at_once_and_change_nothing(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    await chat.say("u1", "A sentence.", 400)
    mark = await page.expect("mark")
    await page.send(**mark)  # too early, and then it was dropped
    await page.send(type="pause")
    await page.expect("clear")
    assert (await page.expect("heard"))["complete"] is False
    await page.send(**mark)
    await page.send(type="ping")
    assert (await page.expect("pong")) == {"type": "pong"}


async def test_what_the_caller_says_is_shown_with_how_it_sounded(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    await chat.hear_user("Where is", interim=True)
    await chat.hear_user("Where is my order?")

    interim = await page.expect("transcript")
    assert interim["interim"] is True
    final = await page.expect("transcript", interim=False)
    assert final["by"] == "caller"
    assert final["text"] == "Where is my order?"
    assert final["typed"] is False


async def test_audio_is_held_back_so_that_an_interruption_takes_effect_at_once(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    await chat.say("u1", "A very long sentence.", 5_000)
    await page.audio(300 * MS)
    await chat.send(type="user_interruption", time=1)

    received = 0
    while True:
        message = await page.receive()
        if isinstance(message, dict) and message["type"] == "clear":
            break
        received += len(message) if isinstance(message, bytes) else 0
    assert received < 1_000 * MS  # of five seconds; on a busy machine, some more than was due

    heard = await page.expect("heard")
    assert heard["id"] == "u1"
    assert heard["complete"] is False
    await page.expect("interrupted")

    await chat.say("u2", "Yes?", 100)
    await page.expect("transcript", id="u2")
    assert len(await page.audio(100 * MS)) == 100 * MS  # nothing of the first sentence


async def test_an_agent_whose_voice_changes_its_rate_is_heard_all_the_same(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    await chat.say("u1", "Hello.", 100, end=False)
    await page.audio(100 * MS)
    data = base64.b64encode(b"no WAV file").decode()
    await chat.send(type="audio_output", id="u1", index=1, data=data)
    await chat.send_audio("u1", 2, 100, rate_hz=22_050)
    assert any(await page.audio(100 * MS))


async def test_marks_of_audio_that_was_held_back_are_told_as_flushed(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    await chat.say("u1", "A very long sentence.", 5_000)
    await page.audio(100 * MS)
    await page.send(type="pause")
    await page.expect("clear")
    assert (await page.expect("heard"))["complete"] is False
    await page.send(type="resume")
    await page.expect("resumed")
    await chat.say("u2", "Yes?", 100)
    mark = await page.expect("mark")
    await page.send(**mark)
    assert (await page.expect("heard"))["id"] == "u2"


async def test_what_waits_for_its_time_comes_when_it_is_due(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    await chat.say("u1", "A sentence.", 900)
    assert len(await page.audio(900 * MS)) == 900 * MS
    await page.expect("mark")


async def test_a_tool_is_shown_without_what_it_is_asked_or_answers(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    await chat.call_tool("t1", "order_status", '{"order_id": "B17"}')

    running = await page.expect("tool")
    assert without_time(running) == {
        "type": "tool",
        "id": "t1",
        "name": "order_status",
        "state": "running",
        "words": "Let me look that up.",
    }
    done = await page.expect("tool")
    done_with = {"type": "tool", "id": "t1", "name": "order_status", "state": "done"}
    assert without_time(done) == done_with


async def test_a_tool_that_fails_is_shown_as_such(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    await chat.call_tool("t1", "hang", "{}")
    await page.expect("tool", state="running")
    await page.expect("tool", state="failed")


async def test_a_typed_text_goes_to_the_agent(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    await page.send(type="text", text="Hello from the keyboard")
    assert (await chat.expect("user_input"))["text"] == "Hello from the keyboard"
    await chat.hear_user("Hello from the keyboard", typed=True)
    assert (await page.expect("transcript"))["typed"] is True


async def test_the_caller_pauses_the_agent_and_lets_it_speak_again(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    await page.send(type="pause")
    assert (await page.expect("paused"))["by"] == "you"
    await chat.expect("pause_assistant_message")
    await page.send(type="resume")
    await page.expect("resumed")
    await chat.expect("resume_assistant_message")


async def test_a_caller_cannot_undo_what_an_operator_has_paused(browser: BrowserScene) -> None:
    page, _ = await browser.talk()
    await browser.call.operate(Pause(), "Ada")
    assert (await page.expect("paused"))["by"] == "operator"

    await page.send(type="resume")
    refused = await page.expect("refused")
    assert refused["code"] == "paused_by_operator"
    assert refused["command"] == "resume"

    await browser.call.operate(Resume(), "Ada")
    resumed = await page.expect("resumed")
    assert "Ada" not in str(resumed)


async def test_a_held_call_is_shown_and_what_operators_whisper_is_not(
    browser: BrowserScene,
) -> None:
    page, chat = await browser.talk()
    await browser.call.operate(SetContext("He is a thief."), "Ada")
    await browser.call.operate(Inject("Where is my order?"), "Ada")
    await chat.hear_user("Where is my order?", typed=True)
    await browser.call.operate(Hold(), "Ada")
    held = await page.receive()
    assert isinstance(held, dict)
    assert held["type"] == "held"
    await browser.call.operate(Release(), "Ada")
    await page.expect("released")


async def test_a_muted_microphone_is_told(browser: BrowserScene) -> None:
    page, _ = await browser.talk()
    await page.send(type="mute", muted=True)
    assert (await page.expect("muted"))["muted"] is True
    await page.send(type="mute", muted=False)
    assert (await page.expect("muted"))["muted"] is False


async def test_a_ping_is_answered(browser: BrowserScene) -> None:
    page, _ = await browser.caller()
    await page.send(type="ping")
    assert await page.expect("pong") == {"type": "pong"}


@pytest.mark.parametrize("microphone", [True, False])
async def test_silence_stands_for_a_caller_who_sends_nothing_or_stops(
    browser: BrowserScene, microphone: bool
) -> None:
    page, chat = await browser.talk(microphone=microphone)
    assert await caller_audio(chat, 3 * 3_200) == bytes(9_600)

    for _ in range(2):
        await page.speak(PIECE)
        await hears(chat, PIECE)
        assert await caller_audio(chat, 3 * 3_200) == bytes(9_600)


async def test_who_listens_hears_the_agent_too(browser: BrowserScene) -> None:
    page, chat = await browser.talk()
    heard: list[bytes] = []
    loud = asyncio.Event()

    def hear(stereo16: bytes) -> None:
        heard.append(stereo16[2::4])
        if any(stereo16[2::4]):
            loud.set()

    stop = browser.call.tap.listen(hear)
    await chat.say("u1", "Hello.", 300)
    await page.audio(100 * MS)
    async with asyncio.timeout(PATIENCE_S):
        await loud.wait()
    stop()


def without_time(message: dict[str, object]) -> dict[str, object]:
    return {name: each for name, each in message.items() if name not in ("seq", "at_s")}
