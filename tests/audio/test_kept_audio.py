from hypothesis import given
from hypothesis import strategies as st

from evibridge.audio.kept_audio import KeptAudio


def test_what_is_kept_comes_back_in_order_and_only_once() -> None:
    kept = KeptAudio(max_bytes=100)
    kept.add(b"one")
    kept.add(b"two")

    assert kept.take() == [b"one", b"two"]
    assert kept.take() == []
    assert kept.dropped == 0


def test_exactly_as_much_as_allowed_is_kept() -> None:
    kept = KeptAudio(max_bytes=6)
    kept.add(b"one")
    kept.add(b"two")

    assert kept.take() == [b"one", b"two"]


def test_the_oldest_piece_goes_first_and_is_counted() -> None:
    kept = KeptAudio(max_bytes=6)
    for piece in (b"one", b"two", b"six"):
        kept.add(piece)

    assert kept.dropped == 1
    assert kept.take() == [b"two", b"six"]


def test_a_long_piece_makes_room_for_itself() -> None:
    kept = KeptAudio(max_bytes=6)
    for piece in (b"one", b"two", b"three"):
        kept.add(piece)

    assert kept.dropped == 2
    assert kept.take() == [b"three"]


def test_a_piece_that_is_too_long_by_itself_is_not_kept() -> None:
    kept = KeptAudio(max_bytes=6)
    kept.add(b"one")
    kept.add(b"nineteen")

    assert kept.dropped == 2
    assert kept.take() == []


def test_an_empty_piece_is_nothing() -> None:
    kept = KeptAudio(max_bytes=6)
    kept.add(b"")

    assert kept.take() == []


def test_there_is_room_again_after_everything_was_taken() -> None:
    kept = KeptAudio(max_bytes=6)
    kept.add(b"sixsix")
    kept.take()
    kept.add(b"sixsix")

    assert kept.dropped == 0
    assert kept.take() == [b"sixsix"]


@given(st.lists(st.binary(min_size=1, max_size=8)), st.integers(0, 20))
def test_the_newest_pieces_that_fit_are_kept_and_all_others_counted(
    pieces: list[bytes], max_bytes: int
) -> None:
    kept = KeptAudio(max_bytes)
    for piece in pieces:
        kept.add(piece)

    taken = kept.take()

    assert taken == pieces[kept.dropped :]
    assert len(b"".join(taken)) <= max_bytes
    if kept.dropped:
        one_more = pieces[kept.dropped - 1 :]
        assert len(b"".join(one_more)) > max_bytes
