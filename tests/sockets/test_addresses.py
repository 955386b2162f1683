import pytest

from evibridge.errors import SettingsError
from evibridge.sockets import origin_to_ws
from evibridge.sockets.addresses import Target


@pytest.mark.parametrize(
    ("url", "host", "port", "is_secure", "authority", "resource"),
    [
        ("ws://a.example", "a.example", 80, False, "a.example", "/"),
        ("wss://a.example/v0/chat", "a.example", 443, True, "a.example", "/v0/chat"),
        ("ws://[::1]:8765/x?y=%2F&z", "::1", 8765, False, "[::1]:8765", "/x?y=%2F&z"),
        ("wss://A.example:8443?k=v#part", "a.example", 8443, True, "A.example:8443", "/?k=v"),
    ],
)
def test_a_url_says_where_to_dial_and_what_to_ask_for(
    url: str, host: str, port: int, is_secure: bool, authority: str, resource: str
) -> None:
    target = Target.parse(url)
    assert (target.host, target.port, target.is_secure) == (host, port, is_secure)
    assert (target.authority, target.resource) == (authority, resource)


def test_a_query_is_not_shown_to_people() -> None:
    target = Target.parse("wss://a.example:1/v0/ch@t?api_key=s3cret#s3cret")
    assert target.shown == "wss://a.example:1/v0/ch@t"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "http://a.example/?k=s3cret",
        "ws://",
        "ws:///path?k=s3cret",
        "ws://a.example:99999/?k=s3cret",
        "ws://a.example:port/?k=s3cret",
        "ws://[::1/?k=s3cret",
        "wss://user:s3cret@a.example/",
        "wss://user@a.example/",
        "ws://a.example/a path",
        "ws://ä.example/",
    ],
)
def test_what_is_no_websocket_address_is_refused_without_repeating_a_secret(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Target.parse(url)
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("origin", "ws"),
    [
        ("http://127.0.0.1:8765", "ws://127.0.0.1:8765"),
        ("https://api.example", "wss://api.example"),
        ("https://api.example/", "wss://api.example"),
        ("http://[::1]:1", "ws://[::1]:1"),
    ],
)
def test_an_origin_has_a_websocket_address(origin: str, ws: str) -> None:
    assert origin_to_ws(origin) == ws
