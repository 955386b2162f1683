"""Twilio's questions to a bridge, and what it reads in the answers (TwiML)."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree as ET

import aiohttp

from evibridge.errors import EvibridgeError

VOICE_PATH = "/twilio/voice"
MEDIA_PATH = "/twilio/media"
FAULTS = (RuntimeError, OSError, EvibridgeError, aiohttp.ClientError)
"""How it fails to call a bridge that is not there, or not up to it."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a webhook's answer tells Twilio to do: connect a media stream.

    Attributes:
        path: of the media socket; its host is where the webhook is, whatever name the answer has
        parameters: that the stream shows at its start
        ended_url: where Twilio asks what comes next when the stream is over; None asks nobody
    """

    path: str = MEDIA_PATH
    parameters: Mapping[str, str] = field(default_factory=dict)
    ended_url: str | None = None


def new_call_sid() -> str:
    """Twilio's name of a call."""
    return f"CA{uuid.uuid4().hex}"


async def ring(http: aiohttp.ClientSession, url: str, call_sid: str) -> Stream:
    """Tell a bridge of a call that comes in.

    Args:
        http: for the question
        url: of the webhook; an origin alone stands for that of evibridge
        call_sid: of the call

    Raises:
        RuntimeError: the answer connects no stream
    """
    voice_url = or_at(url, VOICE_PATH)
    return stream_in(await ask(http, voice_url, call_sid), voice_url)


async def ask(http: aiohttp.ClientSession, url: str, call_sid: str, **fields: str) -> str:
    """Twilio's question what to do with a call; returns the document."""
    form = {"CallSid": call_sid, "From": "+14155550100", "To": "+14155550199", **fields}
    async with http.post(url, data=form) as answer:
        return await answer.text()


def stream_in(twiml: str, asked_url: str) -> Stream:
    """Read what a webhook has answered.

    Args:
        twiml: the document
        asked_url: who gave it

    Raises:
        RuntimeError: it connects no stream
    """
    try:
        connect = ET.fromstring(twiml).find("./Connect")
    except ET.ParseError:
        connect = None
    stream = None if connect is None else connect.find("./Stream")
    if connect is None or stream is None:
        raise RuntimeError(f"The webhook's answer connects no stream: {twiml}")
    action = connect.get("action")
    return Stream(
        path=urlsplit(stream.get("url", "")).path or "/",
        parameters={
            each.get("name", ""): each.get("value", "") for each in stream.findall("./Parameter")
        },
        ended_url=None if action is None else _at_the_same_host(asked_url, action),
    )


def or_at(url: str, path: str) -> str:
    """A URL, or this path if it is an origin alone."""
    return url if urlsplit(url).path.strip("/") else urljoin(url, path)


def _at_the_same_host(asked_url: str, action: str) -> str:
    """Where an action leads, from here: its host may be a public name that leads nowhere."""
    parts = urlsplit(urljoin(asked_url, action))
    return urljoin(asked_url, parts._replace(scheme="", netloc="").geturl())
