"""What docs/calls.md says of calls names everything that can be set, and its code runs."""

import re
from dataclasses import fields

import pytest

from evibridge import Agent, DigitCollection, Manners, ToolContext, Tools
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
