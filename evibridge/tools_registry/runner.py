"""Runs tools: one outcome for every call, whatever the model wrote and the tool does.

Codes of failures: `unknown_tool`, `bad_arguments`, `busy`, `timeout`, `failed`,
`result_too_large`, and those that tools choose for their `ToolError`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from enum import Enum
from functools import partial
from threading import Thread
from typing import TypeAlias

import structlog
from pydantic_core import to_json

from evibridge.errors import ToolError
from evibridge.tools_registry.arguments import MAX_ECHO_CHARS, clip
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.registry import Tool, Tools

MAX_RESULT_BYTES = 64 * 1024
"""Some 16 000 words: no model can tell more of it on the phone, and EVI carries it back."""
MAX_REFUSAL_CHARS = 4096
"""A `ToolError` is a sentence or two; an author who puts a web page in it means well."""
CLOSE_TIMEOUT_S = 1.0
"""How long cancelled tools may clean up when the runner closes."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The tool answered."""

    content: str
    """Text for the model."""


@dataclass(frozen=True, slots=True)
class ToolFailure:
    """There is no answer."""

    error: str
    """What happened, for people and logs; the model does not read it."""
    content: str | None
    """Text for the model; with `None` EVI takes the tool's `fallback_content`, else improvises."""
    code: str
    """Kind of failure, one word for logs and programs."""


ToolOutcome: TypeAlias = ToolResult | ToolFailure


class ToolRunner:
    """Runs the tools of all calls, `max_running` at a time; there is no queue.

    A plain function runs in a thread, which nothing can stop: after its deadline, or when its call
    is gone, it keeps its place among the `max_running` until it returns. The same is true of a
    coroutine that does not let itself be cancelled. The threads are daemons, so that none of them
    keeps the process from ending.

    Args:
        tools: what may be called
        default_timeout_s: deadline of a tool that sets none of its own
        max_running: tools at a time; one more is refused as `busy`
    """

    def __init__(self, tools: Tools, *, default_timeout_s: float, max_running: int = 64) -> None:
        self._tools = tools
        self._default_timeout_s = default_timeout_s
        self._max_running = max_running
        self._running: set[asyncio.Task[ToolOutcome]] = set()

    async def run(self, name: str, arguments: str, context: ToolContext) -> ToolOutcome:
        """Call a tool and return its outcome, at the latest at its deadline.

        Cancelling this cancels the tool, if it is a coroutine function. Nothing but
        `CancelledError` is raised.

        Args:
            name: the tool, as the model wrote it
            arguments: JSON text, as the model wrote it (EVI: `tool_call.parameters`)
            context: the call
        """
        tool = self._tools.get(name)
        if tool is None:
            sentence = f"There is no tool named {clip(name, MAX_ECHO_CHARS)!r}."
            return ToolFailure(sentence, sentence, "unknown_tool")
        if len(self._running) >= self._max_running:
            return _failure(tool, "is refused: too many tools are running", "busy")
        task = asyncio.create_task(_perform(tool, arguments, context), name=f"tool {name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        timeout_s = self._default_timeout_s if tool.timeout_s is None else tool.timeout_s
        try:
            # Unlike asyncio.timeout(), this does not wait for what the tool does when cancelled.
            done, _ = await asyncio.wait((task,), timeout=timeout_s)
        finally:
            if tool.is_async:
                task.cancel()
        if not done:
            return _failure(tool, f"did not answer within {timeout_s:g} s", "timeout")
        if task.cancelled():
            return _failure(tool, "was cancelled", "failed")
        return task.result()

    async def close(self) -> None:
        """Cancel every running tool and wait for their clean-up, `CLOSE_TIMEOUT_S` at most."""
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSE_TIMEOUT_S)


async def _perform(tool: Tool, arguments: str, context: ToolContext) -> ToolOutcome:
    """Read the arguments, call the function and write its answer as text."""
    name = tool.definition.name
    try:
        keywords = tool.arguments.read(arguments)
        if tool.arguments.context_parameter is not None:
            keywords[tool.arguments.context_parameter] = context
        call = partial(tool.function, **keywords)
        value = await (call() if tool.is_async else _call_in_thread(call))
        return _result(tool, value)
    except ToolError as refusal:
        text = clip(_sendable(str(refusal)).decode(), MAX_REFUSAL_CHARS)
        return ToolFailure(f"The tool {name} refused: {text}", text, refusal.code)
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:
        log.exception("tool_failed", tool=name, call_id=context.call_id)
        return _failure(tool, f"failed with {type(error).__name__}", "failed")


async def _call_in_thread(call: Callable[[], object]) -> object:
    """Call a plain function in a daemon thread, with the context variables of this task."""
    answer: Future[tuple[object, BaseException | None]] = Future()
    # A call that runs cannot be cancelled, so that the thread is the only one to settle it.
    answer.set_running_or_notify_cancel()
    variables = copy_context()

    def work() -> None:
        try:
            answer.set_result((variables.run(call), None))
        except BaseException as error:  # noqa: BLE001  it is raised in the task instead
            # As a value, because a future refuses StopIteration and reads its own CancelledError
            # as a cancellation of the task.
            answer.set_result((None, error))

    Thread(target=work, name="tool", daemon=True).start()
    value, error = await asyncio.wrap_future(answer)
    if error is not None:
        raise error
    return value


def _result(tool: Tool, value: object) -> ToolOutcome:
    """Write what a tool returned as text: strings as they are, nothing as `done`, else JSON."""
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        value = "done"
    text = _sendable(value) if isinstance(value, str) else to_json(value, inf_nan_mode="null")
    if len(text) > MAX_RESULT_BYTES:
        return _failure(tool, f"returned {len(text)} bytes of text", "result_too_large")
    return ToolResult(text.decode())


def _sendable(text: str) -> bytes:
    """Encode for the wire, on which half a surrogate pair has no form."""
    return text.encode(errors="replace")


def _failure(tool: Tool, what: str, code: str) -> ToolFailure:
    name, fallback = tool.definition.name, tool.definition.fallback
    return ToolFailure(f"The tool {name} {what}.", fallback, code)
