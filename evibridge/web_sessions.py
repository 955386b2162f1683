"""One-use tokens with which web pages begin calls.

Whoever knows the caller asks for a token, and says with it what the call is to know of him; the
page shows the token once. Only hashes of tokens are kept.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from evibridge.errors import EvibridgeError, Overloaded

LIFETIME_S = 60.0
"""From the page's request for a token to the call, which begins with a click."""
MAX_OPEN = 10_000
"""Tokens that may still be used: some 10 MB, and far more than callers who wait."""
MAX_REMEMBERED = 10_000
"""Tokens that can be used no more, so that whoever shows one is told why."""


class WebSessionRefused(EvibridgeError):
    """A token does not let its bearer in.

    Attributes:
        code: `token_unknown`, `token_expired`, `token_used` or `token_for_another_origin`
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True)
class WebSession:
    """What a call that a page begins is to know of its caller: personal data.

    Attributes:
        name: what the caller is called, as a telephone number is in other calls
        parameters: texts for the tools of the agent
        variables: values for the placeholders of the prompt
        origin: the only origin whose pages may use the token, such as `https://shop.example`
    """

    name: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str | float | bool] = field(default_factory=dict, repr=False)
    origin: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Open:
    session: WebSession
    until_s: float


class _Fate(Enum):
    USED = auto()
    EXPIRED = auto()


class WebSessions:
    """Tokens that were given out. Time is an argument, in seconds of a clock that only grows."""

    def __init__(self) -> None:
        self._open: dict[bytes, _Open] = {}
        self._past: dict[bytes, _Fate] = {}

    def create(self, session: WebSession, now_s: float, lifetime_s: float = LIFETIME_S) -> str:
        """Give out a token, which is good for one call that begins within its lifetime.

        Raises:
            Overloaded: `MAX_OPEN` tokens wait to be used
        """
        if len(self._open) >= MAX_OPEN:
            self._forget_expired(now_s)
        if len(self._open) >= MAX_OPEN:
            raise Overloaded("Too many tokens wait to be used: ask again in a minute.")
        token = secrets.token_urlsafe(32)
        self._open[_hash(token)] = _Open(session, now_s + lifetime_s)
        return token

    def check(self, token: str, origin: str | None, now_s: float) -> WebSession:
        """Tell what a token stands for; it can still be used afterwards.

        Args:
            token: as somebody shows it
            origin: of the page that shows it; None for a program that is no browser
            now_s: the time

        Raises:
            WebSessionRefused: it does not let its bearer in
        """
        digest = _hash(token)
        held = self._open.get(digest)
        if held is not None and held.until_s <= now_s:
            self._retire(digest, _Fate.EXPIRED)
            held = None
        if held is None:
            raise WebSessionRefused(*_REFUSALS[self._past.get(digest)])
        wanted = held.session.origin
        if wanted is not None and (origin is None or _plain(wanted) != _plain(origin)):
            raise WebSessionRefused(
                "token_for_another_origin",
                "This token was made for pages of another origin: ask for one with this page's.",
            )
        return held.session

    def redeem(self, token: str, origin: str | None, now_s: float) -> WebSession:
        """Use a token up; arguments and errors as in `check`."""
        session = self.check(token, origin, now_s)
        self._retire(_hash(token), _Fate.USED)
        return session

    def _forget_expired(self, now_s: float) -> None:
        for digest in [each for each, held in self._open.items() if held.until_s <= now_s]:
            self._retire(digest, _Fate.EXPIRED)

    def _retire(self, digest: bytes, fate: _Fate) -> None:
        del self._open[digest]
        self._past[digest] = fate
        if len(self._past) > MAX_REMEMBERED:
            del self._past[next(iter(self._past))]


def _hash(token: str) -> bytes:
    """What is looked up instead of a token: how long that takes says nothing about the token."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()


def _plain(origin: str) -> str:
    return origin.lower().rstrip("/")


_REFUSALS = {
    None: ("token_unknown", "This token is not known: ask for another one."),
    _Fate.USED: (
        "token_used",
        "This token was used already: each is good for one call, ask for another one.",
    ),
    _Fate.EXPIRED: (
        "token_expired",
        "This token was not used in time: ask for one when the call begins.",
    ),
}
