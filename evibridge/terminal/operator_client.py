"""The operator API as its clients see it: requests, streams, and what refusals mean."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self
from urllib.parse import urlencode
from uuid import uuid4

import aiohttp
from yarl import URL

from evibridge.errors import CommandRefused, EvibridgeError, LinkUnreachable, SettingsError
from evibridge.operator_access import Scope, parse_tokens
from evibridge.operators.idempotency import IDEMPOTENCY_KEY
from evibridge.terminal_text import harmless

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 15.0
"""More than a service waits for a carrier or an EVI server."""
READ_WITHIN_S = 20.0
"""For a document, however often it has to be asked for."""
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Before a request is sent again whose answer was lost, or is not there yet."""
HEARTBEAT_S = 15.0
"""A stream that is silent for so long is asked whether it is still there."""
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Of a stream: twice as much as 500 lines of the longest kind."""
OVER = 1000
"""Close code of a stream after which nothing comes."""

# Both are kinds of what follows.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
_LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError)

_OPTIONS = {
    "to": "NUMBER",
    "from": "--from",
    "say_first": "--say-first",
    "parameters": "--parameter",
    "text": "TEXT",
    "variables": "NAME=VALUE",
    "reason": "--reason",
    "chat_id": "CHAT_ID",
    "q": "--search",
}
"""What people type for members of a request."""

_NOBODY_BEHIND = (502, 503, 504)
"""What proxies answer whose service is not there."""


def token_to_show(setting: str | None) -> str | None:
    """Choose a token among those of the service's own setting; None if there are none.

    Raises:
        SettingsError: the setting cannot be read
    """
    tokens = () if setting is None else parse_tokens(setting)
    best = sorted(tokens, key=lambda each: not each.scope.covers(Scope.CONTROL))
    return best[0].token if best else None


class OperatorClient:
    """Asks a service, while its `async with` block lasts.

    Args:
        url: origin of the service
        token: an operator's; None to ask as a program of the service's own machine
        pauses_s: before each repetition of a request whose answer was lost
        tell: told, once for each command, that its answer was lost and it is sent again

    Raises:
        SettingsError: it is no origin
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        pauses_s: Sequence[float] = PAUSES_S,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._origin = _origin(url)
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._pauses_s = pauses_s
        self._tell = tell
        self._http: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
            raise_for_status=self._raise_refusal,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def get(self, path: str, **query: str | int) -> Any:
        """Read a JSON document.

        Raises:
            CommandRefused: the service says why not
            LinkUnreachable: it does not answer
            SettingsError: it does not know the token, or is something else
        """
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                return await self._ask("GET", _with_query(path, query))
        except TimeoutError as error:
            raise self._unreachable(error) from error

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Have something done, once, however often it has to be sent.

        Raises:
            CommandRefused: the service says why not
            LinkUnreachable: it does not answer, and may have done it
            SettingsError: it does not know the token, or is something else
        """
        headers = {IDEMPOTENCY_KEY: uuid4().hex}
        return await self._ask("POST", path, json=body, headers=headers)

    @asynccontextmanager
    async def stream(
        self, path: str, **query: str | int
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse[bool]]:
        """Open a WebSocket.

        Raises:
            CommandRefused: the service says why not
            LinkUnreachable: it does not answer
            SettingsError: it does not know the token, or is something else
        """
        try:
            socket = await self._http.ws_connect(
                self._url(_with_query(path, query)),
                heartbeat=HEARTBEAT_S,
                max_msg_size=MAX_MESSAGE_BYTES,
            )
        except aiohttp.ClientResponseError as error:
            raise self._no_service(error.status) from None
        except _LOST as error:
            raise self._unreachable(error) from error
        async with socket:
            yield socket

    async def _ask(self, method: str, path: str, **how: Any) -> Any:
        """Send a request until it is answered."""
        lost: Exception | None = None
        for pause_s in (*self._pauses_s, None):
            try:
                return await self._answer(method, path, **how)
            except _LOST as error:
                if lost is None and isinstance(error, _NOT_SENT):
                    raise self._unreachable(error) from error
                if lost is None and method == "POST" and pause_s is not None:
                    self._tell(f"{self._origin} has not answered: asking again, as one command.")
                lost = error
            except CommandRefused as refusal:
                if refusal.code != "still_running" or pause_s is None:
                    raise
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        raise self._unreachable(lost, may_be_done=method == "POST") from lost

    async def _answer(self, method: str, path: str, **how: Any) -> Any:
        try:
            async with self._http.request(
                method, self._url(path), allow_redirects=False, **how
            ) as response:
                body = await response.read()
        except aiohttp.ClientResponseError as error:  # it does not speak HTTP
            raise self._no_service(error.status) from None
        try:
            return json.loads(body)
        except ValueError:  # also if it is no text
            raise self._no_service(response.status) from None

    def _url(self, path: str) -> URL:
        return URL(self._origin + path, encoded=True)

    async def _raise_refusal(self, response: aiohttp.ClientResponse) -> None:
        """A response that says why not becomes an error that says the same."""
        status = response.status
        if status < 400:
            return
        code, sentence = _reason(response.content_type, await response.read())
        if status == 401:
            raise self._not_admitted()
        if not sentence:
            raise self._no_service(status)
        if status == 403:
            raise SettingsError(sentence)
        refusal = CommandRefused(code, sentence)
        refusal.retryable = status == 503
        raise refusal

    def _not_admitted(self) -> EvibridgeError:
        if "Authorization" in self._headers:
            return SettingsError(
                f"{self._origin} does not know the token in EVIBRIDGE_OPERATOR_TOKEN (401): set it "
                "to the service's own."
            )
        return SettingsError(
            f"{self._origin} wants to see a token (401): set EVIBRIDGE_OPERATOR_TOKEN to the "
            "service's own."
        )

    def _no_service(self, status: int) -> EvibridgeError:
        if status in _NOBODY_BEHIND:
            return LinkUnreachable(
                f"There is no evibridge service behind {self._origin} ({status}): start it with "
                "`evibridge run`."
            )
        return SettingsError(
            f"{self._origin} is no evibridge service ({status}): give the origin of one as --url."
        )

    def _unreachable(
        self, error: Exception | None, *, may_be_done: bool = False
    ) -> LinkUnreachable:
        if may_be_done:
            return LinkUnreachable(
                f"{self._origin} does not answer, and may have done what it was asked for: see "
                "`evibridge calls list` before you ask again."
            )
        return LinkUnreachable(
            f"{self._origin} cannot be reached ({_cause(error)}): start the service with "
            "`evibridge run`, or give its origin as --url."
        )


def _cause(error: Exception | None) -> str:
    if isinstance(error, aiohttp.ClientSSLError):
        return "it cannot be trusted, or does not speak TLS"
    number = getattr(error, "errno", None) or 0
    if number > 0:  # others are of the resolver
        return os.strerror(number)
    return harmless(getattr(error, "strerror", None) or "it does not answer")


def _origin(url: str) -> str:
    """An origin without a slash at its end."""
    try:
        parts = URL(url)
        is_origin = parts.scheme in ("http", "https") and parts.user is None and " " not in url
        is_origin = is_origin and str(parts.relative()) in ("", "/")
    except ValueError:
        is_origin = False
    if not is_origin:
        raise SettingsError(
            "--url is no origin of a service: give one such as http://127.0.0.1:8080."
        )
    return str(parts.origin())


def _with_query(path: str, query: Mapping[str, str | int]) -> str:
    return f"{path}?{urlencode(query, errors='replace')}" if query else path


def _reason(content_type: str, body: bytes) -> tuple[str, str]:
    """The code and the sentence of a refusal; empty if an evibridge service has sent none."""
    text = body.decode(errors="replace")
    if content_type != "application/json":
        # As WebSockets are refused; others end without a full stop.
        is_sentence = content_type == "text/plain" and text.endswith(".")
        return ("refused", harmless(text)) if is_sentence else ("", "")
    try:
        answer = json.loads(text)
        if "detail" in answer:
            faults = [f"{_place(each['loc'])}: {_fault(each['msg'])}" for each in answer["detail"]]
            return "unfit", harmless(f"The service cannot use {'; '.join(faults)}.")
        return str(answer["code"]), harmless(answer["message"])
    except (AttributeError, KeyError, TypeError, ValueError):
        return "", ""


def _place(loc: Sequence[str | int]) -> str:
    """Where something stands; which part of the request it is, goes without saying."""
    first, *others = loc[1:] or loc
    return ".".join((_OPTIONS.get(str(first), str(first)), *map(str, others)))


def _fault(message: str) -> str:
    """What is wrong with it; the service's own checks leave out what they speak of."""
    own = message.removeprefix("Value error, ")
    return message if own == message else f"it {own}"
