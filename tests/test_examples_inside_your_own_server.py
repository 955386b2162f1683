"""The example of an agent inside of somebody's own server: his login decides who may call."""

import importlib.util
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from tests.parties import TinyEvi

EXAMPLE = Path(__file__).parents[1] / "examples" / "inside_your_own_server.py"


@pytest.fixture
async def shop(evi: TinyEvi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[URL]:
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    monkeypatch.setenv("EVIBRIDGE_EVI_URL", evi.origin)
    monkeypatch.setenv("EVIBRIDGE_DATA_DIR", str(tmp_path))
    spec = importlib.util.spec_from_file_location("inside_your_own_server", EXAMPLE)
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    runner = web.AppRunner(example.shop(), auto_decompress=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield URL(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await runner.cleanup()


@pytest.fixture
async def browser(shop: URL) -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps cookies, also those of an address without a name."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(base_url=shop, cookie_jar=jar) as browser:
        yield browser


async def test_whoever_logs_in_talks_to_an_agent_that_knows_him(
    shop: URL, browser: aiohttp.ClientSession, evi: TinyEvi
) -> None:
    async with browser.post("/login", data={"name": "ann", "password": "lantern"}) as page:
        assert 'href="/talk"' in await page.text()
    async with browser.get("/talk", allow_redirects=False) as answer:
        target = urlsplit(answer.headers["Location"])
    assert (target.path, target.fragment[:6]) == ("/voice/", "token=")
    async with browser.get(target.path) as page:
        assert "The Paper Lantern" in await page.text()
    async with browser.get("/voice/evibridge.js") as module:
        assert module.status == 200

    hello = {"type": "hello", "token": target.fragment.removeprefix("token=")}
    headers = {"Origin": str(shop.origin())}
    async with browser.ws_connect("/voice/browser", headers=headers) as socket:
        await socket.send_str(json.dumps(hello))
        assert (await socket.receive_json(timeout=5))["agent"] == {"name": "The Paper Lantern"}
        chat = await evi.next_chat()
        await chat.open()
        assert (await chat.expect("session_settings"))["variables"] == {"customer": "ann"}


@pytest.mark.parametrize("password", ["candle", "", None])
async def test_a_stranger_does_not_get_in(
    browser: aiohttp.ClientSession, password: str | None
) -> None:
    form = {"name": "ann"} if password is None else {"name": "ann", "password": password}
    async with browser.post("/login", data=form) as answer:
        assert answer.status == 403
    async with browser.post("/login", data={"name": "", "password": ""}) as answer:
        assert answer.status == 403
    async with browser.get("/talk", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")
