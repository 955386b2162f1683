import pytest

from evibridge.dialling import MAX_KEYS, checked_keys, checked_number


@pytest.mark.parametrize(
    "number",
    [
        "+1234567",
        "+14155550100",
        "+123456789012345",
        "sip:desk@shop.example.com",
        "sip:+4930111@10.0.0.7:5061;transport=tls?x-order=7",
    ],
)
def test_a_number_or_a_sip_address_is_given_back_as_it_is(number: str) -> None:
    assert checked_number(number) == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "+",
        "14155550100",
        "+1 415 555 0100",
        "+123456",
        "+1234567890123456",
        "+0123456789",
        "+14155550100\n",
        "+1415555010\N{ARABIC-INDIC DIGIT ZERO}",
        "tel:+14155550100",
        "sip:desk",
        "sip:@shop.example.com",
        "sip:desk@",
        "sip:a@b@c",
        "sip:front desk@shop.example.com",
        "sip:desk@shop.example.com\n",
        "SIP:desk@shop.example.com",
    ],
)
def test_what_is_neither_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be a number such as"):
        checked_number(text)


@pytest.mark.parametrize("character", ["\0", "\x08", "\x7f", "ü", "\ud800", "\u200b"])
def test_a_sip_address_is_of_printable_ascii(character: str) -> None:
    with pytest.raises(ValueError, match="must be a number such as"):
        checked_number(f"sip:desk{character}@shop.example.com")
    with pytest.raises(ValueError, match="must be a number such as"):
        checked_number(f"sip:desk@shop{character}.example.com")


@pytest.mark.parametrize("keys", ["7", "0123456789*#ABCD", "1w2ww3", "w", "5" * MAX_KEYS])
def test_keys_are_given_back_as_they_are(keys: str) -> None:
    assert checked_keys(keys) == keys


@pytest.mark.parametrize(
    "text", ["", "12 34", "1,2", "E", "a", "W", "12\n", "\N{ARABIC-INDIC DIGIT THREE}", "1-2"]
)
def test_what_cannot_be_pressed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be keys of a telephone"):
        checked_keys(text)


def test_more_keys_than_anybody_types_are_refused() -> None:
    with pytest.raises(ValueError, match="must be at most 64 keys"):
        checked_keys("5" * (MAX_KEYS + 1))
