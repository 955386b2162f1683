"""What a page and its call tell each other, whatever carries it."""

import asyncio
import json
from typing import Any

import pytest

from evibridge.agent.actions import HangUp
from evibridge.bridges.browser import caller_channel, replay
from evibridge.bridges.browser.caller_channel import CallerChannel
from evibridge.events import CallerSaid, CallHeld, EndReason
from tests.bridges.browser.page import BrowserScene
from tests.parties import PATIENCE_S


class Wire:
    """A channel of a live call, and what it has sent."""

    def __init__(self, browser: BrowserScene, key: str, since: int | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self.channel = CallerChannel(
            browser.desk.find(key),
            browser.call,
            browser.bus,
            lambda text: self.sent.append(json.loads(text)),
            lambda _: None,
            since,
            transport="webrtc",
        )

    @property
    def kinds(self) -> list[str]:
        """Types of what was sent."""
        return [message["type"] for message in self.sent]

    def receive(self, **message: Any) -> bool:
        """A message of the page."""
        return self.channel.receive(json.dumps(message).encode())

    async def end(self, how: HangUp) -> None:
        """The call ends, and the transport is closed."""
        self.channel.end(how, self.closed.set)
        async with asyncio.timeout(PATIENCE_S):
            await self.closed.wait()


@pytest.fixture
async def wire(browser: BrowserScene) -> Wire:
    _, welcome = await browser.caller()
    return Wire(browser, welcome["key"])


async def test_it_says_welcome_by_its_transport(wire: Wire) -> None:
    assert wire.kinds == ["welcome"]
    assert wire.sent[0]["transport"] == "webrtc"


async def test_messages_of_the_transport_are_left_to_it(wire: Wire) -> None:
    assert wire.receive(type="mark", name="m") is False
    assert wire.receive(type="hello", token="t") is False
    assert wire.receive(type="ping") is True
    assert wire.receive(type="nonsense") is True
    assert wire.kinds == ["welcome", "pong", "refused"]


async def test_a_closed_channel_neither_tells_nor_obeys(browser: BrowserScene, wire: Wire) -> None:
    wire.channel.close()
    browser.bus.publish(browser.call.call_id, CallHeld())
    assert wire.receive(type="end") is True
    assert not browser.call.is_over
    assert wire.kinds == ["welcome"]


async def test_an_end_that_was_told_is_not_told_twice(browser: BrowserScene, wire: Wire) -> None:
    browser.call.end(EndReason.SHUTDOWN)
    await wire.end(HangUp(EndReason.SHUTDOWN))
    assert wire.kinds == ["welcome", "ended"]


async def test_an_end_that_no_event_tells_is_told_all_the_same(wire: Wire) -> None:
    await wire.end(HangUp(EndReason.FAULT))
    assert wire.kinds == ["welcome", "ended"]
    assert wire.sent[-1]["reason"] == "fault"
    assert wire.sent[-1]["seconds"] >= 0


async def test_a_channel_that_was_closed_before_the_end_tells_nothing_of_it(wire: Wire) -> None:
    wire.channel.close()
    await wire.end(HangUp(EndReason.FAULT))
    assert wire.kinds == ["welcome"]


async def test_what_comes_too_fast_is_counted_and_told_now_and_then(
    wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(caller_channel.BURST + 200):
        wire.receive(type="ping")
    assert wire.kinds.count("refused") == 1
    assert wire.channel.messages_dropped > 100

    monkeypatch.setattr(caller_channel, "WARN_EVERY_S", 0.0)
    for _ in range(caller_channel.BURST):
        wire.receive(type="ping")
    assert wire.kinds.count("refused") > 1


def refusals(wire: Wire) -> list[tuple[str, str, float]]:
    """What was refused, why, and for how long."""
    return [
        (message["command"], message["code"], message["retry_after_s"])
        for message in wire.sent
        if message["type"] == "refused"
    ]


async def test_texts_are_bounded_for_the_caller_and_not_for_each_connection(
    browser: BrowserScene, wire: Wire
) -> None:
    for _ in range(6):
        wire.receive(type="text", text="Hello.")
    assert refusals(wire) == [("text", "too_many_texts", 1)]
    assert wire.sent[-1]["message"].endswith(".")
    assert wire.channel.messages_dropped == 1

    again = Wire(browser, wire.sent[0]["key"])
    again.receive(type="text", text="Hello.")
    assert refusals(again) == [("text", "too_many_texts", 1)]


async def test_long_texts_are_bounded_too(wire: Wire) -> None:
    for _ in range(3):
        wire.receive(type="text", text="a" * 4_000)
    ((command, code, retry_after_s),) = refusals(wire)
    assert (command, code) == ("text", "too_many_texts")
    assert 15 <= retry_after_s <= 20


async def test_changes_are_bounded_for_the_caller_and_not_for_each_connection(
    browser: BrowserScene, wire: Wire
) -> None:
    for _ in range(5):
        wire.receive(type="pause")
        wire.receive(type="resume")
    assert refusals(wire) == []
    wire.receive(type="mute", muted=True)
    assert refusals(wire) == [("mute", "too_many_changes", 1)]

    again = Wire(browser, wire.sent[0]["key"])
    again.receive(type="pause")
    assert refusals(again) == [("pause", "too_many_changes", 1)]
    again.receive(type="end")
    assert browser.call.is_over, "a caller may always hang up"


async def test_nothing_is_obeyed_or_answered_behind_the_end(wire: Wire) -> None:
    wire.receive(type="end")
    wire.receive(type="text", text="Hello.")
    wire.receive(type="ping")
    assert wire.kinds == ["welcome", "ended"]


async def test_of_a_long_past_the_newest_is_told_and_that_there_was_more(
    browser: BrowserScene, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_BYTES", 1_000)
    call_id, key = browser.call.call_id, wire.sent[0]["key"]
    assert "missed" not in wire.sent[0]
    browser.bus.publish(call_id, CallHeld())
    for number in range(40):
        said = browser.bus.publish(call_id, CallerSaid(f"{number}", interim=False, typed=False))

    again = Wire(browser, key)
    assert again.sent[0]["missed"] is True
    assert again.kinds[1] == "held", "that is so until it is not"
    texts = [message["text"] for message in again.sent[2:]]
    assert 5 < len(texts) < 15
    assert texts == [f"{number}" for number in range(40 - len(texts), 40)]
    assert "missed" not in Wire(browser, key, said.seq - 1).sent[0]


async def test_what_is_not_kept_any_more_was_missed(
    browser: BrowserScene, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evibridge.bus.MAX_KEPT", len(browser.bus.history(browser.call.call_id)))
    known = browser.bus.publish(browser.call.call_id, CallHeld())
    key = wire.sent[0]["key"]
    assert Wire(browser, key).sent[0]["missed"] is True
    assert "missed" not in Wire(browser, key, known.seq).sent[0]


async def test_a_page_that_knows_everything_is_told_nothing_again(
    browser: BrowserScene, wire: Wire
) -> None:
    told = browser.bus.publish(browser.call.call_id, CallHeld())
    key = wire.sent[0]["key"]
    assert Wire(browser, key, told.seq).kinds == ["welcome"]
    assert Wire(browser, key, told.seq - 1).kinds == ["welcome", "held"]
    assert Wire(browser, key).kinds == ["welcome", "held"]
    assert Wire(browser, key, told.seq + 10**6).kinds == ["welcome", "held"]
