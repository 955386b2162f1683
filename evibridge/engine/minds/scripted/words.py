"""The words of an utterance, in the form in which they are compared.

Speech recognisers are free with capitals, punctuation, contractions and hesitations, so all of
these are evened out, in what is heard as in the phrases of a script.
"""

import re
import unicodedata
from typing import NamedTuple

MAX_CHARACTERS = 2_000
MAX_WORDS = 60
"""Half a minute of speech; who talks longer comes to the point at the end."""

_SPOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_THOUSANDS_COMMA = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_APOSTROPHES = str.maketrans("\u2018\u2019", "''")

_HESITATIONS = _set("um uh uhm er erm hm hmm mm mhm ah please")

# Words of grammar and courtesy rather than of subject. Recognisers swap and drop them first, and
# a caller who begins with "good morning" wants what comes after it.
_LIGHT = _set(
    """
    a an the this that these those my your our his her its their
    i you we he she it they me us him them
    is am are was were be been do does did have has had
    can could will would shall should may might must
    of to in on at for from with by about as and or but if then than so just there some any
    what number like want need get tell know give
    hello hallo hi hey oh morning afternoon evening day
    """
)

_CONTRACTIONS = {
    "can't": "can not",
    "cannot": "can not",
    "won't": "will not",
    "shan't": "shall not",
    "let's": "let us",
    "gonna": "going to",
    "wanna": "want to",
    "ok": "okay",
}
_ENDINGS = {
    "n't": "not",
    "'ll": "will",
    "'re": "are",
    "'ve": "have",
    "'d": "would",
    "'m": "am",
}
_WORD_ENDINGS = _set("s es ed d ing ings er ers y ies ly able ation ations ment ments")
# Elsewhere an "'s" marks a possessive, and says little.
_BEFORE_IS = _set("what where who how when why it that there here he she this")


class Word(NamedTuple):
    """A word as it is compared, and as it was written.

    Attributes:
        text: lower case, without apostrophes
        written: as in the utterance; empty for the second half of a contraction
    """

    text: str
    written: str


def words_of(utterance: str) -> list[Word]:
    """Split an utterance into words, without hesitations and "please".

    Of a long utterance only the last `MAX_CHARACTERS` characters and `MAX_WORDS` words count.
    """
    text = unicodedata.normalize("NFKC", utterance[-MAX_CHARACTERS:]).translate(_APOSTROPHES)
    words: list[Word] = []
    for written in _SPOKEN.findall(_THOUSANDS_COMMA.sub("", text)):
        first, *rest = _expanded(written.lower())
        if first not in _HESITATIONS:
            words.append(Word(first, written))
        words += [Word(word, "") for word in rest]
    return words[-MAX_WORDS:]


def is_light(word: str) -> bool:
    """Tell whether a word carries grammar or courtesy rather than the subject of a sentence."""
    return word in _LIGHT


def alike(one: str, other: str) -> bool:
    """Tell whether a caller may have said one word for the other, or a recogniser written it.

    True for words of four letters and more that differ by an ending ("open", "opening"), and of
    five letters and more with one letter wrong, missing, added or swapped ("clone", "close").
    """
    short, long = sorted((one, other), key=len)
    if len(short) < 4 or not (one.isalpha() and other.isalpha()):
        return False
    stem = short[:-1] if short[-1] in "ey" else short
    if long.removeprefix(short) in _WORD_ENDINGS or long.removeprefix(stem) in _WORD_ENDINGS:
        return True
    return len(short) >= 5 and _one_slip_apart(short, long)


def _one_slip_apart(short: str, long: str) -> bool:
    if len(long) - len(short) > 1:
        return False
    same = next(
        (at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short)
    )
    left, right = short[same:], long[same:]
    if len(short) < len(long):
        return left == right[1:]
    return left[1:] == right[1:] or left == right[1::-1] + right[2:]


def _expanded(word: str) -> list[str]:
    if word in _CONTRACTIONS:
        return _CONTRACTIONS[word].split()
    for ending, full in _ENDINGS.items():
        if word.endswith(ending) and word != ending:
            return [word.removesuffix(ending).replace("'", ""), full]
    stem = word.removesuffix("'s")
    if stem != word and stem in _BEFORE_IS:
        return [stem, "is"]
    return [stem.replace("'", "")]
