"""A simulated phone call over the real Twilio protocol: webhooks, TwiML and a media stream.

The service under call cannot tell it from Twilio, except that Twilio's REST API knows no such call.
"""

import asyncio
import math
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import urljoin, urlsplit

from evibridge.emulators import twiml
from evibridge.emulators.call_report import (
    AgentSpeech,
    CallEnd,
    CallEvent,
    CallEventKind,
    CallReport,
)
from evibridge.emulators.caller import Step
from evibridge.emulators.media_link import ABNORMAL_CLOSE, MediaLink
from evibridge.emulators.phone_line import PhoneLine
from evibridge.emulators.twilio_media import CarrierWarning, StreamStart
from evibridge.emulators.twilio_webhooks import Webhooks, signature
from evibridge.errors import BadMessage, EvibridgeError, LinkError
from evibridge.loopback import is_loopback

MAX_DOCUMENTS = 10
"""So many documents one call may run through; more is a circle of redirects."""

APPLICATION_ERROR = 11200
SCHEMA_WARNING = 12200
CALLBACK_FAILED = 15003
BROKEN_PIPE = 31903

_DROPPED = "The service ended the media stream without a close frame."
_LOST = "The connection of the media stream was cut."


@dataclass(frozen=True, slots=True)
class TwilioPhone:
    """A phone whose calls reach a service as Twilio's would.

    Args:
        voice_url: the number's webhook, such as `http://127.0.0.1:8080/twilio/voice`
        auth_token: what requests and handshakes are signed with; None sends them unsigned
        account_sid: the account that the calls belong to
        status_url: told `completed` at the end of a call, as a number's status callback is
        from_number: the caller, E.164
        to_number: the number called, E.164
        limit_s: the longest call, in recorded seconds; the recording takes 16 kB a second
    """

    voice_url: str
    auth_token: str | None = field(default=None, repr=False)
    account_sid: str = "AC" + "0" * 32
    status_url: str | None = None
    from_number: str = "+14155550100"
    to_number: str = "+14155550199"
    limit_s: float = 600.0

    async def call(
        self,
        script: Iterable[Step],
        *,
        on_event: Callable[[CallEvent], None] | None = None,
        on_agent_speech: Callable[[AgentSpeech], None] | None = None,
    ) -> CallReport:
        """Make a call and act the script out; returns when the call is over.

        Args:
            script: what the caller does
            on_event: told of every event as it happens
            on_agent_speech: given each stretch of the agent's voice once it is over

        Raises:
            LinkUnreachable: the service or its media socket cannot be reached
            LinkRefused: either answered with an HTTP status that is not success
            BadMessage: the service's document is not TwiML that a call can follow

        All of these only until the first stream is open: from then on a fault ends the call as
        `CallEnd.APPLICATION_ERROR`, and the report holds it as a warning.
        """
        line = PhoneLine(
            script,
            limit_ms=round(self.limit_s * 1000),
            on_event=on_event,
            on_agent_speech=on_agent_speech,
        )
        return await _Call(self, line).run()


class _Call:
    """One call from its first webhook to its last."""

    def __init__(self, phone: TwilioPhone, line: PhoneLine) -> None:
        self._phone = phone
        self._line = line
        self._sid = f"CA{secrets.token_hex(16)}"
        self._webhooks = Webhooks(phone.auth_token, self._warn_of_callback)
        self._has_streamed = False
        self._began_s = asyncio.get_running_loop().time()

    async def run(self) -> CallReport:
        """Make the call."""
        try:
            end = await self._run_documents()
            if self._phone.status_url is not None:
                self._webhooks.notify(self._phone.status_url, self._final_fields())
        finally:
            await self._webhooks.close()
        return self._line.report(self._sid, end)

    async def _run_documents(self) -> CallEnd:
        try:
            return await self._follow(self._phone.voice_url)
        except EvibridgeError as error:
            if not self._has_streamed:
                raise
            self._line.warn(CarrierWarning(APPLICATION_ERROR, str(error)))
            return CallEnd.APPLICATION_ERROR

    async def _follow(self, voice_url: str) -> CallEnd:
        """Run document after document until one of them, or the caller, ends the call."""
        url, status = _web_url("", voice_url), "ringing"
        for _ in range(MAX_DOCUMENTS):
            document = await self._webhooks.fetch(url, self._call_fields(status))
            outcome = await self._run_document(document, url)
            if isinstance(outcome, CallEnd):
                return outcome
            url, status = _web_url(url, outcome), "in-progress"
        raise BadMessage(
            f"The call ran through {MAX_DOCUMENTS} TwiML documents: do they redirect in a circle?"
        )

    async def _run_document(self, document: list[twiml.Verb], base_url: str) -> CallEnd | str:
        """How the call ended, or the URL of the next document."""
        for verb in document:
            match verb:
                case twiml.Connect(stream, action):
                    end = await self._run_stream(stream, base_url)
                    if end is not None:
                        return end
                    if action is not None:
                        return action
                case twiml.Redirect(url):
                    return url
                case twiml.Pause(length_s):
                    await asyncio.sleep(min(length_s, self._phone.limit_s))
                case _:
                    end = self._run_simple_verb(verb)
                    if end is not None:
                        return end
        return CallEnd.AGENT_HUNG_UP

    def _run_simple_verb(
        self,
        verb: twiml.Say | twiml.Play | twiml.Dial | twiml.Hangup | twiml.Reject | twiml.Unknown,
    ) -> CallEnd | None:
        match verb:
            case twiml.Say(text) | twiml.Play(text):
                self._line.tell(CallEventKind.CARRIER_SPEAKS, text)
            case twiml.Dial(who):
                self._line.tell(CallEventKind.TRANSFER, who)
                return CallEnd.TRANSFERRED
            case twiml.Hangup():
                return CallEnd.AGENT_HUNG_UP
            case twiml.Reject():
                return CallEnd.REJECTED
            case unknown:
                sentence = f"<{unknown.name}> is stepped over."
                self._line.warn(CarrierWarning(SCHEMA_WARNING, sentence))
        return None

    async def _run_stream(self, stream: twiml.Stream, base_url: str) -> CallEnd | None:
        """Stream until either side ends it; None if the call goes on after that."""
        url = _media_url(base_url, stream.url)
        start = StreamStart(
            self._phone.account_sid, self._sid, f"MZ{secrets.token_hex(16)}", stream.parameters
        )
        link = MediaLink(self._line, start)
        try:
            await link.open(url, self._handshake_headers(url))
        except LinkError as error:
            self._notify_stream(stream, start, "stream-error", str(error))
            raise
        self._has_streamed = True
        self._notify_stream(stream, start, "stream-started")
        code = await link.run()
        if self._line.ended is None and code == ABNORMAL_CLOSE:
            broken = _LOST if self._line.stream_lost else _DROPPED
            self._line.warn(CarrierWarning(BROKEN_PIPE, broken))
            self._notify_stream(stream, start, "stream-error", broken)
        else:
            self._notify_stream(stream, start, "stream-stopped")
        return self._line.ended

    def _handshake_headers(self, url: str) -> dict[str, str]:
        headers = {"User-Agent": "Twilio.TmeWs/1.0"}
        if self._phone.auth_token is not None:
            headers["X-Twilio-Signature"] = signature(self._phone.auth_token, url)
        return headers

    def _notify_stream(
        self, stream: twiml.Stream, start: StreamStart, event: str, error: str = ""
    ) -> None:
        if stream.status_callback is None:
            return
        fields = {
            "AccountSid": self._phone.account_sid,
            "CallSid": self._sid,
            "StreamSid": start.stream_sid,
            "StreamName": stream.name or start.stream_sid,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(),
        }
        if error:
            fields["StreamError"] = error
        self._webhooks.notify(stream.status_callback, fields)

    def _call_fields(self, status: str) -> dict[str, str]:
        phone = self._phone
        return {
            "CallSid": self._sid,
            "AccountSid": phone.account_sid,
            "From": phone.from_number,
            "Caller": phone.from_number,
            "CallerCity": "",  # often empty on real calls, and signed all the same
            "To": phone.to_number,
            "Called": phone.to_number,
            "CalledCity": "",
            "CallStatus": status,
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }

    def _final_fields(self) -> dict[str, str]:
        duration_s = asyncio.get_running_loop().time() - self._began_s
        return self._call_fields("completed") | {
            "CallDuration": str(round(duration_s)),
            "Duration": str(math.ceil(duration_s / 60)),
            "Timestamp": format_datetime(datetime.now(UTC)),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": "0",
        }

    def _warn_of_callback(self, sentence: str) -> None:
        self._line.warn(CarrierWarning(CALLBACK_FAILED, sentence))


def _web_url(base_url: str, url: str) -> str:
    absolute = _joined(base_url, url)
    if urlsplit(absolute).scheme not in ("http", "https"):
        raise BadMessage(f"{url!r} is not an http or https URL.")
    return absolute


def _media_url(base_url: str, url: str) -> str:
    """The `ws(s)://` URL of a stream; a relative one belongs to the document's host."""
    absolute = _joined(base_url, url)
    if absolute.startswith("http") and "://" not in url:
        absolute = "ws" + absolute.removeprefix("http")
    parts = urlsplit(absolute)
    if parts.scheme != "wss" and not (parts.scheme == "ws" and is_loopback(parts.hostname or "")):
        raise BadMessage(
            f"<Stream> has the url {url!r}: Twilio takes wss:// only (31922), "
            "and this phone ws:// as well if it is this machine."
        )
    if parts.query:
        raise BadMessage(
            "The url of <Stream> has a query, which Twilio drops (31920): use <Parameter>."
        )
    return absolute


def _joined(base_url: str, url: str) -> str:
    try:
        absolute = urljoin(base_url, url)
        has_host = bool(urlsplit(absolute).hostname)
        _ = urlsplit(absolute).port  # raises for a port that is no number
    except ValueError:
        has_host = False
    if not has_host:
        raise BadMessage(f"{url!r} is not a URL with a host.")
    return absolute
