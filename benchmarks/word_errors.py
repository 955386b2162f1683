"""How much of what was said was understood: words wrong, missing or too many.

Spelling is not hearing: "ten forty two", "10 42" and "1042" are the same, and so are "I'm" and
"I am". Numbers are compared digit by digit.
"""

import re
from collections.abc import Iterable, Iterator

SENTENCES = (
    "Where is my order?",
    "My order number is ten forty two.",
    "Can you check order seven three five nine, please?",
    "I would like to change the delivery address.",
    "What are your opening hours on Saturday?",
    "Are you open on Sunday afternoon?",
    "How much does it cost to send a book to Ireland?",
    "Do you have a copy of Moby Dick?",
    "I want to return a book that I bought last week.",
    "The book arrived with a broken cover.",
    "Could you repeat that more slowly, please?",
    "No, that is not what I said.",
    "Yes, that is correct.",
    "My name is Anna Brown.",
    "This is Peter Johnson from the city library.",
    "My phone number is zero two zero seven nine four six.",
    "Please call me back after five thirty.",
    "I need to speak to a real person.",
    "Can I pay by credit card?",
    "The card ends in four four one eight.",
    "I have been waiting for two weeks.",
    "When will my parcel arrive?",
    "Please cancel my order.",
    "I ordered three books, but only two came.",
    "Is there a discount for students?",
    "My email address has changed.",
    "I forgot my password and cannot log in.",
    "Can you send me the invoice again?",
    "The total should be twenty seven pounds.",
    "I would like to book a table for six people.",
    "Tomorrow at eight in the evening, please.",
    "What is the weather like in London today?",
    "Do you have anything for children under ten?",
    "Who wrote the book that you recommended?",
    "Please tell me more about it.",
    "That is too expensive for me.",
    "Do you have something cheaper?",
    "I will take two of them.",
    "Can you reserve it until Friday?",
    "I will pick it up in the shop.",
    "Where exactly is your shop?",
    "Is there parking near the shop?",
    "Which bus goes to the old town?",
    "Do you sell gift vouchers for fifty pounds?",
    "My flight leaves on the ninth of March.",
    "I live at sixteen Market Street in Bristol.",
    "The doctor told me to come back in a month.",
    "I would like to make an appointment for my daughter.",
    "Thank you very much for your help.",
    "That is all for today, goodbye.",
)
"""What people say to agents of shops and offices."""

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_UNITS += " fifteen sixteen seventeen eighteen nineteen"
_UNIT = {word: value for value, word in enumerate(_UNITS.split())} | {"oh": 0}
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TEN = {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_ORDINALS = {"first": "one", "second": "two", "third": "three", "ninth": "nine"}
_SAME = {
    "i'm": "i am",
    "i'd": "i would",
    "i'll": "i will",
    "i've": "i have",
    "it's": "it is",
    "that's": "that is",
    "what's": "what is",
    "where's": "where is",
    "don't": "do not",
    "can't": "can not",
    "cannot": "can not",
    "okay": "ok",
    "good-bye": "goodbye",
    "e-mail": "email",
}
_UNSPOKEN = {"pounds", "pound", "dollars", "dollar", "of"}
"""A currency may be a sign, and a date has no "of": words that spelling takes away."""


def word_errors(said: str, understood: str) -> tuple[int, int]:
    """Count the errors in a sentence, and its words."""
    said_words, understood_words = words(said), words(understood)
    return _distance(said_words, understood_words), len(said_words)


def words(text: str) -> list[str]:
    """The words of a text without what is only spelling; each digit is one."""
    text = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    found = re.findall(r"\d+(?=st|nd|rd|th)|\d|[a-z'-]+", text)
    spoken = " ".join(_SAME.get(word, word) for word in found).replace("-", " ").split()
    spoken = [_ORDINALS.get(word.strip("'"), word.strip("'")) for word in spoken]
    spoken = [word for word in spoken if word not in {"", "st", "nd", "rd", "th"} | _UNSPOKEN]
    return list(_digits(spoken))


def _digits(spoken: Iterable[str]) -> Iterator[str]:
    """Write number words in digits: a unit behind a ten belongs to it."""
    ten = 0
    for word in spoken:
        if ten and 0 < _UNIT.get(word, 0) < 10:
            yield from str(ten + _UNIT[word])
            ten = 0
            continue
        if ten:
            yield from str(ten)
        ten = _TEN.get(word, 0)
        if word in _UNIT:
            yield from str(_UNIT[word])
        elif not ten:
            yield word
    if ten:
        yield from str(ten)


def _distance(said: list[str], understood: list[str]) -> int:
    """Words to put in, to take out or to replace."""
    row = list(range(len(understood) + 1))
    for at, word in enumerate(said, start=1):
        diagonal, row[0] = row[0], at
        for column, other in enumerate(understood, start=1):
            change = diagonal + (word != other)
            diagonal = row[column]
            row[column] = min(change, row[column] + 1, row[column - 1] + 1)
    return row[-1]
