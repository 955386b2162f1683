from collections.abc import Mapping
from typing import Any, get_type_hints

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evibridge import events
from evibridge.agent.conversation import Line as Said
from evibridge.agent.snapshot import CallState
from evibridge.bus import EventBus
from evibridge.errors import BadMessage
from evibridge.event_wire import TYPE_NAMES, encode, utc_text
from evibridge.events import CallEvent, CallKind, Direction, EndReason
from evibridge.operators.latest import NOTHING
from evibridge.operators.views import snapshot_of, summary_of
from evibridge.terminal.call_watch import AllCalls, OneCall
from evibridge.terminal.event_words import WORDINGS
from evibridge.terminal.live_lines import Line, Tone
from evibridge.terminal_text import harmless
from tests.operators.api_stage import NOON_S, snapshot

NEED_EARLIER = {
    "agent_heard",
    "agent_interrupted",
    "caller_said",
    "digit_pressed",
    "operator_said",
    "call_ended",
}
"""Events whose words depend on those before them."""
NO_NEWS = {"agent_sounded"}


class Stream:
    """A call that began at noon, and whoever watches it."""

    def __init__(self, watch: OneCall | AllCalls) -> None:
        self.watch = watch
        self.at_s = NOON_S
        self._bus = EventBus(lambda: self.at_s)

    def lines(self, *happened: CallEvent, call_id: str = "CA1") -> list[Line]:
        """What is shown of these events."""
        return [
            line
            for event in happened
            for line in self.message(orjson.loads(encode(self._bus.publish(call_id, event))))
        ]

    def texts(self, *happened: CallEvent) -> list[str]:
        """The final lines of these events, without the time."""
        lines = self.lines(*happened)
        return [f"{line.head[10:]}{line.text}" for line in lines if not line.is_interim]

    def message(self, message: Mapping[str, Any]) -> list[Line]:
        return self.watch.lines(message)

    def snapshot(self, **facts: Any) -> list[Line]:
        call = snapshot_of(snapshot(**facts), NOTHING)
        return self.message(
            {
                "type": "snapshot",
                "call_id": "CA1",
                "seq": self._bus.last_seq,
                "at": utc_text(self.at_s),
                "call": orjson.loads(orjson.dumps(call)),
            }
        )


@pytest.fixture
def call() -> Stream:
    stream = Stream(OneCall())
    stream.snapshot(lines=())
    return stream


def said(text: str, *, interim: bool = False, **more: Any) -> events.CallerSaid:
    return events.CallerSaid(text, interim=interim, **{"typed": False, **more})


def test_all_events_have_words_or_a_reason_for_none() -> None:
    kinds = set(TYPE_NAMES.values())

    assert WORDINGS.keys() | NEED_EARLIER | NO_NEWS == kinds
    assert not WORDINGS.keys() & (NEED_EARLIER | NO_NEWS)


def test_a_call_that_is_watched_begins_with_what_is_known_of_it() -> None:
    stream = Stream(OneCall())
    lines = stream.snapshot(
        lines=(
            Said("caller", 1.5, "Hello.", "Hello."),
            Said("agent", 2.0, "Good day.", "Good", "u1"),
        ),
        state=CallState.AGENT_SPEAKING,
    )

    assert [line.head + line.text for line in lines] == [
        "Call CA1",
        "phone, inbound, from +4930123456 to +14155550100",
        "began 2026-11-28 12:00:00 UTC, 1:00 so far",
        "chat: chat-CA1",
        "  0:01.5  caller    Hello.",
        "  0:02.0  agent     Good [not heard: day.]",
        "  1:00.0  call      now: agent speaking",
    ]
    assert lines[5].tone is Tone.AGENT
    assert stream.watch.since == int(NOON_S * 1000)
    assert not stream.watch.is_over


def test_a_conversation_is_shown_as_it_is_spoken(call: Stream) -> None:
    call.at_s += 96.24
    lines = call.lines(
        said("Where is", interim=True),
        said("Where is it?", scores={"awe": 0.2, "doubt": 0.61}),
        events.AgentSaid("u1", "It is on its way."),
        events.TurnAnswered(620),
        events.TurnAnswered(1090),
    )

    assert lines == [
        Line("  1:36.2  caller    ", "Where is", Tone.FAINT, is_interim=True),
        Line("  1:36.2  caller    ", "", is_interim=True),
        Line("  1:36.2  caller    ", "Where is it? (doubt 0.61)"),
        Line("  1:36.2  agent     ", "It is on its way.", Tone.AGENT),
        Line("  1:36.2  agent     ", "answers after 620 ms"),
        Line("  1:36.2  agent     ", "answers after 1.09 s", Tone.NEEDED),
    ]


def test_an_operator_who_speaks_in_the_agents_place_is_named(call: Stream) -> None:
    lines = call.lines(
        events.CallTakenOver("sam"),
        events.OperatorSaid("Good", "sam", interim=True, is_spoken=True),
        events.OperatorSaid("Good morning.", "sam", interim=False, is_spoken=True),
        events.OperatorSaid("One moment.", "sam", interim=False, is_spoken=False),
        events.CallHandedBack("pri"),
        events.CallHandedBack(None),
    )

    assert [(line.head[10:].split()[0], line.text, line.is_interim) for line in lines] == [
        ("call", "is taken over: sam speaks in the agent's place", False),
        ("operator", "sam: Good", True),
        ("operator", "", True),
        ("operator", "sam: Good morning.", False),
        ("operator", "", True),
        ("operator", "sam: One moment. (typed)", False),
        ("call", "is handed back, by pri: the agent goes on", False),
        ("call", "is handed back: the agent goes on", False),
    ]


def test_what_operators_and_programs_type_is_marked(call: Stream) -> None:
    assert call.texts(said("Hi.", typed=True), said("", typed=True)) == [
        "caller    Hi. (typed)",
        "caller    (no words) (typed)",
    ]


def test_keys_are_shown_while_they_are_pressed(call: Stream) -> None:
    pressed = [events.DigitPressed(digit) for digit in "12"]
    lines = call.lines(*pressed, events.DigitsEntered("12"), events.DigitPressed("3"))

    assert [(line.text, line.is_interim) for line in lines] == [
        ("enters 1", True),
        ("enters 12", True),
        ("", True),
        ("enters 12", False),
        ("enters 3", True),
    ]


# What was heard


def test_an_interruption_tells_how_much_was_heard(call: Stream) -> None:
    assert call.texts(
        events.AgentSaid("u1", "It is on"),
        events.AgentSaid("u1", "its way."),
        events.AgentSaid("u2", "Anything else?"),
        events.AgentHeard("u1", 1500, 350, "It is"),
        events.AgentHeard("u2", 400, 0, ""),
        events.AgentInterrupted(),
    )[3:] == ['agent     interrupted, heard 350 ms of 1.90 s, until "It is"']


def test_what_was_heard_to_its_end_is_no_news(call: Stream) -> None:
    assert call.texts(
        events.AgentSaid("u1", "On its way."),
        events.AgentHeard("u1", 900, 900, "On its way."),
        events.AgentHeard("of before", 900, 900, "Good day."),
        events.AgentInterrupted(),
    )[1:] == ["agent     interrupted"]


def test_a_sentence_whose_sound_was_still_to_come_was_not_heard(call: Stream) -> None:
    assert call.texts(
        events.AgentSaid("u1", "On its way."),
        events.AgentHeard("u1", 300, 300, "On"),
        events.CallHeld(),
    )[1:] == [
        'agent     not heard to the end, until "On"',
        "call      is on hold: agent and caller do not hear each other",
    ]


def test_a_sentence_that_had_begun_before_the_watch_is_known_from_its_snapshot() -> None:
    stream = Stream(OneCall())
    begun = Said("agent", 2.0, "On its way.", "", "u1", 0.0, 0.0, is_over=False)
    stream.snapshot(lines=(begun,))

    assert stream.texts(events.AgentHeard("u1", 300, 300, "On"), events.AgentInterrupted()) == [
        'agent     interrupted, until "On"'
    ]


# Tools and operators


def test_tools_are_told_with_what_they_were_called_with_and_how_they_ended(call: Stream) -> None:
    lines = call.lines(
        events.ToolStarted("t1", "order_status", '{"order_id": 7}'),
        events.ToolFinished("t1", "order_status", "answered", "On its way.", 212),
        events.ToolFinished("t2", "refund", "timeout", None, 8000),
        events.ToolFinished("t3", "refund", "cancelled"),
        events.ToolDelivered("t1", "order_status", "answered"),
    )

    assert [(line.head[10:] + line.text, line.tone) for line in lines] == [
        ('tool      order_status {"order_id": 7}', Tone.PLAIN),
        ('tool      order_status: answered after 212 ms, told "On its way."', Tone.PLAIN),
        ("tool      refund: timeout after 8.00 s", Tone.BROKEN),
        ("tool      refund: cancelled", Tone.PLAIN),
        ("tool      order_status: answered, later", Tone.PLAIN),
    ]


def test_approvals_are_told_with_the_id_that_answers_need(call: Stream) -> None:
    lines = call.lines(
        events.ApprovalWanted("t1", "refund", "{}", 30.0),
        events.ApprovalGiven("t1", "refund", is_approved=True, by="sam"),
        events.ApprovalGiven("t2", "refund", is_approved=False, by="ana"),
    )

    assert [line.head[10:] + line.text for line in lines] == [
        "tool      refund {} needs approval within 30 s, id t1",
        "operator  sam approved refund",
        "operator  ana declined refund",
    ]
    assert lines[0].tone is Tone.NEEDED


def test_commands_are_told_with_their_effects(call: Stream) -> None:
    assert call.texts(
        events.CommandGiven("pause", "ana"),
        events.AgentPaused(),
        events.CommandGiven("resume", events.CALLER),
        events.AgentResumed(),
        events.CommandGiven("say", "ana", "One moment."),
        events.CallReleased(),
        events.DigitsSent("12#"),
        events.RecordingFailed("The disk is full."),
    ) == [
        "operator  ana: pause",
        "call      the agent is paused",
        "caller    asks for this: resume",
        "call      the agent may speak again",
        "operator  ana: say One moment.",
        "call      agent and caller hear each other again",
        "call      keys sent: 12#",
        "call      is not recorded any more: The disk is full.",
    ]


# How it goes


def test_the_course_of_a_call_is_told(call: Stream) -> None:
    resumed = events.ChatOpening.RESUMED
    assert call.texts(
        events.CallDialled("+4930111", "ana"),
        events.CallBegan(CallKind.PHONE, Direction.OUTBOUND),
        events.ChatOpened("c1", "g1"),
        events.ChatLost(1006, None),
        events.FillerPlayed(),
        events.ChatOpened("c2", "g1", resumed),
        events.ChatLost(1011, "E0714"),
        events.CallerLost(),
        events.CallerReturned(),
        events.CallerMuted(is_muted=True),
        events.CallerMuted(is_muted=False),
        events.ServerReportedError("E0101", "a_slug", "Too much."),
        events.AgentSounded("u1", {"awe": 0.5}),
        events.HangUpDecided(EndReason.AGENT_HUNG_UP),
        events.CallEnded(EndReason.AGENT_HUNG_UP),
    ) == [
        "operator  ana calls +4930111",
        "call      begins: phone, outbound",
        "call      the EVI server is there",
        "call      the EVI server is lost (code 1006): reconnecting",
        "call      the caller was told to wait",
        "call      reconnected: the chat goes on",
        "call      the EVI server is lost (E0714): reconnecting",
        "call      the caller's connection is lost: reconnecting",
        "call      reconnected: the caller is there again",
        "caller    switches the microphone off",
        "caller    switches the microphone on",
        "call      the EVI server reports: Too much. (E0101, a_slug)",
        "call      ends once the last word was heard",
        "call      The agent hung up.",
    ]
    assert call.watch.is_over


@pytest.mark.parametrize(
    ("happened", "end"),
    [
        ([events.CommandGiven("hangup", "priya")], "Hung up by priya."),
        ([events.CommandGiven("pause", "priya")], "An operator hung up."),
    ],
)
def test_the_end_names_who_hung_up(call: Stream, happened: list[CallEvent], end: str) -> None:
    *_, last = call.lines(*happened, events.CallEnded(EndReason.OPERATOR_HUNG_UP))

    assert (last.text, last.tone) == (end, Tone.BROKEN)


def test_the_time_of_a_call_that_was_dialled_counts_from_its_answer(call: Stream) -> None:
    call.at_s += 9.0
    (began,) = call.lines(events.CallBegan())
    call.at_s += 1.5
    (opened,) = call.lines(events.ChatOpened("c1", "g1"))

    assert (began.head[:8], opened.head[:8]) == ("  0:00.0", "  0:01.5")


def test_a_call_that_is_over_ends_the_watch_with_its_snapshot() -> None:
    stream = Stream(OneCall())
    *_, last = stream.snapshot(state=CallState.ENDED, ended=EndReason.INACTIVITY)

    assert last.head + last.text == "  1:00.0  call      Nobody spoke for too long."
    assert stream.watch.is_over


def test_what_was_missed_is_told_after_a_gap(call: Stream) -> None:
    call.at_s += 2.0
    call.lines(said("Hello."))

    (gap,) = call.message({"type": "gap", "call_id": "CA1", "missed": 12})
    call.at_s += 5.0
    lines = call.snapshot(
        lines=(
            Said("caller", 2.0, "Hello.", "Hello."),
            Said("agent", 3.0, "Good day.", "Good day.", "u1"),
        ),
        lasts_s=7.0,
    )

    assert gap == Line("", "12 events were missed.", Tone.NEEDED)
    assert [line.head + line.text for line in lines] == [
        "  0:03.0  agent     Good day.",
        "  0:07.0  call      now: listening",
    ]


def test_texts_of_others_are_harmless(call: Stream) -> None:
    assert call.texts(events.AgentSaid("u1", "a\x1b[2Jb\nc")) == ["agent     a\ufffd[2Jb c"]


def test_a_reader_knows_which_event_was_the_last(call: Stream) -> None:
    call.lines(events.AgentPaused())
    before = call.watch.since
    assert before is not None

    call.message({"type": "gap", "call_id": "CA1", "missed": 1})
    assert call.watch.since == before

    call.lines(events.AgentResumed())
    assert call.watch.since == before + 1


def test_events_of_a_later_version_are_passed_over(call: Stream) -> None:
    at = utc_text(NOON_S)
    assert call.message({"type": "caller_sang", "call_id": "CA1", "seq": 1, "at": at}) == []


@pytest.mark.parametrize(
    "message",
    [
        {},
        [],
        {"type": "gap"},
        {"type": "agent_said", "at": "noon"},
        {"type": "agent_said", "at": "2026-11-28T12:00:00Z"},
        {"type": "snapshot", "call": {}},
        {"type": "call_ended", "at": "2026-11-28T12:00:00Z", "reason": "boredom"},
    ],
)
def test_what_cannot_be_read_is_one_sentence(call: Stream, message: Any) -> None:
    with pytest.raises(BadMessage, match=r"use one of the service's version\.$"):
        call.message(message)


# All calls


def test_all_calls_are_told_with_the_time_of_day_and_the_beginning_of_their_ids() -> None:
    stream = Stream(AllCalls())
    summaries = [summary_of(snapshot("CA0123456789", caller=None, called=None), NOTHING)]
    beginning = stream.message(
        {"type": "snapshot", "call_id": None, "seq": 7, "at": utc_text(NOON_S), "calls": summaries}
    )
    stream.at_s += 62.0

    lines = [
        *beginning,
        *stream.lines(said("Hello.", interim=True), said("Hello."), call_id="CA0123456789"),
        *stream.lines(events.AgentSaid("u1", "Good day."), call_id="MZ1"),
    ]

    assert [line.head + line.text for line in lines] == [
        "Calls that go on: 1. Times are UTC.",
        "12:00:00  CA01234567  call      listening: phone, inbound, from unknown to unknown",
        "12:01:02  CA01234567  caller    Hello.",
        "12:01:02  MZ1         agent     Good day.",
    ]


def test_each_of_all_calls_has_its_own_course() -> None:
    stream = Stream(AllCalls())
    stream.lines(events.CommandGiven("hangup", "priya"), call_id="CA1")
    stream.lines(events.AgentHeard("u1", 900, 100, ""), call_id="CA1")

    other = stream.lines(events.AgentInterrupted(), call_id="CA2")
    ends = [
        line.text
        for call_id in ("CA2", "CA1", "CA1")
        for line in stream.lines(events.CallEnded(EndReason.OPERATOR_HUNG_UP), call_id=call_id)
    ]

    assert [line.text for line in other] == ["interrupted"]
    assert ends == [
        "An operator hung up.",
        "not heard to the end, heard 100 ms of 900 ms",
        "Hung up by priya.",
        "An operator hung up.",  # whatever comes after an end is of another call
    ]
    assert not stream.watch.is_over


NUMBERS: Mapping[Any, st.SearchStrategy[Any]] = {
    int: st.integers(0, 10**6),
    int | None: st.none() | st.integers(0, 10**6),
    float: st.floats(0.0, 1e6),
    Mapping[str, float]: st.dictionaries(st.text(), st.floats(0.0, 1.0)),
    Mapping[str, float] | None: st.dictionaries(st.text(), st.floats(0.0, 1.0)),
}
"""As JSON can tell them."""


def any_of(kind: type) -> st.SearchStrategy[Any]:
    """Any event of a type."""
    hints = get_type_hints(kind).items()
    return st.builds(kind, **{name: NUMBERS[hint] for name, hint in hints if hint in NUMBERS})


ANY_EVENT = st.one_of([any_of(kind) for kind in TYPE_NAMES])


@settings(max_examples=40)
@given(st.lists(ANY_EVENT, max_size=6))
def test_whatever_happens_has_lines_that_can_be_shown(happened: list[CallEvent]) -> None:
    for stream in (Stream(OneCall()), Stream(AllCalls())):
        for line in stream.lines(*happened):
            text = line.head + line.text
            assert harmless(text) == " ".join(text.split())
