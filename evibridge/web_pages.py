"""The caller's page, the console, and the script that brings callers in: files of the package.

Everything is read once, at start-up, and served from memory: no path of a request is ever looked up
on the disk. The pages name nothing by an absolute path, so that they work in a sub-application.
"""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from aiohttp import hdrs, web

from evibridge import web_assets
from evibridge.web_assets import AT_THE_ROOT, Asset, imported_by, read_assets, read_scripts

MODULE = "evibridge.js"
FOR_OTHER_ORIGINS = (*AT_THE_ROOT, "web/call/")
"""Beginnings of what pages of other origins may import too."""

_HOST = re.compile(r"[A-Za-z0-9.\-_:\[\]]{1,255}")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src {connect}; font-src 'none'; base-uri 'none'; "
    "form-action 'none'; {own}"
)
_ABOUT = "Talk or type. The agent answers aloud."


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the package.

    Attributes:
        path: that it is served at
        file: that it is made of
        first_script: which imports all others
        policy: of the Content Security Policy, what it does not share with other pages
        frames: what it may be framed by, for browsers that do not know that policy
    """

    path: str
    file: str
    first_script: str
    policy: str
    frames: str


CALLER = Page("/", "caller.html", "web/caller/start.js", "frame-ancestors 'self'", "SAMEORIGIN")
CONSOLE = Page(
    "/console",
    "console.html",
    "web/console/start.js",
    # A recording is played from memory, as its request needs a header.
    "media-src blob:; frame-ancestors 'none'",
    "DENY",
)


class WebPages:
    """The caller's page at `/`, the console at `/console`, and the files they consist of.

    Args:
        name: of the agent, as callers read it
        about: what it is good for, a sentence or two; None if nobody has said
        is_recorded: whether callers have to be told that they are recorded
    """

    def __init__(self, name: str, about: str | None, *, is_recorded: bool) -> None:
        self.on_visit: Callable[[], None] = _nothing
        """Called when somebody asks for a page or the module: sound may follow."""
        scripts = read_scripts()
        self._assets = read_assets(scripts)
        words = {
            "name": html.escape(name),
            "about": html.escape(about or _ABOUT),
            "recorded": ", and the call is recorded" if is_recorded else "",
        }
        self._pages = {page: _filled(page, words, scripts) for page in (CALLER, CONSOLE)}

    def add_routes(self, app: web.Application) -> None:
        """Add the routes to an application."""
        for page in self._pages:
            app.router.add_get(page.path, partial(self._show_page, page))
        for path in AT_THE_ROOT:
            app.router.add_get(f"/{{path:{re.escape(path)}}}", self._show_asset)
        app.router.add_get("/{path:web/.+}", self._show_asset)

    async def _show_page(self, page: Page, request: web.Request) -> web.Response:
        self.on_visit()
        policy = _POLICY.format(connect=_connect_sources(request.host), own=page.policy)
        headers = {
            "Content-Security-Policy": policy,
            "Permissions-Policy": "microphone=(self)",
            "X-Frame-Options": page.frames,
        }
        return self._pages[page].answer(request, headers)

    async def _show_asset(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        if path == MODULE:
            self.on_visit()
        asset = self._assets.get(path)
        if asset is None:
            raise web.HTTPNotFound(text="There is no such file.")
        is_for_all = path.startswith(FOR_OTHER_ORIGINS)
        return asset.answer(request, {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*"} if is_for_all else {})


def _nothing() -> None:
    """Of no effect."""


def _filled(page: Page, words: Mapping[str, str], scripts: Mapping[str, str]) -> Asset:
    needed = imported_by(page.first_script, scripts)
    links = "\n".join(f'<link rel="modulepreload" href="{path}">' for path in needed)
    words = {**words, "scripts": links}
    text = (web_assets.FOLDER / page.file).read_text(encoding="utf-8")
    # One pass: a name that looks like another placeholder stays as it is.
    filled = re.sub(r"\{\{(\w+)\}\}", lambda found: words[found[1]], text)
    return Asset.of(filled.encode(), "text/html; charset=utf-8")


def _connect_sources(host: str) -> str:
    """Not every browser counts WebSockets of the same host among 'self'."""
    return f"'self' ws://{host} wss://{host}" if _HOST.fullmatch(host) else "'self'"
