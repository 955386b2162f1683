import pytest

from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.registry import Tools
from tests.agent.stage import HOLD


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
def refunded(tools: Tools) -> list[str]:
    """What the tool `refund`, which an operator has to approve, was called for."""
    done: list[str] = []

    @tools.tool(requires_approval=True, holding=HOLD)
    async def refund(call: ToolContext) -> str:
        """Give the money back."""
        done.append(call.tool_call_id)
        return "refunded"

    return done
