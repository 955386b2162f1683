"""Tools of real servers, over both transports, through the runner that calls have."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.mcp.connections import McpConnections, mcp_connections
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.outcome import ToolFailure, ToolResult
from tests.tools_registry.mcp.stage import (
    LONG_S,
    SERVERS,
    Log,
    http_shop,
    logged,
    other_tasks,
    plain_server,
    run,
    shop_on_pipes,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALLOWED = ["*order*", "catalogue", "cover", "*wait*", "release", "add_tool", "late", "process"]
BOTH = pytest.mark.parametrize("prefix", ["http_", "pipes_"])


@pytest.fixture(scope="module")
def log() -> Iterator[Log]:
    with logged() as log:
        yield log


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shops(log: Log) -> AsyncIterator[McpConnections]:
    """The same server twice, with most of its tools."""
    assert log.lines == []
    with http_shop() as shop:
        servers = [
            shop.server(prefix="http_", allow=ALLOWED, fallback="The shop is closed."),
            shop_on_pipes(prefix="pipes_", allow=ALLOWED, env={"SHOP": "Lantern"}),
        ]
        async with mcp_connections(servers) as connections:
            assert connections.faults == {}
            yield connections
            pid = await pid_of(connections)
        assert other_tasks() == set()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def pid_of(connections: McpConnections) -> int:
    outcome = await run(connections, "pipes_process")
    assert isinstance(outcome, ToolResult)
    return int(outcome.content.partition('"pid":')[2].partition(",")[0])


@BOTH
async def test_tools_are_listed_with_their_prefix_and_called(
    shops: McpConnections, prefix: str
) -> None:
    tool = shops.get(f"{prefix}order_status")
    assert tool is not None
    assert tool.definition.description == "Tell where an order is."
    assert tool.definition.parameters == {
        "type": "object",
        "properties": {
            "order_id": {"type": "string"},
            "copies": {"type": "integer", "default": 1},
        },
        "required": ["order_id"],
    }
    outcome = await run(shops, f"{prefix}order_status", order_id="7", copies=2)
    assert outcome == ToolResult("Order 7 is on its way, 2 times.")


@BOTH
async def test_only_allowed_tools_are_there(shops: McpConnections, prefix: str) -> None:
    assert f"{prefix}order_cancel" in shops.tools
    assert f"{prefix}die" not in shops.tools
    assert shops.get(f"{prefix}die") is None
    assert shops.get("order_status") is None


async def test_a_type_that_contains_itself_leaves_out_its_tool_and_no_other(
    shops: McpConnections, log: Log
) -> None:
    assert "pipes_family_order" not in shops.tools
    assert log.of("mcp_tool_left_out", server="pipes") == [
        {
            "event": "mcp_tool_left_out",
            "level": "warning",
            "server": "pipes",
            "tool": "family_order",
            "reason": "The tool 'family_order' of the MCP server 'pipes' has the type 'Family', "
            "which contains itself; it is left out.",
        }
    ]


async def test_a_connection_is_logged_without_its_address(shops: McpConnections, log: Log) -> None:
    offered = sum(1 for name in shops.tools if name.startswith("http_"))
    (line,) = log.of("mcp_connected", server="http")
    assert line["tools"] <= offered
    assert "127.0.0.1" not in str(log.lines)


@BOTH
async def test_wrong_arguments_are_corrected_without_asking_the_server(
    shops: McpConnections, prefix: str
) -> None:
    outcome = await run(shops, f"{prefix}order_status", order_id=7)
    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "bad_arguments"
    assert outcome.content == "The argument 'order_id' is wrong: input should be a valid string."


@BOTH
async def test_a_refusal_of_the_server_is_told_to_the_model(
    shops: McpConnections, prefix: str
) -> None:
    outcome = await run(shops, f"{prefix}order_cancel", order_id="7")
    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "mcp_error"
    assert outcome.content is not None
    assert "Order 7 has been sent already." in outcome.content


@BOTH
async def test_pictures_become_a_note(shops: McpConnections, prefix: str) -> None:
    assert await run(shops, f"{prefix}cover") == ToolResult("[an image]")


@BOTH
async def test_a_tool_that_is_late_is_given_up_here_and_there(
    shops: McpConnections, prefix: str
) -> None:
    outcome = await run(shops, f"{prefix}wait", timeout_s=0.2)
    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "timeout"
    assert await run(shops, f"{prefix}wait_was_given_up") == ToolResult("yes")
    assert shops.faults == {}


@BOTH
async def test_a_slow_call_does_not_hold_up_others(shops: McpConnections, prefix: str) -> None:
    slow = asyncio.create_task(run(shops, f"{prefix}wait"))
    for order_id in ("1", "2"):
        outcome = await run(shops, f"{prefix}order_status", order_id=order_id)
        assert outcome == ToolResult(f"Order {order_id} is on its way, 1 times.")
    assert not slow.done()
    await run(shops, f"{prefix}release")
    assert await slow == ToolResult("released")


@BOTH
async def test_a_result_that_is_too_large_for_the_runner_is_no_harm(
    shops: McpConnections, prefix: str
) -> None:
    outcome = await run(shops, f"{prefix}catalogue", size=500_000)
    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "result_too_large"
    assert shops.faults == {}


@BOTH
async def test_ten_megabytes_are_not_read_and_no_harm(shops: McpConnections, prefix: str) -> None:
    outcome = await run(shops, f"{prefix}catalogue", size=10_000_000, timeout_s=2.0)
    assert isinstance(outcome, ToolFailure)
    assert outcome.code in {"unavailable", "timeout"}
    outcome = await run(shops, f"{prefix}order_status", order_id="7")
    assert outcome == ToolResult("Order 7 is on its way, 1 times.")
    assert shops.faults == {}


@BOTH
async def test_a_tool_that_is_added_later_is_offered(
    shops: McpConnections, log: Log, prefix: str
) -> None:
    assert f"{prefix}late" not in shops.tools
    assert await run(shops, f"{prefix}add_tool", name="late") == ToolResult("added")
    await log.told("mcp_tools_changed", server=prefix.strip("_"))
    outcome = await run(shops, f"{prefix}late", order_id="8")
    assert outcome == ToolResult("Order 8 is on its way, 1 times.")


async def test_the_process_gets_little_of_our_environment_and_what_is_given_to_it(
    shops: McpConnections,
) -> None:
    outcome = await run(shops, "pipes_process")
    assert isinstance(outcome, ToolResult)
    assert '"PATH"' in outcome.content
    assert '"SHOP"' in outcome.content
    assert "PYTEST" not in outcome.content


# What needs no shop


async def test_without_servers_nothing_is_imported_and_nothing_is_there() -> None:
    program = """
import asyncio, sys
from evibridge.tools_registry.mcp.connections import mcp_connections

async def main():
    async with mcp_connections([]) as connections:
        print(dict(connections.tools), dict(connections.faults), "mcp" in sys.modules)

asyncio.run(main())
"""
    assert await printed_by(program) == "{} {} False\n"


async def test_a_missing_package_is_an_error_that_says_what_to_install() -> None:
    program = """
import asyncio, sys
from evibridge.errors import OwnerError
from evibridge.tools_registry.mcp.connections import mcp_connections
from evibridge.tools_registry.mcp.server import McpServer

async def main():
    async with mcp_connections([McpServer("crm", command=["crm"])]):
        pass

sys.modules["mcp"] = None
try:
    asyncio.run(main())
except OwnerError as error:
    print(error)
"""
    assert await printed_by(program) == (
        "The MCP server 'crm' needs a package that is missing (mcp); install evibridge[mcp].\n"
    )


async def test_the_process_does_not_wait_for_tools_that_take_for_ever_to_describe() -> None:
    program = f"""
import asyncio, sys, threading
from evibridge.tools_registry.mcp import connections, tools
from evibridge.tools_registry.mcp.server import McpServer

begun = threading.Event()

def make_tools(*_):
    begun.set()
    threading.Event().wait()

async def main():
    plain = McpServer("plain", command=[sys.executable, "-ES", {str(SERVERS / "plain.py")!r}])
    async with connections.mcp_connections([plain]) as held:
        print(await asyncio.to_thread(begun.wait, {LONG_S}), *held.faults)

tools.make_tools = make_tools
connections.START_WITHIN_S = 0.0
asyncio.run(main())
"""
    assert await printed_by(program) == "True plain\n"


async def printed_by(program: str) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(LONG_S):
        output, _ = await process.communicate()
    return output.decode()


async def test_two_servers_of_one_name_are_refused() -> None:
    servers = [McpServer("crm", command=["a"]), McpServer("crm", command=["b"])]
    with pytest.raises(ToolDefinitionError, match="Two MCP servers are named 'crm'; rename one"):
        async with mcp_connections(servers):
            pass


async def test_of_two_tools_of_one_name_the_first_server_wins_with_one_warning() -> None:
    servers = [plain_server(name=name, allow=["*id", "*ho"]) for name in ("one", "two")]
    with logged() as log:
        async with mcp_connections(servers) as connections:
            for _ in range(2):
                assert list(connections.tools) == ["echo", "pid"]
            assert connections.get("pid") is connections.tools["pid"]
    assert log.of("mcp_tool_left_out") == [
        {
            "event": "mcp_tool_left_out",
            "level": "warning",
            "server": "two",
            "tool": tool,
            "reason": f"A server before it has a tool {tool!r}; give one of them a `prefix`.",
        }
        for tool in ("echo", "pid")
    ]
