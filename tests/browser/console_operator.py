"""An operator at the console: what he does, and what he notices."""

import re

from playwright.async_api import BrowserContext, Locator, Page, Request, expect

from tests.browser.console_calls import ConsoleCall, Phone
from tests.browser.sound import Heard
from tests.browser.visitor import OBSERVER, PATIENCE_MS, Visitor

SOUNDS = """
  window.players = [];
  window.Audio = class extends Audio {
    constructor(...source) {
      super(...source);
      players.push(this);
    }
  };
  window.ears = [];
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...channels) {
    if (target instanceof AudioDestinationNode) {
      const ear = new AnalyserNode(this.context, { fftSize: 4096, smoothingTimeConstant: 0 });
      connect.call(this, ear);
      ears.push(ear);
    }
    return connect.call(this, target, ...channels);
  };
"""
"""Keeps what plays recordings, which is no part of the document, and hears what is played live."""
HAS_TONE = """
  hz => ears.some(ear => {
    const levels = new Float32Array(ear.frequencyBinCount);
    ear.getFloatFrequencyData(levels);
    const level = levels[Math.round((hz * ear.fftSize) / ear.context.sampleRate)];
    return level > -60 && level > Math.max(...levels) - 20;
  })
"""
"""Whether a tone of this pitch is among the loudest that are heard now; levels are in dB."""
UNAUTHORIZED, CONFLICT = "status of 401", "status of 409"
NOT_YET_WRITTEN = "status of 404"
"""Of a record: the page asks for it as soon as a call is over."""
SOUND_EACH_MS = 200
SETTLES_MS = 700
"""A press that comes sooner is not meant for the tool that it finds."""


class Operator(Visitor):
    """Somebody at the console.

    Attributes:
        addresses: all that his browser has asked for
        posted: those at which it has asked for something to be done
    """

    def __init__(self, page: Page, origin: str) -> None:
        super().__init__(page, origin)
        self.addresses: list[str] = []
        self.posted: list[str] = []
        page.on("request", self._asked)
        page.on("websocket", lambda socket: self.addresses.append(socket.url))

    # What he does

    async def signs_in(self, token: str) -> None:
        """Open the console, and show a token."""
        await self.opens("/console")
        await expect(self.page.get_by_label("Operator token")).to_be_focused(timeout=PATIENCE_MS)
        # The page has asked whether it needs one, and browsers complain of the answer.
        self.complaints = self.unexpected(UNAUTHORIZED)
        await self.shows_token(token)
        await expect(self.page.locator("#signin")).to_be_hidden(timeout=PATIENCE_MS)

    async def shows_token(self, token: str) -> None:
        """Write it into the form, and send it."""
        await self.page.get_by_label("Operator token").fill(token)
        await self.presses("Sign in")

    async def opens_call(self, call: ConsoleCall | Phone) -> None:
        """Press the row of a call."""
        await self.row(call).click()
        await self.sees_heading(call.number)

    async def presses_control(self, name: str) -> None:
        """Press a button of the call's toolbar, once nothing is on its way by it."""
        control = self.control(name)
        await expect(control).not_to_have_attribute("aria-busy", "true", timeout=PATIENCE_MS)
        await control.click()

    async def answers(self, name: str) -> None:
        """Press a button of the dialog that is open."""
        await self.dialog.get_by_role("button", name=name, exact=True).click()

    async def says(self, text: str) -> None:
        """Write something that the caller is to hear."""
        await self._sends("Say", text)

    async def whispers(self, text: str) -> None:
        """Write something that only the agent reads."""
        await self._sends("Whisper", text)

    async def searches(self, text: str) -> None:
        """Look for calls."""
        await self.page.locator("#search").fill(text)

    async def goes_to(self, view: str) -> None:
        """Choose live calls or history."""
        await self.page.get_by_role("navigation").get_by_role("link", name=view).click()

    # Where he looks

    @property
    def rows(self) -> Locator:
        """Of the live calls."""
        return self.page.locator("#list .call")

    def row(self, call: ConsoleCall | Phone) -> Locator:
        """The row of a live call."""
        return self.rows.filter(has_text=call.number)

    def past_row(self, call: ConsoleCall) -> Locator:
        """The row of an ended call, wherever the history stands."""
        return self.page.locator(f"#history [data-call='{call.call_id}']:visible")

    def control(self, name: str) -> Locator:
        """A button of the call's toolbar."""
        bar = self.page.get_by_role("toolbar", name="Call controls")
        return bar.get_by_role("button", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        """The question that is open."""
        return self.page.locator("#one .pop:visible")

    @property
    def approval(self) -> Locator:
        """The tool that waits."""
        return self.page.locator("#one .ask")

    @property
    def lines(self) -> Locator:
        """Of the transcript."""
        return self.page.locator("#call-log li.ln")

    def line(self, *texts: str) -> Locator:
        """The lines of the transcript that have all of these texts."""
        found = self.lines
        for text in texts:
            found = found.filter(has_text=text)
        return found

    @property
    def state(self) -> Locator:
        """What the open call does, in its heading."""
        return self.page.locator("#one .sub .now")

    # What he notices

    async def sees_line(self, *texts: str) -> None:
        """Wait until a line of the transcript has all of these texts."""
        await expect(self.line(*texts).first).to_be_visible(timeout=PATIENCE_MS)

    async def sees_call_state(self, words: str) -> None:
        """Wait until the open call is told to do this."""
        await expect(self.state).to_have_text(words, timeout=PATIENCE_MS)

    async def sees_in_row(self, call: ConsoleCall | Phone, *texts: str) -> None:
        """Wait until the row of a call has all of these texts."""
        for text in texts:
            await expect(self.row(call)).to_contain_text(text, timeout=PATIENCE_MS)

    async def sees_calls(self, *calls: ConsoleCall | Phone) -> None:
        """Wait until these calls stand in the list, in this order, and no others."""
        numbers = [re.compile(re.escape(call.number)) for call in calls]
        await expect(self.rows).to_have_text(numbers, timeout=PATIENCE_MS)

    async def sees_heading(self, text: str) -> None:
        """Wait until this call is open."""
        await expect(self.page.locator("#one h1")).to_have_text(text, timeout=PATIENCE_MS)

    async def is_told_aloud(self, words: str) -> None:
        """Wait until a screen reader is told so."""
        await expect(self.page.locator("#spoken")).to_contain_text(words, timeout=PATIENCE_MS)

    async def hears_tone(self, hz: float) -> None:
        """Wait until the page has played a sound of this pitch."""
        await self.page.wait_for_function(HAS_TONE, arg=hz, polling=SOUND_EACH_MS)

    async def heard_since(self, ms: float) -> Heard:
        """What he has heard from this page time on."""
        return (await self.heard()).since(ms)

    async def page_time(self) -> float:
        """Milliseconds, as the page counts them."""
        at_ms: float = await self.page.evaluate("performance.now()")
        return at_ms

    async def settles(self) -> None:
        """Wait until a tool that has just come takes a decision."""
        since_ms = await self.page_time()
        await self.page.wait_for_function(
            "dueMs => performance.now() >= dueMs", arg=since_ms + SETTLES_MS
        )

    def _asked(self, request: Request) -> None:
        self.addresses.append(request.url)
        if request.method == "POST":
            self.posted.append(request.url)

    async def _sends(self, mode: str, text: str) -> None:
        await self.page.get_by_role("radio", name=mode, exact=True).click()
        field = self.page.locator("#one form.compose input")
        await field.fill(text)
        await field.press("Enter")
        await expect(field).to_have_value("", timeout=PATIENCE_MS)


async def operator(context: BrowserContext, origin: str) -> Operator:
    """Somebody with a page of his own."""
    await context.add_init_script(path=OBSERVER)
    await context.add_init_script(SOUNDS)
    return Operator(await context.new_page(), origin)
