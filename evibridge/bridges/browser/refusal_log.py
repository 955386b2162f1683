"""Keeps the log readable when many requests are refused. Time is an argument."""

EVERY_S = 1.0


class RefusalLog:
    """Tells which refusals are worth a line: one per second for each code.

    Codes are the service's own, so there are few.
    """

    def __init__(self) -> None:
        self._told_s: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def count(self, code: str, now_s: float) -> int:
        """How many refusals the line for this one stands for; 0 if there is to be none."""
        untold = self._untold.get(code, 0) + 1
        told_s = self._told_s.get(code)
        if told_s is not None and now_s - told_s < EVERY_S:
            self._untold[code] = untold
            return 0
        self._told_s[code], self._untold[code] = now_s, 0
        return untold
