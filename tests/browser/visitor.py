"""A person at a page of the service: what he does, and what he notices."""

import asyncio
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.browser.sound import Heard

Transport = Literal["webrtc", "websocket"]

PATIENCE_S = 20.0
"""Every wait of a test is bounded by this."""
PATIENCE_MS = PATIENCE_S * 1000
SILENT_FOR_MS = 800
"""Longer than between two sentences."""
OBSERVER = Path(__file__).with_name("observer.js")
WITHOUT_WEBRTC = "delete window.RTCPeerConnection;"


class Told(NamedTuple):
    """A message of the service.

    Attributes:
        at_ms: page time of its arrival
    """

    at_ms: float
    message: dict[str, Any]


class Visitor:
    """A person at a page.

    Attributes:
        complaints: what the browser had to find fault with
        asked: origins that were asked for something
    """

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._logged)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._requested)
        page.on("websocket", lambda socket: self._ask(socket.url))

    # What he does

    async def opens(self, address: str = "/") -> None:
        """Go to a page of the service."""
        await self.page.goto(f"{self.origin}{address}")

    async def leaves(self) -> None:
        """Go away from the service."""
        await self.page.goto("about:blank")

    async def presses(self, button: str) -> None:
        """Press the button of a name."""
        await self.button(button).click()

    async def types(self, text: str) -> None:
        """Write to the agent, and send it."""
        field = self.page.get_by_label("Message to the agent")
        await field.fill(text)
        await field.press("Enter")

    async def key(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            await self.page.keyboard.press(key)

    # What he notices

    async def sees_state(self, state: str) -> None:
        """Wait until the page is in a state."""
        await self._see(self.page.locator(f"html[data-state={state}]"))

    async def sees_title(self, title: str) -> None:
        """Wait until this is what the page says first."""
        await expect(self.page.locator("main h1:visible")).to_have_text(title, timeout=PATIENCE_MS)

    async def sees(self, text: str) -> None:
        """Wait until a text is to be seen."""
        await self._see(self.page.get_by_text(text).first)

    async def sees_said(self, by: str, text: str) -> None:
        """Wait until the conversation shows that somebody has said this, and was heard to."""
        line = self.page.locator("#log .utt", has=self.page.locator(".who", has_text=by))
        await self._see(line.locator(".said", has_text=text).first)

    async def hears_announced(self, words: str) -> None:
        """Wait until a screen reader is told so."""
        await expect(self.page.get_by_role("status")).to_contain_text(words, timeout=PATIENCE_MS)

    def button(self, name: str) -> Locator:
        """The button of a name."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def hint(self) -> str:
        """The sentence below the title."""
        return await self.page.locator("#hint").inner_text()

    async def heard(self) -> Heard:
        """What he has heard so far."""
        return Heard.of(await self.page.evaluate("observed.sounds()"))

    async def hears_silence(self) -> float:
        """Wait until nothing was heard for a while; returns the page time of the last sound."""
        async with asyncio.timeout(PATIENCE_S):
            at_ms: float = await self.page.evaluate("observed.silence", SILENT_FOR_MS)
        return at_ms

    # What happens behind it

    async def told(self, kind: str, *, times: int = 1, after_ms: float = 0, **members: Any) -> Told:
        """Wait for the `times`th message of a type from the service, with these members."""
        async with asyncio.timeout(PATIENCE_S):
            found = await self.page.evaluate(
                "([wanted, times, afterMs]) => observed.message(wanted, times, afterMs)",
                [{"type": kind, **members}, times, after_ms],
            )
        return Told(found["atMs"], found["message"])

    async def microphone_at(self, seconds: float) -> float:
        """Wait until the microphone's file has played so long; returns the page time of it."""
        async with asyncio.timeout(seconds + PATIENCE_S):
            at_ms: float = await self.page.evaluate("observed.microphoneAt", seconds)
        return at_ms

    async def call_id(self, transport: Transport) -> str:
        """Wait for the call to begin, by this transport."""
        welcome = (await self.told("welcome")).message
        assert welcome["transport"] == transport
        return str(welcome["call_id"])

    async def announced(self) -> list[str]:
        """What a screen reader was told."""
        sentences: list[str] = await self.page.evaluate("observed.announced")
        return sentences

    async def violations(self) -> list[str]:
        """What the page's own policy has forbidden it."""
        found: list[str] = await self.page.evaluate("observed.violations")
        return found

    def unexpected(self, may_complain: str | None) -> list[str]:
        """Complaints but those that a test expects: a pattern of these."""
        return [
            each
            for each in self.complaints
            if may_complain is None or not re.search(may_complain, each)
        ]

    # Inside

    async def _see(self, what: Locator) -> None:
        await expect(what).to_be_visible(timeout=PATIENCE_MS)

    def _logged(self, line: ConsoleMessage) -> None:
        if line.type in ("error", "warning"):
            self.complaints.append(line.text)

    def _requested(self, request: Request) -> None:
        self._ask(request.url)

    def _ask(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss"):
            self.asked.add(parts.netloc)


async def visitor(context: BrowserContext, origin: str, transport: Transport) -> Visitor:
    """A person with a page of his own; by WebSocket his browser has no WebRTC."""
    await context.add_init_script(path=OBSERVER)
    if transport == "websocket":
        await context.add_init_script(WITHOUT_WEBRTC)
    return Visitor(await context.new_page(), origin)
