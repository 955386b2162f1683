"""Files that can be played while they grow, by readers that are not ours."""

import errno
import stat
import wave
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.audio.wav import parse_wav
from evibridge.records import wav_on_disk
from evibridge.records.wav_on_disk import HEADER_BYTES, MAX_DATA_BYTES, WavOnDisk
from tests.records.little_room import room_for

RATE_HZ = 8000


def played(path: Path) -> bytes:
    """What Python's own reader finds, which believes what the header says."""
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE_HZ, 2, 2)
        sound: bytes = file.readframes(file.getnframes())
        return sound


def test_a_file_can_be_played_after_each_piece(tmp_path: Path) -> None:
    path = tmp_path / "of a year" / "of a day" / "call.wav"
    wav = WavOnDisk(path, RATE_HZ)
    assert played(path) == b""

    wav.append(b"abcd" * 100)
    assert played(path) == b"abcd" * 100

    wav.append(b"")
    wav.append(b"efgh" * 3)
    assert played(path) == b"abcd" * 100 + b"efgh" * 3
    wav.close()
    assert path.stat().st_size == HEADER_BYTES + 412
    assert parse_wav(path.read_bytes()).data == played(path)


@settings(max_examples=30)
@given(pieces=st.lists(st.binary(max_size=20).map(lambda piece: piece * 4), max_size=10))
def test_what_was_appended_is_played(
    pieces: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("recordings") / "call.wav"
    wav = WavOnDisk(path, RATE_HZ)
    for piece in pieces:
        wav.append(piece)
    wav.close()

    assert played(path) == b"".join(pieces)


def test_only_their_owner_may_hear_people(tmp_path: Path) -> None:
    path = tmp_path / "new" / "call.wav"
    WavOnDisk(path, RATE_HZ).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    path.write_bytes(b"what was recorded before")

    with pytest.raises(FileExistsError):
        WavOnDisk(path, RATE_HZ)

    assert path.read_bytes() == b"what was recorded before"


def test_a_full_disk_leaves_what_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"
    wav = WavOnDisk(path, RATE_HZ)
    wav.append(b"abcd" * 200)

    with room_for(1003 + HEADER_BYTES), pytest.raises(OSError, match="too large"):
        wav.append(b"efgh" * 1000)
    assert path.stat().st_size == 1000 + HEADER_BYTES
    assert played(path) == b"abcd" * 200 + b"efgh" * 50
    assert wav.lasts_s == 250 / RATE_HZ
    wav.close()


def test_a_file_that_cannot_even_have_a_header_is_none(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"

    with room_for(HEADER_BYTES - 1), pytest.raises(OSError, match="too large"):
        WavOnDisk(path, RATE_HZ)

    assert not path.exists()


def test_a_file_ends_where_its_header_cannot_tell_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_DATA_BYTES + HEADER_BYTES - 8 < 2**32
    assert MAX_DATA_BYTES > 37 * 3600 * RATE_HZ * 4
    monkeypatch.setattr(wav_on_disk, "MAX_DATA_BYTES", 1000)  # the disk need not hold 4 GiB
    path = tmp_path / "call.wav"
    wav = WavOnDisk(path, RATE_HZ)
    wav.append(b"abcd" * 240)

    with pytest.raises(OSError, match="4 GiB") as raised:
        wav.append(b"efgh" * 20)
    wav.close()

    assert raised.value.errno == errno.EFBIG
    assert played(path) == b"abcd" * 240 + b"efgh" * 10
