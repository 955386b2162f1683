import asyncio
import concurrent.futures
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from structlog.testing import capture_logs

from evibridge.errors import ToolError
from evibridge.tools_registry import runner as runner_module
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import (
    MAX_RESULT_BYTES,
    ToolFailure,
    ToolOutcome,
    ToolResult,
    ToolRunner,
)

CALL = ToolContext(call_id="c1", chat_id="e1", caller="+4930111")
LONG_S = 30.0
SHORT_S = 0.01
"""Deadline of a tool that does not answer by itself."""


class Colour(str, Enum):  # noqa: UP042  unlike StrEnum its str() is not its value
    RED = "red"


class Order(BaseModel):
    number: int
    due: date


@dataclass
class Point:
    x: float


@pytest.fixture
def tools() -> Tools:
    return Tools()


@pytest.fixture
async def runner(tools: Tools) -> AsyncIterator[ToolRunner]:
    runner = ToolRunner(tools, default_timeout_s=LONG_S, max_running=2)
    yield runner
    await runner.close()


async def outcome_of(function: Callable[..., object], arguments: str = "{}") -> ToolOutcome:
    """Run one function as a tool with a fallback text."""
    tools = Tools()
    tools.tool(name="tool", description="Do it.", fallback="Sorry.")(function)
    runner = ToolRunner(tools, default_timeout_s=LONG_S)
    try:
        return await runner.run("tool", arguments, CALL)
    finally:
        await runner.close()


async def outcome_of_value(value: object) -> ToolOutcome:
    async def tool() -> object:
        return value

    return await outcome_of(tool)


# Answers


async def test_a_coroutine_function_gets_the_call_and_its_arguments() -> None:
    async def tool(call: ToolContext, order_id: str, count: int = 2) -> str:
        return f"{order_id} x {count} for {call.caller}"

    assert await outcome_of(tool, '{"order_id": 1042}') == ToolResult("1042 x 2 for +4930111")


async def test_a_plain_function_runs_outside_the_event_loop() -> None:
    def tool(call: ToolContext, order_id: str) -> str:
        assert threading.current_thread() is not threading.main_thread()
        return f"{order_id} for {call.caller}"

    assert await outcome_of(tool, '{"order_id": "7"}') == ToolResult("7 for +4930111")


async def test_a_plain_function_does_not_hold_up_the_loop(tools: Tools, runner: ToolRunner) -> None:
    started, released = threading.Event(), threading.Event()

    @tools.tool
    def slow() -> bool:
        """Wait to be let go."""
        started.set()
        return released.wait(LONG_S)

    @tools.tool
    async def quick() -> str:
        """Answer while the other waits, and let it go."""
        assert started.wait(LONG_S)
        released.set()
        return "quick"

    runs = [runner.run(name, "{}", CALL) for name in ("slow", "quick")]
    assert await asyncio.gather(*runs) == [ToolResult("true"), ToolResult("quick")]


async def test_tools_of_one_call_share_its_state(tools: Tools, runner: ToolRunner) -> None:
    @tools.tool
    async def put(call: ToolContext, thing: str) -> None:
        """Remember."""
        call.state["thing"] = thing

    @tools.tool
    def take(call: ToolContext) -> str:
        """Tell."""
        return str(call.state["thing"])

    assert await runner.run("put", '{"thing": "tea"}', CALL) == ToolResult("done")
    assert await runner.run("take", "{}", CALL) == ToolResult("tea")


async def test_context_variables_reach_both_kinds_of_function() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("seen")

    async def asynchronous() -> str:
        return variable.get()

    def plain() -> str:
        return variable.get()

    assert await outcome_of(asynchronous) == ToolResult("seen")
    assert await outcome_of(plain) == ToolResult("seen")


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "done"),
        (Colour.RED, "red"),
        (3, "3"),
        (True, "true"),
        (float("nan"), "null"),
        (["a", 1], '["a",1]'),
        ({"slot": date(2025, 1, 2)}, '{"slot":"2025-01-02"}'),
        (Order(number=7, due=date(2025, 1, 2)), '{"number":7,"due":"2025-01-02"}'),
        (Point(0.5), '{"x":0.5}'),
        ("half a pair: \ud83d", "half a pair: ?"),
    ],
)
async def test_results_become_text(value: object, content: str) -> None:
    assert await outcome_of_value(value) == ToolResult(content)


async def test_a_result_may_be_as_long_as_the_limit_and_no_longer() -> None:
    fits = "ü" * (MAX_RESULT_BYTES // 2)
    assert await outcome_of_value(fits) == ToolResult(fits)
    too_long = ToolFailure(
        "The tool tool returned 65537 bytes of text.", "Sorry.", "result_too_large"
    )
    assert await outcome_of_value(fits + "x") == too_long


@pytest.mark.parametrize("value", [object(), b"\xff", threading.Lock()])
async def test_a_result_that_cannot_be_text_is_a_failure(value: object) -> None:
    outcome = await outcome_of_value(value)
    assert isinstance(outcome, ToolFailure)
    assert (outcome.code, outcome.content) == ("failed", "Sorry.")


async def test_a_result_that_contains_itself_is_a_failure() -> None:
    endless: list[object] = []
    endless.append(endless)
    outcome = await outcome_of_value(endless)
    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "failed"


# Refusals


async def test_an_unknown_tool_is_refused(runner: ToolRunner) -> None:
    sentence = "There is no tool named 'nothing'."
    assert await runner.run("nothing", "{}", CALL) == ToolFailure(
        sentence, sentence, "unknown_tool"
    )


async def test_an_unknown_name_is_not_repeated_at_length(runner: ToolRunner) -> None:
    outcome = await runner.run("x" * 10_000, "{}", CALL)
    assert isinstance(outcome, ToolFailure)
    assert len(outcome.error) < 150


async def test_bad_arguments_are_refused_before_the_function_is_called() -> None:
    called = False

    async def tool(order_id: str) -> str:
        nonlocal called
        called = True
        return order_id

    assert await outcome_of(tool, "{}") == ToolFailure(
        "The tool tool refused: The argument 'order_id' is missing.",
        "The argument 'order_id' is missing.",
        "bad_arguments",
    )
    assert not called


async def test_a_tool_error_speaks_to_the_model() -> None:
    async def tool() -> None:
        raise ToolError("That order was cancelled.", code="cancelled")

    assert await outcome_of(tool) == ToolFailure(
        "The tool tool refused: That order was cancelled.", "That order was cancelled.", "cancelled"
    )


async def test_a_tool_error_of_a_plain_function_speaks_to_the_model() -> None:
    def tool() -> None:
        raise ToolError("No \ud83d" + "x" * 10_000)

    outcome = await outcome_of(tool)
    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "tool_error"
    assert outcome.content is not None
    assert outcome.content.startswith("No ?x")
    assert len(outcome.content) == 4096


async def test_one_tool_more_than_may_run_is_refused_at_once(
    tools: Tools, runner: ToolRunner
) -> None:
    released = asyncio.Event()
    started = asyncio.Barrier(3)

    @tools.tool(fallback="Please wait.")
    async def slow() -> None:
        """Wait to be let go."""
        if not released.is_set():
            await started.wait()
            await released.wait()

    running = [asyncio.create_task(runner.run("slow", "{}", CALL)) for _ in range(2)]
    await asyncio.wait_for(started.wait(), LONG_S)
    assert await runner.run("slow", "{}", CALL) == ToolFailure(
        "The tool slow is refused: too many tools are running.", "Please wait.", "busy"
    )
    released.set()
    assert await asyncio.gather(*running) == [ToolResult("done"), ToolResult("done")]
    assert await runner.run("slow", "{}", CALL) == ToolResult("done")


# Failures


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret 1042"),
        StopIteration("secret 1042"),
        SystemExit("secret 1042"),
        concurrent.futures.CancelledError("secret 1042"),
        GeneratorExit("secret 1042"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
async def test_any_exception_is_a_failure_with_the_fallback_text(
    error: BaseException, plain: bool
) -> None:
    def tool() -> None:
        raise error

    async def async_tool() -> None:
        raise error

    with capture_logs() as logs:
        outcome = await outcome_of(tool if plain else async_tool)
    assert isinstance(outcome, ToolFailure)
    assert (outcome.content, outcome.code) == ("Sorry.", "failed")
    assert "1042" not in outcome.error
    assert logs == [
        {
            "event": "tool_failed",
            "tool": "tool",
            "call_id": "c1",
            "exc_info": True,
            "log_level": "error",
        }
    ]


async def test_without_a_fallback_a_failure_has_no_text_for_the_model(
    tools: Tools, runner: ToolRunner
) -> None:
    @tools.tool
    async def broken() -> None:
        """Fail."""
        raise ZeroDivisionError

    assert await runner.run("broken", "{}", CALL) == ToolFailure(
        "The tool broken failed with ZeroDivisionError.", None, "failed"
    )


@pytest.mark.parametrize("plain", [False, True])
async def test_a_tool_that_cancels_itself_has_failed(plain: bool) -> None:
    def tool() -> None:
        raise asyncio.CancelledError

    async def async_tool() -> None:
        raise asyncio.CancelledError

    outcome = await outcome_of(tool if plain else async_tool)
    assert outcome == ToolFailure("The tool tool was cancelled.", "Sorry.", "failed")


# Deadlines


async def test_a_coroutine_that_is_late_is_cancelled(tools: Tools, runner: ToolRunner) -> None:
    cancelled = asyncio.Event()

    @tools.tool(timeout=SHORT_S, fallback="Sorry.")
    async def late() -> None:
        """Never answer."""
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    assert await runner.run("late", "{}", CALL) == ToolFailure(
        "The tool late did not answer within 0.01 s.", "Sorry.", "timeout"
    )
    await asyncio.wait_for(cancelled.wait(), LONG_S)


async def test_a_tool_without_a_deadline_has_that_of_the_runner(tools: Tools) -> None:
    @tools.tool
    async def late() -> None:
        """Never answer."""
        await asyncio.Event().wait()

    runner = ToolRunner(tools, default_timeout_s=SHORT_S)
    outcome = await runner.run("late", "{}", CALL)
    assert isinstance(outcome, ToolFailure)
    assert outcome.code == "timeout"
    await runner.close()


async def test_a_coroutine_that_resists_its_cancellation_keeps_its_place(tools: Tools) -> None:
    released = asyncio.Event()

    @tools.tool(timeout=SHORT_S)
    async def stubborn() -> None:
        """Ignore the deadline."""
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    runner = ToolRunner(tools, default_timeout_s=LONG_S, max_running=2)
    assert code_of(await runner.run("stubborn", "{}", CALL)) == "timeout"
    assert await free_places(tools, runner) == 1
    released.set()
    await until_free(tools, runner, places=2)
    await runner.close()


async def test_a_plain_function_that_is_late_keeps_its_place_until_it_ends(tools: Tools) -> None:
    released = threading.Event()

    @tools.tool(timeout=SHORT_S)
    def late() -> None:
        """Wait to be let go."""
        assert released.wait(LONG_S)

    runner = ToolRunner(tools, default_timeout_s=LONG_S, max_running=2)
    try:
        assert code_of(await runner.run("late", "{}", CALL)) == "timeout"
        assert await free_places(tools, runner) == 1
    finally:
        released.set()
    await until_free(tools, runner, places=2)
    await runner.close()


# Cancellation and the end


async def test_cancelling_a_run_cancels_the_coroutine(tools: Tools, runner: ToolRunner) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    @tools.tool
    async def slow() -> None:
        """Never answer."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    run = asyncio.create_task(runner.run("slow", "{}", CALL))
    await asyncio.wait_for(started.wait(), LONG_S)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await asyncio.wait_for(cancelled.wait(), LONG_S)


async def test_cancelling_a_run_leaves_a_plain_function_to_end_by_itself(tools: Tools) -> None:
    started, released = threading.Event(), threading.Event()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()

    @tools.tool
    def slow() -> None:
        """Wait to be let go."""
        started.set()
        assert released.wait(LONG_S)
        loop.call_soon_threadsafe(ended.set)

    runner = ToolRunner(tools, default_timeout_s=LONG_S, max_running=2)
    run = asyncio.create_task(runner.run("slow", "{}", CALL))
    assert await asyncio.to_thread(started.wait, LONG_S)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await free_places(tools, runner) == 1
    released.set()
    await asyncio.wait_for(ended.wait(), LONG_S)
    await until_free(tools, runner, places=2)
    await runner.close()


async def test_closing_cancels_what_runs_and_answers_for_it(
    tools: Tools, runner: ToolRunner
) -> None:
    started = asyncio.Event()
    cleaned_up = False

    @tools.tool
    async def slow() -> None:
        """Never answer."""
        nonlocal cleaned_up
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(started.is_set)  # the clean-up takes a while
            cleaned_up = True

    run = asyncio.create_task(runner.run("slow", "{}", CALL))
    await asyncio.wait_for(started.wait(), LONG_S)
    await runner.close()
    assert cleaned_up
    assert await run == ToolFailure("The tool slow was cancelled.", None, "failed")


async def test_closing_does_not_wait_for_ever(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner_module, "CLOSE_TIMEOUT_S", SHORT_S)
    released = asyncio.Event()

    @tools.tool(timeout=SHORT_S)
    async def stubborn() -> None:
        """Ignore every cancellation."""
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    runner = ToolRunner(tools, default_timeout_s=LONG_S)
    assert code_of(await runner.run("stubborn", "{}", CALL)) == "timeout"
    await runner.close()
    released.set()
    await runner.close()


async def test_closing_leaves_no_task_behind(tools: Tools, runner: ToolRunner) -> None:
    before = asyncio.all_tasks()
    released = threading.Event()

    @tools.tool(timeout=SHORT_S)
    def late() -> None:
        """Wait to be let go."""
        assert released.wait(LONG_S)

    try:
        assert code_of(await runner.run("late", "{}", CALL)) == "timeout"
        await runner.close()
        assert asyncio.all_tasks() == before
    finally:
        released.set()


async def test_a_plain_function_that_never_ends_does_not_keep_the_process() -> None:
    program = """
import asyncio, threading
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner

tools = Tools()
tools.tool(name="stuck", description="Hang.", timeout=0.01)(lambda: threading.Event().wait())

async def main():
    runner = ToolRunner(tools, default_timeout_s=1)
    print((await runner.run("stuck", "{}", ToolContext(call_id="c", chat_id="e"))).code)
    await runner.close()

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), LONG_S)
    assert (process.returncode, output) == (0, b"timeout\n")


async def test_ctrl_c_is_not_taken_for_a_failure_of_a_tool() -> None:
    def main() -> None:
        async def tool() -> None:
            raise KeyboardInterrupt

        asyncio.run(_run_without_closing(tool))

    thread_error = await asyncio.to_thread(_error_of, main)
    assert isinstance(thread_error, KeyboardInterrupt)


# Anything at all

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    name=st.sampled_from(["echo", "strange"]) | st.text(),
    arguments=st.text() | json_values.map(lambda value: json.dumps({"thing": value})),
)
async def test_whatever_the_model_writes_has_one_outcome(name: str, arguments: str) -> None:
    tools = Tools()

    @tools.tool
    async def echo(thing: Any) -> Any:
        """Give back what is given."""
        return thing

    runner = ToolRunner(tools, default_timeout_s=LONG_S)
    outcome = await runner.run(name, arguments, CALL)
    assert isinstance(outcome, ToolResult | ToolFailure)
    if isinstance(outcome, ToolFailure):
        assert outcome.code in ("unknown_tool", "bad_arguments")
        assert outcome.content
    await runner.close()


# Doing


def code_of(outcome: ToolOutcome) -> str:
    return outcome.code if isinstance(outcome, ToolFailure) else "ok"


async def free_places(tools: Tools, runner: ToolRunner) -> int:
    """Count the places of a runner of two by asking for both at once."""
    if tools.get("visitor") is None:
        tools.tool(name="visitor", description="Look in.")(_visit)
    runs = [runner.run("visitor", "{}", CALL) for _ in range(2)]
    return [code_of(outcome) for outcome in await asyncio.gather(*runs)].count("ok")


async def _visit() -> None:
    await asyncio.to_thread(str)  # stays long enough for the loop to notice what has ended


async def until_free(tools: Tools, runner: ToolRunner, *, places: int) -> None:
    async with asyncio.timeout(LONG_S):
        while await free_places(tools, runner) != places:
            pass


async def _run_without_closing(function: Callable[..., object]) -> None:
    tools = Tools()
    tools.tool(name="tool", description="Do it.")(function)
    await ToolRunner(tools, default_timeout_s=LONG_S).run("tool", "{}", CALL)


def _error_of(function: Callable[[], None]) -> BaseException | None:
    try:
        function()
    except BaseException as error:  # noqa: BLE001  that is what is asked for
        return error
    return None
