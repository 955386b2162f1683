"""How fast the operators' console is, and what consoles cost the service.

    python -m benchmarks.console_page --calls 50 --seconds 10

A headless Chromium opens the console of a real service in which that many callers type. Measured
are the first paint; the frames while a call with a long transcript is told of 60 things a second;
and how long each of them takes from the EVI server to the screen. Then consoles that draw nothing
watch calls whose both sides talk all the time, in turns with nobody: the service's CPU is compared.
"""

import argparse
import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import aiohttp
from playwright.async_api import Browser, CDPSession, Page, async_playwright

from benchmarks.console_stand_in import TOLD, Chat, callers, serving_chats
from benchmarks.event_readers import Watch
from benchmarks.heard import percentile
from benchmarks.processes import Cores, Server, running, serving
from benchmarks.report import headline, machine, numbers_only, table
from benchmarks.service_metrics import ServiceMeter
from benchmarks.turns import WARM_UP_S, Load, Turn, Turns, UnderTest
from benchmarks.watched_calls import AGENT
from benchmarks.watchers import Watchers
from evibridge.sockets import origin_to_ws

CALLS, SECONDS, ROUNDS = 50, 10.0, 3
OPENED = 5
"""How often the page is opened; each time by a browser that has never seen it."""
CONSOLES = 20
LINES = 2000
PER_S = 60.0
LINES_AT_ONCE = 100
LONG_FRAME_MS = 50
PATIENCE_S = 30.0
VIEW = {"width": 1440, "height": 900}
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
FIRST_ROWS = """
  window.rowsAtMs = new Promise((resolve) => {
    new MutationObserver((_, observer) => {
      if (document.querySelectorAll("#list .call").length < ROWS) return;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => resolve(performance.now())));
    }).observe(document, { childList: true, subtree: true });
  });
"""
BUSY = ("ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
WATCH = """
  () => {
    const told = { frames: [], late: [], tasks: [] };
    window.told = told;
    let last = performance.now();
    const frame = (now) => {
      told.frames.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) told.tasks.push(duration);
    }).observe({ type: "longtask" });
    const seen = new Set();
    new MutationObserver((changes) => {
      const now = Date.now();
      for (const { target } of changes) {
        const [, at] = /#([0-9.]+)#$/.exec(target.textContent.trimEnd()) ?? [];
        if (!at || seen.has(at)) continue;
        seen.add(at);
        told.late.push(now - Number(at));
      }
    }).observe(document.querySelector("#call-log"), {
      childList: true, characterData: true, subtree: true,
    });
  }
"""


@dataclass(frozen=True, slots=True)
class Opening:
    """One opening of the page: times since it was asked for, in ms."""

    paint_ms: float
    rows_ms: float


@dataclass(frozen=True, slots=True)
class Flow:
    """What a page did while much was told.

    Attributes:
        rows: of the transcript, at the end
        frames: how many were drawn
        longest_ms: between two frames
        long_frames: how many came later than `LONG_FRAME_MS` after the one before
        blocked_ms: the longest task of the page
        work_ms: of script, styles and layout, mean of the frames
        late_ms: from the EVI server's writing to the change of the document, of each that was seen
        told: how many there were; interim texts of one frame are seen as one
    """

    rows: int
    frames: int
    longest_ms: float
    long_frames: int
    blocked_ms: float
    work_ms: float
    late_ms: list[float]
    told: int


@dataclass(slots=True)
class Turned:
    """The turns of one situation of the service."""

    name: str
    turns: list[Turn] = field(default_factory=list)

    @property
    def core(self) -> float:
        """Share of a core, median of the turns."""
        return median(turn.cpu_s / turn.talked_s for turn in self.turns)


@dataclass(frozen=True, slots=True)
class Measured:
    """All of a run.

    Attributes:
        unwatched: nobody has a console open
        watched: some have
        load: average of the machine, before and after
    """

    calls: int
    consoles: int
    openings: list[Opening]
    flow: Flow
    unwatched: Turned
    watched: Turned
    load: tuple[float, float]


async def measure(
    calls: int = CALLS,
    *,
    seconds: float = SECONDS,
    rounds: int = ROUNDS,
    lines: int = LINES,
    opened: int = OPENED,
    consoles: int = CONSOLES,
) -> Measured:
    """Measure everything.

    Args:
        calls: that go on
        seconds: that much is told, and that each turn lasts
        rounds: of turns with consoles and without
        lines: of the transcript, before
        opened: how often the page is opened
        consoles: that cost the service something
    """
    before = os.getloadavg()[0]
    openings, flow = await _see(calls, seconds, lines, opened)
    unwatched, watched = await _cost(calls, seconds, rounds, consoles)
    load = before, os.getloadavg()[0]
    return Measured(calls, consoles, openings, flow, unwatched, watched, load)


# The page


async def _see(calls: int, seconds: float, lines: int, opened: int) -> tuple[list[Opening], Flow]:
    every_core = frozenset(os.sched_getaffinity(0))
    async with (
        serving_chats() as (chats, evi),
        serving(
            ["-m", "evibridge", "run", str(AGENT), "--evi-url", evi],
            every_core,
            EVIBRIDGE_MAX_CALLS=str(calls),
            EVIBRIDGE_DRAIN_SECONDS="0",
        ) as service,
        callers(service.origin, calls),
        _chromium() as browser,
    ):
        await chats.arrived(calls)
        talking = asyncio.create_task(chats.talk())
        openings = [await _open(browser, service.origin, calls) for _ in range(opened)]
        flow = await _follow(browser, service, chats.opened[0], seconds, lines)
        talking.cancel()
    return openings, flow


@asynccontextmanager
async def _chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def _page(browser: Browser) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport=VIEW)  # type: ignore[arg-type]
    page = await context.new_page()
    page.set_default_timeout(1000 * PATIENCE_S)
    yield page
    await context.close()


async def _open(browser: Browser, origin: str, rows: int) -> Opening:
    async with _page(browser) as page:
        await page.add_init_script(FIRST_ROWS.replace("ROWS", str(rows)))
        await page.goto(f"{origin}/console")
        async with asyncio.timeout(PATIENCE_S):
            rows_ms = await page.evaluate("rowsAtMs")
        return Opening(await page.evaluate(PAINT), rows_ms)


async def _follow(
    browser: Browser, service: Server, chat: Chat, seconds: float, lines: int
) -> Flow:
    call_id = await _call_of(service.origin, chat)
    async with _page(browser) as page:
        await page.goto(f"{service.origin}/console#/live/{call_id}")
        for number in range(lines):
            await chat.caller_said(f"{TOLD} {number}.")
            if number == lines - 1 or not number % LINES_AT_ONCE:  # who is told more misses some
                line = page.locator("#call-log li.ln").filter(has_text=f"{TOLD} {number}.")
                await line.first.wait_for()
        await page.evaluate(WATCH)
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("Performance.enable")
        before_s = await _busy_s(devtools)
        told = await chat.talks_fast(PER_S, seconds)
        busy_s = await _busy_s(devtools) - before_s
        seen: dict[str, Any] = await page.evaluate("told")
        rows = await page.locator("#call-log li.ln").count()
    frames = seen["frames"][1:]
    return Flow(
        rows=rows,
        frames=len(frames),
        longest_ms=max(frames),
        long_frames=sum(frame > LONG_FRAME_MS for frame in frames),
        blocked_ms=max(seen["tasks"], default=0.0),
        work_ms=1000 * busy_s / len(frames),
        late_ms=seen["late"],
        told=told,
    )


async def _busy_s(devtools: CDPSession) -> float:
    """How long the page's script, styles and layout have taken so far."""
    told = (await devtools.send("Performance.getMetrics"))["metrics"]
    return float(sum(each["value"] for each in told if each["name"] in BUSY))


async def _call_of(origin: str, chat: Chat) -> str:
    for call in await _live_calls(origin):
        if call["chat_id"] == chat.chat_id:
            return str(call["call_id"])
    raise RuntimeError("The service does not know the call.")


async def _live_calls(origin: str) -> list[dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(f"{origin}/v1/calls?limit=200") as answer:
        listed: list[dict[str, Any]] = (await answer.json())["calls"]
        return listed


# The service


async def _cost(calls: int, seconds: float, rounds: int, consoles: int) -> tuple[Turned, Turned]:
    cores = Cores.divided()
    unwatched, watched = Turned("nobody watches"), Turned(f"{consoles} consoles are open")
    with cores.with_us_as_load():
        async with (
            serving(["-m", "benchmarks.lively_stand_in"], cores.load) as evi,
            serving(
                ["-m", "evibridge", "run", str(AGENT), "--evi-url", evi.origin],
                cores.under_test,
                EVIBRIDGE_MAX_CALLS=str(calls),
                EVIBRIDGE_DRAIN_SECONDS="0",
            ) as service,
            running(_callers(calls, service), cores.load) as talkers,
            running(["-m", "benchmarks.event_readers"], cores.load) as readers,
        ):
            load = Load((talkers, evi.program, readers), len(cores.load))
            turns = Turns(talkers, load, cores.under_test)
            for fault in filter(None, await turns.opened()):
                raise RuntimeError(f"The service could not be called: {fault}")
            under_test = UnderTest(
                "evibridge", service.origin, service.program, ServiceMeter(service.origin)
            )
            urls = await _as_consoles_do(service.origin, consoles)
            watchers = Watchers(readers, evi, Watch(urls), [[]] * len(urls))
            for _ in range(rounds):
                unwatched.turns.append(await turns.turn(0, under_test, seconds))
                await watchers.come()
                watched.turns.append(await turns.turn(0, under_test, seconds))
                await watchers.go()
            await turns.end()
    return unwatched, watched


def _callers(calls: int, service: Server) -> list[str]:
    command = f"-m benchmarks.callers --calls {calls} --warm-up {WARM_UP_S}"
    return [*command.split(), f"twilio={service.origin}"]


async def _as_consoles_do(origin: str, consoles: int) -> list[str]:
    """What a console opens: the list, and one call with all that there is to see of it."""
    base = f"{origin_to_ws(origin)}/v1"
    opened = [call["call_id"] for call in await _live_calls(origin)]
    of_list = f"{base}/events?events=false&summaries=true"
    of_call = "{}/calls/{}/events?since=0&interim=true&levels=true"
    return [
        url
        for number in range(consoles)
        for url in (of_list, of_call.format(base, opened[number % len(opened)]))
    ]


# What is shown


def shown(measured: Measured) -> str:
    """Tables."""
    openings, flow = measured.openings, measured.flow
    late_ms = flow.late_ms
    page = [
        ("first paint, ms", _of([each.paint_ms for each in openings])),
        (f"{measured.calls} rows on the screen, ms", _of([each.rows_ms for each in openings])),
        ("frames", f"{flow.frames}"),
        ("longest frame, ms", f"{flow.longest_ms:.0f}"),
        (f"frames over {LONG_FRAME_MS} ms", f"{flow.long_frames}"),
        ("longest task, ms", f"{flow.blocked_ms:.0f}"),
        ("script, styles and layout a frame, ms", f"{flow.work_ms:.1f}"),
        ("told / seen one by one", f"{flow.told} / {len(late_ms)}"),
        ("event to screen, ms p50 / p95 / p99", _percentiles(late_ms)),
    ]
    unwatched, watched = measured.unwatched, measured.watched
    service = [
        _row(measured.calls, each, each.core / unwatched.core) for each in (unwatched, watched)
    ]
    before, after = measured.load
    return (
        f"A transcript of {flow.rows} rows, {PER_S:.0f} events a second:\n\n"
        f"{table(('the page', 'median (least-most)'), page)}\n\n"
        f"{table(('calls, of which', '% of a core', 'x unwatched', 'others on the core'), service)}"
        f"\n\nLoad average {before:.1f} before, {after:.1f} after."
    )


def _row(calls: int, situation: Turned, ratio: float) -> tuple[str, ...]:
    disturbed = median(turn.disturbed for turn in situation.turns)
    core = f"{100 * situation.core:.1f}"
    return f"{calls}, {situation.name}", core, f"{ratio:.2f}", f"{disturbed:.2f}"


def _of(values: Sequence[float]) -> str:
    return f"{median(values):.0f} ({min(values):.0f}-{max(values):.0f})"


def _percentiles(values: Sequence[float]) -> str:
    return " / ".join(f"{percentile(list(values), share):.0f}" for share in (0.5, 0.95, 0.99))


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m benchmarks.console_page")
    options.add_argument("--calls", type=int, default=CALLS)
    options.add_argument("--seconds", type=float, default=SECONDS, help="of each turn")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="with consoles and without")
    options.add_argument("--json", action="store_true", help="figures for machines")
    given = options.parse_args()
    measured = asyncio.run(measure(given.calls, seconds=given.seconds, rounds=given.rounds))
    if given.json:
        figures = {"machine": machine(), "console_page": asdict(measured)}
        print(json.dumps(numbers_only(figures), indent=2))
    else:
        print(f"{headline()}\n\n{shown(measured)}")


if __name__ == "__main__":
    main()
