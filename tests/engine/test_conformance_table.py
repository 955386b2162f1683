"""The table of docs/conformance.md is true: its tests exist, and nothing is missing from it."""

import ast
import re
from functools import cache
from pathlib import Path

from evibridge.engine.metrics import ERROR_CODES

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "conformance.md").read_text()
ROWS = [
    line.strip("| ").split(" | ")
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| protocol ", "| point "))
]
NAMED = sorted(set(re.findall(r"`([\w/]+\.py::\w+)`", PAGE)))


@cache
def _names(file: str) -> set[str]:
    """The functions and classes at the top of a file of tests."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    trees = [ast.parse(path.read_text()) for path in TESTS.rglob(file)]
    return {node.name for tree in trees for node in tree.body if isinstance(node, kinds)}


def _exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return name in _names(file)


def _needs_no_test(row: list[str]) -> bool:
    return row[1].strip("* |").startswith(("not yet", "never sent"))


def test_every_test_that_is_named_exists() -> None:
    assert NAMED
    assert [test for test in NAMED if not _exists(test)] == []


def test_every_row_names_its_tests_or_says_why_there_are_none() -> None:
    assert ROWS
    assert [row for row in ROWS if ("::" in row[-1]) is _needs_no_test(row)] == []


def test_no_section_is_missing() -> None:
    told = [int(number) for number in re.findall(r"^## (\d+)\. ", PAGE, re.MULTILINE)]

    assert told == [*range(1, 13), 16, 17, 18]


def test_no_open_point_is_missing() -> None:
    told: set[int] = set()
    for row in ROWS:
        if found := re.fullmatch(r"U(\d+)(?: to U(\d+)|, U(\d+))?: .*", row[0]):
            first, *last = [int(number) for number in found.groups() if number]
            told |= set(range(first, (last or [first])[0] + 1))

    assert told == set(range(1, 42))


def test_every_open_point_that_the_code_names_is_answered() -> None:
    engine = TESTS.parent / "evibridge" / "engine"
    code = "".join(file.read_text() for file in engine.rglob("*.py"))
    named = set(re.findall(r"UNCONFIRMED:? (U\d+)", code))

    assert named
    assert {point for point in named if f"| {point}: " not in PAGE} == set()


def test_no_error_of_the_engine_is_missing() -> None:
    assert [code for code in ERROR_CODES if f"| {code}" not in PAGE] == []
