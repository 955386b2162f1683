import json
from typing import Any, get_args

import pytest

from evibridge import events
from evibridge.agent.actions import HangUp
from evibridge.bridges.browser.caller_view import (
    MAX_UTTERANCES,
    CallerView,
    ended_without_event,
)
from evibridge.bus import Told
from evibridge.events import CallEvent, ChatOpening, EndReason

BEGAN_AT_S = 1_000.0


class View:
    """A view, and events for it one second apart."""

    def __init__(self) -> None:
        self.view = CallerView(BEGAN_AT_S, {"look_up": "One moment."}.get)
        self.seq = 0

    def message(self, event: CallEvent) -> dict[str, Any] | None:
        """What the page is told of an event."""
        self.seq += 1
        text = self.view.follow(Told("web-1", self.seq, BEGAN_AT_S + self.seq, event))
        if text is None:
            return None
        message: dict[str, Any] = json.loads(text)
        assert list(message)[:3] == ["type", "seq", "at_s"]
        assert message.pop("seq") == self.seq
        assert message.pop("at_s") == self.seq
        return message

    def messages(self, *happened: CallEvent) -> list[dict[str, Any]]:
        """What it is told of several."""
        return [told for told in map(self.message, happened) if told is not None]


@pytest.fixture
def view() -> View:
    return View()


def test_words_of_the_caller_come_with_the_strongest_expressions(view: View) -> None:
    scores = {name: index / 10 for index, name in enumerate("abcdefg")}
    assert view.message(events.CallerSaid("Hello", interim=False, typed=False, scores=scores)) == {
        "type": "transcript",
        "by": "caller",
        "text": "Hello",
        "interim": False,
        "typed": False,
        "expression": [
            {"name": "g", "score": 0.6},
            {"name": "f", "score": 0.5},
            {"name": "e", "score": 0.4},
            {"name": "d", "score": 0.3},
            {"name": "c", "score": 0.2},
        ],
    }
    interim = view.message(events.CallerSaid("Hel", interim=True, typed=False))
    assert interim is not None
    assert interim["interim"] is True
    assert "expression" not in interim


def test_a_sentence_of_the_agent_and_what_was_heard_of_it(view: View) -> None:
    said = events.AgentSaid("u1", "Good morning."), events.AgentSaid("u1", "How are you?")
    heard = events.AgentHeard("u1", 2_000, 2_000, "Good morning. How are you?")
    assert view.messages(*said, heard) == [
        {
            "type": "transcript",
            "by": "agent",
            "id": "u1",
            "text": "Good morning.",
            "interim": False,
            "typed": False,
        },
        {
            "type": "transcript",
            "by": "agent",
            "id": "u1",
            "text": "How are you?",
            "interim": False,
            "typed": False,
        },
        {"type": "heard", "id": "u1", "text": "Good morning. How are you?", "complete": True},
    ]


def test_a_sentence_whose_audio_did_not_all_come_was_not_heard_to_its_end(view: View) -> None:
    view.message(events.AgentSaid("u1", "Good morning."))
    heard = view.message(events.AgentHeard("u1", 500, 500, "Good"))
    assert heard == {"type": "heard", "id": "u1", "text": "Good", "complete": False}


@pytest.mark.parametrize(("heard_ms", "complete"), [(500, True), (499, False)])
def test_of_a_sentence_that_was_never_announced_the_audio_tells(
    view: View, heard_ms: int, complete: bool
) -> None:
    heard = view.message(events.AgentHeard("u1", 500, heard_ms, "Good"))
    assert heard is not None
    assert heard["complete"] is complete


def test_sentences_that_are_never_heard_are_forgotten(view: View) -> None:
    for number in range(MAX_UTTERANCES + 1):
        view.message(events.AgentSaid(f"u{number}", "Good morning."))
    first = view.message(events.AgentHeard("u0", 500, 500, "Good"))
    last = view.message(events.AgentHeard(f"u{MAX_UTTERANCES}", 500, 500, "Good"))
    assert first is not None
    assert last is not None
    assert (first["complete"], last["complete"]) == (True, False)


def test_an_agent_of_whose_coming_nothing_is_known_any_more_can_be_lost(view: View) -> None:
    assert view.messages(events.ChatLost(1011, None)) == [{"type": "away"}]


def test_how_the_agent_sounded_belongs_to_a_sentence(view: View) -> None:
    told = view.messages(
        events.AgentSounded("u1", {"joy": 0.51234}), events.AgentSounded(None, {"joy": 0.5})
    )
    assert told == [
        {"type": "expression", "id": "u1", "expression": [{"name": "joy", "score": 0.5123}]}
    ]


def test_the_agent_is_there_or_away_and_a_chat_that_is_renewed_is_not_seen(view: View) -> None:
    told = view.messages(
        events.ChatOpened("c1", "g1"),
        events.ChatOpened("c2", "g1", ChatOpening.RENEWED),
        events.ChatLost(1011, None),
        events.ChatLost(1011, None),
        events.ChatOpened("c3", "g1", ChatOpening.RESUMED),
    )
    assert [message["type"] for message in told] == ["ready", "away", "ready"]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        ("answered", "done"),
        ("superseded", "done"),
        ("cancelled", "done"),
        ("timeout", "failed"),
        ("declined", "failed"),
    ],
)
def test_a_tool_is_shown_by_its_name_alone(view: View, outcome: str, state: str) -> None:
    told = view.messages(
        events.ToolStarted("t1", "look_up", '{"secret": 1}'),
        events.ToolStarted("t2", "add", "{}"),
        events.ToolFinished("t1", "look_up", outcome, "secret", 5),
        events.ToolDelivered("t2", "add", outcome),
    )
    assert told == [
        {"type": "tool", "id": "t1", "name": "look_up", "state": "running", "words": "One moment."},
        {"type": "tool", "id": "t2", "name": "add", "state": "running"},
        {"type": "tool", "id": "t1", "name": "look_up", "state": state},
        {"type": "tool", "id": "t2", "name": "add", "state": state},
    ]


def test_who_has_paused_the_agent_is_told_without_a_name(view: View) -> None:
    told = view.messages(
        events.CommandGiven("pause", events.CALLER),
        events.AgentPaused(),
        events.CommandGiven("resume", events.CALLER),
        events.AgentResumed(),
        events.CommandGiven("pause", "Ada"),
        events.AgentPaused(),
        events.AgentResumed(),
        events.AgentPaused(),
    )
    assert told == [
        {"type": "paused", "by": "you"},
        {"type": "resumed"},
        {"type": "paused", "by": "operator"},
        {"type": "resumed"},
        {"type": "paused", "by": "operator"},
    ]


def test_what_others_write_in_the_callers_place_is_not_shown(view: View) -> None:
    written = events.CallerSaid("Where is it?", interim=False, typed=True, by_caller=False)
    typed = events.CallerSaid("Where is it?", interim=False, typed=True)

    assert view.message(written) is None
    assert view.message(typed) is not None


def test_a_person_who_takes_over_has_no_name(view: View) -> None:
    told = view.messages(
        events.CommandGiven("takeover", "Ada"),
        events.AgentPaused(),
        events.CallTakenOver("Ada"),
        events.OperatorSaid("Good", "Ada", interim=True, is_spoken=True),
        events.OperatorSaid("Good morning.", "Ada", interim=False, is_spoken=True),
        events.CommandGiven("say", "Ada", "It is here."),
        events.OperatorSaid("It is here.", "Ada", interim=False, is_spoken=False),
        events.CommandGiven("handback", "Ada"),
        events.CallHandedBack("Ada"),
        events.AgentResumed(),
    )
    words = {"type": "transcript", "by": "person", "interim": False}
    assert told == [
        {"type": "paused", "by": "operator"},
        {"type": "paused", "by": "person"},
        {**words, "text": "Good morning.", "typed": False},
        {**words, "text": "It is here.", "typed": True},
        {"type": "paused", "by": "operator"},
        {"type": "resumed"},
    ]


def test_a_caller_who_had_paused_the_agent_has_it_paused_afterwards(view: View) -> None:
    told = view.messages(
        events.CommandGiven("pause", events.CALLER),
        events.AgentPaused(),
        events.CallTakenOver("Ada"),
        events.CallHandedBack("Ada"),
    )
    assert [each["by"] for each in told] == ["you", "person", "you"]


def test_what_happens_to_the_whole_call(view: View) -> None:
    told = view.messages(
        events.CallHeld(),
        events.CallReleased(),
        events.CallerMuted(is_muted=True),
        events.AgentInterrupted(),
        events.HangUpDecided(EndReason.AGENT_HUNG_UP),
    )
    assert told == [
        {"type": "held"},
        {"type": "released"},
        {"type": "muted", "muted": True},
        {"type": "interrupted"},
        {"type": "ending", "reason": "agent_hung_up"},
    ]


def test_the_end_has_a_sentence_and_the_length_of_the_call(view: View) -> None:
    assert view.message(events.CallEnded(EndReason.CALLER_HUNG_UP)) == {
        "type": "ended",
        "reason": "caller_hung_up",
        "sentence": "You have ended the call.",
        "seconds": 1.0,
    }
    view.view.last_words = "Goodbye then."
    ended = view.message(events.CallEnded(EndReason.AGENT_HUNG_UP))
    assert ended is not None
    assert ended["sentence"] == "Goodbye then."


def test_an_end_that_no_event_tells_reads_the_same() -> None:
    assert json.loads(ended_without_event(HangUp(EndReason.FAULT), 1.23456)) == {
        "type": "ended",
        "reason": "fault",
        "sentence": "There was a technical problem on our side. Please call again.",
        "seconds": 1.235,
    }


def test_a_clock_that_was_put_back_makes_no_time_before_the_call(view: View) -> None:
    text = view.view.follow(Told("web-1", 1, BEGAN_AT_S - 5, events.CallHeld()))
    assert text is not None
    assert json.loads(text)["at_s"] == 0.0


PRIVATE: list[CallEvent] = [
    events.CallDialled("+14155550100", "Ada"),
    events.CallBegan(),
    events.CallerLost(),
    events.CallerReturned(),
    events.FillerPlayed(),
    events.DigitPressed("5"),
    events.DigitsEntered("5"),
    events.TurnAnswered(300),
    events.ApprovalWanted("t1", "look_up", "{}", 5.0),
    events.ApprovalGiven("t1", "look_up", True, "Ada"),
    events.CommandGiven("context", "Ada", "He is a thief."),
    events.RecordingFailed("The disk is full."),
    events.DigitsSent("5"),
    events.ServerReportedError("E0101", "slug", "A sentence."),
]


@pytest.mark.parametrize("event", PRIVATE, ids=lambda event: type(event).__name__)
def test_what_concerns_the_service_alone_is_not_shown(view: View, event: CallEvent) -> None:
    assert view.message(event) is None


def test_every_event_is_either_shown_or_known_to_be_private() -> None:
    private = {type(event) for event in PRIVATE}
    shown = set(CallerView._tellers) - {events.CommandGiven}
    assert private | shown == set(get_args(CallEvent))
    assert not private & shown
