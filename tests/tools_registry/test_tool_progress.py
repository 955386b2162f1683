"""What a call is told while a tool runs for it, on a clock of its own."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import orjson
import pytest
from structlog.testing import capture_logs

from evibridge.errors import ToolError
from evibridge.tools_registry.conduct import HOLDING_AFTER_S
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.outcome import ToolFailure, ToolOutcome, ToolResult
from evibridge.tools_registry.progress import Verdict
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import (
    APPROVAL_TIMEOUT_S,
    BACKGROUND_TIMEOUT_S,
    CLOSE_TIMEOUT_S,
    MAX_RUNNING_PER_CALL,
    ToolRunner,
)
from tests.tools_registry.nobody import NOBODY
from tests.virtual_clock import VirtualClockLoop, run_in_virtual_time

T = TypeVar("T")

CALL = ToolContext(call_id="c1", chat_id="e1")
OTHER_CALL = ToolContext(call_id="c2", chat_id="e2")
DEADLINE_S = 50.0
WAIT = "One moment, please."
STARTED = "Started. The result is not known yet; you will be told later."
DONE = "Done. Say nothing about it and go on with the conversation."
CANCELLED = ToolFailure("The tool tool was cancelled.", "Sorry.", "failed")
NOT_APPROVED = "Nobody was there to approve of this. It has not been done."

Options = dict[str, Any]

APPROVED: Options = {"requires_approval": True, "holding": WAIT}
WHEN_DONE: Options = {}
IN_BACKGROUND: Options = {"background": True}
SILENTLY: Options = {"silent": True}


class WaitingCall:
    """The call that waits for a tool: keeps what it is told, and when.

    Args:
        verdict: of the operator; None if nobody is there
        after_s: how long the operator takes
    """

    def __init__(self, verdict: Verdict | None = None, after_s: float = 0.0) -> None:
        self._verdict = verdict
        self._after_s = after_s
        self.held: list[tuple[float, str]] = []
        self.asked: list[tuple[float, float]] = []
        self.given_up: list[float] = []
        self.answers: list[tuple[float, str, bool]] = []

    def hold(self, sentence: str) -> None:
        self.held.append((now_s(), sentence))

    async def verdict(self, timeout_s: float) -> Verdict:
        self.asked.append((now_s(), timeout_s))
        try:
            await asyncio.sleep(self._after_s)
            return self._verdict or await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.given_up.append(now_s())
            raise

    def answer_early(self, answer: ToolResult, *, result_follows: bool) -> None:
        self.answers.append((now_s(), answer.content, result_follows))


class BrokenCall(WaitingCall):
    """Cannot be told of one thing."""

    def __init__(self, broken: str) -> None:
        super().__init__(Verdict(is_approved=True))
        setattr(self, broken, self._fail)

    def _fail(self, *_: object, **__: object) -> None:
        raise LookupError


class Tool:
    """A coroutine function that takes its time, and keeps what becomes of it.

    Args:
        takes_s: until it answers
        cleans_up_s: how long it takes to end when it is cancelled
        resists: whether it does not end then
    """

    def __init__(
        self, takes_s: float = 0.0, cleans_up_s: float = 0.0, *, resists: bool = False
    ) -> None:
        self._takes_s = takes_s
        self._cleans_up_s = cleans_up_s
        self._resists = resists
        self.began: list[float] = []
        self.ended: list[float] = []
        self.cancelled: list[float] = []
        self.cleaned_up: list[float] = []

    async def run(self) -> str:
        self.began.append(now_s())
        try:
            await asyncio.sleep(self._takes_s)
        except asyncio.CancelledError:
            self.cancelled.append(now_s())
            if self._resists:
                return await self.run()
            await asyncio.sleep(self._cleans_up_s)
            self.cleaned_up.append(now_s())
            raise
        self.ended.append(now_s())
        return "answer"


async def answer_when_cancelled() -> str:
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        return "answer"
    return "never"


def now_s() -> float:
    return asyncio.get_running_loop().time()


def in_virtual_time(main: Coroutine[Any, Any, T]) -> T:
    """Run to the end; no task is left behind, and the loop has nothing to complain of."""

    async def watched() -> T:
        complaints: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
        value = await main
        gc.collect()
        assert complaints == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return value

    return run_in_virtual_time(watched())


def runner_of(function: Callable[..., object], **options: Any) -> ToolRunner:
    tools = Tools()
    tools.tool(name="tool", description="Do it.", fallback="Sorry.", **options)(function)
    return ToolRunner(tools, default_timeout_s=DEADLINE_S)


def outcome_of(
    tool: Tool | Callable[..., Awaitable[object]],
    call: WaitingCall | None = None,
    arguments: str = "{}",
    **options: Any,
) -> tuple[ToolOutcome, float]:
    """Run a tool to its end: its outcome, and after how many seconds there was one."""

    async def main() -> tuple[ToolOutcome, float]:
        runner = runner_of(tool.run if isinstance(tool, Tool) else tool, **options)
        outcome = await runner.run("tool", arguments, CALL, call or NOBODY)
        ended_s = now_s()
        await asyncio.sleep(1000)  # what comes after the end would be seen
        await runner.close()
        return outcome, ended_s

    return in_virtual_time(main())


async def start(
    runner: ToolRunner, call: WaitingCall | None = None, context: ToolContext = CALL
) -> asyncio.Task[ToolOutcome]:
    """Start a tool, and let it get as far as it does at once."""
    task = asyncio.create_task(runner.run("tool", "{}", context, call or NOBODY))
    await asyncio.sleep(0.001)
    return task


async def cancel(task: asyncio.Task[ToolOutcome]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def seconds(*values: float) -> Any:
    return pytest.approx(list(values), abs=0.01)


# Approval


def test_a_tool_runs_when_an_operator_has_approved() -> None:
    tool, call = Tool(takes_s=1), WaitingCall(Verdict(is_approved=True), after_s=3)
    assert outcome_of(tool, call, **APPROVED) == (ToolResult("answer"), 4)
    assert call.held == [(0, WAIT)]
    assert call.asked == [(0, APPROVAL_TIMEOUT_S)]
    assert tool.began == [3]
    assert call.answers == []


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("", "A person has declined this. It has not been done."),
        (
            "It is sold out.",
            "A person has declined this. It has not been done. The reason: It is sold out.",
        ),
    ],
)
def test_a_tool_that_was_declined_does_not_run(reason: str, text: str) -> None:
    tool, call = Tool(), WaitingCall(Verdict(is_approved=False, reason=reason), after_s=3)
    refused = ToolFailure("The tool tool refused.", text, "declined")
    assert outcome_of(tool, call, **APPROVED) == (refused, 3)
    assert tool.began == []
    assert call.held == [(0, WAIT)]


def test_the_reason_of_an_operator_can_be_sent_and_is_bounded() -> None:
    call = WaitingCall(Verdict(is_approved=False, reason="\ud83d" + "x" * 10_000))
    outcome, _ = outcome_of(Tool(), call, **APPROVED)
    assert outcome.content is not None
    orjson.dumps(outcome.content)
    assert "The reason: ?xxx" in outcome.content
    assert len(outcome.content) == 4096


@pytest.mark.parametrize(("own_s", "waited_s"), [(None, APPROVAL_TIMEOUT_S), (7.0, 7.0)])
def test_a_tool_does_not_run_when_nobody_is_there_to_approve(
    own_s: float | None, waited_s: float
) -> None:
    tool, call = Tool(), WaitingCall()
    outcome, ended_s = outcome_of(tool, call, timeout=own_s, **APPROVED)
    assert outcome == ToolFailure("The tool tool refused.", NOT_APPROVED, "not_approved")
    assert ended_s == pytest.approx(waited_s)
    assert call.asked == [(0, waited_s)]
    assert call.given_up == seconds(waited_s)
    assert tool.began == []


def test_a_verdict_after_the_deadline_comes_too_late() -> None:
    tool, call = Tool(), WaitingCall(Verdict(is_approved=True), after_s=21)
    outcome, _ = outcome_of(tool, call, **APPROVED)
    assert code_of(outcome) == "not_approved"
    assert tool.began == []


def test_the_deadline_of_the_function_begins_with_its_approval() -> None:
    call = WaitingCall(Verdict(is_approved=True), after_s=9)
    assert outcome_of(Tool(takes_s=9), call, timeout=10, **APPROVED) == (ToolResult("answer"), 18)
    late, ended_s = outcome_of(Tool(takes_s=11), call, timeout=10, **APPROVED)
    assert code_of(late) == "timeout"
    assert ended_s == pytest.approx(19)


def test_nobody_is_asked_about_arguments_that_are_refused() -> None:
    async def tool(count: int) -> int:
        return count

    call = WaitingCall(Verdict(is_approved=True))
    for options in (APPROVED, APPROVED | IN_BACKGROUND):
        outcome, _ = outcome_of(tool, call, '{"count": "many"}', **options)
        assert code_of(outcome) == "bad_arguments"
    assert (call.held, call.asked, call.answers) == ([], [], [])


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND, SILENTLY])
def test_a_tool_that_is_cancelled_while_it_waits_for_approval_never_runs(
    options: Options,
) -> None:
    tool, call = Tool(), WaitingCall(Verdict(is_approved=True), after_s=3)

    async def main() -> None:
        runner = runner_of(tool.run, **APPROVED, **options)
        await cancel(await start(runner, call))
        await asyncio.sleep(0.001)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(1000)
        await runner.close()

    in_virtual_time(main())
    assert tool.began == []
    assert call.given_up == seconds(0)
    assert call.answers == []


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND])
def test_a_plain_function_that_is_cancelled_while_it_waits_for_approval_never_runs(
    options: Options,
) -> None:
    began: list[str] = []

    def tool() -> None:
        began.append("in a thread")

    async def main() -> None:
        runner = runner_of(tool, **APPROVED, **options)
        await cancel(await start(runner, WaitingCall(Verdict(is_approved=True), after_s=3)))
        await asyncio.sleep(0.001)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    in_virtual_time(main())
    assert began == []


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND, SILENTLY])
def test_an_approval_right_after_the_cancellation_comes_too_late(options: Options) -> None:
    tool = Tool()

    async def main() -> None:
        given: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

        class Operator(WaitingCall):
            async def verdict(self, timeout_s: float) -> Verdict:
                del timeout_s
                return await given

        runner = runner_of(tool.run, **APPROVED, **options)
        run = await start(runner, Operator())
        run.cancel()
        given.set_result(Verdict(is_approved=True))
        with pytest.raises(asyncio.CancelledError):
            await run
        await asyncio.sleep(1000)

    in_virtual_time(main())
    assert tool.began == []


@pytest.mark.parametrize("broken", ["hold", "verdict"])
def test_a_call_that_cannot_ask_is_a_failure_of_the_tool(broken: str) -> None:
    tool = Tool()
    with capture_logs() as logs:
        outcome, _ = outcome_of(tool, BrokenCall(broken), **APPROVED)
    assert outcome == ToolFailure("The tool tool failed with LookupError.", "Sorry.", "failed")
    assert [entry["event"] for entry in logs] == ["tool_failed"]
    assert tool.began == []


def test_who_tries_a_tool_by_hand_approves_of_it() -> None:
    assert outcome_of(Tool(takes_s=1), **APPROVED) == (ToolResult("answer"), 1)
    assert outcome_of(Tool(takes_s=5), holding=WAIT) == (ToolResult("answer"), 5)
    assert outcome_of(Tool(takes_s=1), background=True) == (ToolResult("answer"), 1)


# Holding


@pytest.mark.parametrize(("own_s", "after_s"), [(None, HOLDING_AFTER_S), (4.5, 4.5)])
def test_a_caller_who_waits_for_a_slow_tool_is_told_so_once(
    own_s: float | None, after_s: float
) -> None:
    call, options = WaitingCall(), Options(holding=WAIT, holding_after_s=own_s)
    assert outcome_of(Tool(takes_s=30), call, **options) == (ToolResult("answer"), 30)
    assert call.held == [(after_s, WAIT)]
    assert (call.asked, call.answers) == ([], [])


@pytest.mark.parametrize("takes_s", [0, 1.9])
def test_a_caller_who_hardly_waits_is_told_nothing(takes_s: float) -> None:
    call = WaitingCall()
    assert outcome_of(Tool(takes_s), call, holding=WAIT) == (ToolResult("answer"), takes_s)
    assert call.held == []


def test_a_slow_tool_without_a_holding_sentence_holds_nobody() -> None:
    call = WaitingCall()
    outcome_of(Tool(takes_s=30), call)
    assert call.held == []


def test_a_caller_is_told_nothing_after_the_deadline() -> None:
    call = WaitingCall()
    outcome, _ = outcome_of(Tool(takes_s=30), call, timeout=1.5, holding=WAIT)
    assert code_of(outcome) == "timeout"
    assert call.held == []


def test_a_caller_who_waited_for_approval_is_not_told_again() -> None:
    call = WaitingCall(Verdict(is_approved=True), after_s=5)
    assert outcome_of(Tool(takes_s=30), call, **APPROVED) == (ToolResult("answer"), 35)
    assert call.held == [(0, WAIT)]


def test_a_caller_is_told_nothing_after_a_refusal() -> None:
    async def refuse() -> None:
        raise ToolError("No.")

    call = WaitingCall()
    for arguments in ("{}", "[]"):
        outcome_of(refuse, call, arguments, holding=WAIT)
    assert call.held == []


def test_nobody_is_told_to_wait_for_a_tool_that_was_cancelled() -> None:
    tool, call = Tool(takes_s=30, cleans_up_s=10), WaitingCall()

    async def main() -> None:
        runner = runner_of(tool.run, holding=WAIT)
        await cancel(await start(runner, call))
        await asyncio.sleep(1000)

    in_virtual_time(main())
    assert call.held == []
    assert tool.cleaned_up == seconds(10)


def test_a_tool_that_is_done_when_a_blocked_loop_goes_on_holds_nobody() -> None:
    async def block() -> str:
        await asyncio.sleep(1)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualClockLoop)
        loop._instant.now_s += 10
        return "answer"

    call = WaitingCall()
    assert outcome_of(block, call, holding=WAIT) == (ToolResult("answer"), 11)
    assert call.held == []


def test_a_call_that_cannot_hold_gets_the_answer_nevertheless() -> None:
    async def main() -> ToolOutcome:
        complaints: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, complaint: complaints.append(complaint))
        outcome = await runner_of(Tool(takes_s=5).run, holding=WAIT).run(
            "tool", "{}", CALL, BrokenCall("hold")
        )
        assert [type(complaint["exception"]) for complaint in complaints] == [LookupError]
        return outcome

    assert run_in_virtual_time(main()) == ToolResult("answer")


# Early answers


@pytest.mark.parametrize(
    ("options", "told", "result_follows"), [(IN_BACKGROUND, STARTED, True), (SILENTLY, DONE, False)]
)
def test_a_tool_may_be_answered_at_once_and_its_outcome_follows(
    options: Options, told: str, result_follows: bool
) -> None:
    call = WaitingCall()
    assert outcome_of(Tool(takes_s=5), call, **options) == (ToolResult("answer"), 5)
    assert call.answers == [(0, told, result_follows)]
    assert (call.held, call.asked) == ([], [])


def test_a_tool_that_waits_for_approval_is_answered_when_it_has_it() -> None:
    call, options = WaitingCall(Verdict(is_approved=True), after_s=3), APPROVED | IN_BACKGROUND
    assert outcome_of(Tool(takes_s=5), call, **options) == (ToolResult("answer"), 8)
    assert call.answers == [(3, STARTED, True)]


@pytest.mark.parametrize("options", [IN_BACKGROUND, SILENTLY])
@pytest.mark.parametrize("verdict", [None, Verdict(is_approved=False)])
def test_a_refusal_is_the_only_answer(options: Options, verdict: Verdict | None) -> None:
    call = WaitingCall(verdict)
    outcome, _ = outcome_of(Tool(), call, **options, **APPROVED)
    assert code_of(outcome) == ("declined" if verdict else "not_approved")
    assert call.answers == []


def test_a_late_failure_is_the_outcome() -> None:
    async def refuse() -> None:
        await asyncio.sleep(5)
        raise ToolError("It is sold out.", code="sold_out")

    call = WaitingCall()
    outcome, ended_s = outcome_of(refuse, call, background=True)
    assert (code_of(outcome), outcome.content, ended_s) == ("sold_out", "It is sold out.", 5)
    assert len(call.answers) == 1


@pytest.mark.parametrize("options", [IN_BACKGROUND, SILENTLY])
@pytest.mark.parametrize(("own_s", "deadline_s"), [(None, BACKGROUND_TIMEOUT_S), (200.0, 200.0)])
def test_a_tool_that_nobody_waits_for_has_a_longer_deadline(
    options: Options, own_s: float | None, deadline_s: float
) -> None:
    tool = Tool(takes_s=1000)
    outcome, ended_s = outcome_of(tool, WaitingCall(), timeout=own_s, **options)
    words = f"The tool tool did not answer within {deadline_s:g} s."
    assert outcome == ToolFailure(words, "Sorry.", "timeout")
    assert ended_s == pytest.approx(deadline_s)
    assert tool.cancelled == seconds(deadline_s)


@pytest.mark.parametrize("options", [IN_BACKGROUND, SILENTLY])
def test_a_tool_goes_on_when_its_call_ends_after_the_early_answer(options: Options) -> None:
    tool, call = Tool(takes_s=30), WaitingCall()

    async def main() -> None:
        runner = runner_of(tool.run, **options)
        await cancel(await start(runner, call))
        assert call.answers != []
        await asyncio.sleep(100)

    in_virtual_time(main())
    assert tool.ended == seconds(30)


def test_a_tool_that_goes_on_without_its_call_keeps_its_deadline() -> None:
    tool = Tool(takes_s=1000)

    async def main() -> None:
        runner = runner_of(tool.run, background=True)
        await cancel(await start(runner, WaitingCall()))
        await asyncio.sleep(BACKGROUND_TIMEOUT_S + 1)

    in_virtual_time(main())
    assert tool.cancelled == seconds(BACKGROUND_TIMEOUT_S)


@pytest.mark.parametrize("options", [IN_BACKGROUND, SILENTLY])
def test_a_tool_whose_call_takes_no_early_answer_does_not_run(options: Options) -> None:
    tool = Tool()
    with capture_logs() as logs:
        outcome, _ = outcome_of(tool, BrokenCall("answer_early"), **options)
    assert code_of(outcome) == "failed"
    assert tool.began == []
    assert [entry["event"] for entry in logs] == ["tool_failed"]


def test_a_tool_with_bad_luck_after_its_call_has_ended_bothers_nobody() -> None:
    async def fail() -> None:
        await asyncio.sleep(5)
        raise SystemExit

    async def main() -> None:
        runner = runner_of(fail, background=True)
        await cancel(await start(runner, WaitingCall()))
        await asyncio.sleep(10)

    with capture_logs() as logs:
        in_virtual_time(main())
    assert [entry["event"] for entry in logs] == ["tool_failed"]


# How many


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND])
def test_one_call_may_have_so_many_tools_and_no_more(options: Options) -> None:
    tool = Tool(takes_s=10)

    async def main() -> None:
        runner = runner_of(tool.run, **options)
        call = WaitingCall()
        runs = [await start(runner, call) for _ in range(MAX_RUNNING_PER_CALL)]
        assert await runner.run("tool", "{}", CALL, call) == ToolFailure(
            "The tool tool is refused: too many tools are running.", "Sorry.", "busy"
        )
        assert len(call.answers) == (MAX_RUNNING_PER_CALL if options else 0)
        other = await start(runner, WaitingCall(), OTHER_CALL)
        assert await asyncio.gather(*runs, other) == [ToolResult("answer")] * 9
        assert await runner.run("tool", "{}", CALL, NOBODY) == ToolResult("answer")

    in_virtual_time(main())


def test_a_tool_that_waits_for_approval_has_a_place() -> None:
    async def main() -> None:
        runner = runner_of(Tool().run, **APPROVED)
        waiting = [await start(runner, WaitingCall()) for _ in range(MAX_RUNNING_PER_CALL)]
        call = WaitingCall()
        assert code_of(await runner.run("tool", "{}", CALL, call)) == "busy"
        assert call.asked == []
        outcomes = await asyncio.gather(*waiting)
        assert {code_of(outcome) for outcome in outcomes} == {"not_approved"}

    in_virtual_time(main())


# The end


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND, SILENTLY])
def test_closing_ends_all_tools_and_answers_for_them(options: Options) -> None:
    tool = Tool(takes_s=30, cleans_up_s=CLOSE_TIMEOUT_S / 2)

    async def main() -> None:
        runner = runner_of(tool.run, **options)
        run = await start(runner, WaitingCall())
        await runner.close()
        assert asyncio.all_tasks() <= {run, asyncio.current_task()}
        assert await run == CANCELLED

    in_virtual_time(main())
    assert tool.cancelled == seconds(0)
    assert tool.cleaned_up == seconds(CLOSE_TIMEOUT_S / 2)


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND])
def test_closing_before_a_tool_has_begun_answers_for_it(options: Options) -> None:
    tool = Tool()

    async def main() -> None:
        runner = runner_of(tool.run, **options)
        run = asyncio.create_task(runner.run("tool", "{}", CALL, WaitingCall()))
        await asyncio.sleep(0)  # a step, in which the tool is only made ready
        await runner.close()
        assert await run == CANCELLED

    in_virtual_time(main())
    assert tool.began == []


@pytest.mark.parametrize("options", [IN_BACKGROUND, SILENTLY])
def test_closing_ends_tools_that_go_on_without_their_call(options: Options) -> None:
    tool = Tool(takes_s=30, cleans_up_s=CLOSE_TIMEOUT_S / 2)

    async def main() -> None:
        runner = runner_of(tool.run, **options)
        await cancel(await start(runner, WaitingCall()))
        await runner.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    in_virtual_time(main())
    assert tool.cleaned_up == seconds(CLOSE_TIMEOUT_S / 2)


def test_closing_does_not_break_off_a_clean_up_that_has_begun() -> None:
    tool = Tool(takes_s=30, cleans_up_s=CLOSE_TIMEOUT_S / 2)

    async def main() -> None:
        runner = runner_of(tool.run)
        await cancel(await start(runner))
        await asyncio.sleep(CLOSE_TIMEOUT_S / 4)
        await runner.close()

    in_virtual_time(main())
    assert tool.cleaned_up == seconds(CLOSE_TIMEOUT_S / 2)


def test_a_call_that_ends_while_the_runner_closes_does_not_break_off_a_clean_up() -> None:
    tool = Tool(takes_s=30, cleans_up_s=CLOSE_TIMEOUT_S / 2)

    async def main() -> None:
        runner = runner_of(tool.run)
        run = await start(runner)
        closing = asyncio.create_task(runner.close())
        await asyncio.sleep(CLOSE_TIMEOUT_S / 4)
        await cancel(run)
        await closing

    in_virtual_time(main())
    assert tool.cleaned_up == seconds(CLOSE_TIMEOUT_S / 2)


@pytest.mark.parametrize(
    ("options", "is_given_up"),
    [(WHEN_DONE, True), (IN_BACKGROUND, False), (IN_BACKGROUND, True)],
)
def test_closing_does_not_wait_for_tools_that_resist(options: Options, is_given_up: bool) -> None:
    tool = Tool(takes_s=30, resists=True)

    async def main() -> None:
        runner = runner_of(tool.run, **options)
        run = await start(runner, WaitingCall())
        if is_given_up:
            await cancel(run)
        await runner.close()
        assert now_s() == pytest.approx(CLOSE_TIMEOUT_S, abs=0.01)
        if not is_given_up:
            assert await run == CANCELLED
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert [task.get_name() for task in left] == ["tool tool"]
        await asyncio.sleep(60)

    in_virtual_time(main())
    assert len(tool.cancelled) == 1
    assert len(tool.ended) == 1


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND, SILENTLY])
def test_closing_ends_the_wait_for_approval(options: Options) -> None:
    tool, call = Tool(), WaitingCall()

    async def main() -> None:
        runner = runner_of(tool.run, **APPROVED, **options)
        run = await start(runner, call)
        await runner.close()
        assert await run == CANCELLED

    in_virtual_time(main())
    assert tool.began == []
    assert call.given_up == seconds(0)
    assert call.answers == []


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND])
def test_an_answer_to_the_cancellation_by_closing_counts(options: Options) -> None:
    async def main() -> None:
        runner = runner_of(answer_when_cancelled, **options)
        run = await start(runner, WaitingCall())
        await runner.close()
        assert await run == ToolResult("answer")

    in_virtual_time(main())


@pytest.mark.parametrize("options", [WHEN_DONE, IN_BACKGROUND])
@pytest.mark.parametrize("is_given_up", [False, True])
def test_nothing_is_kept_of_a_tool_that_has_ended(options: Options, is_given_up: bool) -> None:
    async def main() -> None:
        runner = runner_of(Tool(takes_s=5).run, **options)
        run = await start(runner, WaitingCall())
        tasks = weakref.WeakSet(asyncio.all_tasks())
        if is_given_up:
            await cancel(run)
        del run
        await asyncio.sleep(10)
        gc.collect()
        assert list(tasks) == [asyncio.current_task()]

    in_virtual_time(main())


def test_closing_with_nothing_to_close_is_at_once() -> None:
    async def main() -> float:
        await runner_of(Tool().run).close()
        return now_s()

    assert in_virtual_time(main()) == 0


# At the deadline


def test_a_tool_that_answers_its_cancellation_is_late_all_the_same() -> None:
    outcome, ended_s = outcome_of(answer_when_cancelled, timeout=3)
    assert (code_of(outcome), ended_s) == ("timeout", 3)


def test_a_tool_that_resists_its_deadline_is_not_waited_for() -> None:
    tool = Tool(takes_s=30, resists=True)
    outcome, ended_s = outcome_of(tool, timeout=3)
    assert (code_of(outcome), ended_s) == ("timeout", 3)
    assert tool.ended == seconds(33)


def test_an_answer_in_the_moment_of_the_deadline_counts() -> None:
    assert outcome_of(Tool(takes_s=3), timeout=3) == (ToolResult("answer"), 3)


def test_a_tool_that_fails_while_it_is_cancelled_is_logged_and_bothers_nobody() -> None:
    async def fail() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            raise LookupError

    with capture_logs() as logs:
        outcome, _ = outcome_of(fail, timeout=3)
    assert code_of(outcome) == "timeout"
    assert [entry["event"] for entry in logs] == ["tool_failed"]


def code_of(outcome: ToolOutcome) -> str:
    return outcome.code if isinstance(outcome, ToolFailure) else "ok"
