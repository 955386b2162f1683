import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event

import orjson
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from evibridge import events
from evibridge.errors import Overloaded, SettingsError
from evibridge.records import disk_work
from evibridge.records.document import Recording, encoded, parsed
from evibridge.records.records import Records
from tests.records.calls import ENDED, caller, record, told
from tests.records.little_room import room_for

WAIT_S = 5.0


@pytest_asyncio.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    records = Records(tmp_path / "data" / "calls")
    records.open()
    yield records
    async with asyncio.timeout(WAIT_S):
        await records.close()


def wait(event: Event) -> None:
    event.wait(WAIT_S)


async def found(records: Records, text: str | None = None) -> list[str]:
    async with asyncio.timeout(WAIT_S):
        page = await records.search(text, 200)
    return [call["call_id"] for call in page.calls]


async def test_a_call_is_kept_shown_and_found(records: Records) -> None:
    ended = replace(ENDED, lines=(caller(1.0, "Where is my order?"),))
    history = told((0.0, events.CallBegan()))
    recording = Recording(file="CA1.wav", seconds=62.5, rate_hz=8000, failure=None)

    assert await records.keep(ended, history, recording)

    text = await records.load("CA1")
    assert text is not None
    kept = orjson.loads(text)
    assert kept["turns"][0]["text"] == "Where is my order?"
    assert kept["recording"]["file"] == records.recording_path("CA1").name
    assert [event["type"] for event in kept["events"]] == ["call_began"]
    assert await found(records, "order") == ["CA1"]


async def test_a_call_is_counted_as_soon_as_it_is_kept(records: Records) -> None:
    began_ms = round(ENDED.began_at_s * 1000)
    assert await records.count_since(began_ms) == 0
    assert await records.keep(ENDED, ())

    assert await records.count_since(began_ms) == 1
    await records.close()
    with pytest.raises(Overloaded):
        await records.count_since(began_ms)


async def test_a_call_that_was_not_kept_is_not_there(records: Records) -> None:
    assert await records.load("CA1") is None
    assert await found(records) == []


async def test_of_the_events_of_a_record_its_view_has_only_the_last(records: Records) -> None:
    history = told((0.0, events.CallBegan()), (1.0, events.CommandGiven("say", "ada", "Hello.")))
    assert await records.keep(ENDED, history)

    kept = await records.view("CA1", parsed)

    assert kept is not None
    assert [event["type"] for event in kept.events] == ["command_given"]
    assert await records.view("CA2", parsed) is None


async def test_a_record_whose_events_are_none_cannot_be_viewed(
    records: Records, tmp_path: Path
) -> None:
    text = encoded(record()).replace(b'"events":[]', b'"events":"many"')
    (tmp_path / "data" / "calls" / "CA1.json").write_bytes(text)
    with capture_logs() as logs:
        assert await records.view("CA1", parsed) is None
    assert [line["event"] for line in logs] == ["call_record_unreadable"]


async def test_calls_are_kept_while_others_are_searched_for(records: Records) -> None:
    async def keep(number: int) -> None:
        call_id = f"CA{number}"
        line = caller(1.0, f"word{number}")
        assert await records.keep(replace(ENDED, call_id=call_id, lines=(line,)), ())
        assert await found(records, f"word{number}") == [call_id]

    async with asyncio.timeout(WAIT_S), asyncio.TaskGroup() as together:
        for number in range(10, 20):
            together.create_task(keep(number))
    assert sorted(await found(records)) == [f"CA{number}" for number in range(10, 20)]


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    for number in (1, 2):
        records = Records(tmp_path)
        records.open()
        assert await records.keep(replace(ENDED, call_id=f"CA{number}"), ())
        assert sorted(await found(records)) == [f"CA{each}" for each in range(1, number + 1)]
        await records.close()


async def test_a_full_disk_is_told_and_does_not_harm(records: Records) -> None:
    assert await found(records) == []
    with room_for(100), capture_logs() as logs:
        assert not await records.keep(ENDED, ())
    assert [line["event"] for line in logs] == ["call_record_not_kept"]
    assert await records.keep(ENDED, ())
    assert await found(records) == ["CA1"]


async def test_what_is_being_kept_when_the_service_ends_is_kept(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.open()
    keeping = asyncio.create_task(records.keep(ENDED, ()))
    await asyncio.sleep(0)
    async with asyncio.timeout(WAIT_S):
        await records.close()
        assert await keeping
        await records.close()
    with pytest.raises(Overloaded, match="service ends"):
        await records.load("CA1")


async def test_who_gives_up_waiting_does_not_lose_the_record(records: Records) -> None:
    keeping = asyncio.create_task(records.keep(ENDED, ()))
    await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    assert await records.load("CA1") is not None
    assert await found(records) == ["CA1"]


async def test_a_defect_is_raised_where_the_result_is_waited_for(records: Records) -> None:
    with pytest.raises(ValueError, match="year"):
        await records.keep(replace(ENDED, began_at_s=1e12), ())
    assert await records.keep(ENDED, ())


async def test_a_disk_that_hangs_does_not_keep_the_service_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(disk_work, "CLOSE_TIMEOUT_S", 0.0)
    hangs, disk = Event(), disk_work.DiskWork()
    disk.begin(partial(wait, hangs))
    async with asyncio.timeout(WAIT_S):
        await disk.close()
    assert not hangs.is_set()
    hangs.set()


def test_a_folder_that_cannot_be_made_is_told_by_its_setting(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SettingsError, match="EVIBRIDGE_DATA_DIR"):
        Records(tmp_path / "taken" / "calls").open()
