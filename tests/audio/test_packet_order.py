from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.audio.opus import packet_ms
from evibridge.audio.packet_order import (
    BEST_DELAY_S,
    LATE_S,
    MAX_CONCEALED_MS,
    MAX_SILENT_MS,
    MAX_WAITING,
    REORDER_S,
    SETTLED_S,
    Due,
    Lost,
    Packet,
    PacketOrder,
    Silent,
)

S20, S60, C2_5 = b"\x08", b"\x18", b"\x80"
"""First bytes of packets of 20 ms and 60 ms (SILK), and of 2.5 ms (CELT)."""


def payload(number: int, kind: bytes = S20) -> bytes:
    return kind + number.to_bytes(4, "big")


class Sender:
    """A stream of packets of 20 ms, numbered from 0, that arrive when they are complete."""

    def __init__(self, first_sequence: int = 0, first_timestamp: int = 0) -> None:
        self.order = PacketOrder()
        self.first_sequence = first_sequence
        self.first_timestamp = first_timestamp

    def arrives(self, *numbers: int, at_s: float | None = None, pause_ms: int = 0) -> list[Due]:
        """Packets come, at once if `at_s` is given, else each at its own time."""
        due: list[Due] = []
        for number in numbers:
            due += self.order.received(
                (self.first_sequence + number) % 2**16,
                (self.first_timestamp + number * 960 + pause_ms * 48) % 2**32,
                payload(number),
                number * 0.02 + pause_ms / 1000 if at_s is None else at_s,
            )
        return due


def packets(*numbers: int) -> list[Due]:
    return [Packet(payload(number)) for number in numbers]


@pytest.mark.parametrize(
    ("sequence", "timestamp"), [(0, 0), (0xFFFE, 0), (7, 2**32 - 960), (0xFFFF, 2**32 - 1)]
)
def test_packets_in_order_go_on_at_once(sequence: int, timestamp: int) -> None:
    sender = Sender(sequence, timestamp)

    assert [sender.arrives(number) for number in range(4)] == [packets(n) for n in range(4)]
    assert sender.order.due_s is None
    assert sender.order.restarts == 0


@pytest.mark.parametrize(("sequence", "timestamp"), [(0, 0), (0xFFFE, 2**32 - 1000)])
def test_an_overtaken_packet_is_waited_for(sequence: int, timestamp: int) -> None:
    sender = Sender(sequence, timestamp)
    sender.arrives(0)

    assert sender.arrives(2) == []
    assert sender.order.due_s == pytest.approx(0.04 + REORDER_S)
    assert sender.arrives(1, at_s=0.05) == packets(1, 2)
    assert sender.order.due_s is None
    assert sender.order.reordered == 1
    assert sender.order.lost == 0


def test_a_packet_that_does_not_come_is_given_up() -> None:
    sender = Sender()
    sender.arrives(0, 2, 3)

    assert sender.order.woke(0.079) == []
    assert sender.order.woke(0.081) == [Lost(20, payload(2)), *packets(2, 3)]
    assert sender.order.due_s is None
    assert sender.order.lost == 1


def test_a_packet_finds_the_time_of_a_gap_over_by_itself() -> None:
    sender = Sender()
    sender.arrives(0, 2)

    assert sender.arrives(4, at_s=0.081) == [Lost(20, payload(2)), *packets(2)]
    assert sender.order.due_s == pytest.approx(0.121)


def test_a_packet_that_fills_its_gap_in_the_last_moment_is_taken() -> None:
    sender = Sender()
    sender.arrives(0, 2)

    assert sender.arrives(1, at_s=0.09) == packets(1, 2)
    assert sender.order.lost == 0


def test_of_two_gaps_each_has_its_own_time() -> None:
    sender = Sender()
    sender.arrives(0, 2)
    sender.arrives(4, at_s=0.06)

    assert sender.order.woke(0.081) == [Lost(20, payload(2)), *packets(2)]
    assert sender.order.due_s == pytest.approx(0.10)
    assert sender.order.woke(0.101) == [Lost(20, payload(4)), *packets(4)]


def test_no_packet_waits_longer_because_one_overtook_it() -> None:
    sender = Sender()
    sender.arrives(0)
    sender.arrives(4, at_s=0.08)
    sender.arrives(2, at_s=0.10)

    assert sender.order.woke(0.121) == [
        *[Lost(20, payload(2)), *packets(2)],
        *[Lost(20, payload(4)), *packets(4)],
    ]


def test_a_packet_that_was_given_up_comes_too_late() -> None:
    sender = Sender()
    sender.arrives(0, 2)
    sender.order.woke(1.0)

    assert sender.arrives(1, at_s=1.0) == []
    assert (sender.order.late, sender.order.duplicate) == (1, 0)
    assert sender.arrives(1, at_s=1.0) == []
    assert (sender.order.late, sender.order.duplicate) == (1, 1)


def test_a_packet_from_before_the_first_comes_too_late() -> None:
    sender = Sender()
    sender.arrives(1)

    assert sender.arrives(0) == []
    assert (sender.order.late, sender.order.duplicate) == (1, 0)


def test_no_packet_goes_on_twice() -> None:
    sender = Sender()
    sender.arrives(0, 1)

    assert sender.arrives(0, 1) == []
    assert sender.arrives(3, 3) == []
    assert sender.arrives(2) == packets(2, 3)
    assert sender.order.duplicate == 3


def test_a_long_gap_is_concealed_at_its_beginning_and_silent_then() -> None:
    sender = Sender()
    sender.arrives(0, 21)

    assert sender.order.woke(1.0) == [
        Lost(MAX_CONCEALED_MS, None),
        Silent(400 - MAX_CONCEALED_MS),
        *packets(21),
    ]


def test_a_gap_as_long_as_can_be_concealed_ends_in_the_next_packet() -> None:
    sender = Sender()
    sender.arrives(0, 7)

    assert sender.order.woke(1.0) == [Lost(MAX_CONCEALED_MS, payload(7)), *packets(7)]


def test_a_pause_of_the_sender_is_silent() -> None:
    sender = Sender()
    sender.arrives(0)

    assert sender.arrives(1, pause_ms=380) == [Silent(380), *packets(1)]
    assert sender.order.lost == 0


def test_of_a_very_long_pause_the_rest_is_cut() -> None:
    sender = Sender()
    sender.arrives(0)

    assert sender.arrives(1, pause_ms=2500) == [Silent(MAX_SILENT_MS), *packets(1)]
    assert sender.order.cut_ms == 1500


def test_a_lost_packet_without_sound_leaves_no_gap() -> None:
    order = PacketOrder()
    order.received(0, 0, payload(0), 0.0)
    order.received(2, 960, payload(1), 0.02)

    assert order.woke(1.0) == packets(1)
    assert order.lost == 1


def test_a_part_of_a_millisecond_is_cut() -> None:
    order = PacketOrder()
    order.received(0, 0, payload(0), 0.0)

    assert order.received(1, 960 + 24, payload(1), 0.02) == packets(1)
    assert order.cut_ms == 0.5


def test_packets_may_be_of_any_length() -> None:
    order = PacketOrder()
    one, two, three = payload(1, S60), payload(2, C2_5), payload(3)

    assert order.received(0, 0, one, 0.06) == [Packet(one)]
    assert order.received(1, 2880, two, 0.0625) == [Packet(two)]
    assert order.received(2, 3000, three, 0.08) == [Packet(three)]


@pytest.mark.parametrize("damaged", [b"", b"\x0b", b"\x0b\x00"])
def test_a_packet_that_cannot_be_opus_counts_as_not_received(damaged: bytes) -> None:
    sender = Sender()
    sender.arrives(0)

    assert sender.order.received(1, 960, damaged, 0.02) == []
    sender.arrives(2)
    assert sender.order.woke(1.0) == [Lost(20, payload(2)), *packets(2)]
    assert sender.order.damaged == 1


def test_a_new_sender_begins_behind_what_still_waits() -> None:
    sender = Sender()
    sender.arrives(0, 2)

    due = sender.order.received(5000, 77, payload(9), 0.06)

    assert due == [Lost(20, payload(2)), *packets(2, 9)]
    assert sender.order.received(5001, 77 + 960, payload(10), 0.08) == packets(10)
    assert sender.order.restarts == 1


@pytest.mark.parametrize("timestamp", [959, 3_000_000_000, 21 * 48_000])
def test_a_jump_of_the_timestamp_begins_anew(timestamp: int) -> None:
    sender = Sender()
    sender.arrives(0)

    assert sender.order.received(1, timestamp, payload(1), 0.02) == packets(1)
    assert sender.order.received(2, timestamp + 960, payload(2), 0.04) == packets(2)
    assert sender.order.restarts == 1
    assert sender.order.cut_ms == 0


def test_a_gap_is_given_up_before_too_many_wait() -> None:
    sender = Sender()
    sender.arrives(0, at_s=0.0)

    waiting = range(2, 2 + MAX_WAITING)
    assert sender.arrives(*waiting, at_s=0.0) == []
    due = sender.arrives(2 + MAX_WAITING, at_s=0.0)

    assert due == [Lost(20, payload(2)), *packets(*waiting, 2 + MAX_WAITING)]


def test_behind_a_stall_only_the_newest_is_heard() -> None:
    sender = Sender()
    sender.arrives(*range(50))

    burst = sender.arrives(*range(50, 150), at_s=149 * 0.02)

    on_time = round(LATE_S / 0.02)
    assert burst == packets(50, *range(149 - on_time, 150)), "the first does not show its haste"
    assert sender.order.dropped == 100 - on_time - 2
    assert sender.order.cut_ms == sender.order.dropped * 20
    assert sender.arrives(150) == packets(150)


def test_behind_a_short_stall_everything_is_heard() -> None:
    sender = Sender()
    sender.arrives(*range(50))

    assert sender.arrives(*range(50, 70), at_s=1.4) == packets(*range(50, 70))


def test_a_gap_before_what_is_dropped_is_cut_with_it() -> None:
    sender = Sender()
    sender.arrives(*range(50))

    assert sender.arrives(50, 53, at_s=3.0) == packets(50)
    assert sender.order.woke(3.1) == []
    assert (sender.order.lost, sender.order.dropped, sender.order.cut_ms) == (2, 1, 60)


def test_a_sender_whose_clock_stood_still_is_heard_from_its_first_word() -> None:
    sender = Sender()
    sender.arrives(*range(50))
    still_s = 1.0

    for number in range(50, 200):
        assert sender.arrives(number, at_s=number * 0.02 + still_s) == packets(number)
    assert sender.order.dropped == 0


def test_of_such_a_sender_no_more_is_lost_than_its_first_packet_was_late() -> None:
    sender = Sender()
    sender.arrives(*range(50))

    sender.arrives(50, 51, 52, at_s=52 * 0.02 + 1.0)

    assert sender.order.dropped == 2
    for number in range(53, 100):
        jitter_s = 0.009 * (number % 2)
        assert sender.arrives(number, at_s=number * 0.02 + 1.0 + jitter_s) == packets(number)


def test_what_comes_late_for_longer_than_a_burst_lasts_is_taken_for_granted() -> None:
    sender = Sender()
    sender.arrives(*range(50))

    twice_as_fast = [bool(sender.arrives(n, at_s=3.0 + (n - 50) * 0.01)) for n in range(50, 100)]

    in_vain = round(SETTLED_S / 0.01)
    assert twice_as_fast[in_vain:] == [True] * (50 - in_vain)
    assert 0 < sender.order.dropped < in_vain


def test_another_stream_begins_wherever_it_likes() -> None:
    sender = Sender(first_sequence=5000)
    sender.arrives(0, 1, 3)

    sender.order.restart()

    due = sender.order.received(4700, 7_777_777, payload(9), 0.06)
    assert due == [Lost(20, payload(3)), *packets(3, 9)]
    assert sender.order.received(4701, 7_777_777 + 960, payload(10), 0.08) == packets(10)
    assert (sender.order.restarts, sender.order.duplicate, sender.order.late) == (1, 0, 0)


def test_before_the_first_packet_there_is_nothing_to_restart() -> None:
    sender = Sender()
    sender.order.restart()

    assert sender.arrives(0) == packets(0)
    assert sender.order.restarts == 0


@pytest.mark.parametrize("drift", [0.999, 1.001])
def test_a_clock_that_drifts_loses_nothing(drift: float) -> None:
    sender = Sender()

    for number in range(60_000):
        assert sender.arrives(number, at_s=number * 0.02 * drift) == packets(number)


def test_the_best_delay_is_forgotten_in_time() -> None:
    sender = Sender()
    sender.arrives(0, at_s=0.0)
    longer_s = LATE_S - 0.01
    steady = round(BEST_DELAY_S / 0.02) + 2
    for number in range(1, steady):
        sender.arrives(number, at_s=number * 0.02 + longer_s)

    late = sender.arrives(steady, at_s=steady * 0.02 + 2 * longer_s)

    assert late == packets(steady)


@dataclass(frozen=True)
class Sent:
    """A packet of a stream, and when its copies arrive, if any do."""

    sequence: int
    begin: int
    end: int
    payload: bytes
    at_s: list[float]


@st.composite
def streams(draw: st.DrawFn) -> list[Sent]:
    """What a sender sends, and what the network makes of it."""
    sequence, clock = draw(st.sampled_from([0, 0xFFF0])), draw(st.sampled_from([0, 2**32 - 9000]))
    start = clock
    stream = []
    for number in range(draw(st.integers(1, 60))):
        body = payload(number, draw(st.sampled_from([S20, S20, S20, S60, C2_5])))
        begin = clock + 48 * draw(st.sampled_from([0] * 12 + [60, 380, 1500]))
        clock = begin + int(48 * packet_ms(body))
        delay_s = draw(st.sampled_from([0.0] * 6 + [0.01, 0.025, 0.05, 0.09, 0.6, 1.5]))
        copies = draw(st.sampled_from([1] * 12 + [0, 0, 2]))
        at_s = [(clock - start) / 48_000 + delay_s + 0.03 * copy for copy in range(copies)]
        stream.append(Sent(sequence + number, begin, clock, body, at_s))
    return stream


def heard_of(stream: list[Sent], order: PacketOrder) -> list[tuple[float, Due]]:
    """All that goes out, and when, if somebody wakes whenever it is due."""
    out: list[tuple[float, Due]] = []
    arrivals = [(at_s, sent) for sent in stream for at_s in sent.at_s]
    for at_s, sent in sorted(arrivals, key=itemgetter(0)):
        while (due_s := order.due_s) is not None and due_s < at_s:
            out += [(due_s, item) for item in order.woke(due_s)]
        due = order.received(sent.sequence % 2**16, sent.begin % 2**32, sent.payload, at_s)
        out += [(at_s, item) for item in due]
    while (due_s := order.due_s) is not None:
        out += [(due_s, item) for item in order.woke(due_s)]
    return out


@settings(deadline=None, max_examples=150)
@given(streams())
def test_every_packet_goes_on_once_in_order_and_soon_or_is_counted(stream: list[Sent]) -> None:
    order = PacketOrder()

    heard = [(s, item.payload) for s, item in heard_of(stream, order) if isinstance(item, Packet)]

    came_s = {sent.payload: sent.at_s for sent in stream}
    assert all(now_s - came_s[body][0] <= REORDER_S + 1e-9 for now_s, body in heard)
    bodies = [body for _, body in heard]
    assert bodies == [sent.payload for sent in stream if sent.payload in bodies]
    arrived = sum(len(sent.at_s) for sent in stream)
    assert len(heard) + order.dropped + order.late + order.duplicate == arrived


@settings(deadline=None, max_examples=150)
@given(streams())
def test_what_goes_out_is_as_long_as_the_timestamps_say(stream: list[Sent]) -> None:
    order = PacketOrder()

    out = [item for _, item in heard_of(stream, order)]

    arrived = [sent for sent in stream if sent.at_s]
    if arrived:
        first = min(arrived, key=lambda sent: sent.at_s[0])
        expected_ms = (arrived[-1].end - first.begin) / 48
        assert total_ms(out) + order.cut_ms == pytest.approx(expected_ms)
    assert order.restarts == 0
    for item, following in pairwise(out):
        if isinstance(item, Lost):
            assert 0 < item.duration_ms <= MAX_CONCEALED_MS
            assert item.next_payload is None or following == Packet(item.next_payload)
        elif isinstance(item, Silent):
            assert 0 < item.duration_ms <= MAX_SILENT_MS


def total_ms(out: list[Due]) -> float:
    return sum(
        packet_ms(item.payload) if isinstance(item, Packet) else item.duration_ms for item in out
    )


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.integers(0, 2**32 - 1),
            st.binary(max_size=3),
            st.floats(0, 9),
        ),
        max_size=40,
    )
)
def test_whatever_a_stranger_sends(arrivals: list[tuple[int, int, bytes, float]]) -> None:
    order = PacketOrder()
    sent = {body for _, _, body, _ in arrivals}
    now_s = 0.0
    for sequence, timestamp, body, wait_s in arrivals:
        now_s += wait_s
        for item in order.received(sequence, timestamp, body, now_s):
            assert not isinstance(item, Packet) or item.payload in sent
        assert order.due_s is None or order.due_s > now_s
