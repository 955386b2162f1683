import pytest
from multidict import CIMultiDict, MultiDict

from evibridge.bridges.twilio_signature import SignatureCheck

ORIGIN = "https://bridge.example.com"
TOKEN = "12345"
CHECK = SignatureCheck(TOKEN, ORIGIN)
FAR_AWAY = "203.0.113.9"

# Vectors: Twilio's own documents, and `twilio-media-streams` for the stream's handshake.
VOICE_FORM = MultiDict(
    {
        "CallSid": "CA0123456789abcdef0123456789abcdef",
        "AccountSid": "AC0123456789abcdef0123456789abcdef",
        "From": "+14155550100",
        "To": "+14155550199",
        "CallStatus": "ringing",
        "Direction": "inbound",
        "ApiVersion": "2010-04-01",
        "CallerCity": "",
    }
)
VOICE_SIGNATURE = "tI/TLoVojMSooNNTZiuSZxvkc9Y="
STREAM_SIGNATURE = "hGVJmeOLwZmJhPeWsyRDIvgH8Zc="


def signed(signature: str) -> CIMultiDict[str]:
    return CIMultiDict({"x-twilio-signature": signature})


def test_twilios_own_example_is_admitted() -> None:
    check = SignatureCheck(TOKEN, "https://example.com")
    form = MultiDict(
        {
            "CallSid": "CA1234567890ABCDE",
            "Caller": "+14158675310",
            "Digits": "1234",
            "From": "+14158675310",
            "To": "+18005551212",
        }
    )

    assert check.admits_webhook(
        "/myapp.php?foo=1&bar=2", form, signed("L/OH5YylLD5NRKLltdqwSvS0BnU="), FAR_AWAY
    )


def test_a_signed_webhook_with_blank_values_is_admitted() -> None:
    assert CHECK.admits_webhook("/twilio/voice", VOICE_FORM, signed(VOICE_SIGNATURE), FAR_AWAY)


def test_a_changed_form_is_refused() -> None:
    form = VOICE_FORM.copy()
    form["From"] = "+14155550101"

    assert not CHECK.admits_webhook("/twilio/voice", form, signed(VOICE_SIGNATURE), FAR_AWAY)


def test_a_signature_of_another_path_is_refused() -> None:
    assert not CHECK.admits_webhook(
        "/twilio/call-status", VOICE_FORM, signed(VOICE_SIGNATURE), FAR_AWAY
    )


@pytest.mark.parametrize("headers", [CIMultiDict[str](), signed(""), signed("é")])
def test_no_signature_is_no_admission(headers: CIMultiDict[str]) -> None:
    assert not CHECK.admits_webhook("/twilio/voice", VOICE_FORM, headers, "127.0.0.1")
    assert not CHECK.admits_stream("/twilio/media", headers, "127.0.0.1")


@pytest.mark.parametrize(
    "signature",
    [STREAM_SIGNATURE, "K34XpNWz3mSbbFwtWeDWONZkGSc="],
    ids=["as in the TwiML", "with a trailing slash"],
)
def test_a_signed_handshake_is_admitted(signature: str) -> None:
    assert CHECK.admits_stream("/twilio/media", signed(signature), FAR_AWAY)
    assert CHECK.admits_stream("/twilio/media?x=1", signed(signature), FAR_AWAY)


def test_a_handshake_signed_for_https_is_refused() -> None:
    assert not CHECK.admits_stream(
        "/twilio/media", signed("lZEvGu0Z5D37/G+S9TnXfxg6Af0="), FAR_AWAY
    )


def test_a_port_in_the_origin_is_part_of_the_stream_signature() -> None:
    check = SignatureCheck(TOKEN, f"{ORIGIN}:8443")

    assert check.admits_stream("/twilio/media", signed("lXh33f5GRY3YJmeAfD1FMqLgVHQ="), FAR_AWAY)


class TestWithoutAToken:
    check = SignatureCheck(None, None)

    @pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
    def test_programs_of_this_machine_are_admitted(self, host: str) -> None:
        headers = CIMultiDict({"Host": host})

        assert self.check.admits_webhook("/twilio/voice", MultiDict(), headers, "127.0.0.1")
        assert self.check.admits_stream("/twilio/media", headers, "::1")

    @pytest.mark.parametrize(
        ("headers", "peer"),
        [
            ({"Host": "127.0.0.1:8080"}, "192.168.1.7"),
            ({"Host": "rebound.example.com"}, "127.0.0.1"),
            ({"Host": "127.0.0.1:8080", "X-Forwarded-For": "203.0.113.9"}, "127.0.0.1"),
            ({"Host": "127.0.0.1:8080", "Origin": "https://evil.example"}, "127.0.0.1"),
            ({}, "127.0.0.1"),
        ],
        ids=["another machine", "a rebound name", "a tunnel", "a web page", "no host"],
    )
    def test_anybody_else_is_refused(self, headers: dict[str, str], peer: str) -> None:
        head = CIMultiDict(headers)

        assert not self.check.admits_webhook("/twilio/voice", MultiDict(), head, peer)
        assert not self.check.admits_stream("/twilio/media", head, peer)
