import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.agent.digits import MAX_ENTRY, MAX_REMEMBERED, DigitCollection, Digits

PAUSE_S = 2.0
KEYS = "0123456789*#ABCD"


def after_keys(keys: str, collection: DigitCollection | None = None) -> Digits:
    digits = Digits(collection or DigitCollection(pause_s=PAUSE_S))
    for key in keys:
        assert digits.pressed(key, 10.0) is None
    return digits


class TestEntries:
    def test_a_pause_ends_an_entry(self) -> None:
        digits = after_keys("1042")

        assert digits.wake_s == 10.0 + PAUSE_S
        assert digits.woke(11.9) is None
        assert digits.woke(12.0) == "1042"

    def test_every_key_begins_the_pause_anew(self) -> None:
        digits = after_keys("1")
        digits.pressed("2", 11.5)

        assert digits.wake_s == 11.5 + PAUSE_S
        assert digits.woke(12.0) is None

    def test_an_entry_is_told_once(self) -> None:
        digits = after_keys("1042")
        digits.woke(12.0)

        assert digits.wake_s is None
        assert digits.woke(99.0) is None

    def test_nothing_is_waited_for_before_the_first_key(self) -> None:
        digits = after_keys("")

        assert digits.wake_s is None
        assert digits.woke(99.0) is None

    def test_the_end_key_ends_an_entry_at_once_and_is_no_part_of_it(self) -> None:
        digits = after_keys("1042")

        assert digits.pressed("#", 10.5) == "1042"
        assert digits.wake_s is None

    def test_the_end_key_alone_is_an_entry(self) -> None:
        assert after_keys("").pressed("#", 10.0) == "#"

    def test_without_an_end_key_every_key_is_part_of_an_entry(self) -> None:
        digits = after_keys("10#", DigitCollection(pause_s=PAUSE_S, end_key=None))

        assert digits.woke(12.0) == "10#"

    def test_an_entry_too_long_for_a_number_is_told_and_another_one_begins(self) -> None:
        digits = after_keys("7" * (MAX_ENTRY - 1))

        assert digits.pressed("8", 10.0) == "7" * (MAX_ENTRY - 1) + "8"
        assert digits.wake_s is None
        assert digits.pressed("9", 10.0) is None
        assert digits.woke(12.0) == "9"


class TestMemory:
    def test_all_keys_are_remembered_in_order_end_keys_among_them(self) -> None:
        digits = after_keys("12")
        digits.pressed("#", 10.0)
        digits.pressed("3", 11.0)

        assert digits.all == "12#3"

    def test_the_oldest_keys_of_very_many_are_forgotten(self) -> None:
        digits = after_keys("")
        for _ in range(MAX_REMEMBERED):
            digits.pressed("1", 10.0)
        digits.pressed("2", 10.0)

        assert digits.all == "1" * (MAX_REMEMBERED - 1) + "2"


class TestCollection:
    @pytest.mark.parametrize("pause_s", [0, -1.5])
    def test_a_pause_that_is_no_time_is_refused(self, pause_s: float) -> None:
        with pytest.raises(ValueError, match=f"more than 0 seconds, not {pause_s:g}"):
            DigitCollection(pause_s=pause_s)

    @pytest.mark.parametrize("end_key", ["", "E", "##", "12"])
    def test_an_end_key_that_no_telephone_has_is_refused(self, end_key: str) -> None:
        with pytest.raises(ValueError, match=f"one key of a telephone, not '{end_key}'"):
            DigitCollection(end_key=end_key)

    @pytest.mark.parametrize("end_key", [*KEYS, None])
    def test_every_key_of_a_telephone_can_be_the_end_key_or_none(self, end_key: str | None) -> None:
        assert DigitCollection(end_key=end_key).end_key == end_key


@given(
    st.lists(st.tuples(st.sampled_from(KEYS), st.floats(0, 3))),
    st.sampled_from([*KEYS, None]),
)
def test_every_key_is_told_in_exactly_one_entry_whatever_the_pauses(
    keys: list[tuple[str, float]], end_key: str | None
) -> None:
    digits = Digits(DigitCollection(pause_s=PAUSE_S, end_key=end_key))
    now_s = 0.0
    entries: list[str] = []
    for key, wait_s in keys:
        now_s += wait_s
        entries += filter(None, [digits.woke(now_s)])
        entries += filter(None, [digits.pressed(key, now_s)])
    assert digits.wake_s is None or now_s < digits.wake_s <= now_s + PAUSE_S
    entries += filter(None, [digits.woke(now_s + PAUSE_S)])

    pressed = "".join(key for key, _ in keys if key != end_key)
    assert "".join(entry for entry in entries if entry != end_key) == pressed
    assert all(len(entry) <= MAX_ENTRY for entry in entries)
    assert digits.wake_s is None
