"""The fixtures in the project of an author."""

import subprocess
import sys
from pathlib import Path

from tests.testing.workshop import SCRIPT

SETTINGS = """
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
filterwarnings =
    error
    ignore:'audioop' is deprecated:DeprecationWarning
"""
TESTS = """
import pytest
from evibridge.testing import CallByText, call_by_text
from workshop import AGENT

@pytest.mark.asyncio
async def test_a_repair(text_call: CallByText) -> None:
    assert text_call is call_by_text
    async with text_call(AGENT) as call:
        assert "It is ready." in await call.says("Bicycle 7?")
"""


def test_a_conftest_gives_them_to_tests_that_ask_for_their_event_loop(tmp_path: Path) -> None:
    (tmp_path / "workshop.py").write_text(SCRIPT.with_suffix(".py").read_text())
    (tmp_path / "workshop.yaml").write_text(SCRIPT.read_text())
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["evibridge.testing.fixtures"]\n')
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    (tmp_path / "test_workshop.py").write_text(TESTS)

    done = subprocess.run(
        [sys.executable, "-m", "pytest"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=40,
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr
