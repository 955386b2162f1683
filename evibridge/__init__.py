"""evibridge: voice agents of plain Python functions, on the phone and in the browser."""

from evibridge.agent.definition import Agent
from evibridge.errors import ToolError
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.registry import Tools

__all__ = ["Agent", "ToolContext", "ToolError", "Tools"]
