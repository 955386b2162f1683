"""The records and recordings of ended calls, as files of one folder.

    <name>.json    the record of a call, see `document.py`
    <name>.wav     its recording, if there is one; more of them are numbered, see `numbered.py`

A name is the call's id if that is plain, else a hash of it. A chat may have several sidecars, one
after another, all under its id: the record of the last one has that, and those before it are given
ids of their own, `<id>-2`, `<id>-3` and so on.
"""

import errno
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any, TypeVar

import structlog

from evibridge.errors import BadMessage, SettingsError
from evibridge.events import CallKind
from evibridge.records.document import Record, encoded, members_of, outlined, parsed
from evibridge.records.numbered import numbered

SUFFIX = ".json"
MAX_BYTES = 64 * 1024 * 1024
"""Of a record: the longest has 2000 events and 500 lines of 16 000 characters."""
STALE_S = 600.0
"""Writing a record takes a moment; what is half written for so long, nobody writes any more."""

MAX_SIDECARS = 99
"""Of one chat, whose records are kept; the last but one is replaced by one more."""

_PLAIN = r"[A-Za-z0-9_-]{1,64}"
_HASH = r"~[0-9a-f]{64}"
_HALF_WRITTEN = re.compile(r"\.[a-z0-9_]{8}\.tmp")

log = structlog.get_logger(__name__)

T = TypeVar("T")


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

    Only regular files are records or recordings: a link may lead anywhere, and a pipe to nobody.

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

        That of another sidecar beside the same chat is kept too, under an id of its own.

        Returns:
            whether it is on the disk, and stays there; if not, the log says why
        """
        try:
            if record.kind is CallKind.SIDECAR:
                self._set_aside(record)
            self._write(record)
        except OSError as error:
            why = f"The record cannot be written in {self.folder} ({error.strerror})."
            log.warning("call_record_not_kept", call_id=record.call_id, why=why)
            return False
        return True

    def files(self) -> Iterator[tuple[str, int]]:
        """Return the names of all records, with the time in ns at which each was changed.

        Raises:
            OSError: the folder cannot be read
        """
        with os.scandir(self.folder) as found:
            for file in found:
                name = file.name.removesuffix(SUFFIX)
                if file.name.endswith(SUFFIX) and is_file_name(name):
                    status = _regular(file)
                    if status is not None:
                        yield name, status.st_mtime_ns

    def changed_ns(self, name: str) -> int:
        """When the record with this file name was changed, in ns; 0 if there is none."""
        status = _regular(self.record_path(name))
        return 0 if status is None else status.st_mtime_ns

    def text(self, name: str) -> bytes | None:
        """Return the JSON text of the record with this file name; None as `read` does."""

        def whole(text: bytes, members: dict[str, Any]) -> bytes:
            outlined(members)
            return text

        return self._read(name, whole)

    def read(self, name: str, view: Callable[[dict[str, Any]], T]) -> T | None:
        """Return what a view makes of the members of the record with this file name.

        Args:
            name: of the file
            view: raises `BadMessage` if they are not those of a record

        Returns:
            None if there is no record, or if it is damaged, which is told in the log
        """
        return self._read(name, lambda _, members: view(members))

    def recording(self, call_id: str, *, newest: bool) -> Path | None:
        """Return where the recording of a call is; None if it has none.

        Args:
            call_id: of the call
            newest: the one that was written last, rather than the one that the record names
        """
        paths = list(numbered(self.recording_path(call_id)))
        outline = None if newest else self.read(file_name(call_id), outlined)
        if outline is not None:
            named = None if outline.recording is None else outline.recording.file
            paths = [path for path in paths if path.name == named]
        there = [(path, _regular(path)) for path in paths]
        times = [(status.st_mtime_ns, path) for path, status in there if status is not None]
        return max(times)[1] if times else None

    def record_path(self, name: str) -> Path:
        """Where the record with this file name is, if it is there."""
        return self.folder / f"{name}{SUFFIX}"

    def recording_path(self, call_id: str) -> Path:
        """Where the recording of a call is, unless that was taken: then it is numbered."""
        return self.folder / f"{file_name(call_id)}.wav"

    def remove_half_written(self) -> None:
        """Delete what processes have left that were killed while they wrote a record."""
        stale_s = time.time() - STALE_S
        with suppress(OSError), os.scandir(self.folder) as found:
            for file in found:
                if _HALF_WRITTEN.fullmatch(file.name):
                    status = _regular(file)
                    if status is not None and status.st_mtime < stale_s:
                        Path(file).unlink(missing_ok=True)

    def _read(self, name: str, make: Callable[[bytes, dict[str, Any]], T]) -> T | None:
        try:
            text = _bytes_of(self.record_path(name))
            members = members_of(text)
            made = make(text, members)
        except FileNotFoundError:
            return None
        except OSError as error:
            why = str(error.strerror)  # the rest repeats the path
        except BadMessage as error:
            why = str(error)
        else:
            if file_name(members["call_id"]) == name:
                return made
            why = "It has not the name that its call's record has."
        log.warning("call_record_unreadable", file=f"{name}{SUFFIX}", why=why)
        return None

    def _set_aside(self, record: Record) -> None:
        """Give another id to the record that this one would replace, if it is another sidecar's."""
        before = self.read(file_name(record.call_id), parsed)
        if before is None or before.began_at == record.began_at:
            return
        for number in range(2, MAX_SIDECARS + 1):
            call_id = f"{record.call_id}-{number}"
            if _regular(self.record_path(file_name(call_id))) is None:
                self._write(before.model_copy(update={"call_id": call_id}))
                return

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


def _regular(path: os.PathLike[str]) -> os.stat_result | None:
    """What is known of a regular file; None if there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _bytes_of(path: Path) -> bytes:
    """Read a regular file, and wait for no other.

    Raises:
        OSError: there is none, or it cannot be read
        BadMessage: it is longer than any record
    """
    with FileIO(path, opener=_never_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "Is no regular file")
        if status.st_size > MAX_BYTES:
            raise BadMessage("It is longer than any record.")
        return file.read()


def _never_waiting(path: str, flags: int) -> int:
    """Opens a file itself: no other that it leads to, and no pipe that somebody has to write in."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _sync(folder: Path) -> None:
    """Have the names of a folder on its disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
