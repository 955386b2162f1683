"""Runs tools: one outcome for every call, whatever the model wrote and the tool does.

    arguments ──► approval ──► (an early answer) ──► the function, until its deadline ──► outcome

Codes of failures: `unknown_tool`, `bad_arguments`, `busy`, `not_approved`, `declined`, `timeout`,
`failed`, `bad_result`, `result_too_large`, `unavailable`, and those that tools choose for their
`ToolError`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any, Protocol

import structlog

from evibridge.errors import ToolError, ToolUnavailable
from evibridge.tools_registry.arguments import MAX_ECHO_CHARS, clip
from evibridge.tools_registry.conduct import Answering
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.loop_guard import Guarded
from evibridge.tools_registry.outcome import (
    ToolFailure,
    ToolOutcome,
    ToolResult,
    failure,
    result,
    sendable,
)
from evibridge.tools_registry.progress import ToolProgress
from evibridge.tools_registry.registry import Tool
from evibridge.tools_registry.threads import ToolThreads

MAX_REFUSAL_CHARS = 4096
"""A `ToolError` is a sentence or two; an author who puts a web page in it means well."""
MAX_RUNNING = 64
MAX_RUNNING_PER_CALL = 8
"""As many as a call may wait for at a time, and as many again in the background."""
APPROVAL_TIMEOUT_S = 20.0
"""For a tool without a deadline of its own: EVI waits some tens of seconds for an answer (its limit
is UNCONFIRMED), and the function has yet to run."""
BACKGROUND_TIMEOUT_S = 120.0
"""Deadline of a tool that nobody waits for and that sets none of its own."""
CLOSE_TIMEOUT_S = 1.0
"""How long cancelled tools may clean up when the runner closes."""

EARLY_ANSWERS = {
    Answering.IN_BACKGROUND: "Started. The result is not known yet; you will be told later.",
    Answering.SILENTLY: "Done. Say nothing about it and go on with the conversation.",
}

log = structlog.get_logger()


class ToolSource(Protocol):
    """Where the tools are."""

    def get(self, name: str) -> Tool | None:
        """Find a tool by the name that the model uses."""


class ToolRunner:
    """Runs the tools of all calls, a bounded number at a time; there is no queue.

    A plain function runs in a thread, which nothing can stop: after its deadline, or when its call
    is gone, it keeps its place among the `max_running` until it returns. The same is true of a
    coroutine that does not let itself be cancelled. The threads are daemons, so that none of them
    keeps the process from ending.

    Args:
        tools: what may be called
        default_timeout_s: deadline of a tool that sets none of its own
        max_running: tools at a time; one more is refused as `busy`
    """

    def __init__(
        self,
        tools: ToolSource,
        *,
        default_timeout_s: float,
        max_running: int = MAX_RUNNING,
    ) -> None:
        self._tools = tools
        self._default_timeout_s = default_timeout_s
        self._max_running = max_running
        self._threads = ToolThreads()
        self._running: dict[asyncio.Task[ToolOutcome], str] = {}
        """The tools that run, and the call that each serves."""
        self._cancelled: set[asyncio.Task[ToolOutcome]] = set()
        """Those of them that have been told to end."""
        self._late: set[asyncio.Task[ToolOutcome]] = set()
        """Those that were answered early and are still waited for."""

    async def run(
        self,
        name: str,
        arguments: str,
        context: ToolContext,
        progress: ToolProgress,
    ) -> ToolOutcome:
        """Call a tool and return its outcome, at the latest at its deadline.

        Cancelling this cancels the tool, if it is a coroutine function and has not been answered
        early. Nothing but `CancelledError` is raised.

        Args:
            name: the tool, as the model wrote it
            arguments: JSON text, as the model wrote it (EVI: `tool_call.parameters`)
            context: the call
            progress: is told what happens before there is an outcome
        """
        tool = self._tools.get(name)
        if tool is None:
            sentence = f"There is no tool named {clip(name, MAX_ECHO_CHARS)!r}."
            return ToolFailure(sentence, sentence, "unknown_tool")
        return await self._run(tool, arguments, context, progress)

    async def close(self) -> None:
        """Cancel every running tool and wait for their clean-up, `CLOSE_TIMEOUT_S` at most."""
        for work in self._running:
            self._cancel(work)
        await _end_of(self._running.keys() | self._late)
        # Of these, the tools resist: nobody waits for them any longer.
        for late in self._late:
            late.cancel()
        await _end_of(self._late)
        self._threads.close()

    # One tool call

    async def _run(
        self, tool: Tool, arguments: str, context: ToolContext, progress: ToolProgress
    ) -> ToolOutcome:
        if self._is_busy(context.call_id):
            return failure(tool, "is refused: too many tools are running", "busy")
        may_run: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        prepare = partial(_prepare, tool, arguments, context, progress)
        work = asyncio.create_task(
            _settled(tool, context, prepare, may_run, self._threads),
            name=f"tool {tool.definition.name}",
        )
        self._running[work] = context.call_id
        work.add_done_callback(self._running.pop)
        work.add_done_callback(self._cancelled.discard)
        waiting = self._outcome(tool, work, may_run, progress)
        if tool.conduct.answering is Answering.WHEN_DONE:
            return await waiting
        late = asyncio.create_task(waiting)
        self._late.add(late)
        late.add_done_callback(self._late.discard)
        try:
            await asyncio.wait((late,))
        except asyncio.CancelledError:
            if not may_run.done():
                self._cancel(work)
            raise
        return _outcome_of(tool, late)

    def _cancel(self, work: asyncio.Task[ToolOutcome]) -> None:
        """Tell a tool to end, once: a second time would break off its clean-up."""
        if not work.done() and work not in self._cancelled:
            self._cancelled.add(work)
            work.cancel()

    def _is_busy(self, call_id: str) -> bool:
        of_call = sum(1 for each in self._running.values() if each == call_id)
        return len(self._running) >= self._max_running or of_call >= MAX_RUNNING_PER_CALL

    async def _outcome(
        self,
        tool: Tool,
        work: asyncio.Task[ToolOutcome],
        may_run: asyncio.Future[None],
        progress: ToolProgress,
    ) -> ToolOutcome:
        """Wait for a tool, at most until its deadline."""
        conduct, holding = tool.conduct, None
        timeout_s = self._timeout_s(tool)
        try:
            await asyncio.wait((work, may_run), return_when=asyncio.FIRST_COMPLETED)
            if conduct.holding is not None and not conduct.requires_approval:
                holding = asyncio.get_running_loop().call_later(
                    conduct.holding_after_s, _hold, work, progress, conduct.holding
                )
            # Unlike asyncio.timeout(), this does not wait for what the tool does when cancelled.
            done, _ = await asyncio.wait((work,), timeout=timeout_s)
        finally:
            if holding is not None:
                holding.cancel()
            if tool.is_async or not may_run.done():
                self._cancel(work)
        if not done:
            return failure(tool, f"did not answer within {timeout_s:g} s", "timeout")
        return _outcome_of(tool, work)

    def _timeout_s(self, tool: Tool) -> float:
        if tool.conduct.timeout_s is not None:
            return tool.conduct.timeout_s
        if tool.conduct.answering is Answering.WHEN_DONE:
            return self._default_timeout_s
        return BACKGROUND_TIMEOUT_S


def _outcome_of(tool: Tool, ended: asyncio.Task[ToolOutcome]) -> ToolOutcome:
    if ended.cancelled():
        return failure(tool, "was cancelled", "failed")
    return ended.result()


async def _end_of(tasks: Collection[asyncio.Task[ToolOutcome]]) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_TIMEOUT_S)


def _hold(work: asyncio.Task[ToolOutcome], progress: ToolProgress, sentence: str) -> None:
    """Let the caller hear that he has to wait, unless the tool has just ended."""
    if not work.done():
        progress.hold(sentence)


async def _prepare(
    tool: Tool, arguments: str, context: ToolContext, progress: ToolProgress
) -> dict[str, object]:
    """Do all that comes before the function, whose keyword arguments are returned."""
    keywords = tool.arguments.read(arguments)
    if tool.arguments.context_parameter is not None:
        keywords[tool.arguments.context_parameter] = context
    if tool.conduct.requires_approval:
        await _approved(tool, progress)
    early = EARLY_ANSWERS.get(tool.conduct.answering)
    if early is not None:
        result_follows = tool.conduct.answering is Answering.IN_BACKGROUND
        progress.answer_early(ToolResult(early), result_follows=result_follows)
    return keywords


async def _approved(tool: Tool, progress: ToolProgress) -> None:
    """Return when an operator has approved of a tool call.

    Raises:
        ToolError: none has; the text tells the model
    """
    assert tool.conduct.holding is not None
    progress.hold(tool.conduct.holding)
    own_s = tool.conduct.timeout_s
    timeout_s = APPROVAL_TIMEOUT_S if own_s is None else own_s
    try:
        async with asyncio.timeout(timeout_s):
            verdict = await progress.verdict(timeout_s)
    except TimeoutError:
        raise ToolError(
            "Nobody was there to approve of this. It has not been done.", code="not_approved"
        ) from None
    if not verdict.is_approved:
        because = f" The reason: {verdict.reason}" if verdict.reason else ""
        raise ToolError(
            f"A person has declined this. It has not been done.{because}", code="declined"
        )


async def _settled(
    tool: Tool,
    context: ToolContext,
    prepare: Callable[[], Awaitable[dict[str, object]]],
    may_run: asyncio.Future[None],
    threads: ToolThreads,
) -> ToolOutcome:
    """Prepare a tool call and call the function; whatever happens becomes an outcome."""
    try:
        return await _answered(tool, prepare, may_run, threads)
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:
        log.exception("tool_failed", tool=tool.definition.name, call_id=context.call_id)
        return failure(tool, f"failed with {type(error).__name__}", "failed")


async def _answered(
    tool: Tool,
    prepare: Callable[[], Awaitable[dict[str, object]]],
    may_run: asyncio.Future[None],
    threads: ToolThreads,
) -> ToolOutcome:
    """The outcome of a tool that answers or says why it does not."""
    try:
        call = partial(tool.function, **await prepare())
        may_run.set_result(None)
        # The result is written where the function ran, because that may run code of its author.
        if tool.is_async:
            return await _guarded(tool, call)
        return await _call_in_thread(threads, lambda: result(tool, call()))
    except ToolError as refusal:
        name = tool.definition.name
        text = clip(sendable(str(refusal)).decode(), MAX_REFUSAL_CHARS)
        # The text is for the model alone: it may say much about a caller, or repeat arguments.
        return ToolFailure(f"The tool {name} refused.", text, refusal.code)
    except ToolUnavailable as error:
        return failure(tool, str(error), "unavailable")


def _guarded(tool: Tool, call: Callable[[], Any]) -> Awaitable[ToolOutcome]:
    """Call a coroutine function, and name it in the log if it keeps calls from going on."""

    async def run() -> ToolOutcome:
        return result(tool, await call())

    def note(blocked_s: float) -> None:
        log.warning(
            "tool_blocks_event_loop",
            tool=tool.definition.name,
            blocked_ms=round(blocked_s * 1000),
            advice="all calls stand still meanwhile: make it a plain function (def), or await",
        )

    return Guarded(run(), note)


async def _call_in_thread(threads: ToolThreads, call: Callable[[], ToolOutcome]) -> ToolOutcome:
    """Call a plain function in a thread, with the context variables of this task."""
    answer: Future[ToolOutcome | BaseException] = Future()
    # A call that runs cannot be cancelled, so that the thread is the only one to settle it.
    answer.set_running_or_notify_cancel()
    variables = copy_context()

    def work() -> None:
        try:
            answer.set_result(variables.run(call))
        except BaseException as error:  # noqa: BLE001  it is raised in the task instead
            # As a value, because a future refuses StopIteration and reads its own CancelledError
            # as a cancellation of the task.
            answer.set_result(error)

    threads.run(work)
    outcome = await asyncio.wrap_future(answer)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
