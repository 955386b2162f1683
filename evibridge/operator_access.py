"""Who may use what is there for the operators of a service alone, and what each of them may do."""

import hmac
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from evibridge.errors import SettingsError
from evibridge.loopback import is_local_request

ONLY_LOCAL = (
    "Only programs on the same machine are answered: set EVIBRIDGE_OPERATOR_TOKEN, and show it as "
    "'Authorization: Bearer <token>'."
)
NOT_SHOWN = "Show a token that is in EVIBRIDGE_OPERATOR_TOKEN as 'Authorization: Bearer <token>'."
ONLY_READS = (
    "This token may read and nothing else: show one that has the scope 'control' in "
    "EVIBRIDGE_OPERATOR_TOKEN."
)
FORM = "write name:scope=token, with the scope read or control, or the token alone"

SUBPROTOCOL = "evibridge"
"""What WebSockets of operators speak. A page, which can set no header, offers its token beside."""

_NAME = re.compile(r"[\w.@+-]{1,64}")
_BEARER = re.compile(r"bearer\.([A-Za-z0-9_-]+)")
"""A token as a subprotocol: its UTF-8 in base64url (RFC 4648, 5) without padding."""


class Scope(StrEnum):
    """What an operator may do."""

    READ = "read"
    """Watch calls, and read what is kept of them."""
    CONTROL = "control"
    """Read, and act on calls."""

    def covers(self, wanted: "Scope") -> bool:
        """Tell whether whoever has this scope may do what needs `wanted`."""
        return self is Scope.CONTROL or wanted is Scope.READ


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """One entry of the setting `EVIBRIDGE_OPERATOR_TOKEN`."""

    name: str
    """Stands for the operator in logs, events and records."""
    scope: Scope
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever has shown a token."""

    name: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class OperatorRefusal:
    """The HTTP answer to somebody who is no operator, or may not do this."""

    status: int
    sentence: str
    headers: Mapping[str, str]


LOCAL = Operator("local", Scope.CONTROL)
"""Any program of this machine, while no token is set."""
UNNAMED = "operator"
"""The name that comes with a token which stands alone."""


def parse_tokens(text: str) -> tuple[OperatorToken, ...]:
    """Read the setting: entries with commas between them, `name:scope=token` or a token alone.

    A token alone has the scope `control` and the name "operator". Entries are counted in error
    messages, because a wrong one may hold a token anywhere.

    Raises:
        SettingsError: an entry that cannot be read, or a name or a token that stands there twice
    """
    tokens: list[OperatorToken] = []
    for place, entry in enumerate(text.split(","), start=1):
        token = _entry(entry.strip(), place)
        if any(token.token == other.token for other in tokens):
            raise _fault(place, "has a token that an entry before it has: give each its own")
        if any(token.name == other.name for other in tokens):
            raise _fault(place, "has the name of an entry before it: give each its own")
        tokens.append(token)
    return tuple(tokens)


def _entry(entry: str, place: int) -> OperatorToken:
    if not entry:
        raise _fault(place, f"is empty: {FORM}")
    who, _, token = entry.partition("=")
    if ":" not in who:  # the token may end in "=", as those in base64 do
        return OperatorToken(UNNAMED, Scope.CONTROL, entry)
    name, _, scope = (part.strip() for part in who.partition(":"))
    if not _NAME.fullmatch(name):
        raise _fault(place, "has no name of 1 to 64 letters, digits and the characters . @ + - _")
    if scope not in list(Scope):
        raise _fault(place, f"has a scope that does not exist: {FORM}")
    if not token.strip():
        raise _fault(place, f"has no token: {FORM}")
    return OperatorToken(name, Scope(scope), token.strip())


def _fault(place: int, what: str) -> SettingsError:
    return SettingsError(f"EVIBRIDGE_OPERATOR_TOKEN: entry {place} {what}.")


class OperatorAccess:
    """Decides about every request for an operator.

    Args:
        tokens: what operators show; without any, programs of this machine alone are admitted
    """

    def __init__(self, tokens: tuple[OperatorToken, ...]) -> None:
        self._tokens = [(_bytes(token.token), token) for token in tokens]

    def admit(
        self,
        headers: Mapping[str, str],
        peer: str,
        scope: Scope,
        subprotocols: Sequence[str] = (),
    ) -> Operator | OperatorRefusal:
        """Tell who sends a request, or why it is not answered.

        Args:
            headers: of the request; case-insensitive
            peer: address of the other end of the TCP connection
            scope: what the request needs
            subprotocols: what the beginning of a WebSocket offers, where a token may stand if
                there is none in the headers; other requests have none
        """
        if not self._tokens:
            is_local = is_local_request(headers, peer)
            return LOCAL if is_local else OperatorRefusal(403, ONLY_LOCAL, {})
        shown = self._of_token(_shown(headers, subprotocols))
        if shown is None:
            return OperatorRefusal(401, NOT_SHOWN, {"WWW-Authenticate": "Bearer"})
        if not shown.scope.covers(scope):
            return OperatorRefusal(403, ONLY_READS, {})
        return Operator(shown.name, shown.scope)

    def refusal(
        self,
        headers: Mapping[str, str],
        peer: str,
        scope: Scope,
        subprotocols: Sequence[str] = (),
    ) -> OperatorRefusal | None:
        """As `admit`, for whom it is enough that somebody may: None for an operator's request."""
        answer = self.admit(headers, peer, scope, subprotocols)
        return answer if isinstance(answer, OperatorRefusal) else None

    def _of_token(self, shown: bytes | None) -> OperatorToken | None:
        if shown is None:
            return None
        # All of them are compared, and each in a time that depends on what is shown alone.
        same = [token for known, token in self._tokens if hmac.compare_digest(known, shown)]
        return same[0] if same else None


def _shown(headers: Mapping[str, str], subprotocols: Sequence[str]) -> bytes | None:
    """The token of a request; None without one, or if it cannot be read."""
    if "Authorization" not in headers:
        return _offered(subprotocols)
    scheme, _, text = headers["Authorization"].partition(" ")
    return _bytes(text.strip()) if scheme.lower() == "bearer" else None


def _offered(subprotocols: Sequence[str]) -> bytes | None:
    """The token that stands among subprotocols, if exactly one does, beside the one we speak."""
    found = [match[1] for each in subprotocols if (match := _BEARER.fullmatch(each))]
    if SUBPROTOCOL not in subprotocols or len(found) != 1:
        return None
    try:
        token = urlsafe_b64decode(found[0] + "=" * (-len(found[0]) % 4))
        token.decode()
    except ValueError:
        return None
    return token


def _bytes(text: str) -> bytes:
    """Bytes that were no UTF-8 are surrogates in headers and in the environment."""
    return text.encode(errors="surrogatepass")
