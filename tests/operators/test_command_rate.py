import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.operators.command_rate import CommandRate


def test_a_few_commands_may_come_at_once() -> None:
    rate = CommandRate(per_s=10.0, burst=3)

    waits_s = [rate.wait_s("anna", 100.0) for _ in range(4)]

    assert waits_s == [0.0, 0.0, 0.0, pytest.approx(0.1)]


def test_who_waits_as_long_as_told_is_let_in() -> None:
    rate = CommandRate(per_s=10.0, burst=1)
    rate.wait_s("anna", 100.0)

    wait_s = rate.wait_s("anna", 100.02)

    assert wait_s == pytest.approx(0.08)
    assert rate.wait_s("anna", 100.02 + wait_s + 1e-6) == 0.0


def test_a_command_that_was_refused_costs_nothing() -> None:
    rate = CommandRate(per_s=10.0, burst=1)
    rate.wait_s("anna", 100.0)

    assert [rate.wait_s("anna", 100.05) for _ in range(3)] == [pytest.approx(0.05)] * 3


def test_nobody_waits_for_another() -> None:
    rate = CommandRate(per_s=10.0, burst=1)
    rate.wait_s("anna", 100.0)

    assert rate.wait_s("bob", 100.0) == 0.0


@given(st.lists(st.floats(0.0, 2.0), max_size=60))
def test_over_any_time_no_more_come_than_may(pauses_s: list[float]) -> None:
    rate, now_s, let_in_s = CommandRate(per_s=5.0, burst=4), 0.0, []
    for pause_s in pauses_s:
        now_s += pause_s
        if rate.wait_s("anna", now_s) == 0.0:
            let_in_s.append(now_s)

    for first, begin_s in enumerate(let_in_s):
        for count, end_s in enumerate(let_in_s[first:], start=1):
            assert count <= 4 + 5.0 * (end_s - begin_s) + 1e-6
