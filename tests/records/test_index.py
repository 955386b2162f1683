import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from evibridge import events
from evibridge.errors import BadMessage, Overloaded
from evibridge.records.document import encoded
from evibridge.records.index import FILE_NAME, MAX_WORDS, CallIndex, Page
from evibridge.records.index_file import Entry, Indexed, IndexFile
from evibridge.records.store import RecordStore, file_name
from evibridge.records.summary import MAX_WORD, summary, words
from tests.records.calls import BEGAN_S, agent, caller, record
from tests.records.little_room import room_for

WAIT_S = 5.0


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path)


@pytest_asyncio.fixture(params=[True, False], ids=["FTS5", "LIKE"])
async def index(store: RecordStore, request: pytest.FixtureRequest) -> AsyncIterator[CallIndex]:
    """Searches in either way; everything else is told by the tests that use it."""
    index = CallIndex(store, full_text=request.param)
    yield index
    await index.close()


def keep(store: RecordStore, call_id: str = "CA1", *happened: Any, **facts: Any) -> None:
    """Put a record into the folder, as any process may."""
    kept = record(call_id, *happened, **facts)
    store.record_path(file_name(call_id)).write_bytes(encoded(kept))


def keep_each(store: RecordStore, *call_ids: str) -> None:
    """Put records of calls into the folder, each of which has begun later than the one before."""
    for number, call_id in enumerate(call_ids):
        keep(store, call_id, began_at_s=BEGAN_S + number)


async def ids(index: CallIndex, text: str | None = None) -> list[str]:
    async with asyncio.timeout(WAIT_S):
        page = await index.search(text, 200)
    assert page.next is None
    return [call["call_id"] for call in page.calls]


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
    )
    assert summary(kept) == {
        "call_id": "CA1",
        "kind": "phone",
        "direction": "inbound",
        "state": "ended",
        "began_at": "2026-11-28T09:12:00.123Z",
        "lasts_s": 62.5,
        "caller": "+4930111",
        "called": "+1415222",
        "chat_id": "chat-1",
        "chat_group_id": "group-1",
        "paused_by": None,
        "held_by": None,
        "approvals": [],
        "last_line": {"who": "agent", "text": "Bye!"},
        "expression": {"name": "awe", "score": 0.6},
        "response_ms": 700,
        "end_reason": "caller_hung_up",
    }


async def test_the_summary_of_a_silent_call_says_so(store: RecordStore, index: CallIndex) -> None:
    keep(store, caller=None, called=None)
    (found,) = (await index.search(None, 1)).calls
    assert found == summary(record(caller=None, called=None))
    assert (found["last_line"], found["expression"], found["response_ms"]) == (None, None, None)


# The list


async def test_calls_are_listed_newest_first(store: RecordStore, index: CallIndex) -> None:
    keep_each(store, "CA1", "CA0", "CA2")
    assert await ids(index) == ["CA2", "CA0", "CA1"]


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
            Indexed(f"CA{number}", 0, Entry(number, b"", words(text)))
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
            file.put([Indexed("CA1", 0, Entry(0, b"", wanted))])
            assert file.found(wanted, 1, None)
            begun = wanted[:1] and [wanted[0][: 1 + cut]]
            assert file.found(begun, 1, None)


# Files come, change and go


async def test_a_call_is_found_as_soon_as_it_is_noted(store: RecordStore, index: CallIndex) -> None:
    assert await ids(index) == []
    keep(store, "CA1")
    index.note("CA1")
    assert await ids(index) == ["CA1"]


async def test_what_another_process_keeps_is_found(store: RecordStore, index: CallIndex) -> None:
    keep(store, "CA1")
    assert await ids(index) == ["CA1"]
    keep(store, "CA2")
    assert await ids(index) == ["CA2", "CA1"]


async def test_a_record_that_is_kept_again_takes_the_place_of_the_older(
    store: RecordStore, index: CallIndex
) -> None:
    keep(store, lines=[caller(0.5, "apples")])
    assert await ids(index, "apples") == ["CA1"]
    keep(store, lines=[caller(0.5, "pears")])
    index.note("CA1")
    assert await ids(index, "apples") == []
    assert await ids(index, "pears") == ["CA1"]


async def test_what_is_deleted_is_forgotten(store: RecordStore, index: CallIndex) -> None:
    keep_each(store, "CA1", "CA2")
    assert await ids(index) == ["CA2", "CA1"]
    store.record_path("CA1").unlink()
    assert await ids(index) == ["CA2"]
    assert await ids(index, "CA1") == []


async def test_a_call_that_is_gone_before_it_is_read_is_no_call(index: CallIndex) -> None:
    index.note("CA1")
    assert await ids(index) == []


async def test_other_files_of_the_folder_are_no_records(
    store: RecordStore, index: CallIndex
) -> None:
    keep(store, "CA1")
    store.recording_path("CA1").write_bytes(b"RIFF")
    for name in (b".half.json", b"my notes.json", b"\xff.json", b"~1.json", b"CA1.json~"):
        (store.folder / os.fsdecode(name)).write_bytes(b"{")
    with capture_logs() as logs:
        assert await ids(index) == ["CA1"]
    assert not logs


async def test_a_damaged_record_is_left_out_and_told_once(store: RecordStore) -> None:
    keep_each(store, "CA1", "CA2")
    store.record_path("CA1").write_bytes(b"{")
    with capture_logs() as logs:
        for _ in range(2):
            index = CallIndex(store)
            index.open()
            assert await ids(index) == ["CA2"]
            keep(store, "CA2")
            assert await ids(index) == ["CA2"]
            await index.close()
    assert [line["event"] for line in logs] == ["call_record_unreadable"]


async def test_a_folder_that_has_gone_leaves_what_is_known(store: RecordStore) -> None:
    folder = store.folder / "calls"
    store = RecordStore(folder)
    store.open()
    keep(store, "CA1")
    index = CallIndex(store)
    assert await ids(index) == ["CA1"]

    folder.rename(folder.with_name("elsewhere"))
    with capture_logs() as logs:
        assert await ids(index) == ["CA1"]
        await index.close()
    assert [line["event"] for line in logs] == ["call_records_unlisted"]


# The file


async def test_a_folder_that_has_settled_is_not_read_again(
    store: RecordStore, index: CallIndex
) -> None:
    keep(store, "CA1")
    assert await ids(index) == ["CA1"]
    os.utime(store.folder, (1.0, 1.0))
    assert await ids(index) == ["CA1"]

    store.record_path("CA1").unlink()
    os.utime(store.folder, (1.0, 1.0))  # as if nothing had changed
    assert await ids(index) == ["CA1"]

    os.utime(store.folder, (2.0, 2.0))
    assert await ids(index) == []


async def test_the_index_is_its_owners_alone_and_outlives_the_service(store: RecordStore) -> None:
    keep(store, "CA1")
    index = CallIndex(store)
    assert await ids(index) == ["CA1"]
    await index.close()

    path = store.folder / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in store.folder.glob("index*")] == [FILE_NAME]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM calls").fetchall() == [("CA1",)]


@pytest.mark.parametrize("damage", ["not a database", "cut off", "another version", "no tables"])
async def test_an_index_that_is_of_no_use_is_made_anew(store: RecordStore, damage: str) -> None:
    keep_each(store, *(f"CA{number}" for number in range(9)))
    index = CallIndex(store)
    whole = await ids(index)
    await index.close()
    path = store.folder / FILE_NAME
    with closing(sqlite3.connect(path)) as database:
        match damage:
            case "not a database":
                path.write_bytes(b"\0 scribble" * 999)
            case "cut off":
                path.write_bytes(path.read_bytes()[:6000])
            case "another version":
                database.execute("PRAGMA user_version = 99")
            case _:
                database.execute("DROP TABLE calls")

    index = CallIndex(store)
    with capture_logs() as logs:
        assert await ids(index) == whole
        assert await ids(index, "CA3") == ["CA3"]
    await index.close()
    assert [line["event"] for line in logs] == ["call_index_unusable"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM calls").fetchone() == (9,)


async def test_an_index_of_an_sqlite_without_full_text_search_is_made_anew(
    store: RecordStore,
) -> None:
    keep(store, "CA1")
    for full_text in (False, True, False):
        index = CallIndex(store, full_text=full_text)
        assert await ids(index, "CA") == ["CA1"]
        await index.close()


async def test_an_index_that_cannot_be_made_is_kept_in_memory(
    store: RecordStore, index: CallIndex
) -> None:
    (store.folder / FILE_NAME).mkdir()
    keep(store, "CA1")
    with capture_logs() as logs:
        assert await ids(index, "CA") == ["CA1"]
        keep(store, "CA2")
        index.note("CA2")
        assert await ids(index) == ["CA2", "CA1"]
    assert [line["event"] for line in logs] == ["call_index_unusable"]


async def test_an_index_that_cannot_be_removed_is_kept_in_memory(store: RecordStore) -> None:
    keep(store, "CA1")
    (store.folder / FILE_NAME).write_bytes(b"\0 scribble" * 999)
    (store.folder / f"{FILE_NAME}-shm").mkdir()
    index = CallIndex(store)
    assert await ids(index, "CA") == ["CA1"]
    await index.close()


async def test_a_disk_that_is_full_costs_the_file_and_no_search(
    store: RecordStore, index: CallIndex
) -> None:
    keep(store, "CA1")
    assert await ids(index) == ["CA1"]
    for number in range(2, 6):
        keep(store, f"CA{number}", lines=[caller(0.5, "apples " * 999)])
    with room_for(20_000), capture_logs() as logs:
        assert len(await ids(index, "apples")) == 4
    assert [line["event"] for line in logs] == ["call_index_unusable"]


async def test_two_services_search_the_same_folder(store: RecordStore) -> None:
    one, other = CallIndex(store), CallIndex(RecordStore(store.folder))
    for number in range(8):
        keep(store, f"CA{number}")
        one.note(f"CA{number}")
        other.note(f"CA{number}")
    found = await asyncio.gather(ids(one), ids(other))
    assert set(found[0]) == set(found[1]) == {f"CA{number}" for number in range(8)}
    await one.close()
    await other.close()


async def test_a_service_that_ends_waits_for_no_reading(store: RecordStore) -> None:
    keep_each(store, *(f"CA{number}" for number in range(60)))
    index = CallIndex(store)
    index.open()
    async with asyncio.timeout(WAIT_S):
        await index.close()
    index.note("CA1")
    with pytest.raises(Overloaded):
        await index.search(None, 1)
