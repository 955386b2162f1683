"""Who may open a chat: API keys, and the short-lived tokens that stand for them. Pure.

A token is a JWT signed with a key that is derived from an API key and its secret. So every engine
with the same keys accepts it, and it ends with the key: removing the key, or changing its secret,
takes back its tokens. Nothing is kept about tokens.

Wrong keys are not slowed down: keys are random text that no number of tries finds, and a limit for
each address would lock out all callers behind one proxy. They are counted, for whoever watches.
"""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import jwt

from evibridge.errors import SettingsError
from evibridge.loopback import is_local_request
from evibridge.sockets import Upgrade

TOKEN_LIFETIME_S = 1800
"""As EVI's tokens; a chat that is open outlives its token."""
MAX_FORM_FIELDS = 16
WRONG_CREDENTIALS = "The API key or the access token is missing, wrong or expired."
WRONG_PAIR = "The API key or its secret is missing or wrong."
NOT_LOCAL = "An engine without API keys only serves clients on its own machine."

LOCAL = "local"
"""Who a client of an engine without keys is."""

_ALGORITHM = "HS256"
_PLAIN = re.compile(r"[A-Za-z0-9._~-]+")
"""What stands for itself in headers, in queries and in the forms of OAuth2."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key that opens chats; only one with a secret can be exchanged for tokens."""

    key: str = field(repr=False)
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """What stands for a key until it expires."""

    text: str = field(repr=False)
    expires_in_s: int = TOKEN_LIFETIME_S


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """Why there is no token, in the terms of OAuth2 (RFC 6749, 5.2)."""

    status: int
    error: str
    sentence: str


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """Read keys as `key` or `key:secret`, separated by commas; blank text is no key.

    Raises:
        SettingsError: an entry is empty, has other characters than keys may have, or comes twice
    """
    if not text.strip():
        return ()
    keys: dict[str, ApiKey] = {}
    for number, entry in enumerate(text.split(","), start=1):
        key, colon, secret = entry.strip().partition(":")
        if not _PLAIN.fullmatch(key) or (colon and not _PLAIN.fullmatch(secret)):
            raise SettingsError(
                f"API key {number} of the engine must be written as key or key:secret, "
                "each of letters, digits, '-', '.', '_' and '~'."
            )
        if key in keys:
            raise SettingsError(f"API key {number} of the engine stands in the list already.")
        keys[key] = ApiKey(key, secret or None)
    return tuple(keys.values())


class Access:
    """Decides about every client of an engine.

    Args:
        keys: what opens a chat; without any, only clients on this machine may
    """

    def __init__(self, keys: tuple[ApiKey, ...] = ()) -> None:
        self.wrong_credentials = WRONG_CREDENTIALS if keys else NOT_LOCAL
        """The sentence for a client that is not admitted."""
        self._keys = [_digest(key.key) for key in keys]
        self._signers = [_Signer(key.key, key.secret) for key in keys if key.secret is not None]
        self._signer_of = {signer.name: signer for signer in self._signers}
        # Nobody checks the tokens of an engine without keys: being local is what counts.
        self._local = None if keys else _Signer("", "")

    def admits(
        self, upgrade: Upgrade, api_keys: tuple[str, ...], access_token: str | None, now_s: float
    ) -> str | None:
        """Return who may open a chat by these credentials, None for nobody.

        A name stands for a key, however it was shown, and tells nothing about it.

        Args:
            upgrade: the request; it may bear a token in its `Authorization` header
            api_keys: from header and query, one of which has to be right
            access_token: from the query
            now_s: Unix time
        """
        if self._local is not None:
            return LOCAL if is_local_request(upgrade.headers, upgrade.peer) else None
        for api_key in api_keys:
            if self._knows(api_key):
                return _name(api_key)
        token = access_token or _credentials(upgrade.headers.get("Authorization", ""), "bearer")
        return self._bearer(token, now_s) if token else None

    def issue_token(
        self, headers: Mapping[str, str], peer: str, form: str, now_s: float
    ) -> Token | TokenRefusal:
        """Exchange a key and its secret for a token (RFC 6749, 4.4).

        Args:
            headers: of the request, case-insensitive; `Authorization` is Basic `key:secret`
            peer: address of the client
            form: the body, `grant_type=client_credentials`
            now_s: Unix time
        """
        signer = self._signer_for(headers, peer)
        if isinstance(signer, TokenRefusal):
            return signer
        try:
            fields = parse_qs(form, max_num_fields=MAX_FORM_FIELDS)
        except ValueError:
            fields = {}
        match fields.get("grant_type", []):
            case ["client_credentials"]:
                return Token(signer.sign(int(now_s) + TOKEN_LIFETIME_S))
            case [_]:
                sentence = "The only grant_type of this engine is client_credentials."
                return TokenRefusal(400, "unsupported_grant_type", sentence)
            case _:
                sentence = "The body must be a form with grant_type=client_credentials."
                return TokenRefusal(400, "invalid_request", sentence)

    def _knows(self, api_key: str) -> bool:
        offered = _digest(api_key)
        # All are compared, so that the time tells nothing about any.
        matches = [hmac.compare_digest(offered, key) for key in self._keys]
        return any(matches)

    def _bearer(self, token: str, now_s: float) -> str | None:
        """Whose token this is, if it counts."""
        try:
            signer = self._signer_of.get(jwt.get_unverified_header(token).get("kid", ""))
            return signer.owner if signer and signer.expiry_s(token) > now_s else None
        except (jwt.PyJWTError, ValueError, RecursionError):
            return None  # whatever a stranger writes: no JWT, no UTF-8, endlessly nested JSON

    def _signer_for(self, headers: Mapping[str, str], peer: str) -> "_Signer | TokenRefusal":
        pair = _basic_pair(headers.get("Authorization", ""))
        if self._local is not None:
            if not is_local_request(headers, peer):
                return TokenRefusal(401, "invalid_client", NOT_LOCAL)
            return self._local if pair else TokenRefusal(401, "invalid_client", WRONG_PAIR)
        offered = _digest(pair)
        found = [
            signer for signer in self._signers if hmac.compare_digest(offered, signer.pair_digest)
        ]
        return found[0] if found else TokenRefusal(401, "invalid_client", WRONG_PAIR)


class _Signer:
    """Signs the tokens of one key.

    Attributes:
        name: what tokens call the key; it tells nothing about key or secret
        owner: whom `admits` names for the key
        pair_digest: of `key:secret`
    """

    def __init__(self, key: str, secret: str) -> None:
        pair = f"{key}:{secret}"
        self.pair_digest = _digest(pair)
        self.owner = _name(key)
        self.name = _derived(pair, "name").hex()[:16]
        self._signing_key = _derived(pair, "signature")

    def sign(self, expires_at_s: int) -> str:
        claims = {"exp": expires_at_s}
        return jwt.encode(claims, self._signing_key, _ALGORITHM, headers={"kid": self.name})

    def expiry_s(self, token: str) -> int:
        """The Unix time at which a token ends; raises `jwt.PyJWTError` for one of others."""
        options: jwt.types.Options = {"require": ["exp"], "verify_exp": False}
        claims = jwt.decode(token, self._signing_key, [_ALGORITHM], options)
        return int(claims["exp"])


def _name(api_key: str) -> str:
    return _digest(api_key).hex()[:16]


def _digest(text: str) -> bytes:
    """Text of any length in 32 bytes, so that comparing takes the same time for all."""
    return hashlib.sha256(text.encode(errors="backslashreplace")).digest()


def _derived(pair: str, purpose: str) -> bytes:
    return hmac.digest(pair.encode(), f"evibridge chat token: {purpose}".encode(), "sha256")


def _credentials(authorization: str, scheme: str) -> str:
    """What follows the scheme in an `Authorization` header, blank if it has another scheme."""
    name, _, credentials = authorization.partition(" ")
    return credentials.strip() if name.lower() == scheme else ""


def _basic_pair(authorization: str) -> str:
    """The `key:secret` of a Basic header, blank if there is none."""
    try:
        return b64decode(_credentials(authorization, "basic"), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
