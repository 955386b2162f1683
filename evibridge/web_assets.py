"""Files of the package's web pages, read once and ready to be sent."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urljoin

from aiohttp import hdrs, web

FOLDER = Path(__file__).parent / "web"
AT_THE_ROOT = ("evibridge.js", "evibridge.d.ts")
"""What pages of others import; everything else is served below `web/`."""

_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
}
"""What is served at all; a package has other files too."""
_CODING = re.compile(r"\s*([A-Za-z0-9*-]+)\s*(?:;\s*[qQ]=([01](?:\.[0-9]{0,3})?)\s*)?")
_SCRIPT_COMMENT = re.compile(
    r"^[ \t]*(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)$", re.MULTILINE | re.DOTALL
)
_INDENTATION = re.compile(r"^[ \t]+", re.MULTILINE)
_IMPORT = re.compile(r'^(?:import|export)\b[^;]*?\bfrom "([^"]+)";', re.MULTILINE)
_STYLE_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STYLE_SPACE = re.compile(r"\s*([{};,])\s*|\s+")


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


def read_assets(scripts: Mapping[str, str]) -> dict[str, Asset]:
    """All files by the path that they are served at.

    Args:
        scripts: what `read_scripts` returns
    """
    assets = {
        path: Asset.of(text.encode(), _CONTENT_TYPES[".js"]) for path, text in scripts.items()
    }
    for file in FOLDER.rglob("*"):
        if file.suffix in _CONTENT_TYPES and file.suffix != ".js":
            body = file.read_bytes()
            if file.suffix == ".css":
                body = bare_style(body.decode()).encode()
            assets[_path(file)] = Asset.of(body, _CONTENT_TYPES[file.suffix])
    return assets


def read_scripts() -> dict[str, str]:
    """Every script by the path that it is served at."""
    files = FOLDER.rglob("*.js")
    return {_path(file): bare_script(file.read_text(encoding="utf-8")) for file in files}


def imported_by(first: str, scripts: Mapping[str, str]) -> list[str]:
    """A script, what it imports, and what that imports: a browser finds out one by one.

    Args:
        first: path of the script
        scripts: what `read_scripts` returns
    """
    needed, found = [], [first]
    while found:
        path = found.pop(0)
        if path in scripts and path not in needed:
            needed.append(path)
            found += [urljoin(path, target) for target in _IMPORT.findall(scripts[path])]
    return needed


def bare_script(script: str) -> str:
    """Leave out comments and indentation, half of what a browser would load; lines stay lines."""
    bare = _SCRIPT_COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), script)
    return _INDENTATION.sub("", bare)


def bare_style(style: str) -> str:
    """Leave out comments, and spaces that mean nothing; no string has `{};,` in it."""
    bare = _STYLE_SPACE.sub(_shortest_space, _STYLE_COMMENT.sub("", style))
    return bare.replace(";}", "}").strip()


def _shortest_space(found: re.Match[str]) -> str:
    return found[1] or ("" if found.string[found.start() - 1] == ":" else " ")


def _path(file: Path) -> str:
    path = file.relative_to(FOLDER).as_posix()
    return path if path in AT_THE_ROOT else f"web/{path}"


def _takes_gzip(accepted: str) -> bool:
    """Tell whether a browser can read gzip, by its `Accept-Encoding` (RFC 9110, section 12.5.3)."""
    entries = filter(None, map(_CODING.fullmatch, accepted.split(",")))
    weights = {entry[1].lower(): float(entry[2] or 1) for entry in entries}
    return weights.get("gzip", weights.get("*", 0.0)) > 0.0
