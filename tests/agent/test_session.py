import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.chat_link import ATTEMPT_S, CHAT_S, RENEW_EARLY_S, RENEW_LATEST_S
from evibridge.agent.course import CallLimits
from evibridge.agent.digits import DigitCollection
from evibridge.agent.duties import FILLER_AFTER_S, FILLER_AGAIN_S, GO_ON_AFTER_S, THINKS_FOR_S
from evibridge.agent.farewell import FAREWELL_S, LAST_WORDS_GRACE_S
from evibridge.agent.manners import Manners
from evibridge.agent.session import CallSession
from evibridge.agent.speech import MAX_STALE_UTTERANCES
from evibridge.agent.tool_desk import MAX_OPEN_TOOLS
from evibridge.audio.playout import MARK_APART_MS, MARK_EVERY_MS, STALLED_MS, STALLED_S
from evibridge.events import ChatOpening, EndReason

SETTINGS = evi.SessionSettings(system_prompt="You answer the phone.")
LIMITS = CallLimits(chat_ready_s=10, call_s=7200, resume_s=20)
CHAT = evi.ChatMetadata("chat-1", "group-1")
FIRST, SECOND = 1, 2
"""Numbers of the chats, in the order in which they are asked for."""
OPENED = [
    act.UseChat(FIRST),
    act.Tell(SETTINGS),
    act.HearCaller(),
    act.Publish(events.ChatOpened("chat-1", "group-1")),
]


def new_session(manners: Manners | None = None) -> CallSession:
    session = CallSession(SETTINGS, LIMITS, manners or Manners(filler=None), lambda: 1.0)
    assert session.caller_joined(0.0) == [act.Connect(FIRST, None, ATTEMPT_S)]
    return session


def talking_session(manners: Manners | None = None) -> CallSession:
    session = new_session(manners)
    assert session.chat_said(FIRST, CHAT, 0.2) == OPENED
    return session


def sentence(utterance_id: str, text: str = "Good day to you.") -> evi.AssistantMessage:
    return evi.AssistantMessage(utterance_id, text, from_text=False, is_quick_response=False)


def said(text: str = "hello", *, interim: bool = False) -> evi.UserMessage:
    return evi.UserMessage(text, interim=interim, from_text=False, begin_ms=1, end_ms=1)


def speak(session: CallSession, utterance_id: str, ms: float, now_s: float) -> list[act.Action]:
    session.chat_said(1, sentence(utterance_id), now_s)
    assert session.accepts(utterance_id)
    return session.agent_audio_sent(utterance_id, ms, now_s)


def tool_call(tool_call_id: str = "call_1") -> evi.ToolCall:
    return evi.ToolCall(tool_call_id, "order_status", '{"order_id":"1042"}')


def ends(actions: list[act.Action]) -> list[EndReason]:
    return [action.reason for action in actions if isinstance(action, act.HangUp)]


def published(actions: list[act.Action]) -> list[events.CallEvent]:
    return [action.event for action in actions if isinstance(action, act.Publish)]


def told(actions: list[act.Action]) -> list[evi.ClientMessage]:
    return [action.message for action in actions if isinstance(action, act.Tell)]


def context(actions: list[act.Action]) -> str:
    """The text of the one context that the server is told."""
    (text,) = [
        message.context.text
        for message in told(actions)
        if isinstance(message, evi.SessionSettings) and isinstance(message.context, evi.Context)
    ]
    return text


def wake(session: CallSession) -> tuple[float, list[act.Action]]:
    """Pass the time until the session wants to be woken."""
    at_s = session.next_wake_s
    assert at_s is not None
    return at_s, session.woke(at_s)


def lose_chat(session: CallSession, now_s: float, *, code: int = 1006) -> int:
    """The chat in use breaks; returns the number of the one that is opened in its place."""
    lost = session.chat_closed(FIRST, code, now_s)
    assert events.ChatLost(code, None) in published(lost)
    at_s, actions = wake(session)
    assert at_s <= now_s + 0.2
    assert actions == [act.Connect(SECOND, "group-1", ATTEMPT_S)]
    return SECOND


class TestOpening:
    def test_the_agents_settings_are_the_first_thing_the_server_is_told(self) -> None:
        session = new_session()

        assert session.chat_said(FIRST, CHAT, 0.2) == OPENED

    def test_a_second_chat_metadata_changes_nothing(self) -> None:
        assert talking_session().chat_said(1, CHAT, 1.0) == []

    def test_a_chat_that_is_not_ready_in_time_ends_the_call(self) -> None:
        session = new_session()

        reasons: list[EndReason] = []
        while not reasons:
            at_s, actions = wake(session)
            reasons = ends(actions)

        assert (at_s, reasons) == (LIMITS.chat_ready_s, [EndReason.EVI_UNREACHABLE])

    def test_an_attempt_that_takes_too_long_is_dropped_and_another_one_made(self) -> None:
        session = new_session()

        assert wake(session) == (ATTEMPT_S, [act.Disconnect(FIRST)])
        assert wake(session)[1] == [act.Connect(SECOND, None, ATTEMPT_S)]
        assert session.chat_said(FIRST, CHAT, 5.0) == [act.Disconnect(FIRST)]

    def test_waking_too_early_changes_nothing(self) -> None:
        session = new_session()

        assert session.woke(ATTEMPT_S - 0.1) == []
        assert session.next_wake_s == ATTEMPT_S

    def test_a_chat_that_cannot_be_opened_is_tried_again(self) -> None:
        session = new_session()

        assert session.chat_unavailable(FIRST, 0.1, retryable=True) == []
        assert wake(session)[1] == [act.Connect(SECOND, None, ATTEMPT_S)]

    def test_a_refused_chat_ends_the_call(self) -> None:
        refused = new_session().chat_unavailable(FIRST, 0.1, retryable=False)

        assert ends(refused) == [EndReason.EVI_REFUSED]

    def test_no_audio_is_accepted_before_the_chat_is_open(self) -> None:
        assert not new_session().accepts("a")

    def test_a_caller_who_left_before_the_start_opens_no_chat(self) -> None:
        session = CallSession(SETTINGS, LIMITS, Manners(), lambda: 1.0)
        session.caller_left(EndReason.CALLER_HUNG_UP, 9.0)

        assert session.caller_joined(0.0) == []
        assert session.next_wake_s is None

    def test_a_line_that_breaks_before_the_start_is_not_waited_for(self) -> None:
        session = CallSession(SETTINGS, LIMITS, Manners(), lambda: 1.0)

        assert ends(session.caller_lost(0.0)) == [EndReason.CALLER_LOST]


class TestTheAgentsVoice:
    def test_a_sentence_is_told_and_its_audio_accepted(self) -> None:
        session = talking_session()

        actions = session.chat_said(1, sentence("a", "Hello."), 1.0)

        assert published(actions) == [events.AgentSaid("a", "Hello.")]
        assert session.accepts("a")

    def test_marks_are_placed_now_and_then_and_at_the_end_of_a_turn(self) -> None:
        session = talking_session()

        assert speak(session, "a", MARK_APART_MS - 1, 1.0) == []
        assert speak(session, "a", 1, 1.0) == [act.PlaceMark(f"0:{MARK_APART_MS:.0f}")]
        assert speak(session, "a", 1, 1.0) == []
        assert session.chat_said(1, evi.AssistantEnd(), 1.0) != []
        assert session.chat_said(1, evi.AssistantEnd(), 1.0) == []

    def test_what_was_heard_is_told_when_its_mark_comes_back(self) -> None:
        session = talking_session()
        speak(session, "a", 500, 1.0)
        session.chat_said(1, evi.AssistantEnd(), 1.0)

        heard = published(session.playback_heard("0:500", 1.6))

        assert heard == [events.AgentHeard("a", 500, 500, "Good day to you.")]

    def test_audio_without_an_announced_sentence_is_accepted(self) -> None:
        assert talking_session().accepts("never announced")

    def test_a_sentence_without_an_id_lets_audio_through(self) -> None:
        session = talking_session()
        session.chat_said(1, evi.UserInterruption(1), 1.0)

        session.chat_said(
            1, evi.AssistantMessage(None, "Hi.", from_text=False, is_quick_response=False), 1.1
        )

        assert session.accepts("unknown")

    def test_a_caller_whose_phone_stops_playing_ends_the_call(self) -> None:
        session = talking_session()
        speak(session, "a", STALLED_MS + 1, 1.0)

        actions = session.agent_audio_sent("a", MARK_EVERY_MS, 1.0 + STALLED_S + 1)

        assert ends(actions) == [EndReason.CALLER_STALLED]


class TestBargeIn:
    def test_an_interruption_long_after_the_last_word_interrupts_nobody(self) -> None:
        session = talking_session()
        speak(session, "a", 300, 1.0)
        speak(session, "a", 300, 1.0)  # no mark is due behind it
        session.playback_heard("0:300", 1.4)

        actions = session.chat_said(1, evi.UserInterruption(1), 6.0)

        assert actions[0] == act.ClearPlayback()  # nothing proves that the phone has played it
        heard = [event for event in published(actions) if isinstance(event, events.AgentHeard)]
        assert [(each.sent_ms, each.heard_ms) for each in heard] == [(600, 600)]
        assert events.AgentInterrupted() not in published(actions)

    def test_an_interruption_clears_at_once_and_refuses_what_comes_late(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)

        actions = session.chat_said(1, evi.UserInterruption(1767000061250), 1.5)

        assert actions[:3] == [
            act.ClearPlayback(),
            act.Publish(events.AgentHeard("a", 1000, 500, "Good day")),
            act.Publish(events.AgentInterrupted()),
        ]
        assert not session.accepts("a")
        assert not session.accepts("not announced since")

    def test_the_next_sentence_is_heard_again(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)
        session.chat_said(1, evi.UserInterruption(1), 1.5)

        session.chat_said(1, sentence("b"), 2.0)

        assert session.accepts("b")
        assert not session.accepts("a")

    def test_a_late_sentence_of_the_interrupted_turn_does_not_open_the_gate(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)
        session.chat_said(1, evi.UserInterruption(1), 1.5)

        assert session.chat_said(1, sentence("a"), 1.6) == []
        assert not session.accepts("a")

    def test_an_interruption_after_the_last_word_clears_nothing(self) -> None:
        session = talking_session()
        speak(session, "a", 400, 1.0)
        session.chat_said(1, evi.AssistantEnd(), 1.0)
        session.playback_heard("0:400", 1.5)

        assert session.chat_said(1, evi.UserInterruption(1), 2.0) == []

    def test_a_mark_flushed_by_the_clear_is_not_taken_for_heard(self) -> None:
        session = talking_session()
        speak(session, "a", 400, 1.0)
        session.chat_said(1, evi.UserInterruption(1), 1.1)

        assert session.playback_heard("0:400", 1.2) == []

    def test_a_user_message_after_generation_is_over_is_a_barge_in(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)
        session.chat_said(1, evi.AssistantEnd(), 1.1)

        actions = session.chat_said(1, said(interim=True), 2.0)

        assert actions[0] == act.ClearPlayback()
        assert not session.accepts("a")

    def test_a_user_message_while_the_server_still_generates_is_not(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)

        assert session.chat_said(1, said(interim=True), 2.0) == [
            act.Publish(events.CallerSaid("hello", interim=True, typed=False))
        ]
        assert session.accepts("a")

    def test_the_model_is_told_what_was_heard(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)

        actions = session.chat_said(FIRST, evi.UserInterruption(1), 1.5)

        assert context(actions).endswith("only this was heard: Good day")

    def test_the_model_is_told_when_nothing_was_heard(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, sentence("a"), 1.0)

        assert "nothing was heard" in context(
            session.chat_said(FIRST, evi.UserInterruption(1), 1.0)
        )

    def test_the_model_is_not_told_what_its_author_does_not_want_it_told(self) -> None:
        session = talking_session(Manners(tells_what_was_heard=False))
        speak(session, "a", 1000, 1.0)

        assert told(session.chat_said(FIRST, evi.UserInterruption(1), 1.5)) == []

    @pytest.mark.parametrize(
        ("policy", "still_speaks", "done"),
        [("after_turn", False, True), ("always", True, True), ("never", False, False)],
    )
    def test_words_of_the_caller_cut_the_agent_off_as_its_author_wants(
        self, policy: str, still_speaks: bool, done: bool
    ) -> None:
        manners = Manners(cut_off_by_words=policy, filler=None)  # type: ignore[arg-type]
        session = talking_session(manners)
        speak(session, "a", 5000, 1.0)
        while_speaking = session.chat_said(FIRST, said(interim=True), 1.5)
        speak(session, "b", 5000, 2.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 2.0)
        after_turn = session.chat_said(FIRST, said(interim=True), 2.5)

        cut = [act.ClearPlayback() in actions for actions in (while_speaking, after_turn)]
        assert cut == [still_speaks, done]

    def test_interrupted_utterances_are_remembered_up_to_a_bound(self) -> None:
        session = talking_session()
        for number in range(MAX_STALE_UTTERANCES + 2):
            session.chat_said(1, sentence(f"u{number}"), 1.0)
            session.chat_said(1, evi.UserInterruption(1), 1.0)
        session.chat_said(1, sentence("live"), 1.0)

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
                session.chat_said(1, sentence(announced[-1]), now_s)
            elif step == "audio" and announced:
                utterance = data.draw(st.sampled_from(announced))
                if session.accepts(utterance):
                    assert utterance not in interrupted
                    session.agent_audio_sent(utterance, 300, now_s)
            elif step == "end":
                session.chat_said(1, evi.AssistantEnd(), now_s)
            elif step == "cut":
                session.chat_said(1, evi.UserInterruption(1), now_s)
                interrupted.update(announced)
            elif step == "user":
                actions = session.chat_said(1, said(), now_s)
                if act.ClearPlayback() in actions:
                    interrupted.update(announced)


class TestTheCaller:
    def test_what_the_caller_said_is_told(self) -> None:
        actions = talking_session().chat_said(1, said("Where is my order?"), 1.0)

        assert published(actions) == [
            events.CallerSaid("Where is my order?", interim=False, typed=False)
        ]

    @pytest.mark.parametrize("reason", [EndReason.CALLER_HUNG_UP, EndReason.CALLER_LOST])
    def test_a_caller_who_leaves_ends_the_call(self, reason: EndReason) -> None:
        session = talking_session()

        assert session.caller_left(reason, 9.0) == [
            act.HangUp(reason),
            act.Publish(events.CallEnded(reason)),
        ]
        assert session.next_wake_s is None

    def test_a_call_ends_only_once(self) -> None:
        session = talking_session()
        session.caller_left(EndReason.CALLER_HUNG_UP, 9.0)

        assert session.ended_by(EndReason.FAULT, 9.0) == []
        assert session.woke(9.0) == []
        assert session.chat_closed(1, 1000, 2.0) == []
        assert session.chat_said(1, said(), 2.0) == []
        assert not session.accepts("a")

    def test_the_longest_call_is_ended(self) -> None:
        session = talking_session()

        assert ends(session.woke(LIMITS.call_s)) == [EndReason.MAX_DURATION]


class TestTools:
    def test_a_tool_call_is_run_and_answered_once(self) -> None:
        session = talking_session()
        answer = evi.ToolResponse("call_1", "on its way")

        assert session.chat_said(1, tool_call(), 1.0) == [
            act.StartTool(tool_call()),
            act.Publish(events.ToolStarted("call_1", "order_status", '{"order_id":"1042"}')),
        ]
        assert session.tool_finished("call_1", answer, 9.0) == [
            act.Tell(answer),
            act.Publish(events.ToolFinished("call_1", "order_status", "answered", "on its way")),
        ]
        assert session.tool_finished("call_1", answer, 9.0) == []

    def test_the_same_call_twice_runs_once(self) -> None:
        session = talking_session()
        session.chat_said(1, tool_call(), 1.0)

        assert session.chat_said(1, tool_call(), 1.1) == []

    def test_a_failure_is_told_by_its_code(self) -> None:
        session = talking_session()
        session.chat_said(1, tool_call(), 1.0)

        actions = session.tool_finished(
            "call_1", evi.ToolError("call_1", "boom", code="timeout"), 9.0
        )

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
        assert talking_session().chat_said(1, call, 1.0) == []

    def test_a_call_after_the_caller_spoke_again_supersedes_the_older_one(self) -> None:
        session = talking_session()
        session.chat_said(1, tool_call("call_1"), 1.0)
        session.chat_said(1, said("no, order 7"), 2.0)

        actions = session.chat_said(1, tool_call("call_2"), 3.0)

        assert act.CancelTool("call_1") in actions
        assert act.StartTool(tool_call("call_2")) in actions
        assert session.tool_finished("call_1", evi.ToolResponse("call_1", "late"), 9.0) == []

    def test_calls_side_by_side_are_all_answered(self) -> None:
        session = talking_session()
        session.chat_said(1, tool_call("call_1"), 1.0)
        session.chat_said(1, tool_call("call_2"), 1.0)

        assert session.tool_finished("call_1", evi.ToolResponse("call_1", "one"), 9.0) != []
        assert session.tool_finished("call_2", evi.ToolResponse("call_2", "two"), 9.0) != []

    def test_too_many_calls_at_once_are_answered_busy(self) -> None:
        session = talking_session()
        for number in range(MAX_OPEN_TOOLS):
            session.chat_said(1, tool_call(f"call_{number}"), 1.0)

        action, _, _ = session.chat_said(1, tool_call("one too many"), 1.0)

        assert isinstance(action, act.Tell)
        assert isinstance(action.message, evi.ToolError)
        assert action.message.code == "busy"

    def test_running_tools_are_cancelled_when_the_call_ends(self) -> None:
        session = talking_session()
        session.chat_said(1, tool_call(), 1.0)

        actions = session.caller_left(EndReason.CALLER_HUNG_UP, 9.0)

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
        session.chat_said(1, sentence("b"), 2.0)
        while_held = (session.hears_caller, session.accepts("b"))

        session.command(act.Command.RELEASE, 3.0)

        assert while_held == (False, False)
        assert (session.hears_caller, session.accepts("b")) == (True, False)
        session.chat_said(1, sentence("c"), 4.0)
        assert session.accepts("c")

    def test_a_sentence_that_was_on_its_way_when_paused_is_not_heard(self) -> None:
        session = talking_session()
        session.command(act.Command.PAUSE, 1.0)

        assert session.chat_said(1, sentence("late"), 1.1) == []
        assert not session.accepts("late")
        session.command(act.Command.RESUME, 2.0)
        assert not session.accepts("late")

    def test_an_operator_can_hang_up_at_any_time(self) -> None:
        for session in (new_session(), talking_session()):
            reasons = ends(session.command(act.Command.HANG_UP, 1.0))
            assert reasons == [EndReason.OPERATOR_HUNG_UP]

    def test_what_is_asked_for_before_there_is_a_chat_is_done_when_there_is_one(self) -> None:
        session = new_session()
        assert told(session.command(act.Command.PAUSE, 0.1)) == []
        assert session.say("One moment.", 0.1) == []

        assert told(session.chat_said(FIRST, CHAT, 0.2)) == [SETTINGS, evi.PauseAssistant()]
        assert told(session.command(act.Command.RESUME, 1.0)) == [
            evi.ResumeAssistant(),
            evi.AssistantInput("One moment."),
        ]

    def test_the_agent_can_be_made_to_say_something(self) -> None:
        said = talking_session().say("One moment.", 1.0)

        assert said == [act.Tell(evi.AssistantInput("One moment."))]

    def test_nothing_can_be_asked_of_a_call_that_is_over(self) -> None:
        session = talking_session()
        session.caller_left(EndReason.CALLER_HUNG_UP, 9.0)

        assert session.say("Hello?", 1.0) == []
        for command in act.Command:
            assert session.command(command, 1.0) == []


class TestPressedKeys:
    def test_a_row_of_keys_is_told_after_a_pause(self) -> None:
        session = talking_session()
        assert published(session.caller_pressed("4", 1.0)) == [events.DigitPressed("4")]
        session.caller_pressed("2", 1.5)

        at_s, actions = wake(session)

        assert at_s == 3.5
        assert context(actions).endswith("42")
        assert published(actions) == [events.DigitsEntered("42")]
        assert session.digits == "42"

    def test_the_end_key_tells_them_at_once(self) -> None:
        session = talking_session()
        session.caller_pressed("4", 1.0)

        assert context(session.caller_pressed("#", 1.1)).endswith(" 4")

    def test_they_can_be_answered_like_words(self) -> None:
        digits = DigitCollection(sent_as="user_input")
        session = talking_session(Manners(digits=digits, filler=None))
        session.caller_pressed("7", 1.0)

        assert told(session.caller_pressed("#", 1.1)) == [evi.UserInput("7")]

    def test_keys_pressed_while_there_is_no_chat_are_told_to_the_next_one(self) -> None:
        session = new_session()
        session.caller_pressed("7", 0.1)
        assert told(session.caller_pressed("#", 0.1)) == []

        assert context(session.chat_said(FIRST, CHAT, 0.2)).endswith("7")

    def test_what_was_told_is_told_again_until_an_answer_has_heard_it(self) -> None:
        session = talking_session()
        session.caller_pressed("7", 1.0)
        session.caller_pressed("#", 1.0)
        session.caller_pressed("8", 2.0)

        both = context(session.caller_pressed("#", 2.0))
        session.chat_said(FIRST, said("and now?"), 2.5)
        session.chat_said(FIRST, sentence("a"), 3.0)
        session.caller_pressed("9", 4.0)
        third = context(session.caller_pressed("#", 4.0))

        assert [line[-1] for line in both.splitlines()] == ["7", "8"]
        assert [line[-1] for line in third.splitlines()] == ["9"]

    def test_keys_pressed_when_the_call_is_over_are_nothing(self) -> None:
        session = talking_session()
        session.caller_left(EndReason.CALLER_HUNG_UP, 9.0)

        assert session.caller_pressed("1", 1.0) == []


class TestALostChat:
    def test_it_is_resumed_and_told_everything_again(self) -> None:
        session = talking_session()
        session.command(act.Command.PAUSE, 0.5)
        lose_chat(session, 1.0)

        actions = session.chat_said(SECOND, evi.ChatMetadata("chat-2", "group-1"), 1.3)

        assert actions == [
            act.UseChat(SECOND),
            act.Tell(SETTINGS),
            act.Tell(evi.PauseAssistant()),
            act.HearCaller(),
            act.Publish(events.ChatOpened("chat-2", "group-1", ChatOpening.RESUMED)),
        ]

    def test_a_second_loss_is_resumed_as_well(self) -> None:
        session = talking_session()
        lose_chat(session, 1.0)
        session.chat_said(SECOND, CHAT, 1.3)

        assert ends(session.chat_closed(SECOND, 1011, 50.0)) == []
        assert wake(session)[1] == [act.Connect(3, "group-1", ATTEMPT_S)]

    def test_news_of_a_chat_that_is_gone_changes_nothing(self) -> None:
        session = talking_session()
        lose_chat(session, 1.0)

        assert session.chat_said(FIRST, said(), 1.1) == []
        assert session.chat_said(FIRST, evi.ChatError("E0714", "", ""), 1.1) == []
        assert session.chat_closed(FIRST, 1000, 1.1) == []

    def test_what_has_come_of_the_agents_voice_is_heard_out(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)
        lost = session.chat_closed(FIRST, 1006, 1.0)

        assert act.ClearPlayback() not in lost
        heard = published(session.playback_heard("0:5000", 6.0))
        assert [event.heard_ms for event in heard if isinstance(event, events.AgentHeard)] == [5000]

    def test_a_sentence_that_was_cut_off_is_said_again(self) -> None:
        session = talking_session()
        speak(session, "a", 100, 1.0)
        lose_chat(session, 1.1)

        actions = session.chat_said(SECOND, CHAT, 1.4)

        assert told(actions)[-1] == evi.AssistantInput("Good day to you.")

    def test_a_sentence_that_was_cut_off_does_not_count_as_heard(self) -> None:
        session = talking_session()
        assert speak(session, "a", 240, 1.0) == [act.PlaceMark("0:240")]
        session.chat_closed(FIRST, 1006, 1.1)

        (heard,) = published(session.playback_heard("0:240", 1.3))

        assert heard == events.AgentHeard("a", 240, 240, "Good")

    def test_a_turn_that_was_complete_is_not_said_again(self) -> None:
        session = talking_session()
        speak(session, "a", 100, 1.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.0)
        lose_chat(session, 1.1)

        assert told(session.chat_said(SECOND, CHAT, 1.4)) == [SETTINGS]

    def test_words_that_the_server_forgets_to_answer_are_told_to_it_again(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        lose_chat(session, 1.1)
        session.chat_said(SECOND, CHAT, 1.4)

        at_s, actions = wake(session)

        assert (at_s, told(actions)) == (1.4 + GO_ON_AFTER_S, [evi.UserInput("Where is my order?")])
        echo = evi.UserMessage("Where is my order?", False, True, 0, 0)
        assert session.chat_said(SECOND, echo, at_s) == []

    def test_a_server_that_answers_by_itself_is_not_asked_again(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        lose_chat(session, 1.1)
        session.chat_said(SECOND, CHAT, 1.4)
        session.chat_said(SECOND, sentence("a"), 2.0)

        assert told(session.woke(1.4 + GO_ON_AFTER_S)) == []

    def test_a_tool_that_still_runs_is_waited_for(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        session.chat_said(FIRST, tool_call(), 1.0)
        lose_chat(session, 1.1)
        session.chat_said(SECOND, CHAT, 1.4)

        assert wake(session)[1] == []
        session.tool_finished("call_1", evi.ToolResponse("call_1", "on its way"), 4.0)
        assert told(wake(session)[1]) == [evi.UserInput("Where is my order?")]

    def test_a_paused_agent_is_not_made_to_speak(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        lose_chat(session, 1.1)
        session.chat_said(SECOND, CHAT, 1.4)
        session.command(act.Command.PAUSE, 1.5)

        assert told(wake(session)[1]) == []

    def test_the_answer_of_a_tool_goes_to_the_chat_that_follows(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, tool_call(), 1.0)
        lose_chat(session, 1.1)
        answer = evi.ToolResponse("call_1", "on its way")
        assert told(session.tool_finished("call_1", answer, 1.2)) == []

        actions = session.chat_said(SECOND, CHAT, 1.4)

        assert told(actions)[:2] == [SETTINGS, answer]

    def test_a_tool_that_is_called_again_runs_once(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, tool_call("call_1"), 1.0)
        lose_chat(session, 1.1)
        session.chat_said(SECOND, CHAT, 1.4)

        again = session.chat_said(SECOND, tool_call("call_2"), 1.5)
        answered = session.tool_finished("call_1", evi.ToolResponse("call_1", "on its way"), 2.0)

        assert not [action for action in again if isinstance(action, act.StartTool)]
        assert told(answered) == [evi.ToolResponse("call_2", "on its way")]

    def test_the_caller_is_told_to_wait_and_told_again(self) -> None:
        session = talking_session(Manners())
        speak(session, "a", 1000, 1.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.0)
        lose_chat(session, 1.0)

        fillers: list[float] = []
        while len(fillers) < 2:
            at_s, actions = wake(session)
            if act.PlayFiller() in actions:
                fillers.append(at_s)
                assert events.FillerPlayed() in published(session.filler_played(900, at_s))

        first_s = 1.0 + 1.0 + FILLER_AFTER_S
        assert fillers == [first_s, pytest.approx(first_s + 0.9 + FILLER_AGAIN_S)]

    @pytest.mark.parametrize("command", [act.Command.PAUSE, act.Command.HOLD])
    def test_a_caller_who_must_hear_nothing_hears_no_filler(self, command: act.Command) -> None:
        session = talking_session(Manners())
        lose_chat(session, 1.0)
        session.command(command, 1.1)

        assert act.PlayFiller() not in session.woke(1.0 + FILLER_AFTER_S)

    def test_a_server_that_does_not_come_back_ends_the_call(self) -> None:
        session = talking_session()
        lose_chat(session, 1.0)

        reasons: list[EndReason] = []
        while not reasons:
            at_s, actions = wake(session)
            reasons = ends(actions)

        assert (at_s, reasons) == (1.0 + LIMITS.resume_s, [EndReason.EVI_LOST])

    @pytest.mark.parametrize("error", ["E0708", "E0710"])
    def test_a_group_that_is_forgotten_is_begun_afresh_and_told_what_was_said(
        self, error: str
    ) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("My name is Ada."), 0.5)
        speak(session, "a", 1000, 1.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.0)
        session.playback_heard("0:1000", 2.0)
        lose_chat(session, 2.5)
        session.chat_said(SECOND, evi.ChatError(error, "", ""), 2.6)
        assert session.chat_closed(SECOND, 1000, 2.6) == []
        assert wake(session)[1] == [act.Connect(3, None, ATTEMPT_S)]

        actions = session.chat_said(3, evi.ChatMetadata("chat-3", "group-2"), 3.0)

        settings = told(actions)[0]
        assert isinstance(settings, evi.SessionSettings)
        prompt = settings.system_prompt
        assert prompt is not None
        assert prompt.startswith("You answer the phone.")
        assert prompt.endswith("Caller: My name is Ada.\nYou: Good day to you.")
        why = ChatOpening.AFRESH
        assert events.ChatOpened("chat-3", "group-2", why) in published(actions)

    def test_a_server_that_has_forgotten_the_question_is_asked_at_once(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        lose_chat(session, 1.1)
        session.chat_unavailable(SECOND, 1.2, retryable=False)
        wake(session)

        assert told(session.chat_said(3, CHAT, 1.5))[-1] == evi.UserInput("Where is my order?")

    def test_a_group_that_is_refused_is_begun_afresh_once(self) -> None:
        session = talking_session()
        lose_chat(session, 1.0)

        assert session.chat_unavailable(SECOND, 1.2, retryable=False) == []
        assert wake(session)[1] == [act.Connect(3, None, ATTEMPT_S)]
        reasons = ends(session.chat_unavailable(3, 1.5, retryable=False))
        assert reasons == [EndReason.EVI_REFUSED]


class TestALostCaller:
    def test_the_agent_is_paused_and_the_server_gets_silence(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)

        assert session.caller_lost(1.5) == [
            act.Tell(evi.PauseAssistant()),
            act.SendSilence(),
            act.Publish(events.AgentHeard("a", 1000, 500, "Good day")),
            act.Publish(events.CallerLost()),
        ]
        assert not session.accepts("a")
        assert session.state(0.0).caller_is_away
        assert session.caller_lost(1.6) == []

    def test_a_caller_who_comes_back_goes_on_with_the_agent(self) -> None:
        session = talking_session()
        session.caller_lost(1.0)

        assert session.caller_returned(2.0) == [
            act.Publish(events.CallerReturned()),
            act.Tell(evi.ResumeAssistant()),
        ]
        session.chat_said(FIRST, sentence("b"), 2.5)
        assert session.accepts("b")

    def test_a_caller_who_does_not_come_back_has_left(self) -> None:
        session = talking_session()
        session.caller_lost(1.0)

        at_s, actions = wake(session)

        assert (at_s, ends(actions)) == (1.0 + LIMITS.resume_s, [EndReason.CALLER_LOST])

    def test_what_was_not_heard_of_a_whole_turn_is_said_again(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.0)
        session.caller_lost(1.5)

        assert told(session.caller_returned(2.0)) == [
            evi.ResumeAssistant(),
            evi.AssistantInput("Good day to you."),
        ]

    def test_another_line_can_come_before_the_loss_is_noticed(self) -> None:
        session = talking_session()

        speak(session, "a", 1000, 1.0)

        assert session.caller_returned(1.5) == [
            act.Tell(evi.PauseAssistant()),
            act.Publish(events.AgentHeard("a", 1000, 500, "Good day")),
            act.Publish(events.CallerLost()),
            act.Publish(events.CallerReturned()),
            act.Tell(evi.ResumeAssistant()),
            act.Tell(evi.AssistantInput("Good day to you.")),
        ]
        assert not session.accepts("a")

    def test_an_operators_pause_outlives_the_loss(self) -> None:
        session = talking_session()
        session.command(act.Command.PAUSE, 0.5)
        session.caller_lost(1.0)
        assert told(session.caller_returned(2.0)) == []

        assert told(session.command(act.Command.RESUME, 3.0)) == [evi.ResumeAssistant()]

    def test_both_sides_can_be_lost_at_once(self) -> None:
        session = talking_session(Manners())
        session.caller_lost(1.0)
        lose_chat(session, 1.0)
        assert told(session.chat_said(SECOND, CHAT, 1.4)) == [SETTINGS, evi.PauseAssistant()]
        session.chat_closed(SECOND, 1006, 2.0)

        session.caller_returned(2.0)

        assert session.next_wake_s is not None
        fillers = [act.PlayFiller() in wake(session)[1] for _ in range(3)]
        assert any(fillers)

    def test_a_line_that_breaks_while_the_agent_takes_leave_ends_the_call(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)
        session.chat_closed(FIRST, 1000, 1.1)

        assert ends(session.caller_lost(1.2)) == [EndReason.AGENT_HUNG_UP]
        assert session.caller_returned(1.3) == []


class TestSeveralThingsAtOnce:
    def test_a_hang_up_is_not_put_off_for_a_caller_who_is_away(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, tool_call(), 1.0)
        session.caller_lost(1.5)

        assert ends(session.hang_up(EndReason.AGENT_HUNG_UP, 2.0)) == [EndReason.AGENT_HUNG_UP]

    def test_a_line_that_changes_during_the_goodbye_loses_its_rest_and_ends(self) -> None:
        session = talking_session()
        speak(session, "bye", 5000, 1.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.0)
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.1)

        returned = session.caller_returned(2.0)

        assert told(returned)[-1] == evi.AssistantInput("Good day to you.")
        speak(session, "again", 500, 2.5)
        session.chat_said(FIRST, evi.AssistantEnd(), 2.5)
        assert ends(session.playback_heard("1:5500", 3.1)) == [EndReason.AGENT_HUNG_UP]

    def test_a_question_lost_with_its_chat_is_asked_when_the_caller_is_back(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        session.caller_lost(1.1)
        lose_chat(session, 1.2)
        session.chat_unavailable(SECOND, 1.4, retryable=False)
        wake(session)
        opened = session.chat_said(3, evi.ChatMetadata("chat-3", "group-2"), 2.0)
        returned = session.caller_returned(3.0)

        assert evi.UserInput("Where is my order?") not in told([*opened, *returned])
        assert told(wake(session)[1]) == [evi.UserInput("Where is my order?")]

    def test_an_answer_that_a_hold_has_swallowed_is_said_after_it(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        session.command(act.Command.HOLD, 1.1)
        session.chat_said(FIRST, sentence("a", "On its way."), 1.2)
        session.chat_said(FIRST, sentence("b", "It comes on Friday."), 1.2)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.2)

        released = session.command(act.Command.RELEASE, 200.0)

        assert told(released) == [evi.AssistantInput("On its way. It comes on Friday.")]
        assert told(session.woke(250.0)) == []

    def test_an_answer_that_a_pause_has_swallowed_is_left_to_the_server_at_first(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        session.command(act.Command.PAUSE, 1.1)
        session.chat_said(FIRST, sentence("a", "On its way."), 1.2)

        resumed = session.command(act.Command.RESUME, 2.0)

        assert told(resumed) == [evi.ResumeAssistant()]
        assert wake(session) == (
            2.0 + THINKS_FOR_S,
            [act.Tell(evi.AssistantInput("On its way."))],
        )

    def test_a_server_that_thinks_during_a_short_hold_is_not_asked_again(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        session.command(act.Command.HOLD, 1.1)
        session.command(act.Command.RELEASE, 1.5)

        assert told(session.woke(60.0)) == []

    def test_a_text_that_a_hold_has_swallowed_is_told_again(self) -> None:
        session = talking_session()
        session.say("Dinner is served.", 1.0)
        session.command(act.Command.HOLD, 1.1)
        refused = evi.AssistantMessage(
            "a", "Dinner is served.", from_text=True, is_quick_response=False
        )
        session.chat_said(FIRST, refused, 1.2)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.2)

        released = session.command(act.Command.RELEASE, 3.0)

        assert told(released) == [evi.AssistantInput("Dinner is served.")]

    def test_a_tool_that_has_answered_gives_the_server_time_before_it_is_asked_again(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Order it."), 1.0)
        session.chat_said(FIRST, tool_call(), 1.0)
        lose_chat(session, 1.1)
        session.chat_said(SECOND, CHAT, 1.4)
        session.tool_finished("call_1", evi.ToolResponse("call_1", "done"), 3.0)

        assert wake(session) == (3.0 + THINKS_FOR_S, [act.Tell(evi.UserInput("Order it."))])

    def test_what_is_called_for_again_when_it_is_asked_again_does_not_run_again(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Order it."), 1.0)
        session.chat_said(FIRST, tool_call("call_1"), 1.0)
        session.tool_finished("call_1", evi.ToolResponse("call_1", "done"), 1.2)
        session.caller_lost(1.3)
        session.caller_returned(2.0)
        assert told(wake(session)[1]) == [evi.UserInput("Order it.")]

        again = session.chat_said(FIRST, tool_call("call_2"), 8.0)

        assert told(again) == [evi.ToolResponse("call_2", "done")]

    def test_a_sentence_said_again_is_no_answer_to_a_question(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        session.say("One moment.", 1.1)
        lose_chat(session, 1.2)
        session.chat_said(SECOND, CHAT, 1.5)
        spoken = evi.AssistantMessage("a", "One moment.", from_text=True, is_quick_response=False)
        session.chat_said(SECOND, spoken, 1.6)
        session.chat_said(SECOND, evi.AssistantEnd(), 1.7)

        assert told(wake(session)[1]) == [evi.UserInput("Where is my order?")]

    def test_noise_puts_off_what_is_owed_and_does_not_cancel_it(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.0)
        lose_chat(session, 1.2)
        session.chat_said(SECOND, CHAT, 1.5)
        session.chat_said(SECOND, said("h", interim=True), 2.0)

        assert wake(session) == (
            2.0 + THINKS_FOR_S,
            [act.Tell(evi.UserInput("Where is my order?"))],
        )

    def test_a_sentence_told_before_the_hang_up_is_waited_for(self) -> None:
        session = talking_session()
        speak(session, "a", 500, 1.0)
        session.say("We close now.", 1.1)
        session.command(act.Command.HANG_UP, 1.2)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.3)

        assert ends(session.playback_heard("0:500", 1.8)) == []
        told_to = evi.AssistantMessage(
            "b", "We close now.", from_text=True, is_quick_response=False
        )
        session.chat_said(FIRST, told_to, 1.9)
        session.agent_audio_sent("b", 500, 1.9)
        session.chat_said(FIRST, evi.AssistantEnd(), 2.0)
        assert ends(session.playback_heard("0:1000", 2.6)) == [EndReason.OPERATOR_HUNG_UP]

    def test_what_a_hold_has_cut_off_is_said_again_after_it(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.0)
        held = session.command(act.Command.HOLD, 1.5)

        released = session.command(act.Command.RELEASE, 2.0)

        assert context(held).endswith("Good day")
        assert told(released) == [evi.AssistantInput("Good day to you.")]
        assert published(released) == [events.CallReleased()]

    def test_a_release_without_a_hold_changes_nothing(self) -> None:
        assert talking_session().command(act.Command.RELEASE, 1.0) == []

    def test_a_greeting_cut_off_by_the_line_is_said_again(self) -> None:
        session = talking_session()
        speak(session, "a", 1000, 1.0)
        session.caller_lost(1.5)

        assert told(session.caller_returned(2.0))[-1] == evi.AssistantInput("Good day to you.")

    def test_an_answer_cut_off_by_the_line_is_left_to_the_server_at_first(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Hello?"), 0.5)
        speak(session, "a", 1000, 1.0)
        session.caller_lost(1.5)
        at_first = told(session.caller_returned(2.0))

        assert at_first == [evi.ResumeAssistant()]
        assert told(wake(session)[1]) == [evi.AssistantInput("Good day to you.")]

    def test_a_server_that_takes_it_up_by_itself_is_not_made_to_say_it_twice(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Hello?"), 0.5)
        speak(session, "a", 1000, 1.0)
        session.caller_lost(1.5)
        session.caller_returned(2.0)
        session.chat_said(FIRST, sentence("b"), 2.5)

        assert told(session.woke(2.0 + GO_ON_AFTER_S)) == []

    def test_a_sentence_that_a_program_wants_said_is_said_by_the_next_chat(self) -> None:
        session = talking_session()
        session.say("Your taxi is here.", 1.0)
        lose_chat(session, 1.05)
        second = told(session.chat_said(SECOND, CHAT, 1.3))
        session.chat_closed(SECOND, 1006, 1.4)
        wake(session)
        third = told(session.chat_said(3, CHAT, 2.0))

        assert second[-1] == third[-1] == evi.AssistantInput("Your taxi is here.")

    @pytest.mark.parametrize("silence", [act.Command.PAUSE, act.Command.HOLD])
    def test_nobody_speaks_on_purpose_and_that_ends_nothing(self, silence: act.Command) -> None:
        session = talking_session()
        session.command(silence, 1.0)
        for chat in range(1, 7):
            at_s = chat * 10.0
            session.chat_said(chat, evi.ChatError("E0714", "inactivity_timeout", ""), at_s)
            assert ends(session.chat_closed(chat, 1000, at_s)) == []
            assert wake(session)[1] == [act.Connect(chat + 1, "group-1", ATTEMPT_S)]
            session.chat_said(chat + 1, CHAT, at_s + 1)

    def test_a_late_end_of_a_turn_that_was_cut_off_is_no_answer(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)
        session.chat_said(FIRST, evi.UserInterruption(1), 1.5)
        session.chat_said(FIRST, said("No, the other order."), 2.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 2.1)
        lose_chat(session, 2.5)
        session.chat_said(SECOND, CHAT, 2.8)

        assert told(wake(session)[1]) == [evi.UserInput("No, the other order.")]

    def test_what_is_in_the_callers_ear_is_told_to_a_server_that_forgot(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.0)
        lose_chat(session, 1.1)
        session.chat_unavailable(SECOND, 1.2, retryable=False)
        wake(session)

        settings = told(session.chat_said(3, CHAT, 1.5))[0]

        assert isinstance(settings, evi.SessionSettings)
        assert str(settings.system_prompt).endswith("You: Good day to you.")

    def test_a_sentence_that_was_asked_for_uses_up_no_note(self) -> None:
        session = talking_session()
        session.caller_pressed("7", 1.0)
        session.caller_pressed("#", 1.0)
        asked_for = evi.AssistantMessage(
            "a", "One moment.", from_text=True, is_quick_response=False
        )
        session.chat_said(FIRST, asked_for, 1.5)
        session.caller_pressed("8", 2.0)

        assert len(context(session.caller_pressed("#", 2.0)).splitlines()) == 2


class TestTheLongestChat:
    def renewed(self) -> tuple[CallSession, float]:
        """A session that has asked for a successor of its chat, and when."""
        session = talking_session()
        at_s, actions = wake(session)
        assert actions == [act.Connect(SECOND, "group-1", ATTEMPT_S)]
        return session, at_s

    def test_a_successor_takes_over_while_nobody_speaks(self) -> None:
        session, at_s = self.renewed()
        assert at_s == pytest.approx(0.2 + CHAT_S - RENEW_EARLY_S)

        actions = session.chat_said(SECOND, evi.ChatMetadata("chat-2", "group-1"), at_s)

        assert actions == [
            act.UseChat(SECOND),
            act.Tell(SETTINGS),
            act.HearCaller(),
            act.Disconnect(FIRST),
            act.Publish(events.ChatOpened("chat-2", "group-1", ChatOpening.RENEWED)),
        ]
        assert session.chat_closed(FIRST, 1000, at_s) == []
        assert session.chat_said(SECOND, said(), at_s + 1) != []

    def test_a_caller_who_speaks_is_not_cut_in_two(self) -> None:
        session, at_s = self.renewed()
        assert session.watches_caller(at_s)
        session.caller_sounded(at_s)

        assert session.chat_said(SECOND, CHAT, at_s + 0.1) == [act.Disconnect(SECOND)]
        while not (actions := wake(session)[1]):
            pass
        assert actions == [act.Connect(3, "group-1", ATTEMPT_S)]

    @pytest.mark.parametrize("what", ["tool", "sentence", "question"])
    def test_what_goes_on_is_waited_for_until_it_is_late(self, what: str) -> None:
        session = talking_session()
        begins_s = session.next_wake_s
        assert begins_s is not None
        kinds: dict[str, evi.Message] = {
            "tool": tool_call(),
            "sentence": sentence("a"),
            "question": said(),
        }
        busy = kinds[what]
        session.chat_said(FIRST, busy, begins_s - 0.1)

        actions: list[act.Action] = []
        while not actions:
            at_s, actions = wake(session)

        assert actions == [act.Connect(SECOND, "group-1", ATTEMPT_S)]
        latest_s = 0.2 + CHAT_S - RENEW_LATEST_S
        assert at_s >= (begins_s + 15 if what == "question" else latest_s)

    def test_what_is_cut_in_two_by_a_late_successor_is_said_again(self) -> None:
        session = talking_session()
        late_s = 0.2 + CHAT_S - RENEW_LATEST_S
        speak(session, "a", 100, late_s - 1)
        while not (actions := wake(session)[1]):
            pass
        assert actions == [act.Connect(SECOND, "group-1", ATTEMPT_S)]

        opened = session.chat_said(SECOND, CHAT, late_s + 1)

        assert act.Disconnect(FIRST) in opened
        assert told(opened)[-1] == evi.AssistantInput("Good day to you.")

    def test_a_question_that_was_never_answered_is_not_asked_again(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Hm."), 1.0)
        at_s, _ = wake(session)
        session.chat_said(SECOND, CHAT, at_s)

        assert told(session.woke(at_s + GO_ON_AFTER_S)) == []

    def test_it_can_be_asked_for_at_any_time(self) -> None:
        session = talking_session()
        session.command(act.Command.RENEW_CHAT, 5.0)

        assert wake(session) == (5.0, [act.Connect(SECOND, "group-1", ATTEMPT_S)])

    def test_a_successor_that_cannot_be_had_harms_nothing(self) -> None:
        session, at_s = self.renewed()

        assert session.chat_unavailable(SECOND, at_s, retryable=False) == []
        assert session.chat_said(FIRST, said(), at_s) != []
        assert wake(session)[0] == at_s + 5

    def test_a_chat_that_the_server_ends_for_its_length_is_resumed(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, evi.ChatError("E0715", "", ""), 1.0)

        assert ends(session.chat_closed(FIRST, 1000, 1.0)) == []
        assert wake(session)[1] == [act.Connect(SECOND, "group-1", ATTEMPT_S)]


class TestHangingUp:
    def test_a_tool_that_hangs_up_lets_the_agent_say_goodbye(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, tool_call(), 1.0)
        decided = session.hang_up(EndReason.AGENT_HUNG_UP, 1.1)
        session.tool_finished("call_1", evi.ToolResponse("call_1", "done"), 1.2)
        speak(session, "bye", 900, 1.5)
        assert ends(session.chat_said(FIRST, evi.AssistantEnd(), 1.5)) == []

        assert decided == [act.Publish(events.HangUpDecided(EndReason.AGENT_HUNG_UP))]
        assert ends(session.playback_heard("0:900", 2.5)) == [EndReason.AGENT_HUNG_UP]

    def test_a_sentence_that_an_operator_had_said_is_heard_before_he_hangs_up(self) -> None:
        session = talking_session()
        session.say("Good day to you.", 1.0)

        assert ends(session.command(act.Command.HANG_UP, 1.0)) == []
        speak(session, "a", 500, 1.2)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.2)
        assert ends(session.playback_heard("0:500", 1.8)) == [EndReason.OPERATOR_HUNG_UP]

    def test_an_agent_who_never_says_goodbye_is_waited_for_within_a_bound(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("goodbye"), 1.0)
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.1)

        at_s, actions = wake(session)

        assert (at_s, ends(actions)) == (1.1 + FAREWELL_S, [EndReason.AGENT_HUNG_UP])

    def test_a_goodbye_that_never_ends_is_cut(self) -> None:
        session = talking_session()
        speak(session, "bye", 50_000, 1.0)
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.1)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.2)

        at_s, actions = wake(session)

        assert (at_s, ends(actions)) == (1.1 + FAREWELL_S, [])
        assert not session.accepts("bye")
        heard_s, actions = wake(session)
        assert heard_s == 51.0 + LAST_WORDS_GRACE_S
        assert ends(actions) == [EndReason.AGENT_HUNG_UP]

    def test_a_caller_who_interrupts_the_goodbye_gets_an_answer(self) -> None:
        session = talking_session()
        speak(session, "bye", 5000, 1.0)
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.1)

        interrupted = session.chat_said(FIRST, evi.UserInterruption(1), 1.5)
        session.chat_said(FIRST, said("one more thing"), 2.0)
        speak(session, "yes", 500, 2.5)
        session.chat_said(FIRST, evi.AssistantEnd(), 2.5)

        assert ends(interrupted) == []
        assert ends(session.playback_heard("1:5500", 3.1)) == [EndReason.AGENT_HUNG_UP]

    def test_a_goodbye_that_was_generated_can_still_be_interrupted(self) -> None:
        session = talking_session()
        speak(session, "bye", 5000, 1.0)
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.1)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.2)

        interrupted = session.chat_said(FIRST, said("Wait!", interim=True), 2.0)
        session.chat_said(FIRST, said("Wait! One more thing."), 2.5)
        speak(session, "yes", 500, 3.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 3.0)

        assert interrupted[0] == act.ClearPlayback()
        assert ends(session.playback_heard("1:5500", 3.6)) == [EndReason.AGENT_HUNG_UP]

    def test_an_operator_who_asks_twice_does_not_want_to_wait(self) -> None:
        session = talking_session()
        speak(session, "bye", 5000, 1.0)
        session.command(act.Command.HANG_UP, 1.1)

        again = session.command(act.Command.HANG_UP, 1.2)

        assert ends(again) == [EndReason.OPERATOR_HUNG_UP]

    @pytest.mark.parametrize("silence", [act.Command.PAUSE, act.Command.HOLD])
    def test_an_agent_who_cannot_speak_is_not_waited_for(self, silence: act.Command) -> None:
        session = talking_session()
        session.command(silence, 0.5)
        session.chat_said(FIRST, said("Hello?"), 1.0)

        reasons = ends(session.command(act.Command.HANG_UP, 1.1))

        assert reasons == [EndReason.OPERATOR_HUNG_UP]

    def test_a_murmur_that_was_never_answered_puts_nothing_off(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Hm."), 1.0)

        assert ends(session.command(act.Command.HANG_UP, 90.0)) == [EndReason.OPERATOR_HUNG_UP]

    def test_a_server_that_goes_meanwhile_is_not_called_back(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("goodbye"), 1.0)
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.1)

        assert ends(session.chat_closed(FIRST, 1006, 1.2)) == [EndReason.AGENT_HUNG_UP]

    def test_a_call_without_a_chat_is_hung_up_at_once(self) -> None:
        session = talking_session()
        lose_chat(session, 1.0)

        reasons = ends(session.hang_up(EndReason.AGENT_HUNG_UP, 1.1))

        assert reasons == [EndReason.AGENT_HUNG_UP]

    def test_it_is_decided_once(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("goodbye"), 1.0)
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.1)

        assert session.hang_up(EndReason.OPERATOR_HUNG_UP, 1.2) == []
        assert session.chat_said(FIRST, CHAT, 1.3) == []

    def test_the_longest_call_hears_its_sentence_to_the_end(self) -> None:
        session = talking_session()
        speak(session, "a", 500, LIMITS.call_s - 0.1)

        assert ends(session.woke(LIMITS.call_s)) == []
        session.chat_said(FIRST, evi.AssistantEnd(), LIMITS.call_s)
        heard = session.playback_heard("0:500", LIMITS.call_s + 0.5)
        assert ends(heard) == [EndReason.MAX_DURATION]


class TestLeaving:
    def test_the_last_words_are_heard_before_the_hang_up(self) -> None:
        session = talking_session()
        assert speak(session, "bye", 900, 1.0) == [act.PlaceMark("0:900")]

        assert session.chat_closed(1, 1000, 1.1) == []
        assert not session.accepts("bye")

        actions = session.playback_heard("0:900", 1.9)
        assert ends(actions) == [EndReason.AGENT_HUNG_UP]

    def test_what_the_clock_takes_for_played_is_still_waited_for(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)

        assert ends(session.chat_closed(1, 1000, 60.0)) == []
        wake_s = session.next_wake_s
        assert wake_s == 60.0 + LAST_WORDS_GRACE_S

    def test_an_error_that_the_conversation_has_outlived_means_nothing(self) -> None:
        session = talking_session()
        session.chat_said(1, evi.ChatError("I0100", "", ""), 1.0)
        session.chat_said(1, said(), 2.0)

        assert ends(session.chat_closed(1, 1000, 3.0)) == [EndReason.AGENT_HUNG_UP]

    def test_a_close_before_the_chat_was_open_is_a_refusal(self) -> None:
        assert ends(new_session().chat_closed(1, 1000, 1.0)) == [EndReason.EVI_REFUSED]

    def test_tools_are_cancelled_when_nobody_takes_their_answers(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)
        session.chat_said(1, tool_call(), 1.0)

        assert act.CancelTool("call_1") in session.chat_closed(1, 1000, 1.1)
        assert session.tool_finished("call_1", evi.ToolResponse("call_1", "late"), 9.0) == []

    def test_an_unmarked_tail_gets_a_mark_when_the_server_has_closed(self) -> None:
        session = talking_session()
        speak(session, "bye", 300, 1.0)
        speak(session, "bye", 100, 1.0)

        assert session.chat_closed(1, 1000, 1.1) == [act.PlaceMark("0:400")]

    def test_a_mark_that_never_comes_is_waited_for_within_a_bound(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)
        session.chat_closed(1, 1000, 1.1)

        wake_s = session.next_wake_s
        assert wake_s == pytest.approx(1.9 + LAST_WORDS_GRACE_S)
        assert wake_s is not None
        assert ends(session.woke(wake_s)) == [EndReason.AGENT_HUNG_UP]

    def test_a_caller_who_leaves_during_the_last_words_was_still_left_by_the_agent(self) -> None:
        session = talking_session()
        speak(session, "bye", 900, 1.0)
        session.chat_closed(1, 1000, 1.1)

        assert ends(session.caller_left(EndReason.CALLER_HUNG_UP, 9.0)) == [EndReason.AGENT_HUNG_UP]

    @pytest.mark.parametrize(
        ("code", "error", "reason"),
        [
            (1000, None, EndReason.AGENT_HUNG_UP),
            (1000, "E0714", EndReason.INACTIVITY),
            (1000, "E0709", EndReason.EVI_REFUSED),
            (1008, None, EndReason.EVI_REFUSED),
        ],
    )
    def test_a_close_means_what_the_last_error_said(
        self, code: int, error: str | None, reason: EndReason
    ) -> None:
        session = talking_session()
        if error is not None:
            actions = session.chat_said(FIRST, evi.ChatError(error, "slug", "text"), 1.0)
            assert published(actions) == [events.ServerReportedError(error, "slug", "text")]

        assert ends(session.chat_closed(FIRST, code, 2.0)) == [reason]


def test_messages_without_a_meaning_for_the_call_change_nothing() -> None:
    session = talking_session()
    for message in (
        evi.AssistantProsody("a"),
        evi.SessionSettings(),
        evi.Unknown("weather", {}),
        evi.ToolResponse("c", "builtin result"),
    ):
        assert session.chat_said(FIRST, message, 1.0) == []


def test_what_was_said_and_heard_can_be_asked_for_at_any_time() -> None:
    session = talking_session()
    session.chat_said(FIRST, said("Hello?"), 1.0)
    speak(session, "a", 1000, 2.0)

    caller, agent = session.lines(2.25)

    assert (caller.who, caller.text_heard) == ("caller", "Hello?")
    assert (agent.text, agent.text_heard) == ("Good day to you.", "Good")
    assert not agent.is_over
    assert agent.sent_ms == 1000
    assert agent.heard_ms == pytest.approx(250)
