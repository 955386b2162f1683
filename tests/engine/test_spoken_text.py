import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.spoken_text import spoken_text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Call 020 7946 0018.", "Call 0 2 0, 7 9 4 6, 0 0 1 8."),
        ("Call +44 20 7946 0018 now", "Call plus 4 4, 2 0, 7 9 4 6, 0 0 1 8 now"),
        ("order 0042", "order 0 0 4 2"),
        ("order #0042!", "order #0 0 4 2!"),
        ("ISBN 978-0-14-143951-8", "ISBN 9 7 8, 0, 1 4, 1 4 3 9 5 1, 8"),
        ("parcel 9780141439518", "parcel 9 7 8 0 1 4 1 4 3 9 5 1 8"),
    ],
)
def test_numbers_that_are_names_are_read_digit_by_digit(text: str, spoken: str) -> None:
    assert spoken_text(text) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "Order 1042 is number 7 of 100000.",
        "It costs £12.50, not 0.5 or £1000000 or 1,000,000.05.",
        "From 09:30 to 10:00 on 2026-11-21 or 05/06/2026.",
        "R2D2 has 3-4 of A0042-07B.",
        "",
    ],
)
def test_everything_else_is_left_alone(text: str) -> None:
    assert spoken_text(text) == text


@given(st.text(st.sampled_from("0123456789 -+.,:/£a#"), max_size=60))
def test_no_digit_is_lost(text: str) -> None:
    digits = [character for character in text if character.isdigit()]
    assert [character for character in spoken_text(text) if character.isdigit()] == digits
