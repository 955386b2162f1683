"""What docs/calls.md says of calls names all that can be set or is logged, and its code runs."""

import re
from dataclasses import fields

import pytest

from evibridge import Agent, DigitCollection, Manners, ToolContext, Tools, event_log
from tests.pages import quoted, sections
from tests.processes import ROOT

PAGE = (ROOT / "docs" / "calls.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("kind", [Manners, DigitCollection])
def test_everything_that_can_be_set_is_named(kind: type) -> None:
    for field in fields(kind):
        assert field.name in PAGE


@pytest.mark.parametrize("block", BLOCKS)
def test_its_code_runs(block: str) -> None:
    names = {"tools": Tools(), "ToolContext": ToolContext}

    exec(block, names)

    agents = [value for value in names.values() if isinstance(value, Agent)]
    assert agents or names["end_call"]


def test_the_lines_of_the_log_are_those_that_are_written() -> None:
    table = sections(ROOT / "docs" / "calls.md")["The log"].table("line")
    named = {name for lines, _ in table for name in quoted(lines)}
    source = "".join(file.read_text() for file in (ROOT / "evibridge").rglob("*.py"))

    assert named >= {*event_log._NAMES.values(), "caller_said", "digits_entered"}
    assert {name for name in named if f'"{name}"' not in source} == set()
