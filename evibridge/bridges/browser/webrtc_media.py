"""The audio of one connection, encrypted (SRTP, RFC 3711). Time is an argument."""

import pylibsrtp

from evibridge.bridges.browser.webrtc_offer import CNAME
from evibridge.bridges.browser.webrtc_rtp import (
    CLOCK_HZ,
    IncomingStream,
    OutgoingStream,
    RtpPacket,
    is_rtcp,
    read_reports,
    read_rtp,
    write_reports,
)
from evibridge.errors import BadMessage

MAX_SOURCES = 8
"""Streams of a page, each of which takes memory and time; it has one or two."""


class Media:
    """Packets of audio and the reports on them, both ways.

    Args:
        payload_type: of Opus in the session
    """

    def __init__(self, payload_type: int) -> None:
        self._payload_type = payload_type
        self._decrypt: pylibsrtp.Session | None = None
        self._encrypt: pylibsrtp.Session | None = None
        self._outgoing = OutgoingStream(payload_type)
        self._incoming = IncomingStream()
        self._sources: set[bytes] = set()
        self._position, self._position_s = 0, 0.0
        self.heard_s = 0.0
        """When the page sent something last."""
        self.undecryptable = 0
        """Datagrams that looked like media and were not the page's."""
        self.fraction_lost = 0.0
        """Of what we sent, as the page last told."""

    @property
    def ssrc(self) -> int:
        """Of what we send."""
        return self._outgoing.ssrc

    def begin(self, decrypt: pylibsrtp.Session, encrypt: pylibsrtp.Session) -> None:
        """The keys are known."""
        self._decrypt, self._encrypt = decrypt, encrypt

    def end(self) -> None:
        """Take and send nothing any more."""
        self._decrypt = self._encrypt = None

    def received(self, datagram: bytes, now_s: float) -> RtpPacket | None:
        """A datagram came that may be media; returns the packet of Opus in it, if that is there.

        Raises:
            BadMessage: the page sends too many streams
        """
        if self._decrypt is None:
            return None
        is_report = is_rtcp(datagram)
        try:
            unprotect = self._decrypt.unprotect_rtcp if is_report else self._decrypt.unprotect
            plain = unprotect(datagram)
        except (pylibsrtp.Error, ValueError):  # not of this session, repeated, or longer than any
            self.undecryptable += 1
            return None
        self.heard_s = now_s
        self._count_source(plain[4:8] if is_report else plain[8:12])
        if is_report:
            self._reports_came(plain, now_s)
            return None
        packet = read_rtp(plain)
        if packet is None or packet.payload_type != self._payload_type:
            return None
        self._incoming.received(packet, now_s)
        return packet

    def pack(self, payload: bytes, position: int, now_s: float, *, begins: bool) -> bytes | None:
        """A datagram with one packet of Opus; None without keys.

        Args:
            payload: 20 ms of audio
            position: of its first sample on the stream's own line, at 48 kHz
            now_s: the time
            begins: whether silence was before it
        """
        if self._encrypt is None:
            return None
        self._position, self._position_s = position, now_s
        return self._encrypt.protect(self._outgoing.pack(payload, position, begins=begins))

    def report(self, unix_s: float, now_s: float) -> bytes | None:
        """A datagram with our report on both streams; None without keys."""
        if self._encrypt is None:
            return None
        reports = write_reports(
            self._outgoing,
            self._incoming,
            CNAME,
            position=self._position + round((now_s - self._position_s) * CLOCK_HZ),
            unix_s=unix_s,
            now_s=now_s,
        )
        return self._encrypt.protect_rtcp(reports)

    def _count_source(self, ssrc: bytes) -> None:
        """Only what the page has signed is counted: nobody else can use its streams up."""
        if ssrc not in self._sources:
            if len(self._sources) >= MAX_SOURCES:
                raise BadMessage("audio of too many streams")
            self._sources.add(ssrc)

    def _reports_came(self, packet: bytes, now_s: float) -> None:
        reports = read_reports(packet, self._outgoing.ssrc)
        if reports.sender_ntp is not None:
            self._incoming.told(reports.sender_ntp, now_s)
        if reports.fraction_lost is not None:
            self.fraction_lost = reports.fraction_lost
