"""The documents that tell Twilio what to do with a call (TwiML)."""

from urllib.parse import urlencode

from twilio.twiml.voice_response import Connect, VoiceResponse

from evibridge.sockets import origin_to_ws

MEDIA_PATH = "/twilio/media"
STREAM_ENDED_PATH = "/twilio/stream-ended"
STREAM_STATUS_PATH = "/twilio/stream-status"


def connect_stream(origin: str, token: str, *, attempt: int) -> str:
    """Connect the call to our media socket, and come back to us when the socket closes.

    `action` and the trailing redirect lead to the same place, whichever Twilio follows. The
    stream's URL has no query: Twilio strips it.
    """
    ended_url = f"{origin}{STREAM_ENDED_PATH}?{urlencode({'attempt': attempt})}"
    connect = Connect(action=ended_url, method="POST")
    stream = connect.stream(
        url=f"{origin_to_ws(origin)}{MEDIA_PATH}",
        status_callback=f"{origin}{STREAM_STATUS_PATH}",
    )
    stream.parameter(name="token", value=token)
    response = VoiceResponse()
    response.append(connect)
    response.redirect(ended_url, method="POST")
    return str(response)


def reject_busy() -> str:
    """The busy tone. Twilio does not bill a call whose first verb is this."""
    response = VoiceResponse()
    response.reject(reason="busy")
    return str(response)


def hang_up(sentence: str | None = None) -> str:
    """End the call; the caller is told the sentence first."""
    response = VoiceResponse()
    if sentence is not None:
        response.say(sentence)
    response.hangup()
    return str(response)


def dial(number: str, sentence: str | None = None) -> str:
    """Put the caller through to somebody else, and end the call when that is over.

    Args:
        number: in E.164, or a `sip:` address
        sentence: what the caller is told first
    """
    response = VoiceResponse()
    if sentence is not None:
        response.say(sentence)
    line = response.dial()
    if number.startswith("sip:"):
        line.sip(number)
    else:
        line.number(number)
    response.hangup()
    return str(response)
