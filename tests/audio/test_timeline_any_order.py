"""Whatever comes in whatever order, both sides of a call are heard as they were."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from evibridge.audio.timeline import JITTER_S, Timeline
from tests.audio.numbered_pieces import PIECE_S, RATE_HZ, VALUES, piece, sides

LAG_S = JITTER_S + PIECE_S


class TimelineAgainstTheCarrier(RuleBasedStateMachine):
    """The agent's side is what a carrier plays that is told the same; the caller's is in order."""

    def __init__(self) -> None:
        super().__init__()
        self.timeline = Timeline(RATE_HZ, 0.0)
        self.now_s = 0.0
        self.takes: list[bytes] = []
        self.played: list[int] = []
        self.numbers = 0
        self.pieces = 0

    @property
    def now(self) -> int:
        return round(self.now_s * RATE_HZ)

    @rule(step_ms=st.sampled_from([1, 20, 20, 50, 230, 700]))
    def time_passes(self, step_ms: int) -> None:
        self.now_s += step_ms / 1000

    @rule(frames=st.integers(0, 400), times=st.integers(1, 12))
    def the_caller_speaks(self, frames: int, times: int) -> None:
        for _ in range(times):
            self.timeline.caller(piece(self.pieces, frames), self.now_s)
            self.pieces += 1

    @rule(frames=st.integers(0, 4000))
    def the_agent_speaks(self, frames: int) -> None:
        self.played += [0] * (self.now - len(self.played)) + [self.numbers % VALUES + 1] * frames
        self.timeline.agent(piece(self.numbers, frames), self.now_s)
        self.numbers += 1

    @rule()
    def the_agent_is_silenced(self) -> None:
        del self.played[self.now :]
        self.timeline.clear(self.now_s)

    @rule(lag_s=st.sampled_from([0.0, LAG_S]))
    @precondition(lambda self: self.now_s > 0)
    def somebody_takes(self, lag_s: float) -> None:
        self.takes.append(self.timeline.take(self.now_s - lag_s))

    def teardown(self) -> None:
        self.takes.append(self.timeline.take(self.now_s + 1))
        left, right = sides(b"".join(self.takes))

        assert len(left) == round((self.now_s + 1) * RATE_HZ)
        heard = (self.played + [0] * len(right))[: len(right)]
        assert right.tolist() == heard
        assert not left[self.now + round(JITTER_S * RATE_HZ) + 1 :].any()
        said = left[left > 0]
        assert (np.diff(said) >= 0).all()


TestTimelineAgainstTheCarrier = TimelineAgainstTheCarrier.TestCase
TestTimelineAgainstTheCarrier.settings = settings(max_examples=40, stateful_step_count=30)
