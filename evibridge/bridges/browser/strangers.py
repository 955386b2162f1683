"""Sockets that are open and whose pages have not said yet who they are."""

from typing import Protocol

MAX_STRANGERS = 128
"""Each is given 5 s for its `hello`, which a page sends within one round trip."""


class Stranger(Protocol):
    """One of them."""

    def make_room(self) -> None:
        """Leave: newer ones have come."""


class Strangers:
    """All of them. In a full room the oldest makes room: it is the one that says nothing."""

    def __init__(self) -> None:
        self._inside: dict[Stranger, None] = {}

    def __len__(self) -> int:
        return len(self._inside)

    def enter(self, stranger: Stranger) -> None:
        """A socket was opened."""
        if len(self._inside) >= MAX_STRANGERS:
            oldest = next(iter(self._inside))
            self.leave(oldest)
            oldest.make_room()
        self._inside[stranger] = None

    def leave(self, stranger: Stranger) -> None:
        """It is known who it is, or it was refused, or it is gone."""
        self._inside.pop(stranger, None)
