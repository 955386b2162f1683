import struct
from itertools import pairwise

import pytest
from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket
from aiortc.rtp import RtpPacket as AiortcPacket
from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges.browser.webrtc_rtp import (
    IncomingStream,
    OutgoingStream,
    RtpPacket,
    is_rtcp,
    read_reports,
    read_rtp,
    write_reports,
)


def packet(sequence: int, timestamp: int | None = None, ssrc: int = 5) -> RtpPacket:
    position = sequence * 960 if timestamp is None else timestamp
    return RtpPacket(111, sequence & 0xFFFF, position & 0xFFFFFFFF, ssrc, b"opus")


def reports(outgoing: OutgoingStream, incoming: IncomingStream, now_s: float = 10.0) -> bytes:
    return write_reports(outgoing, incoming, "me", position=0, unix_s=1000.5, now_s=now_s)


def block(incoming: IncomingStream, now_s: float = 10.0) -> RtcpReceiverInfo:
    report, _ = RtcpPacket.parse(reports(OutgoingStream(111), incoming, now_s))
    assert isinstance(report, RtcpRrPacket)
    (info,) = report.reports
    return info


# Packets


def test_what_is_packed_is_read_by_others() -> None:
    stream = OutgoingStream(111)
    first = AiortcPacket.parse(stream.pack(b"one", 0, begins=True))
    second = AiortcPacket.parse(stream.pack(b"two", 2880, begins=False))
    assert (first.payload_type, first.payload, first.marker) == (111, b"one", 1)
    assert (second.payload_type, second.payload, second.marker) == (111, b"two", 0)
    assert first.ssrc == second.ssrc == stream.ssrc
    assert second.sequence_number == first.sequence_number + 1
    assert (second.timestamp - first.timestamp) & 0xFFFFFFFF == 2880


def test_sequence_and_timestamp_wrap() -> None:
    stream = OutgoingStream(111)
    numbers = [
        AiortcPacket.parse(stream.pack(b"", n * 2**20, begins=False)) for n in range(2**16 + 1)
    ]
    assert numbers[0].sequence_number == numbers[-1].sequence_number
    steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(numbers)}
    assert steps == {2**20}


def test_a_packet_is_taken_apart() -> None:
    made = AiortcPacket(
        payload_type=111, marker=1, sequence_number=7, timestamp=9, ssrc=3, payload=b"opus"
    )
    assert read_rtp(made.serialize()) == RtpPacket(111, 7, 9, 3, b"opus")


def test_sources_extensions_and_padding_are_left_out() -> None:
    raw = bytes([0x80 | 0x30 | 2]) + bytes([111]) + struct.pack("!HLL", 7, 9, 3)
    raw += bytes(8) + struct.pack("!HH", 0xBEDE, 1) + b"exts" + b"opus" + b"\0\0\3"
    assert read_rtp(raw) == RtpPacket(111, 7, 9, 3, b"opus")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        bytes(12),
        b"\x80" + bytes(10),
        b"\x8f" + bytes(11),
        b"\x90" + bytes(13),
        b"\x90" + bytes(13) + b"\xff\xff",
        b"\xa0" + bytes(11) + b"\xff",
    ],
)
def test_a_damaged_packet_is_none(raw: bytes) -> None:
    assert read_rtp(raw) is None


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_none(raw: bytes) -> None:
    read = read_rtp(raw)
    assert read is None or read.payload in raw


def test_rtcp_is_told_from_rtp() -> None:
    outgoing = OutgoingStream(111)
    assert is_rtcp(reports(outgoing, IncomingStream()))
    assert not is_rtcp(outgoing.pack(b"opus", 0, begins=True))
    assert not is_rtcp(b"\x80")


# Reports on what we receive


def test_before_anything_came_there_is_nothing_to_report() -> None:
    outgoing = OutgoingStream(111)
    report, name = RtcpPacket.parse(reports(outgoing, IncomingStream()))
    assert isinstance(report, RtcpRrPacket)
    assert (report.ssrc, report.reports) == (outgoing.ssrc, [])
    assert isinstance(name, RtcpSdesPacket)
    assert name.chunks[0].items == [(1, b"me")]
    assert IncomingStream().lost == 0


def test_lost_packets_are_reported_once_as_a_share_and_always_in_sum() -> None:
    incoming = IncomingStream()
    for sequence in (1, 2, 4, 5, 6, 8, 9, 10):
        incoming.received(packet(sequence), sequence / 50)
    first = block(incoming)
    assert (first.ssrc, first.highest_sequence) == (5, 10)
    assert (first.packets_lost, first.fraction_lost) == (2, 256 * 2 // 10)
    assert incoming.lost == 2
    incoming.received(packet(11), 1.0)
    second = block(incoming)
    assert (second.packets_lost, second.fraction_lost) == (2, 0)


def test_a_packet_that_was_overtaken_is_not_lost() -> None:
    incoming = IncomingStream()
    for sequence in (1, 3, 2, 4):
        incoming.received(packet(sequence), sequence / 50)
    assert block(incoming).packets_lost == 0


def test_packets_that_came_twice_make_the_sum_negative() -> None:
    incoming = IncomingStream()
    for sequence in (1, 1, 1):
        incoming.received(packet(sequence), 0.0)
    assert block(incoming).packets_lost == -2


def test_the_highest_sequence_counts_on_past_16_bits() -> None:
    incoming = IncomingStream()
    for sequence in (65_534, 65_535, 65_536, 65_537):
        incoming.received(packet(sequence), sequence / 50)
    assert block(incoming).highest_sequence == 65_537
    assert incoming.lost == 0


def test_jitter_is_that_of_the_arrival() -> None:
    steady, shaky = IncomingStream(), IncomingStream()
    for sequence in range(200):
        steady.received(packet(sequence), sequence / 50)
        shaky.received(packet(sequence), sequence / 50 + (0.01 if sequence % 2 else 0))
    assert block(steady).jitter <= 1
    assert block(shaky).jitter == pytest.approx(480, abs=5)


@pytest.mark.parametrize("other", [packet(1, ssrc=6), packet(20_000), packet(40_000)])
def test_another_stream_begins_the_count_anew(other: RtpPacket) -> None:
    incoming = IncomingStream()
    for sequence in (1, 5):
        incoming.received(packet(sequence), 0.0)
    incoming.received(other, 0.0)
    assert (incoming.lost, incoming.ssrc) == (0, other.ssrc)


def test_the_senders_report_comes_back_with_the_time_since_it() -> None:
    incoming = IncomingStream()
    incoming.received(packet(1), 0.0)
    incoming.told(0x1122334455667788, 9.5)
    info = block(incoming, now_s=10.0)
    assert (info.lsr, info.dlsr) == (0x33445566, 32_768)


# Reports on what we send


def test_a_sender_tells_how_much_it_has_sent_and_when() -> None:
    outgoing, incoming = OutgoingStream(111), IncomingStream()
    sent = AiortcPacket.parse(outgoing.pack(b"opus", 960, begins=True))
    incoming.received(packet(1), 0.0)
    raw = write_reports(outgoing, incoming, "me", position=1440, unix_s=1000.5, now_s=10.0)
    report, _ = RtcpPacket.parse(raw)
    assert isinstance(report, RtcpSrPacket)
    info = report.sender_info
    assert (info.packet_count, info.octet_count) == (1, 4)
    assert (info.rtp_timestamp - sent.timestamp) & 0xFFFFFFFF == 480
    assert info.ntp_timestamp == round((1000.5 + 2_208_988_800) * 2**32)
    assert len(report.reports) == 1


def test_what_the_page_reports_is_read() -> None:
    ours = OutgoingStream(111)
    ours.pack(b"opus", 0, begins=True)
    theirs = OutgoingStream(111)
    theirs.pack(b"opus", 0, begins=True)
    came = IncomingStream()
    for sequence in (1, 2, 4, 5):
        came.received(packet(sequence, ssrc=ours.ssrc), 0.0)
    told = read_reports(reports(theirs, came), ours.ssrc)
    assert told.fraction_lost == pytest.approx(1 / 5, abs=0.01)
    assert told.sender_ntp == round((1000.5 + 2_208_988_800) * 2**32)


def test_a_receivers_report_has_no_time() -> None:
    told = read_reports(reports(OutgoingStream(111), IncomingStream()), 1)
    assert told == (None, None)


def test_reports_on_other_streams_are_passed_over() -> None:
    came = IncomingStream()
    came.received(packet(1, ssrc=9), 0.0)
    assert read_reports(reports(OutgoingStream(111), came), 8).fraction_lost is None


@given(st.binary(max_size=80))
def test_any_bytes_are_read_as_reports(raw: bytes) -> None:
    read_reports(raw, 1)
    read_reports(b"\x81\xc8" + raw, 1)
    read_reports(b"\x81\xc9\x00\x07" + raw, 1)
