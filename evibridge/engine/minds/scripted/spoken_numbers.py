"""Numbers as callers read them out and recognisers write them down, turned into digits.

"1042", "10 42", "10-42", "ten forty-two", "one zero four two", "one thousand and forty-two" and
"1,000 and 42" all are "1042". The result is text, because order numbers may begin with zeros.
"""

from collections.abc import Sequence
from typing import NamedTuple


def _values(words: str, first: int, step: int) -> dict[str, int]:
    return {word: first + step * at for at, word in enumerate(words.split())}


_UNITS = {"o": 0, "oh": 0, "nought": 0} | _values(
    "zero one two three four five six seven eight nine", 0, 1
)
_TEENS = _values(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 10, 1
)
_TENS = {"fourty": 40} | _values("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
_REPEATS = {"double": 2, "triple": 3}
# What recognisers write for a digit inside a row of single digits: "one oh for two".
_SOUNDS_LIKE = {"won": 1, "to": 2, "too": 2, "for": 4, "ate": 8}


class SpokenNumber(NamedTuple):
    """A number found among words: its digits, and the index of the first word after it."""

    digits: str
    end: int


def read_number(words: Sequence[str], begin: int) -> SpokenNumber | None:
    """Read the longest number that begins at `words[begin]`.

    Args:
        words: lower case, without punctuation; hyphens separate words
        begin: index of the first word of the number

    Returns:
        None when no number begins there. A leading "oh" is an exclamation, not a zero.
    """
    if words[begin] == "oh":
        return None
    digits, at, single_digits = "", begin, 0
    while (part := _cardinal(words, at) or _misheard_digit(words, at, single_digits)) is not None:
        single_digits = single_digits + 1 if len(part.digits) == 1 else 0
        digits, at = digits + part.digits, part.end
    return SpokenNumber(digits, at) if digits else None


def _cardinal(words: Sequence[str], at: int) -> SpokenNumber | None:
    """Read what is spoken in one go: up to 99 thousand, "nineteen hundred", "double zero"."""
    if _word(words, at) in _REPEATS and (repeated := _digit(_word(words, at + 1))) is not None:
        return SpokenNumber(str(repeated) * _REPEATS[words[at]], at + 2)
    numeral = _numeral(_word(words, at))
    if numeral is not None and numeral.endswith("00") and _word(words, at + 1) == "and":
        return _plus(SpokenNumber(numeral, at + 1), _below_hundred(words, at + 2))
    if numeral is not None and len(numeral) > 3:
        return SpokenNumber(numeral, at + 1)
    thousands = _hundreds(words, at)
    if thousands is None or _word(words, thousands.end) != "thousand":
        return thousands
    whole = SpokenNumber(thousands.digits + "000", thousands.end + 1)
    return _plus(whole, _hundreds(words, _after_and(words, whole.end)))


def _hundreds(words: Sequence[str], at: int) -> SpokenNumber | None:
    """Read "four hundred and five", "nineteen hundred", or what is below a hundred."""
    if _word(words, at) == "a" and _word(words, at + 1) in ("hundred", "thousand"):
        head: SpokenNumber | None = SpokenNumber("1", at + 1)
    else:
        head = _below_hundred(words, at)
    if head is None or _word(words, head.end) != "hundred":
        return head
    whole = SpokenNumber(head.digits + "00", head.end + 1)
    return _plus(whole, _below_hundred(words, _after_and(words, whole.end)))


def _below_hundred(words: Sequence[str], at: int) -> SpokenNumber | None:
    """Read "forty two", "fourteen", "4", "04"; written numerals may have three digits."""
    word = _word(words, at)
    numeral = _numeral(word)
    if numeral is not None:
        return SpokenNumber(numeral, at + 1) if len(numeral) <= 3 else None
    if word in _TENS:
        unit = _digit(_word(words, at + 1))
        # "twenty oh five" is 20 05, neither 20 and 5 nor 25.
        return SpokenNumber(str(_TENS[word] + unit), at + 2) if unit else _of(_TENS[word], at)
    value = _TEENS.get(word, _digit(word))
    return None if value is None else _of(value, at)


def _plus(whole: SpokenNumber, rest: SpokenNumber | None) -> SpokenNumber:
    """Put `rest` in the place of the zeros that `whole` ends with, if it fits there."""
    zeros = len(whole.digits) - len(whole.digits.rstrip("0"))
    if rest is None or len(rest.digits) > zeros:
        return whole
    return SpokenNumber(whole.digits[: -len(rest.digits)] + rest.digits, rest.end)


def _after_and(words: Sequence[str], at: int) -> int:
    return at + 1 if _word(words, at) == "and" else at


def _of(value: int, at: int) -> SpokenNumber:
    return SpokenNumber(str(value), at + 1)


def _digit(word: str) -> int | None:
    return int(word) if len(word) == 1 and word in "0123456789" else _UNITS.get(word)


def _numeral(word: str) -> str | None:
    """Return the digits of a written numeral; recognisers write "05" also as "o5"."""
    digits = word.replace("o", "0")
    return digits if digits.isascii() and digits.isdigit() and word.strip("o") else None


def _misheard_digit(words: Sequence[str], at: int, single_digits: int) -> SpokenNumber | None:
    """Read "for" as 4 in a row of single digits, unless it goes on in words."""
    value = _SOUNDS_LIKE.get(_word(words, at))
    if value is None or single_digits < 2:
        return None
    goes_on = at + 1 < len(words) and _digit(words[at + 1]) is None
    return None if goes_on else _of(value, at)


def _word(words: Sequence[str], at: int) -> str:
    return words[at] if at < len(words) else ""
