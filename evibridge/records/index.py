"""The list of ended calls, and the search in them.

All of it can be read again from the records: `index.sqlite` is a shortcut. One that is damaged is
made anew, and one that cannot be used at all is kept in memory.
"""

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import orjson
import structlog

from evibridge.errors import BadMessage
from evibridge.records.call_filter import ALL_CALLS, CallFilter, facts_of
from evibridge.records.disk_work import COUNTING, SEARCHING, DiskWork
from evibridge.records.document import outlined
from evibridge.records.index_file import (
    Entry,
    Indexed,
    IndexFile,
    Place,
    has_full_text,
    is_damage,
    remove_index,
)
from evibridge.records.pacing import Pacing
from evibridge.records.store import RecordStore, file_name, is_file_name
from evibridge.records.summary import began_ms, summary, words, words_of

FILE_NAME = "index.sqlite"
MAX_WORDS = 16
"""Searched for; what follows is not looked at."""
FILES_AT_ONCE = 50
"""Put down together, so that the disk is waited for once."""
CATCH_UP_EVERY_S = 600.0
"""What is deleted is forgotten after that at most, also if nobody searches."""
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
        self._is_closing = Event()
        self._timer: asyncio.TimerHandle | None = None
        # The disk's thread alone uses what follows.
        self._full_text = has_full_text() if full_text is None else full_text
        self._path: Path | None = store.folder / FILE_NAME
        self._was_damaged = False
        self._index: IndexFile | None = None
        self._caught_up_ns: int | None = None

    def open(self) -> None:
        """Begin to read what is not known yet, now and then; whoever searches waits for it."""
        self._disk.begin(self._tidy_up)
        self._timer = asyncio.get_running_loop().call_later(CATCH_UP_EVERY_S, self.open)

    def note(self, call_id: str) -> None:
        """The record of a call has come or changed; whoever searches from now on finds it."""
        self._disk.begin(partial(self._use, partial(self._read_again, name=file_name(call_id))))

    async def search(
        self,
        text: str | None,
        limit: int,
        before: str | None = None,
        only: CallFilter = ALL_CALLS,
    ) -> Page:
        """Find ended calls by what was said, numbers, names of tools, end reason or id.

        Args:
            text: words that a call has to have, in any order, the last one maybe unfinished; None
                or a text without words finds all calls
            limit: of the page, at least 1
            before: the cursor of the page before
            only: what a call has to be beside that

        Raises:
            BadMessage: the cursor is none
            Overloaded: the index is closed, or the disk is too slow
        """
        place = None if before is None else _place(before)
        wanted = words(text or "")[:MAX_WORDS]

        def find(index: IndexFile) -> list[tuple[Place, bytes]]:
            self._catch_up(index)
            return index.found(wanted, limit + 1, place, only)

        found = await self._disk.result_of(lambda: self._use(find), SEARCHING)
        return Page(
            [orjson.loads(each) for _, each in found[:limit]],
            _cursor(found[limit - 1][0]) if len(found) > limit else None,
        )

    async def count_since(self, began_ms: int) -> int:
        """Count the ended calls that began at or after a moment, in Unix milliseconds.

        It is asked for again and again: the folder is not looked through for it, so that calls of
        other processes count once somebody has searched, or 10 minutes later at most.

        Raises:
            Overloaded: the index is closed, or the disk is too slow
        """

        def count(index: IndexFile) -> int:
            return index.count_since(began_ms)

        return await self._disk.result_of(lambda: self._use(count), COUNTING)

    async def close(self) -> None:
        """Stop reading, and close the file."""
        self._is_closing.set()
        if self._timer is not None:
            self._timer.cancel()
        await self._disk.close(self._close)

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

    def _tidy_up(self) -> None:
        self._store.remove_half_written()
        self._use(self._catch_up)

    def _read_again(self, index: IndexFile, name: str) -> None:
        index.put([self._indexed(name)])
        index.scrub()

    def _catch_up(self, index: IndexFile) -> None:
        """Read the records that are not known yet, newest first, if the folder has changed."""
        pacing = Pacing(self._is_closing)
        try:
            changed_ns = self._store.folder.stat().st_mtime_ns
            files = None if changed_ns == self._caught_up_ns else self._files(pacing)
        except OSError as error:
            log.warning("call_records_unlisted", why=error.strerror)
            return
        if files is not None:
            self._follow(index, files, pacing)
            has_settled = time.time_ns() - changed_ns > SETTLED_NS
            self._caught_up_ns = changed_ns if has_settled else None
        if not self._is_closing.is_set():
            index.scrub()

    def _files(self, pacing: Pacing) -> dict[str, int]:
        """All records of the folder by name, with the time in ns at which each was changed."""
        files = {}
        for name, changed_ns in self._store.files():
            files[name] = changed_ns
            pacing.rest()
        return files

    def _follow(self, index: IndexFile, files: Mapping[str, int], pacing: Pacing) -> None:
        """Forget what has gone, and read what has come or changed."""
        known = index.known()
        if gone := known.keys() - files.keys():
            index.remove(gone)
        changed = [name for name, changed_ns in files.items() if known.get(name) != changed_ns]
        unread = iter(sorted(changed, key=files.__getitem__, reverse=True))
        while names := list(islice(unread, FILES_AT_ONCE)):
            read = []
            for name in names:
                if self._is_closing.is_set():
                    return
                read.append(self._indexed(name))
                pacing.rest()
            index.put(read)

    def _indexed(self, name: str) -> Indexed:
        changed_ns = self._store.changed_ns(name)
        return Indexed(name, changed_ns, self._store.read(name, _entry))


def _entry(members: Mapping[str, Any]) -> Entry:
    record = outlined(members)
    try:
        told = orjson.dumps(summary(record), option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError as error:
        raise BadMessage(f"It cannot be told of in a list: {error}.") from error
    return Entry(began_ms(record), told, words_of(record), facts_of(record))


def _cursor(place: Place) -> str:
    return f"{place.began_ms}.{place.name}"


def _place(cursor: str) -> Place:
    parts = _CURSOR.fullmatch(cursor)
    if parts is None or not is_file_name(parts[2]):
        raise BadMessage("The cursor is none: give the `next` of the page before.")
    return Place(int(parts[1]), parts[2])
