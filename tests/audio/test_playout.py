import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from evibridge.audio.playout import (
    MARK_APART_MS,
    MARK_EVERY_MS,
    STALLED_MS,
    STALLED_S,
    Heard,
    Playout,
)


def send(playout: Playout, utterance_id: str, ms: float, now_s: float) -> str:
    """Send audio, with a mark behind it if none is due."""
    mark = playout.sent(utterance_id, ms, now_s) or playout.mark()
    assert mark is not None
    return mark


def test_the_clock_tells_what_was_heard_between_marks() -> None:
    playout = Playout()

    playout.sent("a", 1000, now_s=10.0)

    assert playout.unplayed_ms(10.0) == 1000
    assert playout.unplayed_ms(10.4) == pytest.approx(600)
    assert playout.unplayed_ms(99.0) == 0
    assert not playout.all_heard


def test_an_echoed_mark_proves_what_was_heard_to_its_end() -> None:
    playout = Playout()
    mark = send(playout, "a", 500, now_s=0.0)
    playout.end_turn()

    assert playout.echoed(mark, now_s=0.7) == [Heard("a", 500, 500)]
    assert playout.all_heard
    assert playout.unplayed_ms(0.7) == 0


def test_a_later_mark_proves_what_was_before_it() -> None:
    playout = Playout()
    send(playout, "a", 500, now_s=0.0)
    later = send(playout, "b", 500, now_s=0.0)
    playout.end_turn()

    assert playout.echoed(later, now_s=1.0) == [Heard("a", 500, 500), Heard("b", 500, 500)]


def test_the_clock_never_runs_past_a_mark_that_has_not_come_back() -> None:
    playout = Playout()
    send(playout, "a", 500, now_s=0.0)
    playout.sent("a", 500, now_s=0.0)

    assert playout.unplayed_ms(5.0) == 500


def test_an_utterance_that_may_go_on_is_not_reported_yet() -> None:
    playout = Playout()
    first = send(playout, "a", 500, now_s=0.0)

    assert playout.echoed(first, now_s=0.5) == []

    playout.sent("a", 300, now_s=0.5)
    second = send(playout, "b", 300, now_s=0.5)
    assert playout.echoed(second, now_s=1.1) == [Heard("a", 800, 800)]


def test_a_clear_tells_what_was_heard_of_each_utterance() -> None:
    playout = Playout()
    first = send(playout, "a", 400, now_s=0.0)
    playout.sent("b", 400, now_s=0.0)
    playout.sent("c", 400, now_s=0.0)
    assert playout.echoed(first, now_s=0.4) == [Heard("a", 400, 400)]

    fates = playout.clear(now_s=0.5)

    assert fates == [Heard("b", 400, 100), Heard("c", 400, 0)]
    assert playout.all_heard
    assert playout.unplayed_ms(0.5) == 0


def test_how_far_each_utterance_is_can_be_asked_at_any_time() -> None:
    playout = Playout()
    assert playout.playing(0.0) == []

    first, *_ = [send(playout, utterance_id, 400, now_s=0.0) for utterance_id in "abc"]

    assert playout.playing(0.3) == [Heard("a", 400, 300), Heard("b", 400, 0), Heard("c", 400, 0)]
    playout.echoed(first, now_s=0.4)
    assert playout.playing(0.5) == [Heard("b", 400, 100), Heard("c", 400, 0)]
    assert playout.unplayed_ms(0.5) == pytest.approx(700)
    # Nothing proves that the second one was played.
    assert playout.playing(9.0) == [Heard("b", 400, 400), Heard("c", 400, 0)]


def test_an_utterance_is_no_longer_playing_once_marks_prove_its_end() -> None:
    playout = Playout()
    mark = send(playout, "a", 400, now_s=0.0)
    playout.sent("b", 400, now_s=0.0)
    playout.echoed(mark, now_s=0.5)

    assert playout.playing(0.75) == [Heard("b", 400, 250)]


def test_nothing_is_playing_after_a_clear() -> None:
    playout = Playout()
    playout.sent("a", 400, now_s=0.0)
    playout.clear(now_s=0.1)

    assert playout.playing(0.2) == []
    assert playout.open_utterances == set()


def test_an_utterance_is_open_until_all_of_its_audio_is_proven() -> None:
    playout = Playout()
    for utterance_id in ("a", "b", "a"):
        mark = send(playout, utterance_id, 400, now_s=0.0)
    assert playout.open_utterances == {"a", "b"}

    playout.end_turn()
    playout.echoed(mark, now_s=1.2)

    assert playout.open_utterances == set()


def test_a_mark_echoed_after_a_clear_counts_as_flushed() -> None:
    playout = Playout()
    flushed = send(playout, "a", 400, now_s=0.0)
    playout.clear(now_s=0.1)
    playout.sent("b", 400, now_s=0.1)

    assert playout.echoed(flushed, now_s=0.1) == []
    assert playout.unplayed_ms(0.1) == 400


def test_audio_after_a_dry_buffer_starts_to_play_when_it_is_sent() -> None:
    playout = Playout()
    playout.sent("a", 100, now_s=0.0)
    playout.sent("b", 1000, now_s=50.0)

    assert playout.unplayed_ms(50.25) == 750
    assert playout.due_s == 51.0


def marked(playout: Playout, *chunks: tuple[str, float]) -> list[bool]:
    """Send chunks at once; returns behind which of them a mark was due."""
    return [playout.sent(utterance_id, ms, now_s=0.0) is not None for utterance_id, ms in chunks]


def test_a_mark_is_due_after_enough_audio_and_never_twice_for_the_same() -> None:
    playout = Playout()
    assert playout.mark() is None
    send(playout, "a", MARK_APART_MS, now_s=0.0)

    assert marked(playout, ("a", MARK_EVERY_MS - 1), ("a", 1), ("a", 1)) == [False, True, False]
    assert playout.mark() is not None
    assert playout.mark() is None


def test_soon_after_a_silence_a_mark_tells_how_late_the_phone_plays() -> None:
    playout = Playout()
    mark = playout.sent("a", MARK_APART_MS, now_s=0.0)
    playout.sent("a", 800, now_s=0.0)
    assert mark is not None

    playout.echoed(mark, now_s=0.5)

    assert playout.unplayed_ms(0.7) == pytest.approx(600)


def test_audio_that_comes_just_in_time_makes_no_more_marks_than_other_audio() -> None:
    playout = Playout()
    now_s, marks = 10.0, 0
    for _ in range(50):
        marks += playout.sent("a", MARK_APART_MS, now_s) is not None
        now_s = playout.due_s + 0.01

    assert marks == 1 + 49 * MARK_APART_MS // MARK_EVERY_MS


def test_the_end_of_an_utterance_is_to_be_proven_once_another_has_begun() -> None:
    playout = Playout()

    assert marked(playout, ("a", 300), ("a", 300), ("b", 300), ("b", 300)) == [
        True,
        False,
        True,
        False,
    ]


def test_many_short_utterances_do_not_make_as_many_marks() -> None:
    playout = Playout()
    chunks = [(utterance_id, MARK_APART_MS / 10) for utterance_id in "ab" * 20]

    assert sum(marked(playout, *chunks)) == 4


def test_an_unknown_mark_means_nothing() -> None:
    playout = Playout()
    playout.sent("a", 400, now_s=0.0)

    assert playout.echoed("x", now_s=0.1) == []
    assert playout.unplayed_ms(0.1) == pytest.approx(300)


def test_much_unplayed_audio_without_marks_is_a_stall() -> None:
    playout = Playout()
    playout.sent("a", STALLED_MS + 1, now_s=0.0)

    assert not playout.is_stalled(STALLED_S)
    assert playout.is_stalled(STALLED_S + 0.1)


def test_a_long_story_whose_marks_come_back_is_no_stall() -> None:
    playout = Playout()
    mark = send(playout, "a", 1000, now_s=0.0)
    playout.sent("a", 2 * STALLED_MS, now_s=0.0)
    playout.echoed(mark, now_s=STALLED_S)

    assert not playout.is_stalled(STALLED_S + 1)


def test_audio_after_a_long_silence_is_no_stall() -> None:
    playout = Playout()
    playout.sent("a", 1000, now_s=0.0)
    playout.sent("a", 2 * STALLED_MS, now_s=100.0)

    assert not playout.is_stalled(100.1)
    assert playout.is_stalled(100.1 + STALLED_S)


def test_what_was_proven_long_ago_does_not_count_as_waiting() -> None:
    playout = Playout()
    mark = send(playout, "a", STALLED_MS, now_s=0.0)
    playout.echoed(mark, now_s=STALLED_MS / 1000)
    playout.sent("a", 1000, now_s=STALLED_MS / 1000)

    assert not playout.is_stalled(STALLED_MS / 1000 + STALLED_S + 1)


class PhoneWithABuffer(RuleBasedStateMachine):
    """Follows a simulated phone that plays, echoes and flushes as Twilio does."""

    def __init__(self) -> None:
        super().__init__()
        self.playout = Playout()
        self.now_s = 0.0
        self.buffer: list[tuple[str, float | str]] = []
        self.sent_ms: dict[str, float] = {}
        self.played_ms: dict[str, float] = {}
        self.reports: dict[str, Heard] = {}
        self.utterances = 0

    @rule(ms=st.integers(1, 900), new=st.booleans())
    def send(self, ms: int, *, new: bool) -> None:
        self.utterances += new or not self.utterances
        utterance = f"u{self.utterances}"
        if utterance in self.reports:
            self.utterances += 1
            utterance = f"u{self.utterances}"
        mark = self.playout.sent(utterance, ms, self.now_s)
        self.sent_ms[utterance] = self.sent_ms.get(utterance, 0) + ms
        self.buffer.append((utterance, float(ms)))
        if mark is not None:
            self.buffer.append(("", mark))

    @rule()
    def mark(self) -> None:
        name = self.playout.mark()
        if name is not None:
            self.buffer.append(("", name))

    @rule(ms=st.integers(1, 2000))
    def play(self, ms: int) -> None:
        end_s = self.now_s + ms / 1000
        while self.buffer:
            utterance, what = self.buffer[0]
            if isinstance(what, str):
                self.buffer.pop(0)
                self.note(self.playout.echoed(what, self.now_s))
                continue
            step = min(what, (end_s - self.now_s) * 1000)
            if step <= 1e-6:
                break
            self.played_ms[utterance] = self.played_ms.get(utterance, 0) + step
            self.now_s += step / 1000
            if step < what - 1e-6:
                self.buffer[0] = (utterance, what - step)
            else:
                self.buffer.pop(0)
        self.now_s = max(self.now_s, end_s)

    @precondition(lambda self: self.buffer)
    @rule()
    def interrupt(self) -> None:
        flushed = [what for _, what in self.buffer if isinstance(what, str)]
        self.buffer.clear()
        self.note(self.playout.clear(self.now_s))
        for name in flushed:
            assert self.playout.echoed(name, self.now_s) == []
        self.utterances += 1

    @rule()
    def end_turn(self) -> None:
        self.playout.end_turn()
        self.utterances += 1

    def note(self, fates: list[Heard]) -> None:
        for fate in fates:
            assert fate.utterance_id not in self.reports
            self.reports[fate.utterance_id] = fate
            assert abs(fate.sent_ms - self.sent_ms[fate.utterance_id]) < 1e-3
            assert abs(fate.heard_ms - self.played_ms.get(fate.utterance_id, 0)) < 1e-3

    @invariant()
    def the_estimate_is_what_the_phone_still_has(self) -> None:
        waiting_ms = sum(what for _, what in self.buffer if isinstance(what, float))
        assert abs(self.playout.unplayed_ms(self.now_s) - waiting_ms) < 1e-3

    @invariant()
    def what_is_playing_is_what_the_phone_has_played_of_it(self) -> None:
        playing = self.playout.playing(self.now_s)
        assert not {fate.utterance_id for fate in playing} & self.reports.keys()
        for fate in playing:
            assert abs(fate.sent_ms - self.sent_ms[fate.utterance_id]) < 1e-3
            assert abs(fate.heard_ms - self.played_ms.get(fate.utterance_id, 0)) < 1e-3


TestPhoneWithABuffer = PhoneWithABuffer.TestCase


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 900)), max_size=20))
def test_what_is_due_is_never_earlier_than_the_audio_is_long(
    chunks: list[tuple[float, float]],
) -> None:
    playout = Playout()
    now_s = total_ms = 0.0
    for wait_s, ms in chunks:
        now_s += wait_s
        playout.sent("a", ms, now_s)
        total_ms += ms
    assert playout.due_s >= total_ms / 1000 - 1e-6
