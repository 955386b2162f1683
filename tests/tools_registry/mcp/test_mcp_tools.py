from itertools import count
from typing import Any

import pytest

from evibridge.errors import ToolError
from evibridge.tools_registry.conduct import Conduct
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.mcp.tools import (
    MAX_DESCRIPTION_CHARS,
    MAX_LISTED_BYTES,
    MAX_MAKING_S,
    MAX_SCHEMA_BYTES,
    MAX_TOOLS,
    LeftOut,
    ListedTool,
    make_tools,
)
from evibridge.tools_registry.registry import Tool, ToolDefinition

NO_ARGUMENTS: dict[str, Any] = {"type": "object", "properties": {}}
TOLD = {"type": "object", "properties": {}, "required": []}


def server(**options: Any) -> McpServer:
    return McpServer("crm", url="https://crm.example/mcp", **options)


def listed(*names: str, schema: dict[str, Any] = NO_ARGUMENTS) -> list[ListedTool]:
    return [ListedTool(name, "Do it.", schema) for name in names]


async def echo(tool: str, arguments: dict[str, object]) -> str:
    return f"{tool} {arguments}"


def offered(
    tools: list[ListedTool], by: McpServer | None = None
) -> tuple[dict[str, Tool], list[LeftOut]]:
    return make_tools(by or server(), tools, echo, clock=lambda: 0.0)


async def test_a_tool_is_offered_as_its_server_describes_it() -> None:
    schema = {"type": "object", "properties": {"self": {"type": "string", "title": "Self"}}}
    tools, left_out = offered([ListedTool("status", " Tell where it is.\n", schema)])
    told = {"type": "object", "properties": {"self": {"type": "string"}}, "required": []}
    assert tools["status"].definition == ToolDefinition("status", "Tell where it is.", told, None)
    assert left_out == []


async def test_it_is_called_by_the_name_that_its_server_gives_it() -> None:
    tools, _ = offered(listed("order.status"), server(prefix="crm_"))
    tool = tools["crm_order_status"]
    assert tool.is_async
    assert await tool.function(self="7") == "order.status {'self': '7'}"


async def test_its_arguments_are_checked_by_the_schema_as_its_server_wrote_it() -> None:
    schema = {"type": "object", "properties": {"day": {"not": {"const": "sunday"}}}}
    tools, _ = offered(listed("open", schema=schema))
    assert tools["open"].arguments.read('{"day": "monday"}') == {"day": "monday"}
    with pytest.raises(ToolError, match="The argument 'day' is wrong"):
        tools["open"].arguments.read('{"day": "sunday"}')


def test_the_conduct_and_the_fallback_are_those_of_the_server() -> None:
    tools, _ = offered(listed("status"), server(timeout=5, fallback="Ask again tomorrow."))
    assert tools["status"].conduct == Conduct(timeout_s=5)
    assert tools["status"].definition.fallback == "Ask again tomorrow."


def test_only_allowed_tools_are_offered_and_nothing_is_said_of_the_others() -> None:
    tools, left_out = offered(listed("order_status", "refund"), server(allow=["order_*"]))
    assert (list(tools), left_out) == (["order_status"], [])


@pytest.mark.parametrize(
    ("description", "told"),
    [("", "status"), (" \n", "status"), ("x" * 10_000, "x" * (MAX_DESCRIPTION_CHARS - 1) + "…")],
)
def test_a_description_is_neither_missing_nor_of_absurd_length(description: str, told: str) -> None:
    tools, _ = offered([ListedTool("status", description, NO_ARGUMENTS)])
    assert tools["status"].definition.description == told


def test_of_two_tools_that_get_one_name_the_second_is_left_out() -> None:
    tools, left_out = offered(listed("order.status", "order/status", "other"))
    assert list(tools) == ["order_status", "other"]
    assert left_out == [
        LeftOut(
            "order/status",
            "The tool 'order/status' of the MCP server 'crm' becomes 'order_status' for the "
            "model, as 'order.status' does before it; it is left out.",
        )
    ]


@pytest.mark.parametrize("name", ["", "x" * 61, "x" * 10_000])
def test_a_name_that_models_do_not_take_is_left_out(name: str) -> None:
    tools, (left_out,) = offered(listed(name, "y" * 60), server(prefix="crm_"))
    assert list(tools) == ["crm_" + "y" * 60]
    assert "needs a name of 1 to 64 characters, prefix included" in left_out.reason
    assert len(left_out.tool) <= 64


def test_a_name_that_models_do_not_take_is_compared_with_no_pattern() -> None:
    _, (left_out,) = offered(listed("x" * 65), server(allow=["order_*"]))
    assert "needs a name of 1 to 64 characters" in left_out.reason


def test_a_type_that_contains_itself_leaves_out_one_tool_only() -> None:
    recursive = {
        "properties": {"tree": {"$ref": "#/$defs/Tree"}},
        "$defs": {"Tree": {"properties": {"left": {"$ref": "#/$defs/Tree"}}}},
    }
    tools, left_out = offered([*listed("grow", schema=recursive), *listed("status")])
    assert list(tools) == ["status"]
    assert left_out == [
        LeftOut(
            "grow",
            "The tool 'grow' of the MCP server 'crm' has the type 'Tree', which contains itself; "
            "it is left out.",
        )
    ]


def test_a_schema_whose_hidden_parts_are_too_large_is_left_out() -> None:
    large = {"type": "object", "not": {"enum": ["x" * MAX_SCHEMA_BYTES]}}
    tools, (left_out,) = offered([*listed("large", schema=large), *listed("small")])
    assert list(tools) == ["small"]
    assert "has a schema that is too large" in left_out.reason


def test_the_number_of_tools_is_bounded() -> None:
    names = [f"tool{number}" for number in range(MAX_TOOLS + 2)]
    tools, left_out = offered(listed(*names))
    assert list(tools) == names[:MAX_TOOLS]
    assert [each.tool for each in left_out] == names[MAX_TOOLS:]
    assert "comes after 128 others: choose some with `allow`" in left_out[0].reason


def test_the_size_of_all_tools_is_bounded() -> None:
    large = {"properties": {"it": {"enum": ["x" * 30_000]}}}
    names = [f"tool{number}" for number in range(12)]
    tools, left_out = offered([*listed(*names, schema=large), *listed("small")])
    assert list(tools) == [*names[:8], "small"]
    assert "exceeds the 262144 bytes for descriptions" in left_out[0].reason


def test_a_schema_that_json_cannot_express_leaves_out_one_tool_only() -> None:
    tools, (left_out,) = offered([*listed("odd", schema={"not": object()}), *listed("status")])
    assert list(tools) == ["status"]
    assert "has a schema that JSON cannot express" in left_out.reason


def test_the_schemas_of_a_server_are_bounded_and_the_rest_is_told_once() -> None:
    hidden = {"not": {"enum": ["x" * (MAX_SCHEMA_BYTES - 100)]}}
    fitting = MAX_LISTED_BYTES // (MAX_SCHEMA_BYTES - 50)
    names = [f"tool{number}" for number in range(fitting + 3)]
    tools, left_out = offered(listed(*names, schema=hidden))
    assert list(tools) == names[:fitting]
    assert left_out == [
        LeftOut(
            "*",
            "The MCP server 'crm' exceeds the 1048576 bytes for schemas; the rest of its tools is "
            "left out.",
        )
    ]


def test_the_time_for_the_tools_of_a_server_is_bounded_and_the_rest_is_told_once() -> None:
    clock = count(step=MAX_MAKING_S / 2).__next__
    tools, left_out = make_tools(server(), listed("a", "b", "c", "d"), echo, clock)
    assert list(tools) == ["a", "b"]
    assert left_out == [
        LeftOut(
            "*",
            "The MCP server 'crm' lists tools that take more than 2 s to read; the rest of its "
            "tools is left out.",
        )
    ]
