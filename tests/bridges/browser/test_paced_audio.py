from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges.browser import paced_audio
from evibridge.bridges.browser.paced_audio import AHEAD_S, MAX_HELD_S, PacedAudio

RATE_HZ = 8_000
SECOND = bytes(range(250)) * 64
TENTH = SECOND[:1_600]


def seconds_in(sent: list[bytes | str]) -> float:
    return sum(len(each) for each in sent if isinstance(each, bytes)) / 2 / RATE_HZ


def test_the_beginning_goes_out_at_once_and_the_rest_as_it_is_played() -> None:
    paced = PacedAudio(RATE_HZ)
    assert paced.queue(SECOND) == 1_000
    first = paced.take(10.0)
    assert [len(piece) for piece in first] == [1_600] * 4
    assert paced.held_ms == 600
    assert 10.0 < (paced.wake_s or 0.0) <= 10.1

    assert paced.take(10.05) == []
    rest = paced.take(10.1) + paced.take(10.2) + paced.take(10.4)
    assert [len(piece) for piece in rest] == [1_600] * 4
    assert paced.take(10.7) != []
    assert paced.wake_s is None
    assert paced.held_ms == 0


def test_after_a_silence_the_beginning_goes_out_at_once_again() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(TENTH)
    assert paced.take(0.0) == [TENTH]
    paced.queue(SECOND)
    assert round(seconds_in(paced.take(100.0)), 3) == AHEAD_S


def test_a_mark_comes_behind_the_audio_before_it() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.mark("at once")
    assert paced.wake_s == 0.0
    assert paced.take(0.0) == ["at once"]

    paced.queue(SECOND[:8_000])
    paced.mark("half")
    assert "half" not in paced.take(0.0)
    assert paced.take(0.1)[-1] == "half"


def test_what_is_cleared_is_not_sent_and_its_marks_are_returned() -> None:
    paced = PacedAudio(RATE_HZ)
    paced.queue(SECOND)
    paced.mark("one")
    paced.queue(SECOND)
    paced.mark("two")
    paced.take(0.0)
    assert paced.clear(0.1) == ["one", "two"]
    assert paced.take(0.1) == []
    assert paced.wake_s is None
    assert paced.held_ms == 0

    paced.queue(TENTH)  # the page has nothing left to play either
    assert paced.take(0.1) == [TENTH]
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
        for each in paced.take(now_s):
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
