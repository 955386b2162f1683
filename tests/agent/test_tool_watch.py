from dataclasses import replace

from evibridge.agent.snapshot import PendingApproval
from evibridge.agent.tool_watch import MAX_VERDICTS, ToolWatch
from evibridge.events import (
    AgentPaused,
    ApprovalGiven,
    ApprovalWanted,
    ToolFinished,
    ToolStarted,
)

WANTED = ApprovalWanted("call_1", "refund", '{"order_id":"1042"}', timeout_s=20.0)


def test_a_tool_that_is_done_is_told_with_its_duration() -> None:
    watch = ToolWatch()
    watch.follow(ToolStarted("call_1", "refund", "{}"), 10.0)

    finished = watch.follow(ToolFinished("call_1", "refund", "answered", "done"), 11.25)

    assert finished == ToolFinished("call_1", "refund", "answered", "done", duration_ms=1250)


def test_a_tool_whose_start_was_not_told_took_no_time() -> None:
    finished = ToolWatch().follow(ToolFinished("call_1", "refund", "busy"), 3.0)

    assert finished == ToolFinished("call_1", "refund", "busy", duration_ms=0)


def test_other_events_are_passed_on_as_they_are() -> None:
    assert ToolWatch().follow(AgentPaused(), 1.0) == AgentPaused()


def test_a_tool_waits_for_an_operator_until_its_time_is_over() -> None:
    watch = ToolWatch()
    watch.follow(WANTED, 10.0)

    (waiting,) = watch.waiting(14.5)
    assert waiting == PendingApproval("call_1", "refund", '{"order_id":"1042"}', 15.5)
    (late,) = watch.waiting(99.0)
    assert late.expires_in_s == 0.0


def test_a_tool_that_was_decided_about_waits_no_more_and_it_is_known_by_whom() -> None:
    watch = ToolWatch()
    watch.follow(WANTED, 10.0)
    watch.follow(ApprovalGiven("call_1", "refund", is_approved=False, by="Ada"), 12.0)

    assert watch.waiting(12.0) == ()
    assert watch.why_not_waiting("call_1") == "Ada has declined it already."
    assert watch.why_not_waiting("call_2") == "No tool waits under this id."


def test_a_tool_that_ended_otherwise_waits_no_more() -> None:
    watch = ToolWatch()
    watch.follow(WANTED, 10.0)
    watch.follow(ToolFinished("call_1", "refund", "not_approved"), 30.0)

    assert watch.waiting(30.0) == ()


def test_verdicts_are_forgotten_at_last() -> None:
    watch = ToolWatch()
    for number in range(MAX_VERDICTS + 1):
        given = ApprovalGiven(f"call_{number}", "refund", is_approved=True, by="Ada")
        watch.follow(given, 1.0)

    assert watch.why_not_waiting("call_0") == "No tool waits under this id."
    assert watch.why_not_waiting("call_1") == "Ada has approved it already."


def test_a_tool_that_serves_the_same_call_of_the_next_chat_waits_no_longer() -> None:
    watch = ToolWatch()
    watch.follow(WANTED, 10.0)
    watch.follow(ToolFinished("call_1", "refund", "superseded"), 24.0)

    again = watch.follow(replace(WANTED, tool_call_id="call_2"), 24.0)

    assert again == replace(WANTED, tool_call_id="call_2", timeout_s=6.0)
    assert [each.expires_in_s for each in watch.waiting(25.0)] == [5.0]


def test_a_tool_for_something_else_has_its_own_time() -> None:
    watch = ToolWatch()
    watch.follow(WANTED, 10.0)
    watch.follow(ToolFinished("call_1", "refund", "superseded"), 24.0)
    other = replace(WANTED, tool_call_id="call_2", parameters="{}")

    assert watch.follow(other, 24.0) == other
