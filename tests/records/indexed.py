"""Calls whose records lie in a folder, and how they are found there."""

import asyncio
from typing import Any

from evibridge.records.call_filter import CallFilter, facts_of
from evibridge.records.document import encoded
from evibridge.records.index import CallIndex
from evibridge.records.store import RecordStore, file_name
from tests.records.calls import BEGAN_S, record

WAIT_S = 5.0
FACTS = facts_of(record())


def keep(store: RecordStore, call_id: str = "CA1", *happened: Any, **facts: Any) -> None:
    """Put a record into the folder, as any process may."""
    kept = record(call_id, *happened, **facts)
    store.record_path(file_name(call_id)).write_bytes(encoded(kept))


def keep_each(store: RecordStore, *call_ids: str) -> None:
    """Put records of calls into the folder, each of which has begun later than the one before."""
    for number, call_id in enumerate(call_ids):
        keep(store, call_id, began_at_s=BEGAN_S + number)


async def ids(index: CallIndex, text: str | None = None, **only: Any) -> list[str]:
    """The calls that are found by words, and by members of a `CallFilter`."""
    async with asyncio.timeout(WAIT_S):
        page = await index.search(text, 200, None, CallFilter(**only))
    assert page.next is None
    return [call["call_id"] for call in page.calls]
