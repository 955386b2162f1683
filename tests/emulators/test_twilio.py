"""Whole calls over real sockets, in real time: kept short."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from aiohttp import WSCloseCode

from evibridge.emulators import twilio
from evibridge.emulators.call_report import CallEnd, CallEvent, CallEventKind, CallReport
from evibridge.emulators.caller import (
    Listen,
    LoseLine,
    LoseStream,
    Press,
    Say,
    Speech,
    Step,
    WaitForAgent,
)
from evibridge.emulators.twilio import MAX_DOCUMENTS, TwilioPhone
from evibridge.emulators.twilio_webhooks import signature
from evibridge.errors import BadMessage, LinkRefused, LinkUnreachable

from .service_double import MediaPeer, Service, running
from .sounds import tone_mulaw, tone_pcm16

HELLO = Speech(tone_pcm16(60), "Hello.")
LONG = [Listen(5000)]
STREAM = '<Stream url="{ws}/media" name="main" statusCallback="{origin}/notice"/>'
CONNECT = f"<Response><Connect>{STREAM}</Connect></Response>"
CONNECT_WITH_ACTION = f'<Response><Connect action="/next">{STREAM}</Connect></Response>'
HANG_UP = "<Response><Hangup/></Response>"


async def call(
    service: Service, script: Sequence[Step] = (), *, token: str | None = None
) -> CallReport:
    async with running(service):
        phone = TwilioPhone(
            service.url("/voice"), auth_token=token, status_url=service.url("/notice")
        )
        return await phone.call(script)


def stream_events(service: Service) -> list[str]:
    notices = service.requests_to("/notice")
    return [n.fields["StreamEvent"] for n in notices if "StreamEvent" in n.fields]


async def close_at_once(peer: MediaPeer) -> None:
    await peer.close()


async def test_a_call_streams_both_ways_until_the_caller_hangs_up() -> None:
    messages: list[str] = []

    async def answer(peer: MediaPeer) -> None:
        messages.append((await peer.read())["event"])
        start = await peer.read()
        messages.append(start["event"])
        assert start["start"]["customParameters"] == {"token": "t1"}
        await peer.say(tone_mulaw(100))
        await peer.mark("greeted")
        echo = await peer.read_until("mark")
        messages.append(echo["mark"]["name"])
        messages.append((await peer.read_until("dtmf"))["dtmf"]["digit"])
        messages.append((await peer.read_until("stop"))["event"])
        closed = await peer.read()
        messages.append(f"closed {closed['code']}")

    stream = '<Stream url="/media"><Parameter name="token" value="t1"/></Stream>'
    document = f'<Response><Connect action="/next">{stream}</Connect></Response>'
    service = Service([document], on_stream=answer)
    report = await call(service, [WaitForAgent(quiet_ms=200), Say(HELLO), Press("7")])
    assert messages == ["connected", "start", "greeted", "7", "stop", "closed 1000"]
    assert report.end is CallEnd.CALLER_HUNG_UP
    assert report.agent_was_heard
    assert report.warnings == ()
    assert service.requests_to("/next") == []


async def test_the_webhook_gets_the_form_of_a_ringing_call() -> None:
    service = Service([HANG_UP])
    report = await call(service)
    (request,) = service.requests_to("/voice")
    assert request.fields["CallSid"] == report.call_sid
    assert len(report.call_sid) == 34
    assert request.fields == request.fields | {
        "AccountSid": "AC" + "0" * 32,
        "From": "+14155550100",
        "To": "+14155550199",
        "CallStatus": "ringing",
        "Direction": "inbound",
        "ApiVersion": "2010-04-01",
        "CallerCity": "",
    }


async def test_requests_and_handshakes_are_signed() -> None:
    service = Service([CONNECT], on_stream=close_at_once)
    await call(service, LONG, token="12345")
    (handshake,) = service.handshakes
    media_url = service.url("/media").replace("http", "ws")
    assert handshake.headers["X-Twilio-Signature"] == signature("12345", media_url)
    assert handshake.headers["User-Agent"] == "Twilio.TmeWs/1.0"
    for request in service.requests:
        url = service.url(request.path)
        expected = signature("12345", url, request.fields)
        assert request.headers["X-Twilio-Signature"] == expected


async def test_nothing_is_signed_without_a_token() -> None:
    service = Service([CONNECT], on_stream=close_at_once)
    await call(service, LONG)
    requests = service.handshakes + service.requests
    assert len(requests) == 5  # handshake, voice, started, stopped, completed
    assert not any("X-Twilio-Signature" in request.headers for request in requests)


def test_the_token_is_not_shown() -> None:
    assert "12345" not in repr(TwilioPhone("http://a.example", auth_token="12345"))


async def test_the_stream_and_the_call_are_told_about() -> None:
    service = Service([CONNECT], on_stream=close_at_once)
    report = await call(service, LONG)
    assert sorted(stream_events(service)) == ["stream-started", "stream-stopped"]
    notices = {
        n.fields.get("StreamEvent", n.fields.get("CallStatus")): n.fields
        for n in service.requests_to("/notice")
    }
    assert notices["stream-started"]["StreamName"] == "main"
    assert notices["stream-started"]["CallSid"] == report.call_sid
    assert notices["completed"] == notices["completed"] | {
        "CallSid": report.call_sid,
        "Duration": "1",
        "CallbackSource": "call-progress-events",
        "SequenceNumber": "0",
    }


async def test_a_document_that_ends_after_the_stream_hangs_up() -> None:
    report = await call(Service([CONNECT], on_stream=close_at_once), LONG)
    assert report.end is CallEnd.AGENT_HUNG_UP
    assert report.events[-1].detail == "service, code 1000"


async def test_action_is_asked_when_the_service_closes_the_stream() -> None:
    service = Service([CONNECT_WITH_ACTION, HANG_UP], on_stream=close_at_once)
    report = await call(service, LONG)
    assert report.end is CallEnd.AGENT_HUNG_UP
    (request,) = service.requests_to("/next")
    assert request.fields["CallStatus"] == "in-progress"
    assert request.fields["CallSid"] == report.call_sid


async def test_without_action_the_next_verb_runs() -> None:
    document = CONNECT.replace("</Connect>", "</Connect><Redirect>sub/next</Redirect>")
    service = Service([document, HANG_UP], on_stream=close_at_once)
    await call(service, LONG)
    assert len(service.requests_to("/sub/next")) == 1


async def test_a_relative_address_belongs_to_its_document() -> None:
    redirects = [f"<Response><Redirect>{to}</Redirect></Response>" for to in ("sub/a", "b", "/c")]
    service = Service([*redirects, HANG_UP])
    await call(service)
    assert [request.path for request in service.requests] == [
        "/voice",
        "/sub/a",
        "/sub/b",
        "/c",
        "/notice",
    ]


async def test_a_call_goes_on_in_a_second_stream() -> None:
    sids: list[str] = []

    async def one_frame(peer: MediaPeer) -> None:
        await peer.read_until("media")
        sids.append(peer.stream_sid)
        await peer.close()

    service = Service([CONNECT_WITH_ACTION, CONNECT_WITH_ACTION, HANG_UP], on_stream=one_frame)
    report = await call(service, LONG)
    assert len(set(sids)) == 2
    assert report.end is CallEnd.AGENT_HUNG_UP
    assert report.caller_pcm16_8k == bytes(len(report.caller_pcm16_8k))


async def test_a_service_that_dies_is_asked_at_action() -> None:
    async def die(peer: MediaPeer) -> None:
        await peer.read_until("media")
        peer.cut()

    service = Service([CONNECT_WITH_ACTION, HANG_UP], on_stream=die)
    report = await call(service, LONG)
    assert [warning.code for warning in report.warnings] == [31903]
    assert sorted(stream_events(service)) == ["stream-error", "stream-started"]
    assert len(service.requests_to("/next")) == 1


async def test_a_lost_line_reaches_the_service_without_stop() -> None:
    ends: list[object] = []

    async def note_end(peer: MediaPeer) -> None:
        ends.append((await peer.read_until("stop"))["event"])

    service = Service([CONNECT], on_stream=note_end)
    report = await call(service, [Listen(60), LoseLine()])
    assert ends == ["closed"]
    assert report.end is CallEnd.LINE_LOST
    assert report.warnings == ()
    assert sorted(stream_events(service)) == ["stream-started", "stream-stopped"]


@dataclass
class StreamsSeen:
    """What a service notes of each stream, while it greets in all of them."""

    calls: list[str] = field(default_factory=list)
    streams: list[str] = field(default_factory=list)
    first_numbers: list[tuple[str, str, str]] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)

    async def greet(self, peer: MediaPeer) -> None:
        start = await peer.read_until("start")
        self.calls.append(start["start"]["callSid"])
        self.streams.append(start["streamSid"])
        frame = await peer.read_until("media")
        media = frame["media"]
        self.first_numbers.append((frame["sequenceNumber"], media["chunk"], media["timestamp"]))
        await peer.say(tone_mulaw(100))
        self.ends.append((await peer.read_until("stop"))["event"])


CONNECT_AND_NEXT = CONNECT.replace("</Connect>", "</Connect><Redirect>/next</Redirect>")


@pytest.mark.parametrize("document", [CONNECT_WITH_ACTION, CONNECT_AND_NEXT])
async def test_after_a_lost_stream_the_call_goes_on_in_another_one(document: str) -> None:
    seen = StreamsSeen()
    answer = WaitForAgent(quiet_ms=100)
    service = Service([document, document], on_stream=seen.greet)
    report = await call(service, [answer, LoseStream(), answer, Say(HELLO)])

    assert seen.calls == [report.call_sid] * 2
    assert len(set(seen.streams)) == 2
    assert seen.first_numbers == [("2", "1", "81")] * 2
    assert seen.ends == ["closed", "stop"]
    (request,) = service.requests_to("/next")
    assert request.fields["CallStatus"] == "in-progress"
    assert request.fields["CallSid"] == report.call_sid
    assert sorted(stream_events(service)) == ["stream-error"] + ["stream-started"] * 2 + [
        "stream-stopped"
    ]

    assert report.end is CallEnd.CALLER_HUNG_UP
    assert len(report.agent_speech) == 2
    assert len(report.agent_pcm16_8k) == len(report.caller_pcm16_8k)
    told = [event.detail for event in report.events if event.kind is CallEventKind.STREAM_STOPPED]
    assert told == ["a broken connection", "caller"]
    assert [warning.code for warning in report.warnings] == [31903]


async def test_a_call_whose_stream_is_lost_ends_as_the_service_wishes() -> None:
    service = Service([CONNECT_WITH_ACTION, HANG_UP])
    report = await call(service, [Listen(60), LoseStream(), Listen(5000)])
    assert report.end is CallEnd.AGENT_HUNG_UP


async def test_the_time_limit_ends_the_call() -> None:
    async with running(Service([CONNECT])) as service:
        report = await TwilioPhone(service.url("/voice"), limit_s=0.1).call(LONG)
    assert report.end is CallEnd.TIME_LIMIT
    assert len(report.agent_pcm16_8k) == 1600


@pytest.mark.parametrize(
    ("verb", "end"),
    [
        ("<Hangup/>", CallEnd.AGENT_HUNG_UP),
        ("", CallEnd.AGENT_HUNG_UP),
        ('<Pause length="0"/>', CallEnd.AGENT_HUNG_UP),
        ('<Reject reason="busy"/>', CallEnd.REJECTED),
        ("<Dial>+14155550122</Dial>", CallEnd.TRANSFERRED),
    ],
)
async def test_a_call_without_a_stream_ends_as_its_document_says(verb: str, end: CallEnd) -> None:
    report = await call(Service([f"<Response>{verb}</Response>"]))
    assert report.end is end
    assert not report.agent_was_heard


async def test_what_the_carrier_does_is_told() -> None:
    document = "<Response><Gather/><Say>Sorry.</Say><Dial>+14155550122</Dial></Response>"
    events: list[CallEvent] = []
    async with running(Service([document])) as service:
        phone = TwilioPhone(service.url("/voice"))
        report = await phone.call([], on_event=events.append)
    assert events == list(report.events)
    assert events == [
        CallEvent(0, CallEventKind.WARNING, "12200: <Gather> is stepped over."),
        CallEvent(0, CallEventKind.CARRIER_SPEAKS, "Sorry."),
        CallEvent(0, CallEventKind.TRANSFER, "+14155550122"),
    ]


async def test_a_fault_after_the_stream_ends_the_call_with_a_report() -> None:
    service = Service([CONNECT_WITH_ACTION], on_stream=close_at_once)  # nothing for /next
    report = await call(service, LONG)
    assert report.end is CallEnd.APPLICATION_ERROR
    assert [warning.code for warning in report.warnings] == [11200]
    assert "503" in report.warnings[0].sentence


async def test_a_failed_status_callback_is_a_warning() -> None:
    async with running(Service([CONNECT], on_stream=close_at_once, status_of_notices=404)) as s:
        report = await TwilioPhone(s.url("/voice")).call(LONG)
    assert {warning.code for warning in report.warnings} == {15003}


async def test_a_refused_webhook_is_an_error() -> None:
    with pytest.raises(LinkRefused, match="/voice refused the connection with HTTP status 503"):
        await call(Service([]))


async def test_a_service_that_does_not_run_is_an_error() -> None:
    async with running(Service([])) as service:
        phone = TwilioPhone(service.url("/voice"))
    with pytest.raises(LinkUnreachable, match="is the service running there"):
        await phone.call([])


async def test_a_refused_media_socket_is_an_error_and_told() -> None:
    service = Service([CONNECT], refuse_media=403)
    with pytest.raises(LinkRefused, match="/media refused the connection with HTTP status 403"):
        await call(service)
    (notice,) = service.requests_to("/notice")
    assert notice.fields["StreamEvent"] == "stream-error"
    assert "403" in notice.fields["StreamError"]


async def test_documents_that_redirect_in_a_circle_are_an_error() -> None:
    service = Service(["<Response><Redirect>/voice</Redirect></Response>"] * (MAX_DOCUMENTS + 1))
    with pytest.raises(BadMessage, match="in a circle"):
        await call(service)
    assert len(service.requests_to("/voice")) == MAX_DOCUMENTS


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8080", "ftp://a.example/x", "http://[", "http://a:b/"]
)
async def test_an_address_that_is_none_is_an_error(url: str) -> None:
    with pytest.raises(BadMessage, match="URL"):
        await TwilioPhone(url).call([])


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ws://bridge.example.com/media", "wss:// only"),
        ("https://bridge.example.com/media", "wss:// only"),
        ("wss://bridge.example.com/media?token=1", "has a query"),
        ("wss://", "not a URL with a host"),
        ("wss://a.example:port/media", "not a URL with a host"),
    ],
)
async def test_a_stream_url_that_twilio_would_not_take_is_an_error(url: str, sentence: str) -> None:
    document = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'
    with pytest.raises(BadMessage, match=sentence):
        await call(Service([document]))


@pytest.mark.parametrize(
    ("base_url", "url", "absolute"),
    [
        ("https://a.example/voice", "wss://b.example/m", "wss://b.example/m"),
        ("https://a.example:8443/voice", "/m", "wss://a.example:8443/m"),
        ("http://localhost:8080/voice", "m", "ws://localhost:8080/m"),
        ("http://[::1]:8080/voice", "ws://[::1]:8080/m", "ws://[::1]:8080/m"),
    ],
)
def test_a_stream_url_is_made_absolute(base_url: str, url: str, absolute: str) -> None:
    assert twilio._media_url(base_url, url) == absolute


async def test_the_service_may_go_away_while_draining() -> None:
    async def drain(peer: MediaPeer) -> None:
        await peer.read_until("media")
        await peer.close(WSCloseCode.GOING_AWAY)

    report = await call(Service([CONNECT], on_stream=drain), LONG)
    assert report.events[-1].detail == "service, code 1001"
    assert report.warnings == ()
