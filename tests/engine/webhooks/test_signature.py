from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.webhooks.signature import (
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    signature,
    signed_headers,
)
from tests.engine.webhooks.receiver import is_signed
from tests.reference import evi_validator

BODY = (
    b'{"event_name":"chat_ended","chat_group_id":"8f3c6a52-7b7e-4c0e-9b7d-2d7a3c1f5e10",'
    b'"chat_id":"c1a7d0b4-52f4-4b1e-8a5e-6f0f1c2b3a49","config_id":null,"caller_number":null,'
    b'"custom_session_id":null,"twilio_metadata":null,"end_time":1767000123456,'
    b'"duration_seconds":42,"end_reason":"USER_ENDED"}'
)
"""The test vector of the reference."""
TIMESTAMPS = st.integers(0, 2**40)


def test_the_test_vector_of_the_reference_is_met() -> None:
    assert len(BODY) == 290
    assert signature("wh_test_key", BODY, "1767000124") == (
        "baec35ae7d06ee8b15573b972cb86b9ba4a20018c28aaedb43c392946fa544a1"
    )


@given(st.text(min_size=1), st.text(), TIMESTAMPS)
def test_a_receiver_with_the_key_finds_every_signature_right(
    key: str, text: str, seconds: int
) -> None:
    headers = signed_headers(key, text.encode(), seconds + 0.9)

    evi_validator("WebhookHeaders").validate(headers)
    assert headers[TIMESTAMP_HEADER] == str(seconds)
    assert is_signed(text.encode(), str(seconds), headers[SIGNATURE_HEADER], key)


@given(st.text(), st.text(), TIMESTAMPS, TIMESTAMPS, st.text(min_size=1), st.text(min_size=1))
def test_a_signature_is_right_for_one_body_one_time_and_one_key(
    text: str, other: str, at: int, later: int, key: str, other_key: str
) -> None:
    signed = signature(key, text.encode(), str(at))

    assert is_signed(other.encode(), str(at), signed, key) is (text == other)
    assert is_signed(text.encode(), str(later), signed, key) is (at == later)
    # HMAC pads short keys with zero bytes: such keys are one and the same.
    same = key.rstrip("\0") == other_key.rstrip("\0")
    assert is_signed(text.encode(), str(at), signed, other_key) is same


def test_a_key_that_is_no_text_is_used_byte_by_byte() -> None:
    key = b"\xff\xfe".decode(errors="surrogateescape")

    assert signature(key, b"{}", "1") == signature(key, b"{}", "1")
    assert signature(key, b"{}", "1") != signature("\xff\xfe", b"{}", "1")
