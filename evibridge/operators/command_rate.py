"""How fast an operator may give commands."""

PER_S = 10.0
"""Faster than a person, and than a program that acts on what it hears."""
BURST = 20
"""Commands at once, such as pausing every call of a small service."""
WEB_SESSIONS_PER_S = 50.0
WEB_SESSIONS_BURST = 200
"""Tokens for callers, which a web server asks for when people come: each visit may be a call."""


class CommandRate:
    """A bucket of tokens for each author; there are as many authors as operators.

    Args:
        per_s: commands a second, in the long run
        burst: commands at once, after a rest
    """

    def __init__(self, per_s: float = PER_S, burst: int = BURST) -> None:
        self._interval_s = 1.0 / per_s
        self._leeway_s = (burst - 1) * self._interval_s
        self._full_at_s: dict[str, float] = {}

    def wait_s(self, author: str, now_s: float) -> float:
        """Take a token out of an author's bucket, if there is one.

        Returns:
            0 if there was one, else the time until the next one comes
        """
        full_at_s = max(self._full_at_s.get(author, now_s), now_s)
        wait_s = full_at_s - now_s - self._leeway_s
        if wait_s > 0.0:
            return wait_s
        self._full_at_s[author] = full_at_s + self._interval_s
        return 0.0
