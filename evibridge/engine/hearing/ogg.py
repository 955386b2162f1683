"""Ogg with one Opus stream, as some browsers record it: bytes in any cut to Opus packets. Pure."""

from collections.abc import Iterator

from evibridge.engine.hearing.opus import MAX_PACKET_BYTES, OpusHead, parse_head
from evibridge.errors import BadAudio

MAX_PAGES_AT_ONCE = 5_000
"""10 s of the shortest packets, each in a page of its own, and the pages of the headers."""

_PAGE_HEAD_BYTES = 27
_CONTINUED, _FIRST = 0x01, 0x02
_MAX_SEGMENT = 255  # a segment of this length is not the last of its packet


class OggReader:
    """One connection's Ogg, which may be several recordings one after the other.

    Checksums are not compared: what came by TCP is whole, and a decoder survives wrong packets.
    """

    def __init__(self) -> None:
        self._held = b""
        """A page that the next bytes complete: 64 KiB at most, by the format."""
        self._serial = b""
        self._packets = 0
        """Of the recording so far; the first is its head, the second its tags."""
        self._begun = b""
        """A packet that goes on in the next page: `MAX_PACKET_BYTES` at most."""

    def feed(self, data: bytes) -> Iterator[OpusHead | bytes]:
        """Read the next bytes: the head of each recording, then its packets.

        A reader that raised, or whose iterator was left before its end, has lost its place.

        Raises:
            BadAudio: damaged, not Opus alone, or more pages at once than live audio has
        """
        data = self._held + data
        at = 0
        pages = 0
        while len(data) - at >= _PAGE_HEAD_BYTES:
            if data[at : at + 5] != b"OggS\0":
                raise BadAudio("This Ogg stream is damaged: a page does not begin with OggS.")
            body_at = at + _PAGE_HEAD_BYTES + data[at + 26]
            segments = data[at + _PAGE_HEAD_BYTES : body_at]
            end = body_at + sum(segments)
            if end > len(data):
                break
            pages += 1
            if pages > MAX_PAGES_AT_ONCE:
                raise BadAudio(f"Send less than {MAX_PAGES_AT_ONCE} Ogg pages at once.")
            self._begin_page(flags=data[at + 5], serial=data[at + 14 : at + 18])
            yield from self._take(segments, data[body_at:end])
            at = end
        self._held = data[at:]

    def _begin_page(self, *, flags: int, serial: bytes) -> None:
        if flags & _FIRST:
            self._serial = serial
            self._packets = 0
        elif serial != self._serial:
            raise BadAudio("Send Ogg with one stream, of Opus audio.")
        if not flags & _CONTINUED:
            self._begun = b""

    def _take(self, segments: bytes, body: bytes) -> Iterator[OpusHead | bytes]:
        begin = end = 0
        for size in segments:
            end += size
            if size == _MAX_SEGMENT:
                continue
            packet, begin = self._begun + body[begin:end], end
            self._begun = b""
            self._packets += 1
            if self._packets == 1:
                yield parse_head(packet)
            elif self._packets > 2:
                yield packet
        self._begun += body[begin:end]
        if len(self._begun) > MAX_PACKET_BYTES:
            raise BadAudio("This Ogg stream is damaged: a packet has no end.")
