"""Text as it is to be read out, where the synthesiser would read it wrongly. Pure.

Language models write for a screen: their marks, addresses and pictures have no sound. The text
comes one sentence at a time, so that any mark may have lost its other half.
"""

import re

_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\([^()\s]*\)[^()\s]*)*(?: \"[^\"]*\")?\)")
_END_OF_LINK = re.compile(r"\]\([^()\s]+\)")
_ADDRESS = re.compile(
    r"(?i)<?(?<![^\W_])(?:https?://(?:[^\s/@<>]*@)?(?:www\.)?|www\.)"
    r"([^\s/:?#<>\"]+)[^\s<>\"]*>?"
)
_BEHIND_ADDRESS = ".,;:!?)]*_'`~|"

_OPENING_FENCE = re.compile(r"^(?:```|~~~)[\w+#.-]+$")
_LINE_MARKS = re.compile(r"^(?:(?:[-*_=]{3,}|#{1,6}|[-*•]) (?=\S)|(?:> ?)+(?=[^\W\d]|[-*•#]))+")
_TABLE_RULE = re.compile(r":?-+:?")

_EMPHASIS = re.compile(r"(?<![\w*])(\*{1,3}|_{1,3})(?=[^\s*_])([^*_]*?[^\s*_])\1(?![\w*])")
# A half that stands alone is taken for a mark at words only: not in "4*", "*67" or "an A*".
_HALF_OF_EMPHASIS = re.compile(
    r"(?<!\w)[*_]+(?=[^\W\d_])"
    r"|(?:(?<=[^\W\d_]{2})|(?<=[.,;:!?…\"')]))[*_]+(?!\w)"
    r"|(?<!\d)\*\*(?=[^\s*])|(?<=[^\s*])\*\*(?!\d)"
)
_CODE_OR_STRUCK = re.compile(r"`+|~~+")

_PICTURE = "[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u20e3\U000e0020-\U000e007f]"
_PICTURES = re.compile(rf"\s*{_PICTURE}(?:[\s\u200d]*{_PICTURE})*\s*([.,;:!?…]?)")

# Read as quantities, "0042" would lose its zeros and an ISBN become trillions. Dates, times,
# decimals and amounts are left alone: the synthesiser knows them.
_NUMBER_OF_SOMETHING = re.compile(
    r"(?<![\w.,:/£$€-])(?:\+\d+|0\d+|\d{7,}|\d+(?:-\d+){3,})(?:[ -]\d+)*(?![\w:/-]|[.,]\d)"
)


def spoken_text(text: str) -> str:
    """Make one piece of `sentences` readable.

    Markdown and pictures are dropped, links read as their text, addresses as their host. Telephone
    numbers, codes with leading zeros and long numbers are spelt out digit by digit.

    Returns:
        words with single spaces; empty when nothing of the text can be said
    """
    text = _without_addresses(" ".join(text.split()))
    text = _without_marks(text)
    text = _PICTURES.sub(lambda pictures: pictures[1] or " ", text)
    return _NUMBER_OF_SOMETHING.sub(_digit_by_digit, " ".join(text.split()))


def _without_addresses(text: str) -> str:
    text = _END_OF_LINK.sub("", _LINK.sub(r"\1", text))
    return _ADDRESS.sub(_host, text)


def _host(address: re.Match[str]) -> str:
    bare = address[0].removesuffix(">")
    behind = bare[len(bare.rstrip(_BEHIND_ADDRESS)) :]
    return address[1].rstrip(_BEHIND_ADDRESS) + behind


def _without_marks(text: str) -> str:
    text = _LINE_MARKS.sub("", _OPENING_FENCE.sub("", text))
    if text.startswith("|") or text.endswith("|"):
        text = _table_row(text)
    text = _CODE_OR_STRUCK.sub("", text)
    return _HALF_OF_EMPHASIS.sub("", _EMPHASIS.sub(r"\2", text))


def _table_row(row: str) -> str:
    cells = (cell.strip() for cell in row.split("|"))
    return ", ".join(cell for cell in cells if cell and not _TABLE_RULE.fullmatch(cell))


def _digit_by_digit(number: re.Match[str]) -> str:
    groups = re.findall(r"\d+", number[0])
    plus = "plus " if number[0].startswith("+") else ""
    return plus + ", ".join(" ".join(group) for group in groups)
