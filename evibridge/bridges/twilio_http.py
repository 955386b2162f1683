"""What the `twilio` package sends its requests through."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp

REQUEST_TIMEOUT_S = 5.0
"""Twilio answers in well under a second. Meanwhile the caller hears silence, an operator waits for
somebody to be called, or the service waits to end."""
MAX_CONNECTIONS = 16
"""Twilio refuses too many requests at a time. All calls of a service can end at once; the others
wait for a connection, within their time limit."""


class TwilioHttp:
    """Sends requests to an origin of our choice.

    It has the shape of the package's `AsyncHttpClient`, which costs 4 MB to derive from. The
    package's own `AsyncTwilioHttpClient` will not do: it sets no time limit, and hands credentials
    to aiohttp in a way that is deprecated there.

    Args:
        origin: where the API is
    """

    is_async = True

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._session: aiohttp.ClientSession | None = None  # can be made in a running loop only
        self.is_closed = False

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None,
        data: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        auth: tuple[str, str],
        timeout: float | None,
        allow_redirects: bool,
    ) -> Any:
        """Send one request, and return the package's `Response`."""
        from twilio.http.response import Response

        if self._session is None:
            connector = aiohttp.TCPConnector(limit=MAX_CONNECTIONS)
            self._session = aiohttp.ClientSession(connector=connector)
        async with self._session.request(
            method,
            self._origin + urlsplit(url)._replace(scheme="", netloc="").geturl(),
            params=params,
            data=urlencode(data or {}, doseq=True),
            headers={**headers, "Authorization": aiohttp.encode_basic_auth(*auth, "utf-8")},
            timeout=aiohttp.ClientTimeout(total=timeout or REQUEST_TIMEOUT_S),
            allow_redirects=allow_redirects,
        ) as response:
            text = await response.text(errors="replace")
            return Response(response.status, text, response.headers)

    async def close(self) -> None:
        """Close the connections for good."""
        self.is_closed = True
        if self._session is not None:
            await self._session.close()
