"""Who may use what is there for the operators of a service alone."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from evibridge.loopback import is_local_request

ONLY_LOCAL = (
    "Only programs on the same machine are answered: set EVIBRIDGE_OPERATOR_TOKEN, and show it as "
    "'Authorization: Bearer <token>'."
)
NOT_SHOWN = "Show the value of EVIBRIDGE_OPERATOR_TOKEN as 'Authorization: Bearer <token>'."


@dataclass(frozen=True, slots=True)
class OperatorRefusal:
    """The HTTP answer to somebody who is no operator."""

    status: int
    sentence: str
    headers: Mapping[str, str]


class OperatorAccess:
    """Decides about every request for an operator.

    Args:
        token: what an operator has to show; None admits programs of this machine alone
    """

    def __init__(self, token: str | None) -> None:
        self._token = None if token is None else _bytes(token.strip())

    def refusal(self, headers: Mapping[str, str], peer: str) -> OperatorRefusal | None:
        """Return why a request is not answered, None for an operator's.

        Args:
            headers: of the request; case-insensitive
            peer: address of the other end of the TCP connection
        """
        if self._token is None:
            is_local = is_local_request(headers, peer)
            return None if is_local else OperatorRefusal(403, ONLY_LOCAL, {})
        scheme, _, shown = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(_bytes(shown.strip()), self._token):
            return None
        return OperatorRefusal(401, NOT_SHOWN, {"WWW-Authenticate": "Bearer"})


def _bytes(text: str) -> bytes:
    """Bytes that were no UTF-8 are surrogates in headers and in the environment."""
    return text.encode(errors="surrogatepass")
