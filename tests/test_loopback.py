import pytest

from evibridge.loopback import is_local_request, is_loopback


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_names_and_addresses(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "192.168.1.1", "example.com", "localhost.evil"])
def test_everything_else_can_be_reached_from_outside(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8080"},
        {"Host": "localhost"},
        {"Host": "[::1]:8080"},
        {"Host": "localhost:8080", "Origin": "http://localhost:3000"},
    ],
)
def test_a_program_or_a_page_of_this_machine_is_local(headers: dict[str, str]) -> None:
    assert is_local_request(headers, "127.0.0.1")
    assert not is_local_request(headers, "10.0.0.1")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "rebound.example.com:8080"},
        {"Host": "[::1"},
        {"Host": "localhost:8080", "Origin": "https://evil.example"},
        {"Host": "localhost:8080", "Origin": "null"},
        {"Host": "localhost:8080", "X-Forwarded-For": "203.0.113.9"},
        {"Host": "localhost:8080", "X-Forwarded-Proto": "https"},
        {"Host": "localhost:8080", "Via": "1.1 proxy"},
    ],
    ids=["no host", "rebound name", "no address", "web page", "file", "tunnel", "TLS proxy", "via"],
)
def test_anybody_else_is_not(headers: dict[str, str]) -> None:
    assert not is_local_request(headers, "127.0.0.1")
