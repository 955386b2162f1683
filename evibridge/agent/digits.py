"""Keys that the caller presses on the telephone, collected into entries."""

from collections import deque
from dataclasses import dataclass
from typing import Literal

MAX_ENTRY = 64
"""Longer than any number that a person types; it is told then, and another one begins."""
MAX_REMEMBERED = 256
"""Pressed keys remembered for the tools; the oldest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitCollection:
    """When a row of pressed keys is an entry, and how the model learns of it.

    Attributes:
        pause_s: an entry is over when no key was pressed for so long
        end_key: a key that ends an entry at once, and is no part of it; None for no such key
        sent_as: `context` tells the model beside what the caller says next; `user_input` hands the
            digits over as if the caller had said them, so that the agent answers at once
    """

    pause_s: float = 2.0
    end_key: str | None = "#"
    sent_as: Literal["context", "user_input"] = "context"

    def __post_init__(self) -> None:
        if self.pause_s <= 0:
            raise ValueError(f"pause_s must be more than 0 seconds, not {self.pause_s:g}.")
        if self.end_key is not None and self.end_key not in set("0123456789*#ABCD"):
            raise ValueError(f"end_key must be one key of a telephone, not {self.end_key!r}.")


class Digits:
    """The keys of one call. Time is an argument, in seconds."""

    def __init__(self, collection: DigitCollection) -> None:
        self._collection = collection
        self._pressed: deque[str] = deque(maxlen=MAX_REMEMBERED)
        self._entry = ""
        self.wake_s: float | None = None
        """When `woke` has to be called next."""

    @property
    def all(self) -> str:
        """Every key of the call that is remembered, oldest first."""
        return "".join(self._pressed)

    def pressed(self, digit: str, now_s: float) -> str | None:
        """A key was pressed; returns the entry that it ends, if it does."""
        self._pressed.append(digit)
        if digit == self._collection.end_key:
            return self._take() or digit
        self._entry += digit
        self.wake_s = now_s + self._collection.pause_s
        return self._take() if len(self._entry) >= MAX_ENTRY else None

    def woke(self, now_s: float) -> str | None:
        """Returns the entry that a pause has ended, if one has."""
        return self._take() if self.wake_s is not None and self.wake_s <= now_s else None

    def _take(self) -> str:
        entry, self._entry, self.wake_s = self._entry, "", None
        return entry
