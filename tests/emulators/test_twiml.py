import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.emulators.twiml import (
    MAX_DOCUMENT_BYTES,
    Connect,
    Dial,
    Hangup,
    Pause,
    Play,
    Redirect,
    Reject,
    Say,
    Stream,
    Unknown,
    parse_twiml,
)
from evibridge.errors import BadMessage

STREAM_DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<Response>
  <Connect action="/twilio/stream-ended" method="POST">
    <Stream url="wss://bridge.example.com/twilio/media" name="main"
            statusCallback="https://bridge.example.com/twilio/stream-status"
            statusCallbackMethod="post">
      <Parameter name="token" value="a&lt;b"/>
      <Parameter name="tenant" value=""/>
    </Stream>
  </Connect>
  <Redirect method="POST"> https://bridge.example.com/twilio/stream-ended </Redirect>
</Response>"""


def test_a_stream_document_is_read_whole() -> None:
    stream = Stream(
        url="wss://bridge.example.com/twilio/media",
        name="main",
        status_callback="https://bridge.example.com/twilio/stream-status",
        parameters={"token": "a<b", "tenant": ""},
    )
    assert parse_twiml(STREAM_DOCUMENT) == [
        Connect(stream, action="/twilio/stream-ended"),
        Redirect("https://bridge.example.com/twilio/stream-ended"),
    ]


def test_a_stream_needs_a_url_and_nothing_else() -> None:
    document = b'<Response><Connect><Stream url=" /media "/></Connect></Response>'
    assert parse_twiml(document) == [Connect(Stream("/media", None, None, {}), action=None)]


@pytest.mark.parametrize(
    ("markup", "verb"),
    [
        ("<Say>Good <prosody>day</prosody>.</Say>", Say("Good day.")),
        ("<Play>https://example.com/a.wav</Play>", Play("https://example.com/a.wav")),
        ('<Play digits="1w2"/>', Play("digits 1w2")),
        ("<Pause/>", Pause(1)),
        ('<Pause length="40"/>', Pause(40)),
        ("<Hangup/>", Hangup()),
        ("<Reject/>", Reject("rejected")),
        ('<Reject reason="busy"/>', Reject("busy")),
        ("<Dial><Number>+14155550122</Number></Dial>", Dial("+14155550122")),
        ("<Gather/>", Unknown("Gather")),
    ],
)
def test_each_verb_is_known_by_its_name(markup: str, verb: object) -> None:
    assert parse_twiml(f"<Response>{markup}</Response>".encode()) == [verb]


@pytest.mark.parametrize("document", [b"<Response/>", b"\n<Response></Response>\n"])
def test_an_empty_response_has_no_verbs(document: bytes) -> None:
    assert parse_twiml(document) == []


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (b"", "not TwiML, but: nothing"),
        (b"Service unavailable", "not TwiML, but: 'Service unavailable'"),
        (b"\xff\xfe<Response/>", "not TwiML"),
        (b"<html/>", "begins with <html>"),
        (b"<!DOCTYPE x [<!ENTITY a 'b'>]><Response>&a;</Response>", "DOCTYPE"),
        (b"<Response>" + b" " * MAX_DOCUMENT_BYTES + b"</Response>", "65557 bytes"),
        (b"<Response><Connect/></Response>", "no <Stream>"),
        (b"<Response><Connect><Stream/></Connect></Response>", "has no url"),
        (b'<Response><Pause length="long"/></Response>', "whole seconds"),
        (b'<Response><Pause length="-1"/></Response>', "whole seconds"),
        (b'<Response><Redirect method="GET">/a</Redirect></Response>', "POST only"),
    ],
)
def test_what_is_no_document_is_refused_in_a_sentence(document: bytes, sentence: str) -> None:
    with pytest.raises(BadMessage, match=sentence):
        parse_twiml(document)


@pytest.mark.parametrize(
    ("attributes", "inside", "sentence"),
    [
        ('track="both_tracks"', "", "inbound_track"),
        ('statusCallback="/stream-status"', "", "absolute"),
        ('statusCallbackMethod="GET"', "", "POST only"),
        ("", '<Parameter name="a"/>', "a name and a value"),
        ("", '<Parameter value="a"/>', "a name and a value"),
        ("", f'<Parameter name="ab" value="{"x" * 498}"/>', "499 characters"),
    ],
)
def test_a_stream_that_twilio_would_not_take_is_refused(
    attributes: str, inside: str, sentence: str
) -> None:
    stream = f'<Stream url="wss://a.example/m" {attributes}>{inside}</Stream>'
    with pytest.raises(BadMessage, match=sentence):
        parse_twiml(f"<Response><Connect>{stream}</Connect></Response>".encode())


def test_the_longest_parameter_is_taken() -> None:
    parameter = f'<Parameter name="ab" value="{"x" * 497}"/>'
    document = f'<Response><Connect><Stream url="/m">{parameter}</Stream></Connect></Response>'
    (connect,) = parse_twiml(document.encode())
    assert isinstance(connect, Connect)
    assert connect.stream.parameters == {"ab": "x" * 497}


@given(
    at=st.integers(0, len(STREAM_DOCUMENT)), cut=st.integers(0, 20), insert=st.binary(max_size=20)
)
def test_a_damaged_document_is_read_or_refused(at: int, cut: int, insert: bytes) -> None:
    damaged = STREAM_DOCUMENT[:at] + insert + STREAM_DOCUMENT[at + cut :]
    try:
        verbs = parse_twiml(damaged)
    except BadMessage:
        return
    assert all(type(verb).__module__ == "evibridge.emulators.twiml" for verb in verbs)


def test_deeply_nested_markup_is_stepped_over() -> None:
    markup = b"<a>" * 9000 + b"</a>" * 9000
    assert parse_twiml(b"<Response>" + markup + b"</Response>") == [Unknown("a")]
