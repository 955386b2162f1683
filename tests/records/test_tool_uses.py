import json

import pytest

from evibridge import events
from evibridge.events import ToolPath
from evibridge.records.document import encoded, members_of, parsed
from tests.records.calls import record


def test_a_tool_is_told_from_its_call_to_its_answer() -> None:
    kept = record(
        "CA1",
        (3.0, events.ToolStarted("t1", "order_status", '{"order_id": "1042"}', ToolPath.MIRROR)),
        (3.5, events.ToolFinished("t1", "order_status", "answered", "On its way.", 512)),
    )
    assert [use.model_dump() for use in kept.tools] == [
        {
            "id": "t1",
            "name": "order_status",
            "at_s": 3.0,
            "arguments": {"order_id": "1042"},
            "path": "mirror",
            "outcome": "answered",
            "content": "On its way.",
            "duration_ms": 512,
            "delivered": None,
            "approval": None,
        }
    ]


def test_an_approval_tells_who_has_decided_and_when() -> None:
    started = (3.0, events.ToolStarted("t1", "refund", "{}"))
    wanted = (3.1, events.ApprovalWanted("t1", "refund", "{}", 30.0))
    given = (9.0, events.ApprovalGiven("t1", "refund", is_approved=False, by="ana"))

    (open_,), (decided,) = (
        record("CA1", started, wanted).tools,
        record("CA1", started, wanted, given).tools,
    )

    assert open_.approval is not None
    assert open_.approval.model_dump() == {"by": None, "at": None, "approved": None}
    assert decided.approval is not None
    assert decided.approval.model_dump() == {
        "by": "ana",
        "at": "2026-11-28T09:12:09.123Z",
        "approved": False,
    }


def test_a_tool_that_was_answered_early_has_both_its_ends() -> None:
    (use,) = record(
        "CA1",
        (3.0, events.ToolStarted("t1", "search", "{}")),
        (3.1, events.ToolFinished("t1", "search", "answered", "I am looking.", 100)),
        (8.0, events.ToolDelivered("t1", "search", "timeout")),
    ).tools
    assert (use.outcome, use.content, use.delivered) == ("answered", "I am looking.", "timeout")


def test_an_id_that_another_chat_gives_again_is_another_use() -> None:
    first, second = record(
        "CA1",
        (3.0, events.ToolStarted("t1", "search", "1")),
        (3.1, events.ToolFinished("t1", "search", "superseded")),
        (8.0, events.ToolStarted("t1", "search", "2")),
    ).tools
    assert (first.arguments, first.outcome) == (1, "superseded")
    assert (second.arguments, second.outcome) == (2, None)


def test_of_a_tool_whose_call_is_forgotten_the_rest_is_told() -> None:
    (use,) = record("CA1", (3.1, events.ToolFinished("t1", "search", "answered", "Yes."))).tools
    assert (use.name, use.at_s, use.arguments, use.path) == ("search", None, None, None)
    assert (use.outcome, use.content) == ("answered", "Yes.")


@pytest.mark.parametrize("written", ["order 1042", '{"a": ', '"\\ud800"', "[" * 300 + "]" * 300])
def test_arguments_that_are_no_json_for_a_record_are_kept_as_text(written: str) -> None:
    kept = record("CA1", (3.0, events.ToolStarted("t1", "search", written)))
    assert kept.tools[0].arguments == written
    assert parsed(members_of(encoded(kept))) == kept


def test_arguments_may_be_nested_as_deeply_as_can_be_written() -> None:
    deepest = "[" * 245 + "]" * 245
    kept = record("CA1", (3.0, events.ToolStarted("t1", "search", deepest)))
    assert kept.tools[0].arguments == json.loads(deepest)
    assert parsed(members_of(encoded(kept))) == kept
