"""The caller's page, the console and the module, as browsers get them from a real server."""

import gzip
import re
from collections.abc import AsyncIterator, Mapping
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import aiohttp
import pytest
from aiohttp import test_utils, web
from yarl import URL

from evibridge import web_assets
from evibridge.web_assets import FOLDER, bare_style, imported_by, read_assets, read_scripts
from evibridge.web_pages import CALLER, CONSOLE, WebPages
from evibridge.web_pages import Page as ServedPage

NAME = 'Books & "Maps" <b>'
ABOUT = "Ask where an order is; it's quick."
PAGES = ("/", "/console")
STYLE = "/web/style.css"
FIRST_SCRIPT = "/web/caller/start.js"
FIRST_SCRIPTS = {"/": "web/caller/start.js", "/console": "web/console/start.js"}
CALL_PART = "/web/call/call.js"


@pytest.fixture
async def origin() -> AsyncIterator[str]:
    app = web.Application()
    WebPages(NAME, ABOUT, is_recorded=True).add_routes(app)
    async with test_utils.TestServer(app, host="127.0.0.1") as server:
        yield str(server.make_url("")).rstrip("/")


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, *names: str) -> list[str]:
        """What attributes of these names say."""
        return [of[name] or "" for _, of in self.elements for name in names if name in of]


async def page_of(http: aiohttp.ClientSession, origin: str, path: str = "/") -> Page:
    async with http.get(f"{origin}{path}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return Page(await answer.text())


async def test_the_page_tells_who_answers_and_that_the_call_is_recorded(
    http: aiohttp.ClientSession, origin: str
) -> None:
    page = await page_of(http, origin)

    assert page.values("data-name") == [NAME]
    assert page.values("data-about") == [ABOUT]
    assert "the call is recorded" in page.text
    assert "{{" not in page.text


def test_nothing_is_said_of_a_recording_that_is_not_made() -> None:
    pages = WebPages("Books", None, is_recorded=False)
    page = Page(pages._pages[CALLER].body.decode())

    assert "recorded" not in page.text
    assert page.values("data-about") == ["Talk or type. The agent answers aloud."]


def test_a_name_that_looks_like_a_placeholder_stays_as_it_is() -> None:
    pages = WebPages("{{about}}", "Nothing.", is_recorded=False)

    assert Page(pages._pages[CALLER].body.decode()).values("data-name") == ["{{about}}"]


@pytest.mark.parametrize("path", PAGES)
async def test_nothing_in_a_page_needs_a_weaker_policy(
    http: aiohttp.ClientSession, origin: str, path: str
) -> None:
    page = await page_of(http, origin, path)

    assert page.values("style") == []
    assert not [of for _, of in page.elements if any(name.startswith("on") for name in of)]
    assert not [of for tag, of in page.elements if tag == "script" and "src" not in of]
    assert not [tag for tag, _ in page.elements if tag == "style"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("folder", ["", "/voice"])
async def test_everything_that_a_page_loads_is_there_and_from_here(
    http: aiohttp.ClientSession, folder: str, path: str
) -> None:
    part = web.Application()
    WebPages(NAME, ABOUT, is_recorded=True).add_routes(part)
    app = part
    if folder:
        app = web.Application()
        app.add_subapp(folder, part)
    async with test_utils.TestServer(app, host="127.0.0.1") as server:
        home = server.make_url(f"{folder}/")
        page = await page_of(http, str(home).rstrip("/"), path)
        addresses = {url for url in page.values("src", "href") if not url.startswith("#")}

        assert {STYLE.lstrip("/"), FIRST_SCRIPTS[path]} <= addresses
        for address in addresses:
            url = home.join(URL(path.lstrip("/"))).join(URL(address))
            assert str(url).startswith(str(home))
            async with http.get(url) as answer:
                assert answer.status == 200, url


async def test_the_icons_that_scripts_and_pages_use_are_in_the_sprite(
    http: aiohttp.ClientSession, origin: str
) -> None:
    sprite = (FOLDER / "icons.svg").read_text()
    there = set(re.findall(r'<symbol id="i-([\w-]+)"', sprite))

    for path in PAGES:
        page = await page_of(http, origin, path)
        drawn = {url.partition("#i-")[2] for url in page.values("href") if "icons.svg#" in url}
        assert drawn
        assert drawn <= there
    named = re.compile(r'(?:\bicon\(|\bicon: |setIcon\(\w+, )"([\w-]+)"')
    for script in read_scripts().values():
        assert set(named.findall(script)) <= there


@pytest.mark.parametrize(
    ("path", "wanted", "later"),
    [
        ("/", {"caller/transcript_view.js", "call/call.js", "shared/elements.js"}, set()),
        (
            "/console",
            {"console/list_view.js", "console/event_stream.js", "shared/elements.js"},
            {"console/history_view.js", "console/call_view.js"},
        ),
    ],
)
async def test_what_is_needed_first_is_asked_for_at_once_and_not_one_after_another(
    http: aiohttp.ClientSession, origin: str, path: str, wanted: set[str], later: set[str]
) -> None:
    page = await page_of(http, origin, path)
    links = [of["href"] or "" for _, of in page.elements if of.get("rel") == "modulepreload"]
    asked = {link.removeprefix("web/") for link in links}

    assert asked >= wanted
    assert not asked & later


async def policy_of(
    http: aiohttp.ClientSession, url: str
) -> tuple[dict[str, str], Mapping[str, str]]:
    """The Content Security Policy of a page, by directives, and all of its headers."""
    async with http.get(url) as answer:
        parts = answer.headers["Content-Security-Policy"].split(";")
        return dict(part.strip().split(" ", 1) for part in parts), answer.headers


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_may_load_from_its_own_origin_only(
    http: aiohttp.ClientSession, origin: str, path: str
) -> None:
    policy, headers = await policy_of(http, origin + path)
    host = URL(origin).authority

    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["img-src"] == "'self'"
    assert policy["connect-src"] == f"'self' ws://{host} wss://{host}"
    assert policy["base-uri"] == policy["form-action"] == policy["font-src"] == "'none'"
    assert headers["Permissions-Policy"] == "microphone=(self)"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-cache"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers


async def test_the_console_is_in_no_frame_and_plays_recordings_from_memory(
    http: aiohttp.ClientSession, origin: str
) -> None:
    policy, headers = await policy_of(http, f"{origin}/console")

    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Frame-Options"] == "DENY"
    assert policy["media-src"] == "blob:"


async def test_the_callers_page_is_in_frames_of_its_own_site_and_plays_nothing_from_memory(
    http: aiohttp.ClientSession, origin: str
) -> None:
    policy, headers = await policy_of(http, f"{origin}/")

    assert policy["frame-ancestors"] == "'self'"
    assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "media-src" not in policy


@pytest.mark.parametrize(
    ("path", "announces"),
    [("/", True), ("/console", True), ("/evibridge.js", True), (STYLE, False)],
)
async def test_whoever_may_want_sound_soon_is_announced(
    http: aiohttp.ClientSession, path: str, *, announces: bool
) -> None:
    visits: list[None] = []
    pages = WebPages(NAME, ABOUT, is_recorded=True)
    pages.on_visit = lambda: visits.append(None)
    app = web.Application()
    pages.add_routes(app)

    async with (
        test_utils.TestServer(app, host="127.0.0.1") as server,
        http.get(server.make_url(path)) as answer,
    ):
        assert answer.status == 200
    assert bool(visits) == announces


async def test_the_console_tells_nothing_before_somebody_has_signed_in(
    http: aiohttp.ClientSession, origin: str
) -> None:
    async with http.get(f"{origin}/console") as answer:
        page = await answer.text()

    assert NAME not in page
    assert "Books" not in page
    assert "{{" not in page


@pytest.mark.parametrize("host", ["a; script-src *", "a b", "", "a" * 300, "a,b", "'self'"])
async def test_a_host_that_is_none_does_not_get_into_the_policy(
    http: aiohttp.ClientSession, origin: str, host: str
) -> None:
    async with http.get(f"{origin}/", headers={"Host": host}) as answer:
        policy = answer.headers.get("Content-Security-Policy", "")

    assert "connect-src 'self'; " in policy or answer.status == 400


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (STYLE, "text/css; charset=utf-8"),
        ("/web/icons.svg", "image/svg+xml"),
        (FIRST_SCRIPT, "text/javascript; charset=utf-8"),
        ("/evibridge.js", "text/javascript; charset=utf-8"),
        ("/evibridge.d.ts", "text/plain; charset=utf-8"),
        (CALL_PART, "text/javascript; charset=utf-8"),
    ],
)
async def test_a_file_has_its_kind_and_may_not_be_taken_for_another(
    http: aiohttp.ClientSession, origin: str, path: str, kind: str
) -> None:
    async with http.get(f"{origin}{path}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == kind
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", [*PAGES, STYLE, "/evibridge.js"])
async def test_a_browser_that_has_a_file_is_not_sent_it_again(
    http: aiohttp.ClientSession, origin: str, path: str
) -> None:
    async with http.get(f"{origin}{path}") as answer:
        etag = answer.headers["ETag"]
    known = {"If-None-Match": f'"another", {etag}'}

    async with http.get(f"{origin}{path}", headers=known) as answer:
        assert answer.status == 304
        assert await answer.read() == b""
        assert answer.headers["ETag"] == etag
    async with http.get(f"{origin}{path}", headers={"If-None-Match": '"another"'}) as answer:
        assert answer.status == 200


async def test_a_file_is_compressed_for_those_who_can_read_that(origin: str) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        async with http.get(f"{origin}{STYLE}", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            packed = await answer.read()
        plain = {"Accept-Encoding": "identity"}
        async with http.get(f"{origin}{STYLE}", headers=plain) as answer:
            assert "Content-Encoding" not in answer.headers
            assert answer.headers["Vary"] == "Accept-Encoding"
            body = await answer.read()

    assert gzip.decompress(packed) == body
    assert body.decode() == bare_style((FOLDER / "style.css").read_text())


@pytest.mark.parametrize(
    ("accepted", "is_packed"),
    [
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("*", True),
        ("gzip ; Q=0.001", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("*, gzip;q=0", False),
        ("identity, *;q=0", False),
        ("x-not-gzip", False),
        ("gzip;q=much", False),
        ("", False),
    ],
)
async def test_a_file_is_compressed_only_for_those_who_say_that_they_can_read_that(
    origin: str, accepted: str, *, is_packed: bool
) -> None:
    async with (
        aiohttp.ClientSession(auto_decompress=False) as http,
        http.get(f"{origin}{STYLE}", headers={"Accept-Encoding": accepted}) as answer,
    ):
        assert (answer.headers.get("Content-Encoding") == "gzip") == is_packed


async def test_each_form_of_a_file_has_a_tag_of_its_own(
    http: aiohttp.ClientSession, origin: str
) -> None:
    tags = {}
    for form in ("gzip", "identity"):
        async with http.get(f"{origin}{STYLE}", headers={"Accept-Encoding": form}) as answer:
            tags[form] = answer.headers["ETag"]

    assert tags["gzip"] != tags["identity"]
    for (form, tag), known in product(tags.items(), tags.values()):
        asked = {"Accept-Encoding": form, "If-None-Match": known}
        async with http.get(f"{origin}{STYLE}", headers=asked) as answer:
            assert (answer.status == 304) == (known == tag)
            assert answer.headers["ETag"] == tag


@pytest.mark.parametrize("path", [*PAGES, STYLE, "/evibridge.js"])
async def test_the_head_of_a_file_can_be_had_alone(
    http: aiohttp.ClientSession, origin: str, path: str
) -> None:
    async with http.get(f"{origin}{path}") as answer:
        whole = answer.headers
    async with http.head(f"{origin}{path}") as answer:
        assert answer.status == 200
        assert await answer.read() == b""
        assert {**answer.headers, "Date": ""} == {**whole, "Date": ""}


@pytest.mark.parametrize(
    ("path", "is_for_all"),
    [
        ("/evibridge.js", True),
        ("/evibridge.d.ts", True),
        (CALL_PART, True),
        (FIRST_SCRIPT, False),
        (STYLE, False),
    ],
)
async def test_only_the_module_may_be_imported_by_pages_of_other_origins(
    http: aiohttp.ClientSession, origin: str, path: str, *, is_for_all: bool
) -> None:
    async with http.get(f"{origin}{path}") as answer:
        allowed = answer.headers.get("Access-Control-Allow-Origin")

    assert allowed == ("*" if is_for_all else None)


@pytest.mark.parametrize(
    "path",
    [
        "/web/none.js",
        "/web/caller.html",
        "/web/console.html",
        "/console/",
        "/web/package.json",
        "/web/tsconfig.json",
        "/web/",
        "/web/caller",
        "/web/../settings.py",
        "/web/..%2Fsettings.py",
        "/web/%2e%2e/settings.py",
        "/web/..%5csettings.py",
        "/web//etc/passwd",
        "/web/%2Fetc%2Fpasswd",
        "/web/style.css%00.js",
    ],
)
async def test_what_is_no_file_of_the_pages_is_not_found(
    http: aiohttp.ClientSession, origin: str, path: str
) -> None:
    async with http.get(URL(origin + path, encoded=True)) as answer:
        assert answer.status in (400, 404)
        assert "root:" not in await answer.text()


async def test_files_are_those_of_the_start(
    http: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "caller.html").write_text("<title>{{name}}</title>")
    (tmp_path / "console.html").write_text("<title>evibridge console</title>")
    (tmp_path / "before.js").write_text("export {};\n")
    monkeypatch.setattr(web_assets, "FOLDER", tmp_path)
    app = web.Application()
    WebPages("Books", None, is_recorded=False).add_routes(app)
    (tmp_path / "after.js").write_text("export {};\n")
    (tmp_path / "before.js").unlink()

    async with test_utils.TestServer(app, host="127.0.0.1") as server:
        async with http.get(server.make_url("/web/before.js")) as answer:
            assert await answer.text() == "export {};\n"
        async with http.get(server.make_url("/web/after.js")) as answer:
            assert answer.status == 404


async def test_scripts_come_without_comments_and_with_their_lines(
    http: aiohttp.ClientSession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for page in ("caller.html", "console.html"):
        (tmp_path / page).write_text("")
    (tmp_path / "part.js").write_text(
        "/** What it is for. */\n"
        "\n"
        "/**\n * @param {string} url\n */\n"
        "function f(url) {\n"
        "  // why\n"
        "  /** @type {any} */ (window).url = `https://${url}`; // seldom\n"
        "  return url; /* kept */\n"
        "  /** of the next */\n"
        "}\n"
    )
    monkeypatch.setattr(web_assets, "FOLDER", tmp_path)
    app = web.Application()
    WebPages("Books", None, is_recorded=False).add_routes(app)

    async with (
        test_utils.TestServer(app, host="127.0.0.1") as server,
        http.get(server.make_url("/web/part.js")) as answer,
    ):
        script = await answer.text()

    assert script == (
        "\n\n\n\n\n"
        "function f(url) {\n"
        "\n"
        "/** @type {any} */ (window).url = `https://${url}`; // seldom\n"
        "return url; /* kept */\n"
        "\n"
        "}\n"
    )


@pytest.mark.parametrize(
    ("page", "worklets"),
    [(CALLER, "web/call/"), (CONSOLE, "web/console/")],
    ids=["caller", "console"],
)
def test_the_scripts_of_a_page_are_light(page: ServedPage, worklets: str) -> None:
    scripts = read_scripts()
    needed = imported_by(page.first_script, scripts)
    own = [path for path in scripts if path.startswith(worklets) and path.endswith("_worklet.js")]
    whole = "".join(scripts[path] for path in [*needed, *own])

    assert len(gzip.compress(whole.encode())) <= 30_000


def test_the_style_sheet_is_light() -> None:
    style = read_assets({})[STYLE.lstrip("/")]

    assert len(style.packed) <= 8_000


@pytest.mark.parametrize(
    ("style", "bare"),
    [
        ("/* why\n */\na, b > c { color: red; top: 1px }\n", "a,b > c{color:red;top:1px}"),
        ('a::before { content: ""; }\n', 'a::before{content:""}'),
        ("a { top: calc(100% - 4px); }", "a{top:calc(100% - 4px)}"),
        ("@media (x: 1px) {\n  .a :hover { b: c }\n}", "@media (x:1px){.a :hover{b:c}}"),
        ("a { b: c(d, e) f /* g */ h }", "a{b:c(d,e) f h}"),
    ],
)
def test_a_style_sheet_comes_without_what_means_nothing(style: str, bare: str) -> None:
    assert bare_style(style) == bare
