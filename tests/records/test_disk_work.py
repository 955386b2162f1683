"""Work that somebody waits for, on a disk that hangs or is late."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from threading import Event

import pytest

from evibridge.errors import Overloaded
from evibridge.records import disk_work
from evibridge.records.disk_work import DiskWork, Patience

WAIT_S = 5.0
LONG = Patience(timeout_s=WAIT_S, max_ahead=100)
SHORT = Patience(timeout_s=0.01, max_ahead=100)


class Hanging:
    """Work that goes on when the test says so."""

    def __init__(self, disk: DiskWork) -> None:
        self.disk = disk
        self.goes_on = Event()
        self.done: list[str] = []

    def hang(self) -> None:
        assert self.goes_on.wait(WAIT_S)

    def note(self, name: str) -> str:
        self.done.append(name)
        return name

    def noting(self, name: str) -> Callable[[], str]:
        return partial(self.note, name)


@pytest.fixture
async def hanging() -> AsyncIterator[Hanging]:
    hanging = Hanging(DiskWork())
    hanging.disk.begin(hanging.hang)
    yield hanging
    hanging.goes_on.set()
    await hanging.disk.close()


async def test_what_a_disk_does_not_begin_in_time_is_refused_and_not_done(
    hanging: Hanging,
) -> None:
    with pytest.raises(Overloaded, match=r"more than 0\.01 s"):
        await hanging.disk.result_of(hanging.noting("late"), SHORT)
    hanging.goes_on.set()
    assert await hanging.disk.result_of(hanging.noting("next"), LONG) == "next"
    assert hanging.done == ["next"]


async def test_what_fails_after_its_time_is_up_is_nobodys_concern(hanging: Hanging) -> None:
    def fail() -> None:
        hanging.hang()
        raise OSError

    first = DiskWork()
    with pytest.raises(Overloaded):
        await first.result_of(fail, SHORT)
    hanging.goes_on.set()
    assert await first.result_of(hanging.noting("next"), LONG) == "next"
    await first.close()


async def test_no_more_waits_for_a_disk_than_is_worth_it(hanging: Hanging) -> None:
    few = Patience(timeout_s=WAIT_S, max_ahead=3)
    waiting = [
        asyncio.create_task(hanging.disk.result_of(hanging.noting(name), few)) for name in "ab"
    ]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="Too much waits"):
        await hanging.disk.result_of(hanging.noting("c"), few)
    hanging.goes_on.set()
    assert await asyncio.gather(*waiting) == ["a", "b"]
    assert hanging.done == ["a", "b"]


async def test_what_nobody_waits_for_is_left_out_if_too_much_waits(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_work, "KEEPING", Patience(timeout_s=WAIT_S, max_ahead=2))
    for name in "ab":
        hanging.disk.begin(lambda name=name: hanging.done.append(name))  # type: ignore[misc]
    hanging.goes_on.set()
    assert await hanging.disk.result_of(hanging.noting("c"), LONG) == "c"
    assert hanging.done == ["a", "c"]


async def test_the_last_work_is_done_behind_all_other() -> None:
    disk, done = DiskWork(), list[str]()
    disk.begin(lambda: done.append("first"))
    await disk.close(lambda: done.append("last"))
    await disk.close(lambda: done.append("never"))
    disk.begin(lambda: done.append("never"))
    assert done == ["first", "last"]
