from collections.abc import Mapping

import pytest
from multidict import CIMultiDict

from evibridge.bridges.browser.origins import Origins, is_same_origin, origin_of

OURS = "https://voice.example"
SHOP = "https://shop.example"
KNOWN = Origins(OURS, [SHOP, "http://localhost:3000"])


def headers(origin: str | None, host: str = "127.0.0.1:8080") -> Mapping[str, str]:
    named = {"Host": host} if origin is None else {"Host": host, "Origin": origin}
    return CIMultiDict(named)


def test_an_origin_is_read_as_browsers_write_it() -> None:
    assert origin_of(headers("https://Shop.Example:443/")) == SHOP


@pytest.mark.parametrize("nonsense", ["", "null", "shop.example", "https://shop.example/page"])
def test_what_is_no_origin_of_a_page_is_never_allowed(nonsense: str) -> None:
    assert not KNOWN.admit(headers(nonsense))
    assert not is_same_origin(headers(nonsense))
    assert origin_of(headers(nonsense)) == nonsense  # so that no token of another one fits


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
