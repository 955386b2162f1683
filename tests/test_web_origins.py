import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.operators.bodies import ORIGIN_PATTERN
from evibridge.web_origins import checked_origin, normal_origin

SHOP = "https://shop.example"


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://Shop.Example", SHOP),
        ("https://shop.example:443/", SHOP),
        (" https://shop.example: ", SHOP),
        ("http://shop.example:443", "http://shop.example:443"),
        ("http://localhost:80", "http://localhost"),
        ("http://192.0.2.1:3000", "http://192.0.2.1:3000"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://[0:0:0:0:0:0:0:1]:80", "http://[::1]"),
        ("https://xn--shp-sna.example", "https://xn--shp-sna.example"),
    ],
)
def test_an_origin_has_one_form(written: str, normal: str) -> None:
    assert normal_origin(written) == checked_origin(written) == normal


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "null",
        "*",
        "shop.example",
        "file:///etc",
        "chrome-extension://abc",
        "https://",
        "https://*.shop.example",
        "https://shop example",
        "https://shöp.example",
        "https://a@shop.example",
        "https://shop.example/page",
        "https://shop.example?x",
        "https://shop.example#x",
        "https://shop.example:port",
        "https://shop.example:65536",
        "https://[::1",
        "https://[::1%25eth0]",
        "https://[v1.shop]",
        "https://[shop.example]",
    ],
)
def test_what_is_no_origin_of_a_page_is_told(nonsense: str) -> None:
    assert normal_origin(nonsense) is None
    with pytest.raises(ValueError, match="must be an origin such as"):
        checked_origin(nonsense)


@given(st.text() | st.from_regex(r"https?://(\[[0-9a-fv:.%]*\]|[a-zA-Z0-9.:]*)", fullmatch=True))
def test_any_text_is_an_origin_or_none(text: str) -> None:
    normal = normal_origin(text)
    assert normal is None or normal_origin(normal) == normal


@given(st.from_regex(ORIGIN_PATTERN))
def test_programs_are_told_a_pattern_of_origins_that_are_taken(text: str) -> None:
    assert normal_origin(text) is not None
