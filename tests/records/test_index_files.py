"""The index follows the folder of the records, and outlives whatever becomes of its own file."""

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from evibridge.errors import Overloaded
from evibridge.events import CallKind
from evibridge.records import index as index_module
from evibridge.records.document import encoded
from evibridge.records.index import FILE_NAME, CallIndex
from evibridge.records.index_file import Entry, Indexed, IndexFile, Place
from evibridge.records.store import RecordStore
from tests.records.calls import caller, record
from tests.records.indexed import FACTS, WAIT_S, ids, keep, keep_each
from tests.records.little_room import room_for

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


async def test_all_sidecars_of_a_chat_are_found(store: RecordStore, index: CallIndex) -> None:
    for began_at_s, fruit in enumerate(("apples", "pears")):
        said = [caller(0.5, fruit)]
        store.save(record("chat-1", lines=said, kind=CallKind.SIDECAR, began_at_s=began_at_s))
        index.note("chat-1")
        assert await ids(index, fruit) == ["chat-1"]
    assert await ids(index, "apples") == ["chat-1-2"]


async def test_what_is_deleted_is_forgotten(store: RecordStore, index: CallIndex) -> None:
    keep_each(store, "CA1", "CA2")
    assert await ids(index) == ["CA2", "CA1"]
    store.record_path("CA1").unlink()
    assert await ids(index) == ["CA2"]
    assert await ids(index, "CA1") == []


def holds(folder: Path, secret: bytes) -> list[str]:
    """The files of the index that have it anywhere in them."""
    return [path.name for path in folder.glob(f"{FILE_NAME}*") if secret in path.read_bytes()]


async def test_nothing_of_what_is_deleted_or_replaced_stays_in_the_files(
    store: RecordStore, index: CallIndex
) -> None:
    for number in range(20):
        keep(store, f"CA{number}", lines=[caller(0.5, "ordinary words")])
    for secret in ("zyxwvutsrq", "qwertyuiop"):
        keep(store, secret[:4], lines=[caller(0.5, f"my number is {secret}")])
    other = CallIndex(RecordStore(store.folder), full_text=index._full_text)
    for each in (index, other):
        assert len(await ids(each)) == 22
    assert holds(store.folder, b"zyxwvutsrq")

    store.record_path("zyxw").unlink()
    keep(store, "qwer", lines=[caller(0.5, "nothing")])
    index.note("qwer")
    assert len(await ids(index)) == 21

    for gone in (b"zyxwvutsrq", b"qwertyuiop", b"zyxw", b"number"):
        assert not holds(store.folder, gone)
    await other.close()


async def test_what_is_deleted_is_forgotten_also_if_nobody_searches(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_each(store, "CA1", "CA2")
    monkeypatch.setattr(index_module, "CATCH_UP_EVERY_S", 0.0)
    index = CallIndex(store)
    index.open()
    assert await ids(index) == ["CA2", "CA1"]
    half = store.folder / ".ab_c1234.tmp"
    half.write_text("{")
    os.utime(half, (1.0, 1.0))
    store.record_path("CA1").unlink()

    def is_left() -> bool:
        return half.exists() or bool(holds(store.folder, b"CA1"))

    async with asyncio.timeout(WAIT_S):
        while await asyncio.to_thread(is_left):
            pass
    await index.close()


def test_a_file_that_says_what_it_said_is_noted_with_its_time() -> None:
    for full_text in (True, False):
        with closing(IndexFile(None, full_text=full_text)) as file:
            entry = Entry(0, b"summary", ["apples"], FACTS)
            others = (replace(entry, words=["pears"]), replace(entry, summary=b"other"), None)
            for number, each in enumerate((entry, entry, *others)):
                file.put([Indexed("CA1", number, each)])
                assert file.known() == {"CA1": number}
            file.put([Indexed("CA1", 9, entry)])
            assert file.found(["apples"], 9, None) == [(Place(0, "CA1"), b"summary")]
            assert file.found(["pears"], 9, None) == []


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


@pytest.mark.timeout(10)
async def test_what_is_no_file_of_the_folder_does_not_end_the_search(
    store: RecordStore, index: CallIndex, tmp_path: Path
) -> None:
    keep(store, "CA1")
    store.record_path("CA2").symlink_to("CA2.json")
    store.record_path("CA3").symlink_to(tmp_path / "nowhere")
    os.mkfifo(store.record_path("CA4"))
    store.record_path("CA5").mkdir()
    for call_id in ("CA2", "CA4"):
        index.note(call_id)
    assert await ids(index) == ["CA1"]


@pytest.mark.parametrize(
    ("member", "odd"),
    [
        (b'"response_ms":[]', b'"response_ms":["%d"]' % 10**30),
        (b'"interruptions":0', b'"interruptions":%d' % 2**63),
        (b'"p95":null', b'"p95":%d' % 2**63),
    ],
)
async def test_a_record_that_no_list_can_tell_of_is_left_out(
    store: RecordStore, index: CallIndex, member: bytes, odd: bytes
) -> None:
    keep_each(store, "CA1", "CA2")
    text = encoded(record("CA3"))
    assert member in text
    store.record_path("CA3").write_bytes(text.replace(member, odd))
    with capture_logs() as logs:
        assert await ids(index) == ["CA2", "CA1"]
    assert [line["event"] for line in logs] == ["call_record_unreadable"]


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
