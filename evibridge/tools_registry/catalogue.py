"""All that a model may call: functions, and the tools of MCP servers."""

import structlog

from evibridge.tools_registry.mcp.connections import McpConnections
from evibridge.tools_registry.registry import Tool, ToolDefinition, Tools

log = structlog.get_logger()


class ToolCatalogue:
    """Functions come first, and win over tools of the same name.

    Args:
        functions: the agent's own
        connections: to the MCP servers, if there are any; what they offer may change at any time
    """

    def __init__(self, functions: Tools, connections: McpConnections | None = None) -> None:
        self._functions = functions
        self._connections = connections
        self._logged: set[str] = set()

    def get(self, name: str) -> Tool | None:
        """Find a tool by the name that the model uses."""
        function = self._functions.get(name)
        if function is not None or self._connections is None:
            return function
        return self._connections.get(name)

    def definitions(self) -> list[ToolDefinition]:
        """Return what a server is told now."""
        definitions = self._functions.definitions()
        if self._connections is not None:
            for name, tool in self._connections.tools.items():
                if self._functions.get(name) is None:
                    definitions.append(tool.definition)
                else:
                    self._log_clash(name)
        return definitions

    def _log_clash(self, name: str) -> None:
        if name not in self._logged:
            self._logged.add(name)
            log.warning(
                "mcp_tool_left_out",
                tool=name,
                reason=f"A function is named {name!r} as well; give the MCP server a `prefix`.",
            )
