"""Which datagrams are taken from whom: anybody may send to a socket of ours."""

from collections.abc import Iterable
from enum import Enum, auto

MAX_DATAGRAM_BYTES = 2048
"""Browsers send what fits into a packet of the network: 1200 to 1500 bytes."""
MAX_LEARNED = 100
"""Pairs of addresses that are tried beside the offered ones (RFC 8445, section 6.1.2.5)."""
MAX_ROAMED = 16
"""How often a page may come from somewhere else while it is connected, such as another network."""

Address = tuple[str, int]


class Kind(Enum):
    """What a datagram is, by its first byte (RFC 7983, section 7)."""

    STUN = auto()
    DTLS = auto()
    MEDIA = auto()


def kind_of(datagram: bytes) -> Kind | None:
    """Tell what a datagram is; None if it is nothing that a page sends."""
    if not 0 < len(datagram) <= MAX_DATAGRAM_BYTES:
        return None
    first = datagram[0]
    if 128 <= first < 192:
        return Kind.MEDIA
    if 20 <= first < 64:
        return Kind.DTLS
    return Kind.STUN if first < 4 else None


class KnownAddresses:
    """From where checks have come that only the page can make: they show the password.

    Args:
        offered: where the page says that it may be reached
    """

    def __init__(self, offered: Iterable[Address]) -> None:
        self._offered = frozenset(offered)
        self._known: set[Address] = set()
        self._learned: set[tuple[Address, int]] = set()
        self._roamed = 0
        self.refused = 0
        """Checks that were not followed."""

    def __contains__(self, address: Address) -> bool:
        """Whether what comes from an address is taken."""
        return address in self._known

    def admit(self, address: Address, socket: int, *, is_connected: bool) -> bool:
        """A check of the page has come; returns whether its address is tried.

        Args:
            address: that it came from
            socket: names the one of ours that it came to
            is_connected: whether a way to the page was found
        """
        pair = (address, socket)
        if address not in self._offered and pair not in self._learned:
            is_roaming_on = is_connected and self._roamed >= MAX_ROAMED
            if is_roaming_on or len(self._learned) >= MAX_LEARNED:
                self.refused += 1
                return False
            self._roamed += is_connected
            self._learned.add(pair)
        self._known.add(address)
        return True
