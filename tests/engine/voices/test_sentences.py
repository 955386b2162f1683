import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evibridge.engine.voices.sentences import MAX_CHARACTERS, SentenceStream, sentences


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello. How can I help?", ["Hello.", "How can I help?"]),
        ("Oh! Really? Well… Yes.", ["Oh!", "Really?", "Well…", "Yes."]),
        ("No end", ["No end"]),
        ("  Much \t space.\n", ["Much space."]),
        ("First line\nsecond line", ["First line", "second line"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ('"Stop!" he said. (It was late.) So?', ['"Stop!" he said.', "(It was late.)", "So?"]),
        ("Well... maybe not.", ["Well... maybe not."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_a_reply_is_cut_where_a_voice_would_pause(text: str, pieces: list[str]) -> None:
    assert sentences(text) == pieces


@pytest.mark.parametrize(
    "text",
    [
        "Dr. Brown and Mrs. Smith are here.",
        "It is on St. James Street.",
        "J. K. Rowling wrote it.",
        "Take some fruit, e.g. Apples.",
        "It costs £12.50 or 1,042 pence.",
        "We open at 10:30, or at 9 a.m. on Mondays.",
        "Your order no. 1042 is No. 5 in the queue.",
        "Your order No. #1042 is ready.",
        "1. Open the box",
    ],
)
def test_what_belongs_together_stays_whole(text: str) -> None:
    assert sentences(text) == [text]


@pytest.mark.parametrize(
    "text", ["No. That is wrong.", "So am I. Good.", "It was 1984. Then came 1985."]
)
def test_what_only_looks_like_an_abbreviation_is_an_end(text: str) -> None:
    assert len(sentences(text)) == 2


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Thank you! 🙂", ["Thank you! 🙂"]),
        ("🙂 Thank you!", ["🙂 Thank you!"]),
        ("Yes. ... No.", ["Yes.", "... No."]),
        ("...", ["..."]),
    ],
)
def test_what_cannot_be_spoken_is_no_piece_of_its_own(text: str, pieces: list[str]) -> None:
    assert sentences(text) == pieces


def test_a_long_first_sentence_begins_with_its_first_clause() -> None:
    first = "Your order has left our house this morning,"
    second = "so that it should be with you by Friday, unless the snow keeps the driver away."
    assert sentences(f"Good news! {first} {second}") == ["Good news!", f"{first} {second}"]
    assert sentences(f"{first} {second}") == [first, second]


@pytest.mark.parametrize(
    "text",
    [
        "Well, here the only comma comes so early that the first piece would be one short word.",
        "Here the only comma comes so late that what is left is one single short word, really.",
    ],
)
def test_a_long_first_sentence_without_a_good_clause_stays_whole(text: str) -> None:
    assert sentences(text) == [text]


def test_a_sentence_that_is_too_long_is_cut_behind_its_last_clause() -> None:
    clauses = [f"clause {n} is not very different from all of the others;" for n in range(6)]
    pieces = sentences("Listen. Now " + " ".join(clauses))
    assert pieces == ["Listen.", "Now " + " ".join(clauses[:3]), " ".join(clauses[3:])]


def test_a_sentence_without_clauses_is_cut_between_words() -> None:
    pieces = sentences("word " * 100)
    assert [len(piece) for piece in pieces] == [199, 199, 99]


def test_only_a_word_longer_than_a_piece_is_cut() -> None:
    assert sentences("a" * 450) == ["a" * 200, "a" * 200, "a" * 50]


_TEXT = st.text(st.sampled_from("aB1 .,;:!?…-—\n\"')(🙂"), max_size=700) | st.text(max_size=300)


@given(_TEXT)
@example("Hello" + " !" * 300)
def test_nothing_is_lost_or_reordered_and_every_piece_is_short(text: str) -> None:
    pieces = sentences(text)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece == " ".join(piece.split()) and piece for piece in pieces)
    assert all(len(piece) <= MAX_CHARACTERS for piece in pieces)


@given(st.lists(st.text(st.sampled_from("abc.,!?1"), min_size=1, max_size=30), max_size=80))
def test_words_stay_whole(words: list[str]) -> None:
    assert " ".join(sentences(" ".join(words))).split() == words


def given_at(text: str) -> list[tuple[str, str]]:
    """Feed one character at a time: each sentence with all the text that had come by then."""
    stream = SentenceStream()
    known = [
        (sentence, text[: end + 1])
        for end, character in enumerate(text)
        for sentence in stream.feed(character)
    ]
    return known + [(sentence, "") for sentence in stream.flush()]


@pytest.mark.parametrize(
    ("text", "moments"),
    [
        ("Hello. How? 1 is.", [("Hello.", "Hello. H"), ("How?", "Hello. How? 1"), ("1 is.", "")]),
        ("Line\nnext", [("Line", "Line\nn"), ("next", "")]),
        ("Hi! 🙂 Bye", [("Hi!", "Hi! 🙂 B"), ("🙂 Bye", "")]),
        ("Hi! 🙂", [("Hi! 🙂", "")]),
        ("It costs 3.50.", [("It costs 3.50.", "")]),
        ("Ask Dr. Who.", [("Ask Dr. Who.", "")]),
        ('Well... "maybe."', [('Well... "maybe."', "")]),
        ('So. "Yes."', [("So.", 'So. "Y'), ('"Yes."', "")]),
        ("Order no. #7 is.", [("Order no. #7 is.", "")]),
        ("No. #x", [("No.", "No. #x"), ("#x", "")]),
    ],
)
def test_a_streamed_sentence_is_given_as_soon_as_it_is_known(
    text: str, moments: list[tuple[str, str]]
) -> None:
    assert given_at(text) == moments


def test_a_long_first_sentence_is_not_waited_for() -> None:
    clause = "Your order has left our house this morning,"
    text = f"{clause} so that it should be with you by Friday, unless the snow keeps it."
    (first, text_by_then), *_ = given_at(text)
    assert first == clause
    assert len(text_by_then) == 81


def test_a_word_without_end_is_not_waited_for() -> None:
    stream = SentenceStream()
    pieces = [piece for _ in range(1000) for piece in stream.feed("ab")]
    assert pieces == ["ab" * 100] * 9


@pytest.mark.parametrize("mark", ["(", "!", " ("])
def test_marks_without_end_are_not_held_back(mark: str) -> None:
    stream = SentenceStream()
    pieces = stream.feed("Hello. ") + [piece for _ in range(500) for piece in stream.feed(mark)]
    assert pieces[0].startswith("Hello.")
    assert len(pieces) > 2


def test_a_text_may_go_on_behind_a_flush() -> None:
    stream = SentenceStream()
    clause = "Here the first clause of a long sentence is long enough to be spoken by itself,"
    assert stream.feed("Hel") + stream.flush() + stream.feed("lo. ") + stream.flush() == [
        "Hel",
        "lo.",
    ]
    assert stream.feed(f"{clause} and the rest. So") == [f"{clause} and the rest."]


@given(_TEXT, st.data())
@example("Hello. " + "(" * 20 + "a", None)
@example("Hello.\r\n\r\n1. One\r\n", None)
@example("word " * 39 + "and ends. " + '"' * 20 + " Then more", None)
def test_a_text_is_cut_alike_however_it_comes(text: str, data: st.DataObject | None) -> None:
    stream = SentenceStream()
    pieces: list[str] = []
    rest = text
    while rest:
        size = data.draw(st.integers(1, 12)) if data else 1
        pieces += stream.feed(rest[:size])
        rest = rest[size:]
    assert pieces + stream.flush() == sentences(text)
    assert stream.feed("") == stream.flush() == []
