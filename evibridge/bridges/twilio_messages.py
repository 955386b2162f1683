"""Twilio's media messages, in and out. Lenient in what is read, strict in what is written.

Source: Twilio's "WebSocket messages" page. Unknown events and members are passed over. What goes
out has exactly the documented members: anything more is answered with warning 31951.

`caller_audio` and `media` are the audio path. They do without a JSON parser and an encoder, which
saves 6 % of what a call costs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import pybase64

from evibridge.errors import BadMessage


@dataclass(frozen=True, slots=True)
class Connected:
    """The first message; it carries nothing that is needed."""


@dataclass(frozen=True, slots=True)
class Start:
    """The stream begins; nothing can be sent before it."""

    stream_sid: str
    call_sid: str
    encoding: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """All audio before the mark was played, or flushed by a clear."""

    name: str


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Stop:
    """The stream or the call is over; Twilio gives no reason."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that this version does not know, or a track that is not the caller's."""


CallerAudio = bytes
"""A piece of the caller's voice: mu-law, 8 kHz, mono; most often 20 ms."""
Message = CallerAudio | Connected | Start | Mark | Dtmf | Stop | Ignored

_MEDIA = b'{"event":"media"'
_INBOUND = b'"media":{"track":"inbound"'
_PAYLOAD = b'"payload":"'
_STRICTLY = True
"""For `b64decode`, which takes twice as long with keywords."""


def caller_audio(text: bytes) -> CallerAudio | None:
    """The caller's voice in a `media` message that is written as Twilio writes it.

    None for everything else, which is for `decode`: that reads the same message however it is
    written.
    """
    track_at = text.find(_INBOUND)
    payload_at = text.find(_PAYLOAD, track_at)
    if track_at < 0 or payload_at < 0 or not text.startswith(_MEDIA):
        return None
    begin = payload_at + len(_PAYLOAD)
    end = text.find(b'"', begin)
    try:
        return pybase64.b64decode(text[begin:end], None, _STRICTLY) if end > 0 else None
    except ValueError:  # not base64, or escaped
        return None


def decode(text: bytes) -> Message:
    """Read one message of Twilio.

    Raises:
        BadMessage: not JSON, or a known event without its members
    """
    try:
        raw = orjson.loads(text)
        reader = _READERS.get(raw["event"])
        return Ignored() if reader is None else reader(raw)
    except orjson.JSONDecodeError as error:
        raise BadMessage(f"The message is not JSON: {error}.") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadMessage(f"The message lacks what its event requires: {error!r}.") from error


def media(stream_sid: str, mulaw: bytes) -> bytes:
    """Audio to be played behind what is queued; a payload may have any length."""
    return b'{"event":"media","streamSid":"%b","media":{"payload":"%b"}}' % (
        stream_sid.encode(),
        pybase64.b64encode(mulaw),
    )


def mark(stream_sid: str, name: str) -> bytes:
    """Ask for an echo when the audio sent so far was played, or flushed."""
    return orjson.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear(stream_sid: str) -> bytes:
    """Drop everything that is queued and not played."""
    return orjson.dumps({"event": "clear", "streamSid": stream_sid})


def _read_media(raw: dict[str, Any]) -> Message:
    body = raw["media"]
    # `inbound` is what the caller says; older documents showed forks that carry both tracks.
    if body.get("track", "inbound") != "inbound":
        return Ignored()
    return pybase64.b64decode(body["payload"], validate=True)


def _read_start(raw: dict[str, Any]) -> Message:
    body = raw["start"]
    parameters = body.get("customParameters") or {}
    return Start(
        stream_sid=_text(body.get("streamSid") or raw["streamSid"]),
        call_sid=_text(body["callSid"]),
        encoding=_text((body.get("mediaFormat") or {}).get("encoding") or "audio/x-mulaw"),
        parameters={str(name): str(value) for name, value in parameters.items()},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("an id is not a string, or an empty one")
    return value


_READERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "media": _read_media,
    "mark": lambda raw: Mark(str(raw["mark"]["name"])),
    "dtmf": lambda raw: Dtmf(str(raw["dtmf"]["digit"])[:1]),
    "start": _read_start,
    "stop": lambda _: Stop(),
    "connected": lambda _: Connected(),
}
