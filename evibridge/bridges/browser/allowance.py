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
        self._fill(now_s)
        if amount > self._left:
            self.refused += 1
            return False
        self._left -= amount
        return True

    def wait_s(self, amount: float, now_s: float) -> float:
        """How long until this much is there, which must not be more than `burst`; 0.0 if it is."""
        self._fill(now_s)
        return max(0.0, (amount - self._left) / self._per_s)

    def _fill(self, now_s: float) -> None:
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s


class CallerAllowance:
    """What one caller may ask of a call, by however many connections. Time is an argument.

    Each method takes what is asked for and returns 0.0, or takes nothing and returns how many
    seconds to wait.
    """

    def __init__(self) -> None:
        self._connections = Allowance(per_s=1, burst=10)
        self._texts = Allowance(per_s=1, burst=5)
        self._characters = Allowance(per_s=200, burst=8000)
        self._changes = Allowance(per_s=2, burst=10)

    def connect(self, now_s: float) -> float:
        """Come back by another connection: EVI and operators are told of it."""
        return self._take(now_s, (self._connections, 1))

    def write(self, characters: int, now_s: float) -> float:
        """Type a text of at most 8000 characters: each is a turn of the language model."""
        return self._take(now_s, (self._texts, 1), (self._characters, characters))

    def change(self, now_s: float) -> float:
        """Change the state of the call, which is told to operators and kept in its record."""
        return self._take(now_s, (self._changes, 1))

    def _take(self, now_s: float, *wanted: tuple[Allowance, int]) -> float:
        wait_s = max(allowance.wait_s(amount, now_s) for allowance, amount in wanted)
        if wait_s > 0.0:
            return wait_s
        for allowance, amount in wanted:
            allowance.take(amount, now_s)
        return 0.0
