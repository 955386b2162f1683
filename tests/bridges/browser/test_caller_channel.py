"""What a page and its call tell each other, whatever carries it."""

import asyncio
import json
from typing import Any

import pytest

from evibridge.agent.actions import HangUp
from evibridge.bridges.browser import caller_channel
from evibridge.bridges.browser.caller_channel import CallerChannel
from evibridge.events import CallHeld, EndReason
from tests.bridges.browser.page import BrowserScene
from tests.parties import PATIENCE_S


class Wire:
    """A channel of a live call, and what it has sent."""

    def __init__(self, browser: BrowserScene, key: str, since: int | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self.channel = CallerChannel(
            browser.desk.come_back(key),
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


async def test_a_page_that_knows_everything_is_told_nothing_again(
    browser: BrowserScene, wire: Wire
) -> None:
    told = browser.bus.publish(browser.call.call_id, CallHeld())
    key = wire.sent[0]["key"]
    assert Wire(browser, key, told.seq).kinds == ["welcome"]
    assert Wire(browser, key, told.seq - 1).kinds == ["welcome", "held"]
    assert Wire(browser, key).kinds == ["welcome", "held"]
    assert Wire(browser, key, told.seq + 10**6).kinds == ["welcome", "held"]
