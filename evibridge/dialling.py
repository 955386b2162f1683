"""What can be dialled on a telephone: numbers and keys."""

import re
from typing import NamedTuple

MAX_KEYS = 64
"""Longer than any number that a person types."""

MAX_TARGET_NAME = 64
TARGET_FORM = "write name=number, such as Front desk=+442079460100"

# A SIP address is of printable ASCII (RFC 3261), and the XML that tells a carrier of it can hold no
# control characters.
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|sip:[!-?A-~]+@[!-?A-~]+")
_KEYS = re.compile(r"[0-9*#A-Dw]+")


def checked_number(text: str) -> str:
    """The same text, if it is a number in E.164 or a `sip:` address.

    Raises:
        ValueError: it is neither
    """
    if not _NUMBER.fullmatch(text):
        raise ValueError("must be a number such as +14155550100 or a sip: address")
    return text


def checked_keys(text: str) -> str:
    """The same text, if it can be pressed: keys, and `w` for a pause of half a second.

    Raises:
        ValueError: there is something else in it, or nothing, or too much
    """
    if not _KEYS.fullmatch(text):
        raise ValueError("must be keys of a telephone: 0-9, *, #, A-D, and w for a pause")
    if len(text) > MAX_KEYS:
        raise ValueError(f"must be at most {MAX_KEYS} keys")
    return text


class TransferTarget(NamedTuple):
    """Somebody whom callers are put through to often: a name, and a number or `sip:` address."""

    name: str
    to: str


def transfer_targets(text: str) -> tuple[TransferTarget, ...]:
    """Read entries with commas between them, each `name=number` or `name=sip:address`.

    Raises:
        ValueError: an entry that cannot be read, or a name that stands there twice; it is counted
    """
    targets: list[TransferTarget] = []
    for place, entry in enumerate(text.split(","), start=1):
        target = _target(entry, f"entry {place}")
        if any(target.name == other.name for other in targets):
            raise ValueError(f"entry {place} has the name of an entry before it: give each its own")
        targets.append(target)
    return tuple(targets)


def _target(entry: str, which: str) -> TransferTarget:
    name, equals, to = (part.strip() for part in entry.partition("="))
    if not equals:
        raise ValueError(f"{which} is no name and number: {TARGET_FORM}")
    if not 1 <= len(name) <= MAX_TARGET_NAME or not name.isprintable():
        raise ValueError(f"{which} has no name of 1 to {MAX_TARGET_NAME} characters")
    try:
        return TransferTarget(name, checked_number(to))
    except ValueError as error:
        raise ValueError(f"{which}: what is dialled {error}") from None
