"""Recordings on a real disk, and on one that is full, slow, or not there."""

import asyncio
import errno
import os
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from evibridge.agent.call_tap import CallTap
from evibridge.records import recording as recording_module
from evibridge.records.disk_thread import DiskThread
from evibridge.records.numbered import numbered
from evibridge.records.recording import CLOSE_TIMEOUT_S, MAX_UNWRITTEN_S, Recording
from evibridge.records.wav_on_disk import WavOnDisk
from tests.records.little_room import room_for
from tests.virtual_clock import run_in_virtual_time

RATE_HZ = 8000
SECOND = b"\x01\x00\x02\x00" * RATE_HZ
RECORDS_UNTIL_KILLED = """
import asyncio, sys, threading
from pathlib import Path
from evibridge.records.disk_thread import DiskThread
from evibridge.records.recording import Recording

async def record():
    disk = DiskThread()
    recording = Recording(Path(sys.argv[1]), 8000, disk, print)
    for _ in range(3):
        recording.write(bytes([1, 0, 2, 0]) * 8000)
    recording.write(bytes([3, 0, 4, 0]))
    disk.run(lambda: print("written", flush=True))
    await asyncio.Event().wait()

asyncio.run(record())
"""


@pytest.fixture
def disk() -> Iterator[DiskThread]:
    disk = DiskThread()
    yield disk
    disk.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recordings" / "call.wav"


def played(path: Path) -> bytes:
    """What a reader finds that believes what the header says."""
    with wave.open(str(path)) as file:
        sound: bytes = file.readframes(file.getnframes())
        return sound


async def all_done(disk: DiskThread) -> None:
    """Wait until the disk has nothing to do."""
    done = threading.Event()
    disk.run(done.set)
    assert await asyncio.to_thread(done.wait, 5)


async def closed(recording: Recording) -> None:
    async with asyncio.timeout(10):
        await recording.close()


async def test_what_was_written_is_in_the_file(disk: DiskThread, path: Path) -> None:
    failures: list[str] = []
    recording = Recording(path, RATE_HZ, disk, failures.append)
    for number in range(100):
        recording.write(number.to_bytes(4, "little") * 400)
    recording.write(b"last")
    await closed(recording)

    sound = b"".join(number.to_bytes(4, "little") * 400 for number in range(100))
    assert played(path) == sound + b"last"
    assert recording.lasts_s == 40_001 / RATE_HZ
    assert recording.failure is None
    assert failures == []


async def test_a_file_can_be_played_while_it_is_written(disk: DiskThread, path: Path) -> None:
    recording = Recording(path, RATE_HZ, disk, pytest.fail)
    for _ in range(3):
        recording.write(SECOND)
    recording.write(SECOND[:4000])
    await all_done(disk)

    assert played(path) == 3 * SECOND
    await closed(recording)
    assert played(path) == 3 * SECOND + SECOND[:4000]


async def test_a_closed_recording_takes_no_more(disk: DiskThread, path: Path) -> None:
    recording = Recording(path, RATE_HZ, disk, pytest.fail)
    recording.write(b"abcd")
    await closed(recording)
    recording.write(SECOND)
    await closed(recording)

    assert played(path) == b"abcd"


async def test_a_call_is_recorded_by_its_tap(disk: DiskThread, path: Path) -> None:
    tap = CallTap(RATE_HZ, asyncio.get_running_loop())
    recording = Recording(path, RATE_HZ, disk, pytest.fail)
    heard: list[bytes] = []
    has_heard = asyncio.Event()
    tap.listen(recording.write, every_ms=1000)
    tap.listen(heard.append, every_ms=20)
    tap.listen(lambda _: has_heard.set(), every_ms=20)
    tap.agent(b"\x07\x00" * 80)
    async with asyncio.timeout(5):
        await has_heard.wait()
    tap.close()
    await closed(recording)

    assert played(path).endswith(b"".join(heard))
    assert b"\x00\x00\x07\x00" * 80 in played(path)


async def test_a_file_that_cannot_be_made_is_told_and_the_call_goes_on(
    disk: DiskThread, tmp_path: Path
) -> None:
    failures: list[str] = []
    recording = Recording(tmp_path / ("call" * 100), RATE_HZ, disk, failures.append)
    recording.write(SECOND)
    await all_done(disk)
    await asyncio.sleep(0)
    recording.write(SECOND)
    await closed(recording)

    assert failures == ["The call is not recorded: its file cannot be made (File name too long)."]
    assert recording.lasts_s is None


async def test_a_name_that_is_taken_gets_a_number(disk: DiskThread, path: Path) -> None:
    recordings = [Recording(path, RATE_HZ, disk, pytest.fail) for _ in range(3)]
    for number, recording in enumerate(recordings):
        recording.write(bytes([number, 0, 0, 0]))
        await closed(recording)

    files = [recording.file for recording in recordings]
    assert files == ["call.wav", "call.2.wav", "call.3.wav"]
    for number, file in enumerate(files):
        assert file is not None
        assert played(path.with_name(file)) == bytes([number, 0, 0, 0])


async def test_there_is_an_end_to_numbers(disk: DiskThread, path: Path) -> None:
    path.parent.mkdir()
    for taken in numbered(path):
        taken.touch()
    failures: list[str] = []
    recording = Recording(path, RATE_HZ, disk, failures.append)
    await closed(recording)

    assert failures == ["The call is not recorded: its file cannot be made (File exists)."]
    assert recording.file is None


async def test_nothing_more_waits_for_a_disk_that_hangs(
    disk: DiskThread, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "MAX_WAITING", 4)
    goes_on, failures = threading.Event(), list[str]()
    disk.run(goes_on.wait)
    first = Recording(path, RATE_HZ, disk, pytest.fail)
    for _ in range(2):
        first.write(SECOND)
    waiting = disk.waiting
    second = Recording(path, RATE_HZ, disk, failures.append)
    second.write(20 * SECOND)
    await closed(second)

    assert disk.waiting == waiting == 4
    assert failures == [second.failure] == ["The call is not recorded: its disk hangs."]
    assert (second.file, second.lasts_s) == (None, None)
    goes_on.set()
    await closed(first)
    assert played(path) == 2 * SECOND


async def test_a_disk_that_is_too_slow_ends_the_recording(disk: DiskThread, path: Path) -> None:
    failures: list[str] = []
    goes_on = threading.Event()
    recording = Recording(path, RATE_HZ, disk, failures.append)
    disk.run(goes_on.wait)
    for _ in range(30):
        recording.write(SECOND)
    assert failures == ["The recording ends here: its disk is more than 10 s late."]

    goes_on.set()
    await closed(recording)
    assert len(failures) == 1
    assert len(played(path)) == (MAX_UNWRITTEN_S + 1) * len(SECOND)


async def test_only_the_first_failure_is_told(disk: DiskThread, tmp_path: Path) -> None:
    failures: list[str] = []
    goes_on = threading.Event()
    disk.run(goes_on.wait)
    recording = Recording(tmp_path / ("call" * 100), RATE_HZ, disk, failures.append)
    for _ in range(12):
        recording.write(SECOND)
    goes_on.set()
    await closed(recording)

    assert failures == ["The recording ends here: its disk is more than 10 s late."]


async def test_a_disk_that_was_slow_for_a_while_loses_nothing(disk: DiskThread, path: Path) -> None:
    recording = Recording(path, RATE_HZ, disk, pytest.fail)
    for _ in range(4):
        goes_on = threading.Event()
        disk.run(goes_on.wait)
        for _ in range(9):
            recording.write(SECOND)
        goes_on.set()
        await all_done(disk)
    await closed(recording)

    assert played(path) == 36 * SECOND


async def test_a_late_event_loop_is_not_a_slow_disk(disk: DiskThread, path: Path) -> None:
    recording = Recording(path, RATE_HZ, disk, pytest.fail)
    recording.write(20 * SECOND)
    await closed(recording)

    assert played(path) == 20 * SECOND


def test_a_disk_that_hangs_is_not_waited_for(disk: DiskThread, path: Path) -> None:
    failures: list[str] = []
    goes_on, done = threading.Event(), threading.Event()

    async def record() -> None:
        recording = Recording(path, RATE_HZ, disk, failures.append)
        disk.run(goes_on.wait)
        recording.write(SECOND)
        await recording.close()
        assert asyncio.get_running_loop().time() == CLOSE_TIMEOUT_S

        goes_on.set()
        disk.run(done.set)
        assert done.wait(5)
        await asyncio.sleep(1)

    run_in_virtual_time(record())

    assert failures == ["The recording may lack its end: its disk did not take it in 5 s."]
    assert played(path) == SECOND


def test_the_end_of_a_recording_may_come_after_that_of_the_event_loop(
    disk: DiskThread, path: Path
) -> None:
    goes_on, done = threading.Event(), threading.Event()

    async def record() -> None:
        recording = Recording(path, RATE_HZ, disk, lambda _: None)
        disk.run(goes_on.wait)
        recording.write(SECOND)
        await recording.close()

    run_in_virtual_time(record())
    with capture_logs() as logs:
        goes_on.set()
        disk.run(done.set)
        assert done.wait(5)

    assert logs == []
    assert played(path) == SECOND


async def test_a_full_disk_ends_the_recording_and_what_was_written_can_be_played(
    disk: DiskThread, path: Path
) -> None:
    failures: list[str] = []
    recording = Recording(path, RATE_HZ, disk, failures.append)
    with room_for(100_000):
        for _ in range(5):
            recording.write(SECOND)
        await all_done(disk)
    await asyncio.sleep(0)
    assert failures == ["The recording ends here: its file cannot be written (File too large)."]

    recording.write(SECOND)
    await closed(recording)
    assert len(failures) == 1
    assert recording.failure == failures[0]
    assert played(path) == (4 * SECOND)[: 100_000 - 44]
    assert recording.lasts_s == len(played(path)) / len(SECOND)


async def test_a_file_that_cannot_be_closed_is_told(
    disk: DiskThread, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = WavOnDisk.close

    def close_late(wav: WavOnDisk) -> None:  # as a quota on another machine's disk does
        close(wav)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(WavOnDisk, "close", close_late)
    failures: list[str] = []
    await closed(Recording(path, RATE_HZ, disk, failures.append))

    assert failures == [
        "The recording may lack its end: its file cannot be closed (Disk quota exceeded)."
    ]


def test_a_process_that_is_killed_leaves_what_was_written(path: Path) -> None:
    command = [sys.executable, "-c", RECORDS_UNTIL_KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        process.kill()

    assert line == "written\n"
    assert played(path) == 3 * SECOND
