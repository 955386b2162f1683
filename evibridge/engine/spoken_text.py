"""Text as it is to be read out, where the synthesiser would read it wrongly. Pure."""

import re

# Read as quantities, "0042" would lose its zeros and an ISBN become trillions. Dates, times,
# decimals and amounts are left alone: the synthesiser knows them.
_NUMBER_OF_SOMETHING = re.compile(
    r"(?<![\w.,:/£$€-])(?:\+\d+|0\d+|\d{7,}|\d+(?:-\d+){3,})(?:[ -]\d+)*(?![\w:/-]|[.,]\d)"
)


def spoken_text(text: str) -> str:
    """Spell out telephone numbers, codes with leading zeros and long numbers digit by digit."""
    return _NUMBER_OF_SOMETHING.sub(_digit_by_digit, text)


def _digit_by_digit(number: re.Match[str]) -> str:
    groups = re.findall(r"\d+", number[0])
    plus = "plus " if number[0].startswith("+") else ""
    return plus + ", ".join(" ".join(group) for group in groups)
