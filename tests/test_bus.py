"""Who is told of an event, in which order, and what can be asked for later."""

from itertools import chain, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from evibridge import bus as bus_module
from evibridge.bus import EventBus, Told
from evibridge.events import (
    AgentPaused,
    AgentResumed,
    CallBegan,
    CallDialled,
    CallEnded,
    CallerSaid,
    CallEvent,
    DigitPressed,
    EndReason,
)

NOON_S = 1_795_867_200.0
INTERIM = CallerSaid("Where is", interim=True, typed=False)
FINAL = CallerSaid("Where is my order?", interim=False, typed=False)
BEGAN = CallBegan()
ENDED = CallEnded(EndReason.EVI_LOST)


def a_bus() -> EventBus:
    return EventBus(lambda: NOON_S)


def digits(told: list[Told]) -> str:
    return "".join(each.event.digit for each in told if isinstance(each.event, DigitPressed))


def press(bus: EventBus, keys: str, call_id: str = "CA1") -> list[Told]:
    return [bus.publish(call_id, DigitPressed(key)) for key in keys]


# Telling


def test_readers_of_a_call_and_of_all_calls_are_told() -> None:
    bus = a_bus()
    of_one: list[Told] = []
    of_all: list[Told] = []
    bus.subscribe(of_one.append, "CA1")
    bus.subscribe(of_all.append)
    first = bus.publish("CA1", CallBegan())
    second = bus.publish("CA2", AgentPaused())
    assert of_one == [first]
    assert of_all == [first, second]
    assert (second.call_id, second.at_s, second.event) == ("CA2", NOON_S, AgentPaused())


def test_nothing_is_told_after_unsubscribing_however_often() -> None:
    bus = a_bus()
    kept: list[Told] = []
    gone: list[Told] = []
    bus.subscribe(kept.append, "CA1")
    unsubscribe = bus.subscribe(gone.append, "CA1")
    press(bus, "1")
    unsubscribe()
    unsubscribe()
    press(bus, "2")
    assert (digits(gone), digits(kept)) == ("1", "12")


def test_a_reader_that_comes_twice_is_told_twice_until_it_has_left_twice() -> None:
    bus = a_bus()
    told: list[Told] = []
    leave = [bus.subscribe(told.append), bus.subscribe(told.append)]
    press(bus, "1")
    leave[0]()
    press(bus, "2")
    leave[1]()
    press(bus, "3")
    assert digits(told) == "112"


def test_a_reader_that_fails_is_logged_and_the_others_are_told() -> None:
    bus = a_bus()
    told: list[Told] = []

    def fail(_: Told) -> None:
        raise ZeroDivisionError

    bus.subscribe(fail)
    bus.subscribe(fail, "CA1")
    bus.subscribe(told.append, "CA1")
    with capture_logs() as logs:
        bus.publish("CA1", FINAL)
        bus.publish("CA1", AgentPaused())
    assert [each.event for each in told] == [FINAL, AgentPaused()]
    assert [(entry["event"], entry["call_id"], entry["type"]) for entry in logs] == [
        ("event_reader_failed", "CA1", "CallerSaid"),
        ("event_reader_failed", "CA1", "CallerSaid"),
        ("event_reader_failed", "CA1", "AgentPaused"),
        ("event_reader_failed", "CA1", "AgentPaused"),
    ]


def test_a_cancellation_in_a_reader_goes_through_and_the_bus_lives_on() -> None:
    bus = a_bus()
    told: list[Told] = []

    def interrupt(_: Told) -> None:
        unsubscribe()
        raise KeyboardInterrupt

    unsubscribe = bus.subscribe(interrupt)
    bus.subscribe(told.append)
    with pytest.raises(KeyboardInterrupt):
        press(bus, "1")
    press(bus, "2")
    assert digits(told) == "2"


def test_who_leaves_while_an_event_is_told_is_not_told_of_it() -> None:
    bus = a_bus()
    left: list[Told] = []
    bus.subscribe(lambda _: unsubscribe())
    unsubscribe = bus.subscribe(left.append)
    press(bus, "1")
    assert left == []


def test_who_comes_while_an_event_is_told_is_told_of_the_next_one() -> None:
    bus = a_bus()
    late: list[Told] = []

    def bring_another(told: Told) -> None:
        if digits([told]) == "1":
            bus.subscribe(late.append, "CA1")

    bus.subscribe(bring_another)
    press(bus, "12")
    assert digits(late) == "2"


def test_what_a_reader_publishes_is_told_to_all_after_what_it_was_told_of() -> None:
    bus = a_bus()
    told: list[Told] = []
    late: list[Told] = []

    def answer(each: Told) -> None:
        if each.event == AgentPaused():
            answered = bus.publish("CA1", AgentResumed())
            assert bus.history("CA1")[-1] is answered
            bus.subscribe(late.append)

    bus.subscribe(answer)
    bus.subscribe(told.append)
    bus.publish("CA1", AgentPaused())
    assert [each.event for each in told] == [AgentPaused(), AgentResumed()]
    assert late == []


# Numbers


def test_numbers_are_the_milliseconds_of_the_day_or_go_on_from_the_last_one() -> None:
    now_s = NOON_S
    bus = EventBus(lambda: now_s)
    began_ms = round(NOON_S * 1000)
    assert bus.last_seq == began_ms
    assert [told.seq for told in press(bus, "12")] == [began_ms + 1, began_ms + 2]
    now_s += 5.0
    assert press(bus, "3")[0].seq == began_ms + 5000
    now_s -= 100.0
    assert press(bus, "4")[0].seq == bus.last_seq == began_ms + 5001


def test_what_happens_later_is_never_told_as_earlier_though_the_clock_is_set_back() -> None:
    now_s = NOON_S
    bus = EventBus(lambda: now_s)
    now_s -= 3600.0
    press(bus, "1")
    now_s += 3605.0
    press(bus, "2")
    now_s -= 60.0
    press(bus, "3")
    assert [told.at_s for told in bus.history("CA1")] == [NOON_S, NOON_S + 5, NOON_S + 5]


# What is kept


def test_events_of_a_call_can_be_had_from_any_of_them_on() -> None:
    bus = a_bus()
    told = press(bus, "12")
    press(bus, "9", call_id="CA2")
    told += press(bus, "3")
    assert bus.since("CA1", 0) == told == list(bus.history("CA1"))
    assert bus.since("CA1", told[0].seq) == told[1:]
    assert bus.since("CA1", bus.last_seq) == []


def test_interim_transcripts_are_told_and_not_kept() -> None:
    bus = a_bus()
    told: list[Told] = []
    bus.subscribe(told.append)
    began = bus.last_seq
    bus.publish("CA1", INTERIM)
    assert (bus.since("CA1", 0), bus.since(None, began)) == (None, [])
    bus.publish("CA1", FINAL)
    assert [(each.event, each.is_interim) for each in told] == [(INTERIM, True), (FINAL, False)]
    assert bus.history("CA1") == (told[1],)


def test_a_call_keeps_its_newest_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_module, "MAX_KEPT", 2)
    bus = a_bus()
    told = press(bus, "123")
    assert bus.history("CA1") == (told[1], told[2])
    assert bus.since("CA1", told[0].seq) == told[1:]
    assert bus.since("CA1", told[0].seq - 1) is None
    assert bus.since("CA1", 0) is None


def test_calls_and_numbers_that_are_not_known_have_no_events() -> None:
    bus = a_bus()
    press(bus, "1")
    assert bus.since("CA2", 0) is None
    assert bus.history("CA2") == ()
    assert bus.since("CA1", bus.last_seq + 1) is None
    assert bus.since(None, bus.last_seq + 1) is None


def test_events_of_all_calls_come_in_the_order_in_which_they_were_told() -> None:
    bus = a_bus()
    began = bus.last_seq
    told = [press(bus, "1", call_id)[0] for call_id in ("CA1", "CA2", "CA1", "CA3", "CA2")]
    assert bus.since(None, began) == told
    assert bus.since(None, told[1].seq) == told[2:]


def test_more_events_of_all_calls_than_one_keeps_are_not_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus_module, "MAX_KEPT", 3)
    bus = a_bus()
    began = bus.last_seq
    told = press(bus, "12") + press(bus, "34", call_id="CA2")
    assert bus.since(None, began) is None
    assert bus.since(None, told[0].seq) == told[1:]


def test_numbers_from_before_a_restart_are_not_kept() -> None:
    before = a_bus()
    seq = press(before, "1")[0].seq
    after = EventBus(lambda: NOON_S + 1)
    press(after, "2")
    assert after.since(None, seq) is None


def test_a_forgotten_call_has_no_events_and_its_readers_stay() -> None:
    bus = a_bus()
    told: list[Told] = []
    bus.subscribe(told.append, "CA1")
    began = bus.last_seq
    press(bus, "12")
    bus.publish("CA1", ENDED)
    press(bus, "9", call_id="CA2")
    bus.forget("CA1")
    bus.forget("CA3")
    assert bus.since("CA1", began) is None
    assert bus.since(None, began) is None
    assert bus.since(None, told[-1].seq) == list(bus.history("CA2"))
    press(bus, "3")
    assert digits(told) == "123"


def test_a_call_that_goes_on_is_not_forgotten() -> None:
    bus = a_bus()
    told = press(bus, "12")
    bus.forget("CA1")
    assert list(bus.history("CA1")) == told


@pytest.mark.parametrize("begins", [BEGAN, CallDialled("+4930123456", "ada")])
def test_of_two_calls_with_one_id_the_second_is_kept_alone(begins: CallEvent) -> None:
    bus = a_bus()
    bus.publish("CA1", BEGAN)
    ended = bus.publish("CA1", ENDED)
    late = bus.publish("CA1", AgentPaused())
    assert (bus.has_ended("CA1"), bus.since("CA1", ended.seq)) == (True, [late])

    second = [bus.publish("CA1", begins), bus.publish("CA1", BEGAN)]
    assert not bus.has_ended("CA1")
    assert list(bus.history("CA1")) == second
    assert bus.since("CA1", late.seq) == second
    assert bus.since("CA1", ended.seq) is None
    assert bus.since(None, ended.seq) is None
    assert bus.since("CA1", 0) is None


def test_a_call_of_which_nothing_is_known_has_not_ended() -> None:
    assert not a_bus().has_ended("CA1")


# Any order of things

KEPT = 4
CALLS = ("a", "b")
FORGET = None
STEPS = st.tuples(st.sampled_from(CALLS), st.sampled_from([INTERIM, FINAL, BEGAN, ENDED, FORGET]))


class OneId:
    """What has to be kept of the calls of one id, before only so many events are."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.lost_seq = 0

    def add(self, told: Told) -> None:
        if told.event is BEGAN and self.has_ended:
            self.lost_seq = self.told[-1].seq
            self.told = []
        if not told.is_interim:
            self.told.append(told)

    def forget(self) -> None:
        if self.has_ended:
            self.told = []
            self.lost_seq = 0

    @property
    def has_ended(self) -> bool:
        return any(told.event is ENDED for told in self.told)


@settings(deadline=None)
@given(
    steps=st.lists(STEPS, max_size=20),
    times=st.lists(st.floats(0, 1e10), min_size=1, max_size=21),
)
def test_what_can_be_had_is_complete_whatever_happens(
    steps: list[tuple[str, CallEvent | None]], times: list[float]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bus_module, "MAX_KEPT", KEPT)
        clock = chain(times, repeat(times[-1]))
        bus = EventBus(lambda: next(clock))
        began = bus.last_seq
        told: list[Told] = []
        bus.subscribe(told.append)
        wanted = {call_id: OneId() for call_id in CALLS}
        for call_id, event in steps:
            if event is FORGET:
                bus.forget(call_id)
                wanted[call_id].forget()
            else:
                wanted[call_id].add(bus.publish(call_id, event))
        seqs = [each.seq for each in told]
        assert seqs == sorted({*seqs, began})[1:]
        assert [each.at_s for each in told] == sorted(each.at_s for each in told)
        for seq in (0, began, *seqs):
            for call_id in CALLS:
                of_call = wanted[call_id].told
                assert bus.has_ended(call_id) == wanted[call_id].has_ended
                assert list(bus.history(call_id)) == of_call[-KEPT:]
                later = after(seq, of_call)
                is_complete = (
                    bool(of_call) and seq >= wanted[call_id].lost_seq and len(later) <= KEPT
                )
                assert bus.since(call_id, seq) == (later if is_complete else None)
            later = after(seq, final(told))
            kept = bus.history("a") + bus.history("b")
            is_complete = seq >= began and len(later) <= KEPT and all(t in kept for t in later)
            assert bus.since(None, seq) == (later if is_complete else None)


def final(told: list[Told]) -> list[Told]:
    return [each for each in told if not each.is_interim]


def after(seq: int, told: list[Told]) -> list[Told]:
    return [each for each in told if each.seq > seq]
