"""What can be dialled on a telephone: numbers and keys."""

import re

MAX_KEYS = 64
"""Longer than any number that a person types."""

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
