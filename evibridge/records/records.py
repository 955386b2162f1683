"""The records of ended calls: keeps, lists, finds and shows them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from evibridge.agent.snapshot import CallSnapshot
from evibridge.bus import Told
from evibridge.records.call_filter import ALL_CALLS, CallFilter
from evibridge.records.call_record import call_record
from evibridge.records.disk_work import KEEPING, LOOKING_UP, DiskWork
from evibridge.records.document import Recording
from evibridge.records.index import CallIndex, Page
from evibridge.records.store import RecordStore, file_name

T = TypeVar("T")


class Records:
    """What is left of calls. Belongs to the event loop, which never waits for the disk.

    Args:
        folder: where the records are; other processes may keep theirs in it too
    """

    def __init__(self, folder: Path) -> None:
        self._store = RecordStore(folder)
        self._disk = DiskWork()
        self._index = CallIndex(self._store)

    def open(self) -> None:
        """Make the folder, and begin to read what others have kept in it.

        Raises:
            SettingsError: nothing can be kept there
        """
        self._store.open()
        self._index.open()
        self._disk.begin(lambda: None)  # its thread is not begun in the middle of a call

    async def keep(
        self,
        snapshot: CallSnapshot,
        told: Sequence[Told],
        recording: Recording | None = None,
        agent: str | None = None,
    ) -> bool:
        """Keep the record of a call that is over.

        Args:
            snapshot: the call at its end
            told: its events that are kept, oldest first
            recording: None if the call was not recorded
            agent: its name, if it has one

        Returns:
            whether it is on the disk; if not, the log says why

        Raises:
            Overloaded: this is closed, or the disk is too slow
        """
        is_kept = await self._disk.result_of(
            lambda: self._store.save(call_record(snapshot, told, recording, agent)), KEEPING
        )
        if is_kept:
            self._index.note(snapshot.call_id)
        return is_kept

    async def load(self, call_id: str) -> bytes | None:
        """Return the JSON text of a call's record, see `document.py`.

        None if there is no record, or none that can be read.

        Raises:
            Overloaded: this is closed, or the disk is too slow
        """
        name = file_name(call_id)
        return await self._disk.result_of(lambda: self._store.text(name), LOOKING_UP)

    async def view(self, call_id: str, make: Callable[[Mapping[str, Any]], T]) -> T | None:
        """Return what is made of the members of a call's record, in the disk's thread.

        None if there is no record, or none that can be read.

        Args:
            call_id: of the call
            make: gets of the events, which are most of a record, only the last; raises
                `BadMessage` if the members are not those of a record

        Raises:
            Overloaded: this is closed, or the disk is too slow
        """

        def shortened(members: dict[str, Any]) -> T:
            if isinstance(members.get("events"), list):
                members["events"] = members["events"][-1:]
            return make(members)

        name = file_name(call_id)
        return await self._disk.result_of(lambda: self._store.read(name, shortened), LOOKING_UP)

    async def search(
        self,
        text: str | None,
        limit: int,
        before: str | None = None,
        wanted: CallFilter = ALL_CALLS,
    ) -> Page:
        """Find ended calls, newest first, as `CallIndex.search` does.

        Raises:
            BadMessage: the cursor is none
            Overloaded: this is closed, or the disk is too slow
        """
        return await self._index.search(text, limit, before, wanted)

    async def count_since(self, began_ms: int) -> int:
        """Count the ended calls that began at or after a moment, as `CallIndex.count_since` does.

        Raises:
            Overloaded: this is closed, or the disk is too slow
        """
        return await self._index.count_since(began_ms)

    async def recording(self, call_id: str, *, newest: bool = False) -> Path | None:
        """Return where the recording of a call is, as its record tells; None if it has none.

        Args:
            call_id: of the call
            newest: the one that was written last, as also if there is no record

        Raises:
            Overloaded: this is closed, or the disk is too slow
        """
        return await self._disk.result_of(
            lambda: self._store.recording(call_id, newest=newest), LOOKING_UP
        )

    def recording_path(self, call_id: str) -> Path:
        """Where the recording of a call is to be, unless that is taken."""
        return self._store.recording_path(call_id)

    async def close(self) -> None:
        """Return when everything is kept that was to be; nothing more is taken."""
        await self._disk.close()
        await self._index.close()
