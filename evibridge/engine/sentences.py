"""Where a voice pauses: a reply cut into pieces that are synthesised and sent one by one. Pure."""

import re
from itertools import pairwise

MAX_CHARACTERS = 200
"""About 12 s of speech: synthesised long before the piece ahead of it has been played."""

# A longer first sentence gives up its first clause, so that the voice begins early; pieces below
# the lower limit do not sound like speech by themselves.
_FIRST_CHARACTERS = 80
_CLAUSE_CHARACTERS = 20

_OPENING, _CLOSING = "\"'([*_\u2018\u201c", "\"')]*_\u2019\u201d"
_CLAUSE_END = re.compile(rf"(?:[,;:\u2013\u2014][{re.escape(_CLOSING)}]*|\s-)\s")
_BEFORE_NAMES = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "mt", "e.g", "i.e", "vs", "cf"})
_BEFORE_NUMBERS = frozenset({"no", "nos", "p", "pp", "vol", "fig", "ch", "tel", "ext", "approx"})


def sentences(text: str) -> list[str]:
    """Cut a reply into sentences, and long sentences into clauses.

    Words are never changed or reordered, and only one longer than a whole piece is cut. A line
    break ends a sentence. What cannot be spoken, such as an emoji, stays with the words beside it.

    Returns:
        pieces of 1 to `MAX_CHARACTERS` characters with single spaces; none for blank text
    """
    pieces: list[str] = []
    for sentence in _whole_sentences(text):
        rest = sentence
        if not pieces and (cut := _first_clause(sentence)):
            pieces.append(sentence[:cut].rstrip())
            rest = sentence[cut:]
        while len(rest) > MAX_CHARACTERS:
            cut = _last_pause(rest)
            pieces.append(rest[:cut].rstrip())
            rest = rest[cut:].lstrip()
        pieces.append(rest)
    return pieces


def _whole_sentences(text: str) -> list[str]:
    found: list[list[str]] = []
    words: list[str] = []
    speakable = False
    for line in text.splitlines():
        for word, following in pairwise([*line.split(), ""]):
            words.append(word)
            speakable = speakable or any(character.isalnum() for character in word)
            if speakable and _ends_sentence(words, following):
                found.append(words)
                words, speakable = [], False
    if words and found:
        found[-1] += words
    elif words:
        found.append(words)
    return [" ".join(sentence) for sentence in found]


def _ends_sentence(words: list[str], following: str) -> bool:
    """Tell whether the last of `words` ends a sentence; `following` is empty at a line's end."""
    if not following:
        return True
    word = words[-1].strip(_OPENING + _CLOSING)
    if not word.endswith((".", "!", "?", "…")) or following.lstrip(_OPENING)[:1].islower():
        return False
    if not word.endswith("."):
        return True
    stem = word[:-1].lower()
    if stem in _BEFORE_NUMBERS:
        return not following.lstrip("#")[:1].isdigit()
    initial = len(stem) == 1 and stem.isalpha() and stem != "i"
    list_number = len(words) == 1 and stem.isdigit()
    return not (stem in _BEFORE_NAMES or initial or list_number)


def _first_clause(sentence: str) -> int:
    """Where the first clause of a long sentence ends, 0 to keep it whole."""
    if len(sentence) <= _FIRST_CHARACTERS:
        return 0
    ends = (clause.end() for clause in _CLAUSE_END.finditer(sentence))
    latest = min(MAX_CHARACTERS, len(sentence) - _CLAUSE_CHARACTERS)
    return next((end for end in ends if _CLAUSE_CHARACTERS <= end <= latest), 0)


def _last_pause(text: str) -> int:
    """Where to cut text that is too long: behind a clause, else a word, else anywhere."""
    within = text[: MAX_CHARACTERS + 1]
    ends = [clause.end() for clause in _CLAUSE_END.finditer(within)]
    if ends and ends[-1] >= _CLAUSE_CHARACTERS:
        return ends[-1]
    space = within.rfind(" ")
    return space if space > 0 else MAX_CHARACTERS
