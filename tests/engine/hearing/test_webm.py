from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.hearing.opus import OpusHead
from evibridge.engine.hearing.webm import MAX_ELEMENT_BYTES, MAX_ELEMENTS_AT_ONCE, WebmReader
from evibridge.errors import BadAudio
from tests.engine.recorded import chromium_webm, firefox_webm

EBML, SEGMENT, CLUSTER, VOID, CUES, TAGS = (
    "1a45dfa3",
    "18538067",
    "1f43b675",
    "ec",
    "1c53bb6b",
    "1254c367",
)
TRACKS, ENTRY, NUMBER, CODEC, PRIVATE, ENCODINGS = "1654ae6b", "ae", "d7", "86", "63a2", "6d80"
TIME, GROUP, BLOCK, SIMPLE = "e7", "a0", "a1", "a3"
UNKNOWN = b"\x01" + b"\xff" * 7
OPUS_HEAD = b"OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00"


def element(name: str, *values: bytes) -> bytes:
    value = b"".join(values)
    return bytes.fromhex(name) + (1 << 56 | len(value)).to_bytes(8, "big") + value


def endless(name: str) -> bytes:
    return bytes.fromhex(name) + UNKNOWN


def opus_track(*more: bytes, codec: bytes = b"A_OPUS") -> bytes:
    return element(
        ENTRY,
        element(NUMBER, b"\x01"),
        element(CODEC, codec),
        element(PRIVATE, OPUS_HEAD),
        *more,
    )


def block(packet: bytes, *, track: bytes = b"\x81", flags: int = 0x80) -> bytes:
    return track + b"\x00\x07" + bytes([flags]) + packet


BEGINNING = element(EBML) + endless(SEGMENT) + element(TRACKS, opus_track()) + endless(CLUSTER)


def read(*pieces: bytes) -> list[OpusHead | bytes]:
    reader = WebmReader()
    return [item for piece in pieces for item in reader.feed(piece)]


@pytest.mark.parametrize(
    ("recording", "head", "packets"),
    [
        (chromium_webm(), OpusHead(channels=2, pre_skip=0), 15),
        (firefox_webm(), OpusHead(channels=1, pre_skip=312), 46),
    ],
)
def test_what_browsers_record_is_read(recording: list[bytes], head: OpusHead, packets: int) -> None:
    first, *rest = read(*recording)

    assert first == head
    assert len(rest) == packets


@given(st.lists(st.integers(0, 2587)))
def test_a_stream_may_be_cut_anywhere(cuts: list[int]) -> None:
    stream = b"".join(chromium_webm())
    ends = sorted([0, *cuts, len(stream)])
    pieces = [stream[begin:end] for begin, end in pairwise(ends)]

    assert read(*pieces) == read(stream)


def test_a_stream_may_come_a_byte_at_a_time() -> None:
    stream = b"".join(firefox_webm())

    assert read(*(stream[i : i + 1] for i in range(len(stream)))) == read(stream)


def test_what_is_not_audio_is_passed_over() -> None:
    stream = (
        BEGINNING
        + element(TIME, b"\x00")
        + element(SIMPLE, block(b"one"))
        + element(VOID, bytes(5000))
        + element(GROUP, element(BLOCK, block(b"two")), element("75a2", b"\x01"))
        + element(CUES, element("bb", b""))
        + endless(CLUSTER)
        + element(SIMPLE, block(b"three"))
        + element(TAGS)
    )

    assert read(stream)[1:] == [b"one", b"two", b"three"]


def test_outer_elements_of_known_size_are_read_as_well() -> None:
    cluster = element(CLUSTER, element(SIMPLE, block(b"one")), element(SIMPLE, block(b"two")))

    stream = element(EBML) + element(SEGMENT, element(TRACKS, opus_track()), cluster, cluster)

    assert read(stream)[1:] == [b"one", b"two"] * 2


def test_a_recording_may_follow_another() -> None:
    recording = BEGINNING + element(SIMPLE, block(b"one"))

    assert read(recording, recording) == [OpusHead(1, 312), b"one"] * 2


def test_a_restarted_recording_needs_its_own_tracks() -> None:
    with pytest.raises(BadAudio, match="no known track"):
        read(BEGINNING, element(EBML), element(SIMPLE, block(b"one")))


def test_a_codec_name_may_be_padded() -> None:
    assert read(element(TRACKS, opus_track(codec=b"A_OPUS\0\0"))) == [OpusHead(1, 312)]


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        ([], "this one has 0"),
        ([opus_track(), element(ENTRY, element(CODEC, b"V_VP8"))], "this one has 2"),
        ([element(ENTRY, element(CODEC, b"V_VP8"))], "not 'V_VP8'"),
        ([opus_track(codec=b"A_VORBIS")], "codec A_OPUS.*not 'A_VORBIS'"),
        ([element(ENTRY)], "not ''"),
        ([opus_track(element(ENCODINGS))], "without compression"),
        ([element(ENTRY, element(CODEC, b"A_OPUS"))], "OpusHead"),
    ],
)
def test_anything_but_one_opus_track_is_refused_with_what_to_send(
    tracks: list[bytes], reason: str
) -> None:
    with pytest.raises(BadAudio, match=reason):
        read(element(TRACKS, *tracks))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (element(SIMPLE), "too short"),
        (element(SIMPLE, b"\x81\x00\x00"), "too short"),
        (element(SIMPLE, b"\x00" * 9), "too short"),
        (element(SIMPLE, block(b"one", track=b"\x82")), "no known track"),
        (element(SIMPLE, block(b"one", flags=0x82)), "lacing"),
        (element(SIMPLE, block(b"one", flags=0x86)), "lacing"),
        (b"\x0f", "no valid name"),
        (b"\xec\x00", "no valid size"),
        (endless(VOID), "no end"),
        (b"\xec\xff", "no end"),
        (b"\xec" + (1 << 56 | MAX_ELEMENT_BYTES + 1).to_bytes(8, "big"), "no end"),
    ],
)
def test_damage_is_told(data: bytes, reason: str) -> None:
    with pytest.raises(BadAudio, match=reason):
        read(BEGINNING, data)


def test_a_track_may_have_a_long_number() -> None:
    track = element(
        ENTRY,
        element(NUMBER, b"\x01\x00"),
        element(CODEC, b"A_OPUS"),
        element(PRIVATE, OPUS_HEAD),
    )

    packets = read(element(TRACKS, track) + element(SIMPLE, block(b"one", track=b"\x41\x00")))

    assert packets[1:] == [b"one"]


def test_endless_small_elements_are_refused_early() -> None:
    void = b"\xec\x80"
    assert read(void * MAX_ELEMENTS_AT_ONCE, void) == []

    with pytest.raises(BadAudio, match="at once"):
        read(void * (MAX_ELEMENTS_AT_ONCE + 1))


@given(
    st.lists(st.tuples(st.integers(0, 2586), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 2587),
)
def test_damaged_bytes_raise_nothing_but_bad_audio(damage: list[tuple[int, int]], cut: int) -> None:
    stream = bytearray(b"".join(chromium_webm()))
    for at, octet in damage:
        stream[at] = octet
    try:
        items = read(bytes(stream[:cut]), bytes(stream[cut:]))
    except BadAudio:
        return
    assert sum(len(item) for item in items if isinstance(item, bytes)) < len(stream)


@given(st.lists(st.binary(max_size=40) | st.just(BEGINNING) | st.just(element(SIMPLE))))
def test_rubbish_raises_nothing_but_bad_audio(pieces: list[bytes]) -> None:
    try:
        items = read(*pieces)
    except BadAudio:
        return
    assert all(isinstance(item, bytes | OpusHead) for item in items)
