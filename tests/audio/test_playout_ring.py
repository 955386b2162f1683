import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from evibridge.audio.playout_ring import FADE_MS, FRAME_MS, MAX_MARKS, MAX_QUEUED_S, PlayoutRing
from evibridge.errors import BadAudio

RATE_HZ = 8000
FRAME = 2 * RATE_HZ * FRAME_MS // 1000
MS = FRAME // FRAME_MS


def sound(ms: float, value: int = 1000) -> bytes:
    return np.full(int(ms * RATE_HZ / 1000), value, np.int16).tobytes()


def frames(ring: PlayoutRing, count: int) -> list[bytes | None]:
    return [ring.next_frame()[0] for _ in range(count)]


def test_nothing_queued_is_silence() -> None:
    ring = PlayoutRing(RATE_HZ)

    assert ring.next_frame() == (None, [])
    assert ring.queued_ms == 0


def test_pieces_of_any_length_come_out_as_frames() -> None:
    ring = PlayoutRing(RATE_HZ)
    audio = np.arange(5 * FRAME // 2, dtype=np.int16).tobytes()
    at = 0
    for size in (2, 6, FRAME - 8, 2 * FRAME, 20, FRAME):
        ring.queue(audio[at : at + size])
        at += size
    ring.queue(audio[at:])

    assert b"".join(frame or b"" for frame in frames(ring, 6)) == audio


def test_playing_begins_at_once_when_the_lead_is_queued() -> None:
    ring = PlayoutRing(RATE_HZ, lead_ms=40)
    ring.queue(sound(40))

    assert frames(ring, 3) == [sound(20), sound(20), None]


def test_less_than_the_lead_waits_for_more_as_long_as_the_lead() -> None:
    ring = PlayoutRing(RATE_HZ, lead_ms=40)
    ring.queue(sound(20))

    assert frames(ring, 4) == [None, None, sound(20), None]


def test_without_a_lead_nothing_waits() -> None:
    ring = PlayoutRing(RATE_HZ, lead_ms=0)
    ring.queue(sound(5))

    assert frames(ring, 1) == [sound(5) + bytes(15 * MS)]


def test_every_silence_is_followed_by_a_lead_again() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(40))
    frames(ring, 3)
    ring.queue(sound(20))

    assert frames(ring, 3) == [None, None, sound(20)]


def test_a_mark_is_told_with_the_frame_that_reaches_it() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(30))
    ring.mark("middle")
    ring.queue(sound(30))
    ring.mark("end")

    assert [ring.next_frame()[1] for _ in range(4)] == [[], ["middle"], ["end"], []]


def test_a_mark_in_the_last_part_of_a_frame_is_told_with_it() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(45))
    ring.mark("end")

    assert [ring.next_frame()[1] for _ in range(3)] == [[], [], ["end"]]


def test_a_mark_behind_nothing_is_told_at_once() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.mark("one")
    ring.mark("two")

    assert ring.next_frame() == (None, ["one", "two"])
    assert ring.next_frame() == (None, [])


def test_speech_that_goes_on_behind_a_gap_is_an_underrun() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(50))
    frames(ring, 3)
    ring.queue(sound(40))
    frames(ring, 3)
    ring.queue(sound(40))

    assert ring.underruns == 2


def test_speech_that_comes_just_in_time_is_no_underrun() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(40))
    frames(ring, 2)
    ring.queue(sound(20))

    assert frames(ring, 1) == [sound(20)]
    assert ring.underruns == 0


@pytest.mark.parametrize("ms", [40, 50])
def test_a_mark_at_the_end_says_that_the_speech_is_over(ms: int) -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(ms))
    ring.mark("end")
    frames(ring, 4)
    ring.queue(sound(40))

    assert ring.underruns == 0


def test_a_mark_that_comes_behind_the_end_says_so_as_well() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(50))
    frames(ring, 4)
    ring.mark("end")
    ring.queue(sound(40))

    assert ring.underruns == 0


def test_a_clear_behind_the_end_says_so_as_well() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(50))
    frames(ring, 4)
    ring.clear()
    ring.queue(sound(40))

    assert ring.underruns == 0


def test_marks_that_were_cleared_say_nothing_of_the_speech_behind_them() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(1000))
    ring.mark("end")
    frames(ring, 3)
    ring.clear()
    frames(ring, 1)
    ring.queue(sound(50))
    frames(ring, 4)
    ring.queue(sound(40))

    assert ring.underruns == 1


def test_a_mark_in_the_middle_is_not_the_end() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(30))
    ring.mark("middle")
    ring.queue(sound(20))
    frames(ring, 4)
    ring.queue(sound(40))

    assert ring.underruns == 1


def test_a_clear_drops_what_is_queued_and_tells_its_marks() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(1000))
    ring.mark("one")
    ring.queue(sound(1000))
    ring.mark("two")

    assert ring.clear() == ["one", "two"]
    assert ring.queued_ms == 0
    assert frames(ring, 2) == [None, None]
    assert ring.clear() == []


def test_what_was_playing_fades_out_in_a_moment() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(1000, value=20_000))
    frames(ring, 3)
    ring.clear()

    faded = np.frombuffer(ring.next_frame()[0] or b"", np.int16)

    assert len(faded) == FRAME // 2
    assert not faded[FADE_MS * RATE_HZ // 1000 - 1 :].any()
    steps = np.diff(faded.astype(int), prepend=20_000)
    assert steps.min() > -600
    assert steps.max() <= 0
    assert ring.next_frame() == (None, [])


def test_the_last_moment_of_the_queue_fades_too() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(42, value=20_000))
    frames(ring, 2)
    ring.clear()

    faded = np.frombuffer(ring.next_frame()[0] or b"", np.int16)

    assert 0 < faded[0] < 20_000
    assert not faded[15:].any()


def test_where_the_queue_has_just_ended_there_is_nothing_to_fade() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(40))
    frames(ring, 2)
    ring.clear()

    assert frames(ring, 1) == [None]


def test_a_second_clear_leaves_the_fade_of_the_first() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(1000))
    frames(ring, 1)
    ring.clear()
    ring.queue(sound(1000, value=7))
    ring.clear()

    faded, _ = ring.next_frame()

    assert faded is not None
    assert 7 < int(np.frombuffer(faded, np.int16)[0]) < 1000
    assert frames(ring, 1) == [None]


def test_what_is_said_behind_a_clear_follows_the_fade() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(1000))
    frames(ring, 1)
    ring.clear()
    ring.queue(sound(40, value=7))

    assert frames(ring, 4)[1:] == [sound(20, value=7), sound(20, value=7), None]


def test_more_than_has_room_is_dropped_from_its_end_and_counted() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(MAX_QUEUED_S * 1000 - 10, value=1))
    ring.queue(sound(30, value=2))
    ring.queue(sound(20, value=3))

    assert ring.queued_ms == MAX_QUEUED_S * 1000
    assert ring.dropped_ms == 40
    played = b"".join(frame or b"" for frame in frames(ring, MAX_QUEUED_S * 50))
    assert played[-20 * MS :] == sound(10, value=1) + sound(10, value=2)


def test_more_marks_than_have_room_drop_the_oldest() -> None:
    ring = PlayoutRing(RATE_HZ)
    for number in range(MAX_MARKS + 2):
        ring.mark(str(number))

    assert ring.dropped_marks == 2
    assert ring.next_frame()[1] == [str(number) for number in range(2, MAX_MARKS + 2)]


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(BadAudio, match="even number"):
        PlayoutRing(RATE_HZ).queue(b"\0")


def test_an_empty_piece_is_nothing() -> None:
    ring = PlayoutRing(RATE_HZ)
    ring.queue(sound(50))
    frames(ring, 3)
    ring.queue(b"")

    assert ring.underruns == 0
    assert frames(ring, 3) == [None, None, None]


class RingInAnyOrder(RuleBasedStateMachine):
    """Everything queued is heard in order, as are the marks, but for what was cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.ring = PlayoutRing(RATE_HZ)
        self.value = 0
        self.placed = 0
        self.expected: list[bytes | str] = []
        """What is to be heard: samples, and marks between them."""
        self.is_fading = False

    @rule(samples=st.sampled_from([1, 7, 80, 159, 160, 161, 700]))
    def the_agent_speaks(self, samples: int) -> None:
        pieces = [(1 + (self.value + n) % 30_000).to_bytes(2, "little") for n in range(samples)]
        self.value += samples
        self.expected += pieces
        self.ring.queue(b"".join(pieces))

    @rule()
    def a_mark_is_placed(self) -> None:
        self.placed += 1
        self.expected.append(str(self.placed))
        self.ring.mark(str(self.placed))

    @rule()
    def the_agent_is_silenced(self) -> None:
        told = self.ring.clear()
        assert told == [item for item in self.expected if isinstance(item, str)]
        self.expected.clear()
        self.is_fading = True

    @rule()
    def a_frame_is_due(self) -> None:
        self.a_frame_comes()

    @invariant()
    def what_waits_is_known(self) -> None:
        samples = sum(isinstance(item, bytes) for item in self.expected)
        assert self.ring.queued_ms == samples * 1000 / RATE_HZ

    def a_frame_comes(self) -> None:
        frame, told = self.ring.next_frame()
        assert frame is None or len(frame) == FRAME
        if self.is_fading and frame is not None and not any(frame[FADE_MS * MS :]):
            assert told == []
            self.is_fading = False
            return
        self.is_fading = False
        for at in range(0, FRAME if frame else 0, 2):
            sample = (frame or b"")[at : at + 2]
            told_here = self.marks_next()
            assert told[: len(told_here)] == told_here
            del told[: len(told_here)]
            if sample == b"\0\0":
                assert not self.expected
            else:
                assert self.expected.pop(0) == sample
        assert told == self.marks_next()

    def marks_next(self) -> list[str]:
        marks: list[str] = []
        while self.expected and isinstance(mark := self.expected[0], str):
            marks.append(mark)
            del self.expected[0]
        return marks

    def teardown(self) -> None:
        for _ in range(200):
            self.a_frame_comes()
        assert not self.expected


TestRingInAnyOrder = RingInAnyOrder.TestCase
TestRingInAnyOrder.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)
