import pytest

from evibridge.agent.phases import CallPhase, Turning
from evibridge.events import EndReason


def seen(phase: CallPhase) -> list[bool]:
    return [phase.is_talking, phase.is_closing, phase.has_server, phase.is_over]


def test_a_call_begins_as_a_conversation() -> None:
    phase = CallPhase()

    assert seen(phase) == [True, False, True, False]


def test_a_decided_hang_up_lets_the_agent_take_leave() -> None:
    phase = CallPhase()

    phase.go(Turning.HANG_UP, EndReason.OPERATOR_HUNG_UP)
    closing = seen(phase)
    phase.go(Turning.END)

    assert closing == [False, True, True, False]
    assert seen(phase) == [False, False, False, True]
    assert phase.reason is EndReason.OPERATOR_HUNG_UP


@pytest.mark.parametrize("decided", [True, False])
def test_a_server_that_leaves_is_heard_out(*, decided: bool) -> None:
    phase = CallPhase()
    if decided:
        phase.go(Turning.HANG_UP, EndReason.AGENT_HUNG_UP)

    phase.go(Turning.SERVER_LEFT, EndReason.EVI_LOST)

    assert seen(phase) == [False, False, False, False]
    assert phase.reason is EndReason.EVI_LOST


@pytest.mark.parametrize("before", [[], [Turning.HANG_UP], [Turning.SERVER_LEFT]])
def test_every_phase_can_be_the_last(before: list[Turning]) -> None:
    phase = CallPhase()
    for turning in before:
        phase.go(turning)

    phase.go(Turning.END, EndReason.CALLER_HUNG_UP)

    assert phase.is_over


@pytest.mark.parametrize("turning", list(Turning))
def test_nothing_follows_the_end(turning: Turning) -> None:
    phase = CallPhase()
    phase.go(Turning.END)

    with pytest.raises(KeyError):
        phase.go(turning)
