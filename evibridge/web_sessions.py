"""One-use tokens with which web pages begin calls.

Whoever knows the caller asks for a token, and says with it what the call is to know of him; the
page shows the token once. Only hashes of tokens are kept.
"""

import hashlib
import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from evibridge.errors import EvibridgeError, Overloaded
from evibridge.web_origins import checked_origin, normal_origin

LIFETIME_S = 60.0
"""From the page's request for a token to the call, which begins with a click."""
MIN_LIFETIME_S = 5
MAX_LIFETIME_S = 3600
"""Of tokens that others ask for."""
MAX_CHARACTERS = 16_000
"""Of everything that a session says of a caller, names of parameters and variables among it."""
SWEEP_INTERVAL_S = 1.0
"""How long a token that has expired keeps what it stands for, while others are made or shown."""
MAX_OPEN = 10_000
"""Tokens that may still be used, far more than callers who wait. They take 8 MB if each knows a
name and two values; 170 MB if each says as much as it may, and 650 MB if that is emoji."""
MAX_REMEMBERED = 10_000
"""Tokens that can be used no more, so that whoever shows one is told why: about 1 MB."""


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
        origin: the only origin whose pages may use the token, as browsers write it, such as
            `https://shop.example`; it may be given in other ways

    Raises:
        ValueError: the origin is none, or there are more than `MAX_CHARACTERS`
    """

    name: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    variables: Mapping[str, str | float | bool] = field(default_factory=dict, repr=False)
    origin: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.origin is not None:
            object.__setattr__(self, "origin", checked_origin(self.origin))
        if self._characters() > MAX_CHARACTERS:
            raise ValueError(
                f"name, parameters and variables may have {MAX_CHARACTERS} characters together, "
                "with the names of each: say less"
            )

    def _characters(self) -> int:
        said = (*self.parameters.items(), *self.variables.items())
        return len(self.name or "") + sum(len(key) + len(str(value)) for key, value in said)


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
        self._swept_s = -math.inf

    def create(self, session: WebSession, now_s: float, lifetime_s: float = LIFETIME_S) -> str:
        """Give out a token, which is good for one call that begins within its lifetime.

        Raises:
            Overloaded: `MAX_OPEN` tokens wait to be used
        """
        self._sweep(now_s)
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
        self._sweep(now_s)
        digest = _hash(token)
        held = self._open.get(digest)
        if held is not None and held.until_s <= now_s:
            self._retire(digest, _Fate.EXPIRED)
            held = None
        if held is None:
            raise WebSessionRefused(*_REFUSALS[self._past.get(digest)])
        wanted = held.session.origin
        if wanted is not None and wanted != normal_origin(origin or ""):
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

    def _sweep(self, now_s: float) -> None:
        """Forget what expired tokens stand for."""
        if now_s < self._swept_s + SWEEP_INTERVAL_S:
            return
        self._swept_s = now_s
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
