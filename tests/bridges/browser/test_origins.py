from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from evibridge.bridges.browser.origins import (
    Origins,
    is_same_origin,
    normal_origin,
    origin_of,
)

OURS = "https://voice.example"
SHOP = "https://shop.example"
KNOWN = Origins(OURS, [SHOP, "http://localhost:3000"])


def headers(origin: str | None, host: str = "127.0.0.1:8080") -> Mapping[str, str]:
    named = {"Host": host} if origin is None else {"Host": host, "Origin": origin}
    return CIMultiDict(named)


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://Shop.Example", SHOP),
        ("https://shop.example:443/", SHOP),
        ("http://shop.example:443", "http://shop.example:443"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_origins_are_compared_as_browsers_write_them(written: str, normal: str) -> None:
    assert normal_origin(written) == normal
    assert origin_of(headers(written)) == normal


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "null",
        "shop.example",
        "file:///etc",
        "chrome-extension://abc",
        "https://",
        "https://a@shop.example",
        "https://shop.example/page",
        "https://shop.example?x",
        "https://shop.example#x",
        "https://shop.example:port",
        "https://[::1",
    ],
)
def test_what_is_no_origin_of_a_page_is_never_allowed(nonsense: str) -> None:
    assert normal_origin(nonsense) is None
    assert not KNOWN.admit(headers(nonsense))
    assert not is_same_origin(headers(nonsense))
    assert origin_of(headers(nonsense)) == nonsense  # so that no token of another one fits


@given(st.text())
def test_any_text_is_an_origin_or_none(text: str) -> None:
    normal = normal_origin(text)
    assert normal is None or normal_origin(normal) == normal


@pytest.mark.parametrize(
    "origin", [OURS, SHOP, "https://SHOP.example:443", "http://localhost:3000"]
)
def test_pages_that_are_listed_may_call(origin: str) -> None:
    assert KNOWN.admit(headers(origin))


@pytest.mark.parametrize("origin", ["http://shop.example", "https://evil.example", "null"])
def test_other_pages_may_not(origin: str) -> None:
    assert not KNOWN.admit(headers(origin))
    assert not Origins(None).admit(headers(origin))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://talk.example", "talk.example"),  # TLS ends in a proxy
        ("https://talk.example", "TALK.example:443"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_a_page_of_the_same_host_may_call(origin: str, host: str) -> None:
    assert is_same_origin(headers(origin, host))
    assert Origins(None).admit(headers(origin, host))


@pytest.mark.parametrize("host", ["127.0.0.1:8081", "talk.example", "", "127.0.0.1:8080/x"])
def test_a_page_of_another_host_is_not_the_same(host: str) -> None:
    assert not is_same_origin(headers("http://127.0.0.1:8080", host))


def test_a_request_without_an_origin_is_no_browsers() -> None:
    assert Origins(None).admit(headers(None))
    assert origin_of(headers(None)) is None
    assert not is_same_origin(headers(None))


def test_an_allowed_page_may_read_the_answer() -> None:
    answer = KNOWN.cors_headers(headers(SHOP))
    assert answer["Access-Control-Allow-Origin"] == SHOP
    assert answer["Vary"] == "Origin"
    preflight = KNOWN.preflight_headers(headers(SHOP))
    assert preflight["Access-Control-Allow-Methods"] == "POST, DELETE"
    assert preflight["Access-Control-Allow-Headers"] == "Content-Type, Authorization"


@pytest.mark.parametrize("origin", ["https://evil.example", None])
def test_no_other_page_may(origin: str | None) -> None:
    assert KNOWN.cors_headers(headers(origin)) == {"Vary": "Origin"}
    assert KNOWN.preflight_headers(headers(origin)) == {"Vary": "Origin"}
