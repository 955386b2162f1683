"""WebM with one Opus track, as browsers record it: bytes in any cut to Opus packets. Pure.

WebM is a tree of EBML elements: a name, a size, and either a value or further elements. A live
stream does not know the size of its outer elements. Since every element has its own name wherever
it stands, the outer ones are simply opened, and what is inside them is read as one flat sequence.
"""

from collections.abc import Iterator
from typing import NamedTuple

from evibridge.engine.hearing.opus import MAX_PACKET_BYTES, OpusHead, parse_head
from evibridge.errors import BadAudio

MAX_ELEMENT_BYTES = MAX_PACKET_BYTES + 16
"""No element of a live stream is larger than a block with the largest packet; more is damage."""
MAX_ELEMENTS_AT_ONCE = 16_000
"""10 s of the shortest packets, each in a group of four elements: some 30 ms of reading."""

_EBML, _SEGMENT, _TRACKS = 0x1A45DFA3, 0x18538067, 0x1654AE6B
_CLUSTER, _BLOCK_GROUP, _SIMPLE_BLOCK, _BLOCK = 0x1F43B675, 0xA0, 0xA3, 0xA1
_TRACK_ENTRY, _TRACK_NUMBER, _CODEC_ID, _CODEC_PRIVATE = 0xAE, 0xD7, 0x86, 0x63A2
_CONTENT_ENCODINGS = 0x6D80

_OPENED = frozenset((_SEGMENT, _CLUSTER, _BLOCK_GROUP))
_UNKNOWN_SIZE = 1 << 56  # more than eight bytes can say
_LACING = 0x06


class WebmReader:
    """One connection's WebM, which may be several recordings one after the other."""

    def __init__(self) -> None:
        self._held = b""
        """An element that the next bytes complete: `MAX_ELEMENT_BYTES` and its head at most."""
        self._track: int | None = None

    def feed(self, data: bytes) -> Iterator[OpusHead | bytes]:
        """Read the next bytes: the head of each recording, then its packets.

        A reader that raised, or whose iterator was left before its end, has lost its place.

        Raises:
            BadAudio: damaged, not Opus alone, or more elements at once than live audio has
        """
        data = self._held + data
        at = 0
        elements = 0
        while (element := _element_at(data, at)) is not None:
            elements += 1
            if elements > MAX_ELEMENTS_AT_ONCE:
                raise BadAudio(f"Send less than {MAX_ELEMENTS_AT_ONCE} WebM elements at once.")
            if element.name in _OPENED:
                at = element.begin
                continue
            if element.size > MAX_ELEMENT_BYTES:
                raise _damaged("an element that ought to be small has no end")
            end = element.begin + element.size
            if end > len(data):
                break
            at = end
            yield from self._take(element.name, data[element.begin : end])
        self._held = data[at:]

    def _take(self, name: int, value: bytes) -> Iterator[OpusHead | bytes]:
        if name in (_SIMPLE_BLOCK, _BLOCK):
            yield self._packet(value)
        elif name == _TRACKS:
            self._track, head = _only_track(value)
            yield head
        elif name == _EBML:
            self._track = None  # the recorder was restarted

    def _packet(self, block: bytes) -> bytes:
        """The packet of a block: behind its track, two bytes of time and one of flags."""
        number_bytes = _number_bytes(block[0]) if block else 0
        if len(block) < number_bytes + 4:
            raise _damaged("a block is too short")
        if _number(block, 0, number_bytes) != self._track:
            raise _damaged("a block belongs to no known track")
        if block[number_bytes + 2] & _LACING:
            raise BadAudio("Send WebM without lacing, one Opus packet a block.")
        return block[number_bytes + 3 :]


class _Element(NamedTuple):
    name: int
    begin: int
    """Where its value begins."""
    size: int
    """Of its value, in bytes."""


def _element_at(data: bytes, start: int) -> _Element | None:
    """The element that starts there, or None while its head is not complete."""
    if start >= len(data):
        return None
    size_at = start + _number_bytes(data[start])
    if size_at - start > 4:
        raise _damaged("an element has no valid name")
    if size_at >= len(data):
        return None
    size_bytes = _number_bytes(data[size_at])
    if size_bytes > 8:
        raise _damaged("an element has no valid size")
    begin = size_at + size_bytes
    if begin > len(data):
        return None
    size = _number(data, size_at, size_bytes)
    if size == (1 << 7 * size_bytes) - 1:
        size = _UNKNOWN_SIZE
    return _Element(int.from_bytes(data[start:size_at], "big"), begin, size)


def _number_bytes(first: int) -> int:
    """EBML numbers say their length by the zero bits that they begin with; 9 is no number."""
    return 9 - first.bit_length()


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big") & ((1 << 7 * size) - 1)


def _only_track(tracks: bytes) -> tuple[int, OpusHead]:
    entries = [value for name, value in _children(tracks) if name == _TRACK_ENTRY]
    if len(entries) != 1:
        raise BadAudio(f"Send WebM with one track, of audio; this one has {len(entries)}.")
    track = dict(_children(entries[0]))
    codec = track.get(_CODEC_ID, b"").rstrip(b"\0")
    if codec != b"A_OPUS":
        named = codec.decode("ascii", "replace")[:20]
        raise BadAudio(f"Send WebM with audio in Opus (codec A_OPUS), not {named!r}.")
    if _CONTENT_ENCODINGS in track:
        raise BadAudio("Send WebM without compression or encryption of its blocks.")
    head = parse_head(track.get(_CODEC_PRIVATE, b""))
    return int.from_bytes(track.get(_TRACK_NUMBER, b""), "big"), head


def _children(value: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while (element := _element_at(value, at)) is not None:
        at = element.begin + element.size
        yield element.name, value[element.begin : at]


def _damaged(what: str) -> BadAudio:
    return BadAudio(f"This WebM stream is damaged: {what}.")
