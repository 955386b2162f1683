"""The HTTP requests that Twilio makes for a call: signed forms out, TwiML in."""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
from twilio.request_validator import RequestValidator

from evibridge.emulators.twiml import MAX_DOCUMENT_BYTES, Verb, parse_twiml
from evibridge.errors import BadMessage, EvibridgeError, LinkRefused, LinkUnreachable

TIMEOUT_S = 15.0
"""Twilio: a voice webhook has 15 s in all."""
MAX_NOTICES = 16
"""Status callbacks under way at once; a call has two a stream and one at its end."""
XML_TYPES = ("text/xml", "application/xml")


def signature(auth_token: str, url: str, fields: Mapping[str, str] | None = None) -> str:
    """The value of `X-Twilio-Signature`.

    Args:
        auth_token: the account's primary auth token
        url: as Twilio was told it; for a media stream the `wss://` URL of `<Stream>`
        fields: of a form POST; the handshake of a WebSocket signs the URL alone
    """
    parts = urlsplit(url)._replace(fragment="")
    if parts.scheme == "https":  # Twilio signs https URLs without their port
        parts = parts._replace(netloc=parts.netloc.removesuffix(f":{parts.port}"))
    value: str = RequestValidator(auth_token).compute_signature(parts.geturl(), dict(fields or {}))
    return value


def without_secrets(url: str) -> str:
    """The URL without its query and credentials, fit for a message to a person."""
    shown = url.partition("?")[0]
    scheme, found, rest = shown.partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}"


class Webhooks:
    """Asks a service for TwiML and tells it about the call, as Twilio does.

    Args:
        auth_token: what requests are signed with; None sends them unsigned
        on_failed_notice: told in a sentence when a status callback fails
    """

    def __init__(self, auth_token: str | None, on_failed_notice: Callable[[str], None]) -> None:
        self._auth_token = auth_token
        self._on_failed_notice = on_failed_notice
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        self._notices: set[asyncio.Task[None]] = set()

    async def fetch(self, url: str, fields: Mapping[str, str]) -> list[Verb]:
        """The TwiML document with which `url` answers a POST of `fields`.

        Raises:
            LinkUnreachable: nobody answers within `TIMEOUT_S`
            LinkRefused: the answer has another status than 2xx
            BadMessage: the answer is not TwiML
        """
        content_type, body = await self._post(url, fields)
        if content_type not in XML_TYPES:
            raise BadMessage(
                f"{without_secrets(url)} answered with {content_type}: "
                f"TwiML must come as {XML_TYPES[0]}."
            )
        return parse_twiml(body)

    def notify(self, url: str, fields: Mapping[str, str]) -> None:
        """Send a status callback without waiting for it; its answer does not matter."""
        if len(self._notices) >= MAX_NOTICES:
            self._on_failed_notice("Too many status callbacks are unanswered.")
            return
        task = asyncio.get_running_loop().create_task(self._notice(url, fields))
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)

    async def close(self) -> None:
        """Wait for the status callbacks under way, `TIMEOUT_S` at most, and end."""
        try:
            await asyncio.gather(*self._notices)
        finally:
            await self._http.close()

    async def _notice(self, url: str, fields: Mapping[str, str]) -> None:
        try:
            await self._post(url, fields)
        except EvibridgeError as error:
            self._on_failed_notice(str(error))

    async def _post(self, url: str, fields: Mapping[str, str]) -> tuple[str, bytes]:
        """Content type and body of the answer."""
        headers = {"User-Agent": "TwilioProxy/1.1"}
        if self._auth_token is not None:
            headers["X-Twilio-Signature"] = signature(self._auth_token, url, fields)
        shown = without_secrets(url)
        try:
            async with self._http.post(
                url, data=fields, headers=headers, allow_redirects=False
            ) as response:
                if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                    raise LinkRefused(shown, response.status)
                return response.content_type, await _beginning(response.content)
        except TimeoutError as error:
            raise LinkUnreachable(f"{shown} gave no answer within {TIMEOUT_S:g} s.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LinkUnreachable(
                f"{shown} cannot be reached: is the service running there?"
            ) from error


async def _beginning(content: aiohttp.StreamReader) -> bytes:
    """All of a body that is a possible document, and enough of a larger one to tell."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) > MAX_DOCUMENT_BYTES:
            break
    return bytes(body)
