"""Both ends of a connection's audio, over a wire that a test holds."""

import struct
from os import urandom

import pylibsrtp
import pytest
from pylibsrtp import Policy, Session

from evibridge.bridges.browser.webrtc_media import MAX_SOURCES, Media
from evibridge.errors import BadMessage

PT = 111


def session(key: bytes, direction: int) -> Session:
    profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
    return Session(Policy(key=key, ssrc_type=direction, srtp_profile=profile))


class Page:
    """The other end: sends anything."""

    def __init__(self, key: bytes) -> None:
        self._session = session(key, Policy.SSRC_ANY_OUTBOUND)

    def rtp(self, ssrc: int, sequence: int = 1, kind: int = PT) -> bytes:
        header = struct.pack("!BBHLL", 0x80, kind, sequence, sequence * 960, ssrc)
        return self._session.protect(header + b"opus")

    def rtcp(self, ssrc: int) -> bytes:
        return self._session.protect_rtcp(struct.pack("!BBHL", 0x80, 201, 1, ssrc))

    def report(self, ssrc: int, ntp: int, reported: int) -> bytes:
        """Of a sender who has lost a half of the stream `reported`."""
        head = struct.pack("!BBHLQLLL", 0x81, 200, 12, ssrc, ntp, 0, 1, 4)
        losses = struct.pack("!LLLLLL", reported, 128 << 24, 0, 0, 0, 0)
        return self._session.protect_rtcp(head + losses)


@pytest.fixture
def page_and_media() -> tuple[Page, Media]:
    key, own_key = urandom(28), urandom(28)
    media = Media(PT)
    media.begin(session(key, Policy.SSRC_ANY_INBOUND), session(own_key, Policy.SSRC_ANY_OUTBOUND))
    return Page(key), media


def test_a_packet_of_opus_is_decrypted(page_and_media: tuple[Page, Media]) -> None:
    page, media = page_and_media
    packet = media.received(page.rtp(5, 9), 10.0)
    assert packet is not None
    assert (packet.ssrc, packet.sequence, packet.payload) == (5, 9, b"opus")
    assert media.heard_s == 10.0


def test_what_is_no_opus_is_heard_but_not_handed_on(page_and_media: tuple[Page, Media]) -> None:
    page, media = page_and_media
    assert media.received(page.rtp(5, kind=63), 10.0) is None
    assert media.received(page.rtcp(5), 11.0) is None
    assert (media.heard_s, media.undecryptable) == (11.0, 0)


def test_what_strangers_send_is_only_counted(page_and_media: tuple[Page, Media]) -> None:
    page, media = page_and_media
    good = page.rtp(5)
    media.received(good, 10.0)
    other = Page(urandom(28))
    for number in range(MAX_SOURCES + 5):
        for strange in (other.rtp(number), other.rtcp(number), good, b"\x80", bytes(5000)):
            assert media.received(strange, 20.0) is None
    assert media.heard_s == 10.0
    assert media.undecryptable == 5 * (MAX_SOURCES + 5)
    assert media.received(page.rtp(6), 20.0) is not None, "strangers use no stream up"


def test_reports_are_read(page_and_media: tuple[Page, Media]) -> None:
    page, media = page_and_media
    media.received(page.report(5, 0x1234567890ABCDEF, media.ssrc), 10.0)
    assert media.fraction_lost == 0.5
    media.received(page.report(5, 0, media.ssrc + 1), 11.0)
    assert media.fraction_lost == 0.5, "that was about another stream"


@pytest.mark.parametrize("by_report", [False, True])
def test_a_page_has_few_streams(page_and_media: tuple[Page, Media], by_report: bool) -> None:
    page, media = page_and_media
    for ssrc in range(MAX_SOURCES):
        media.received(page.rtcp(ssrc) if ssrc % 2 else page.rtp(ssrc, kind=99), 10.0)
    media.received(page.rtp(1, 2), 10.0)
    with pytest.raises(BadMessage, match="too many streams"):
        media.received(page.rtcp(MAX_SOURCES) if by_report else page.rtp(MAX_SOURCES), 10.0)


def test_without_keys_nothing_is_taken_or_sent(page_and_media: tuple[Page, Media]) -> None:
    page, media = page_and_media
    assert media.pack(b"opus", 0, 10.0, begins=True) is not None
    assert media.report(1000.0, 10.0) is not None
    media.end()
    assert media.received(page.rtp(5), 10.0) is None
    assert media.pack(b"opus", 0, 10.0, begins=True) is None
    assert media.report(1000.0, 10.0) is None


def test_the_other_end_reads_what_is_packed() -> None:
    key = urandom(28)
    media = Media(PT)
    media.begin(
        session(urandom(28), Policy.SSRC_ANY_INBOUND), session(key, Policy.SSRC_ANY_OUTBOUND)
    )
    reader = session(key, Policy.SSRC_ANY_INBOUND)
    datagram, report = media.pack(b"opus", 960, 10.0, begins=True), media.report(1000.0, 10.5)
    assert datagram is not None
    assert report is not None
    assert reader.unprotect(datagram)[8:] == struct.pack("!L", media.ssrc) + b"opus"
    assert reader.unprotect_rtcp(report)[4:8] == struct.pack("!L", media.ssrc)
    with pytest.raises(pylibsrtp.Error):
        reader.unprotect(datagram[:-1] + b"x")
