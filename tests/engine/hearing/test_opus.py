import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.hearing.opus import OpusDecoder, OpusHead, packet_samples, parse_head
from evibridge.errors import BadAudio

HEAD = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00"


def test_a_head_tells_the_channels_and_what_to_skip() -> None:
    assert parse_head(HEAD) == OpusHead(channels=2, pre_skip=312)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (HEAD[:18], "missing or damaged"),
        (b"OpusTags" + HEAD[8:], "missing or damaged"),
        (HEAD[:8] + b"\x10" + HEAD[9:], "missing or damaged"),
        (HEAD[:9] + b"\x00" + HEAD[10:], "one channel or two"),
        (HEAD[:9] + b"\x03" + HEAD[10:], "one channel or two"),
        (HEAD[:18] + b"\x01", "one channel or two"),
    ],
)
def test_a_head_that_cannot_be_followed_is_refused(head: bytes, reason: str) -> None:
    with pytest.raises(BadAudio, match=reason):
        parse_head(head)


@pytest.mark.parametrize(
    ("config", "duration_ms"),
    [
        *[(0, 10), (1, 20), (2, 40), (3, 60), (11, 60)],
        *[(12, 10), (13, 20), (14, 10), (15, 20)],
        *[(16, 2.5), (17, 5), (18, 10), (19, 20), (31, 20)],
    ],
)
def test_the_first_byte_of_a_packet_tells_the_length_of_its_frames(
    config: int, duration_ms: float
) -> None:
    assert packet_samples(bytes([config << 3, 0])) == duration_ms * 16


@pytest.mark.parametrize(
    ("packet", "frames"), [(b"\x08", 1), (b"\x09", 2), (b"\x0a", 2), (b"\x0b\x06", 6)]
)
def test_a_packet_tells_how_many_frames_it_holds(packet: bytes, frames: int) -> None:
    assert packet_samples(packet) == frames * 20 * 16


@pytest.mark.parametrize("packet", [b"", b"\x0b", b"\x0b\x00", b"\x0b\x07"])
def test_a_packet_of_no_valid_length_is_refused(packet: bytes) -> None:
    with pytest.raises(BadAudio):
        packet_samples(packet)


def test_the_skipped_beginning_may_be_longer_than_a_packet() -> None:
    whole = OpusDecoder(OpusHead(1, 0))
    skipping = OpusDecoder(OpusHead(1, 3 * 400))
    packets = [b"\x08"] * 3  # frames without content, 320 samples each

    assert [len(whole.decode(packet)) for packet in packets] == [640, 640, 640]
    assert [len(skipping.decode(packet)) for packet in packets] == [0, 480, 640]


def test_a_packet_that_libopus_refuses_is_bad_audio() -> None:
    with pytest.raises(BadAudio, match="damaged"):
        OpusDecoder(OpusHead(1, 0)).decode(b"\x0a\xfb")


@given(st.binary(max_size=80))
def test_any_packet_gives_its_length_of_sound_or_bad_audio(packet: bytes) -> None:
    try:
        pcm16 = OpusDecoder(OpusHead(2, 0)).decode(packet)
    except BadAudio:
        return
    assert len(pcm16) == 2 * packet_samples(packet)


def test_without_a_decoder_the_fault_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opuslib_next", None)

    with pytest.raises(BadAudio, match="opuslib-next-bundled"):
        OpusDecoder(OpusHead(1, 0))
