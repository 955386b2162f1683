from evibridge.agent.response_clock import ANSWER_WITHIN_S, MAX_LATE_S, ResponseClock


def asked_clock() -> ResponseClock:
    """A caller whose voice the chat hears from second 10 on has asked something until 12.5."""
    clock = ResponseClock()
    clock.hears_from(10.0)
    clock.caller_said(2500, 13.4, typed=False)
    return clock


def test_an_answer_is_timed_from_the_end_of_the_callers_words_to_its_first_sound() -> None:
    clock = asked_clock()
    clock.answers("u1", 13.5)

    assert clock.is_awaited
    assert clock.sounded("u1", 13.75) == 1250
    assert clock.sounded("u1", 13.95) is None


def test_a_sentence_that_answers_nothing_is_not_timed() -> None:
    clock = asked_clock()

    assert not clock.is_awaited
    assert clock.sounded("said by an operator", 13.5) is None
    clock.answers("u1", 13.5)
    assert clock.sounded("said by an operator", 13.6) is None
    assert clock.sounded("u1", 13.75) == 1250


def test_nobody_waits_for_what_is_said_unasked() -> None:
    clock = ResponseClock()
    clock.answers("greeting", 0.9)

    assert not clock.is_awaited
    assert clock.sounded("greeting", 1.0) is None


def test_an_answer_that_was_announced_without_an_id_is_the_next_that_sounds() -> None:
    clock = asked_clock()
    clock.answers(None, 13.5)

    assert clock.sounded("u1", 13.75) == 1250


def test_the_first_sentence_of_an_answer_counts() -> None:
    clock = asked_clock()
    clock.answers("u1", 13.5)
    clock.answers("u2", 13.5)

    assert clock.sounded("u2", 13.75) is None
    assert clock.sounded("u1", 13.75) == 1250


def test_the_last_of_the_callers_words_count() -> None:
    clock = asked_clock()
    clock.answers("u1", 13.5)
    clock.caller_said(4000, 14.9, typed=False)

    assert not clock.is_awaited
    clock.answers("u2", 13.5)
    assert clock.sounded("u2", 15.0) == 1000


def test_typed_words_end_when_they_come() -> None:
    clock = ResponseClock()
    clock.caller_said(0, 20.0, typed=True)
    clock.answers("u1", 20.1)

    assert clock.sounded("u1", 20.3) == 300


def test_words_that_would_have_ended_long_ago_or_later_count_as_just_said() -> None:
    for end_ms in (0, 9_000_000):
        clock = ResponseClock()
        clock.hears_from(0.0)
        clock.caller_said(end_ms, MAX_LATE_S + 1, typed=False)
        clock.answers("u1", MAX_LATE_S + 1.1)

        assert clock.sounded("u1", MAX_LATE_S + 1.2) == 200


def test_an_answer_that_was_cut_off_is_not_timed() -> None:
    clock = asked_clock()
    clock.answers("u1", 13.5)
    clock.forget()

    assert clock.sounded("u1", 13.75) is None


def test_what_is_said_much_later_answers_nothing() -> None:
    clock = asked_clock()
    clock.answers("u1", 12.5 + ANSWER_WITHIN_S + 0.1)

    assert not clock.is_awaited
    clock.answers("u2", 12.5 + ANSWER_WITHIN_S + 0.2)
    assert not clock.is_awaited
