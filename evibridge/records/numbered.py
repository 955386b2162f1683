"""Names of the recordings of one call: a call that comes back after a crash leaves several."""

from collections.abc import Iterator
from pathlib import Path

MAX_FILES = 99
"""Recordings of one call; it has two if the service has crashed in it."""


def numbered(first: Path) -> Iterator[Path]:
    """Return the names that the recordings of a call may have: `x.wav`, `x.2.wav`, `x.3.wav`."""
    yield first
    for number in range(2, MAX_FILES + 1):
        yield first.with_name(f"{first.stem}.{number}{first.suffix}")
