"""What a packet of SCTP must be like before it is read (RFC 9260, RFC 3758).

aiortc believes the lengths and numbers in a packet: a length of 0 keeps it busy for ever, and an
acknowledgement of packets that were never sent for seconds.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

MAX_STREAMS = 16
"""Data channels that a page may open; one is used."""
MAX_AHEAD = 4096
"""How far a packet may be ahead of all that came without a gap: the page's window has fewer."""
_HEADER_BYTES = 12
_CHUNK = struct.Struct("!BxH")
_PARAMETER = struct.Struct("!2xH")
_SACK = struct.Struct("!L4xHH")
_PAIR = struct.Struct("!HH")
_HALF = 0x80000000


class Association(NamedTuple):
    """How far both sides have come, by their transmission sequence numbers."""

    received: int | None
    """The page's newest one before which nothing is missing; None if it has not said its first."""
    acknowledged: int
    """Our newest one that the page has acknowledged."""
    sent: int
    """Our newest one."""


def find_fault(packet: bytes, so_far: Association) -> str:
    """What a packet has that no page sends, such as "a chunk without an end"; "" if nothing.

    Args:
        packet: as it came; its checksum is not looked at
        so_far: how far both sides have come
    """
    if len(packet) < _HEADER_BYTES + _CHUNK.size:
        return "a packet without a chunk"
    start = _HEADER_BYTES
    while start + _CHUNK.size <= len(packet):
        kind, length = _CHUNK.unpack_from(packet, start)
        if length < _CHUNK.size or start + length > len(packet):
            return "a chunk without an end"
        check = _CHECKS.get(kind)
        if check is not None:
            fault = check(packet[start + _CHUNK.size : start + length], so_far)
            if fault:
                return fault
        start += length + -length % 4
    return ""


def _check_parameters(body: bytes, _: Association) -> str:
    start = 0
    while start + _PARAMETER.size <= len(body):
        (length,) = _PARAMETER.unpack_from(body, start)
        if length < _PARAMETER.size or start + length > len(body):
            return "a parameter without an end"
        start += length + -length % 4
    return ""


def _check_init(body: bytes, so_far: Association) -> str:
    return _check_parameters(body[16:], so_far) if len(body) >= 16 else "a damaged chunk"


def _check_data(body: bytes, so_far: Association) -> str:
    if len(body) <= 12:  # data without data is not allowed (RFC 9260, section 3.3.1)
        return "a damaged chunk"
    tsn, stream = struct.unpack_from("!LH", body)
    return _check_received(tsn, so_far) or _check_stream(stream)


def _check_forward_tsn(body: bytes, so_far: Association) -> str:
    if len(body) < 4 or len(body) % 4:
        return "a damaged chunk"
    pairs = list(_PAIR.iter_unpack(body[4:]))
    if len(pairs) > MAX_STREAMS:
        return "a data channel that is not there"
    fault = _check_received(int.from_bytes(body[:4], "big"), so_far)
    return fault or next(filter(None, (_check_stream(stream) for stream, _ in pairs)), "")


def _check_stream(stream: int) -> str:
    return "a data channel that is not there" if stream >= MAX_STREAMS else ""


def _check_received(tsn: int, so_far: Association) -> str:
    if so_far.received is None:
        return "data before its association"
    return "data far ahead" if MAX_AHEAD < _after(tsn, so_far.received) <= _HALF else ""


def _check_sack(body: bytes, so_far: Association) -> str:
    if len(body) < _SACK.size:
        return "a damaged chunk"
    tsn, gaps, duplicates = _SACK.unpack_from(body)
    if _SACK.size + 4 * (gaps + duplicates) > len(body):
        return "a damaged chunk"
    outstanding = _after(so_far.sent, so_far.acknowledged)
    step = _after(tsn, so_far.acknowledged)
    if step > _HALF:  # one of before, that was overtaken
        return ""
    last = 0
    # Blocks have no overlap, but may come in any order.
    for first, end in sorted(_PAIR.iter_unpack(body[_SACK.size : _SACK.size + 4 * gaps])):
        if not last < first <= end:
            return "an acknowledgement that makes no sense"
        last = end
    return "an acknowledgement of what was not sent" if step + last > outstanding else ""


def _after(tsn: int, other: int) -> int:
    """How far one number is behind another one, where numbers wrap (RFC 1982)."""
    return (tsn - other) & 0xFFFFFFFF


_CHECKS: dict[int, Callable[[bytes, Association], str]] = {
    0: _check_data,
    1: _check_init,
    2: _check_init,
    3: _check_sack,
    4: _check_parameters,  # HEARTBEAT
    5: _check_parameters,  # HEARTBEAT ACK
    6: _check_parameters,  # ABORT
    9: _check_parameters,  # ERROR
    130: _check_parameters,  # RE-CONFIG
    192: _check_forward_tsn,
}
"""By the type of the chunk; those that are not here have nothing that is believed."""
