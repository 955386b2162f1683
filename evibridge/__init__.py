"""evibridge: voice agents of plain Python functions, on the phone."""

from typing import TYPE_CHECKING, Any

from evibridge import ready_tools
from evibridge.agent.definition import Agent
from evibridge.agent.digits import DigitCollection
from evibridge.agent.manners import Manners
from evibridge.errors import ToolError, ToolUnavailable
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.registry import Tools

if TYPE_CHECKING:
    from evibridge.service import create_app, create_web_session

__all__ = [
    "Agent",
    "DigitCollection",
    "Manners",
    "McpServer",
    "ToolContext",
    "ToolError",
    "ToolUnavailable",
    "Tools",
    "create_app",
    "create_web_session",
    "ready_tools",
]


def __getattr__(name: str) -> Any:
    """Import the server only when it is asked for: an agent's file does not need it."""
    if name in ("create_app", "create_web_session"):
        from evibridge import service

        return getattr(service, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
