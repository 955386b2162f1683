import asyncio

from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import StartTool
from evibridge.agent.call_tools import CallTools
from evibridge.agent.tool_desk import Answer
from evibridge.agent.tool_journal import MemoryJournal
from evibridge.tools_registry.context import NoCall, ToolContext
from evibridge.tools_registry.outcome import ToolOutcome, ToolResult
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner

PATIENCE_S = 5.0
SEARCH = evi.ToolCall("call_1", "search", "{}")


class Served(NoCall):
    """Notes what becomes of tools."""

    def __init__(self) -> None:
        self.delivered = asyncio.Event()
        self.outcomes: list[ToolOutcome] = []

    def tool_holds(self, tool_call_id: str, sentence: str) -> None:
        del tool_call_id, sentence

    def tool_awaits_verdict(self, tool_call_id: str, timeout_s: float) -> None:
        del tool_call_id, timeout_s

    def tool_finished(self, tool: evi.ToolCall, answer: Answer) -> None:
        del tool, answer

    def tool_delivered(
        self, tool: evi.ToolCall, outcome: ToolOutcome, *, is_for_model: bool
    ) -> None:
        del tool, is_for_model
        self.outcomes.append(outcome)
        self.delivered.set()


class SlowJournal(MemoryJournal):
    """One that is asked, and does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = asyncio.Event()

    async def recall(self, call_id: str, tool_call_id: str) -> Answer | None:
        del call_id, tool_call_id
        self.was_asked.set()
        await asyncio.Event().wait()
        return None


async def test_a_repeat_that_nobody_wants_any_more_leaves_the_first_use_alone() -> None:
    functions, goes_on = Tools(), asyncio.Event()

    @functions.tool(background=True)
    async def search() -> str:
        """Search."""
        await goes_on.wait()
        return "found"

    served, journal = Served(), SlowJournal()
    runner = ToolRunner(functions, default_timeout_s=PATIENCE_S)
    tools = CallTools(
        served, runner, journal, lambda line: ToolContext(call_id="c", chat_id="e", live=line)
    )
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        tools.start(StartTool(SEARCH), tasks)
        await asyncio.sleep(0)  # it has begun
        tools.start(StartTool(SEARCH, is_repeat=True), tasks)
        await journal.was_asked.wait()
        tools.cancel("call_1")
        goes_on.set()
        await served.delivered.wait()
    await runner.close()

    assert served.outcomes == [ToolResult("found")]
