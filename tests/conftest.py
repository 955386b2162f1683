import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def logging_is_undone() -> Iterator[None]:
    """Logging is the process's: what a test configures must not reach the next one."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
