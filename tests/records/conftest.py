from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from evibridge.records.index import CallIndex
from evibridge.records.store import RecordStore


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path)


@pytest_asyncio.fixture(params=[True, False], ids=["FTS5", "LIKE"])
async def index(store: RecordStore, request: pytest.FixtureRequest) -> AsyncIterator[CallIndex]:
    """Searches in either way; everything else is told by the tests that use it."""
    index = CallIndex(store, full_text=request.param)
    yield index
    await index.close()
