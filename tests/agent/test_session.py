from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.session import (
    LAST_WORDS_GRACE_S,
    MAX_OPEN_TOOLS,
    MAX_STALE_UTTERANCES,
    CallLimits,
    CallSession,
    text_heard,
)
from evibridge.audio.playout import STALLED_MS, STALLED_S, Heard
from evibridge.events import EndReason

SETTINGS = evi.SessionSettings(system_prompt="You answer the phone.")
LIMITS = CallLimits(chat_ready_s=10, call_s=1800)
CHAT = evi.ChatMetadata("chat-1", "group-1")


def new_session() -> CallSession:
    session = CallSession(SETTINGS, LIMITS)
    assert session.caller_joined(0.0) == [act.Connect()]
    return session


def talking_session() -> CallSession:
    session = new_session()
    session.evi_said(CHAT, 0.2)
    return session


def sentence(utterance_id: str, text: str = "Good day to you.") -> evi.AssistantMessage:
    return evi.AssistantMessage(utterance_id, text, from_text=False, is_quick_response=False)


def said(text: str = "hello", *, interim: bool = False) -> evi.UserMessage:
    return evi.UserMessage(text, interim=interim, from_text=False, begin_ms=0, end_ms=1)


def speak(session: CallSession, utterance_id: str, ms: float, now_s: float) -> list[act.Action]:
    session.evi_said(sentence(utterance_id), now_s)
    assert session.accepts(utterance_id)
    return session.agent_audio_sent(utterance_id, ms, now_s)


def tool_call(tool_call_id: str = "call_1") -> evi.ToolCall:
    return evi.ToolCall(tool_call_id, "order_status", '{"order_id":"1042"}')


def ends(actions: list[act.Action]) -> list[EndReason]:
    return [action.reason for action in actions if isinstance(action, act.HangUp)]


def published(actions: list[act.Action]) -> list[events.CallEvent]:
    return [action.event for action in actions if isinstance(action, act.Publish)]


class TestOpening:
    def test_the_agents_settings_are_the_first_thing_the_server_is_told(self) -> None:
        session = new_session()

        assert session.evi_said(CHAT, 0.2) == [
            act.Tell(SETTINGS),
            act.Publish(events.ChatOpened("chat-1", "group-1")),
        ]

    def test_a_second_chat_metadata_changes_nothing(self) -> None:
        assert talking_session().evi_said(CHAT, 1.0) == []

    def test_a_chat_that_is_not_ready_in_time_ends_the_call(self) -> None:
        session = new_session()

        assert session.next_wake_s == LIMITS.chat_ready_s
        assert ends(session.woke(10.0)) == [EndReason.EVI_UNREACHABLE]

    def test_waking_too_early_changes_nothing(self) -> None:
        session = new_session()

        assert session.woke(9.9) == []
        assert session.next_wake_s == LIMITS.chat_ready_s

    def test_a_refused_chat_ends_the_call(self) -> None:
        assert ends(new_session().evi_unavailable(EndReason.EVI_REFUSED)) == [EndReason.EVI_REFUSED]

    def test_no_audio_is_accepted_before_the_chat_is_open(self) -> None:
        assert not new_session().accepts("a")

    def test_a_caller_who_left_before_the_start_opens_no_chat(self) -> None:
        session = CallSession(SETTINGS, LIMITS)
        session.caller_left(EndReason.CALLER_HUNG_UP)

        assert session.caller_joined(0.0) == []
        assert session.next_wake_s is None


class TestTheAgentsVoice:
    def test_a_sentence_is_told_and_its_audio_accepted(self) -> None:
        session = talking_session()

        actions = session.evi_said(sentence("a", "Hello."), 1.0)

        assert published(actions) == [events.AgentSaid("a", "Hello.")]
        assert session.accepts("a")

    def test_marks_are_placed_now_and_then_and_at_the_end_of_a_turn(self) -> None:
        session = talking_session()

        assert speak(session, "a", 200, 1.0) == []
        assert speak(session, "a", 200, 1.0) == [act.PlaceMark("0:400")]
        assert speak(session, "a", 100, 1.0) == []
        assert session.evi_said(evi.AssistantEnd(), 1.0) == [act.PlaceMark("0:500")]
        assert session.evi_said(evi.AssistantEnd(), 1.0) == []

    def test_what_was_heard_is_told_when_its_mark_comes_back(self) -> None:
        session = talking_session()
        speak(session, "a", 500, 1.0)
        session.evi_said(evi.AssistantEnd(), 1.0)

        heard = published(session.playback_heard("0:500", 1.6))

        assert heard == [events.AgentHeard("a", 500, 500, "Good day to you.")]

    def test_audio_without_an_announced_sentence_is_accepted(self) -> None:
        assert talking_session().accepts("never announced")

    def test_a_sentence_without_an_id_lets_audio_through(self) -> None:
        session = talking_session()
        session.evi_said(evi.UserInterruption(1), 1.0)

        session.evi_said(
            evi.AssistantMessage(None, "Hi.", from_text=False, is_quick_response=False), 1.1
        )

        assert session.accepts("unknown")

    def test_a_caller_whose_phone_stops_playing_ends_the_call(self) -> None:
        session = talking_session()
        speak(session, "a", STALLED_MS + 1, 1.0)

        actions = session.agent_audio_sent("a", 1, 1.0 + STALLED_S + 1)

        assert ends(actions) == [EndReason.CALLER_STALLED]


class TestBargeIn:
    def test_an_interruption_clears_at_once_and_refuses_what_comes_late(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)

        actions = session.evi_said(evi.UserInterruption(1767000061250), 1.5)

        assert actions == [
            act.ClearPlayback(),
            act.Publish(events.AgentHeard("a", 1000, 500, "Good day")),
            act.Publish(events.AgentInterrupted()),
        ]
        assert not session.accepts("a")
        assert not session.accepts("not announced since")

    def test_the_next_sentence_is_heard_again(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)
        session.evi_said(evi.UserInterruption(1), 1.5)

        session.evi_said(sentence("b"), 2.0)

        assert session.accepts("b")
        assert not session.accepts("a")

    def test_a_late_sentence_of_the_interrupted_turn_does_not_open_the_gate(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)
        session.evi_said(evi.UserInterruption(1), 1.5)

        assert session.evi_said(sentence("a"), 1.6) == []
        assert not session.accepts("a")

    def test_an_interruption_after_the_last_word_clears_nothing(self) -> None:
        session = talking_session()
        speak(session, "a", 400, 1.0)
        session.evi_said(evi.AssistantEnd(), 1.0)
        session.playback_heard("0:400", 1.5)

        assert session.evi_said(evi.UserInterruption(1), 2.0) == []

    def test_a_mark_flushed_by_the_clear_is_not_taken_for_heard(self) -> None:
        session = talking_session()
        speak(session, "a", 400, 1.0)
        session.evi_said(evi.UserInterruption(1), 1.1)

        assert session.playback_heard("0:400", 1.2) == []

    def test_a_user_message_after_generation_is_over_is_a_barge_in(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)
        session.evi_said(evi.AssistantEnd(), 1.1)

        actions = session.evi_said(said(interim=True), 2.0)

        assert actions[0] == act.ClearPlayback()
        assert not session.accepts("a")

    def test_a_user_message_while_the_server_still_generates_is_not(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)

        assert session.evi_said(said(interim=True), 2.0) == [
            act.Publish(events.CallerSaid("hello", interim=True, typed=False))
        ]
        assert session.accepts("a")

    def test_interrupted_utterances_are_remembered_up_to_a_bound(self) -> None:
        session = talking_session()
        for number in range(MAX_STALE_UTTERANCES + 2):
            session.evi_said(sentence(f"u{number}"), 1.0)
            session.evi_said(evi.UserInterruption(1), 1.0)
        session.evi_said(sentence("live"), 1.0)

        assert not session.accepts("u2")
        assert session.accepts("u0")

    @given(st.data())
    def test_no_audio_of_an_interrupted_utterance_is_accepted_in_any_order_of_events(
        self, data: st.DataObject
    ) -> None:
        session = talking_session()
        interrupted: set[str] = set()
        announced: list[str] = []
        now_s = 1.0
        for _ in range(data.draw(st.integers(1, 40))):
            now_s += data.draw(st.sampled_from([0.0, 0.02, 0.5]))
            step = data.draw(st.sampled_from(["say", "audio", "audio", "end", "cut", "user"]))
            if step == "say":
                announced.append(f"u{len(announced)}")
                session.evi_said(sentence(announced[-1]), now_s)
            elif step == "audio" and announced:
                utterance = data.draw(st.sampled_from(announced))
                if session.accepts(utterance):
                    assert utterance not in interrupted
                    session.agent_audio_sent(utterance, 300, now_s)
            elif step == "end":
                session.evi_said(evi.AssistantEnd(), now_s)
            elif step == "cut":
                session.evi_said(evi.UserInterruption(1), now_s)
                interrupted.update(announced)
            elif step == "user":
                actions = session.evi_said(said(), now_s)
                if act.ClearPlayback() in actions:
                    interrupted.update(announced)


class TestTheCaller:
    def test_what_the_caller_said_is_told(self) -> None:
        actions = talking_session().evi_said(said("Where is my order?"), 1.0)

        assert published(actions) == [
            events.CallerSaid("Where is my order?", interim=False, typed=False)
        ]

    @pytest.mark.parametrize("reason", [EndReason.CALLER_HUNG_UP, EndReason.CALLER_LOST])
    def test_a_caller_who_leaves_ends_the_call(self, reason: EndReason) -> None:
        session = talking_session()

        assert session.caller_left(reason) == [
            act.HangUp(reason),
            act.Publish(events.CallEnded(reason)),
        ]
        assert session.next_wake_s is None

    def test_a_call_ends_only_once(self) -> None:
        session = talking_session()
        session.caller_left(EndReason.CALLER_HUNG_UP)

        assert session.ended_by(EndReason.FAULT) == []
        assert session.evi_closed(1000, 2.0) == []
        assert session.evi_said(said(), 2.0) == []
        assert not session.accepts("a")

    def test_the_longest_call_is_ended(self) -> None:
        session = talking_session()

        assert session.next_wake_s == LIMITS.call_s
        assert ends(session.woke(1800.0)) == [EndReason.MAX_DURATION]


class TestTools:
    def test_a_tool_call_is_run_and_answered_once(self) -> None:
        session = talking_session()
        answer = evi.ToolResponse("call_1", "on its way")

        assert session.evi_said(tool_call(), 1.0) == [
            act.StartTool(tool_call()),
            act.Publish(events.ToolStarted("call_1", "order_status", '{"order_id":"1042"}')),
        ]
        assert session.tool_finished("call_1", answer) == [
            act.Tell(answer),
            act.Publish(events.ToolFinished("call_1", "order_status", "answered")),
        ]
        assert session.tool_finished("call_1", answer) == []

    def test_the_same_call_twice_runs_once(self) -> None:
        session = talking_session()
        session.evi_said(tool_call(), 1.0)

        assert session.evi_said(tool_call(), 1.1) == []

    def test_a_failure_is_told_by_its_code(self) -> None:
        session = talking_session()
        session.evi_said(tool_call(), 1.0)

        actions = session.tool_finished("call_1", evi.ToolError("call_1", "boom", code="timeout"))

        assert published(actions) == [events.ToolFinished("call_1", "order_status", "timeout")]

    @pytest.mark.parametrize(
        "call",
        [
            evi.ToolCall("c", "web_search", "{}", response_required=False, tool_type="builtin"),
            evi.ToolCall("c", "web_search", "{}", tool_type="builtin"),
            evi.ToolCall("c", "note", "{}", response_required=False),
        ],
    )
    def test_calls_that_want_no_answer_are_left_alone(self, call: evi.ToolCall) -> None:
        assert talking_session().evi_said(call, 1.0) == []

    def test_a_call_after_the_caller_spoke_again_supersedes_the_older_one(self) -> None:
        session = talking_session()
        session.evi_said(tool_call("call_1"), 1.0)
        session.evi_said(said("no, order 7"), 2.0)

        actions = session.evi_said(tool_call("call_2"), 3.0)

        assert act.CancelTool("call_1") in actions
        assert act.StartTool(tool_call("call_2")) in actions
        assert session.tool_finished("call_1", evi.ToolResponse("call_1", "late")) == []

    def test_calls_side_by_side_are_all_answered(self) -> None:
        session = talking_session()
        session.evi_said(tool_call("call_1"), 1.0)
        session.evi_said(tool_call("call_2"), 1.0)

        assert session.tool_finished("call_1", evi.ToolResponse("call_1", "one")) != []
        assert session.tool_finished("call_2", evi.ToolResponse("call_2", "two")) != []

    def test_too_many_calls_at_once_are_answered_busy(self) -> None:
        session = talking_session()
        for number in range(MAX_OPEN_TOOLS):
            session.evi_said(tool_call(f"call_{number}"), 1.0)

        (action,) = session.evi_said(tool_call("one too many"), 1.0)

        assert isinstance(action, act.Tell)
        assert isinstance(action.message, evi.ToolError)
        assert action.message.code == "busy"

    def test_running_tools_are_cancelled_when_the_call_ends(self) -> None:
        session = talking_session()
        session.evi_said(tool_call(), 1.0)

        actions = session.caller_left(EndReason.CALLER_HUNG_UP)

        assert act.CancelTool("call_1") in actions


class TestOperators:
    def test_pausing_silences_the_agent_and_tells_the_server(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)

        actions = session.command(act.Command.PAUSE, 1.5)

        assert actions[0] == act.Tell(evi.PauseAssistant())
        assert act.ClearPlayback() in actions
        assert published(actions)[-1] == events.AgentPaused()
        assert not session.accepts("a")
        assert session.hears_caller

    def test_pausing_and_resuming_twice_changes_nothing(self) -> None:
        session = talking_session()
        session.command(act.Command.PAUSE, 1.0)

        assert session.command(act.Command.PAUSE, 1.0) == []
        assert session.command(act.Command.RESUME, 2.0) == [
            act.Tell(evi.ResumeAssistant()),
            act.Publish(events.AgentResumed()),
        ]
        assert session.command(act.Command.RESUME, 2.0) == []

    def test_a_held_call_is_silent_in_both_directions_until_released(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)

        assert act.ClearPlayback() in session.command(act.Command.HOLD, 1.5)
        assert session.command(act.Command.HOLD, 1.6) == []
        session.evi_said(sentence("b"), 2.0)
        while_held = (session.hears_caller, session.accepts("b"))

        session.command(act.Command.RELEASE, 3.0)

        assert while_held == (False, False)
        assert (session.hears_caller, session.accepts("b")) == (True, False)
        session.evi_said(sentence("c"), 4.0)
        assert session.accepts("c")

    def test_a_sentence_that_was_on_its_way_when_paused_is_not_heard(self) -> None:
        session = talking_session()
        session.command(act.Command.PAUSE, 1.0)

        assert session.evi_said(sentence("late"), 1.1) == []
        assert not session.accepts("late")
        session.command(act.Command.RESUME, 2.0)
        assert not session.accepts("late")

    def test_an_operator_can_hang_up_at_any_time(self) -> None:
        for session in (new_session(), talking_session()):
            reasons = ends(session.command(act.Command.HANG_UP, 1.0))
            assert reasons == [EndReason.OPERATOR_HUNG_UP]

    def test_commands_wait_for_a_conversation(self) -> None:
        assert new_session().command(act.Command.PAUSE, 1.0) == []

    def test_the_agent_can_be_made_to_say_something(self) -> None:
        assert talking_session().say("One moment.") == [act.Tell(evi.AssistantInput("One moment."))]
        assert new_session().say("One moment.") == []


class TestLeaving:
    def test_the_last_words_are_heard_before_the_hang_up(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)

        assert session.evi_closed(1000, 1.1) == []
        assert not session.accepts("bye")

        actions = session.playback_heard("0:900", 1.9)
        assert ends(actions) == [EndReason.AGENT_HUNG_UP]

    def test_what_the_clock_takes_for_played_is_still_waited_for(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)

        assert ends(session.evi_closed(1000, 60.0)) == []
        wake_s = session.next_wake_s
        assert wake_s == 60.0 + LAST_WORDS_GRACE_S

    def test_an_error_that_the_conversation_has_outlived_means_nothing(self) -> None:
        session = talking_session()
        session.evi_said(evi.ChatError("I0100", "", ""), 1.0)
        session.evi_said(said(), 2.0)

        assert ends(session.evi_closed(1000, 3.0)) == [EndReason.AGENT_HUNG_UP]

    def test_a_close_before_the_chat_was_open_is_a_refusal(self) -> None:
        assert ends(new_session().evi_closed(1000, 1.0)) == [EndReason.EVI_REFUSED]

    def test_tools_are_cancelled_when_nobody_takes_their_answers(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)
        session.evi_said(tool_call(), 1.0)

        assert act.CancelTool("call_1") in session.evi_closed(1000, 1.1)
        assert session.tool_finished("call_1", evi.ToolResponse("call_1", "late")) == []

    def test_an_unmarked_tail_gets_a_mark_when_the_server_has_closed(self) -> None:
        session = talking_session()
        speak(session, "bye", 300, 1.0)

        assert session.evi_closed(1000, 1.1) == [act.PlaceMark("0:300")]

    def test_a_mark_that_never_comes_is_waited_for_within_a_bound(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)
        session.evi_closed(1000, 1.1)

        wake_s = session.next_wake_s
        assert wake_s == pytest.approx(1.9 + LAST_WORDS_GRACE_S)
        assert wake_s is not None
        assert ends(session.woke(wake_s)) == [EndReason.AGENT_HUNG_UP]

    def test_a_caller_who_leaves_during_the_last_words_was_still_left_by_the_agent(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)
        session.evi_closed(1000, 1.1)

        assert ends(session.caller_left(EndReason.CALLER_HUNG_UP)) == [EndReason.AGENT_HUNG_UP]

    @pytest.mark.parametrize(
        ("code", "error", "reason"),
        [
            (1000, None, EndReason.AGENT_HUNG_UP),
            (1000, "E0714", EndReason.INACTIVITY),
            (1000, "E0715", EndReason.MAX_DURATION),
            (1000, "I0116", EndReason.EVI_LOST),
            (1000, "E0709", EndReason.EVI_REFUSED),
            (1000, "I0999", EndReason.EVI_LOST),
            (1008, None, EndReason.EVI_REFUSED),
            (1008, "E0300", EndReason.EVI_REFUSED),
            (1006, None, EndReason.EVI_LOST),
            (1011, None, EndReason.EVI_LOST),
        ],
    )
    def test_a_close_means_what_the_last_error_said(
        self, code: int, error: str | None, reason: EndReason
    ) -> None:
        session = talking_session()
        if error is not None:
            actions = session.evi_said(evi.ChatError(error, "slug", "text"), 1.0)
            assert published(actions) == [events.ServerReportedError(error, "slug", "text")]

        assert ends(session.evi_closed(code, 2.0)) == [reason]


def test_messages_without_a_meaning_for_the_call_change_nothing() -> None:
    session = talking_session()
    for message in (
        evi.AssistantProsody("a"),
        evi.SessionSettings(),
        evi.Unknown("weather", {}),
        evi.ToolResponse("c", "builtin result"),
    ):
        assert session.evi_said(message, 1.0) == []


@pytest.mark.parametrize(
    ("heard_ms", "text"), [(0, ""), (499, "one"), (500, "one two"), (1000, "one two three four")]
)
def test_the_words_heard_are_in_proportion_to_the_time(heard_ms: float, text: str) -> None:
    assert text_heard("one two three four", Heard("a", 1000, heard_ms)) == text


Step = Callable[[CallSession, float], list[act.Action]]
STEPS: dict[str, Step] = {
    "metadata": lambda session, now: session.evi_said(CHAT, now),
    "sentence": lambda session, now: session.evi_said(sentence("a"), now),
    "audio": lambda session, now: (
        session.agent_audio_sent("a", 450, now) if session.accepts("a") else []
    ),
    "end": lambda session, now: session.evi_said(evi.AssistantEnd(), now),
    "cut": lambda session, now: session.evi_said(evi.UserInterruption(1), now),
    "user": lambda session, now: session.evi_said(said(), now),
    "tool": lambda session, now: session.evi_said(tool_call(), now),
    "answer": lambda session, _: session.tool_finished("call_1", evi.ToolResponse("call_1", "x")),
    "error": lambda session, now: session.evi_said(evi.ChatError("E0714", "", ""), now),
    "mark": lambda session, now: session.playback_heard("0:450", now),
    "pause": lambda session, now: session.command(act.Command.PAUSE, now),
    "resume": lambda session, now: session.command(act.Command.RESUME, now),
    "hold": lambda session, now: session.command(act.Command.HOLD, now),
    "release": lambda session, now: session.command(act.Command.RELEASE, now),
    "closed": lambda session, now: session.evi_closed(1000, now),
    "left": lambda session, _: session.caller_left(EndReason.CALLER_HUNG_UP),
    "shutdown": lambda session, _: session.ended_by(EndReason.SHUTDOWN),
    "wake": lambda session, now: session.woke(now),
}


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=40))
def test_any_order_of_events_ends_in_exactly_one_hang_up(steps: list[str]) -> None:
    session = new_session()
    actions: list[act.Action] = []
    now_s = 0.0
    for step in steps:
        now_s += 0.1
        actions += STEPS[step](session, now_s)
    while (wake_s := session.next_wake_s) is not None:
        actions += session.woke(wake_s)

    assert len(ends(actions)) == 1
    assert [type(event) for event in published(actions)].count(events.CallEnded) == 1
    started = [action for action in actions if isinstance(action, act.StartTool)]
    answered = [
        action
        for action in actions
        if isinstance(action, act.Tell) and isinstance(action.message, evi.ToolResponse)
    ]
    cancelled = [action for action in actions if isinstance(action, act.CancelTool)]
    assert len(answered) + len(cancelled) == len(started)
