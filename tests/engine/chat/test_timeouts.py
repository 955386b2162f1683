from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.chat.timeouts import (
    AFTER_LAST_WORDS_S,
    CHECK_IN_GRACE_S,
    LAST_WORDS_S,
    MAX_CHAT_S,
    MAX_WORDS_S,
    PAUSE_S,
    WORDS_S,
    ChatLimits,
    Due,
    EventMessage,
    Timeouts,
)

SILENT = EventMessage(enabled=False)
NONE = ChatLimits(inactivity_s=None, max_duration_s=None)
INACTIVE = replace(NONE, inactivity_s=120)
SHORT = replace(NONE, max_duration_s=60)
NUDGING = replace(NONE, nudge_interval_s=10)


def due(
    timeouts: Timeouts,
    now_s: float,
    voice_ends_s: float | None = 0.0,
    *,
    may_nudge: bool = True,
) -> Due | None:
    return timeouts.due(now_s, voice_ends_s, may_nudge=may_nudge)


def next_s(
    timeouts: Timeouts, voice_ends_s: float | None = 0.0, *, may_nudge: bool = True
) -> float | None:
    return timeouts.next_s(voice_ends_s, may_nudge=may_nudge)


def test_without_limits_a_chat_still_ends_after_evis_thirty_minutes() -> None:
    timeouts = Timeouts(NONE, 0)

    assert next_s(timeouts) == MAX_CHAT_S
    assert due(timeouts, MAX_CHAT_S - 1) is None
    assert due(timeouts, MAX_CHAT_S) == "notice"


def test_the_limit_of_a_configuration_cannot_exceed_evis() -> None:
    assert next_s(Timeouts(replace(NONE, max_duration_s=9_999), 0)) == MAX_CHAT_S


def test_an_inactive_chat_is_asked_about_and_then_ended() -> None:
    timeouts = Timeouts(INACTIVE, 0)
    timeouts.caller_spoke(10)

    assert next_s(timeouts) == 130
    assert due(timeouts, 129) is None
    assert due(timeouts, 130) == "check_in"
    assert next_s(timeouts) == 130 + CHECK_IN_GRACE_S
    assert due(timeouts, 144) is None
    assert due(timeouts, 145) == "inactive"


def test_a_caller_who_answers_the_check_in_stays() -> None:
    timeouts = Timeouts(INACTIVE, 0)
    due(timeouts, 120)
    timeouts.caller_spoke(125)

    assert next_s(timeouts) == 245
    assert due(timeouts, 245) == "check_in"


def test_without_a_check_in_an_inactive_chat_ends_at_once() -> None:
    timeouts = Timeouts(replace(INACTIVE, on_inactivity=SILENT), 0)

    assert due(timeouts, 120) == "inactive"


def test_an_agent_that_speaks_is_let_finish() -> None:
    timeouts = Timeouts(INACTIVE, 0)

    assert next_s(timeouts, None) == MAX_CHAT_S
    assert due(timeouts, 500, None) is None
    assert next_s(timeouts, 510) == 510 + PAUSE_S
    assert due(timeouts, 512, 510) is None
    assert due(timeouts, 513, 510) == "check_in"
    assert next_s(timeouts, None) == MAX_CHAT_S
    assert next_s(timeouts, 516) == 516 + CHECK_IN_GRACE_S
    assert due(timeouts, 530, 516) is None
    assert due(timeouts, 531, 516) == "inactive"


def test_the_longest_chat_ends_when_the_notice_has_been_heard() -> None:
    timeouts = Timeouts(SHORT, 0)

    assert due(timeouts, 60) == "notice"
    assert next_s(timeouts, None) == 60 + LAST_WORDS_S
    assert due(timeouts, 61, None) is None
    assert next_s(timeouts, 63) == 63 + AFTER_LAST_WORDS_S
    assert due(timeouts, 63, 63) is None
    assert due(timeouts, 63 + AFTER_LAST_WORDS_S, 63) == "too_long"


def test_a_notice_that_never_ends_cannot_prolong_the_chat() -> None:
    timeouts = Timeouts(SHORT, 0)
    due(timeouts, 60)

    assert due(timeouts, 60 + LAST_WORDS_S, None) == "too_long"
    assert due(timeouts, 60 + LAST_WORDS_S, 500) == "too_long"


def test_without_a_notice_the_longest_chat_ends_at_once() -> None:
    assert due(Timeouts(replace(SHORT, on_max_duration=SILENT), 0), 60, None) == "too_long"


def test_silence_is_broken_again_and_again() -> None:
    timeouts = Timeouts(NUDGING, 0)
    timeouts.caller_spoke(5)

    assert next_s(timeouts, 20) == 30
    assert due(timeouts, 30, 20) == "nudge"
    assert due(timeouts, 31, 20) is None
    assert next_s(timeouts, 33) == 43


@pytest.mark.parametrize(
    ("voice_ends_s", "may_nudge"), [(None, True), (0.0, False)], ids=["speaks", "must not"]
)
def test_nobody_is_nudged_without_reason(voice_ends_s: float | None, may_nudge: bool) -> None:
    timeouts = Timeouts(NUDGING, 0)

    assert next_s(timeouts, voice_ends_s, may_nudge=may_nudge) == MAX_CHAT_S
    assert due(timeouts, 500, voice_ends_s, may_nudge=may_nudge) is None


def test_a_pause_is_no_silence() -> None:
    timeouts = Timeouts(NUDGING, 0)
    timeouts.silence_begins(300)

    assert next_s(timeouts) == 310


def test_a_caller_who_is_speaking_puts_the_nudge_off() -> None:
    timeouts = Timeouts(NUDGING, 0)
    timeouts.caller_is_speaking(9)

    assert next_s(timeouts) == 19


def test_a_caller_who_is_speaking_is_not_asked_whether_he_is_there_but_a_television_is() -> None:
    timeouts = Timeouts(INACTIVE, 0)
    timeouts.caller_is_speaking(120)

    assert due(timeouts, 120) is None
    assert next_s(timeouts) == 120 + WORDS_S
    timeouts.caller_is_speaking(120 + MAX_WORDS_S)
    assert due(timeouts, 120 + MAX_WORDS_S) == "check_in"


@given(
    st.builds(
        ChatLimits,
        inactivity_s=st.none() | st.floats(30, 300),
        max_duration_s=st.none() | st.floats(30, 1800),
        nudge_interval_s=st.none() | st.floats(5, 60),
        on_inactivity=st.sampled_from([EventMessage(), SILENT]),
        on_max_duration=st.sampled_from([EventMessage(), SILENT]),
    ),
    st.lists(st.tuples(st.booleans(), st.none() | st.floats(0, 5)), max_size=60),
)
def test_whoever_sleeps_until_the_next_moment_finds_something_due_and_ends_in_time(
    limits: ChatLimits, course: list[tuple[bool, float | None]]
) -> None:
    timeouts = Timeouts(limits, 0)
    now_s = 0.0
    for spoke, voice_lasts_s in course:
        voice_ends_s = None if voice_lasts_s is None else now_s + voice_lasts_s
        if spoke:
            timeouts.caller_spoke(now_s)
        wake_s = next_s(timeouts, voice_ends_s)
        assert wake_s is not None
        now_s = max(now_s, wake_s)
        found = due(timeouts, now_s, voice_ends_s)
        assert found is not None
        assert now_s <= MAX_CHAT_S + LAST_WORDS_S
        if found in ("inactive", "too_long"):
            break
