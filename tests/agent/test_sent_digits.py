from evibridge.agent.sent_digits import DigitsToSend
from evibridge.dialling import MAX_KEYS


def test_keys_are_pressed_in_rows() -> None:
    digits = DigitsToSend()
    assert (digits.wait, digits.all_pressed) == (False, True)
    digits.add("1")
    digits.add("2#")

    assert (digits.wait, digits.all_pressed) == (True, False)
    assert digits.take() == "12#"


def test_those_that_come_while_others_are_pressed_wait() -> None:
    digits = DigitsToSend()
    digits.add("1")
    digits.take()
    digits.add("2")
    assert (digits.wait, digits.all_pressed) == (False, False)

    digits.pressed(1.2)

    assert digits.wait
    assert digits.take() == "2"


def test_no_more_wait_than_can_be_pressed_in_a_row() -> None:
    digits = DigitsToSend()
    digits.add("1" * MAX_KEYS)
    digits.add("2")

    assert digits.take() == "1" * MAX_KEYS


def test_the_line_carries_tones_until_they_are_over() -> None:
    digits = DigitsToSend()
    digits.add("1")
    digits.take()
    digits.pressed(1.2)

    assert (digits.sound(1.1), digits.sound(1.2)) == (True, False)
    assert digits.all_pressed
