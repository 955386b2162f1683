"""Twilio's REST API: ending a call's carrier leg without waiting for Twilio to ask.

The client of the `twilio` package takes 12 MB and half a second to import. That happens when a
`TwilioRest` is made, before there are calls, and not at all in a service that makes none.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import aiohttp
import structlog
from twilio.base.exceptions import TwilioRestException, TwilioServiceException

REQUEST_TIMEOUT_S = 5.0
"""Twilio answers in well under a second. Meanwhile the caller hears silence, or the service waits
to end."""
RETRY_PAUSES_S = (0.5, 2.0)
"""Before the second try and the third, more or less: calls that end together come back apart."""
MAX_CONNECTIONS = 16
"""Twilio refuses too many requests at a time. All calls of a service can end at once; the others
wait for a connection, within their time limit."""
TWILIO_ORIGIN = "https://api.twilio.com"

log = structlog.get_logger(__name__)


class TwilioRest:
    """One account's REST API.

    Args:
        account_sid: `AC...`, the account that the calls belong to
        auth_token: its token
        origin: where the API is: one of Twilio's regions, or a server that stands in for it
    """

    def __init__(self, account_sid: str, auth_token: str, *, origin: str = TWILIO_ORIGIN) -> None:
        from twilio.rest import Client

        self._http = _Http(origin)
        self._calls = Client(account_sid, auth_token, http_client=self._http).calls
        self._name = f"Twilio's REST API at {origin}"
        self._credentials_are_refused = False

    async def complete(self, call_sid: str, document: str | None = None) -> None:
        """End a call at the carrier, or go on with a document; one that is over is as good.

        Never raises. What fails is tried again twice, for up to 20 s in all, and then logged.
        """
        fault = await self._try_to_complete(call_sid, document)
        for pause_s in RETRY_PAUSES_S:
            if fault is None or not fault.is_passing:
                break
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            fault = await self._try_to_complete(call_sid, document)
        if fault is not None:
            self._tell(fault, call_sid)

    async def close(self) -> None:
        """Close the connections; calls that are being completed are given up."""
        await self._http.close()

    async def _try_to_complete(self, call_sid: str, document: str | None) -> "_Fault | None":
        if self._http.is_closed:
            return _Fault("The service ended before the call could be completed.")
        try:
            if document is None:
                await self._calls(call_sid).update_async(status="completed")
            else:
                await self._calls(call_sid).update_async(twiml=document)
        except (TwilioRestException, TwilioServiceException) as error:
            return self._refusal(error.status, error.code)
        except TimeoutError:
            return self._passing(f"did not answer within {REQUEST_TIMEOUT_S:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return self._passing(f"cannot be reached ({error})")
        except Exception as error:  # noqa: BLE001 - the package reads whatever the answer holds
            return _Fault(
                f"{self._name} answers in a form that is not Twilio's ({type(error).__name__}): "
                "check EVIBRIDGE_TWILIO_API_URL."
            )
        return None

    def _refusal(self, status: object, code: object) -> "_Fault | None":
        """What an error of Twilio's means; the package fills in the status where no code came."""
        match status, code:
            case (404, 20404) | (400, 21220):
                return None  # the call is over
            case ((401 | 403), _):
                return _Fault(
                    f"{self._name} does not accept TWILIO_ACCOUNT_SID with TWILIO_AUTH_TOKEN "
                    f"(HTTP {status}, error {code}): check both, and that the account is active.",
                    is_of_credentials=True,
                )
            case int(), _ if status == 429 or status >= 500:
                return self._passing(f"answers with HTTP {status}")
            case _ if status == code:
                return _Fault(
                    f"{self._name} answers with HTTP {status} and no error of Twilio's: "
                    "check EVIBRIDGE_TWILIO_API_URL."
                )
            case _:
                return _Fault(
                    f"{self._name} refuses to end the call (HTTP {status}): "
                    f"see https://www.twilio.com/docs/api/errors/{code}."
                )

    def _passing(self, what: str) -> "_Fault":
        sentence = f"{self._name} {what}: the call may go on there until the caller hangs up."
        return _Fault(sentence, is_passing=True)

    def _tell(self, fault: "_Fault", call_sid: str) -> None:
        if not fault.is_of_credentials:
            log.warning("call_not_completed", call_id=call_sid, error=fault.sentence)
        elif not self._credentials_are_refused:  # every call meets this one
            self._credentials_are_refused = True
            log.error("twilio_credentials_refused", call_id=call_sid, error=fault.sentence)


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a call could not be ended."""

    sentence: str
    is_passing: bool = False
    is_of_credentials: bool = False


class _Http:
    """What the package sends its requests through, to an origin of our choice.

    It has the shape of the package's `AsyncHttpClient`, which costs 4 MB to derive from. The
    package's own `AsyncTwilioHttpClient` will not do: it sets no time limit, and hands credentials
    to aiohttp in a way that is deprecated there.
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
