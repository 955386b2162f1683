import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.records.rendering import readable
from evibridge.terminal_text import (
    beginning,
    columns,
    ending,
    harmless,
    json_text,
    paragraph,
)
from tests.records.calls import caller, record

ANY_TEXT = st.text(st.characters())
HARMFUL = [*map(chr, (*range(32), *range(127, 160))), "\u202e", "\u2069", "\ud800"]


def test_a_terminal_finds_nothing_to_obey() -> None:
    for character in HARMFUL:
        assert harmless(f"a{character}b") in ("a b", "a\ufffdb")


def test_texts_of_live_calls_are_as_harmless_as_those_of_records() -> None:
    text = "|".join(HARMFUL[:-1])  # half a character does not get into a record

    kept = readable(record(lines=[caller(1.0, text)]).model_dump(), width=400)

    assert f"caller    {harmless(text)}\n" in kept


def test_a_text_becomes_one_line() -> None:
    assert harmless(" Where\n\n is\tit? ") == "Where is it?"


@settings(max_examples=50)
@given(ANY_TEXT, ANY_TEXT)
def test_json_of_any_text_is_harmless_and_says_the_same(name: str, value: str) -> None:
    text = json_text({name: [value, 1]})

    assert json.loads(text) == {name: [value, 1]}
    assert not set(text) & set(HARMFUL) - {"\n"}


def test_json_is_readable() -> None:
    assert json_text({"text": "Köln\x1b[2J"}) == '{\n  "text": "Köln\\u001b[2J"\n}'


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("日本", 4), ("e\u0301", 1), ("a\u200db", 2)]
)
def test_the_width_of_a_text_is_what_it_takes_on_a_terminal(text: str, width: int) -> None:
    assert columns(text) == width


def test_a_text_is_cut_at_either_end() -> None:
    assert (beginning("Where is it?", 8), ending("Where is it?", 8)) == ("Where i…", "… is it?")
    assert (beginning("Where?", 6), ending("Where?", 6)) == ("Where?", "Where?")
    assert (beginning("日本語", 4), ending("日本語", 4)) == ("日…", "…語")


@settings(max_examples=50)
@given(st.text(), st.integers(1, 30))
def test_a_cut_text_fits(text: str, width: int) -> None:
    for cut in (beginning(text, width), ending(text, width)):
        assert columns(cut) <= width
        assert cut == text or "…" in (cut[0], cut[-1])


def test_a_long_text_stands_beside_its_head() -> None:
    assert paragraph("who  ", "one two three four five", 20).split("\n") == [
        "who  one two three four",
        "     five",
    ]
    assert paragraph("who  ", "one two", 80) == "who  one two"
    assert paragraph("who  ", "", 80) == "who  "
