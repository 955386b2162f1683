from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from evibridge.tools_registry.catalogue import ToolCatalogue
from evibridge.tools_registry.mcp import connections as mcp_connections
from evibridge.tools_registry.mcp.connection import McpConnection
from evibridge.tools_registry.mcp.connections import McpConnections
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.mcp.tools import ListedTool, make_tools
from evibridge.tools_registry.registry import Tool, Tools

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}


async def nothing(tool: str, arguments: dict[str, object]) -> str:
    raise AssertionError(tool, arguments)


class Offering(McpConnection):
    """A connection that offers tools without a server."""

    def __init__(self, *names: str) -> None:
        super().__init__(McpServer("crm", command=["crm"]))
        listed = [ListedTool(name, "Of the server.", NO_ARGUMENTS) for name in names]
        self._made, _ = make_tools(self.server, listed, nothing)

    @property
    def tools(self) -> Mapping[str, Tool]:
        return self._made


@pytest.fixture
def functions() -> Tools:
    tools = Tools()

    @tools.tool
    async def order_status() -> None:
        """Of the agent."""

    return tools


async def test_without_servers_there_are_the_functions(functions: Tools) -> None:
    catalogue = ToolCatalogue(functions)
    assert catalogue.definitions() == functions.definitions()
    assert catalogue.get("order_status") is functions.get("order_status")
    assert catalogue.get("refund") is None


async def test_functions_come_first_and_then_the_tools_of_servers(functions: Tools) -> None:
    connections = McpConnections([Offering("refund", "book")])
    catalogue = ToolCatalogue(functions, connections)
    assert [definition.name for definition in catalogue.definitions()] == [
        "order_status",
        "refund",
        "book",
    ]
    assert catalogue.get("refund") is connections.get("refund")
    assert catalogue.get("nothing") is None


async def test_a_function_wins_over_a_tool_of_its_name_with_one_warning(functions: Tools) -> None:
    catalogue = ToolCatalogue(functions, McpConnections([Offering("order_status")]))
    with capture_logs() as logs:
        for _ in range(2):
            (definition,) = catalogue.definitions()
    assert definition.description == "Of the agent."
    assert catalogue.get("order_status") is functions.get("order_status")
    assert logs == [
        {
            "event": "mcp_tool_left_out",
            "log_level": "warning",
            "tool": "order_status",
            "reason": "A function is named 'order_status' as well; give the MCP server a `prefix`.",
        }
    ]


async def test_what_a_server_offers_later_is_there_at_once(functions: Tools) -> None:
    offering = Offering()
    catalogue = ToolCatalogue(functions, McpConnections([offering]))
    assert catalogue.get("refund") is None
    offering._made = Offering("refund")._made
    assert catalogue.get("refund") is not None
    assert len(catalogue.definitions()) == 2


async def test_a_name_belongs_to_the_server_that_had_it_first() -> None:
    first, second = Offering("refund"), Offering("refund", "book")
    connections = McpConnections([first, second])
    assert list(connections.tools) == ["refund", "book"]
    of_first = connections.get("refund")

    first._made = Offering()._made

    assert of_first is not None
    assert connections.get("refund") is None
    assert list(connections.tools) == ["book"]


async def test_a_server_that_makes_up_names_without_end_is_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_connections, "MAX_NAMES", 2)
    offering = Offering("a", "b")
    connections = McpConnections([offering])
    assert list(connections.tools) == ["a", "b"]

    offering._made = Offering("b", "c")._made

    assert list(connections.tools) == ["b"]
    assert connections.get("c") is None
