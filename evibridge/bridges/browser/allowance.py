"""How much a stranger may send, be it messages or seconds of audio."""


class Allowance:
    """A bucket that fills steadily. Time is an argument, in seconds.

    Args:
        per_s: what may be taken in the long run
        burst: what may be taken at once, after a rest
    """

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at_s = 0.0
        self.refused = 0
        """How often there was not enough left."""

    def take(self, amount: float, now_s: float) -> bool:
        """Take this much, if it is there: all of it or nothing."""
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if amount > self._left:
            self.refused += 1
            return False
        self._left -= amount
        return True
