from contextlib import closing
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge import events
from evibridge.errors import BadMessage
from evibridge.events import EndReason
from evibridge.records.call_filter import CallFilter
from evibridge.records.document import Recording
from evibridge.records.index import MAX_WORDS, CallIndex, Page
from evibridge.records.index_file import Entry, Indexed, IndexFile
from evibridge.records.store import RecordStore
from evibridge.records.summary import MAX_WORD, summary, words
from tests.records.calls import BEGAN_S, agent, caller, record
from tests.records.indexed import FACTS, ids, keep, keep_each

# What is told of a call


def test_the_summary_of_a_call_has_what_was_last() -> None:
    kept = record(
        "CA1",
        (
            1.0,
            events.CallerSaid("Hm.", interim=False, typed=False, scores={"joy": 0.2, "awe": 0.6}),
        ),
        (2.0, events.TurnAnswered(900)),
        (3.0, events.CallerSaid("Bye.", interim=False, typed=False)),
        (4.0, events.TurnAnswered(700)),
        lines=[caller(1.0, "Hm."), agent(2.0, "Yes?"), caller(3.0, "Bye."), agent(4.0, "Bye!")],
        paused_by="ana",
        agent_name="Paper Lantern",
    )
    assert summary(kept) == {
        "call_id": "CA1",
        "kind": "phone",
        "direction": "inbound",
        "state": "ended",
        "began_at": "2026-11-28T09:12:00.123Z",
        "lasts_s": 62.5,
        "agent": "Paper Lantern",
        "caller": "+4930111",
        "called": "+1415222",
        "chat_id": "chat-1",
        "chat_group_id": "group-1",
        "paused_by": None,
        "held_by": None,
        "taken_over_by": None,
        "approvals": [],
        "last_line": {"who": "agent", "text": "Bye!"},
        "expression": {"name": "awe", "score": 0.6},
        "response_ms": 700,
        "end_reason": "caller_hung_up",
        "tool": None,
        "ended": {
            "at": "2026-11-28T09:13:02.623Z",
            "by": None,
            "transferred_to": None,
            "turns": 4,
            "interruptions": 0,
            "tools": 0,
            "response_p50_ms": 700,
            "response_p95_ms": 900,
            "is_recorded": False,
            "voices": {"caller": [(0.8, 1.0), (2.8, 3.0)], "agent": [(2.0, 2.2), (4.0, 4.2)]},
        },
    }


def test_the_summary_tells_how_a_call_has_ended() -> None:
    kept = record(
        "CA1",
        (1.0, events.ToolStarted("t1", "order_status", "{}")),
        (2.0, events.AgentInterrupted()),
        (3.0, events.CommandGiven("transfer", "ana", "+4930333")),
        ended=EndReason.TRANSFERRED,
        recording=Recording(file="CA1.wav", seconds=62.5, rate_hz=8000, failure=None),
    )
    told = summary(kept)["ended"]
    assert (told["by"], told["transferred_to"]) == ("ana", "+4930333")
    assert (told["interruptions"], told["tools"], told["is_recorded"]) == (1, 1, True)
    assert (told["response_p50_ms"], told["response_p95_ms"]) == (None, None)


def test_a_recording_that_could_not_be_written_is_none() -> None:
    none = Recording(file=None, seconds=0.0, rate_hz=8000, failure="The disk is full.")
    assert summary(record(recording=none))["ended"]["is_recorded"] is False


async def test_the_summary_of_a_silent_call_says_so(store: RecordStore, index: CallIndex) -> None:
    keep(store, caller=None, called=None)
    (found,) = (await index.search(None, 1)).calls
    assert found == orjson.loads(orjson.dumps(summary(record(caller=None, called=None))))
    assert (found["last_line"], found["expression"], found["response_ms"]) == (None, None, None)


# The list


async def test_calls_are_listed_newest_first(store: RecordStore, index: CallIndex) -> None:
    keep_each(store, "CA1", "CA0", "CA2")
    assert await ids(index) == ["CA2", "CA0", "CA1"]


async def test_calls_are_counted_from_a_moment_on(store: RecordStore, index: CallIndex) -> None:
    keep_each(store, "CA1", "CA2", "CA3")
    assert await ids(index) == ["CA3", "CA2", "CA1"]
    began_ms = round(BEGAN_S * 1000)

    counts = [await index.count_since(began_ms + later) for later in (0, 1, 1000, 2000, 2001)]

    assert counts == [3, 2, 2, 1, 0]


async def test_without_records_there_is_an_empty_page(index: CallIndex) -> None:
    assert await index.search(None, 50) == Page([], None)


async def test_pages_follow_each_other_without_gap_or_repetition(
    store: RecordStore, index: CallIndex
) -> None:
    names = ["b", "a", "../c", "d", "e"]
    for name in names:  # all in the same millisecond
        keep(store, name)

    seen, cursor = [], None
    while True:
        page = await index.search(None, 2, cursor)
        seen += [call["call_id"] for call in page.calls]
        keep(store, f"later {len(seen)}", began_at_s=BEGAN_S + 1)
        cursor = page.next
        if cursor is None:
            break
    assert sorted(seen) == sorted(names)


async def test_a_page_that_holds_the_last_call_has_no_next(
    store: RecordStore, index: CallIndex
) -> None:
    keep_each(store, "CA1", "CA2")
    assert (await index.search(None, 2)).next is None
    assert (await index.search(None, 1)).next is not None


async def test_a_cursor_that_is_none_is_refused(index: CallIndex) -> None:
    for cursor in ("", "CA1", "1.", "1.a/b", "1.\n", "1.a' OR 1", "x.CA1", f"{10**40}.a"):
        with pytest.raises(BadMessage, match="cursor"):
            await index.search(None, 50, cursor)


# What calls are chosen by


def slow(*waited_ms: int) -> list[tuple[float, events.CallEvent]]:
    return [(1.0, events.TurnAnswered(each)) for each in waited_ms]


@pytest.fixture
def chosen_from(store: RecordStore) -> None:
    """Calls that differ in one thing each; CA1 is the oldest."""
    wav = Recording(file="CA4.wav", seconds=1.0, rate_hz=8000, failure=None)
    apples = [caller(0.5, "apples")]
    keep(store, "CA1", agent_name="Paper Lantern", began_at_s=BEGAN_S)
    keep(store, "CA2", ended=EndReason.CALLER_LOST, began_at_s=BEGAN_S + 1, lines=apples)
    keep(store, "CA3", (1.0, events.AgentInterrupted()), began_at_s=BEGAN_S + 2)
    keep(store, "CA4", recording=wav, began_at_s=BEGAN_S + 3, lines=apples)
    keep(store, "CA5", *slow(800, 801), began_at_s=BEGAN_S + 4)
    keep(store, "CA6", *slow(800), ended=EndReason.SHUTDOWN, began_at_s=BEGAN_S + 5, lines=apples)


BEGAN_MS = round(BEGAN_S * 1000)


@pytest.mark.usefixtures("chosen_from")
@pytest.mark.parametrize(
    ("only", "found"),
    [
        ({}, "654321"),
        ({"agent": "Paper Lantern"}, "1"),
        ({"agent": "paper lantern"}, ""),
        ({"end_reasons": [EndReason.CALLER_LOST]}, "2"),
        ({"end_reasons": [EndReason.CALLER_LOST, EndReason.SHUTDOWN]}, "62"),
        ({"end_reasons": [EndReason.BUSY]}, ""),
        ({"is_interrupted": True}, "3"),
        ({"is_recorded": True}, "4"),
        ({"slower_than_ms": 800}, "5"),
        ({"slower_than_ms": 0}, "65"),
        ({"began_from_ms": BEGAN_MS + 4000}, "65"),
        ({"began_before_ms": BEGAN_MS + 2000}, "21"),
        ({"began_from_ms": BEGAN_MS + 1000, "began_before_ms": BEGAN_MS + 2000}, "2"),
        ({"is_recorded": True, "is_interrupted": True}, ""),
    ],
)
async def test_calls_are_chosen_by_what_they_were(
    index: CallIndex, only: dict[str, Any], found: str
) -> None:
    assert await ids(index, **only) == [f"CA{number}" for number in found]


@pytest.mark.usefixtures("chosen_from")
async def test_calls_are_chosen_among_those_that_have_the_words(index: CallIndex) -> None:
    assert await ids(index, "apples") == ["CA6", "CA4", "CA2"]
    assert await ids(index, "appl", end_reasons=[EndReason.CALLER_LOST]) == ["CA2"]
    assert await ids(index, "appl", is_recorded=True) == ["CA4"]
    assert await ids(index, "appl", is_interrupted=True) == []


@pytest.mark.usefixtures("chosen_from")
async def test_chosen_calls_have_pages_too(index: CallIndex) -> None:
    only = CallFilter(end_reasons=[EndReason.CALLER_HUNG_UP])
    cursor = None
    for expected in (["CA5", "CA4"], ["CA3", "CA1"]):
        page = await index.search(None, 2, cursor, only)
        assert [call["call_id"] for call in page.calls] == expected
        cursor = page.next
    assert cursor is None


async def test_a_record_kept_again_is_chosen_by_what_it_is_now(
    store: RecordStore, index: CallIndex
) -> None:
    keep(store, ended=EndReason.CALLER_LOST)
    assert await ids(index, end_reasons=[EndReason.CALLER_LOST]) == ["CA1"]
    keep(store, ended=EndReason.SHUTDOWN)
    index.note("CA1")
    assert await ids(index, end_reasons=[EndReason.CALLER_LOST]) == []
    assert await ids(index, end_reasons=[EndReason.SHUTDOWN]) == ["CA1"]


# The search


FOUND_BY = [
    "order",
    "ORDER where",
    "wher",
    "where is my ord",
    "Friday",
    "schones",
    "SCHÖNES",
    "Straße",
    "STRASSE",
    "order_status",
    "status",
    "+4930111",
    "4930",
    "1415222",
    "caller_hung_up",
    "hung up",
    "CA1",
    "ca",
    " order, friday! ",
    "",
    "?!",
    None,
]
NOT_FOUND_BY = ["rder", "orders", "ord where", "order nothing", "30111", "CA2"]


async def test_a_call_is_found_by_what_it_holds(store: RecordStore, index: CallIndex) -> None:
    keep(
        store,
        "CA1",
        (1.0, events.ToolStarted("t1", "order_status", "{}")),
        lines=[
            caller(0.5, "Where is my order?"),
            agent(1.5, "It comes on Friday, zur Schönhauser Straße.", "It comes"),
            caller(2.5, "Schönes Wochenende."),
        ],
    )
    assert [text for text in FOUND_BY if await ids(index, text) != ["CA1"]] == []
    assert [text for text in NOT_FOUND_BY if await ids(index, text)] == []


async def test_a_search_has_pages_too(store: RecordStore, index: CallIndex) -> None:
    for number in range(6):
        words = "apples" if number % 2 else "pears"
        line = caller(0.5, words)
        keep(store, f"CA{number}", lines=[line], began_at_s=BEGAN_S + number)
    first = await index.search("appl", 2)
    second = await index.search("appl", 2, first.next)
    assert [call["call_id"] for call in first.calls + second.calls] == ["CA5", "CA3", "CA1"]
    assert second.next is None


def test_words_beyond_any_use_are_not_looked_at() -> None:
    assert words("a" * (MAX_WORD + 1)) == ["a" * MAX_WORD]


async def test_more_words_than_anybody_types_are_not_looked_at(
    store: RecordStore, index: CallIndex
) -> None:
    keep(store, "CA1", lines=[caller(0.5, "order")])
    assert await ids(index, "order " * MAX_WORDS + "nothing") == ["CA1"]


@pytest.fixture(scope="module")
def searched() -> dict[bool, IndexFile]:
    """The same calls, to be searched in either way."""
    files = {full_text: IndexFile(None, full_text=full_text) for full_text in (True, False)}
    texts = ["where is my order", "äpfel und birnen 1042", "ab abc abcd", '"quoted" NOT a* OR -b']
    for file in files.values():
        file.put(
            Indexed(f"CA{number}", 0, Entry(number, b"", words(text), FACTS))
            for number, text in enumerate(texts)
        )
    return files


ANY_TEXT = st.text() | st.text(alphabet='ab cdoNOTR"*^:()+-{}\\\0%_')


@given(ANY_TEXT)
@settings(deadline=None)
def test_any_text_can_be_searched_for_and_both_ways_find_the_same(
    searched: dict[bool, IndexFile], text: str
) -> None:
    full_text, plain_text = (file.found(words(text), 9, None) for file in searched.values())
    assert full_text == plain_text


@given(said=st.text(), cut=st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_whatever_was_said_is_found_by_its_words(said: str, cut: int) -> None:
    wanted = words(said)
    for full_text in (True, False):
        with closing(IndexFile(None, full_text=full_text)) as file:
            file.put([Indexed("CA1", 0, Entry(0, b"", wanted, FACTS))])
            assert file.found(wanted, 1, None)
            begun = wanted[:1] and [wanted[0][: 1 + cut]]
            assert file.found(begun, 1, None)
