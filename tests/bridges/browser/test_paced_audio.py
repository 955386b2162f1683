from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges.browser import paced_audio
from evibridge.bridges.browser.paced_audio import AHEAD_S, MAX_HELD_S, PacedAudio
from evibridge.bridges.browser.sent_marks import SentMark

RATE_HZ = 8_000
SECOND = bytes(range(250)) * 64
TENTH = SECOND[:1_600]


AHEAD_BYTES = round(2 * RATE_HZ * AHEAD_S)


def taken(paced: PacedAudio, now_s: float, unsent_bytes: int = 0) -> list[bytes | str]:
    """What is sent, marks by their names."""
    due = paced.take(now_s, unsent_bytes)
    return [each.name if isinstance(each, SentMark) else each for each in due]


def seconds_in(sent: list[bytes | str]) -> float:
    return sum(len(each) for each in sent if isinstance(each, bytes)) / 2 / RATE_HZ


def test_the_beginning_goes_out_at_once_and_the_rest_as_it_is_played() -> None:
    paced = PacedAudio(RATE_HZ)
    assert paced.queue(SECOND) == 1_000
    first = taken(paced, 10.0)
    assert [len(piece) for piece in first] == [1_600] * 4
    assert paced.held_ms == 600
    assert 10.0 < (paced.wake_s or 0.0) <= 10.1

    assert taken(paced, 10.05) == []
    rest = taken(paced, 10.1) + taken(paced, 10.2) + taken(paced, 10.4)
    assert [len(piece) for piece in rest] == [1_600] * 4
    assert taken(paced, 10.7) != []
    assert paced.wake_s is None
    assert paced.held_ms == 0


def test_after_a_silence_the_beginning_goes_out_at_once_again() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(TENTH)
    assert taken(paced, 0.0) == [TENTH]
    paced.queue(SECOND)
    assert round(seconds_in(taken(paced, 100.0)), 3) == AHEAD_S


def test_a_mark_comes_behind_the_audio_before_it() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.mark("at once")
    assert paced.wake_s == 0.0
    assert taken(paced, 0.0) == ["at once"]

    paced.queue(SECOND[:8_000])
    paced.mark("half")
    assert "half" not in taken(paced, 0.0)
    assert taken(paced, 0.1)[-1] == "half"


def test_a_mark_tells_when_the_audio_before_it_can_have_been_played() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(TENTH)
    paced.mark("tenth")
    paced.queue(TENTH)
    paced.mark("fifth")
    marks = [each for each in paced.take(5.0, 0) if isinstance(each, SentMark)]
    assert [(mark.name, round(mark.played_s, 3)) for mark in marks] == [
        ("tenth", 5.1),
        ("fifth", 5.2),
    ]
    paced.mark("behind nothing")
    assert paced.take(9.0, 0) == [SentMark("behind nothing", 9.0)]


def test_a_network_that_takes_nothing_is_given_no_more_audio() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(SECOND)
    assert seconds_in(taken(paced, 0.0)) == AHEAD_S
    for tenths in range(1, 50):
        assert taken(paced, tenths / 10, AHEAD_BYTES + 1) == []
        assert round((paced.wake_s or 0.0) - tenths / 10, 3) == paced_audio.PIECE_S
    assert paced.held_ms == 600
    assert round(paced.blocked_s, 3) == 4.8

    # What it has not taken before is played first: no more than usual is ahead of the ear.
    assert seconds_in(taken(paced, 5.0)) == paced_audio.PIECE_S
    assert paced.blocked_s == 0.0


def test_audio_that_waits_for_a_network_is_later_for_marks_too() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(TENTH)
    paced.mark("late")
    assert paced.take(3.0, AHEAD_BYTES + 1) == []
    (_, mark) = paced.take(3.1, 0)
    assert isinstance(mark, SentMark)
    assert round(mark.played_s, 3) == 3.0 + AHEAD_S + 0.1


def test_crumbs_do_not_make_a_blocked_network_be_looked_at_more_often() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(SECOND[:2])
    assert paced.take(1.0, AHEAD_BYTES + 1) == []
    assert paced.wake_s == 1.0 + paced_audio.PIECE_S


def test_nothing_waits_for_the_network_once_all_is_sent_or_dropped() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(TENTH)
    paced.take(1.0, AHEAD_BYTES + 1)
    paced.take(1.5, AHEAD_BYTES + 1)
    assert paced.blocked_s == 0.5
    paced.clear(1.5)
    assert paced.blocked_s == 0.0

    paced.mark("marks are short")
    assert taken(paced, 60.0, AHEAD_BYTES + 1) == ["marks are short"]
    assert paced.blocked_s == 0.0


def test_what_is_cleared_is_not_sent_and_its_marks_are_returned() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(SECOND)
    paced.mark("one")
    paced.queue(SECOND)
    paced.mark("two")
    taken(paced, 0.0)
    assert paced.clear(0.1) == ["one", "two"]
    assert taken(paced, 0.1) == []
    assert paced.wake_s is None
    assert paced.held_ms == 0

    paced.queue(TENTH)  # the page has nothing left to play either
    assert taken(paced, 0.1) == [TENTH]
    assert paced.clear(0.1) == []


def test_more_than_can_be_held_is_dropped_and_counted() -> None:
    paced = PacedAudio(RATE_HZ)
    for _ in range(int(MAX_HELD_S) - 1):
        assert paced.queue(SECOND) == 1_000
    assert paced.queue(SECOND + TENTH) == 1_000
    assert paced.dropped_ms == 100
    assert paced.queue(TENTH) == 0
    assert paced.dropped_ms == 200
    assert paced.held_ms == MAX_HELD_S * 1000


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=4_000).map(lambda data: data[: len(data) // 2 * 2]),
            st.text(max_size=3),
            st.floats(0, 0.5),
        ),
        max_size=60,
    )
)
def test_everything_comes_once_in_its_order_and_never_far_ahead(
    steps: list[bytes | str | float],
) -> None:
    paced = PacedAudio(RATE_HZ)
    now_s, played_s = 0.0, 0.0
    queued: list[int | str] = []
    sent: list[int | str] = []

    def send() -> None:
        nonlocal played_s
        for each in taken(paced, now_s):
            sent.extend([each] if isinstance(each, str) else each)
            if isinstance(each, bytes):
                assert len(each) <= 2 * RATE_HZ * paced_audio.PIECE_S
                played_s = max(played_s, now_s) + len(each) / 2 / RATE_HZ
        assert played_s - now_s <= AHEAD_S + 0.001

    for step in steps:
        if isinstance(step, bytes):
            paced.queue(step)
            queued.extend(step)
        elif isinstance(step, str):
            paced.mark(step)
            queued.append(step)
        else:
            now_s += step
        send()
    while (wake_s := paced.wake_s) is not None:
        assert wake_s > now_s - 0.001
        now_s = max(now_s, wake_s)
        send()
    assert sent == queued
