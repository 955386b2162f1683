"""What docs/tools.md says names everything that there is, and its code and commands run."""

import asyncio
import inspect
import json
import re
import shlex
from asyncio.subprocess import PIPE, STDOUT
from dataclasses import fields
from typing import Any

import pytest

from evibridge import Agent, McpServer, ToolContext, Tools, ready_tools
from evibridge.metrics import TOOL_FAILURES
from evibridge.testing import FakeCall
from evibridge.tools_registry.conduct import ToolOptions
from tests.processes import ROOT

PAGE = (ROOT / "docs" / "tools.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]
ACTS = [
    name
    for name, member in vars(ToolContext).items()
    if not name.startswith("_") and inspect.isfunction(member)
]


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """Everything that the page's code defines, read from top to bottom."""
    names: dict[str, Any] = {}
    for block in CODE:
        exec(block, names)
    return names


@pytest.mark.parametrize(
    "word",
    [
        *ToolOptions.__annotations__,
        *(field.name for field in fields(McpServer) if field.name not in ("name", "live")),
        *(field.name for field in fields(ToolContext) if field.name != "live"),
        *(field.name for field in fields(FakeCall) if field.name != "context"),
        *TOOL_FAILURES,
        *(name for name in vars(ready_tools) if name in ("hang_up", "end_with", "send_digits")),
    ],
)
def test_everything_is_named(word: str) -> None:
    assert re.search(rf"`[^`]*\b{word}\b[^`]*`", PAGE)


@pytest.mark.parametrize("act", ACTS)
def test_everything_that_acts_on_the_call_has_a_row(act: str) -> None:
    assert f"| `{act}(" in PAGE


def test_its_code_makes_an_agent_with_the_tools_it_shows(names: dict[str, Any]) -> None:
    tools: Tools = names["tools"]

    assert isinstance(names["agent"], Agent)
    assert {"order_status", "in_stock", "send_receipt", "refund", "pay", "transfer"} <= {
        definition.name for definition in tools.definitions()
    }
    assert [server.name for server in tools.mcp_servers] == ["crm", "files"]


async def test_its_test_of_one_function_passes(names: dict[str, Any]) -> None:
    await names["test_an_order_is_found"]()


async def test_its_commands_do_what_it_says() -> None:
    async def output(command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *shlex.split(command), cwd=ROOT, stdout=PIPE, stderr=STDOUT
        )
        async with asyncio.timeout(30):
            out, _ = await process.communicate()
        assert process.returncode == 0, out.decode()
        return out.decode()

    listed, called, checked = await asyncio.gather(*map(output, COMMANDS))

    assert json.loads(listed)[0]["name"] == "order_status"
    assert called == "Order 1042 is on its way and arrives on Friday.\n"
    assert checked.startswith("3 tools")
