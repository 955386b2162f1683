import logging
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import structlog

from tests.parties import TinyEvi, tiny_evi


@pytest.fixture(autouse=True, scope="session")
def _records_go_to_a_folder_of_the_tests(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("EVIBRIDGE_DATA_DIR", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture
def logging_is_undone() -> Iterator[None]:
    """Logging is the process's: what a test configures must not reach the next one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
async def evi() -> AsyncIterator[TinyEvi]:
    async with tiny_evi() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session
