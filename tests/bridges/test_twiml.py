from xml.etree import ElementTree as ET

from evibridge.bridges import twiml

ORIGIN = "https://bridge.example.com"


def test_a_call_is_connected_to_the_media_socket_and_comes_back_to_us() -> None:
    document = ET.fromstring(twiml.connect_stream(ORIGIN, "t0k&n", attempt=1))

    connect, redirect = list(document)
    (stream,) = list(connect)
    (parameter,) = list(stream)
    assert stream.get("url") == "wss://bridge.example.com/twilio/media"
    assert stream.get("statusCallback") == "https://bridge.example.com/twilio/stream-status"
    assert parameter.attrib == {"name": "token", "value": "t0k&n"}
    ended_url = "https://bridge.example.com/twilio/stream-ended?attempt=1"
    assert connect.get("action") == redirect.text == ended_url
    assert connect.get("method") == redirect.get("method") == "POST"


def test_a_full_house_is_busy() -> None:
    (reject,) = list(ET.fromstring(twiml.reject_busy()))

    assert (reject.tag, reject.get("reason")) == ("Reject", "busy")


def test_a_call_is_hung_up_with_or_without_a_word() -> None:
    assert [verb.tag for verb in ET.fromstring(twiml.hang_up())] == ["Hangup"]
    say, hangup = list(ET.fromstring(twiml.hang_up("Goodbye.")))
    assert (say.tag, say.text, hangup.tag) == ("Say", "Goodbye.", "Hangup")


def test_a_caller_is_put_through_to_a_number() -> None:
    dial, hangup = list(ET.fromstring(twiml.dial("+14155550122")))
    (number,) = list(dial)

    assert (dial.tag, hangup.tag) == ("Dial", "Hangup")
    assert (number.tag, number.text) == ("Number", "+14155550122")


def test_a_caller_is_put_through_to_a_sip_address_after_a_word() -> None:
    address = "sip:desk@shop.example;transport=tls?x-a=1&x-b=2"
    say, dial, hangup = list(ET.fromstring(twiml.dial(address, "We are sorry.")))
    (sip,) = list(dial)

    assert (say.tag, say.text, hangup.tag) == ("Say", "We are sorry.", "Hangup")
    assert (sip.tag, sip.text) == ("Sip", address)
