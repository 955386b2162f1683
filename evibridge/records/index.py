"""The list of ended calls, and the search in them.

All of it can be read again from the records: `index.sqlite` is a shortcut. One that is damaged is
made anew, and one that cannot be used at all is kept in memory.
"""

import os
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import orjson
import structlog

from evibridge.errors import BadMessage
from evibridge.records.disk_work import DiskWork
from evibridge.records.document import Record
from evibridge.records.index_file import (
    Entry,
    Indexed,
    IndexFile,
    Place,
    has_full_text,
    is_damage,
    remove_index,
)
from evibridge.records.store import SUFFIX, RecordStore, file_name, is_file_name
from evibridge.records.summary import began_ms, summary, words, words_of

FILE_NAME = "index.sqlite"
MAX_WORDS = 16
"""Searched for; what follows is not looked at."""
FILES_AT_ONCE = 50
"""Read between two looks at whether the service ends."""
SETTLED_NS = 1_000_000_000
"""A folder may change again within one tick of its clock, a few ms, and look as before."""

_CURSOR = re.compile(r"(-?[0-9]{1,15})\.(.*)", re.DOTALL)

log = structlog.get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """Summaries of ended calls, newest first; `next` is the cursor of what follows, if any does."""

    calls: list[dict[str, Any]]
    next: str | None


class CallIndex:
    """Knows the ended calls of a store, whichever process has kept them.

    Args:
        store: has the records
        full_text: whether to use SQLite's full-text search, or to look through all texts
    """

    def __init__(self, store: RecordStore, *, full_text: bool | None = None) -> None:
        self._store = store
        self._disk = DiskWork()
        self._is_closing = False
        # The disk's thread alone uses what follows.
        self._full_text = has_full_text() if full_text is None else full_text
        self._path: Path | None = store.folder / FILE_NAME
        self._was_damaged = False
        self._index: IndexFile | None = None
        self._caught_up_ns: int | None = None

    def open(self) -> None:
        """Begin to read what is not known yet; whoever searches waits for it."""
        self._disk.begin(partial(self._use, self._catch_up))

    def note(self, call_id: str) -> None:
        """The record of a call has come or changed; whoever searches from now on finds it."""
        self._disk.begin(partial(self._use, partial(self._put, names=[file_name(call_id)])))

    async def search(self, text: str | None, limit: int, before: str | None = None) -> Page:
        """Find ended calls by what was said, numbers, names of tools, end reason or id.

        Args:
            text: words that a call has to have, in any order, the last one maybe unfinished; None
                or a text without words finds all calls
            limit: of the page, at least 1
            before: the cursor of the page before

        Raises:
            BadMessage: the cursor is none
            Overloaded: the index is closed
        """
        place = None if before is None else _place(before)
        wanted = words(text or "")[:MAX_WORDS]

        def find(index: IndexFile) -> list[tuple[Place, bytes]]:
            self._catch_up(index)
            return index.found(wanted, limit + 1, place)

        found = await self._disk.result_of(lambda: self._use(find))
        return Page(
            [orjson.loads(each) for _, each in found[:limit]],
            _cursor(found[limit - 1][0]) if len(found) > limit else None,
        )

    async def close(self) -> None:
        """Stop reading, and close the file."""
        self._is_closing = True
        self._disk.begin(self._close)
        await self._disk.close()

    # In the disk's thread

    def _use(self, work: Callable[[IndexFile], T]) -> T:
        while True:
            try:
                if self._index is None:
                    self._index = self._opened()
                return work(self._index)
            except (sqlite3.Error, OSError) as error:
                if self._path is None:
                    raise
                self._give_up(error)

    def _opened(self) -> IndexFile:
        if self._path is not None and self._was_damaged:
            remove_index(self._path)
        return IndexFile(self._path, full_text=self._full_text)

    def _give_up(self, error: Exception) -> None:
        """Go on with another index: a new file if that is of any use, else in memory."""
        log.warning("call_index_unusable", why=str(error))
        self._close()
        self._caught_up_ns = None
        if self._was_damaged or not is_damage(error):
            self._path = None
        else:
            self._was_damaged = True

    def _close(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    def _catch_up(self, index: IndexFile) -> None:
        """Read the records that are not known yet, newest first, if the folder has changed."""
        try:
            changed_ns = self._store.folder.stat().st_mtime_ns
            if changed_ns == self._caught_up_ns:
                return
            files = self._files()
        except OSError as error:
            log.warning("call_records_unlisted", why=error.strerror)
            return
        known = index.known()
        if gone := known.keys() - files.keys():
            index.remove(gone)
        changed = [name for name, mtime_ns in files.items() if known.get(name) != mtime_ns]
        unread = iter(sorted(changed, key=files.__getitem__, reverse=True))
        while names := list(islice(unread, FILES_AT_ONCE)):
            if self._is_closing:
                return
            self._put(index, names)
        has_settled = time.time_ns() - changed_ns > SETTLED_NS
        self._caught_up_ns = changed_ns if has_settled else None

    def _files(self) -> dict[str, int]:
        """All records of the folder by name, with the time in ns at which each was changed."""
        files = {}
        with os.scandir(self._store.folder) as found:
            for file in found:
                name = file.name.removesuffix(SUFFIX)
                if file.name.endswith(SUFFIX) and is_file_name(name):
                    with suppress(FileNotFoundError):  # it was there a moment ago
                        files[name] = file.stat().st_mtime_ns
        return files

    def _put(self, index: IndexFile, names: Sequence[str]) -> None:
        index.put([self._indexed(name) for name in names])

    def _indexed(self, name: str) -> Indexed:
        try:
            mtime_ns = self._store.record_path(name).stat().st_mtime_ns
        except OSError:
            mtime_ns = 0
        record = self._store.load(name)
        return Indexed(name, mtime_ns, None if record is None else _entry(record))


def _entry(record: Record) -> Entry:
    return Entry(began_ms(record), orjson.dumps(summary(record)), words_of(record))


def _cursor(place: Place) -> str:
    return f"{place.began_ms}.{place.name}"


def _place(cursor: str) -> Place:
    parts = _CURSOR.fullmatch(cursor)
    if parts is None or not is_file_name(parts[2]):
        raise BadMessage("The cursor is none: give the `next` of the page before.")
    return Place(int(parts[1]), parts[2])
