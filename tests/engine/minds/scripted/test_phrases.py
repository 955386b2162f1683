import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.minds.scripted.alignment import Match
from evibridge.engine.minds.scripted.phrases import MAX_FORMS, MAX_PARTS, Phrase
from evibridge.engine.minds.scripted.utterance import Utterance
from evibridge.errors import EngineSetupError


def match(phrase: str, said: str) -> Match | None:
    return Phrase.parse(phrase).match(Utterance(said))


def caught(phrase: str, said: str) -> dict[str, str]:
    found = match(phrase, said)
    assert found is not None, f"{said!r} was not heard as {phrase!r}"
    return found.slots


def score(phrase: str, said: str) -> float:
    found = match(phrase, said)
    return found.score if found else 0


ORDER = "where is (my|the|) order {order_id:number}"


@pytest.mark.parametrize(
    "said",
    [
        "Where is order 1042?",
        "where is order 10 42",
        "Where is order 10-42?",
        "Where is order 1,042?",
        "Where is order $1,042?",
        "Where is order 10.42",
        "Where is order #1042?",
        "Where's my order, 1042?",
        "Where is my order number 1042?",
        "Where is order ten forty-two?",
        "Where is order one zero four two?",
        "Where is the order one oh four two, please?",
        "Where is order 1 0 4 2.",
        "Um, hello, where is, uh, order one thousand and forty-two?",
        "Where in order number, one oh for two.",
        "Where is my older 1042?",
        "Where is my orders 1042?",
        "Good morning, I would like to know where my order 1042 is.",
    ],
)
def test_an_order_is_found_however_the_question_is_written(said: str) -> None:
    assert caught(ORDER, said) == {"order_id": "1042"}


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("what are your opening hours", "Opening hours?"),
        ("what are your opening hours", "What are your open hours"),
        ("when do you close on saturday", "when you clone on Saturday."),
        ("goodbye", "Good bye!"),
        ("goodbye", "Good-bye."),
        ("bookshop", "the book shop"),
        ("no thanks that is all", "No things, that's all."),
        ("tell me about the shop", "Tell me I'm out in the shop."),
        ("how are you", "How are you today?"),
        ("(thanks|thank you)", "Thank you very much."),
        ("are you (a robot|a machine)", "Are you a machine?"),
        ("(good|nice|) evening", "evening"),
    ],
)
def test_two_thirds_of_a_phrase_are_enough(phrase: str, said: str) -> None:
    assert match(phrase, said)


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("what are your opening hours", "What are your prices?"),
        ("what are you", "Are you open?"),
        ("how are you", "How old are you?"),
        ("how are you", "You are how?"),
        ("cancel my order", "Where is my order?"),
        ("do you have {title:text}", "Do you like me?"),
        ("{order_id:number}", "I was born in 1984."),
        ("order {order_id:number}", "Order!!"),
        ("hello", ""),
        ("hello", "..."),
    ],
)
def test_less_is_not_enough(phrase: str, said: str) -> None:
    assert match(phrase, said) is None


@pytest.mark.parametrize(
    ("phrase", "said", "slots"),
    [
        ("reserve {title:text}", "Please reserve The Hobbit.", {"title": "The Hobbit"}),
        ("reserve {title:text} for me", "Reserve the Hobbit for me", {"title": "the Hobbit"}),
        (
            "reserve {title:text} for {name:name}",
            "Could you reserve War, and Peace for ada lovelace?",
            {"title": "War and Peace", "name": "Ada Lovelace"},
        ),
        ("reserve {title:text}", "Reserve.", {}),
        ("reserve {title:text} for me", "Reserve it for me.", {}),
        ("reserve {title:text} for {name:name}", "Reserve that for Ada.", {"name": "Ada"}),
        ("the {colour:word} one is mine", "The their one is mine.", {}),
        ("order {n:number} for {name:name}", "order ten for Ada", {"n": "10", "name": "Ada"}),
        ("take {what:text} {n:number}", "take chapter 12", {"what": "chapter", "n": "12"}),
        ("take {what:text} {who:name}", "take the tea", {"what": "the tea"}),
        ("my name is {name:name}", "My name is Ada, I think so", {"name": "Ada"}),
        ("{name:name} speaking", "ada speaking", {"name": "Ada"}),
        ("{name:name} speaking", "McKay speaking.", {"name": "McKay"}),
        ("my name is {name:name}", "My name is 1042", {}),
        ("the colour {colour:word} please", "The colour red, please", {"colour": "red"}),
        (
            "is {title:text} in stock",
            "Is pride in prejudice in stock?",
            {"title": "pride in prejudice"},
        ),
        ("did you read a {title:text}", "Did you read Moby Dick?", {"title": "Moby Dick"}),
        ("{anything:text}", "Whatever it is", {"anything": "Whatever it is"}),
        ("order {order_id:number}", "Order the blue one", {"order_id": "1"}),
    ],
)
def test_slots_catch_what_was_said_in_their_place(
    phrase: str, said: str, slots: dict[str, str]
) -> None:
    assert caught(phrase, said) == slots


def test_a_slot_takes_words_only_where_the_words_before_it_were_heard() -> None:
    assert caught("my first name is {name:name}", "My first name was always Ada") == {}
    assert caught("my first name is {name:name}", "My first name, Ada") == {"name": "Ada"}


@pytest.mark.parametrize(
    ("said", "better", "worse"),
    [
        ("Where is order 1042?", "where is order {n:number}", "where is order"),
        ("Where is order?", "where is order", "where is order {n:number}"),
        ("Can I reserve a book?", "reserve a book", "can i reserve {title:text}"),
        ("Hello, do you have Moby Dick?", "do you have {title:text}", "hello"),
        ("Good morning, do you sell maps?", "do you sell {title:text}", "good morning"),
        ("Thanks, where is my order?", "where is my order", "thanks"),
        ("When do you close?", "when do you close", "when do you close on saturday"),
        ("When do you close?", "when do you close", "when do you clone"),
    ],
)
def test_the_phrase_that_says_more_of_it_wins(said: str, better: str, worse: str) -> None:
    assert score(better, said) > score(worse, said)


def test_strange_words_inside_a_phrase_count_against_it() -> None:
    assert score("when do you close", "When do you close?") > score(
        "when do you close", "When the lights do fade you close?"
    )


@pytest.mark.parametrize(
    ("phrase", "said", "outright"),
    [
        ("thank you", "Thank you!", True),
        ("thank you", "Oh, thank you.", True),
        ("thank you", "Ten forty-two, thank you.", False),
        ("when do you close", "When do you close on the 24th?", True),
        ("hello", "Hello?", True),
        ("hello", "Hello, Dolly", False),
        ("when do you close today", "When do you close?", False),
        ("my name is {name:name}", "My name is Ada", True),
    ],
)
def test_a_phrase_is_outright_when_little_else_is_said(
    phrase: str, said: str, outright: bool
) -> None:
    found = match(phrase, said)
    assert found
    assert found.outright is outright


def test_the_best_of_several_forms_is_taken() -> None:
    assert caught("(order {n:number}|order {what:text})", "order 12") == {"n": "12"}
    assert caught("(order {n:number}|order {what:text})", "order tea") == {"what": "tea"}


def test_slots_are_known_with_their_kinds() -> None:
    assert Phrase.parse("a ({b:number}|{c:text})").slots() == {"b": "number", "c": "text"}


@pytest.mark.parametrize(
    ("source", "advice"),
    [
        ("where is (my", 'lacks a ")"'),
        ("where) is", 'has a ")" out of place'),
        ("where | is", 'has a "|" out of place'),
        ("((a|b)|c)", 'has a "(" out of place'),
        ("{order_id}", "write {name:kind}"),
        ("{order_id:digits}", "one of number, word, name, text"),
        ("{Order:number}", "the name in lower case"),
        ("order {id", "has a slot that cannot be read"),
        ("order }", "has a slot that cannot be read"),
        ("(a|)", "may be silence"),
        ("um, please", "may be silence"),
        ("...", "may be silence"),
        ("{a:word} or {a:word}", "the same slot twice"),
        ("word " * (MAX_PARTS + 1), f"at most {MAX_PARTS} words"),
        ("(a|b)" * 7, f"at most {MAX_FORMS} ways"),
    ],
)
def test_a_wrong_notation_is_told(source: str, advice: str) -> None:
    with pytest.raises(EngineSetupError) as caught_error:
        Phrase.parse(source)
    assert advice in str(caught_error.value)


WORDS = st.sampled_from(["where", "is", "my", "order", "1042", "ten", "book", "for", "Ada", "the"])
SAID = st.lists(WORDS, max_size=15).map(" ".join)
PHRASES = st.sampled_from(
    [
        ORDER,
        "order {n:number} for {name:name}",
        "book {title:text} for {name:name}",
        "{title:text} is my order",
        "the (order|book) {n:number} {w:word}",
        "(my|the) order",
    ]
)


@given(PHRASES, SAID)
def test_slots_catch_words_of_the_utterance_and_nothing_else(phrase: str, said: str) -> None:
    found = match(phrase, said)
    if found:
        assert found.score > 0
        kinds = Phrase.parse(phrase).slots()
        for name, text in found.slots.items():
            assert text
            if kinds[name] == "number":
                assert text.isdigit()
            else:
                assert text.lower() in said.lower()


@given(SAID.filter(lambda said: any(word in said for word in ("order", "book", "where"))))
def test_what_is_said_word_by_word_is_heard(said: str) -> None:
    found = match(said, said)
    assert found
    assert found.outright


@given(st.text(max_size=40), st.text(max_size=200))
def test_any_notation_is_matched_or_refused(source: str, said: str) -> None:
    try:
        phrase = Phrase.parse(source)
    except EngineSetupError:
        return
    phrase.match(Utterance(said))
