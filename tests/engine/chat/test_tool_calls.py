from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from evibridge.engine.chat.tool_calls import REMEMBERED_CALLS, Answered, Asking, ToolCalls, ToolEnd
from evibridge.engine.minds.mind import CallTool, ToolOutcome, ToolUse

TIMEOUT_S = 10.0
ASKING = Asking(CallTool("look", {"order": "1042"}), 1, None)


def calls(ends: list[ToolEnd] | None = None) -> ToolCalls:
    numbers = count(1)
    told: list[ToolEnd] = [] if ends is None else ends
    return ToolCalls(TIMEOUT_S, lambda: str(next(numbers)), told.append)


def begin(calls: ToolCalls, *, fallback: str | None = None, builtin: bool = False) -> str:
    call_id, message = calls.begin(ASKING, fallback, 0.0, builtin=builtin)
    assert message["tool_call_id"] == call_id
    return call_id


def test_a_call_is_told_with_its_arguments_and_waits() -> None:
    pending = calls()
    call_id, message = pending.begin(ASKING, None, 5.0, builtin=False)

    assert (message["name"], message["parameters"]) == ("look", '{"order":"1042"}')
    assert pending.pending
    assert pending.deadline_s == 5.0 + TIMEOUT_S
    answered = pending.answer(call_id, "here", failed=False)
    use = ToolUse(call_id, "look", {"order": "1042"})
    assert answered == Answered(ASKING, ToolOutcome("here", failed=False), use)
    assert pending.deadline_s is None


def test_an_own_text_of_a_failure_comes_before_the_fallback() -> None:
    for content, told in (("It broke.", "It broke."), (None, "Ask later.")):
        pending = calls()
        answered = pending.answer(begin(pending, fallback="Ask later."), content, failed=True)
        assert isinstance(answered, Answered)
        assert answered.outcome == ToolOutcome(told, failed=True)


def test_an_empty_result_is_a_result() -> None:
    pending = calls()
    answered = pending.answer(begin(pending, fallback="Ask later."), "", failed=False)

    assert isinstance(answered, Answered)
    assert answered.outcome == ToolOutcome("", failed=False)


def test_an_answer_to_no_call_is_refused_and_a_second_one_ignored() -> None:
    pending = calls()
    call_id = begin(pending)

    refused = pending.answer("call_x", "here", failed=False)
    assert isinstance(refused, dict)
    assert (refused["type"], refused["level"]) == ("tool_error", "warn")
    pending.answer(call_id, "here", failed=False)
    assert pending.answer(call_id, "there", failed=False) is None


def test_a_dropped_call_cannot_be_answered() -> None:
    pending = calls()
    call_id = begin(pending)
    pending.drop()

    assert isinstance(pending.answer(call_id, "here", failed=False), dict)
    assert pending.searched(call_id, "here") is None


def test_only_the_engine_answers_its_own_tool() -> None:
    pending = calls()
    call_id = begin(pending, builtin=True)

    assert isinstance(pending.answer(call_id, "me", failed=False), dict)
    found = pending.searched(call_id, "what was found")
    assert found is not None
    assert found[0]["content"] == "what was found"


def test_a_call_is_given_up_at_its_deadline() -> None:
    pending = calls()
    call_id = begin(pending, fallback="Ask later.")
    assert pending.expired(TIMEOUT_S - 0.1) is None

    expired = pending.expired(TIMEOUT_S)

    assert expired is not None
    message, answered = expired
    assert message["tool_call_id"] == call_id
    assert answered.outcome == ToolOutcome("Ask later.", failed=True)
    assert pending.expired(TIMEOUT_S) is None


def test_every_end_of_a_call_is_counted() -> None:
    ends: list[ToolEnd] = []
    pending = calls(ends)
    pending.answer(begin(pending), "here", failed=False)
    pending.answer(begin(pending), None, failed=True)
    pending.searched(begin(pending, builtin=True), "found")
    pending.searched(begin(pending, builtin=True), None)
    begin(pending)
    pending.expired(TIMEOUT_S)
    pending.not_offered(ASKING)
    begin(pending)
    pending.drop()
    pending.drop()

    assert ends == [
        *["answered", "failed"] * 2,
        *["timed_out", "not_offered", "dropped"],
    ]


class AnyOrder(RuleBasedStateMachine):
    """However answers come, each call has one outcome."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = calls()
        self.open: str | None = None
        self.made: list[str] = []

    @precondition(lambda self: self.open is None)
    @rule()
    def a_call_is_made(self) -> None:
        self.open = begin(self.calls)
        self.made.append(self.open)

    @rule(age=st.integers(0, REMEMBERED_CALLS - 1), failed=st.booleans())
    def an_answer_comes(self, age: int, failed: bool) -> None:
        call_id = self.made[-1 - age] if age < len(self.made) else "call_x"
        answered = self.calls.answer(call_id, None, failed=failed)
        assert isinstance(answered, Answered) is (call_id == self.open)
        if call_id == self.open:
            self.open = None

    @rule()
    def the_caller_speaks(self) -> None:
        self.calls.drop()
        self.open = None

    @rule(now_s=st.floats(0, 2 * TIMEOUT_S))
    def time_passes(self, now_s: float) -> None:
        expired = self.calls.expired(now_s)
        assert (expired is not None) is (self.open is not None and now_s >= TIMEOUT_S)
        if expired:
            self.open = None


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=50)
