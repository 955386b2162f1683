"""What tools ask of a call, and what the caller hears while they run."""

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Command
from evibridge.agent.commands import Decide
from evibridge.agent.course import BREAK_S
from evibridge.agent.manners import Manners
from evibridge.agent.session import CallSession
from evibridge.events import EndReason, ToolPath
from evibridge.tools_registry.progress import Verdict
from tests.agent.test_session import (
    CHAT,
    FIRST,
    context,
    ends,
    lose_chat,
    published,
    said,
    sentence,
    speak,
    talking_session,
    told,
    tool_call,
    wake,
)

HOLD = "One moment, I look it up."
GOODBYE = "Goodbye, and thank you."
WORKSHOP = "+14155550100"


def working_session(manners: Manners | None = None) -> CallSession:
    """A tool runs for the caller."""
    session = talking_session(manners)
    session.chat_said(FIRST, said("where is it"), 1.0)
    session.chat_said(FIRST, tool_call(), 1.5)
    return session


def spoken(text: str, utterance_id: str = "s1") -> evi.AssistantMessage:
    """The server begins to speak a text that it was told."""
    return evi.AssistantMessage(utterance_id, text, from_text=True, is_quick_response=False)


def last_words(session: CallSession, text: str, ms: float, now_s: float) -> str:
    """The server speaks a text and is done; returns the mark behind it."""
    session.chat_said(FIRST, spoken(text), now_s)
    actions = session.agent_audio_sent("s1", ms, now_s)
    actions += session.chat_said(FIRST, evi.AssistantEnd(), now_s)
    return [action.name for action in actions if isinstance(action, act.PlaceMark)][-1]


class TestHolding:
    def test_a_caller_who_waits_is_told_so(self) -> None:
        session = working_session()

        assert told(session.tool_holds("call_1", HOLD, 3.5)) == [evi.AssistantInput(HOLD)]

    def test_not_into_the_agents_own_words_but_after_them(self) -> None:
        session = working_session()
        speak(session, "u1", 1000, 3.0)

        assert session.tool_holds("call_1", HOLD, 3.5) == []
        session.agent_audio_sent("u1", 1000, 3.9)
        assert wake(session) == (4.0 + BREAK_S, [])
        at_s, actions = wake(session)

        assert at_s == 5.0 + BREAK_S
        assert told(actions) == [evi.AssistantInput(HOLD)]

    def test_not_when_the_answer_is_there_before(self) -> None:
        session = working_session()
        speak(session, "u1", 1000, 3.0)
        session.tool_holds("call_1", HOLD, 3.5)
        session.tool_finished("call_1", evi.ToolResponse("call_1", "on its way"), 3.6)
        session.chat_said(FIRST, evi.AssistantEnd(), 3.7)

        assert told(wake(session)[1]) == []

    def test_not_for_a_tool_that_nobody_waits_for(self) -> None:
        session = talking_session()

        assert session.tool_holds("call_1", HOLD, 3.5) == []

    def test_not_while_the_agent_is_paused(self) -> None:
        session = working_session()
        session.command(Command.PAUSE, 3.0)

        assert session.tool_holds("call_1", HOLD, 3.5) == []

    def test_not_without_a_chat(self) -> None:
        session = working_session()
        lose_chat(session, 3.0)

        assert session.tool_holds("call_1", HOLD, 3.5) == []


class TestApproval:
    def test_operators_are_asked_and_the_first_one_decides(self) -> None:
        session = working_session()
        no = Verdict(is_approved=False, reason="too late")

        assert published(session.tool_awaits_verdict("call_1", 20.0)) == [
            events.ApprovalWanted("call_1", "order_status", '{"order_id":"1042"}', 20.0)
        ]
        yes = Verdict(is_approved=True)
        decided = session.operate(Decide("call_1", no), "Ada", 2.0)
        assert decided[0] == act.TellVerdict("call_1", no)
        assert session.operate(Decide("call_1", yes), "Bob", 2.1) == []


class TestContext:
    def test_it_is_for_all_later_answers(self) -> None:
        session = talking_session()

        assert told(session.set_context("He is a friend.")) == [
            evi.SessionSettings(context=evi.Context("He is a friend.", "persistent"))
        ]

    def test_a_note_for_the_next_answer_does_not_replace_it(self) -> None:
        session = talking_session()
        session.set_context("He is a friend.")

        assert (
            context(session.tool_delivered("It is raining.")) == "He is a friend.\nIt is raining."
        )
        session.chat_said(FIRST, said("how is the weather"), 1.0)
        answered = session.chat_said(FIRST, sentence("u1"), 2.0)
        assert told(answered) == [
            evi.SessionSettings(context=evi.Context("He is a friend.", "persistent"))
        ]

    def test_another_one_replaces_it(self) -> None:
        session = talking_session()
        session.set_context("He is a friend.")

        assert context(session.set_context("He is a stranger.")) == "He is a stranger."

    def test_it_can_be_taken_back(self) -> None:
        session = talking_session()
        session.set_context("He is a friend.")

        assert told(session.set_context(None)) == [evi.SessionSettings(context=evi.Clear.CLEAR)]
        assert told(session.chat_said(FIRST, sentence("u1"), 2.0)) == []

    def test_a_note_stays_when_it_is_taken_back(self) -> None:
        session = talking_session()
        session.set_context("He is a friend.")
        session.tool_delivered("It is raining.")

        assert context(session.set_context(None)) == "It is raining."

    def test_the_next_chat_is_told_it_too(self) -> None:
        session = talking_session()
        session.set_context("He is a friend.")
        second = lose_chat(session, 2.0)

        opened = session.chat_said(second, evi.ChatMetadata("chat-2", "group-1"), 2.5)
        assert context(opened) == "He is a friend."

    def test_without_a_chat_it_is_kept_for_the_next_one(self) -> None:
        session = talking_session()
        second = lose_chat(session, 2.0)

        assert session.set_context("He is a friend.") == []
        opened = session.chat_said(second, evi.ChatMetadata("chat-2", "group-1"), 2.5)
        assert context(opened) == "He is a friend."

    def test_after_the_end_nobody_is_told_anything(self) -> None:
        session = talking_session()
        session.caller_left(EndReason.CALLER_HUNG_UP, 2.0)

        assert session.set_context("He is a friend.") == []
        assert session.tool_delivered("It is raining.") == []


class TestKeys:
    def test_they_are_pressed_at_once_when_the_agent_is_silent(self) -> None:
        assert talking_session().send_digits("12#", 1.0) == [act.PlayTones("12#")]

    def test_they_wait_until_the_agent_has_spoken(self) -> None:
        session = talking_session()
        speak(session, "u1", 1000, 1.0)

        assert session.send_digits("1", 1.1) == []
        assert session.send_digits("2#", 1.2) == []
        session.chat_said(FIRST, evi.AssistantEnd(), 1.5)
        assert session.send_digits("3", 1.6) == []

        assert wake(session) == (2.0, [act.PlayTones("12#3")])

    def test_more_of_them_follow_those_that_are_being_pressed(self) -> None:
        session = talking_session()
        assert session.send_digits("1", 1.0) == [act.PlayTones("1")]
        assert session.send_digits("2", 1.0) == []
        session.tones_played("1", 200, 1.0)

        assert wake(session) == (1.2, [act.PlayTones("2")])

    def test_those_that_were_kept_back_on_hold_are_pressed_after_it(self) -> None:
        session = talking_session()
        session.command(Command.HOLD, 1.0)
        assert session.send_digits("1", 1.5) == []

        assert act.PlayTones("1") in session.command(Command.RELEASE, 2.0)

    def test_those_that_were_kept_back_in_a_pause_are_pressed_after_it(self) -> None:
        session = talking_session()
        session.command(Command.PAUSE, 1.0)
        assert session.send_digits("1", 1.5) == []

        assert act.PlayTones("1") in session.command(Command.RESUME, 2.0)

    def test_those_that_a_broken_line_kept_back_are_pressed_on_the_next(self) -> None:
        session = talking_session()
        session.caller_lost(1.0)
        assert session.send_digits("1", 1.5) == []

        assert act.PlayTones("1") in session.caller_returned(2.0)

    def test_they_are_pressed_when_its_turn_breaks_off_to_wait_for_a_tool(self) -> None:
        session = talking_session()
        speak(session, "u1", 1000, 1.0)
        session.send_digits("1", 1.5)

        assert wake(session) == (2.0 + BREAK_S, [act.PlayTones("1")])

    def test_they_are_told_of_and_marked(self) -> None:
        mark, sent = talking_session().tones_played("1#", 400, 1.0)

        assert isinstance(mark, act.PlaceMark)
        assert sent == act.Publish(events.DigitsSent("1#"))

    def test_words_of_the_machine_at_the_other_end_do_not_cut_them_off(self) -> None:
        session = talking_session(Manners(filler=None, cut_off_by_words="always"))
        session.tones_played("12345#", 1200, 1.0)

        assert act.ClearPlayback() not in session.chat_said(FIRST, said("for sales"), 1.5)
        speak(session, "u1", 1000, 2.5)
        assert act.ClearPlayback() in session.chat_said(FIRST, said("press one"), 3.0)

    def test_they_are_pressed_when_the_agent_is_interrupted(self) -> None:
        session = talking_session()
        speak(session, "u1", 1000, 1.0)
        session.send_digits("1", 1.2)

        assert act.PlayTones("1") in session.chat_said(FIRST, evi.UserInterruption(1), 1.5)

    def test_a_call_that_ends_waits_for_those_that_are_about_to_be_pressed(self) -> None:
        session = talking_session()
        (place,) = speak(session, "u1", 1000, 1.0)
        assert isinstance(place, act.PlaceMark)
        session.send_digits("1", 1.2)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.5)
        session.playback_heard(place.name, 1.9)

        assert ends(session.hang_up(EndReason.AGENT_HUNG_UP, 1.95)) == []
        assert wake(session) == (2.0, [act.PlayTones("1")])
        mark = session.tones_played("1", 200, 2.0)[0]
        assert isinstance(mark, act.PlaceMark)
        assert ends(session.playback_heard(mark.name, 2.2)) == [EndReason.AGENT_HUNG_UP]

    def test_there_are_none_after_the_end_or_the_last_words(self) -> None:
        session = talking_session()
        session.end_with(GOODBYE, 2.0)
        assert session.send_digits("1", 2.1) == []

        session.caller_left(EndReason.CALLER_HUNG_UP, 2.5)
        assert session.send_digits("1", 3.0) == []


class TestLastWords:
    def test_the_call_ends_when_they_were_heard(self) -> None:
        session = working_session()

        asked = session.end_with(GOODBYE, 2.0)
        assert told(asked) == [evi.AssistantInput(GOODBYE)]
        assert ends(asked) == []
        session.tool_finished("call_1", evi.ToolResponse("call_1", "done"), 2.1)
        mark = last_words(session, GOODBYE, 1500, 2.5)

        assert ends(session.playback_heard(mark, 4.0)) == [EndReason.AGENT_HUNG_UP]

    def test_the_model_has_nothing_to_add(self) -> None:
        session = working_session()
        session.end_with(GOODBYE, 2.0)
        session.tool_finished("call_1", evi.ToolResponse("call_1", "done"), 2.1)
        session.chat_said(FIRST, sentence("m1", "Is there anything else?"), 2.2)

        assert not session.accepts("m1")

    def test_a_server_that_does_not_speak_them_does_not_keep_the_line(self) -> None:
        session = working_session()
        session.end_with(GOODBYE, 2.0)

        reasons: list[EndReason] = []
        while not reasons:
            at_s, actions = wake(session)
            reasons = ends(actions)
        assert at_s <= 32.0
        assert reasons == [EndReason.AGENT_HUNG_UP]

    def test_a_caller_who_interrupts_them_ends_the_call_sooner(self) -> None:
        session = working_session()
        session.end_with(GOODBYE, 2.0)
        session.tool_finished("call_1", evi.ToolResponse("call_1", "done"), 2.1)
        session.chat_said(FIRST, spoken(GOODBYE), 2.5)
        session.agent_audio_sent("s1", 1500, 2.5)

        assert ends(session.chat_said(FIRST, evi.UserInterruption(1), 3.0)) == [
            EndReason.AGENT_HUNG_UP
        ]

    def test_after_the_end_there_are_none(self) -> None:
        session = talking_session()
        session.caller_left(EndReason.CALLER_HUNG_UP, 2.0)

        assert session.end_with(GOODBYE, 3.0) == []

    def test_what_the_server_was_to_say_before_the_caller_spoke_does_not_keep_the_line(
        self,
    ) -> None:
        session = talking_session()
        session.say("By the way, we close at six.", 1.0)
        session.chat_said(FIRST, said("goodbye"), 1.1)  # and the server has dropped it
        speak(session, "u1", 1000, 1.5)
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.6)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.7)

        at_s, actions = wake(session)
        assert at_s < 5
        assert ends(actions) == [EndReason.AGENT_HUNG_UP]


class TestPaths:
    def test_a_webhook_that_comes_late_tells_the_next_chat_nothing(self) -> None:
        session = working_session()
        session.tool_finished("call_1", evi.ToolResponse("call_1", "done"), 2.0)
        second = lose_chat(session, 3.0)
        session.chat_said(second, CHAT, 3.5)

        assert session.tool_called(tool_call("call_1"), ToolPath.WEBHOOK) == []

    def test_a_call_that_comes_by_webhook_alone_is_run(self) -> None:
        session = talking_session()

        started = session.tool_called(tool_call("call_1"), ToolPath.WEBHOOK)

        assert act.StartTool(tool_call("call_1")) in started
        assert session.chat_said(FIRST, tool_call("call_1"), 1.0) == []


class TestTransfer:
    def test_the_carrier_takes_over_when_the_agent_has_said_what_it_has_to_say(self) -> None:
        session = working_session()

        assert ends(session.transfer(WORKSHOP, 2.0)) == []
        session.tool_finished("call_1", evi.ToolResponse("call_1", "done"), 2.1)
        session.chat_said(FIRST, sentence("u1", "I put you through."), 2.5)
        place, *_ = session.agent_audio_sent("u1", 1000, 2.5)
        session.chat_said(FIRST, evi.AssistantEnd(), 2.6)
        assert isinstance(place, act.PlaceMark)
        over = session.playback_heard(place.name, 3.5)

        assert act.HangUp(EndReason.TRANSFERRED, WORKSHOP) in over
        assert published(over)[-1] == events.CallEnded(EndReason.TRANSFERRED)

    def test_a_caller_whose_line_broke_is_put_through_when_he_is_back(self) -> None:
        session = working_session()
        session.caller_lost(1.8)

        over = session.transfer(WORKSHOP, 2.0)
        assert act.HangUp(EndReason.TRANSFERRED, WORKSHOP) in over

    def test_a_caller_who_leaves_before_that_was_not_put_through(self) -> None:
        session = working_session()
        session.transfer(WORKSHOP, 2.0)

        over = session.caller_left(EndReason.CALLER_HUNG_UP, 2.5)
        assert act.HangUp(EndReason.CALLER_HUNG_UP) in over

    def test_one_whose_line_breaks_before_that_is_put_through_all_the_same(self) -> None:
        session = working_session()
        session.transfer(WORKSHOP, 2.0)

        assert act.HangUp(EndReason.TRANSFERRED, WORKSHOP) in session.caller_lost(2.5)

    def test_a_hang_up_that_is_decided_stays_one(self) -> None:
        session = working_session()
        session.hang_up(EndReason.AGENT_HUNG_UP, 1.8)
        session.transfer(WORKSHOP, 2.0)

        over = session.command(Command.HANG_UP, 2.5)
        assert act.HangUp(EndReason.AGENT_HUNG_UP, None) in over
