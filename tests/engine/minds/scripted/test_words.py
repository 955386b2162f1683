import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.minds.scripted.words import MAX_CHARACTERS, MAX_WORDS, Word, alike, words_of


def texts(utterance: str) -> list[str]:
    return [word.text for word in words_of(utterance)]


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Where's my order?", "where is my order"),
        ("What\N{RIGHT SINGLE QUOTATION MARK}s up", "what is up"),
        ("I'd like it", "i would like it"),
        ("I'm here, they're there", "i am here they are there"),
        ("I've paid, she'll pay", "i have paid she will pay"),
        ("I don't, can't and won't", "i do not can not and will not"),
        ("I cannot", "i can not"),
        ("Let's go", "let us go"),
        ("Ada's book", "ada book"),
        ("O'Brien's", "obrien"),
        ("rock'n'roll", "rocknroll"),
        ("OK!", "okay"),
        ("n't", "nt"),
    ],
)
def test_contractions_are_written_out(written: str, words: str) -> None:
    assert texts(written) == words.split()


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("1,042", "1042"),
        ("$1,142,000.", "1142000"),
        ("10.42", "10 42"),
        ("10:42", "10 42"),
        ("#10-42", "10 42"),
        ("19, O5", "19 o5"),
        ("1,2 and 3", "1 2 and 3"),
        ("forty-two", "forty two"),
    ],
)
def test_separators_inside_numbers_are_evened_out(written: str, words: str) -> None:
    assert texts(written) == words.split()


def test_hesitations_and_please_are_no_words() -> None:
    assert texts("Um, could you, er, please say that again, please?") == [
        "could",
        "you",
        "say",
        "that",
        "again",
    ]


def test_a_word_remembers_how_it_was_written() -> None:
    assert words_of("It's Ada") == [Word("it", "It's"), Word("is", ""), Word("ada", "Ada")]


def test_silence_and_punctuation_have_no_words() -> None:
    assert words_of("") == []
    assert words_of(" ... \N{EIGHTH NOTE} ?! ' _") == []


def test_of_a_long_utterance_the_end_counts() -> None:
    assert texts("blah " * MAX_WORDS + "where is it")[-3:] == ["where", "is", "it"]
    assert len(words_of("blah " * (MAX_WORDS + 1))) == MAX_WORDS
    assert texts("x" * MAX_CHARACTERS + " it")[-1] == "it"
    assert sum(map(len, texts("x" * (3 * MAX_CHARACTERS)))) == MAX_CHARACTERS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("open", "opening"),
        ("close", "closing"),
        ("close", "closed"),
        ("recommend", "recommendations"),
        ("reserve", "reservation"),
        ("deliver", "delivery"),
        ("delivery", "deliveries"),
        ("close", "clone"),
        ("order", "odrer"),
        ("orders", "oders"),
        ("price", "prices"),
        ("parcel", "parcels"),
        ("refund", "refunnd"),
    ],
)
def test_slips_and_endings_are_forgiven_both_ways(one: str, other: str) -> None:
    assert alike(one, other)
    assert alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("book", "look"),
        ("good", "goodbye"),
        ("car", "cars"),
        ("order", "older men"),
        ("order", "porter"),
        ("1042", "1043"),
        ("parcel", "people"),
        ("opening", "hours"),
        ("abcde", "bacdef"),
    ],
)
def test_different_words_are_kept_apart(one: str, other: str) -> None:
    assert not alike(one, other)
    assert not alike(other, one)


@given(st.text())
def test_any_text_is_read_as_lower_case_words(text: str) -> None:
    for word in words_of(text):
        assert word.text
        assert word.text == word.text.lower()
        assert "'" not in word.text
