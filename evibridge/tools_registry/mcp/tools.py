"""From what an MCP server lists to the tools that a model is offered."""

import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_json

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.arguments import clip
from evibridge.tools_registry.mcp.arguments import McpArguments
from evibridge.tools_registry.mcp.schema import MAX_SCHEMA_CHARS, narrow_schema
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.registry import Tool, ToolDefinition

MAX_TOOLS = 128
"""Of one server; a model chooses badly among far fewer."""
MAX_OFFER_BYTES = 256 * 1024
"""Descriptions and schemas of one server, which go to the model with every call."""
MAX_SCHEMA_BYTES = 2 * MAX_SCHEMA_CHARS
"""As the server wrote it, part of which a model may never be told of."""
MAX_LISTED_BYTES = 1024 * 1024
"""Schemas of one server, as it wrote them."""
MAX_MAKING_S = 2.0
"""Time for the tools of one server, which is taken from the calls that are going on."""
MAX_DESCRIPTION_CHARS = 4096
MAX_NAME_CHARS = 64

CallTool = Callable[[str, dict[str, object]], Awaitable[str]]
"""Calls a tool by the name that the server gives it, and returns text for the model."""


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as its server describes it."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A tool that is not offered.

    Attributes:
        tool: as the server calls it
        reason: one sentence
    """

    tool: str
    reason: str


def make_tools(
    server: McpServer,
    listed: Iterable[ListedTool],
    call: CallTool,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[dict[str, Tool], list[LeftOut]]:
    """Describe a server's tools to a model, under the names that the model uses.

    It takes some milliseconds for each of them, and ends after `MAX_MAKING_S`.

    Args:
        server: whose tools they are
        listed: the tools, as the server describes them
        call: calls one of them
        clock: monotonic seconds

    Returns:
        the tools by the model's names, and those that it is not offered; where a server is not
        read to its end, the rest is left out as the tool "*"
    """
    offer = _Offer(server, call, clock)
    left_out: list[LeftOut] = []
    for tool in listed:
        try:
            offer.consider(tool)
        except _Exhausted as error:
            reason = f"{server.label} {error}; the rest of its tools is left out."
            left_out.append(LeftOut("*", reason))
            break
        except ToolDefinitionError as error:
            name = clip(tool.name, MAX_NAME_CHARS)
            reason = f"The tool {name!r} of the MCP server {server.name!r} {error}; it is left out."
            left_out.append(LeftOut(name, reason))
    return offer.tools, left_out


class _Exhausted(Exception):
    """No more tools of this server are looked at; the text ends "The MCP server so-and-so ..."."""


class _Offer:
    """The tools of one server so far."""

    def __init__(self, server: McpServer, call: CallTool, clock: Callable[[], float]) -> None:
        self._server = server
        self._call = call
        self._clock = clock
        self._ends_s = clock() + MAX_MAKING_S
        self._size = 0
        self._listed_bytes = 0
        self._names: dict[str, str] = {}
        """The model's name of each -> the server's."""
        self.tools: dict[str, Tool] = {}

    def consider(self, tool: ListedTool) -> None:
        """Offer one more, if the server's options allow it.

        Raises:
            ToolDefinitionError: it cannot be offered; the text ends "The tool so-and-so ..."
            _Exhausted: neither can those that come after it
        """
        if self._clock() > self._ends_s:
            raise _Exhausted(f"lists tools that take more than {MAX_MAKING_S:g} s to read")
        # Comparing a name with a pattern takes longer than its length: quadratically so.
        if len(self._server.prefix + tool.name) > MAX_NAME_CHARS:
            raise _wrong_name()
        if self._server.allows(tool.name):
            self._check_size(tool.schema)
            self._add(tool)

    def _check_size(self, schema: Mapping[str, Any]) -> None:
        try:
            size = len(to_json(schema))
        except ValueError:
            raise ToolDefinitionError("has a schema that JSON cannot express") from None
        if size > MAX_SCHEMA_BYTES:
            raise ToolDefinitionError("has a schema that is too large")
        self._listed_bytes += size
        if self._listed_bytes > MAX_LISTED_BYTES:
            raise _Exhausted(f"exceeds the {MAX_LISTED_BYTES} bytes for schemas")

    def _add(self, tool: ListedTool) -> None:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", self._server.prefix + tool.name)
        if not tool.name:
            raise _wrong_name()
        if name in self.tools:
            raise ToolDefinitionError(
                f"becomes {name!r} for the model, as {self._names[name]!r} does before it"
            )
        if len(self.tools) == MAX_TOOLS:
            raise ToolDefinitionError(f"comes after {MAX_TOOLS} others: choose some with `allow`")
        description = clip(tool.description.strip() or tool.name, MAX_DESCRIPTION_CHARS)
        schema = narrow_schema(tool.schema)
        size = len(description.encode()) + len(to_json(schema))
        if self._size + size > MAX_OFFER_BYTES:
            raise ToolDefinitionError(
                f"exceeds the {MAX_OFFER_BYTES} bytes for descriptions: choose some with `allow`"
            )
        definition = ToolDefinition(name, description, schema, self._server.fallback)
        self.tools[name] = Tool(
            definition,
            _function(self._call, tool.name),
            McpArguments(tool.schema, self._clock),
            is_async=True,
            conduct=self._server.conduct,
        )
        self._names[name] = tool.name
        self._size += size


def _wrong_name() -> ToolDefinitionError:
    return ToolDefinitionError(f"needs a name of 1 to {MAX_NAME_CHARS} characters, prefix included")


def _function(call: CallTool, tool: str) -> Callable[..., Awaitable[str]]:
    async def function(**arguments: object) -> str:
        return await call(tool, arguments)

    return function
