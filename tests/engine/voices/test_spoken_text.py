import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.voices.sentences import sentences
from evibridge.engine.voices.spoken_text import spoken_text


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Call 020 7946 0018.", "Call 0 2 0, 7 9 4 6, 0 0 1 8."),
        ("Call +44 20 7946 0018 now", "Call plus 4 4, 2 0, 7 9 4 6, 0 0 1 8 now"),
        ("order 0042", "order 0 0 4 2"),
        ("order #0042!", "order #0 0 4 2!"),
        ("ISBN 978-0-14-143951-8", "ISBN 9 7 8, 0, 1 4, 1 4 3 9 5 1, 8"),
        ("parcel 9780141439518", "parcel 9 7 8 0 1 4 1 4 3 9 5 1 8"),
        ("Call **020 7946 0018**.", "Call 0 2 0, 7 9 4 6, 0 0 1 8."),
    ],
)
def test_numbers_that_are_names_are_read_digit_by_digit(text: str, spoken: str) -> None:
    assert spoken_text(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("This is **bold** and *this* is _too_.", "This is bold and this is too."),
        ("It is ***very*** __important__, **really**!", "It is very important, really!"),
        ("**Bold with _more_ inside**", "Bold with more inside"),
        ("**Total: 42**", "Total: 42"),
        ("un**believ**able", "unbelievable"),
        ("(*softly*)", "(softly)"),
        ("Use `pip install`, not ~~easy_install~~.", "Use pip install, not easy_install."),
        ("## What we sell", "What we sell"),
        ("- Tea", "Tea"),
        ("* **Tea**: hot", "Tea: hot"),
        ("• Tea", "Tea"),
        ("> - Tea", "Tea"),
        ("--- Next", "Next"),
        ("1. Open the box", "1. Open the box"),
        ("```python", ""),
        ("``` That is all.", "That is all."),
        ("| Tea | 2 pounds |", "Tea, 2 pounds"),
        ("| --- | :-: | | Tea | 2 pounds |", "Tea, 2 pounds"),
        ("2 pounds |", "2 pounds"),
    ],
)
def test_markdown_loses_its_marks_and_keeps_its_words(text: str, spoken: str) -> None:
    assert spoken_text(text) == spoken


@pytest.mark.parametrize(
    ("halves", "spoken"),
    [
        ("**Hello there. How are you?**", "Hello there. How are you?"),
        ("*Hello there. How are you?*", "Hello there. How are you?"),
        ("**Order 7 is here. It costs 42**", "Order 7 is here. It costs 42"),
        ("_Not now. Maybe later_, he said.", "Not now. Maybe later, he said."),
        ("See [our site. It is new](https://a.example/b) now.", "See [our site. It is new now."),
    ],
)
def test_a_mark_whose_other_half_is_in_another_sentence_is_dropped_too(
    halves: str, spoken: str
) -> None:
    assert " ".join(spoken_text(sentence) for sentence in sentences(halves)) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Look at [our shop](https://shop.example/a?b=c).", "Look at our shop."),
        ('[Tea](https://en.example/wiki/Tea_(drink) "Tea")', "Tea"),
        ("![A cup](cup.png)", "A cup"),
        ("[https://www.shop.example/a](https://shop.example/a)", "shop.example"),
        ("Go to https://www.shop.example:8443/a_b/c?d=0042#e.", "Go to shop.example."),
        ("Go to **https://shop.example/a**!", "Go to shop.example!"),
        ("(see www.shop.example/a)", "(see shop.example)"),
        ("<https://me:secret@shop.example>", "shop.example"),
        ("mail joe@shop.example", "mail joe@shop.example"),
    ],
)
def test_links_are_read_as_their_text_and_addresses_as_their_host(text: str, spoken: str) -> None:
    assert spoken_text(text) == spoken


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Thank you! 🙂", "Thank you!"),
        ("🎉 Done 👩‍💻👍🏽, really ❤️!", "Done, really!"),
        ("Tea🍵or coffee", "Tea or coffee"),
        ("Press 1️⃣", "Press 1"),
        ("🙂", ""),
    ],
)
def test_pictures_are_silent(text: str, spoken: str) -> None:
    assert spoken_text(text) == spoken


@pytest.mark.parametrize(
    "text",
    [
        "Order 1042 is number 7 of 100000.",
        "It costs £12.50, not 0.5 or £1000000 or 1,000,000.05.",
        "From 09:30 to 10:00 on 2026-11-21 or 05/06/2026.",
        "R2D2 has 3-4 of A0042-07B.",
        "5 * 3 is 15, 2**3 is 8, 2 ** 3 too.",
        "Set snake_case, a_b and C# to #1.",
        "Dial *67 or *69.",
        "In a 4* hotel she got an A*.",
        "*",
        "_ or *",
        "-5 degrees, ~10 % | less",
        "x[0] (not 1)",
        "10 > 5 and -",
        "> 5",
        "日本語、हिन्दी और العربية‎",
        "",
    ],
)
def test_everything_else_is_left_alone(text: str) -> None:
    assert spoken_text(text) == text


@given(st.text(st.sampled_from("0123456789 -+.,:/£a#*_|"), max_size=60))
def test_no_digit_is_lost(text: str) -> None:
    digits = [character for character in text if character.isdigit()]
    assert [character for character in spoken_text(text) if character.isdigit()] == digits


@given(st.text(st.sampled_from("abC1 .,!*_#|->~[]'\"🙂"), max_size=80))
def test_no_word_is_lost_and_nothing_is_added(text: str) -> None:
    spoken = spoken_text(text)
    words = [character for character in text if character.isalnum()]
    assert [character for character in spoken if character.isalnum()] == words
    assert spoken == " ".join(spoken.split())


@given(st.text(max_size=200))
def test_any_text_can_be_prepared(text: str) -> None:
    assert len(spoken_text(text)) <= 3 * len(text) + len("plus ")
