from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from evibridge import events
from evibridge.agent.conversation import MAX_TEXT
from evibridge.errors import BadMessage
from evibridge.event_wire import event_members
from evibridge.events import ChatOpening, EndReason
from evibridge.records import document
from evibridge.records.call_record import call_record
from evibridge.records.document import Recording, encoded, members_of, outlined, parsed
from evibridge.records.summary import summary
from tests.agent.stage import Stage
from tests.records.calls import BEGAN_AT, ENDED, agent, caller, operator, record, told
from tests.virtual_clock import run_in_virtual_time

ROOT = Path(__file__).parents[2]


def said(text: str, **facts: Any) -> events.CallerSaid:
    return events.CallerSaid(text, interim=False, typed=False, **facts)


# The call


def test_a_record_tells_who_called_whom_and_when() -> None:
    members = record().model_dump()

    assert members | {"events": []} == {
        "version": 1,
        "call_id": "CA1",
        "kind": "phone",
        "direction": "inbound",
        "agent": None,
        "caller": "+4930111",
        "called": "+1415222",
        "chat_id": "chat-1",
        "chat_group_id": "group-1",
        "chat_ids": ["chat-1"],
        "began_at": BEGAN_AT,
        "ended_at": "2026-11-28T09:13:02.623Z",
        "lasts_s": 62.5,
        "end_reason": "caller_hung_up",
        "ended_by": None,
        "transferred_to": None,
        "turns": [],
        "tools": [],
        "commands": [],
        "latencies": {"response_ms": [], "p50": None, "p95": None, "max": None},
        "interruptions": 0,
        "reconnects": {"chat": 0, "caller": 0},
        "digits": 0,
        "recording": None,
        "events": [],
    }


def test_a_call_that_cannot_tell_why_it_is_over_has_failed() -> None:
    assert record(ended=None).end_reason is EndReason.FAULT


def test_the_agent_is_named() -> None:
    assert call_record(ENDED, (), agent="Paper Lantern").agent == "Paper Lantern"


HANGUP = events.CommandGiven("hangup", "ana")
TRANSFER = events.CommandGiven("transfer", "ben", "+4930333")


@pytest.mark.parametrize(
    ("commands", "reason", "by", "to"),
    [
        ([HANGUP], EndReason.OPERATOR_HUNG_UP, "ana", None),
        ([HANGUP, events.CommandGiven("hangup", "ben")], EndReason.OPERATOR_HUNG_UP, "ben", None),
        ([TRANSFER, HANGUP], EndReason.OPERATOR_HUNG_UP, "ana", None),
        ([TRANSFER], EndReason.TRANSFERRED, "ben", "+4930333"),
        ([events.CommandGiven("say", "ana", "Bye.")], EndReason.TRANSFERRED, None, None),
        ([HANGUP], EndReason.CALLER_HUNG_UP, None, None),
        ([TRANSFER], EndReason.CALLER_HUNG_UP, None, None),
    ],
)
def test_whoever_has_ended_the_call_for_the_agent_is_named(
    commands: list[events.CommandGiven], reason: EndReason, by: str | None, to: str | None
) -> None:
    kept = record("CA1", *((1.0, each) for each in commands), ended=reason)
    assert (kept.ended_by, kept.transferred_to) == (by, to)


def test_all_chats_of_the_call_are_named_once() -> None:
    kept = record(
        "CA1",
        (0.0, events.ChatOpened("chat-0", "group-1")),
        (9.0, events.ChatOpened("chat-1", "group-1", ChatOpening.RENEWED)),
    )
    assert kept.chat_ids == ["chat-0", "chat-1"]


def test_a_call_whose_server_was_never_there_has_no_chat() -> None:
    assert record(chat_id="", chat_group_id="").chat_ids == []


def test_losses_are_counted_by_what_came_back() -> None:
    kept = record(
        "CA1",
        (0.0, events.ChatOpened("chat-0", "group-0")),
        (1.0, events.ChatLost(1006, None)),
        (2.0, events.ChatOpened("chat-1", "group-0", ChatOpening.RESUMED)),
        (3.0, events.ChatOpened("chat-2", "group-1", ChatOpening.AFRESH)),
        (4.0, events.ChatOpened("chat-3", "group-1", ChatOpening.RENEWED)),
        (5.0, events.CallerLost()),
        (6.0, events.CallerReturned()),
        (7.0, events.AgentInterrupted()),
    )
    assert (kept.reconnects.chat, kept.reconnects.caller, kept.interruptions) == (2, 1, 1)


def test_keys_are_counted() -> None:
    assert record(digits="12#").digits == 3


def test_commands_tell_who_has_asked_for_what() -> None:
    kept = record(
        "CA1",
        (1.0, events.CommandGiven("pause", "ana")),
        (2.5, events.CommandGiven("say", "ben", "One moment.")),
    )
    assert [command.model_dump() for command in kept.commands] == [
        {"command": "pause", "by": "ana", "at": "2026-11-28T09:12:01.123Z", "text": None},
        {"command": "say", "by": "ben", "at": "2026-11-28T09:12:02.623Z", "text": "One moment."},
    ]


@pytest.mark.parametrize(
    ("waited", "p50", "p95", "longest"),
    [([700], 700, 700, 700), ([900, 300, 500, 700], 500, 900, 900), (range(100), 49, 94, 99)],
)
def test_waits_are_ranked(waited: list[int], p50: int, p95: int, longest: int) -> None:
    kept = record("CA1", *((1.0, events.TurnAnswered(each)) for each in waited)).latencies
    assert kept.response_ms == list(waited)
    assert (kept.p50, kept.p95, kept.max) == (p50, p95, longest)


def test_the_recording_is_named() -> None:
    recording = Recording(file="CA1.wav", seconds=62.4, rate_hz=8000, failure=None)
    assert call_record(ENDED, (), recording).recording == recording


def test_events_are_as_operators_have_seen_them() -> None:
    history = told((0.0, events.CallBegan()), (1.0, said("Hello.")))
    assert call_record(ENDED, history).events == [event_members(each) for each in history]


# What was said


def test_turns_have_what_was_heard_of_them() -> None:
    lines = [caller(0.5, "Hello?"), agent(1.23456, "Good morning to you.", "Good morning")]
    first, second = record(lines=lines).turns

    assert (first.who, first.at_s, first.text_heard) == ("caller", 0.5, "Hello?")
    assert (second.who, second.at_s, second.text, second.text_heard, second.utterance_id) == (
        "agent",
        1.235,
        "Good morning to you.",
        "Good morning",
        "u1",
    )
    assert (second.sent_ms, second.heard_ms) == (1000, 600)


def test_the_callers_strongest_expressions_are_kept_strongest_first() -> None:
    scores = {name: number / 10 for number, name in enumerate("abcdefg")}
    kept = record("CA1", (0.5, said("Hello?", scores=scores)), lines=[caller(0.5, "Hello?")])

    strongest = kept.turns[0].scores
    assert strongest is not None
    assert [(each.name, each.score) for each in strongest] == [
        ("g", 0.6),
        ("f", 0.5),
        ("e", 0.4),
        ("d", 0.3),
        ("c", 0.2),
    ]


def test_what_was_put_into_the_callers_mouth_is_told_apart() -> None:
    typed = events.CallerSaid("Hello?", interim=False, typed=True)
    kept = record(
        "CA1",
        (0.5, said("Hello?")),
        (1.5, typed),
        lines=[caller(0.5, "Hello?"), caller(1.5, "Hello?")],
    )
    assert [turn.is_typed for turn in kept.turns] == [False, True]
    assert [turn.scores for turn in kept.turns] == [None, None]


def test_the_callers_words_tell_how_long_they_took() -> None:
    kept = record("CA1", (1.5, said("Hello?", spoke_ms=640)), lines=[caller(1.5, "Hello?")])
    assert [turn.spoke_ms for turn in kept.turns] == [640]


def test_operators_are_named_and_what_they_wrote_is_told_from_what_they_spoke() -> None:
    def by(name: str, *, is_spoken: bool) -> events.OperatorSaid:
        return events.OperatorSaid("Hello.", name, interim=False, is_spoken=is_spoken)

    kept = record(
        "CA1",
        (1.0, by("ana", is_spoken=True)),
        (2.0, by("ben", is_spoken=False)),
        (3.0, said("Hello.", spoke_ms=500)),
        (4.0, events.TurnAnswered(700)),
        lines=[
            operator(1.0, "Hello.", "ana"),
            operator(2.0, "Hello.", "ben"),
            caller(3.0, "Hello."),
            agent(4.0, "Hello."),
        ],
    )
    assert [(turn.who, turn.by, turn.is_typed, turn.spoke_ms) for turn in kept.turns] == [
        ("operator", "ana", False, None),
        ("operator", "ben", True, None),
        ("caller", None, False, 500),
        ("agent", None, False, None),
    ]
    assert [turn.response_ms for turn in kept.turns] == [None, None, None, 700]


def test_turns_whose_events_are_forgotten_lack_only_what_those_told() -> None:
    lines = [caller(0.5, "Hello?"), agent(1.0, "Yes?"), caller(1.5, "Hello?")]
    kept = record("CA1", (1.5, said("Hello?", scores={"joy": 0.5})), lines=lines)

    assert [turn.text for turn in kept.turns] == ["Hello?", "Yes?", "Hello?"]
    assert [turn.scores is not None for turn in kept.turns] == [False, False, True]


def test_words_too_long_for_a_line_are_those_of_their_event() -> None:
    endless = said("a" * (MAX_TEXT + 1), scores={"joy": 0.5})
    kept = record("CA1", (0.5, endless), lines=[caller(0.5, "a" * MAX_TEXT)])
    assert kept.turns[0].scores is not None


def test_the_first_answer_to_the_caller_has_his_wait() -> None:
    lines = [
        agent(0.0, "Hello.", name="u0"),
        caller(1.0, "Hi."),
        agent(2.0, "One.", name="u1"),
        agent(3.0, "Two.", name="u2"),
        caller(4.0, "Bye."),
        agent(5.0, "Bye.", name="u3"),
    ]
    kept = record(
        "CA1",
        (0.0, events.AgentSaid("u0", "Hello.")),
        (1.0, said("Hi.")),
        (2.0, events.AgentSaid("u1", "One.")),
        (2.1, events.TurnAnswered(800)),
        (4.0, said("Bye.")),
        (5.1, events.TurnAnswered(600)),
        (5.2, events.TurnAnswered(1200)),
        lines=lines,
    )
    assert [turn.response_ms for turn in kept.turns] == [None, None, 800, None, None, 600]


def test_a_wait_belongs_to_no_line_if_the_callers_words_are_forgotten_or_the_answers() -> None:
    forgotten = record("CA1", (2.0, events.TurnAnswered(800)), lines=[agent(2.0, "One.")])
    unspoken = record(
        "CA1",
        (1.0, said("Hi.")),
        (2.0, events.TurnAnswered(800)),
        lines=[agent(0.0, "Hello."), caller(1.0, "Hi.")],
    )
    assert [turn.response_ms for turn in forgotten.turns + unspoken.turns] == [None] * 3


def test_only_what_an_interruption_has_cut_off_was_interrupted() -> None:
    lines = [
        agent(1.0, "Heard to its end.", name="u1"),
        agent(2.0, "Cut off by the caller.", "Cut off", name="u2"),
        agent(3.0, "Never begun.", "", name="u3"),
        agent(9.0, "Cut off by the end.", "Cut off", name="u4"),
    ]
    kept = record(
        "CA1",
        (2.0, events.AgentHeard("u1", 850, 850, "Heard to its end.")),
        (2.5, events.AgentHeard("u2", 1100, 350, "Cut off")),
        (2.5, events.AgentHeard("u3", 0, 0, "")),
        (2.5, events.AgentInterrupted()),
        (9.5, events.AgentHeard("u4", 950, 350, "Cut off")),
        (9.5, events.CallEnded(EndReason.CALLER_HUNG_UP)),
        lines=lines,
    )
    assert [turn.was_interrupted for turn in kept.turns] == [False, True, True, False]


def test_a_real_call_is_recorded_as_it_went() -> None:
    async def call() -> Stage:
        stage = Stage()
        await stage.talk(1)
        stage.evi.chats[0].hear("Where is my order?")
        stage.evi.chats[0].speak("u1", "It is on its way and comes on Friday.", 3000)
        await stage.talk(1, loud=True)
        stage.evi.chats[0].say(type="user_interruption", time=0)
        stage.evi.chats[0].hear("Thanks, goodbye.")
        await stage.leave()
        return stage

    stage = run_in_virtual_time(call())
    history = told(*((1.0, event) for event in stage.events))
    kept = call_record(stage.call.snapshot(), history)

    assert [(turn.who, turn.text, turn.was_interrupted) for turn in kept.turns] == [
        ("caller", "Where is my order?", False),
        ("agent", "It is on its way and comes on Friday.", True),
        ("caller", "Thanks, goodbye.", False),
    ]
    assert 0 < kept.turns[1].heard_ms < kept.turns[1].sent_ms == 3000
    assert kept.turns[1].text.startswith(kept.turns[1].text_heard)
    assert [turn.response_ms is not None for turn in kept.turns] == [False, True, False]
    assert kept.end_reason is EndReason.CALLER_HUNG_UP
    assert kept.chat_ids == ["chat-1"]


# The document


def test_a_record_is_read_as_it_was_written() -> None:
    kept = record("CA1", (1.0, said("Grüß Gott!")), lines=[caller(1.0, "Grüß Gott!")])
    assert parsed(members_of(encoded(kept))) == kept


def test_half_a_surrogate_pair_costs_no_record() -> None:
    kept = record("CA1", (1.0, said("a\ud800b")), lines=[caller(1.0, "a\ud800b")])
    again = parsed(members_of(encoded(kept)))
    assert again.turns[0].text == "a?b"
    assert again.events[0]["text"] == "a?b"


def test_members_that_a_later_service_adds_are_carried_along() -> None:
    members = {**record().model_dump(), "weather": "fine"}
    assert parsed(members).model_dump() == members


def test_a_record_of_an_earlier_service_is_read() -> None:
    members = record(lines=[caller(1.0, "Hello.")]).model_dump()
    for name in ("agent", "ended_by", "transferred_to"):
        del members[name]
    for name in ("by", "spoke_ms"):
        del members["turns"][0][name]

    again = parsed(members)

    assert (again.agent, again.ended_by, again.transferred_to) == (None, None, None)
    assert (again.turns[0].by, again.turns[0].spoke_ms) == (None, None)
    assert summary(again)["ended"]["voices"] == {"caller": [(0.6, 1.0)], "agent": []}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b'{"version": 1',
        b"[]",
        b"{}",
        encoded(record()).replace(b'"version":1', b'"version":2'),
        encoded(record()).replace(b'"turns":[]', b'"turns":[{"who":"ghost"}]'),
        encoded(record()).replace(BEGAN_AT.encode(), b"yesterday"),
        encoded(record()).replace(BEGAN_AT.encode(), b"2026-11-28T09:12:00.123"),
    ],
)
def test_what_is_no_record_is_refused(text: bytes) -> None:
    with pytest.raises(BadMessage):
        parsed(members_of(text))
    with pytest.raises(BadMessage):
        outlined(members_of(text))


def test_an_outline_has_all_but_the_events_whatever_they_are() -> None:
    kept = record("CA1", (1.0, said("Hello.")), lines=[caller(1.0, "Hello.")])
    outline = outlined({**kept.model_dump(), "events": "many"})
    assert outline.model_dump() == kept.model_dump(exclude={"events"})


def test_the_page_on_records_names_every_member() -> None:
    page = (ROOT / "docs" / "records.md").read_text()
    models = [
        each
        for each in vars(document).values()
        if isinstance(each, type) and issubclass(each, BaseModel)
    ]
    missing = {name for model in models for name in model.model_fields if f"`{name}`" not in page}
    assert not missing


def test_a_call_of_a_program_is_recorded_without_numbers() -> None:
    kept = call_record(replace(ENDED, caller=None, called=None), ())
    assert (kept.caller, kept.called) == (None, None)
