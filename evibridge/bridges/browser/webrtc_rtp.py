"""RTP and RTCP of one audio stream each way (RFC 3550): packets and the reports on them."""

import secrets
import struct
from typing import NamedTuple

CLOCK_HZ = 48_000
"""Of the timestamps of Opus, whatever the audio's own rate is (RFC 7587, section 4.1)."""
NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900, where NTP begins to count, to 1970."""
_SENDER_REPORT, _RECEIVER_REPORT, _SOURCE_DESCRIPTION = 200, 201, 202
_HEADER = struct.Struct("!BBHLL")
_BLOCK = struct.Struct("!LLLLLL")
_MAX_JUMP = 3000
"""A sequence that jumps further has begun anew (RFC 3550, A.1: MAX_DROPOUT)."""


class RtpPacket(NamedTuple):
    """What a packet carries; `payload` without padding."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def read_rtp(packet: bytes) -> RtpPacket | None:
    """Take a packet apart; None if it is damaged."""
    if len(packet) < _HEADER.size or packet[0] >> 6 != 2:
        return None
    flags, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(packet)
    start, end = _HEADER.size, len(packet)
    if flags & 0x3F:
        start += 4 * (flags & 0x0F)
        if flags & 0x10:
            if end < start + 4:
                return None
            start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
        if flags & 0x20:
            end -= packet[-1]
        if start > end:
            return None
    return RtpPacket(kind & 0x7F, sequence, timestamp, ssrc, packet[start:end])


def is_rtcp(packet: bytes) -> bool:
    """Whether a packet is of RTCP, where both come by one port (RFC 5761, section 4)."""
    return len(packet) > 1 and 192 <= packet[1] < 224


class OutgoingStream:
    """Packs what we send, and counts it.

    Args:
        payload_type: of Opus in the session
    """

    __slots__ = ("_base", "_octets", "_packets", "_payload_type", "_sequence", "_timestamp", "ssrc")

    def __init__(self, payload_type: int) -> None:
        self.ssrc = secrets.randbits(32)
        self._payload_type = payload_type
        self._sequence = secrets.randbits(15)  # leaves room before the first wrap, as SRTP wants it
        self._base = secrets.randbits(32)
        self._timestamp = self._base
        self._packets = 0
        self._octets = 0

    def pack(self, payload: bytes, position: int, *, begins: bool) -> bytes:
        """One packet.

        Args:
            payload: an Opus packet
            position: of its first sample, from the stream's start, at 48 kHz
            begins: whether nothing was sent just before it: the marker bit (RFC 7587, 4.1)
        """
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._base + position) & 0xFFFFFFFF
        self._packets += 1
        self._octets += len(payload)
        kind = self._payload_type | (0x80 if begins else 0)
        return _HEADER.pack(0x80, kind, self._sequence, self._timestamp, self.ssrc) + payload

    def sender_info(self, position: int, unix_s: float) -> bytes:
        """The part of a report that ties the stream's `position` to the time of day."""
        ntp = round((unix_s + NTP_EPOCH_S) * 2**32)
        return struct.pack(
            "!QLLL",
            ntp & 0xFFFFFFFFFFFFFFFF,
            (self._base + position) & 0xFFFFFFFF,
            self._packets & 0xFFFFFFFF,
            self._octets & 0xFFFFFFFF,
        )

    @property
    def has_sent(self) -> bool:
        """Whether there is anything to report of."""
        return self._packets > 0


class IncomingStream:
    """Counts what comes, for the reports that the sender adapts to (RFC 3550, appendix A)."""

    __slots__ = (
        "_base",
        "_expected_before",
        "_highest",
        "_jitter",
        "_received",
        "_received_before",
        "_report_at_s",
        "_report_ntp",
        "_transit",
        "ssrc",
    )

    def __init__(self) -> None:
        self._start(None, 0)

    def _start(self, ssrc: int | None, sequence: int) -> None:
        self.ssrc = ssrc
        self._base = self._highest = sequence
        self._received = self._received_before = self._expected_before = 0
        self._jitter = 0.0
        self._transit: int | None = None
        self._report_ntp = 0
        self._report_at_s = 0.0

    def received(self, packet: RtpPacket, now_s: float) -> None:
        """A packet came; one of another source begins the count anew."""
        step = (packet.sequence - self._highest) & 0xFFFF
        is_behind = step >= 0x8000
        jump = 0x10000 - step if is_behind else step
        if packet.ssrc != self.ssrc or jump > _MAX_JUMP:
            self._start(packet.ssrc, packet.sequence)
            step, is_behind = 0, False
        if not is_behind:
            self._highest += step  # counts on past 16 bits
        self._received += 1
        transit = (int(now_s * CLOCK_HZ) - packet.timestamp) & 0xFFFFFFFF
        if self._transit is not None:
            change = (transit - self._transit) & 0xFFFFFFFF
            change = min(change, 0x100000000 - change)
            self._jitter += (change - self._jitter) / 16
        self._transit = transit

    def told(self, ntp: int, now_s: float) -> None:
        """The sender's own report came; `ntp` is the time in it."""
        self._report_ntp = ntp >> 16 & 0xFFFFFFFF
        self._report_at_s = now_s

    @property
    def lost(self) -> int:
        """Packets that are missing so far."""
        return self._highest - self._base + 1 - self._received if self.ssrc is not None else 0

    def report_block(self, now_s: float) -> bytes:
        """Of a report, what became of this stream since the last one; nothing if there is none."""
        if self.ssrc is None:
            return b""
        expected = self._highest - self._base + 1
        lost_now = expected - self._expected_before - (self._received - self._received_before)
        expected_now = expected - self._expected_before
        fraction = min(lost_now * 256 // expected_now, 255) if lost_now > 0 < expected_now else 0
        self._expected_before, self._received_before = expected, self._received
        since = round((now_s - self._report_at_s) * 65536) if self._report_ntp else 0
        lost = max(-0x800000, min(self.lost, 0x7FFFFF)) & 0xFFFFFF
        return _BLOCK.pack(
            self.ssrc,
            fraction << 24 | lost,
            self._highest & 0xFFFFFFFF,
            min(int(self._jitter), 0xFFFFFFFF),
            self._report_ntp,
            max(0, min(since, 0xFFFFFFFF)),
        )


class Reports(NamedTuple):
    """What a compound packet of RTCP told."""

    sender_ntp: int | None
    fraction_lost: float | None
    """Of what we sent, since the report before."""


def write_reports(
    outgoing: OutgoingStream,
    incoming: IncomingStream,
    cname: str,
    *,
    position: int,
    unix_s: float,
    now_s: float,
) -> bytes:
    """A compound packet: our report on both streams, and our name.

    Args:
        outgoing: what we send
        incoming: what we receive
        cname: names our end (RFC 3550, 6.5.1)
        position: of `outgoing` at this moment, in samples at 48 kHz
        unix_s: the time of day
        now_s: the clock that `incoming` goes by
    """
    block = incoming.report_block(now_s)
    info = outgoing.sender_info(position, unix_s) if outgoing.has_sent else b""
    kind = _SENDER_REPORT if info else _RECEIVER_REPORT
    body = struct.pack("!L", outgoing.ssrc) + info + block
    report = struct.pack("!BBH", 0x80 | bool(block), kind, len(body) // 4) + body
    name = struct.pack("!LBB", outgoing.ssrc, 1, len(cname)) + cname.encode() + b"\0"
    name += bytes(-len(name) % 4)
    return report + struct.pack("!BBH", 0x81, _SOURCE_DESCRIPTION, len(name) // 4) + name


def read_reports(packet: bytes, our_ssrc: int) -> Reports:
    """Read a compound packet of RTCP; what is damaged or not for us is passed over."""
    sender_ntp: int | None = None
    fraction_lost: float | None = None
    start = 0
    while start + 8 <= len(packet):
        flags, kind, words = struct.unpack_from("!BBH", packet, start)
        end = start + 4 + 4 * words
        if flags >> 6 != 2 or end > len(packet):
            break
        at = start + 8
        if kind == _SENDER_REPORT and end >= at + 20:
            sender_ntp = struct.unpack_from("!Q", packet, at)[0]
            at += 20
        if kind in (_SENDER_REPORT, _RECEIVER_REPORT):
            for block in range(at, min(at + 24 * (flags & 0x1F), end - 23), 24):
                ssrc, losses = struct.unpack_from("!LL", packet, block)
                if ssrc == our_ssrc:
                    fraction_lost = (losses >> 24) / 256
        start = end
    return Reports(sender_ntp, fraction_lost)
