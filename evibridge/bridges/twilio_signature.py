"""Who may speak for Twilio.

With an auth token every request must carry Twilio's signature over the public URL it was sent to
(Twilio: HMAC-SHA1 over the URL and, for a form, its sorted parameters). The URL is built from the
configured origin, never from headers, which an attacker can write. Without a token only programs
on this machine may call, and not through a tunnel or from a page of somewhere else.
"""

from collections.abc import Mapping
from typing import Any

from twilio.request_validator import RequestValidator

from evibridge.loopback import is_local_request
from evibridge.sockets import origin_to_ws

SIGNATURE_HEADER = "X-Twilio-Signature"


class SignatureCheck:
    """Decides whether a request is Twilio's.

    Args:
        auth_token: the account's primary token; None admits local programs only
        public_origin: `https://voice.example.com`, as Twilio is told to call; needed with a token
    """

    def __init__(self, auth_token: str | None, public_origin: str | None) -> None:
        self._validator = RequestValidator(auth_token) if auth_token else None
        self._origin = public_origin or ""

    def admits_webhook(
        self, path_with_query: str, form: Any, headers: Mapping[str, str], peer: str
    ) -> bool:
        """Check a form POST; `form` is a multi-dict that keeps blank values."""
        if self._validator is None:
            return is_local_request(headers, peer)
        url = f"{self._origin}{path_with_query}"
        return _is_signed(self._validator, url, form, headers)

    def admits_stream(self, path: str, headers: Mapping[str, str], peer: str) -> bool:
        """Check a media stream's handshake; Twilio signs the `<Stream url>` without parameters.

        Twilio's documents advise another try with a trailing slash.
        """
        if self._validator is None:
            return is_local_request(headers, peer)
        url = origin_to_ws(self._origin) + path.partition("?")[0].rstrip("/")
        return any(
            _is_signed(self._validator, candidate, {}, headers) for candidate in (url, f"{url}/")
        )


def _is_signed(
    validator: RequestValidator, url: str, form: Any, headers: Mapping[str, str]
) -> bool:
    signature = headers.get(SIGNATURE_HEADER)
    # The validator compares in constant time, and fails on a missing header.
    return bool(signature) and bool(validator.validate(url, form, signature))
