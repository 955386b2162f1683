"""What of a page's marks may be believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges.browser import sent_marks
from evibridge.bridges.browser.sent_marks import SLACK_S, SentMark, SentMarks


def test_a_mark_that_comes_when_its_audio_was_played_is_believed_once() -> None:
    marks = SentMarks()
    marks.sent(SentMark("m", 5.0))
    marks.heard("m")
    assert marks.take(5.0 - SLACK_S) == ["m"]
    marks.heard("m")
    assert marks.take(6.0) == []
    assert marks.wake_s is None


def test_a_mark_that_comes_too_early_waits() -> None:
    marks = SentMarks()
    marks.sent(SentMark("first", 5.0))
    marks.sent(SentMark("second", 6.0))
    marks.heard("second")
    marks.heard("first")
    assert marks.take(1.0) == []
    assert marks.wake_s == 5.0 - SLACK_S
    assert marks.take(5.0) == ["first"]
    assert marks.wake_s == 6.0 - SLACK_S
    assert marks.take(6.0) == ["second"]


def test_a_mark_that_was_not_sent_is_not_believed() -> None:
    marks = SentMarks()
    marks.heard("m")
    marks.sent(SentMark("m", 0.0))
    assert marks.take(1.0) == []


def test_what_the_page_has_dropped_may_come_at_once() -> None:
    marks = SentMarks()
    marks.sent(SentMark("told before", 9.0))
    marks.sent(SentMark("told after", 9.0))
    marks.heard("told before")
    marks.clear(1.0)
    assert marks.wake_s == 1.0
    marks.heard("told after")
    assert marks.take(1.0) == ["told before", "told after"]


def test_a_page_that_tells_of_none_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sent_marks, "MAX_SENT", 2)
    marks = SentMarks()
    for name in "abc":
        marks.sent(SentMark(name, 0.0))
        marks.heard("nonsense")
    for name in "abc":
        marks.heard(name)
    assert marks.take(1.0) == ["b", "c"]
    assert marks.forgotten == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(["sent", "heard", "take", "clear"]), st.integers(0, 5)),
        max_size=80,
    )
)
def test_none_is_believed_twice_nor_before_its_time(steps: list[tuple[str, int]]) -> None:
    marks, now_s = SentMarks(), 0.0
    earliest_s: dict[str, float] = {}
    for number, (what, which) in enumerate(steps):
        now_s += 0.1
        if what == "sent":
            mark = SentMark(f"{number}", now_s + which / 10)
            earliest_s[mark.name] = mark.played_s - SLACK_S
            marks.sent(mark)
        elif what == "heard":
            for name in list(earliest_s)[which:]:
                marks.heard(name)
        elif what == "clear":
            marks.clear(now_s)
            earliest_s = dict.fromkeys(earliest_s, now_s)
        else:
            for name in marks.take(now_s):
                assert earliest_s.pop(name) <= now_s
            assert marks.wake_s is None or marks.wake_s > now_s
