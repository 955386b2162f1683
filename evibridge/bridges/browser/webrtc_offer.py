"""What a page offers and what it is answered: the session descriptions (RFC 8866, RFC 8829).

Of an offer only what a call needs is read: one line of audio with Opus and one of data channels,
bundled on one transport. The answer takes exactly these.
"""

import ipaddress
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from evibridge.errors import BadMessage

MAX_CANDIDATES = 64
"""Of a page that are looked at; it has about ten."""
MAX_USED_CANDIDATES = 16
"""Each is sent several packets, and may be anybody's address."""
MAX_UFRAG = 64
"""Characters of the page's that are put into packets for its addresses; browsers have 4 to 32."""
MAX_MESSAGE_BYTES = 64 * 1024
"""Of a data channel's message, as the page is told."""
CNAME = "evibridge"
BROADCAST = "255.255.255.255"
SCTP_PORT = 5000
DIGESTS = ("sha-256", "sha-384", "sha-512")
OTHER_SIDE = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
"""What the answer says to a direction of the offer."""
_SETUPS = ("actpass", "active", "passive")
_UFRAG = re.compile(rf"[A-Za-z0-9+/]{{4,{MAX_UFRAG}}}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_MID = re.compile(r"[!#-'*+.0-9A-Z^-~-]{1,64}")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31,63}")
_MEDIA = re.compile(r"m=(audio|application) (\d{1,5}) (\S+) (.+)")
_OPUS = re.compile(r"(\d{1,3}) opus/48000/2", re.IGNORECASE)
_CANDIDATE = re.compile(
    r"(\S{1,32}) 1 udp (\d{1,10}) (\S{1,45}) (\d{1,5}) typ (host|srflx|prflx|relay)(?: .*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class OfferedCandidate:
    """An address at which the page may be reached by UDP. It is personal data."""

    foundation: str
    priority: int
    host: str = field(repr=False)
    port: int
    kind: str


@dataclass(frozen=True, slots=True)
class Offer:
    """What a page wants to connect by."""

    ufrag: str
    password: str = field(repr=False)
    fingerprints: tuple[tuple[str, str], ...]
    """Algorithm and value of each."""
    setup: str
    """`actpass`, `active` or `passive`: who begins the DTLS handshake."""
    candidates: tuple[OfferedCandidate, ...] = field(repr=False)
    audio_mid: str
    data_mid: str
    audio_is_first: bool
    payload_type: int
    """Of Opus at 48 kHz."""
    direction: str
    """Of the audio, as the page sees it."""
    sctp_port: int
    max_message_bytes: int
    """Of a message that the page takes; 0 is any."""

    @property
    def has_microphone(self) -> bool:
        """Whether the page is going to send audio."""
        return self.direction in ("sendrecv", "sendonly")

    @property
    def answering_setup(self) -> str:
        """Who we are in the DTLS handshake: `active` or `passive`."""
        return "passive" if self.setup == "active" else "active"


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """Our end: what the page is told of it."""

    ufrag: str
    password: str = field(repr=False)
    fingerprints: Sequence[tuple[str, str]]
    candidates: Sequence[str]
    """As the values of `a=candidate`."""
    ssrc: int


class _Section:
    """Lines of one medium, or of the session: the first value of each attribute, and some lists."""

    def __init__(self) -> None:
        self.attributes: dict[str, str] = {}
        self.groups: list[list[str]] = []
        self.fingerprints: list[tuple[str, str]] = []
        self.candidates: list[OfferedCandidate] = []
        self.candidates_seen = 0
        self.payload_types: dict[int, None] = {}
        self.media: re.Match[str] | None = None

    @property
    def kind(self) -> str:
        """`audio` or `application`, "" if it is none or switched off (RFC 8843, section 6)."""
        if self.media is None or (int(self.media[2]) == 0 and "bundle-only" not in self.attributes):
            return ""
        return self.media[1]

    def add(self, line: str) -> None:
        name, _, value = line[2:].partition(":")
        if name == "candidate":
            self.candidates_seen += 1
            if self.candidates_seen <= MAX_CANDIDATES:
                self.candidates += _read_candidate(value)
        elif name == "fingerprint":
            digest, _, hexadecimal = value.partition(" ")
            if digest.lower() in DIGESTS and _FINGERPRINT.fullmatch(hexadecimal):
                self.fingerprints.append((digest.lower(), hexadecimal.upper()))
        elif name == "rtpmap":
            opus = _OPUS.fullmatch(value)
            if opus is not None:
                self.payload_types.setdefault(int(opus[1]))
        elif name == "group":
            self.groups.append(value.split())
        elif name in OTHER_SIDE:
            self.attributes.setdefault("direction", name)
        else:
            self.attributes.setdefault(name, value)


def read_offer(sdp: str) -> Offer:
    """Read a page's offer.

    Raises:
        BadMessage: a sentence that says what the offer lacks
    """
    session, media = _sections(sdp)
    audio, data = _audio_and_data(media)
    transport = media[0]
    audio_mid, data_mid = (section.attributes.get("mid", "") for section in (audio, data))
    are_mids = _MID.fullmatch(audio_mid) and _MID.fullmatch(data_mid)
    if not are_mids or not any(_bundles(group, audio_mid, data_mid) for group in session.groups):
        raise BadMessage("The offer must bundle its audio and its data channels.")
    if audio_mid == data_mid:
        raise BadMessage("The offer's audio and data channels must have different mids.")

    def of_transport(name: str) -> str:
        return transport.attributes.get(name) or session.attributes.get(name, "")

    ufrag, password = of_transport("ice-ufrag"), of_transport("ice-pwd")
    if not _UFRAG.fullmatch(ufrag) or not _PASSWORD.fullmatch(password):
        raise BadMessage(
            f"The offer lacks a=ice-ufrag, of 4 to {MAX_UFRAG} characters, and a=ice-pwd."
        )
    fingerprints = transport.fingerprints or session.fingerprints
    if not fingerprints:
        raise BadMessage("The offer lacks an a=fingerprint of SHA-256.")
    setup = of_transport("setup")
    if setup not in _SETUPS:
        raise BadMessage("The offer lacks a=setup:actpass.")
    if "rtcp-mux" not in audio.attributes:
        raise BadMessage("The offer lacks a=rtcp-mux.")
    return Offer(
        ufrag=ufrag,
        password=password,
        fingerprints=tuple(fingerprints[: len(DIGESTS)]),
        setup=setup,
        candidates=tuple(transport.candidates),
        audio_mid=audio_mid,
        data_mid=data_mid,
        audio_is_first=transport is audio,
        payload_type=_opus_of(audio),
        direction=audio.attributes.get("direction", "sendrecv"),
        sctp_port=_number(data, "sctp-port", default=SCTP_PORT, least=1, limit=2**16),
        max_message_bytes=_number(data, "max-message-size", default=MAX_MESSAGE_BYTES, limit=2**40),
    )


def write_answer(offer: Offer, local: LocalTransport) -> str:
    """The answer to an offer, with all candidates inside."""
    transport = [
        "c=IN IP4 0.0.0.0",
        *(f"a=candidate:{candidate}" for candidate in local.candidates),
        "a=end-of-candidates",
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        *(f"a=fingerprint:{digest} {value}" for digest, value in local.fingerprints),
        f"a=setup:{offer.answering_setup}",
    ]
    number = offer.payload_type
    audio = [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {number}",
        *transport,
        f"a=mid:{offer.audio_mid}",
        f"a={OTHER_SIDE[offer.direction]}",
        "a=rtcp-mux",
        f"a=rtpmap:{number} opus/48000/2",
        f"a=fmtp:{number} minptime=10;useinbandfec=1",
        "a=ptime:20",
        f"a=msid:{CNAME} agent",
        f"a=ssrc:{local.ssrc} cname:{CNAME}",
    ]
    data = [
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        *transport,
        f"a=mid:{offer.data_mid}",
        f"a=sctp-port:{SCTP_PORT}",
        f"a=max-message-size:{MAX_MESSAGE_BYTES}",
    ]
    first, second = (audio, data) if offer.audio_is_first else (data, audio)
    mids = (offer.audio_mid, offer.data_mid)
    session = [
        "v=0",
        f"o=- {secrets.randbits(62)} 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(mids if offer.audio_is_first else mids[::-1])}",
        "a=msid-semantic: WMS *",
    ]
    return _joined(session + first + second)


def usable_candidates(
    offered: Iterable[OfferedCandidate], own_hosts: Iterable[str]
) -> list[OfferedCandidate]:
    """The addresses of a page that are tried: at most 16.

    Those of one machine or one cable only are tried if we have such an address as well: else they
    are not the page's.

    Args:
        offered: by the page
        own_hosts: our own addresses
    """
    own_reaches = {_reach(ipaddress.ip_address(host)) for host in own_hosts}
    usable = {
        (each.host, each.port): each
        for each in offered
        if (reach := _reach(ipaddress.ip_address(each.host))) == "" or reach in own_reaches
    }
    return list(usable.values())[:MAX_USED_CANDIDATES]


def _reach(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """From how far an address may be reached, "" from anywhere."""
    if address.is_loopback:
        return "machine"
    return "cable" if address.is_link_local else ""


def _bundles(group: list[str], *mids: str) -> bool:
    return group[:1] == ["BUNDLE"] and all(mid in group[1:] for mid in mids)


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\r\n" for line in lines)


def _sections(sdp: str) -> tuple[_Section, list[_Section]]:
    session, media = _Section(), list[_Section]()
    lines = sdp.split("\n")
    if lines[0].rstrip("\r") != "v=0":
        raise BadMessage("The offer is no session description: it begins with v=0.")
    for raw in lines:
        line = raw.rstrip("\r")
        if line.startswith("m="):
            if len(media) == 2:
                raise BadMessage("The offer has more than audio and data channels.")
            media.append(_Section())
            media[-1].media = _MEDIA.fullmatch(line)
        elif line.startswith("a="):
            (media[-1] if media else session).add(line)
    return session, media


def _audio_and_data(media: list[_Section]) -> tuple[_Section, _Section]:
    kinds = {section.kind: section for section in media if section.kind}
    if "audio" not in kinds:
        raise BadMessage("The offer has no audio: add a transceiver for audio.")
    if "application" not in kinds or len(kinds) != len(media):
        raise BadMessage("The offer must have one line of audio and one of data channels.")
    return kinds["audio"], kinds["application"]


def _opus_of(audio: _Section) -> int:
    assert audio.media is not None
    for offered in audio.media[4].split():
        if offered.isascii() and offered.isdigit() and int(offered) in audio.payload_types:
            number = int(offered)
            # Others cannot be told from RTCP (RFC 5761, section 4).
            if number < 64 or 96 <= number < 128:
                return number
    raise BadMessage("The offer's audio has no opus/48000/2.")


def _number(section: _Section, name: str, *, default: int, limit: int, least: int = 0) -> int:
    value = section.attributes.get(name)
    if value is None:
        return default
    is_number = value.isascii() and value.isdigit() and len(value) < 16
    if not (is_number and least <= int(value) < limit):
        raise BadMessage(f"The offer's a={name} is no number that can be used.")
    return int(value)


def _read_candidate(value: str) -> list[OfferedCandidate]:
    """An address by UDP, or nothing: names (`.local`) and TCP are passed over.

    A page behind such a name is found by the checks that it sends.
    """
    match = _CANDIDATE.fullmatch(value)
    if match is None:
        return []
    foundation, priority, host, port, kind = match.groups()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return []
    if address.version == 6 and (address.ipv4_mapped is not None or "%" in host):
        return []
    if address.is_multicast or address.is_unspecified or host == BROADCAST:
        return []
    if int(priority) >= 2**32 or not 0 < int(port) < 2**16:
        return []
    return [OfferedCandidate(foundation, int(priority), str(address), int(port), kind.lower())]
