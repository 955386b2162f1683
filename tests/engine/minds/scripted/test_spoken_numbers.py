import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.minds.scripted.spoken_numbers import SpokenNumber, read_number

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
TEENS = [
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def below_hundred(value: int) -> str:
    if value < 10:
        return DIGITS[value]
    if value < 20:
        return TEENS[value - 10]
    tens, unit = divmod(value, 10)
    return f"{TENS[tens - 2]} {DIGITS[unit]}" if unit else TENS[tens - 2]


def below_thousand(value: int, *, link: str) -> str:
    hundreds, rest = divmod(value, 100)
    words = [f"{DIGITS[hundreds]} hundred"] if hundreds else []
    if rest:
        words += [link, below_hundred(rest)] if hundreds else [below_hundred(rest)]
    return " ".join(filter(None, words))


def cardinal(value: int, *, link: str) -> str:
    thousands, rest = divmod(value, 1000)
    words = [below_thousand(thousands, link=link), "thousand"] if thousands else []
    if rest:
        words += [link] if thousands and rest < 100 else []
        words.append(below_thousand(rest, link=link))
    return " ".join(filter(None, words))


def read(text: str) -> str | None:
    words = text.split()
    number = read_number(words, 0)
    if number is None:
        return None
    assert number.end == len(words), f"stopped before {words[number.end :]}"
    return number.digits


@pytest.mark.parametrize(
    "text",
    [
        "1042",
        "10 42",
        "1 0 4 2",
        "1 o 4 2",
        "10 4 2",
        "ten forty two",
        "ten 42",
        "10 forty two",
        "ten four two",
        "one zero four two",
        "one oh four two",
        "one o four two",
        "one nought four two",
        "one oh for two",
        "one oh four to",
        "one oh four too",
        "one thousand forty two",
        "one thousand and forty two",
        "a thousand and forty two",
        "1 thousand and 42",
        "1 thousand 42",
        "1000 and 42",
    ],
)
def test_every_way_to_read_out_1042_gives_1042(text: str) -> None:
    assert read(text) == "1042"


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("10 o5", "1005"),
        ("19 o5", "1905"),
        ("nineteen oh five", "1905"),
        ("nineteen hundred and five", "1905"),
        ("twenty oh five", "2005"),
        ("twenty twenty four", "2024"),
        ("two thousand and seven", "2007"),
        ("1 double 0 7", "1007"),
        ("double oh seven", "007"),
        ("one triple zero", "1000"),
        ("1400 and 31", "1431"),
        ("one thousand four hundred and thirty one", "1431"),
        ("4 hundred and 5", "405"),
        ("four hundred", "400"),
        ("a hundred and one", "101"),
        ("fourty two", "42"),
        ("forty 2", "42"),
        ("007", "007"),
        ("o 7", "07"),
        ("one hundred and twenty three thousand four hundred and five", "123405"),
        ("123456789", "123456789"),
        ("one two for four", "1244"),
    ],
)
def test_numbers_keep_the_digits_that_were_meant(text: str, digits: str) -> None:
    assert read(text) == digits


@pytest.mark.parametrize(
    "text", ["order", "and", "hundred", "double", "double trouble", "oo", "o'"]
)
def test_other_words_are_no_numbers(text: str) -> None:
    assert read_number(text.split(), 0) is None


def test_a_leading_oh_is_an_exclamation() -> None:
    words = ["oh", "ten", "forty", "two"]
    assert read_number(words, 0) is None
    assert read_number(words, 1) == SpokenNumber("1042", 4)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("one for ada", SpokenNumber("1", 1)),
        ("one two for ada", SpokenNumber("12", 2)),
        ("ten to nine", SpokenNumber("10", 1)),
        ("1042 and 3 books", SpokenNumber("1042", 1)),
        ("four hundred 310", SpokenNumber("400310", 3)),
        ("1042 please", SpokenNumber("1042", 1)),
        ("five and six", SpokenNumber("5", 1)),
        ("1000 and you", SpokenNumber("1000", 1)),
        ("ten double rooms", SpokenNumber("10", 1)),
    ],
)
def test_a_number_ends_where_other_words_begin(text: str, number: SpokenNumber) -> None:
    assert read_number(text.split(), 0) == number


@given(st.integers(1, 99_999), st.sampled_from(["and", ""]))
def test_a_cardinal_is_read_as_its_value(value: int, link: str) -> None:
    assert read(cardinal(value, link=link)) == str(value)


@given(st.text("0123456789", min_size=1, max_size=12))
def test_digits_read_one_by_one_keep_every_zero(digits: str) -> None:
    assert read(" ".join(DIGITS[int(digit)] for digit in digits)) == digits
    assert read(" ".join(digits)) == digits


@given(st.text("123456789", min_size=2, max_size=12).filter(lambda digits: len(digits) % 2 == 0))
def test_digits_read_in_pairs_are_joined(digits: str) -> None:
    pairs = [int(digits[at : at + 2]) for at in range(0, len(digits), 2)]
    assert read(" ".join(below_hundred(pair) for pair in pairs)) == digits


@given(
    st.lists(
        st.sampled_from([*DIGITS, *TENS, "oh", "o", "hundred", "thousand", "and", "a", "double"])
        | st.text("0123456789o", min_size=1, max_size=5),
        min_size=1,
        max_size=12,
    )
)
def test_any_words_give_digits_or_nothing(words: list[str]) -> None:
    number = read_number(words, 0)
    if number is not None:
        assert number.digits.isdigit()
        assert 0 < number.end <= len(words)
