from hypothesis import given
from hypothesis import strategies as st

from evibridge.audio.framing import Framer


def test_a_chunk_of_frame_length_is_a_frame() -> None:
    framer = Framer(4)

    assert framer.push(b"abcd") == [b"abcd"]


def test_an_incomplete_frame_waits_for_the_next_chunk() -> None:
    framer = Framer(4)

    assert framer.push(b"ab") == []
    assert framer.push(b"cdef") == [b"abcd"]
    assert framer.push(b"gh") == [b"efgh"]


@given(st.lists(st.binary(max_size=50)), st.integers(1, 16))
def test_nothing_is_lost_or_reordered(chunks: list[bytes], frame_bytes: int) -> None:
    framer = Framer(frame_bytes)

    frames = [frame for chunk in chunks for frame in framer.push(chunk)]

    assert all(len(frame) == frame_bytes for frame in frames)
    stream = b"".join(chunks)
    assert b"".join(frames) == stream[: len(stream) - len(stream) % frame_bytes]
