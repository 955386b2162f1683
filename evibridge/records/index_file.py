"""The index of ended calls as an SQLite database. Used in one thread, which waits for the disk."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path

from evibridge.records.call_filter import ALL_CALLS, CallFacts, CallFilter

VERSION = 3
"""Of the tables: an index of another version is made anew."""
LOCK_TIMEOUT_S = 5.0
"""Other processes hold the index for as long as a transaction takes, some milliseconds."""

_TABLES = """
CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    mtime_ns INTEGER NOT NULL,
    began_ms INTEGER,
    agent TEXT,
    end_reason TEXT,
    interruptions INTEGER,
    response_p95_ms INTEGER,
    is_recorded INTEGER,
    summary BLOB
)
"""
# It has all that calls are chosen by, so that no more rows of the table are read than are wanted.
_ORDER = """
CREATE INDEX calls_by_age ON calls (
    began_ms, name, agent, end_reason, interruptions, response_p95_ms, is_recorded
)
"""
# Words are compared as `summary.words` writes them, so nothing is left to be done for a language.
_FULL_TEXT = "CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'ascii', detail = 'none')"
_PLAIN_TEXT = "CREATE TABLE words (text TEXT NOT NULL)"


class OtherIndex(sqlite3.DatabaseError):
    """The file is an index of another version, or of an SQLite that searches in another way."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call is in the order of all: by its beginning, then by the name of its file."""

    began_ms: int
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index has of a call: JSON text, and what the call is found by."""

    began_ms: int
    summary: bytes
    words: Sequence[str]
    facts: CallFacts


@dataclass(frozen=True, slots=True)
class Indexed:
    """A file of the folder as it was when it was read; `entry` is None if it is no record."""

    name: str
    mtime_ns: int
    entry: Entry | None


@cache
def has_full_text() -> bool:
    """Whether this SQLite has FTS5, as almost all have."""
    with closing(sqlite3.connect(":memory:")) as memory:
        try:
            memory.execute(_FULL_TEXT)
        except sqlite3.OperationalError:
            return False
        return True


def is_damage(error: Exception) -> bool:
    """Whether an error tells that the file is of no use, rather than the disk or a lock."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    damages = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
    return isinstance(error, OtherIndex) or code in damages


def remove_index(path: Path) -> None:
    """Delete an index with what SQLite keeps beside it."""
    for each in (f"{path}-wal", f"{path}-shm", path):
        Path(each).unlink(missing_ok=True)


class IndexFile:
    """What is known of the folder's files, and how it is searched.

    Nothing of what is removed stays in the files once `scrub` has returned.

    Args:
        path: of the database, which is made if it is not there; None keeps it in memory
        full_text: whether to use FTS5, or to look through all texts

    Raises:
        OSError, sqlite3.Error: the file cannot be made, is damaged, or is none of this kind; the
            methods raise these too
    """

    def __init__(self, path: Path | None, *, full_text: bool) -> None:
        self._full_text = full_text
        self._has_removed = True  # whoever had it open before may have been killed
        if path is not None:
            path.touch(mode=0o600)
        self._database = sqlite3.connect(
            path or ":memory:", timeout=LOCK_TIMEOUT_S, isolation_level=None
        )
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = NORMAL")
            self._database.execute("PRAGMA secure_delete = ON")
            self._make_tables()
        except sqlite3.Error:
            self._database.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def known(self) -> dict[str, int]:
        """The files that are known, with the time in ns at which each was last changed."""
        return dict(self._database.execute("SELECT name, mtime_ns FROM calls").fetchall())

    def put(self, files: Iterable[Indexed]) -> None:
        """Take note of files, in place of what was known of them; all of them or none."""
        with self._transaction():
            for file in files:
                if not self._has_again(file):
                    self._remove(file.name)
                    self._add(file)

    def remove(self, names: Iterable[str]) -> None:
        """Forget files."""
        with self._transaction():
            for name in names:
                self._remove(name)

    def scrub(self) -> None:
        """Leave nothing in the files of what was removed, if anything was since the last time."""
        if not self._has_removed:
            return
        if self._full_text:
            # It marks words as removed; a new index of all words is one without the marked.
            with self._transaction():
                self._database.execute("INSERT INTO words (words) VALUES ('optimize')")
        (is_busy, *_) = self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._has_removed = bool(is_busy)

    def found(
        self,
        words: Sequence[str],
        limit: int,
        before: Place | None,
        only: CallFilter = ALL_CALLS,
    ) -> list[tuple[Place, bytes]]:
        """Return calls that have all these words, newest first, each with its summary.

        Args:
            words: as in `Entry`, of letters and digits only; the last one may be the beginning of
                a word. All calls have no words.
            limit: return no more than that
            before: return what comes after this call
            only: what calls have to be beside that
        """
        conditions, values = self._having(words)
        for condition, wanted in only.conditions():
            conditions.append(condition)
            values += wanted
        if before is not None:
            conditions.append("(began_ms, name) < (?, ?)")
            values += (before.began_ms, before.name)
        query = " ".join(
            (
                "SELECT began_ms, name, summary FROM calls",
                "JOIN words ON words.rowid = calls.id" if words else "",
                "WHERE",
                " AND ".join(conditions),
                "ORDER BY began_ms DESC, name DESC LIMIT ?",
            )
        )
        rows = self._database.execute(query, (*values, limit)).fetchall()
        return [(Place(began_ms, name), summary) for began_ms, name, summary in rows]

    def count_since(self, began_ms: int) -> int:
        """How many calls began at or after a moment, in Unix milliseconds."""
        query = "SELECT count(*) FROM calls WHERE began_ms >= ?"
        (count,) = self._database.execute(query, (began_ms,)).fetchone()
        return int(count)

    def _having(self, words: Sequence[str]) -> tuple[list[str], list[str | int]]:
        """Conditions for calls with these words, and their values."""
        if not words:
            return ["began_ms IS NOT NULL"], []
        if self._full_text:
            return ["words MATCH ?"], [" ".join(f'"{word}"' for word in words) + "*"]
        *whole, begun = words
        patterns = [*(f"% {word} %" for word in whole), f"% {begun}%"]
        return ["text LIKE ?"] * len(patterns), list(patterns)

    def _make_tables(self) -> None:
        version = 2 * VERSION + self._full_text
        with self._transaction():
            (found,) = self._database.execute("PRAGMA user_version").fetchone()
            if found == version:
                return
            if found:
                raise OtherIndex("The index is of another version.")
            for each in (_TABLES, _ORDER, _FULL_TEXT if self._full_text else _PLAIN_TEXT):
                self._database.execute(each)
            self._database.execute(f"PRAGMA user_version = {version}")

    def _has_again(self, file: Indexed) -> bool:
        """Take note of a file that says what it said before, if it does."""
        if file.entry is None:
            return False
        query = (
            "UPDATE calls SET mtime_ns = ? WHERE name = ? AND began_ms = ? AND summary = ? "
            "AND (SELECT text FROM words WHERE words.rowid = calls.id) = ?"
        )
        entry = file.entry  # its facts are in the summary
        values = (file.mtime_ns, file.name, entry.began_ms, entry.summary, _text(entry))
        return self._database.execute(query, values).rowcount > 0

    def _add(self, file: Indexed) -> None:
        entry = file.entry
        if entry is None:
            self._database.execute(
                "INSERT INTO calls (name, mtime_ns) VALUES (?, ?)", (file.name, file.mtime_ns)
            )
            return
        row = self._database.execute(
            "INSERT INTO calls VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (file.name, file.mtime_ns, entry.began_ms, *astuple(entry.facts), entry.summary),
        ).lastrowid
        self._database.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (row, _text(entry)))

    def _remove(self, name: str) -> None:
        self._database.execute(
            "DELETE FROM words WHERE rowid = (SELECT id FROM calls WHERE name = ?)", (name,)
        )
        removed = self._database.execute("DELETE FROM calls WHERE name = ?", (name,))
        self._has_removed |= removed.rowcount > 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._database.in_transaction:  # some errors have undone it already
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")


def _text(entry: Entry) -> str:
    """The words as they stand in the table, each between spaces."""
    return f" {' '.join(entry.words)} "
