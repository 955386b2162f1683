"""How often whoever has a token or a key may ask for a connection. Time is an argument."""

import hashlib
from dataclasses import dataclass, field

from evibridge.bridges.browser.allowance import Allowance

PER_S = 1.0
BURST = 5.0
"""A page that lost its connection tries again after 0.25, 0.5, 1, 2 seconds."""
RESTED_S = BURST / PER_S
"""Whoever was not seen for so long may ask as often as somebody new."""
BUSY_RETRY_S = 1.0
MAX_BEARERS = 4096
"""Who were seen just now; each has shown a token or a key that is good."""


@dataclass(slots=True)
class _Bearer:
    allowance: Allowance = field(default_factory=lambda: Allowance(PER_S, BURST))
    is_busy: bool = False
    seen_s: float = 0.0


class OfferLimits:
    """Each makes one connection at a time, and not too many one after another."""

    def __init__(self) -> None:
        self._bearers: dict[bytes, _Bearer] = {}
        self.refused = 0
        """How often somebody was put off."""

    def begin(self, secret: str, now_s: float) -> float:
        """Somebody asks for a connection.

        Returns 0.0 if it may be made, and `end` is to be told; else how many seconds to wait.
        """
        self._forget_the_rested(now_s)
        digest = _hash(secret)
        bearer = self._bearers.pop(digest, None) or _Bearer()
        wait_s = BUSY_RETRY_S
        if len(self._bearers) < MAX_BEARERS:
            self._bearers[digest] = bearer  # behind all who were seen before
            bearer.seen_s = now_s
            if not bearer.is_busy:
                wait_s = bearer.allowance.wait_s(1, now_s)
        if wait_s > 0.0:
            self.refused += 1
            return wait_s
        bearer.allowance.take(1, now_s)
        bearer.is_busy = True
        return 0.0

    def end(self, secret: str) -> None:
        """The connection was made, or failed."""
        self._bearers[_hash(secret)].is_busy = False

    def _forget_the_rested(self, now_s: float) -> None:
        while self._bearers:
            digest, bearer = next(iter(self._bearers.items()))
            if bearer.is_busy or now_s - bearer.seen_s < RESTED_S:
                return
            del self._bearers[digest]


def _hash(secret: str) -> bytes:
    """What is kept instead of a secret."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).digest()
