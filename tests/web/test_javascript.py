"""The module for web pages is checked by TypeScript's compiler, and tested by node's own runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
PROJECT = REPOSITORY / "evibridge" / "web" / "tsconfig.json"


def run(program: str, *arguments: str) -> None:
    path = shutil.which(program)
    if path is None:
        pytest.fail(
            f"`{program}` is missing: apt-get install nodejs node-typescript", pytrace=False
        )
    done = subprocess.run(
        [path, *arguments], cwd=REPOSITORY, capture_output=True, text=True, timeout=50, check=False
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


def test_types_are_right() -> None:
    run("tsc", "--project", str(PROJECT))


def test_what_computes_computes_right() -> None:
    run("node", "--test", *(str(path) for path in sorted(HERE.glob("*.test.js"))))
