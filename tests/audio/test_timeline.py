"""Where both sides of a call are found in one stereo sound."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evibridge.audio.timeline import (
    JITTER_S,
    LEAN_S,
    MAX_AGENT_UNTAKEN_S,
    MAX_CALLER_UNTAKEN_S,
    Timeline,
)
from tests.audio.numbered_pieces import (
    PIECE,
    PIECE_S,
    RATE_HZ,
    VALUES,
    Samples,
    piece,
    sides,
    stretches,
)

LAG_S = JITTER_S + PIECE_S
JITTER = round(JITTER_S * RATE_HZ)


def caller_heard(arrivals_s: list[float], until_s: float) -> list[tuple[int, int]]:
    """What is made of pieces 0, 1, 2, ... that arrive then, if nobody takes in between."""
    timeline = Timeline(RATE_HZ, 0.0)
    for number, arrival_s in enumerate(arrivals_s):
        timeline.caller(piece(number), arrival_s)
    return stretches(sides(timeline.take(until_s))[0])


# The clock


def test_a_take_is_as_long_as_the_time_that_has_passed() -> None:
    timeline = Timeline(RATE_HZ, begin_s=100.0)

    assert len(timeline.take(100.5)) == 4 * 4000
    assert timeline.take(100.5) == b""
    assert timeline.take(100.2) == b""
    assert timeline.untaken(101.0) == 4000


@given(
    rate_hz=st.sampled_from([8000, 11_025, 16_000, 48_000]),
    begin_s=st.floats(0, 1e6),
    steps_s=st.lists(st.floats(-0.1, 0.5), max_size=20),
)
def test_takes_add_up_to_the_time_that_has_passed(
    rate_hz: int, begin_s: float, steps_s: list[float]
) -> None:
    timeline = Timeline(rate_hz, begin_s)
    now_s = latest_s = begin_s
    taken = 0

    for step_s in steps_s:
        now_s += step_s
        latest_s = max(latest_s, now_s)
        taken += len(timeline.take(now_s))

    assert taken == 4 * round((latest_s - begin_s) * rate_hz)


# The caller


def test_a_piece_is_heard_where_it_was_over_when_it_came() -> None:
    assert caller_heard([1.0], until_s=2.0) == [(0, 7840), (1, 160), (0, 8000)]


def test_pieces_that_come_in_bursts_follow_each_other_without_a_seam() -> None:
    arrivals_s = [0.02, 0.04, 0.20, 0.20, 0.20, 0.201, 0.202, 0.203, 0.203, 0.203]

    heard = caller_heard(arrivals_s, until_s=0.20)

    # Where they are more than 60 ms late, pieces are led back by a sample each.
    assert [value for value, _ in heard] == [*range(1, 11)]
    assert sum(length for _, length in heard) == 1600
    assert all(length in (160, 161) for _, length in heard[:-1])


@given(
    late_s=st.lists(st.floats(0, LEAN_S - 0.001), min_size=1, max_size=100),
    begin_s=st.floats(0, 1000),
    every_s=st.floats(0.01, 0.5),
    random_sizes=st.randoms(use_true_random=False),
)
def test_every_sample_of_a_stream_with_jitter_is_heard_once_and_in_order(
    late_s: list[float], begin_s: float, every_s: float, random_sizes: random.Random
) -> None:
    timeline = Timeline(RATE_HZ, begin_s)
    said = np.arange(1, 1 + PIECE * len(late_s), dtype=np.int16)
    heard = b""
    now_s = begin_s
    taken_s = begin_s
    for at, late in zip(pieces_of(len(said), random_sizes), late_s, strict=False):
        now_s = max(now_s, begin_s + at.stop / RATE_HZ + late)  # a connection keeps the order
        while taken_s + every_s < now_s:
            taken_s += every_s
            heard += timeline.take(taken_s - LAG_S)
        timeline.caller(said[at].tobytes(), now_s)
        last = at.stop
    heard += timeline.take(now_s + 2 * LAG_S)

    left, right = sides(heard)
    begin = int(np.flatnonzero(left)[0])
    assert left[begin : begin + last].tolist() == said[:last].tolist()
    assert not left[:begin].any()
    assert not left[begin + last :].any()
    assert not right.any()


def pieces_of(samples: int, sizes: random.Random) -> Iterator[slice]:
    """A stream cut into pieces of up to 40 ms."""
    at = 0
    while at < samples:
        size = sizes.randint(1, 2 * PIECE)
        yield slice(at, min(at + size, samples))
        at += size


def test_a_stall_leaves_silence_and_what_follows_is_where_it_came() -> None:
    heard = caller_heard([0.02, 0.04, 1.0, 1.02], until_s=1.02)

    assert heard == [(1, 160), (2, 160), (0, 7840 - 320), (3, 160), (4, 160)]


def test_what_a_stall_has_held_up_moves_back_into_its_silence() -> None:
    arrivals_s = [0.02, 0.04, *[0.34] * 15, 0.36]

    heard = caller_heard(arrivals_s, until_s=0.5)

    # 280 ms were held up; 60 ms are left of the silence, because the first of it came 220 ms late.
    voice = [(value, PIECE) for value in range(1, 19)]
    assert heard == [*voice[:2], (0, 480), *voice[2:], (0, 640)]


def test_silence_that_was_taken_is_not_moved_into() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    timeline.caller(piece(0), 0.02)
    before = timeline.take(0.9)
    for number in range(1, 8):
        timeline.caller(piece(number), 1.0)
    after = timeline.take(1.3)

    assert stretches(sides(before)[0]) == [(1, 160), (0, 7040)]
    # 80 ms of silence were left, of the 120 ms that were wanted.
    assert stretches(sides(after)[0]) == [*[(n + 1, 160) for n in range(1, 8)], (0, 2080)]


def test_of_a_burst_what_would_be_too_early_is_dropped() -> None:
    arrivals_s = [0.02, *[2.0] * 100]

    heard = caller_heard(arrivals_s, until_s=3.0)

    voice = [(value, length) for value, length in heard if value]
    assert [value for value, _ in voice] == [*range(1, len(voice) + 1)]
    assert sum(length for _, length in voice[1:]) <= PIECE + 2 * JITTER
    assert sum(length for _, length in voice[1:]) >= 2 * JITTER - 20
    assert heard[-1] == (0, 8000 - JITTER)


def test_a_piece_that_comes_too_late_for_a_take_is_heard_at_once() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    timeline.take(1.0)
    timeline.caller(piece(0), 1.0)

    assert stretches(sides(timeline.take(1.1))[0]) == [(1, 160), (0, 640)]


def test_a_stream_that_is_early_is_led_back_a_sample_at_a_time() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    timeline.take(0.18)
    arrivals_s = [*[0.2] * 8, *[0.2 + PIECE_S * number for number in range(1, 1000)]]
    heard = b""
    for number, arrival_s in enumerate(arrivals_s):
        timeline.caller(piece(number), arrival_s)
        heard += timeline.take(arrival_s - LAG_S)
    heard += timeline.take(arrivals_s[-1] + LAG_S)

    *voice, (silence, silent) = stretches(sides(heard)[0])
    assert [value for value, _ in voice] == [*range(1, len(arrivals_s) + 1)]
    assert {length for _, length in voice} == {159, 160}
    assert silence == 0
    assert LAG_S - silent / RATE_HZ == pytest.approx(LEAN_S, abs=0.001)


def test_a_piece_is_led_back_where_its_neighbours_are_most_alike() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    waves = np.array([0, 900, 500, 480, -700] * 32, np.int16)
    timeline.caller(piece(0), 0.02)
    timeline.caller(waves.tobytes(), 0.04 + 0.1)
    timeline.caller(b"\x05\x00", 0.04 + 0.1)

    left, _ = sides(timeline.take(0.1))

    assert left[160:166].tolist() == [0, 900, 500, 500, 480, -700]
    assert left[321:324].tolist() == [5, 5, 0]


def test_a_piece_of_nothing_is_nothing() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    timeline.caller(b"", 0.5)
    timeline.caller(b"", 0.9)

    assert not any(timeline.take(1.0))


LOST = -1.0


@dataclass
class Carrier:
    """A stream of an hour whose clock is not ours, on a line with jitter, stalls and losses."""

    drift: float
    chance: random.Random

    def arrivals_s(self, lasts_s: float) -> Iterator[float]:
        """When each piece of 20 ms arrives, or `LOST`."""
        free_s = lost_until_s = 0.0
        for number in range(1, int(lasts_s / PIECE_S)):
            sent_s = number * PIECE_S * (1 + self.drift)
            fate = self.chance.random()
            if fate < 0.0004:  # about once a minute, nothing arrives, and then all at once
                free_s = sent_s + self.chance.uniform(0.05, 3)
            elif fate > 0.9999:  # every few minutes, what is said never arrives
                lost_until_s = sent_s + self.chance.uniform(0.02, 5)
            free_s = max(free_s, sent_s + 0.03 * self.chance.random())
            yield free_s if sent_s >= lost_until_s else LOST


@pytest.mark.parametrize(
    ("drift", "lasts_s", "every_s"), [(200e-6, 3600, 1.0), (-200e-6, 600, 1.0), (0, 300, 0.05)]
)
def test_an_hour_on_a_bad_line_and_by_another_clock_stays_in_place(
    drift: float, lasts_s: int, every_s: float
) -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    took_s = 0.0
    parts: list[bytes] = []
    arrivals_s: list[float] = []
    for number, arrival_s in enumerate(Carrier(drift, random.Random(7)).arrivals_s(lasts_s)):
        arrivals_s.append(arrival_s)
        if arrival_s == LOST:
            continue
        while took_s + every_s < arrival_s:
            took_s += every_s
            parts.append(timeline.take(took_s - LAG_S))
        timeline.caller(piece(number), arrival_s)
    parts.append(timeline.take(lasts_s))
    left, _ = sides(b"".join(parts))

    assert len(left) == lasts_s * RATE_HZ
    off = placement_error(left, np.array(arrivals_s))
    assert np.abs(off).max() <= JITTER + 1  # a sample more where it is led back
    assert np.abs(off).max() < 0.001 * lasts_s * RATE_HZ
    arrived = PIECE * sum(arrival_s != LOST for arrival_s in arrivals_s)
    # Of what a stall of up to 3 s has held up, the most is dropped.
    assert np.count_nonzero(left) > 0.95 * arrived


def placement_error(left: Samples, arrivals_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Of each piece that is heard, by how many frames it ends after it has arrived."""
    ends = np.flatnonzero(np.diff(left)) + 1
    ends = ends[left[ends - 1] > 0]
    values = left[ends - 1].astype(np.int64) - 1
    # Values come again after 32 000 pieces, which is 10 minutes.
    rounds = np.round((ends / PIECE - values) / VALUES).astype(np.int64)
    numbers = values + rounds * VALUES
    assert (np.diff(numbers) > 0).all()
    assert (arrivals_s[numbers] != LOST).all()
    off: NDArray[np.int64] = ends - np.round(arrivals_s[numbers] * RATE_HZ).astype(np.int64)
    return off


def test_what_the_caller_says_is_bounded_while_nobody_takes() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    for number in range(1, 4000):
        timeline.caller(piece(number), number * PIECE_S)
    left, _ = sides(timeline.take(80.0))

    assert np.flatnonzero(left)[-1] < (MAX_CALLER_UNTAKEN_S + JITTER_S) * RATE_HZ

    timeline.caller(piece(0), 80.02)
    assert any(timeline.take(80.1))


# The agent


def test_the_agents_chunks_are_heard_one_behind_the_other() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    timeline.agent(piece(1, 1600), 0.5)
    timeline.agent(piece(2, 1600), 0.5)
    timeline.agent(piece(3, 1600), 1.0)

    _, right = sides(timeline.take(1.5))

    assert stretches(right) == [(0, 4000), (2, 1600), (3, 1600), (0, 800), (4, 1600), (0, 2400)]


def test_after_a_clear_nothing_is_heard_of_what_was_queued() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    timeline.agent(piece(1, 8000), 0.0)
    heard = timeline.take(0.05)
    timeline.clear(0.3)
    timeline.agent(piece(2, 800), 0.4)
    heard += timeline.take(1.0)

    assert stretches(sides(heard)[1]) == [(2, 2400), (0, 800), (3, 800), (0, 4000)]


def test_of_the_agents_voice_ten_minutes_are_kept() -> None:
    timeline = Timeline(RATE_HZ, 0.0)
    for number in range(70):
        timeline.agent(piece(number, 10 * RATE_HZ), 1.0)
    timeline.agent(piece(0, RATE_HZ), MAX_AGENT_UNTAKEN_S + 10)

    _, right = sides(timeline.take(710.0))

    assert int(np.flatnonzero(right)[-1]) == MAX_AGENT_UNTAKEN_S * RATE_HZ - 1
