import struct

import pytest
from aiortc.rtcsctptransport import (
    AbortChunk,
    Chunk,
    CookieEchoChunk,
    DataChunk,
    ErrorChunk,
    ForwardTsnChunk,
    HeartbeatAckChunk,
    HeartbeatChunk,
    InitAckChunk,
    InitChunk,
    ReconfigChunk,
    SackChunk,
    parse_packet,
)
from google_crc32c import value as crc32c
from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges.browser.sctp_checks import (
    MAX_AHEAD,
    MAX_STREAMS,
    Association,
    find_fault,
)

RECEIVED, ACKNOWLEDGED, SENT = 7, 2**32 - 3, 6
"""Nine of ours are on their way, and their numbers wrap meanwhile."""
OUTSTANDING = 9
SO_FAR = Association(RECEIVED, ACKNOWLEDGED, SENT)
WITH_PARAMETERS = [
    HeartbeatChunk,
    HeartbeatAckChunk,
    AbortChunk,
    ErrorChunk,
    ReconfigChunk,
    InitChunk,
    InitAckChunk,
]


def packet(*chunks: Chunk | bytes) -> bytes:
    return bytes(12) + b"".join(map(bytes, chunks))


def raw(kind: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack("!BBH", kind, 0, 4 + len(body) if length is None else length) + body


def fault(*chunks: Chunk | bytes, so_far: Association = SO_FAR) -> str:
    return find_fault(packet(*chunks), so_far)


def sack(behind: int, *gaps: tuple[int, int]) -> SackChunk:
    """Acknowledges this many more than before, and some behind these."""
    chunk = SackChunk()
    chunk.cumulative_tsn = (ACKNOWLEDGED + behind) % 2**32
    chunk.gaps = list(gaps)
    return chunk


def data(ahead: int, stream: int = 0) -> DataChunk:
    chunk = DataChunk()
    chunk.tsn, chunk.stream_id, chunk.user_data = (RECEIVED + ahead) % 2**32, stream, b"x"
    return chunk


def forward(ahead: int, *streams: int) -> ForwardTsnChunk:
    chunk = ForwardTsnChunk()
    chunk.cumulative_tsn = (RECEIVED + ahead) % 2**32
    chunk.streams = [(stream, 0) for stream in streams]
    return chunk


@pytest.mark.parametrize("kind", WITH_PARAMETERS)
@pytest.mark.parametrize("sizes", [(), (0,), (5, 0, 3), (1,)])
def test_what_pages_send_has_no_fault(kind: type, sizes: tuple[int, ...]) -> None:
    chunk = kind()
    chunk.params = [(number, bytes(size)) for number, size in enumerate(sizes)]
    assert fault(chunk, data(1), sack(0)) == ""


def test_a_cookie_may_hold_anything() -> None:
    assert fault(CookieEchoChunk(body=b"\0\1\0\0"), raw(77, b"unknown")) == ""


@pytest.mark.parametrize("kind", WITH_PARAMETERS)
@pytest.mark.parametrize("length", [0, 1, 3, 9, 65535])
def test_a_parameter_has_an_end(kind: type[Chunk], length: int) -> None:
    before = bytes(16) if kind in (InitChunk, InitAckChunk) else b""
    good, bad = struct.pack("!HHL", 1, 8, 0), struct.pack("!HHL", 1, length, 0)
    for parameters in (bad, good + bad):
        assert fault(raw(kind.type, before + parameters)) == "a parameter without an end"


@pytest.mark.parametrize("length", [0, 3, 9, 65535])
def test_a_chunk_has_an_end(length: int) -> None:
    assert fault(raw(77, bytes(4), length)) == "a chunk without an end"
    assert fault(data(1), raw(77, bytes(4), length)) == "a chunk without an end"


@pytest.mark.parametrize("size", [0, 12, 15])
def test_a_packet_has_a_chunk(size: int) -> None:
    assert find_fault(bytes(size), SO_FAR) == "a packet without a chunk"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (0, b""),
        (0, bytes(12)),
        (1, bytes(15)),
        (2, b""),
        (3, b""),
        (3, bytes(11)),
        (3, bytes(8) + b"\0\1\0\0"),
        (3, bytes(8) + b"\0\0\0\1"),
        (3, bytes(8) + b"\xff\xff\xff\xff" + bytes(64)),
        (192, b""),
        (192, bytes(6)),
    ],
)
def test_a_chunk_has_what_belongs_to_it(kind: int, body: bytes) -> None:
    assert fault(raw(kind, body)) == "a damaged chunk"


@pytest.mark.parametrize(
    "good",
    [
        sack(0),
        sack(OUTSTANDING),
        sack(0, (2, 4), (6, 9)),
        sack(0, (6, 9), (2, 4)),
        sack(4, (2, 5)),
        sack(-1),
        sack(-1, (2, 60_000)),
        sack(-(2**31) + 1),
    ],
)
def test_what_was_sent_may_be_acknowledged(good: SackChunk) -> None:
    assert fault(good) == ""


@pytest.mark.parametrize(
    "bad",
    [
        sack(OUTSTANDING + 1),
        sack(2**31),
        sack(0, (2, OUTSTANDING + 1)),
        sack(5, (2, 5)),
        sack(0, (2, 3), (60_000, 65_535)),
    ],
)
def test_what_was_not_sent_cannot_be_acknowledged(bad: SackChunk) -> None:
    assert fault(bad) == "an acknowledgement of what was not sent"


@pytest.mark.parametrize("gaps", [((0, 2),), ((4, 3),), ((2, 4), (4, 5)), ((2, 8), (3, 5))])
def test_nothing_is_acknowledged_twice(gaps: tuple[tuple[int, int], ...]) -> None:
    assert fault(sack(0, *gaps)) == "an acknowledgement that makes no sense"


@pytest.mark.parametrize("ahead", [0, 1, MAX_AHEAD, -1, -(2**31) + 1])
def test_packets_may_be_late_or_a_little_ahead(ahead: int) -> None:
    assert fault(data(ahead, MAX_STREAMS - 1), forward(ahead, 0, MAX_STREAMS - 1)) == ""


@pytest.mark.parametrize("ahead", [MAX_AHEAD + 1, 2**30, 2**31])
def test_packets_are_never_far_ahead(ahead: int) -> None:
    assert fault(data(ahead)) == "data far ahead"
    assert fault(forward(ahead)) == "data far ahead"


def test_there_are_few_data_channels() -> None:
    nowhere = "a data channel that is not there"
    assert fault(data(1, MAX_STREAMS)) == nowhere
    assert fault(forward(1, 0, MAX_STREAMS)) == nowhere
    assert fault(forward(1, *[0] * (MAX_STREAMS + 1))) == nowhere


def test_data_follows_its_association() -> None:
    new = Association(None, 4, 4)
    assert fault(InitChunk(), so_far=new) == ""
    assert fault(data(1), so_far=new) == "data before its association"
    assert fault(forward(1), so_far=new) == "data before its association"


KINDS = st.sampled_from([0, 1, 2, 3, 4, 5, 6, 9, 10, 130, 192, 193])
CHUNKS = st.builds(raw, KINDS, st.binary(max_size=60), st.none() | st.integers(0, 70))


@given(st.lists(CHUNKS).map(b"".join) | st.binary())
def test_what_has_no_fault_is_read_to_its_end(chunks: bytes) -> None:
    if find_fault(bytes(12) + chunks, SO_FAR):
        return
    header = struct.pack("!HHL", 5000, 5000, 1)
    checksum = struct.pack("<L", crc32c(header + bytes(4) + chunks))
    _, _, _, read = parse_packet(header + checksum + chunks)
    for chunk in read:
        if isinstance(chunk, SackChunk) and (chunk.cumulative_tsn - ACKNOWLEDGED) % 2**32 < 2**31:
            assert sum(end - first + 1 for first, end in chunk.gaps) <= OUTSTANDING
