from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges.browser.allowance import Allowance, CallerAllowance


def test_what_was_saved_may_be_taken_at_once_and_the_rest_as_it_comes() -> None:
    allowance = Allowance(per_s=2, burst=4)
    assert [allowance.take(1, 100.0) for _ in range(5)] == [True] * 4 + [False]
    assert not allowance.take(1, 100.4)
    assert allowance.take(1, 100.5)
    assert allowance.refused == 2


def test_nothing_is_taken_of_what_is_too_much() -> None:
    allowance = Allowance(per_s=1, burst=4)
    assert not allowance.take(5, 0.0)
    assert allowance.take(4, 0.0)


@given(st.lists(st.tuples(st.floats(0, 3), st.floats(0, 2)), max_size=100))
def test_never_more_than_the_rate_and_one_burst(steps: list[tuple[float, float]]) -> None:
    allowance, now_s, taken = Allowance(per_s=1.5, burst=2.0), 50.0, 0.0
    for amount, later_s in steps:
        now_s += later_s
        taken += amount if allowance.take(amount, now_s) else 0.0
        assert taken <= 2.0 + 1.5 * (now_s - 50.0) + 1e-6


def test_it_tells_how_long_to_wait() -> None:
    allowance = Allowance(per_s=2, burst=4)
    assert allowance.wait_s(4, 100.0) == 0.0
    allowance.take(4, 100.0)
    assert allowance.wait_s(1, 100.0) == 0.5
    assert allowance.wait_s(4, 101.0) == 1.0
    assert allowance.refused == 0


def test_a_caller_types_a_few_texts_at_once_and_then_one_a_second() -> None:
    caller = CallerAllowance()
    assert [caller.write(1, 10.0) for _ in range(6)] == [0.0] * 5 + [1.0]
    assert caller.write(1, 10.5) == 0.5
    assert caller.write(1, 11.0) == 0.0


def test_long_texts_have_to_wait_for_longer() -> None:
    caller = CallerAllowance()
    assert [caller.write(4_000, 10.0) for _ in range(3)] == [0.0, 0.0, 20.0]
    assert caller.write(200, 11.0) == 0.0, "what is refused costs nothing"
    assert caller.write(4_000, 31.0) == 0.0


def test_a_caller_changes_a_few_things_at_once_and_then_two_a_second() -> None:
    caller = CallerAllowance()
    assert [caller.change(10.0) for _ in range(11)] == [0.0] * 10 + [0.5]
    assert caller.change(10.5) == 0.0


def test_a_caller_comes_back_a_few_times_at_once_and_then_once_a_second() -> None:
    caller = CallerAllowance()
    assert [caller.connect(10.0) for _ in range(11)] == [0.0] * 10 + [1.0]
    assert caller.write(1, 10.0) == 0.0, "that is counted on its own"
    assert caller.connect(11.0) == 0.0
