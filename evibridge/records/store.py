"""The records and recordings of ended calls, as files of one folder.

    <name>.json    the record of a call, see `document.py`
    <name>.wav     its recording, if there is one

A name is the call's id if that is plain, else a hash of it.
"""

import hashlib
import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

import structlog

from evibridge.errors import BadMessage, SettingsError
from evibridge.records.document import Record, decoded, encoded

SUFFIX = ".json"
_PLAIN = r"[A-Za-z0-9_-]{1,64}"
_HASH = r"~[0-9a-f]{64}"

log = structlog.get_logger(__name__)


def file_name(call_id: str) -> str:
    """Return the name of a call's files: another one for each id, and none that is a path.

    Twilio's ids are plain; others are whatever a program has chosen.
    """
    if re.fullmatch(_PLAIN, call_id):
        return call_id
    return "~" + hashlib.sha256(call_id.encode(errors="replace")).hexdigest()


def is_file_name(text: str) -> bool:
    """Whether `file_name` may have returned this."""
    return re.fullmatch(f"{_PLAIN}|{_HASH}", text) is not None


class RecordStore:
    """Keeps records. Every method may have to wait for the disk.

    Args:
        folder: where they are; other processes may keep theirs in it too
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Make the folder, for this user alone, if it is not there.

        Raises:
            SettingsError: it cannot be made, or nothing can be written in it
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise SettingsError(
                f"EVIBRIDGE_DATA_DIR: nothing can be written in {self.folder} "
                f"({error.strerror}); name a folder of yours."
            ) from error

    def save(self, record: Record) -> bool:
        """Keep a record, in place of an older one of the same call.

        Returns:
            whether it is on the disk, and stays there; if not, the log says why
        """
        try:
            self._write(record)
        except OSError as error:
            why = f"The record cannot be written in {self.folder} ({error.strerror})."
            log.warning("call_record_not_kept", call_id=record.call_id, why=why)
            return False
        return True

    def load(self, name: str) -> Record | None:
        """Return the record with this file name.

        None if there is none, or if it is damaged, which is told in the log.
        """
        try:
            record = decoded(self.record_path(name).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            why = str(error.strerror)  # the rest repeats the path
        except BadMessage as error:
            why = str(error)
        else:
            if file_name(record.call_id) == name:
                return record
            why = "It has not the name that its call's record has."
        log.warning("call_record_unreadable", file=f"{name}{SUFFIX}", why=why)
        return None

    def record_path(self, name: str) -> Path:
        """Where the record with this file name is, if it is there."""
        return self.folder / f"{name}{SUFFIX}"

    def recording_path(self, call_id: str) -> Path:
        """Where the recording of a call is, if it has one."""
        return self.folder / f"{file_name(call_id)}.wav"

    def _write(self, record: Record) -> None:
        """Write a file that is there as a whole or not at all, whenever the power goes."""
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=self.folder)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(encoded(record))
                file.flush()
                os.fsync(handle)
            temporary.replace(self.record_path(file_name(record.call_id)))
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise
        _sync(self.folder)


def _sync(folder: Path) -> None:
    """Have the names of a folder on its disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
