"""Whoever is called by the bridge, with Twilio in between: what is done, and what Twilio tells."""

from urllib.parse import urlsplit

import aiohttp
from twilio.request_validator import RequestValidator

from tests.bridges.twilio_rest_server import AUTH_TOKEN, RestRequest, TinyTwilioRest
from tests.parties import TinyTwilio, ticket_in

PUBLIC = "https://voice.example.com"
"""The service's origin, as Twilio is told it."""


def signed(url: str, form: dict[str, str] | None = None) -> dict[str, str]:
    """The headers of a request of Twilio's."""
    signature = RequestValidator(AUTH_TOKEN).compute_signature(url, form or {})
    return {"X-Twilio-Signature": signature}


class CalledPerson:
    """One call that the bridge has made.

    Args:
        rest: where the call was made
        made: the request that made it
        origin: where the service listens
        http: what requests are sent through
    """

    def __init__(
        self, rest: TinyTwilioRest, made: RestRequest, origin: str, http: aiohttp.ClientSession
    ) -> None:
        self._rest = rest
        self._origin = origin
        self._http = http
        self.made = made.fields
        self.call_sid = made.call_sid
        self.line = TinyTwilio(origin, http)
        self.line.call_sid = made.call_sid

    async def fares(self, status: str) -> None:
        """Twilio tells how the call fares."""
        self._rest.statuses[self.call_sid] = status
        answer, _ = await self.post(self.made["StatusCallback"], CallStatus=status)
        assert answer == 204

    async def answer(self) -> str:
        """Take the call; returns the document that Twilio gets then."""
        self._rest.statuses[self.call_sid] = "in-progress"
        status, document = await self.post(self.made["Url"], CallStatus="in-progress")
        assert status == 200, document
        return document

    async def speak_with(self, document: str) -> None:
        """Open the stream of a document."""
        await self.line.connect(headers=signed("wss://voice.example.com/twilio/media"))
        await self.line.start(ticket_in(document))

    async def post(self, url: str, **fields: str) -> tuple[int, str]:
        """Send a request of Twilio's about this call to a public address of the service."""
        form = {
            "CallSid": self.call_sid,
            "From": self.made["From"],
            "To": self.made["To"],
            "Direction": "outbound-api",
            **fields,
        }
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" == PUBLIC
        local = self._origin + url.removeprefix(PUBLIC)
        async with self._http.post(local, data=form, headers=signed(url, form)) as answer:
            return answer.status, await answer.text()
