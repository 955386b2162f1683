"""What reaches the other side of a call in the browser, waited for."""

import asyncio
import base64

from evibridge.bus import Told
from evibridge.events import CallerLost
from tests.bridges.browser.page import BrowserScene
from tests.parties import PATIENCE_S, TinyChat

PIECE = bytes(range(256)) + bytes(384)
"""20 ms of a caller's voice at 16 kHz."""
MS = 2 * 24
"""Bytes of a millisecond of the agent's voice, as pages ask for it without saying so."""


async def caller_audio(chat: TinyChat, size: int) -> bytes:
    """The next so many bytes of the caller's voice that reach the server."""
    heard = b""
    while len(heard) < size:
        heard += base64.b64decode((await chat.expect("audio_input"))["data"])
    return heard


async def lost(browser: BrowserScene, call_id: str) -> None:
    """Return when the service has noticed that the caller's connection is gone."""
    noticed = asyncio.Event()

    def look(told: Told) -> None:
        if isinstance(told.event, CallerLost):
            noticed.set()

    stop = browser.bus.subscribe(look, call_id)
    for told in browser.bus.history(call_id):
        look(told)
    async with asyncio.timeout(PATIENCE_S):
        await noticed.wait()
    stop()


async def hears(chat: TinyChat, pcm16: bytes) -> None:
    """The server hears this, perhaps behind silence."""
    heard = b""
    while pcm16 not in heard:
        heard += await caller_audio(chat, 2)
