import asyncio
import concurrent.futures
import functools
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from evibridge.errors import ToolError, ToolUnavailable
from evibridge.tools_registry import runner as runner_module
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.loop_guard import Guarded
from evibridge.tools_registry.outcome import (
    ToolFailure,
    ToolOutcome,
    ToolResult,
)
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner
from tests.tools_registry.nobody import NOBODY, NobodyWaits

CALL = ToolContext(call_id="c1", chat_id="e1", caller="+4930111")
LONG_S = 30.0
SHORT_S = 0.01
"""Deadline of a tool that does not answer by itself."""


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
        return await runner.run("tool", arguments, CALL, NOBODY)
    finally:
        await runner.close()


def either_kind(function: Callable[[], object], *, plain: bool) -> Callable[[], object]:
    """The same as a plain function or a coroutine function."""

    async def coroutine_function() -> object:
        return function()

    return function if plain else coroutine_function


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

    runs = [runner.run(name, "{}", CALL, NOBODY) for name in ("slow", "quick")]
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

    assert await runner.run("put", '{"thing": "tea"}', CALL, NOBODY) == ToolResult("done")
    assert await runner.run("take", "{}", CALL, NOBODY) == ToolResult("tea")


async def test_context_variables_reach_both_kinds_of_function() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    variable.set("seen")

    async def asynchronous() -> str:
        return variable.get()

    def plain() -> str:
        return variable.get()

    assert await outcome_of(asynchronous) == ToolResult("seen")
    assert await outcome_of(plain) == ToolResult("seen")


@pytest.mark.parametrize("plain", [False, True])
async def test_what_a_tool_returns_becomes_text(plain: bool) -> None:
    def tool() -> object:
        return {"due": date(2025, 1, 2)}

    assert await outcome_of(either_kind(tool, plain=plain)) == ToolResult('{"due":"2025-01-02"}')


@pytest.mark.parametrize("plain", [False, True])
async def test_what_cannot_be_text_is_a_failure(plain: bool) -> None:
    def tool() -> object:
        return object()

    outcome = await outcome_of(either_kind(tool, plain=plain))
    assert (code_of(outcome), outcome.content) == ("bad_result", "Sorry.")


@pytest.mark.parametrize("plain", [False, True])
async def test_a_result_of_megabytes_is_a_failure(plain: bool) -> None:
    def tool() -> object:
        return ["x" * 10] * 1_000_000

    assert code_of(await outcome_of(either_kind(tool, plain=plain))) == "result_too_large"


async def test_the_result_of_a_plain_function_is_written_in_its_thread() -> None:
    def tool() -> object:
        # Makes its parts only when it is written, as the rows of a database may.
        return (threading.current_thread() is here for here in [threading.current_thread()])

    assert await outcome_of(tool) == ToolResult("[true]")


# Refusals


async def test_an_unknown_tool_is_refused(runner: ToolRunner) -> None:
    sentence = "There is no tool named 'nothing'."
    assert await runner.run("nothing", "{}", CALL, NOBODY) == ToolFailure(
        sentence, sentence, "unknown_tool"
    )


async def test_an_unknown_name_is_not_repeated_at_length(runner: ToolRunner) -> None:
    outcome = await runner.run("x" * 10_000, "{}", CALL, NOBODY)
    assert isinstance(outcome, ToolFailure)
    assert len(outcome.error) < 150


async def test_bad_arguments_are_refused_before_the_function_is_called() -> None:
    called = False

    async def tool(order_id: str) -> str:
        nonlocal called
        called = True
        return order_id

    assert await outcome_of(tool, "{}") == ToolFailure(
        "The tool tool refused.",
        "The argument 'order_id' is missing.",
        "bad_arguments",
    )
    assert not called


async def test_a_tool_error_speaks_to_the_model() -> None:
    async def tool() -> None:
        raise ToolError("That order was cancelled.", code="cancelled")

    assert await outcome_of(tool) == ToolFailure(
        "The tool tool refused.", "That order was cancelled.", "cancelled"
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


class HalfMade(ToolError):
    """Leaves out what `ToolError` sets up."""

    def __init__(self) -> None:
        pass


class Speechless(ToolError):
    """Has no words."""

    def __str__(self) -> str:
        raise ZeroDivisionError


class Mute(ToolUnavailable):
    """Has no words."""

    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("error", [HalfMade(), Speechless("No."), Mute("is away")])
@pytest.mark.parametrize("plain", [False, True])
async def test_a_refusal_that_is_broken_itself_is_a_failure(error: Exception, plain: bool) -> None:
    def tool() -> None:
        raise error

    with capture_logs() as logs:
        outcome = await outcome_of(either_kind(tool, plain=plain))
    assert (code_of(outcome), outcome.content) == ("failed", "Sorry.")
    assert [entry["event"] for entry in logs] == ["tool_failed"]


@pytest.mark.parametrize("plain", [False, True])
async def test_a_tool_that_is_unavailable_gives_its_fallback(plain: bool) -> None:
    def tool() -> None:
        raise ToolUnavailable("has lost its shop")

    with capture_logs() as logs:
        outcome = await outcome_of(either_kind(tool, plain=plain))
    assert outcome == ToolFailure("The tool tool has lost its shop.", "Sorry.", "unavailable")
    assert logs == []


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

    running = [asyncio.create_task(runner.run("slow", "{}", CALL, NOBODY)) for _ in range(2)]
    await asyncio.wait_for(started.wait(), LONG_S)
    assert await runner.run("slow", "{}", CALL, NOBODY) == ToolFailure(
        "The tool slow is refused: too many tools are running.", "Please wait.", "busy"
    )
    released.set()
    assert await asyncio.gather(*running) == [ToolResult("done"), ToolResult("done")]
    assert await runner.run("slow", "{}", CALL, NOBODY) == ToolResult("done")


# Failures


class Odd(BaseException):
    """Something that is no `Exception`."""


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret 1042"),
        StopIteration("secret 1042"),
        SystemExit("secret 1042"),
        concurrent.futures.CancelledError("secret 1042"),
        GeneratorExit("secret 1042"),
        Odd("secret 1042"),
    ],
)
@pytest.mark.parametrize("plain", [False, True])
async def test_any_exception_is_a_failure_with_the_fallback_text(
    error: BaseException, plain: bool
) -> None:
    def tool() -> None:
        raise error

    with capture_logs() as logs:
        outcome = await outcome_of(either_kind(tool, plain=plain))
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

    assert await runner.run("broken", "{}", CALL, NOBODY) == ToolFailure(
        "The tool broken failed with ZeroDivisionError.", None, "failed"
    )


async def test_a_plain_function_without_a_thread_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert code_of(await outcome_of(lambda: "never")) == "failed"


async def test_a_wrapper_of_a_coroutine_function_that_returns_no_coroutine_is_a_failure() -> None:
    async def tool() -> str:
        return "never"

    @functools.wraps(tool)
    def wrapper() -> str:
        return "at once"

    outcome = await outcome_of(wrapper)
    assert isinstance(outcome, ToolFailure)
    assert outcome.error == "The tool tool failed with TypeError."


@pytest.mark.parametrize("plain", [False, True])
async def test_a_tool_that_cancels_itself_has_failed(plain: bool) -> None:
    def tool() -> None:
        raise asyncio.CancelledError

    outcome = await outcome_of(either_kind(tool, plain=plain))
    assert outcome == ToolFailure("The tool tool was cancelled.", "Sorry.", "failed")


# The event loop


class Clock:
    """Time passes only when somebody says so."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """By which the steps of coroutines are timed."""
    clock = Clock()
    monkeypatch.setattr(runner_module, "Guarded", functools.partial(Guarded, clock=clock))
    return clock


BLOCKED_FOR_2_S = {
    "event": "tool_blocks_event_loop",
    "tool": "tool",
    "blocked_ms": 2000,
    "advice": "all calls stand still meanwhile: make it a plain function (def), or await",
    "log_level": "warning",
}


async def test_a_coroutine_that_blocks_the_event_loop_is_named_in_the_log(clock: Clock) -> None:
    async def tool() -> str:
        await asyncio.sleep(0)
        clock.now_s += 2
        return "answer"

    with capture_logs() as logs:
        assert await outcome_of(tool) == ToolResult("answer")
    assert logs == [BLOCKED_FOR_2_S]


async def test_a_coroutine_whose_result_takes_long_to_write_is_named_in_the_log(
    clock: Clock,
) -> None:
    def parts() -> Iterator[int]:
        clock.now_s += 2
        yield 1

    async def tool() -> object:
        return parts()

    with capture_logs() as logs:
        assert await outcome_of(tool) == ToolResult("[1]")
    assert logs == [BLOCKED_FOR_2_S]


async def test_what_does_not_block_the_event_loop_is_not_named_in_the_log(clock: Clock) -> None:
    def plain() -> str:
        clock.now_s += 2
        return "answer"

    async def patient() -> str:
        asyncio.get_running_loop().call_soon(plain)
        await asyncio.sleep(0)
        return "answer"

    with capture_logs() as logs:
        assert await outcome_of(plain) == ToolResult("answer")
        assert await outcome_of(patient) == ToolResult("answer")
    assert logs == []


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

    assert await runner.run("late", "{}", CALL, NOBODY) == ToolFailure(
        "The tool late did not answer within 0.01 s.", "Sorry.", "timeout"
    )
    await asyncio.wait_for(cancelled.wait(), LONG_S)


async def test_a_tool_without_a_deadline_has_that_of_the_runner(tools: Tools) -> None:
    @tools.tool
    async def late() -> None:
        """Never answer."""
        await asyncio.Event().wait()

    runner = ToolRunner(tools, default_timeout_s=SHORT_S)
    outcome = await runner.run("late", "{}", CALL, NOBODY)
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
    assert code_of(await runner.run("stubborn", "{}", CALL, NOBODY)) == "timeout"
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
        assert code_of(await runner.run("late", "{}", CALL, NOBODY)) == "timeout"
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

    run = asyncio.create_task(runner.run("slow", "{}", CALL, NOBODY))
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
    run = asyncio.create_task(runner.run("slow", "{}", CALL, NOBODY))
    assert await asyncio.to_thread(started.wait, LONG_S)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await free_places(tools, runner) == 1
    released.set()
    await asyncio.wait_for(ended.wait(), LONG_S)
    await until_free(tools, runner, places=2)
    await runner.close()


class AnsweredEarly(NobodyWaits):
    """The call of a tool that goes on after its answer."""

    def __init__(self) -> None:
        self.was_answered = asyncio.Event()

    def answer_early(self, answer: ToolResult, *, result_follows: bool) -> None:
        del answer, result_follows
        self.was_answered.set()


@pytest.mark.parametrize("is_given_up", [False, True])
async def test_a_plain_function_goes_on_after_an_early_answer(
    tools: Tools, runner: ToolRunner, is_given_up: bool
) -> None:
    released, ended = threading.Event(), threading.Event()

    @tools.tool(background=True)
    def slow() -> str:
        """Wait to be let go."""
        assert released.wait(LONG_S)
        ended.set()
        return "late"

    progress = AnsweredEarly()
    run = asyncio.create_task(runner.run("slow", "{}", CALL, progress))
    try:
        async with asyncio.timeout(LONG_S):
            await progress.was_answered.wait()
        if is_given_up:
            run.cancel()
            with pytest.raises(asyncio.CancelledError):
                await run
        assert await free_places(tools, runner) == 1
    finally:
        released.set()
    assert await asyncio.to_thread(ended.wait, LONG_S)
    if not is_given_up:
        assert await run == ToolResult("late")
    await until_free(tools, runner, places=2)


async def test_closing_ends_the_wait_for_a_plain_function_that_goes_on(tools: Tools) -> None:
    before = asyncio.all_tasks()
    released = threading.Event()

    @tools.tool(background=True)
    def stuck() -> None:
        """Wait to be let go."""
        assert released.wait(LONG_S)

    runner = ToolRunner(tools, default_timeout_s=LONG_S)
    progress = AnsweredEarly()
    run = asyncio.create_task(runner.run("stuck", "{}", CALL, progress))
    try:
        async with asyncio.timeout(LONG_S):
            await progress.was_answered.wait()
            await runner.close()
            assert await run == ToolFailure("The tool stuck was cancelled.", None, "failed")
        assert asyncio.all_tasks() == before
    finally:
        released.set()


async def test_closing_leaves_no_task_behind(tools: Tools, runner: ToolRunner) -> None:
    before = asyncio.all_tasks()
    released = threading.Event()

    @tools.tool(timeout=SHORT_S)
    def late() -> None:
        """Wait to be let go."""
        assert released.wait(LONG_S)

    try:
        assert code_of(await runner.run("late", "{}", CALL, NOBODY)) == "timeout"
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
from tests.tools_registry.nobody import NOBODY

tools = Tools()
tools.tool(name="stuck", description="Hang.", timeout=0.01)(lambda: threading.Event().wait())

async def main():
    runner = ToolRunner(tools, default_timeout_s=1)
    call = ToolContext(call_id="c", chat_id="e")
    print((await runner.run("stuck", "{}", call, NOBODY)).code)
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
    outcome = await runner.run(name, arguments, CALL, NOBODY)
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
    runs = [runner.run("visitor", "{}", CALL, NOBODY) for _ in range(2)]
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
    await ToolRunner(tools, default_timeout_s=LONG_S).run("tool", "{}", CALL, NOBODY)


def _error_of(function: Callable[[], None]) -> BaseException | None:
    try:
        function()
    except BaseException as error:  # noqa: BLE001  that is what is asked for
        return error
    return None
