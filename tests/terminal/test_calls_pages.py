from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge.agent.conversation import Line
from evibridge.agent.snapshot import CallState, PendingApproval
from evibridge.events import CallKind, Direction, EndReason
from evibridge.operators.latest import NOTHING, LatestOfCall
from evibridge.operators.views import Snapshot, Summary, snapshot_of, summary_of
from evibridge.terminal.calls_in_words import (
    ENDS,
    STATES,
    length,
    parties,
    state_of,
    time_in_call,
    took,
)
from evibridge.terminal.calls_pages import page, table
from evibridge.terminal_text import columns, heard_of
from tests.operators.api_stage import snapshot

NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
REFUND = PendingApproval("t1", "refund", '{"order_id": 7}', 12.4)


def summary(call_id: str = "CA1", latest: LatestOfCall = NOTHING, **more: Any) -> Summary:
    return summary_of(snapshot(call_id, **more), latest)


def in_full(latest: LatestOfCall = NOTHING, **more: Any) -> Snapshot:
    return snapshot_of(snapshot(**more), latest)


def test_everything_that_a_call_does_and_every_end_has_words() -> None:
    assert STATES.keys() == set(CallState)
    assert ENDS.keys() == set(EndReason)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"state": CallState.AGENT_SPEAKING}, "agent speaking"),
        ({"state": CallState.PAUSED, "paused_by": "anna"}, "paused by anna"),
        ({"state": CallState.PAUSED}, "paused"),
        ({"state": CallState.HELD, "held_by": "bob", "paused_by": "anna"}, "on hold by bob"),
        ({"state": CallState.TAKEN_OVER, "taken_over_by": "sam"}, "taken over by sam"),
        ({"state": CallState.HELD}, "on hold"),
        ({"state": CallState.NEEDS_APPROVAL, "approvals": (REFUND,)}, "needs approval, 12 s"),
        ({"state": CallState.NEEDS_APPROVAL}, "needs approval, 0 s"),
    ],
)
def test_the_state_of_a_call_names_who_is_behind_it(facts: Any, words: str) -> None:
    assert state_of(summary(**facts)) == words


def test_the_parties_of_a_call_are_named_as_it_went() -> None:
    assert parties(summary()) == "phone, inbound, from +4930123456 to +14155550100"
    assert parties(summary(direction=Direction.OUTBOUND)) == (
        "phone, outbound, from +14155550100 to +4930123456"
    )
    assert parties(summary(caller=None, called=None)) == ("phone, inbound, from unknown to unknown")
    assert parties(summary(kind=CallKind.SIDECAR)) == "beside the chat chat-CA1"


@pytest.mark.parametrize(
    ("text", "heard", "read"),
    [
        ("All of it.", "All of it.", "All of it."),
        ("None of it.", "", "[not heard: None of it.]"),
        ("Most  of it.", "Most of", "Most of [not heard: it.]"),
        ("As it was.", "As it is", "As it was. [heard: As it is]"),
        ("", "", ""),
    ],
)
def test_what_was_not_heard_is_marked(text: str, heard: str, read: str) -> None:
    assert heard_of(text, heard) == read


def test_times_read_as_people_write_them() -> None:
    assert [length(s) for s in (0.0, 96.9, 3723.0)] == ["0:00", "1:36", "1:02:03"]
    assert [time_in_call(s) for s in (-0.2, 59.96, 96.24)] == ["0:00.0", "1:00.0", "1:36.2"]
    assert [took(ms) for ms in (620, 1090)] == ["620 ms", "1.09 s"]


# Many calls


def test_calls_are_a_table() -> None:
    latest = LatestOfCall(last_line=("agent", "It is on\nits way."), response_ms=740)
    live = summary("CA0000000001", latest, state=CallState.AGENT_SPEAKING, lasts_s=96.0)
    ended = summary(
        "CA0000000002",
        caller=None,
        state=CallState.ENDED,
        ended=EndReason.CALLER_HUNG_UP,
        began_at_s=NOW.timestamp() - 86_400,
        lines=(),
    )

    assert table([live, ended], None, NOW) == (
        "state           id            caller       began UTC   length  response  last words\n"
        "agent speaking  CA0000000001  +4930123456  12:00       1:36    0.74 s    "
        "agent: It is on its way.\n"
        "ended           CA0000000002  unknown      2026-11-27  1:00              "
        "Caller hung up\n"
    )


def test_an_id_is_as_long_as_it_has_to_be() -> None:
    different = table([summary(f"CA{n}{'0' * 30}") for n in range(3)], None, NOW)
    alike = table([summary(f"CA0123456789{n}999") for n in range(3)], None, NOW)

    assert "CA20000000 " in different
    assert "CA01234567892 " in alike


@settings(max_examples=50)
@given(st.text(max_size=100), st.integers(1, 200))
def test_a_table_of_any_words_has_a_line_for_each_call(text: str, width: int) -> None:
    latest = LatestOfCall(last_line=("caller", text))

    lines = table([summary(latest=latest)] * 2, width, NOW).splitlines()

    assert len(lines) == 3
    assert all(columns(line) <= max(width, 90) for line in lines)


# One call


def test_a_call_that_goes_on_is_told_as_it_is_now() -> None:
    call = in_full(
        LatestOfCall(response_ms=740),
        lines=(
            Line("caller", 1.5, "Where is it?", "Where is it?"),
            Line("agent", 2.0, "It is on its way.", "It is", "u1", 900.0, 300.0),
            Line("agent", 4.0, "As far as I know.", "", "u2", 0.0, 0.0, is_over=False),
            Line("agent", 5.0, "", "", "u3"),
        ),
        state=CallState.NEEDS_APPROVAL,
        open_tools=("refund", "order_status"),
        approvals=(REFUND,),
        digits="12",
    )

    assert page(call, 48) == (
        "Call CA1\n"
        "phone, inbound, from +4930123456 to +14155550100\n"
        "began 2026-11-28 12:00:00 UTC, 1:00 so far\n"
        "chat: chat-CA1\n"
        "\n"
        "  0:01.5  caller    Where is it?\n"
        "  0:02.0  agent     It is [not heard: on its\n"
        "                    way.]\n"
        "  0:04.0  agent     As far as I know.\n"
        "  0:05.0  agent     (no words)\n"
        "\n"
        "now: needs approval, 12 s\n"
        "tools that run: refund, order_status\n"
        'needs approval within 12 s: refund {"order_id":\n'
        "7}, id t1\n"
        "keys pressed: 12\n"
        "last response: 740 ms\n"
    )


def test_an_ended_call_of_which_there_is_no_record_is_told_too() -> None:
    call = in_full(
        chat_id="", lines=(), state=CallState.ENDED, ended=EndReason.NO_ANSWER, caller="+49\x1b[2J"
    )

    assert page(call, 80) == (
        "Call CA1\n"
        "phone, inbound, from +49\ufffd[2J to +14155550100\n"
        "began 2026-11-28 12:00:00 UTC, 1:00 in all\n"
        "\n"
        "Nobody answered.\n"
    )
