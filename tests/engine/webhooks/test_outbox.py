from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.webhooks.events import EVENT_NAMES, Event
from evibridge.engine.webhooks.outbox import EVENT_BYTES, MAX_EVENTS, Lane, Outbox

START, END = Event("chat_started", b"s"), Event("chat_ended", b"e")
ADA, BOB = Lane("ada", 0), Lane("bob", 0)


def tool_call(number: int) -> Event:
    return Event("tool_call", str(number).encode())


def test_the_events_of_a_chat_keep_their_order() -> None:
    outbox = Outbox()
    for event in (START, tool_call(1), END):
        assert outbox.add(ADA, event) is None

    assert outbox.first(ADA) == START
    assert outbox.delivered(ADA)
    assert outbox.first(ADA) == tool_call(1)
    assert outbox.delivered(ADA)
    assert outbox.first(ADA) == END
    assert not outbox.delivered(ADA)


def test_of_a_chat_with_too_many_events_the_oldest_tool_call_goes() -> None:
    outbox = Outbox()
    calls = [tool_call(number) for number in range(MAX_EVENTS)]
    dropped = [outbox.add(ADA, event) for event in (START, *calls, END)]

    assert [event for event in dropped if event] == calls[:2]
    assert outbox.take_all() == [(ADA, [START, *calls[2:], END])]


def test_the_event_that_is_being_delivered_stays() -> None:
    outbox = Outbox()
    calls = [tool_call(number) for number in range(MAX_EVENTS + 1)]
    dropped = [outbox.add(ADA, event) for event in calls]

    assert outbox.first(ADA) == calls[0]
    assert dropped[-1] == calls[1]


def test_of_too_many_chats_the_oldest_goes() -> None:
    outbox = Outbox(max_bytes=3 * EVENT_BYTES)
    for event in (START, END):
        outbox.add(ADA, event)
    outbox.add(BOB, START)

    assert outbox.overflow(BOB) == [(ADA, [START, END])]
    assert outbox.overflow(BOB) == []
    assert outbox.take_all() == [(BOB, [START])]


def test_the_newest_event_stays_however_large_it_is() -> None:
    outbox = Outbox(max_bytes=1)
    outbox.add(ADA, START)

    assert outbox.overflow(ADA) == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["ada", "bob", "eve"]), st.sampled_from([*EVENT_NAMES, None])),
        max_size=200,
    ),
    st.integers(1, 60),
)
def test_whatever_happens_order_and_bounds_are_kept_and_nothing_is_lost_unseen(
    steps: list[tuple[str, str | None]], room: int
) -> None:
    max_bytes = room * (EVENT_BYTES + 4)
    outbox = Outbox(max_bytes)
    waiting: dict[Lane, list[Event]] = defaultdict(list)  # what has to be in the outbox
    for number, (chat, name) in enumerate(steps):
        lane = Lane(chat, 0)
        if name is None and waiting[lane]:
            assert outbox.first(lane) == waiting[lane].pop(0)
            assert outbox.delivered(lane) is bool(waiting[lane])
        elif name is not None:
            event = Event(name, f"{number:04}".encode())  # type: ignore[arg-type]
            waiting[lane].append(event)
            if (dropped := outbox.add(lane, event)) is not None:
                assert dropped in waiting[lane][1:-1]
                waiting[lane].remove(dropped)
            for old, events in outbox.overflow(lane):
                assert old != lane
                assert waiting.pop(old) == events
            assert len(waiting[lane]) <= MAX_EVENTS
            kept = sum(map(len, waiting.values()))
            assert kept <= max(room, len(waiting[lane]))

    assert {**dict(outbox.take_all())} == {lane: kept for lane, kept in waiting.items() if kept}
