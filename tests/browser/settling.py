"""Buttons whose action has changed a moment ago: a click would not be meant for it."""

from tests.browser.visitor import Visitor

SETTLES_MS = 300


async def settles(caller: Visitor) -> None:
    """Wait until the page takes a click for what its buttons do now."""
    since_ms = await caller.page.evaluate("performance.now()")
    await caller.page.wait_for_function(
        "dueMs => performance.now() >= dueMs", arg=since_ms + SETTLES_MS
    )
