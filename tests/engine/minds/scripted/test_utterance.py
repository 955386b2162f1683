import pytest

from evibridge.engine.minds.scripted.utterance import SlotKind, Utterance


@pytest.mark.parametrize(
    ("said", "kind", "answer"),
    [
        ("1042", "number", "1042"),
        ("It's ten forty-two, please.", "number", "1042"),
        ("I think it is 1,042.", "number", "1042"),
        ("Two books, order 1042", "number", "1042"),
        ("I do not know", "number", None),
        ("The Hobbit, please.", "text", "The Hobbit"),
        ("It's The Hobbit.", "text", "The Hobbit"),
        ("I'd like Moby Dick", "text", "Moby Dick"),
        ("I want it.", "text", "it"),
        ("It's", "text", None),
        ("", "text", None),
        ("It's the red one", "word", "red"),
        ("My name is Ada.", "name", "Ada"),
        ("The name is ada lovelace", "name", "Ada Lovelace"),
        ("It's for Ada", "name", "Ada"),
        ("I am Will", "name", "Will"),
        ("Ada King Noel Byron Lovelace", "name", "Ada King Noel"),
        ("Ada, 42", "name", "Ada"),
        ("This is", "name", None),
    ],
)
def test_a_bare_answer_is_taken_out_of_its_wrapping(
    said: str, kind: SlotKind, answer: str | None
) -> None:
    assert Utterance(said).answer(kind) == answer
