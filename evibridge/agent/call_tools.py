"""The tools that run for one call."""

import asyncio
from collections.abc import Callable

import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import StartTool
from evibridge.agent.tool_desk import Answer
from evibridge.agent.tool_journal import ToolJournal
from evibridge.agent.tool_line import ServedCall, ToolLine
from evibridge.events import ToolDelivered
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.outcome import ToolFailure, ToolOutcome, ToolResult
from evibridge.tools_registry.progress import Verdict
from evibridge.tools_registry.runner import ToolRunner

log = structlog.get_logger(__name__)


class CallTools:
    """Starts the tools of a call, one task each, and brings back what becomes of them.

    Args:
        call: is told what becomes of them
        runner: runs them
        journal: is asked what a repeated call was answered
        context: makes the context of a tool, from its line to the call
    """

    def __init__(
        self,
        call: ServedCall,
        runner: ToolRunner,
        journal: ToolJournal,
        context: Callable[[ToolLine], ToolContext],
    ) -> None:
        self._call = call
        self._runner = runner
        self._journal = journal
        self._context = context
        self._running: dict[ToolLine, asyncio.Task[None]] = {}

    def start(self, start: StartTool, tasks: asyncio.TaskGroup) -> None:
        """Run a tool; the call is told its outcome unless `cancel` comes first."""
        line = ToolLine(self._call, start.call)
        work = self._repeat if start.is_repeat else self._run
        self._running[line] = tasks.create_task(work(start.call, line))

    def cancel(self, tool_call_id: str) -> None:
        """Nobody wants the answer of a tool any more."""
        for line, task in self._running.items():
            if line.tool.tool_call_id == tool_call_id and not line.was_answered:
                line.is_given_up = True
                task.cancel()

    def cancel_all(self) -> None:
        """The call is over. A tool that was answered before comes to its end by itself."""
        for line, task in self._running.items():
            line.is_given_up = True
            task.cancel()

    def decide(self, tool_call_id: str, verdict: Verdict) -> None:
        """An operator has decided about a tool that waits."""
        for line in self._running:
            if line.tool.tool_call_id == tool_call_id:
                line.decide(verdict)

    async def _repeat(self, call: evi.ToolCall, line: ToolLine) -> None:
        """Answer as before, without running anything."""
        try:
            known = await self._journal.recall(self._context(line).call_id, call.tool_call_id)
        finally:
            self._running.pop(line)
        self._call.tool_finished(call, known or _forgotten(call))

    async def _run(self, call: evi.ToolCall, line: ToolLine) -> None:
        tool_call_id = call.tool_call_id
        context = self._context(line)
        try:
            outcome = await self._runner.run(call.name, call.parameters, context, line)
        finally:
            line.is_given_up = True
            self._running.pop(line)
        if isinstance(outcome, ToolFailure):
            log.warning(
                "tool_gave_no_result",
                call_id=context.call_id,
                tool_call_id=tool_call_id,
                code=outcome.code,
                why=outcome.error,
            )
        if line.was_answered:
            self._call.tool_delivered(call, outcome, is_for_model=line.result_follows)
        else:
            self._call.tool_finished(call, answer(call, outcome))


def answer(tool: evi.ToolCall, outcome: ToolOutcome) -> Answer:
    """The message that tells the EVI server how a tool call ended."""
    if isinstance(outcome, ToolResult):
        return evi.ToolResponse(tool.tool_call_id, outcome.content, tool_name=tool.name)
    return evi.ToolError(
        tool.tool_call_id,
        error=outcome.error,
        content=outcome.content,
        code=outcome.code,
        level="warn",
    )


def _forgotten(tool: evi.ToolCall) -> Answer:
    return evi.ToolError(
        tool.tool_call_id,
        error="the answer that this call had before is not known any more",
        content="This has been done before; its result is not known any more.",
        code="failed",
        level="warn",
    )


def delivered(tool: evi.ToolCall, outcome: ToolOutcome) -> ToolDelivered:
    """What is told of a tool that was answered before, and is done now."""
    code = "answered" if isinstance(outcome, ToolResult) else outcome.code
    return ToolDelivered(tool.tool_call_id, tool.name, code)


def delivery(tool: evi.ToolCall, outcome: ToolOutcome) -> str:
    """What the model is told, beside the caller's words, of a tool that it did not wait for."""
    name = tool.name
    if isinstance(outcome, ToolResult):
        return f"The tool {name}, which was started before, has the result: {outcome.content}"
    why = outcome.content or "There is no result."
    return f"The tool {name}, which was started before, has failed. {why}"
