import pytest

from evibridge.bridges.browser.datagram_admission import (
    MAX_DATAGRAM_BYTES,
    MAX_LEARNED,
    MAX_ROAMED,
    Address,
    Kind,
    KnownAddresses,
    kind_of,
)

OFFERED = ("192.0.2.7", 4000)


def stranger(number: int) -> Address:
    return (f"198.51.100.{number % 256}", 1024 + number)


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (0, Kind.STUN),
        (3, Kind.STUN),
        (4, None),
        (19, None),
        (20, Kind.DTLS),
        (63, Kind.DTLS),
        (64, None),
        (127, None),
        (128, Kind.MEDIA),
        (191, Kind.MEDIA),
        (192, None),
    ],
)
def test_the_first_byte_tells_what_a_datagram_is(first: int, kind: Kind | None) -> None:
    assert kind_of(bytes([first])) is kind
    assert kind_of(bytes([first]) * MAX_DATAGRAM_BYTES) is kind


@pytest.mark.parametrize("first", [0, 22, 128])
def test_nothing_and_too_much_is_nothing(first: int) -> None:
    assert kind_of(b"") is None
    assert kind_of(bytes([first]) * (MAX_DATAGRAM_BYTES + 1)) is None


def test_an_address_is_known_once_a_check_has_come_from_it() -> None:
    known = KnownAddresses([OFFERED])
    assert OFFERED not in known
    for address in (OFFERED, stranger(1)):
        assert known.admit(address, 1, is_connected=False)
        assert address in known
    assert stranger(2) not in known


def test_many_addresses_may_be_learned_but_not_any_number() -> None:
    known = KnownAddresses([OFFERED])
    for number in range(MAX_LEARNED):
        assert known.admit(stranger(number), number % 3, is_connected=False)
    assert not known.admit(stranger(MAX_LEARNED), 0, is_connected=False)
    assert not known.admit(stranger(0), 7, is_connected=False), "it would be another pair"
    assert stranger(MAX_LEARNED) not in known
    assert known.refused == 2
    for socket in range(5):
        assert known.admit(OFFERED, socket, is_connected=False)
    assert known.admit(stranger(0), 0, is_connected=True), "it is tried already"


def test_a_page_may_come_from_other_networks_some_times() -> None:
    known = KnownAddresses([OFFERED])
    for number in range(MAX_ROAMED):
        for _ in range(3):
            assert known.admit(stranger(number), 1, is_connected=True)
    assert not known.admit(stranger(MAX_ROAMED), 1, is_connected=True)
    assert known.admit(OFFERED, 1, is_connected=True)
