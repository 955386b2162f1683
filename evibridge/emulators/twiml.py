"""TwiML, the document that tells Twilio what to do with a call, read into plain values.

Only the verbs that a media-stream application answers with are known; any other is passed on as
`Unknown`, since real documents may hold verbs that matter nothing to a simulated call.
"""

import xml.etree.ElementTree as ET
from dataclasses import dataclass

from evibridge.errors import BadMessage

MAX_DOCUMENT_BYTES = 64 * 1024
"""Twilio: a larger document is refused (11750)."""
MAX_PARAMETER_CHARS = 500
"""Twilio: name and value of a `<Parameter>` together."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A media stream to open; `url` may be relative, `status_callback` may not."""

    url: str
    name: str | None
    status_callback: str | None
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class Connect:
    """Run a stream to its end, then go on at `action`, or at the next verb without one.

    `action` may be relative.
    """

    stream: Stream
    action: str | None


@dataclass(frozen=True, slots=True)
class Redirect:
    """Leave this document for the one at `url`, which may be relative."""

    url: str


@dataclass(frozen=True, slots=True)
class Say:
    """Text that the carrier's own voice reads out."""

    text: str


@dataclass(frozen=True, slots=True)
class Play:
    """A sound file, or touch tones, that the carrier plays."""

    what: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence."""

    length_s: int


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse the call without answering it; `reason` is `rejected` or `busy`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Dial:
    """Connect the caller to somebody else: a number, a SIP address, a conference."""

    who: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A verb that a simulated call steps over."""

    name: str


Verb = Connect | Redirect | Say | Play | Pause | Hangup | Reject | Dial | Unknown


def parse_twiml(document: bytes) -> list[Verb]:
    """The verbs of a TwiML document in their order.

    Raises:
        BadMessage: too large, not UTF-8 XML, a DOCTYPE, no `<Response>`, or a verb that lacks what
            it needs
    """
    if len(document) > MAX_DOCUMENT_BYTES:
        raise BadMessage(
            f"The TwiML document has {len(document)} bytes; Twilio takes {MAX_DOCUMENT_BYTES}."
        )
    try:
        text = document.decode()
        if "<!DOCTYPE" in text:  # entity declarations blow a small document up
            raise BadMessage("The TwiML document has a DOCTYPE: leave it out.")
        root = ET.fromstring(text)  # noqa: S314 - without a DOCTYPE there are no entities
    except (UnicodeDecodeError, ET.ParseError) as error:
        raise BadMessage(f"The answer is not TwiML, but: {_beginning(document)}.") from error
    if root.tag != "Response":
        raise BadMessage(f"The TwiML document begins with <{root.tag}> instead of <Response>.")
    return [_verb(element) for element in root]


def _beginning(document: bytes) -> str:
    return repr(document[:60].decode(errors="replace")) if document else "nothing"


def _verb(element: ET.Element) -> Verb:
    match element.tag:
        case "Connect":
            return _connect(element)
        case "Redirect":
            _require_post(element, "method")
            return Redirect(_text(element))
        case "Say":
            return Say(_text(element))
        case "Play":
            return Play(_text(element) or f"digits {element.get('digits', '')}")
        case "Pause":
            return Pause(_pause_length_s(element))
        case "Hangup":
            return Hangup()
        case "Reject":
            return Reject(element.get("reason", "rejected"))
        case "Dial":
            return Dial(_text(element))
        case _:
            return Unknown(element.tag)


def _connect(element: ET.Element) -> Connect:
    stream = element.find("Stream")
    if stream is None:
        raise BadMessage("<Connect> holds no <Stream>, the only noun a simulated call knows.")
    url = stream.get("url", "").strip()
    if not url:
        raise BadMessage("<Stream> has no url.")
    track = stream.get("track", "inbound_track")
    if track != "inbound_track":
        raise BadMessage(f"<Stream> in <Connect> takes track inbound_track, not {track} (31941).")
    _require_post(element, "method")
    _require_post(stream, "statusCallbackMethod")
    callback = stream.get("statusCallback")
    if callback is not None and not callback.startswith(("http://", "https://")):
        raise BadMessage("The statusCallback of <Stream> must be an absolute http(s) URL.")
    parameters = dict(_parameter(element) for element in stream.findall("Parameter"))
    noun = Stream(url, stream.get("name"), callback, parameters)
    return Connect(noun, element.get("action"))


def _parameter(element: ET.Element) -> tuple[str, str]:
    name, value = element.get("name"), element.get("value")
    if name is None or value is None:
        raise BadMessage("<Parameter> needs a name and a value.")
    if len(name) + len(value) >= MAX_PARAMETER_CHARS:
        raise BadMessage(
            f"<Parameter name={name[:20]!r}> is too long: "
            f"name and value may have {MAX_PARAMETER_CHARS - 1} characters together."
        )
    return name, value


def _require_post(element: ET.Element, attribute: str) -> None:
    method = element.get(attribute, "POST")
    if method.upper() != "POST":
        raise BadMessage(
            f"<{element.tag}> has {attribute} {method[:20]!r}: a simulated call knows POST only."
        )


def _pause_length_s(element: ET.Element) -> int:
    length = element.get("length", "1")
    if not (length.isascii() and length.isdigit() and len(length) < 6):
        raise BadMessage(f"<Pause> has length {length[:20]!r}: whole seconds are expected.")
    return int(length)


def _text(element: ET.Element) -> str:
    return "".join(element.itertext()).strip()
