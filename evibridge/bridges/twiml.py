"""The documents that tell Twilio what to do with a call (TwiML)."""

from urllib.parse import urlencode

from twilio.twiml.voice_response import Connect, Say, VoiceResponse

from evibridge.sockets import origin_to_ws

MEDIA_PATH = "/twilio/media"
STREAM_ENDED_PATH = "/twilio/stream-ended"
STREAM_STATUS_PATH = "/twilio/stream-status"

APOLOGY = "We are sorry, this line has a technical problem. Please call again later."


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


def hang_up(*, apology: bool = False) -> str:
    """End the call; after a fault the caller is told so first."""
    response = VoiceResponse()
    if apology:
        response.append(Say(APOLOGY))
    response.hangup()
    return str(response)
