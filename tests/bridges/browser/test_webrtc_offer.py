import re

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from evibridge.bridges.browser.webrtc_offer import (
    MAX_CANDIDATES,
    MAX_UFRAG,
    MAX_USED_CANDIDATES,
    LocalTransport,
    OfferedCandidate,
    read_offer,
    usable_candidates,
    write_answer,
)
from evibridge.errors import BadMessage

PRINT = ":".join(["0A"] * 32)
CHROMIUM = "\r\n".join(
    (
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS -",
        "m=audio 54321 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126",
        "c=IN IP4 192.0.2.7",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2122260223 192.0.2.7 54321 typ host generation 0 network-id 1",
        "a=candidate:2 1 UDP 1685987071 198.51.100.4 40000 typ srflx raddr 0.0.0.0 rport 0",
        "a=candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active generation 0",
        "a=candidate:4 1 udp 2122260223 8f1c.local 5000 typ host",
        "a=ice-ufrag:Hn3C",
        "a=ice-pwd:8qj0Zd4u7Zw0zQmCmcHkxQxM",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {PRINT}",
        "a=setup:actpass",
        "a=mid:0",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=sendrecv",
        "a=msid:- 5b1e",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-fb:111 transport-cc",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2",
        "a=rtpmap:0 PCMU/8000",
        "a=ssrc:1001 cname:x",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:Hn3C",
        "a=ice-pwd:8qj0Zd4u7Zw0zQmCmcHkxQxM",
        f"a=fingerprint:sha-256 {PRINT}",
        "a=setup:actpass",
        "a=mid:1",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "",
    )
)
LOCAL = LocalTransport(
    ufrag="abcd",
    password="p" * 22,
    fingerprints=[("sha-256", PRINT)],
    candidates=["1 1 udp 2130706431 192.0.2.1 4000 typ host"],
    ssrc=77,
)


def without(*starts: str) -> str:
    lines = [line for line in CHROMIUM.split("\r\n") if not line.startswith(starts)]
    return "\r\n".join(lines)


def test_an_offer_of_chromium_is_read() -> None:
    offer = read_offer(CHROMIUM)
    assert (offer.ufrag, offer.password) == ("Hn3C", "8qj0Zd4u7Zw0zQmCmcHkxQxM")
    assert offer.fingerprints == (("sha-256", PRINT),)
    assert (offer.setup, offer.answering_setup) == ("actpass", "active")
    assert (offer.audio_mid, offer.data_mid, offer.audio_is_first) == ("0", "1", True)
    assert offer.payload_type == 111
    assert offer.has_microphone
    assert (offer.sctp_port, offer.max_message_bytes) == (5000, 262_144)


def test_only_addresses_that_udp_can_reach_are_taken() -> None:
    assert read_offer(CHROMIUM).candidates == (
        OfferedCandidate("1", 2122260223, "192.0.2.7", 54321, "host"),
        OfferedCandidate("2", 1685987071, "198.51.100.4", 40000, "srflx"),
    )


@pytest.mark.parametrize(
    "candidate",
    [
        "1 1 udp 1 224.0.0.251 5353 typ host",
        "1 1 udp 1 0.0.0.0 5353 typ host",
        "1 1 udp 1 255.255.255.255 5353 typ host",
        "1 1 udp 1 ff02::fb 5353 typ host",
        "1 1 udp 1 :: 5353 typ host",
        "1 1 udp 1 ::ffff:127.0.0.1 5353 typ host",
        "1 1 udp 1 fe80::1%eth0 5353 typ host",
        "1 1 udp 1 192.0.2.1 0 typ host",
        "1 1 udp 1 192.0.2.1 65536 typ host",
        "1 1 udp 4294967296 192.0.2.1 1 typ host",
        "1 2 udp 1 192.0.2.1 1 typ host",
        "1 1 udp 1 192.0.2.1 1 typ spooky",
        "",
    ],
)
def test_an_address_that_is_none_is_passed_over(candidate: str) -> None:
    sdp = without("a=candidate").replace("a=setup", f"a=candidate:{candidate}\r\na=setup", 1)
    assert read_offer(sdp).candidates == ()


def test_at_most_64_candidates_are_looked_at() -> None:
    many = "".join(
        f"a=candidate:1 1 udp 1 192.0.2.1 {port} typ host\r\n" for port in range(1, 10_000)
    )
    sdp = without("a=candidate").replace("a=ice-ufrag", many + "a=ice-ufrag", 1)
    assert len(read_offer(sdp).candidates) == MAX_CANDIDATES


def at(host: str, port: int = 4000) -> OfferedCandidate:
    return OfferedCandidate("1", 1, host, port, "host")


@pytest.mark.parametrize("near", ["127.0.0.5", "::1", "169.254.169.254", "fe80::1"])
def test_what_is_near_is_tried_from_near_only(near: str) -> None:
    far = [at("192.0.2.7"), at("2001:db8::7"), at("10.0.0.7")]
    own_near = "127.0.0.1" if near in ("127.0.0.5", "::1") else "169.254.0.1"
    assert usable_candidates([at(near), *far], ["192.0.2.1", "2001:db8::1"]) == far
    assert usable_candidates([at(near), *far], ["192.0.2.1", own_near]) == [at(near), *far]


def test_few_addresses_are_tried_and_each_once() -> None:
    offered = [at("192.0.2.7", port) for port in (*range(1, 60), 1)]
    useless = [at("127.0.0.1", port) for port in range(1, 60)]
    used = usable_candidates([offered[0], *useless, *offered], ["192.0.2.1"])
    assert used == offered[:MAX_USED_CANDIDATES]


def test_an_address_is_read_as_others_write_it() -> None:
    line = "a=candidate:1 1 udp 1 2001:DB8:0:0::7 1 typ host\r\na=setup"
    sdp = without("a=candidate").replace("a=setup", line, 1)
    assert [each.host for each in read_offer(sdp).candidates] == ["2001:db8::7"]


def test_a_name_of_the_page_for_itself_is_not_long() -> None:
    long = "A" * MAX_UFRAG
    assert read_offer(CHROMIUM.replace("Hn3C", long)).ufrag == long
    with pytest.raises(BadMessage, match="of 4 to 64 characters"):
        read_offer(CHROMIUM.replace("Hn3C", long + "A"))


@pytest.mark.parametrize(
    "groups",
    [
        "a=group:LS 0\r\na=group:BUNDLE 0 1",
        "a=group:BUNDLE 0 1\r\na=group:LS 0 1",
        "a=group\r\na=group:BUNDLE 2\r\na=group:BUNDLE 1 0",
    ],
)
def test_an_offer_may_have_other_groups(groups: str) -> None:
    offer = read_offer(CHROMIUM.replace("a=group:BUNDLE 0 1", groups))
    assert (offer.audio_mid, offer.data_mid) == ("0", "1")


def test_a_medium_may_have_the_port_of_the_other() -> None:
    for kind in ("audio 54321", "application 9"):
        port = kind.split()[1]
        none = CHROMIUM.replace(f"m={kind}", f"m={kind.replace(port, '0')}")
        number = "0" if port == "54321" else "1"
        sdp = none.replace(f"a=mid:{number}", f"a=mid:{number}\r\na=bundle-only")
        assert read_offer(sdp).audio_mid == "0"
        with pytest.raises(BadMessage):
            read_offer(none)


def test_data_channels_may_come_before_audio() -> None:
    session, audio, data = re.split(r"(?=m=)", CHROMIUM)
    offer = read_offer(session.replace("BUNDLE 0 1", "BUNDLE 1 0") + data + audio)
    assert not offer.audio_is_first
    answer = SessionDescription.parse(write_answer(offer, LOCAL))
    assert [medium.kind for medium in answer.media] == ["application", "audio"]
    assert answer.group[0].items == ["1", "0"]


def test_transport_may_be_told_once_for_the_session() -> None:
    told = [
        "a=ice-ufrag:Hn3C",
        "a=ice-pwd:8qj0Zd4u7Zw0zQmCmcHkxQxM",
        f"a=fingerprint:sha-256 {PRINT}",
        "a=setup:active",
    ]
    sdp = without("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup")
    offer = read_offer(sdp.replace("t=0 0", "\r\n".join(["t=0 0", *told])))
    assert offer.ufrag == "Hn3C"
    assert offer.answering_setup == "passive"


def test_what_an_offer_leaves_out_has_its_usual_value() -> None:
    offer = read_offer(without("a=sctp-port", "a=max-message-size", "a=sendrecv"))
    assert (offer.sctp_port, offer.max_message_bytes) == (5000, 65_536)
    assert offer.direction == "sendrecv"


@pytest.mark.parametrize("offered", ["recvonly", "inactive"])
def test_a_page_may_come_without_a_microphone(offered: str) -> None:
    assert not read_offer(CHROMIUM.replace("a=sendrecv", f"a={offered}")).has_microphone


@pytest.mark.parametrize(
    ("offered", "answered"),
    [("sendrecv", "sendrecv"), ("sendonly", "recvonly"), ("recvonly", "sendonly")],
)
def test_the_answer_has_the_other_direction(offered: str, answered: str) -> None:
    offer = read_offer(CHROMIUM.replace("a=sendrecv", f"a={offered}"))
    audio = SessionDescription.parse(write_answer(offer, LOCAL)).media[0]
    assert audio.direction == answered


def test_the_answer_has_opus_alone_and_everything_to_connect_by() -> None:
    answer = SessionDescription.parse(write_answer(read_offer(CHROMIUM), LOCAL))
    audio, data = answer.media
    (codec,) = audio.rtp.codecs
    assert (codec.payloadType, str(codec)) == (111, "opus/48000/2")
    assert codec.parameters == {"minptime": 10, "useinbandfec": 1}
    assert audio.rtcp_mux
    assert [ssrc.ssrc for ssrc in audio.ssrc] == [77]
    assert (data.sctp_port, data.sctpCapabilities.maxMessageSize) == (5000, 65_536)  # type: ignore[union-attr]
    for medium in (audio, data):
        assert medium.ice is not None
        assert medium.dtls is not None
        assert (medium.ice.usernameFragment, medium.ice.password) == ("abcd", "p" * 22)
        assert medium.dtls.role == "client"
        assert medium.dtls.fingerprints[0].value == PRINT
        assert [candidate.ip for candidate in medium.ice_candidates] == ["192.0.2.1"]
        assert medium.ice_candidates_complete


VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:2\r\n"


@pytest.mark.parametrize(
    ("sdp", "sentence"),
    [
        ("", "is no session description"),
        ("{}", "is no session description"),
        ("v=0\r\ns=-\r\n", "has no audio"),
        (without("m=audio"), "has no audio"),
        (without("m=application"), "one line of audio and one of data channels"),
        (CHROMIUM + VIDEO, "more than audio and data channels"),
        (CHROMIUM + AUDIO, "more than audio and data channels"),
        (CHROMIUM.replace("m=application 9", "m=audio 9"), "one line of audio and one of data"),
        (CHROMIUM.replace("m=audio", "m=video"), "has no audio"),
        (without("a=group"), "must bundle"),
        (CHROMIUM.replace("BUNDLE 0 1", "BUNDLE 0"), "must bundle"),
        (CHROMIUM.replace("BUNDLE 0 1", "LS 0 1"), "must bundle"),
        (without("a=mid:0"), "must bundle"),
        (CHROMIUM.replace("a=mid:1", "a=mid:0"), "must have different mids"),
        (without("a=ice-ufrag"), "lacks a=ice-ufrag"),
        (CHROMIUM.replace("a=ice-ufrag:Hn3C", "a=ice-ufrag:a b c d"), "lacks a=ice-ufrag"),
        (CHROMIUM.replace("8qj0Zd4u7Zw0zQmCmcHkxQxM", "short"), "lacks a=ice-ufrag"),
        (without("a=fingerprint"), "lacks an a=fingerprint"),
        (CHROMIUM.replace("sha-256", "md5"), "lacks an a=fingerprint"),
        (CHROMIUM.replace("0A", "zz"), "lacks an a=fingerprint"),
        (without("a=setup"), "lacks a=setup"),
        (CHROMIUM.replace("a=setup:actpass", "a=setup:holdconn"), "lacks a=setup"),
        (without("a=rtcp-mux"), "lacks a=rtcp-mux"),
        (without("a=rtpmap:111"), "no opus/48000/2"),
        (CHROMIUM.replace("111", "72"), "no opus/48000/2"),
        (CHROMIUM.replace("111", "130"), "no opus/48000/2"),
        (CHROMIUM.replace("a=sctp-port:5000", "a=sctp-port:70000"), "a=sctp-port is no number"),
        (CHROMIUM.replace("a=sctp-port:5000", "a=sctp-port:-1"), "a=sctp-port is no number"),
        (CHROMIUM.replace("a=sctp-port:5000", "a=sctp-port:0"), "a=sctp-port is no number"),
        (CHROMIUM.replace("m=audio 54321", "m=audio 0"), "has no audio"),
    ],
)
def test_an_offer_that_cannot_be_answered_is_told_why(sdp: str, sentence: str) -> None:
    with pytest.raises(BadMessage, match=sentence) as caught:
        read_offer(sdp)
    assert str(caught.value).endswith(".")


@given(st.lists(st.sampled_from([*CHROMIUM.split("\r\n"), "", "a=", "m=", "a=group:", "a=mid"])))
def test_lines_in_any_order_are_read_or_refused(lines: list[str]) -> None:
    try:
        offer = read_offer("\r\n".join(["v=0", *lines]))
    except BadMessage:
        return
    SessionDescription.parse(write_answer(offer, LOCAL))


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for sdp in (text, CHROMIUM.replace("Hn3C", text, 1), CHROMIUM.replace("a=mid:0", text)):
        try:
            read_offer(sdp)
        except BadMessage:
            continue


def test_secrets_and_addresses_are_not_shown() -> None:
    shown = repr(read_offer(CHROMIUM)) + repr(LOCAL)
    assert "8qj0Zd4u7Zw0zQmCmcHkxQxM" not in shown
    assert "192.0.2.7" not in shown
    assert LOCAL.password not in shown
