"""A model behind an OpenAI-compatible address: the connections to it, its faults in sentences."""

import re
import string
from collections.abc import Mapping
from typing import Any

import httpx2
import openai
import structlog

from evibridge.errors import BadMessage, EngineSetupError

CONNECT_TIMEOUT_S = 3.0
"""A connection that takes longer is tried anew, while there is time for it."""
MAX_CONNECTIONS = 256
"""More replies at once than the rest of an engine can speak; what is beyond waits for a place."""
KEEP_ALIVE_S = 60.0
"""Longer than the pause between two turns of a call: only its first one waits for a handshake."""
MAX_RETRY_AFTER_S = 1.0
"""A service may ask for more time, but a caller waits."""
MAX_LOGGED_CHARACTERS = 500

Fault = openai.APIError | BadMessage | ValueError | RecursionError
FAULTS = (openai.APIError, BadMessage, ValueError, RecursionError)
"""What a request raises: refusals and broken connections; else the service sent what is no text,
no JSON, no JSON object, or nested too deep to be read."""

_KEY_CHARACTERS = frozenset(string.ascii_letters + string.digits + string.punctuation)

log = structlog.get_logger()


class ModelService:
    """One OpenAI-compatible address.

    Time limits and further tries are left to the caller, who knows who is waiting.

    Args:
        kind: what sentences call the service, such as "language model"
        base_url: what comes before `/chat/completions`; None for `OPENAI_BASE_URL`, else OpenAI's
        api_key: None sends no key, as services of one's own expect

    Raises:
        EngineSetupError: the address or the key cannot be one
    """

    def __init__(self, kind: str, base_url: str | None, api_key: str | None) -> None:
        query: httpx2.QueryParams | None = None
        if base_url is not None:
            base_url, query = _checked_address(kind, base_url)
        if api_key is not None and not is_sendable_key(api_key):
            raise EngineSetupError(
                f"The API key of the {kind} holds characters that no key has: check "
                'OPENAI_API_KEY, or the variable that its "api_key_env" names.'
            )
        self._api_key = api_key
        limits = httpx2.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_S,
        )
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            # Without one, the client takes a key out of the environment and shows it to anybody.
            api_key="none",
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S),
            default_query=query,
            http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        )
        url = self._client.base_url
        self.host = url.host
        self.name = f"The {kind} at {url.scheme}://{url.netloc.decode()}{url.path.rstrip('/')}"

    async def stream(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        api_key: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> openai.AsyncStream[object]:
        """Send a request; returns the parsed events of the answer, up to `[DONE]`, as they come.

        Closing the stream closes the connection if the answer is not over.

        Args:
            path: what follows the address, such as `/chat/completions`
            body: the request, as JSON
            api_key: instead of the service's own, for this request
            query: added to the query of the address

        Raises:
            FAULTS: one of them, here or out of the stream
        """
        key = api_key or self._api_key
        authorization = openai.Omit() if key is None else f"Bearer {key}"
        return await self._client.post(
            path,
            cast_to=object,
            body=body,
            options={"headers": {"Authorization": authorization}, "params": query or {}},
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )

    def explain(self, fault: Fault, model: str | None) -> str:
        """Say in one sentence what went wrong, and what the owner of the engine can do.

        What the service itself says is only logged: it may repeat what a caller said.
        """
        match fault:
            case openai.APIStatusError(status_code=status):
                log.warning("model_service_refused", status=status, answer=_answer(fault))
                return f"{self.name} {_refusal(fault, model)} (HTTP {status})."
            case openai.APITimeoutError():
                return f"{self.name} cannot be reached: no connection in {CONNECT_TIMEOUT_S:g} s."
            case openai.APIConnectionError():
                reason = str(fault.__cause__).rstrip(".")
                if isinstance(fault.__cause__, httpx2.ConnectError):
                    return f"{self.name} cannot be reached ({reason}): check that it is running."
                return f"{self.name} cannot be reached, or breaks connections: {reason}."
            case openai.APIError():
                return f"{self.name} reports an error instead of an answer."
            case _:
                return (
                    f"{self.name} answers in a form that is not OpenAI's: check its address; "
                    "most end in /v1."
                )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


def is_sendable_key(key: str) -> bool:
    """Tell whether a key can stand in a header; others would show in the fault that they cause."""
    return bool(key) and _KEY_CHARACTERS.issuperset(key)


def is_passing(fault: Fault) -> bool:
    """Tell whether the same request may succeed in a moment."""
    if isinstance(fault, openai.APIStatusError):
        return fault.status_code in (408, 409, 429) or fault.status_code >= 500
    return isinstance(fault, openai.APIError)


def retry_after_s(fault: Fault) -> float:
    """Return how long the service wants to be left alone, at most `MAX_RETRY_AFTER_S`."""
    if not isinstance(fault, openai.APIStatusError):
        return 0.0
    wanted = fault.response.headers.get("Retry-After", "")  # seconds; a date is not heeded
    return min(float(wanted), MAX_RETRY_AFTER_S) if re.fullmatch(r"\d+", wanted, re.ASCII) else 0.0


def _answer(fault: openai.APIStatusError) -> str:
    """What the service says of its refusal, without the key, which it may show."""
    key = fault.request.headers.get("Authorization", "").removeprefix("Bearer ")
    text = fault.message.replace(key, "***") if key else fault.message
    return text[:MAX_LOGGED_CHARACTERS]


def _refusal(fault: openai.APIStatusError, model: str | None) -> str:
    match fault.status_code:
        case 401 | 403:
            return "does not accept the API key, or wants one: check it"
        case 404 if isinstance(fault.body, dict) and "model" in str(fault.body.get("message")):
            return f"has no model {model}: check its name"
        case 404:
            return "is no OpenAI-compatible service: check its address; most end in /v1"
        case 429:
            return "takes no more requests for now: check its quota and its limits"
        case status if status >= 500:
            return "is out of order"
        case _:
            return "refuses the request: the log has its reason"


def _checked_address(kind: str, base_url: str) -> tuple[str, httpx2.QueryParams]:
    """Return an address that can be called, and what every request has in its query."""
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in ("http", "https") or not url.host or (url.port or 1) not in range(65_536):
        raise EngineSetupError(
            f"The address of the {kind} must be an http:// or https:// address of a service."
        )
    return str(url.copy_with(query=None)), url.params
