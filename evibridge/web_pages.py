"""The caller's page, and the script that brings callers in: files of the package, over HTTP.

Everything is read once, at start-up, and served from memory: no path of a request is ever looked up
on the disk. The page names nothing by an absolute path, so that it works in a sub-application.
"""

import gzip
import hashlib
import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from aiohttp import hdrs, web

FOLDER = Path(__file__).parent / "web"
PAGE = "caller.html"
FIRST_SCRIPT = "web/caller/start.js"
MODULE = "evibridge.js"
DECLARATIONS = "evibridge.d.ts"
FOR_OTHER_ORIGINS = (MODULE, DECLARATIONS, "web/call/")
"""Beginnings of what pages of other origins may import too."""

_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
}
"""What is served at all; a package has other files too."""
_HOST = re.compile(r"[A-Za-z0-9.\-_:\[\]]{1,255}")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src {connect}; font-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
_CODING = re.compile(r"\s*([A-Za-z0-9*-]+)\s*(?:;\s*[qQ]=([01](?:\.[0-9]{0,3})?)\s*)?")
_COMMENT = re.compile(r"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)$", re.MULTILINE | re.DOTALL)
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
_IMPORT = re.compile(r'^(?:import|export)\b[^;]*?\bfrom "([^"]+)";', re.MULTILINE)
_ABOUT = "Talk or type. The agent answers aloud."


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that is ready to be sent.

    Attributes:
        packed: the same by gzip
        etag: changes with the content; the compressed form has one of its own
    """

    body: bytes = field(repr=False)
    content_type: str
    packed: bytes = field(repr=False)
    etag: str

    @classmethod
    def of(cls, body: bytes, content_type: str) -> "Asset":
        """Prepare a file."""
        etag = hashlib.sha256(body).hexdigest()[:32]
        return cls(body, content_type, gzip.compress(body, mtime=0), etag)

    def answer(self, request: web.Request, headers: Mapping[str, str]) -> web.Response:
        """Send it, or say that the browser has it already."""
        is_packed = _takes_gzip(", ".join(request.headers.getall(hdrs.ACCEPT_ENCODING, ())))
        etag = f"{self.etag}-gzip" if is_packed else self.etag
        own = {
            hdrs.ETAG: f'"{etag}"',
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            **headers,
        }
        known = request.if_none_match or ()
        if any(tag.value in (etag, "*") for tag in known):
            return web.Response(status=304, headers=own)
        own[hdrs.CONTENT_TYPE] = self.content_type
        if not is_packed:
            return web.Response(body=self.body, headers=own)
        return web.Response(body=self.packed, headers=own | {hdrs.CONTENT_ENCODING: "gzip"})


class WebPages:
    """The caller's page at `/`, and the files it consists of.

    Args:
        name: of the agent, as callers read it
        about: what it is good for, a sentence or two; None if nobody has said
        is_recorded: whether callers have to be told that they are recorded
    """

    def __init__(self, name: str, about: str | None, *, is_recorded: bool) -> None:
        self.on_visit: Callable[[], None] = _nothing
        """Called when somebody asks for the page or the module: a call may follow."""
        scripts, self._assets = _scripts(), {}
        for path, body in _other_files().items():
            self._assets[path] = Asset.of(body, _CONTENT_TYPES[Path(path).suffix])
        for path, text in scripts.items():
            self._assets[path] = Asset.of(text.encode(), _CONTENT_TYPES[".js"])
        self._page = _page(name, about or _ABOUT, _needed(scripts), is_recorded=is_recorded)

    def add_routes(self, app: web.Application) -> None:
        """Add the routes to an application."""
        app.router.add_get("/", self._show_page)
        for path in (MODULE, DECLARATIONS):
            app.router.add_get(f"/{{path:{re.escape(path)}}}", self._show_asset)
        app.router.add_get("/{path:web/.+}", self._show_asset)

    async def _show_page(self, request: web.Request) -> web.Response:
        self.on_visit()
        headers = {
            "Content-Security-Policy": _POLICY.format(connect=_connect_sources(request.host)),
            "Permissions-Policy": "microphone=(self)",
        }
        return self._page.answer(request, headers)

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


def _takes_gzip(accepted: str) -> bool:
    """Tell whether a browser can read gzip, by its `Accept-Encoding` (RFC 9110, section 12.5.3)."""
    entries = filter(None, map(_CODING.fullmatch, accepted.split(",")))
    weights = {entry[1].lower(): float(entry[2] or 1) for entry in entries}
    return weights.get("gzip", weights.get("*", 0.0)) > 0.0


def _scripts() -> dict[str, str]:
    """Every script by the path that it is served at."""
    return {_path(file): _bare(file.read_text(encoding="utf-8")) for file in FOLDER.rglob("*.js")}


def _other_files() -> dict[str, bytes]:
    files = (file for file in FOLDER.rglob("*") if file.suffix in _CONTENT_TYPES)
    return {_path(file): file.read_bytes() for file in files if file.suffix != ".js"}


def _path(file: Path) -> str:
    path = file.relative_to(FOLDER).as_posix()
    return path if path in (MODULE, DECLARATIONS) else f"web/{path}"


def _bare(script: str) -> str:
    """Leave out comments and indentation, half of what a browser would load; lines stay lines."""
    bare = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), script)
    return _INDENTATION.sub("", bare)


def _needed(scripts: Mapping[str, str]) -> list[str]:
    """What the page's script imports, and what that imports: a browser finds out one by one."""
    needed, found = [], [FIRST_SCRIPT]
    while found:
        path = found.pop(0)
        if path in scripts and path not in needed:
            needed.append(path)
            found += [urljoin(path, target) for target in _IMPORT.findall(scripts[path])]
    return needed


def _page(name: str, about: str, scripts: list[str], *, is_recorded: bool) -> Asset:
    words = {
        "name": html.escape(name),
        "about": html.escape(about),
        "recorded": ", and the call is recorded" if is_recorded else "",
        "scripts": "\n".join(f'<link rel="modulepreload" href="{path}">' for path in scripts),
    }
    text = (FOLDER / PAGE).read_text(encoding="utf-8")
    # One pass: a name that looks like another placeholder stays as it is.
    filled = re.sub(r"\{\{(\w+)\}\}", lambda found: words[found[1]], text)
    return Asset.of(filled.encode(), "text/html; charset=utf-8")


def _connect_sources(host: str) -> str:
    """Not every browser counts WebSockets of the same host among 'self'."""
    return f"'self' ws://{host} wss://{host}" if _HOST.fullmatch(host) else "'self'"
