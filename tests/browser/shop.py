"""A web site of somebody else's, whose page is the one of the documentation."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.browser.visitor import Transport
from tests.processes import ROOT

_PAGE = re.compile(r"```html\n(<button.+?)```", re.DOTALL)
CUSTOMER = "Ann"


class Shop:
    """The site; its server gets tokens from a service.

    Attributes:
        origin: of its pages
        service_origin: whose agent its customers talk with
    """

    def __init__(self) -> None:
        self.origin = ""
        self.service_origin = ""
        found = _PAGE.search((ROOT / "docs/browser.md").read_text(encoding="utf-8"))
        assert found
        self._page = found[1]

    def add_routes(self, app: web.Application) -> None:
        """Its pages."""
        app.router.add_get("/{transport:webrtc|websocket}", self._show)
        app.router.add_post("/voice-token", self._give_token)
        app.router.add_get("/favicon.ico", self._have_no_icon)

    @staticmethod
    def page_for(transport: Transport) -> str:
        """Path of the page that calls by this transport."""
        return f"/{transport}"

    async def _show(self, request: web.Request) -> web.Response:
        transport = request.match_info["transport"]
        page = self._page.replace("https://voice.example.com", self.service_origin)
        page = page.replace("{ token })", f"{{ token, transport: '{transport}' }})")
        return web.Response(text=f"<!doctype html>{page}", content_type="text/html")

    async def _give_token(self, _: web.Request) -> web.Response:
        session = {"name": CUSTOMER, "origin": self.origin}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.service_origin}/v1/web-sessions", json=session) as made,
        ):
            return web.json_response(await made.json(), status=made.status)

    async def _have_no_icon(self, _: web.Request) -> web.Response:
        return web.Response(status=204)


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """A running `Shop`."""
    shop = Shop()
    app = web.Application()
    shop.add_routes(app)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    shop.origin = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield shop
    finally:
        await runner.cleanup()
