from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.hearing.ogg import MAX_PAGES_AT_ONCE, OggReader
from evibridge.engine.hearing.opus import MAX_PACKET_BYTES, OpusHead
from evibridge.errors import BadAudio
from tests.engine.recorded import firefox_ogg

FIRST, CONTINUED = 0x02, 0x01
OPUS_HEAD = b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"


def page(*segments: bytes, flags: int = 0, serial: bytes = b"mine") -> bytes:
    """A page whose segments are given: a packet of 255 bytes or more takes several."""
    sizes = bytes(map(len, segments))
    head = b"OggS\0" + bytes([flags]) + bytes(8) + serial + bytes(8) + bytes([len(sizes)])
    return head + sizes + b"".join(segments)


BEGINNING = page(OPUS_HEAD, flags=FIRST) + page(b"OpusTags")


def read(*pieces: bytes) -> list[OpusHead | bytes]:
    reader = OggReader()
    return [item for piece in pieces for item in reader.feed(piece)]


def test_what_firefox_records_is_read() -> None:
    head, *packets = read(*firefox_ogg())

    assert head == OpusHead(channels=1, pre_skip=312)
    assert len(packets) == 46


@given(st.lists(st.integers(0, 2300)))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    stream = b"".join(firefox_ogg())
    ends = sorted([0, *cuts, len(stream)])
    pieces = [stream[begin:end] for begin, end in pairwise(ends)]

    assert read(*pieces) == read(stream)


def test_a_packet_may_fill_several_segments_and_pages() -> None:
    full = b"x" * 255

    packets = read(
        BEGINNING
        + page(b"one", full, b"two", full)
        + page(full, flags=CONTINUED)
        + page(b"three", b"four", full, b"", flags=CONTINUED)
    )

    assert packets[1:] == [b"one", full + b"two", full + full + b"three", b"four", full]


def test_a_packet_whose_rest_is_missing_is_dropped() -> None:
    assert read(BEGINNING, page(b"x" * 255), page(b"one"))[1:] == [b"one"]


def test_a_recording_may_follow_another() -> None:
    second = page(OPUS_HEAD, flags=FIRST, serial=b"next") + page(b"OpusTags", serial=b"next")

    packets = read(BEGINNING, page(b"one"), second, page(b"two", serial=b"next"))

    assert packets == [OpusHead(1, 312), b"one", OpusHead(1, 312), b"two"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (page(b"one", serial=b"else"), "one stream"),
        (b"x" * 27, "does not begin with OggS"),
        (page(b"vorbis", flags=FIRST), "OpusHead"),
    ],
)
def test_anything_but_one_opus_stream_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BadAudio, match=reason):
        read(BEGINNING, data)


def test_a_packet_without_end_is_given_up() -> None:
    full = page(*[b"x" * 255] * 255, flags=CONTINUED)
    assert len(full) > MAX_PACKET_BYTES

    with pytest.raises(BadAudio, match="no end"):
        read(BEGINNING, full)


def test_endless_empty_pages_are_refused_early() -> None:
    assert read(BEGINNING, page() * MAX_PAGES_AT_ONCE) == [OpusHead(1, 312)]

    with pytest.raises(BadAudio, match="at once"):
        read(BEGINNING, page() * (MAX_PAGES_AT_ONCE + 1))


@given(
    st.lists(st.tuples(st.integers(0, 2299), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 2300),
)
def test_damaged_bytes_raise_nothing_but_bad_audio(damage: list[tuple[int, int]], cut: int) -> None:
    stream = bytearray(b"".join(firefox_ogg()))
    for at, octet in damage:
        stream[at] = octet
    try:
        items = read(bytes(stream[:cut]), bytes(stream[cut:]))
    except BadAudio:
        return
    assert sum(len(item) for item in items if isinstance(item, bytes)) < len(stream)
