import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.audio.opus import packet_ms
from evibridge.bridges.browser.call_audio import BURST_S, QUIET_S, RATE_HZ, REAL_TIME
from evibridge.bridges.browser.webrtc_caller_voice import LEAST_PACKET_MS, PIECE_BYTES, CallerVoice
from tests.bridges.browser.webrtc_page import voice_packets

FRAME_BYTES = RATE_HZ * 2 // 50
SSRC = 77
LONG = bytes([28 << 3 | 3, 48])
"""Two bytes that are 120 ms of silence: 48 frames of 2.5 ms, all empty."""


class Page:
    """Sends packets of a voice, and notes what the call hears."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.voice = CallerVoice(self.heard.append)
        self.packets = voice_packets(100)

    def says(self, *numbers: int, at_s: float | None = None, pause_ms: int = 0) -> None:
        """Packets come, at once if `at_s` is given, else each at its own time."""
        for number in numbers:
            now_s = number * 0.02 + pause_ms / 1000 if at_s is None else at_s
            timestamp = number * 960 + pause_ms * 48
            self.voice.received(SSRC, number, timestamp, self.packets[number], now_s)

    def ticks(self, from_s: float, to_s: float) -> None:
        """The call's clock goes on."""
        for tick in range(round(from_s * 50), round(to_s * 50)):
            self.voice.fill(tick / 50)

    @property
    def heard_s(self) -> float:
        return sum(map(len, self.heard)) / (2 * RATE_HZ)

    def is_sound(self) -> list[bool]:
        """Of each piece."""
        return [any(pcm16) for pcm16 in self.heard]


def test_a_voice_is_handed_on_packet_by_packet() -> None:
    page = Page()
    page.says(*range(20))

    assert [len(pcm16) for pcm16 in page.heard] == [FRAME_BYTES] * 20
    assert all(page.is_sound())
    assert not any(page.voice.counters.values())


def test_nobody_gets_a_piece_that_is_too_long() -> None:
    page = Page()
    page.voice.received(SSRC, 0, 0, LONG, 0.0)

    assert [len(pcm16) for pcm16 in page.heard] == [PIECE_BYTES, FRAME_BYTES]


@pytest.mark.parametrize(
    ("packet", "counted_s"), [(LONG, 0.12), (bytes([16 << 3, 0, 0]), LEAST_PACKET_MS / 1000)]
)
def test_a_page_that_floods_the_call_is_heard_no_faster_than_it_may_speak(
    packet: bytes, counted_s: float
) -> None:
    page, took_s = Page(), 2.0
    for number in range(2000):
        timestamp = round(number * 48 * packet_ms(packet))
        page.voice.received(SSRC, number, timestamp, packet, number * took_s / 2000)

    may_s = BURST_S + REAL_TIME * took_s
    assert page.heard_s <= may_s
    refused = page.voice.counters["packets_refused"]
    assert refused == pytest.approx(2000 - may_s / counted_s, abs=2)


@pytest.mark.parametrize("left_out_ms", [20, 900])
@pytest.mark.parametrize("lost", [0, 1])
def test_neither_is_it_by_what_it_leaves_out(left_out_ms: int, lost: int) -> None:
    page = Page()
    for number in range(100):
        timestamp = number * (20 + left_out_ms) * 48
        page.voice.received(SSRC, number * (lost + 1), timestamp, page.packets[number], 0.1)
    page.voice.woke(0.2)

    assert page.heard_s <= BURST_S + 0.1 * REAL_TIME
    assert page.voice.counters["packets_refused"] > 0


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 3, 30]),
            st.sampled_from([0, 1, 2, 7]),
            st.floats(0, 0.2),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_whatever_comes_the_call_hears_little_more_than_time_passes(
    arrivals: list[tuple[int, int, float, bool]],
) -> None:
    page, sequence, now_s = Page(), 0, 10.0
    for step, ssrc, later_s, is_long in arrivals:
        sequence, now_s = sequence + step, now_s + later_s
        packet = LONG if is_long else page.packets[0]
        page.voice.received(ssrc, sequence % 2**16, sequence * 5760, packet, now_s)
        page.voice.woke(now_s)
        assert page.heard_s <= BURST_S + REAL_TIME * (now_s - 10.0) + 1e-6


def test_a_page_that_says_nothing_is_silent_until_it_does() -> None:
    page = Page()
    page.ticks(0.0, 0.1)
    assert page.heard == [bytes(FRAME_BYTES)] * 5

    page.heard.clear()
    page.says(*range(5))
    page.ticks(0.1, 0.2)
    assert page.is_sound() == [True] * 5


def test_a_page_that_falls_silent_is_made_up_for_after_a_while() -> None:
    page = Page()
    page.says(*range(5))
    page.ticks(0.08, 1.08)

    filled = page.heard[5:]
    assert filled == [bytes(FRAME_BYTES)] * round((1.0 - QUIET_S) / 0.02)


@pytest.mark.parametrize("numbers", [range(5, 10), range(25, 30)])
def test_silence_that_was_made_up_is_not_made_up_again(numbers: range) -> None:
    """Packets were lost, or the sender left out a pause by its own clock."""
    page = Page()
    page.says(*range(5))
    page.ticks(0.08, 0.48)
    page.says(*numbers, pause_ms=(25 - numbers[0]) * 20)
    page.voice.woke(0.6)

    assert page.heard_s == pytest.approx(30 * 0.02)
    assert page.is_sound()[-5:] == [True] * 5
    assert page.voice.counters["gaps_concealed"] == 0


def test_silence_that_was_not_needed_in_the_end_counts_for_no_other_gap() -> None:
    page = Page()
    page.says(*range(5))
    page.ticks(0.08, 0.48)
    page.says(5, at_s=0.5)
    before_s = page.heard_s
    page.says(6, pause_ms=400)

    assert page.heard_s - before_s == pytest.approx(0.42)


def test_a_gap_that_was_filled_to_its_end_needs_nothing_more() -> None:
    page = Page()
    page.says(*range(5))
    page.ticks(0.08, 0.68)
    before_s = page.heard_s
    page.says(10)
    page.voice.woke(1.0)

    assert page.heard_s - before_s == pytest.approx(0.02)
    assert page.voice.counters["gaps_concealed"] == 0


def test_what_is_lost_is_made_up_for_from_the_next_packet() -> None:
    page = Page()
    page.says(0, 1, 2, 4)
    assert page.voice.due_s == pytest.approx(0.12)
    page.voice.woke(0.12)

    assert page.is_sound() == [True] * 5
    assert page.voice.due_s is None
    assert page.voice.counters["gaps_concealed"] == page.voice.counters["packets_lost"] == 1


def test_a_long_loss_is_silent_in_the_end() -> None:
    page = Page()
    page.says(*range(5), *range(25, 30))
    page.voice.woke(1.0)

    sound = np.frombuffer(b"".join(page.heard), np.int16).reshape(30, -1)
    assert not sound[11:25].any(), "what is behind 120 ms of concealment"
    assert sound[25:].any(axis=1).all()


def test_a_damaged_packet_is_left_out() -> None:
    page = Page()
    page.says(0)
    page.voice.received(SSRC, 1, 960, b"\x03", 0.02)
    page.voice.received(SSRC, 1, 960, b"\x0a\xfb", 0.04)

    assert len(page.heard) == 1
    assert page.voice.counters["packets_undecodable"] == 2


def test_another_stream_of_the_page_is_heard_from_its_first_packet() -> None:
    page = Page()
    packets = page.packets
    for number in range(30):
        page.voice.received(1, 5000 + number, number * 960, packets[number], number * 0.02)
    for number in range(30):
        now_s = 0.6 + number * 0.02
        timestamp = 7_777_777 + number * 960
        page.voice.received(2, 4700 + number, timestamp, packets[30 + number], now_s)

    assert len(page.heard) == 60
    assert not any(page.voice.counters.values())


def test_the_first_words_are_heard_after_the_capture_stood_still() -> None:
    page = Page()
    page.says(*range(30))
    for number in range(30, 60):
        page.says(number, at_s=1.0 + number * 0.02)

    assert page.is_sound() == [True] * 60
    assert page.voice.counters["packets_dropped"] == 0
