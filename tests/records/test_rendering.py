import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge import events
from evibridge.errors import BadMessage
from evibridge.events import CallEvent, CallKind, Direction, EndReason
from evibridge.records.call_record import call_record
from evibridge.records.document import Record, Recording
from evibridge.records.rendering import MIN_WIDTH, readable
from tests.records.calls import ENDED, agent, caller, operator, record


def lines(kept: Record, width: int = 80) -> list[str]:
    """The text of a record, without the spaces that make columns of it."""
    return [" ".join(line.split()) for line in readable(kept.model_dump(), width).splitlines()]


def of_tool(*happened: CallEvent) -> str:
    """The line of a record's only tool."""
    kept = record("CA1", *((3.0, event) for event in happened))
    return next(line for line in lines(kept, width=200) if "tool" in line)


def test_a_call_reads_as_it_went() -> None:
    kept = record(
        "CA1",
        (1.0, events.CallerSaid("Where is it?", interim=False, typed=False, scores={"awe": 0.5})),
        (1.6, events.ToolStarted("t1", "order_status", '{"order_id": 7}')),
        (1.8, events.ToolFinished("t1", "order_status", "answered", "On its way.", 212)),
        (2.1, events.TurnAnswered(1100)),
        (3.0, events.AgentHeard("u1", 1850, 350, "It is")),
        (3.0, events.AgentInterrupted()),
        (65.0, events.CommandGiven("say", "ana", "Goodbye.")),
        lines=[caller(1.0, "Where is it?"), agent(2.0, "It is on its way, I am told.", "It is")],
        digits="12",
    )
    assert readable(kept.model_dump(), 64) == (
        "Call CA1\n"
        "phone, inbound, from +4930111 to +1415222\n"
        "began 2026-11-28 09:12:00 UTC, lasted 1 min 2 s\n"
        "ended: caller hung up\n"
        "chats: chat-1\n"
        "\n"
        "  0:01.0  caller    Where is it? (awe 0.50)\n"
        '  0:01.6  tool      order_status {"order_id": 7}: answered in\n'
        '                    212 ms, told "On its way."\n'
        "  0:02.0  agent     It is [not heard: on its way, I am told.]\n"
        "                    (interrupted, after 1100 ms)\n"
        "  1:05.0  operator  ana: say Goodbye.\n"
        "\n"
        "response: p50 1100 ms, p95 1100 ms, max 1100 ms, count 1\n"
        "interruptions: 1, keys pressed: 2, reconnects: chat 0, caller 0\n"
    )


def test_a_clock_that_was_set_back_tells_no_time_before_the_call() -> None:
    kept = record(
        "CA1",
        (-3600.0, events.ToolStarted("t1", "order_status", "{}")),
        (-3600.0, events.CommandGiven("say", "ana", "Goodbye.")),
    )
    early = kept.commands[0].model_copy(update={"at": "2026-11-28T08:12:00.123Z"})
    assert kept.tools[0].at_s == 0.0
    told = lines(kept.model_copy(update={"commands": [early]}))
    assert "0:00.0 tool order_status {}: not ended" in told
    assert "0:00.0 operator ana: say Goodbye." in told


def test_whoever_was_called_is_named_behind_the_number_that_called() -> None:
    text = lines(record(direction=Direction.OUTBOUND, caller="+4930111", called="+1415222"))
    assert text[1] == "phone, outbound, from +1415222 to +4930111"


def test_a_number_that_is_not_known_is_called_so_beside_one_that_is() -> None:
    assert lines(record(caller=None))[1] == "phone, inbound, from unknown to +1415222"


def test_a_call_beside_a_chat_has_no_numbers() -> None:
    assert lines(record(kind=CallKind.SIDECAR, caller=None, called=None))[1] == "sidecar"


def test_a_call_without_a_word_reads_as_one() -> None:
    text = lines(record(chat_id="", caller=None, called=None))
    assert text[1] == "phone, inbound"
    assert text[3:] == [
        "ended: caller hung up",
        "",
        "interruptions: 0, keys pressed: 0, reconnects: chat 0, caller 0",
    ]


@pytest.mark.parametrize(
    ("recording", "told"),
    [
        (
            Recording(file="CA1.wav", seconds=62.44, rate_hz=8000, failure=None),
            ["recording: CA1.wav, 62.4 s at 8000 Hz"],
        ),
        (
            Recording(file=None, seconds=0, rate_hz=8000, failure="The disk is full."),
            ["recording: none, 0.0 s at 8000 Hz", "recording: The disk is full."],
        ),
    ],
)
def test_the_recording_is_told(recording: Recording, told: list[str]) -> None:
    text = lines(call_record(ENDED, (), recording))
    assert [line for line in text if line.startswith("recording")] == told


@pytest.mark.parametrize(
    ("text", "heard", "read"),
    [
        ("All of it.", "All of it.", "All of it."),
        ("None of it.", "", "[not heard: None of it.]"),
        ("Most  of it.", "Most of", "Most of [not heard: it.]"),
        ("As it was.", "As it is", "As it was. [heard: As it is]"),
        ("", "", "(no words)"),
    ],
)
def test_what_was_not_heard_is_marked(text: str, heard: str, read: str) -> None:
    assert f"0:01.0 agent {read}" in lines(record(lines=[agent(1.0, text, heard)]))


def test_the_agent_is_named() -> None:
    assert lines(record(agent_name="Paper Lantern"))[2] == "agent: Paper Lantern"


def test_operators_are_named_who_have_said_something() -> None:
    spoken = events.OperatorSaid("Hello.", "ana", interim=False, is_spoken=True)
    typed = events.OperatorSaid("Bye.", "ben", interim=False, is_spoken=False)
    kept = record(
        "CA1",
        (1.0, spoken),
        (2.0, typed),
        lines=[operator(1.0, "Hello.", "ana"), operator(2.0, "Bye.", "ben")],
    )
    assert "0:01.0 operator ana said: Hello." in lines(kept)
    assert "0:02.0 operator ben said: Bye. (typed)" in lines(kept)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (EndReason.OPERATOR_HUNG_UP, "ended: operator hung up by ana"),
        (EndReason.TRANSFERRED, "ended: transferred to +4930333 by ben"),
        (EndReason.CALLER_HUNG_UP, "ended: caller hung up"),
    ],
)
def test_whoever_has_ended_the_call_for_the_agent_is_named(reason: EndReason, told: str) -> None:
    kept = record(
        "CA1",
        (1.0, events.CommandGiven("hangup", "ana")),
        (1.0, events.CommandGiven("transfer", "ben", "+4930333")),
        ended=reason,
    )
    assert lines(kept)[3] == told


def test_what_was_put_into_the_callers_mouth_is_marked() -> None:
    typed = events.CallerSaid("Hello?", interim=False, typed=True)
    kept = record("CA1", (1.0, typed), lines=[caller(1.0, "Hello?")])
    assert "0:01.0 caller Hello? (typed)" in lines(kept)


def test_a_command_without_a_text_is_told_by_its_name() -> None:
    assert "0:01.0 operator ana: pause" in lines(
        record("CA1", (1.0, events.CommandGiven("pause", "ana")))
    )


STARTED = events.ToolStarted("t1", "refund", "{}")
WANTED = events.ApprovalWanted("t1", "refund", "{}", 30.0)


def test_a_tool_tells_what_became_of_it() -> None:
    answered = events.ToolFinished("t1", "refund", "answered", "I look.")
    assert of_tool(STARTED) == "0:03.0 tool refund {}: not ended"
    assert of_tool(STARTED, answered, events.ToolDelivered("t1", "refund", "timeout")) == (
        '0:03.0 tool refund {}: answered, told "I look.", done later: timeout'
    )


def test_a_tool_tells_who_has_approved_of_it() -> None:
    approved = events.ApprovalGiven("t1", "refund", is_approved=True, by="ana")
    declined = events.ApprovalGiven("t1", "refund", is_approved=False, by="ben")
    assert of_tool(STARTED, WANTED).endswith("not ended, nobody decided")
    assert of_tool(STARTED, WANTED, approved).endswith("not ended, approved by ana")
    assert of_tool(STARTED, WANTED, declined).endswith("not ended, declined by ben")


def test_a_tool_whose_call_is_forgotten_has_no_time() -> None:
    assert of_tool(events.ToolFinished("t1", "refund", "failed")) == "tool refund null: failed"


def test_arguments_that_are_no_json_stand_as_they_were_written() -> None:
    assert of_tool(events.ToolStarted("t1", "refund", "all")) == (
        "0:03.0 tool refund all: not ended"
    )


@given(st.text(), st.integers(0, 100))
@settings(deadline=None, max_examples=50)
def test_nothing_that_was_said_is_obeyed_by_a_terminal(text: str, width: int) -> None:
    kept = record(
        text,
        (1.0, events.CommandGiven(text, text, text)),
        (1.0, events.ToolStarted(text, text, text)),
        (1.0, events.ToolFinished(text, text, text, text)),
        lines=[caller(1.0, text), agent(2.0, text, "")],
        called=text,
    )
    page = readable(kept.model_dump(), width)

    assert not set(page) & {chr(code) for code in (*range(10), *range(11, 32), *range(127, 160))}
    assert not set(page) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert all(len(line) <= max(width, MIN_WIDTH) for line in page.splitlines())


def test_an_escape_sequence_is_made_harmless() -> None:
    kept = record(lines=[caller(1.0, "\x1b[2J\u202eevil\r\nnext")])
    assert "0:01.0 caller \ufffd[2J\ufffdevil next" in lines(kept)


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(BadMessage, match="no record"):
        readable({"version": 1})
