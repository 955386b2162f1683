import time
from threading import Event

from evibridge.records.pacing import MAX_BUSY_S, Pacing


class Rests(Event):
    """Notes for how long it is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.rests_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.rests_s.append(timeout)
        return super().wait(0)


def compute() -> None:
    """Keep the interpreter busy for longer than is left to a thread."""
    until_s = time.thread_time() + 1.5 * MAX_BUSY_S
    while time.thread_time() < until_s:
        pass


def test_a_thread_rests_for_as_long_as_it_has_computed() -> None:
    rests = Rests()
    pacing = Pacing(rests)
    for _ in range(2):
        compute()
        pacing.rest()
        assert rests.rests_s.pop() > MAX_BUSY_S
        assert not rests.rests_s


def test_a_thread_that_has_hardly_computed_does_not_rest() -> None:
    rests = Rests()
    Pacing(rests).rest()
    assert not rests.rests_s
