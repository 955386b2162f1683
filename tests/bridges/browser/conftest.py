import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from evibridge import ToolContext, Tools
from evibridge.bridges.browser.ice_servers import IceServers
from evibridge.service import WEB_SESSIONS, start_service
from tests.bridges.browser.page import ALLOWED, BrowserScene
from tests.bridges.browser.webrtc_page import WebRtcScene, webrtc_scene
from tests.bridges.conftest import AGENT, settings
from tests.parties import TinyEvi

RESUME_S = 10.0
shop = Tools()


@shop.tool(holding="Let me look that up.")
async def order_status(call: ToolContext, order_id: str) -> str:
    """Tell where an order is.

    Args:
        order_id: the number on the receipt
    """
    return f"Order {order_id} of {call.caller} is on its way."


@shop.tool(timeout=0.05, fallback="That takes too long.")
async def hang() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return ""


@pytest.fixture
async def browser(evi: TinyEvi, http: aiohttp.ClientSession) -> AsyncIterator[BrowserScene]:
    """Two calls at a time."""
    agent = replace(AGENT, tools=shop, name="Lantern")
    own = settings(evi, max_calls=2, resume_seconds=RESUME_S, allowed_origins=(ALLOWED,))
    service = await start_service(agent, own)
    desk, sessions = service.parts.browser._desk, service.parts.app[WEB_SESSIONS]
    scene = BrowserScene(evi, service, service.server, desk, sessions, http)
    try:
        yield scene
    finally:
        await asyncio.gather(*(page.close() for page in scene.pages))
        await service.close()


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["127.0.0.1"])


@pytest.fixture
async def scene(evi: TinyEvi, http: aiohttp.ClientSession) -> AsyncIterator[WebRtcScene]:
    """Two calls at a time, by WebRTC."""
    async with webrtc_scene(evi, http, IceServers()) as scene:
        yield scene
