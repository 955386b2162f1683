"""Clients that repeat themselves: one mistake, made over and over, ends a connection. Pure."""

from evibridge.engine.chat.faults import Fault

MAX_IDENTICAL_FAULTS = 10
TOO_OFTEN = "The same error was made ten times."


class Mistakes:
    """Counts how often in a row one connection makes the same mistake."""

    def __init__(self) -> None:
        self._last: Fault | None = None
        self._times = 0

    def is_once_too_often(self, fault: Fault) -> bool:
        """Take note of a mistake; true when the connection is to be closed for it (U22)."""
        self._times = self._times + 1 if fault == self._last else 1
        self._last = fault
        return self._times >= MAX_IDENTICAL_FAULTS

    def forgive(self) -> None:
        """A message without a mistake has come."""
        self._times = 0
