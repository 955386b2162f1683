"""A WAV file that can be played at any moment while it grows."""

import errno
import os
import struct
from io import FileIO
from pathlib import Path

from evibridge.audio.wav import wav_file

CHANNELS = 2
FRAME_BYTES = 2 * CHANNELS
HEADER_BYTES = 44
_RIFF_SIZE_AT, _DATA_SIZE_AT = 4, 40
MAX_DATA_BYTES = (2**32 - HEADER_BYTES) // FRAME_BYTES * FRAME_BYTES
"""The sizes in a header have 32 bits."""


class WavOnDisk:
    """Int16 stereo PCM, appended piece by piece. Every method may have to wait for the disk.

    The header tells after each piece what is there, so that the file of a process that was killed
    lacks nothing but its end.

    Args:
        path: must not exist; its folders are made
        rate_hz: of each channel

    Raises:
        OSError: the file cannot be made
    """

    def __init__(self, path: Path, rate_hz: int) -> None:
        self._header = bytearray(wav_file(b"", rate_hz, CHANNELS))
        self._rate_hz = rate_hz
        self._data_bytes = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = FileIO(path, "x", opener=_private)
        try:
            self._write(self._header)
        except OSError:
            self._file.close()
            path.unlink()
            raise

    @property
    def lasts_s(self) -> float:
        """What can be played."""
        return self._data_bytes / FRAME_BYTES / self._rate_hz

    def append(self, stereo16: bytes) -> None:
        """Write whole frames behind the others.

        Raises:
            OSError: not all of it could be written; what was can be played
        """
        room = MAX_DATA_BYTES - self._data_bytes
        try:
            self._write(stereo16[:room])
        except OSError:
            written = self._file.tell() - HEADER_BYTES
            self._data_bytes = written // FRAME_BYTES * FRAME_BYTES
            self._file.truncate(HEADER_BYTES + self._data_bytes)
            self._tell_size()
            raise
        self._data_bytes += min(room, len(stereo16))
        self._tell_size()
        if len(stereo16) > room:
            raise OSError(errno.EFBIG, "A WAV file cannot hold more than 4 GiB")

    def close(self) -> None:
        """No more comes.

        Raises:
            OSError: what was written may not have come to the disk
        """
        self._file.close()

    def _write(self, data: bytes | bytearray) -> None:
        """Write all of it: a file without a buffer takes what there is room for."""
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _tell_size(self) -> None:
        struct.pack_into("<I", self._header, _RIFF_SIZE_AT, HEADER_BYTES - 8 + self._data_bytes)
        struct.pack_into("<I", self._header, _DATA_SIZE_AT, self._data_bytes)
        self._file.seek(0)
        self._write(self._header)
        self._file.seek(0, os.SEEK_END)


def _private(path: str, flags: int) -> int:
    """Opens a file that only its owner may read: people are heard in it."""
    return os.open(path, flags, mode=0o600)
