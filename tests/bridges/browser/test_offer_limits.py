from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges.browser.offer_limits import (
    BURST,
    BUSY_RETRY_S,
    MAX_BEARERS,
    RESTED_S,
    OfferLimits,
)


def once(limits: OfferLimits, secret: str, now_s: float) -> float:
    wait_s = limits.begin(secret, now_s)
    if wait_s == 0.0:
        limits.end(secret)
    return wait_s


def test_one_connection_is_made_at_a_time() -> None:
    limits = OfferLimits()
    assert limits.begin("a", 100.0) == 0.0
    assert limits.begin("a", 100.0) == BUSY_RETRY_S
    assert limits.begin("b", 100.0) == 0.0
    limits.end("a")
    assert limits.begin("a", 100.0) == 0.0
    assert limits.refused == 1


def test_a_page_may_try_some_times_at_once_and_then_every_second() -> None:
    limits = OfferLimits()
    assert [once(limits, "a", 100.0) for _ in range(int(BURST) + 1)] == [0.0] * int(BURST) + [1.0]
    assert once(limits, "a", 100.5) == 0.5
    assert once(limits, "a", 101.0) == 0.0
    assert once(limits, "a", 101.0) == 1.0


def test_whoever_has_rested_is_forgotten() -> None:
    limits = OfferLimits()
    for number in range(10):
        once(limits, str(number), 100.0)
    limits.begin("busy", 100.0)
    once(limits, "new", 100.0 + RESTED_S)
    assert len(limits._bearers) == 2
    assert limits.begin("busy", 100.0 + RESTED_S) == BUSY_RETRY_S


def test_those_who_are_remembered_are_bounded() -> None:
    limits = OfferLimits()
    for number in range(MAX_BEARERS):
        assert once(limits, str(number), 100.0) == 0.0
    assert once(limits, "new", 100.0) == BUSY_RETRY_S
    assert once(limits, "7", 100.0) == 0.0
    assert once(limits, "new", 100.0 + RESTED_S) == 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3)), max_size=60))
def test_nobody_has_more_than_his_share(asked: list[tuple[str, float]]) -> None:
    limits, now_s, granted = OfferLimits(), 100.0, dict.fromkeys("abc", 0)
    for secret, later_s in asked:
        now_s += later_s
        granted[secret] += once(limits, secret, now_s) == 0.0
    assert all(count <= BURST + now_s - 100.0 + 1e-6 for count in granted.values())
