from collections.abc import Callable

import pytest

from evibridge.bus import EventBus
from evibridge.events import (
    AgentPaused,
    AgentSaid,
    CallBegan,
    CallDialled,
    CallEnded,
    CallerSaid,
    CallEvent,
    EndReason,
    OperatorSaid,
    ToolFinished,
    ToolStarted,
    TurnAnswered,
)
from evibridge.operators.latest import MAX_ANSWERS, MAX_ENDED, Latest, LatestOfCall, RunningTool

NOON_MS = 1_795_867_200_000


def following() -> tuple[EventBus, Latest]:
    bus, latest = EventBus(lambda: NOON_MS / 1000), Latest()
    latest.read(bus)
    return bus, latest


def said(text: str, *, interim: bool = False, **scores: float) -> CallerSaid:
    return CallerSaid(text, interim=interim, typed=False, scores=scores or None)


def test_of_a_call_that_has_told_nothing_nothing_is_known() -> None:
    _, latest = following()

    assert latest.of("CA1") == LatestOfCall(0, None, None, None)


def test_the_newest_of_everything_is_known() -> None:
    bus, latest = following()
    bus.publish("CA1", said("Hello.", Joy=0.2, Interest=0.4))
    bus.publish("CA1", AgentSaid("u1", "Good morning."))
    bus.publish("CA1", TurnAnswered(640))
    bus.publish("CA1", said("Anybody there?"))
    last = bus.publish("CA1", TurnAnswered(320))

    assert latest.of("CA1") == LatestOfCall(
        last.seq, ("caller", "Anybody there?"), ("Interest", 0.4), 320
    )


def test_the_agent_may_have_the_last_word() -> None:
    bus, latest = following()
    bus.publish("CA1", said("Hello."))
    bus.publish("CA1", AgentSaid("u1", "Good morning."))

    assert latest.of("CA1").last_line == ("agent", "Good morning.")


def test_what_is_not_understood_yet_is_no_line() -> None:
    bus, latest = following()
    bus.publish("CA1", said("Hello."))
    interim = bus.publish("CA1", said("Any", interim=True))

    assert latest.of("CA1").last_line == ("caller", "Hello.")
    assert latest.of("CA1").seq == interim.seq


def test_an_operator_may_have_the_last_word() -> None:
    bus, latest = following()
    bus.publish("CA1", OperatorSaid("Good morning.", "sam", interim=False, is_spoken=True))
    bus.publish("CA1", OperatorSaid("How", "sam", interim=True, is_spoken=True))

    assert latest.of("CA1").last_line == ("operator", "Good morning.")


def test_functions_are_known_as_long_as_they_run() -> None:
    now_s, latest = [NOON_MS / 1000], Latest()
    bus = EventBus(lambda: now_s[0])
    latest.read(bus)
    bus.publish("CA1", ToolStarted("t1", "refund", "{}"))
    now_s[0] += 2.5
    bus.publish("CA1", ToolStarted("t2", "check_stock", "{}"))
    refund = RunningTool("t1", "refund", NOON_MS / 1000)
    stock = RunningTool("t2", "check_stock", NOON_MS / 1000 + 2.5)
    assert latest.of("CA1").tools == (refund, stock)

    bus.publish("CA1", ToolFinished("t2", "check_stock", "answered"))
    assert latest.of("CA1").tools == (refund,)
    bus.publish("CA1", CallEnded(EndReason.CALLER_HUNG_UP))
    assert latest.of("CA1").tools == ()


def answering(now_s: list[float]) -> tuple[Callable[[int], object], Latest]:
    """What has the agent answer after so many ms, and who keeps it."""
    bus, latest = EventBus(lambda: now_s[0]), Latest()
    latest.read(bus)
    return lambda ms: bus.publish("CA1", TurnAnswered(ms)), latest


@pytest.mark.parametrize(
    ("waited", "p95"), [([], None), ([700], 700), ([*range(1, 21)], 19), ([*range(1, 101)], 95)]
)
def test_the_response_time_of_the_service_is_that_of_95_in_100(
    waited: list[int], p95: int | None
) -> None:
    answer, latest = answering([0.0])
    for ms in reversed(waited):
        answer(ms)

    assert latest.response_p95_ms(0.0) == p95


def test_the_response_time_is_of_the_last_hour_and_of_its_newest_answers() -> None:
    now_s = [0.0]
    answer, latest = answering(now_s)
    answer(9000)
    now_s[0] = 3600.0
    answer(500)
    assert latest.response_p95_ms(3600.0) == 9000
    assert latest.response_p95_ms(3600.1) == 500
    for _ in range(MAX_ANSWERS):
        answer(300)
    assert latest.response_p95_ms(3601.0) == 300
    assert latest.response_p95_ms(7201.0) is None


def test_calls_are_kept_apart() -> None:
    bus, latest = following()
    bus.publish("CA1", AgentSaid("u1", "Good morning."))
    bus.publish("CA2", AgentSaid("u1", "Good evening."))

    assert latest.of("CA1").last_line == ("agent", "Good morning.")
    assert latest.of("CA2").last_line == ("agent", "Good evening.")


def test_a_call_that_has_ended_is_remembered_for_a_while() -> None:
    bus, latest = following()
    bus.publish("CA1", AgentSaid("u1", "Goodbye."))
    bus.publish("CA1", CallEnded(EndReason.CALLER_HUNG_UP))
    for number in range(MAX_ENDED - 1):
        bus.publish(f"other {number}", CallEnded(EndReason.CALLER_HUNG_UP))

    assert latest.of("CA1").last_line == ("agent", "Goodbye.")
    bus.publish("one more", CallEnded(EndReason.CALLER_HUNG_UP))
    assert latest.of("CA1") == LatestOfCall()


def test_what_comes_after_the_end_does_not_make_a_call_live_again() -> None:
    bus, latest = following()
    bus.publish("CA1", CallEnded(EndReason.CALLER_HUNG_UP))
    late = bus.publish("CA1", AgentPaused())
    assert latest.of("CA1").seq == late.seq
    for number in range(MAX_ENDED):
        bus.publish(f"other {number}", CallEnded(EndReason.CALLER_HUNG_UP))

    assert latest.of("CA1") == LatestOfCall()


@pytest.mark.parametrize("begins", [CallBegan(), CallDialled("+4930123456", "ada")])
def test_a_call_that_begins_under_the_id_of_another_has_nothing_of_it(begins: CallEvent) -> None:
    bus, latest = following()
    bus.publish("CA1", AgentSaid("u1", "Goodbye."))
    bus.publish("CA1", CallEnded(EndReason.EVI_LOST))
    began = bus.publish("CA1", begins)
    assert latest.of("CA1") == LatestOfCall(began.seq)

    bus.publish("CA1", said("Hello again."))
    for number in range(MAX_ENDED):
        bus.publish(f"other {number}", CallEnded(EndReason.CALLER_HUNG_UP))
    assert latest.of("CA1").last_line == ("caller", "Hello again.")
