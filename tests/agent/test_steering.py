"""What operators do to a call, and what they cannot do."""

from dataclasses import replace

import pytest

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Command
from evibridge.agent.commands import OperatorCommand
from evibridge.agent.duties import THINKS_FOR_S
from evibridge.agent.session import CallSession
from evibridge.agent.snapshot import CallState
from evibridge.errors import CommandRefused
from evibridge.events import CommandGiven, EndReason
from tests.agent.test_session import (
    CHAT,
    FIRST,
    SECOND,
    ends,
    lose_chat,
    new_session,
    published,
    said,
    sentence,
    speak,
    talking_session,
    told,
    tool_call,
    wake,
)

ADA = "Ada"
CALLER = events.CALLER
DISCLOSURE = "I am a machine, and this call is recorded."


def obey(session: CallSession, command: OperatorCommand, now_s: float = 2.0) -> list[act.Action]:
    return session.operate(command, ADA, now_s)


def refusal(session: CallSession, command: OperatorCommand, now_s: float = 2.0) -> str:
    with pytest.raises(CommandRefused) as refused:
        session.operate(command, ADA, now_s)
    return refused.value.code


def written(text: str) -> evi.UserMessage:
    return replace(said(text), from_text=True)


def given(command: str, text: str | None = None) -> CommandGiven:
    return CommandGiven(command, ADA, text)


class TestCallersWithButtons:
    def test_a_caller_pauses_the_agent_and_resumes(self) -> None:
        session = talking_session()

        paused = session.caller_pauses(2.0)
        assert told(paused) == [evi.PauseAssistant()]
        assert published(paused)[0] == CommandGiven("pause", CALLER)
        assert session.state(2.5).paused_by == CALLER
        assert session.caller_pauses(2.6) == []

        resumed = session.caller_resumes(3.0)
        assert evi.ResumeAssistant() in told(resumed)
        assert published(resumed)[0] == CommandGiven("resume", CALLER)

    def test_a_caller_cannot_resume_what_an_operator_has_paused(self) -> None:
        session = talking_session()
        obey(session, wish.Pause())

        with pytest.raises(CommandRefused) as refused:
            session.caller_resumes(3.0)
        assert refused.value.code == "paused_by_operator"
        assert session.caller_pauses(3.1) == []
        obey(session, wish.Resume(), 3.2)
        assert session.caller_resumes(3.3) == []

    def test_only_what_callers_write_is_theirs(self) -> None:
        session = talking_session()
        session.caller_typed("Where is\n order 1042? ")
        obey(session, wish.Inject("She is in arrears."))

        words = ("Where is order 1042?", "She is in arrears.", "Where is order 1042?")
        echoes = [session.chat_said(FIRST, written(each), 3.0) for each in words]

        by_caller = [
            event.by_caller
            for echo in echoes
            for event in published(echo)
            if isinstance(event, events.CallerSaid)
        ]
        assert by_caller == [True, False, False]

    def test_a_pause_of_the_caller_becomes_an_operators(self) -> None:
        session = talking_session()
        session.caller_pauses(2.0)

        taken = obey(session, wish.Pause(), 2.5)

        assert (told(taken), published(taken)) == ([], [given("pause"), events.AgentPaused()])
        assert session.state(2.6).paused_by == ADA
        assert obey(session, wish.Pause(), 2.7) == []
        with pytest.raises(CommandRefused):
            session.caller_resumes(3.0)

    def test_an_operator_may_resume_for_a_caller(self) -> None:
        session = talking_session()
        session.caller_pauses(2.0)

        assert evi.ResumeAssistant() in told(obey(session, wish.Resume(), 3.0))


class TestWords:
    def test_the_agent_speaks_what_an_operator_says(self) -> None:
        actions = obey(talking_session(), wish.Say("We close at six."))

        assert told(actions) == [evi.AssistantInput("We close at six.")]
        assert published(actions) == [given("say", "We close at six.")]

    def test_it_answers_what_an_operator_writes_for_the_caller(self) -> None:
        actions = obey(talking_session(), wish.Inject("Where is order 1042?"))

        assert told(actions) == [evi.UserInput("Where is order 1042?")]
        assert published(actions) == [given("inject", "Where is order 1042?")]

    def test_a_whisper_is_for_the_model_alone_and_can_be_taken_back(self) -> None:
        session = talking_session()

        actions = obey(session, wish.SetContext("She is a good customer."))
        assert told(actions) == [
            evi.SessionSettings(context=evi.Context("She is a good customer.", "persistent"))
        ]
        assert published(actions) == [given("context", "She is a good customer.")]
        assert told(obey(session, wish.SetContext(None))) == [
            evi.SessionSettings(context=evi.Clear.CLEAR)
        ]

    def test_variables_are_set_and_their_values_are_not_told_around(self) -> None:
        actions = obey(talking_session(), wish.SetVariables({"balance": "12 euros"}))

        assert told(actions) == [evi.SessionSettings(variables={"balance": "12 euros"})]
        assert published(actions) == [given("variables", "balance")]

    def test_what_was_set_is_told_to_the_chat_that_follows(self) -> None:
        session = talking_session()
        obey(session, wish.SetVariables({"balance": "12 euros"}))
        second = lose_chat(session, 3.0)

        settings, *_ = told(session.chat_said(second, CHAT, 3.5))

        assert isinstance(settings, evi.SessionSettings)
        assert settings.variables == {"balance": "12 euros"}

    def test_what_cannot_be_told_now_is_told_to_the_first_chat(self) -> None:
        session = new_session()
        assert told(obey(session, wish.Say("Hello."), 0.1)) == []
        assert told(obey(session, wish.Inject("Hi."), 0.1)) == []

        opening = told(session.chat_said(FIRST, CHAT, 0.2))

        assert evi.AssistantInput("Hello.") in opening
        assert evi.UserInput("Hi.") in opening

    def test_a_silenced_agent_says_nothing_for_operators(self) -> None:
        session = talking_session()
        obey(session, wish.Pause())
        assert refusal(session, wish.Say("Hello.")) == "agent_is_paused"
        obey(session, wish.Resume())
        obey(session, wish.Hold())
        assert refusal(session, wish.Say("Hello.")) == "call_is_held"


class TestSilence:
    def test_a_paused_agent_falls_silent_and_it_is_known_who_paused_it(self) -> None:
        session = talking_session()
        speak(session, "u1", 5000, 1.0)

        actions = obey(session, wish.Pause())

        assert act.ClearPlayback() in actions
        assert evi.PauseAssistant() in told(actions)
        assert published(actions)[0] == given("pause")
        state = session.state(2.0)
        assert (state.is_paused, state.paused_by, state.doing) == (True, ADA, CallState.PAUSED)

    def test_a_resumed_agent_is_paused_by_nobody(self) -> None:
        session = talking_session()
        obey(session, wish.Pause())

        actions = obey(session, wish.Resume(), 3.0)

        assert published(actions) == [given("resume"), events.AgentResumed()]
        assert session.state(3.0).paused_by is None

    def test_a_held_call_is_held_by_somebody_until_it_is_released(self) -> None:
        session = talking_session()

        assert published(obey(session, wish.Hold())) == [given("hold"), events.CallHeld()]
        assert (session.state(2.0).held_by, session.state(2.0).doing) == (ADA, CallState.HELD)
        released = published(obey(session, wish.Release(), 3.0))
        assert released == [given("release"), events.CallReleased()]
        assert session.state(3.0).held_by is None

    @pytest.mark.parametrize("command", [wish.Resume(), wish.Release()])
    def test_what_is_so_already_is_not_done_again(self, command: OperatorCommand) -> None:
        assert obey(talking_session(), command) == []

    def test_whoever_paused_first_stays_known(self) -> None:
        session = talking_session()
        session.operate(wish.Pause(), "Sam", 1.0)

        assert obey(session, wish.Pause()) == []
        assert session.state(2.0).paused_by == "Sam"

    def test_a_program_that_pauses_has_no_name(self) -> None:
        session = talking_session()
        session.command(Command.PAUSE, 1.0)

        state = session.state(1.0)
        assert state.is_paused
        assert state.paused_by is None


class TestTheEnd:
    def test_a_hang_up_waits_for_the_last_word_and_the_second_does_not(self) -> None:
        session = talking_session()
        speak(session, "u1", 5000, 1.0)

        first = obey(session, wish.HangUp())
        assert published(first) == [
            given("hangup"),
            events.HangUpDecided(EndReason.OPERATOR_HUNG_UP),
        ]
        assert session.state(2.0).doing is CallState.ENDING
        assert ends(obey(session, wish.HangUp(), 2.5)) == [EndReason.OPERATOR_HUNG_UP]

    def test_a_transfer_puts_the_caller_through(self) -> None:
        session = talking_session()

        actions = obey(session, wish.Transfer("+4930123456"))

        assert act.HangUp(EndReason.TRANSFERRED, "+4930123456") in actions
        assert published(actions)[0] == given("transfer", "+4930123456")

    def test_a_server_that_is_away_cannot_say_where_the_caller_is_put_through_to(self) -> None:
        session = talking_session()
        lose_chat(session, 1.0)

        transfer = wish.Transfer("+4930123456", say_first="I connect you.")
        assert refusal(session, transfer) == "agent_is_away"
        assert ends(obey(session, wish.Transfer("+4930123456"))) == [EndReason.TRANSFERRED]

    def test_the_caller_hears_first_where_he_is_put_through_to(self) -> None:
        session = talking_session()

        actions = obey(session, wish.Transfer("+4930123456", say_first="I connect you."))

        assert told(actions) == [evi.AssistantInput("I connect you.")]
        assert ends(actions) == []

    @pytest.mark.parametrize(
        "command",
        [
            wish.Say("Hello."),
            wish.Inject("Hello."),
            wish.SetContext("It rains."),
            wish.SetVariables({"day": "Friday"}),
            wish.Pause(),
            wish.Release(),
            wish.Transfer("+4930123456"),
            wish.Send(evi.UserInput("Hello.")),
            wish.Send(evi.SessionSettings(voice_id="v-2")),
        ],
        ids=lambda command: type(command).__name__,
    )
    def test_a_call_that_is_about_to_end_takes_no_other_commands(
        self, command: OperatorCommand
    ) -> None:
        session = talking_session()
        speak(session, "u1", 5000, 1.0)
        obey(session, wish.HangUp())

        assert refusal(session, command) == "call_is_ending"

    def test_a_call_that_is_over_takes_none(self) -> None:
        session = talking_session()
        session.caller_left(EndReason.CALLER_HUNG_UP, 1.0)

        assert refusal(session, wish.HangUp()) == "call_is_over"
        assert session.state(2.0).doing is CallState.ENDED


class TestMessagesOfTheControlPlane:
    def test_what_they_ask_for_is_wanted_of_the_call_as_well(self) -> None:
        session = talking_session()

        assert published(obey(session, wish.Send(evi.PauseAssistant())))[0] == given("pause")
        assert session.state(2.0).is_paused
        assert published(obey(session, wish.Send(evi.ResumeAssistant())))[0] == given("resume")
        spoken = obey(session, wish.Send(evi.AssistantInput("We close at six.")))
        assert told(spoken) == [evi.AssistantInput("We close at six.")]
        assert published(spoken) == [given("send", "assistant_input")]

    def test_words_are_told_as_they_are(self) -> None:
        message = evi.UserInput("Hello.", custom_session_id="s-1")

        assert told(obey(talking_session(), wish.Send(message))) == [message]

    def test_settings_hold_for_every_later_chat(self) -> None:
        session = talking_session()
        change = evi.SessionSettings(voice_id="v-2")

        assert told(obey(session, wish.Send(change))) == [change]
        second = lose_chat(session, 3.0)
        settings, *_ = told(session.chat_said(second, CHAT, 3.5))
        assert isinstance(settings, evi.SessionSettings)
        assert settings.voice_id == "v-2"

    def test_the_format_of_the_audio_is_not_theirs_to_change(self) -> None:
        change = evi.SessionSettings(audio=evi.AudioFormat(44_100))

        assert refusal(talking_session(), wish.Send(change)) == "audio_is_fixed"

    def test_an_operator_answers_a_tool_call_in_place_of_the_tool(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, tool_call("call_1"), 1.0)
        answer = evi.ToolResponse("call_1", "It is on its way.")

        actions = obey(session, wish.Send(answer))

        assert actions[1:] == [
            act.CancelTool("call_1"),
            act.Tell(answer),
            act.Publish(
                events.ToolFinished("call_1", "order_status", "answered", "It is on its way.")
            ),
        ]
        assert session.tool_finished("call_1", evi.ToolResponse("call_1", "late"), 3.0) == []

    def test_the_caller_is_not_asked_to_wait_for_a_tool_that_an_operator_has_answered(
        self,
    ) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("where is it"), 1.0)
        session.chat_said(FIRST, tool_call("call_1"), 1.5)
        session.tool_holds("call_1", "One moment.", 2.0)
        obey(session, wish.Send(evi.ToolError("call_1", "no", content="Not found.")), 2.1)
        second = lose_chat(session, 3.0)

        assert evi.AssistantInput("One moment.") not in told(session.chat_said(second, CHAT, 3.5))

    def test_a_server_that_has_an_operators_answer_is_left_to_think(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("where is it"), 1.0)
        session.chat_said(FIRST, tool_call("call_1"), 1.5)
        second = lose_chat(session, 2.0)
        session.chat_said(second, CHAT, 2.5)
        session.chat_said(second, tool_call("call_1"), 2.6)
        obey(session, wish.Send(evi.ToolResponse("call_1", "On its way.")), 4.0)

        assert session.next_wake_s is not None
        assert told(session.woke(4.6)) == []

    def test_a_tool_call_that_waits_for_no_answer_gets_none(self) -> None:
        answer = evi.ToolResponse("call_9", "hello")

        assert refusal(talking_session(), wish.Send(answer)) == "tool_is_not_open"


class TestAfterAHold:
    def test_a_question_whose_chat_was_lost_meanwhile_is_asked_again(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("where is it"), 1.0)
        obey(session, wish.Hold(), 1.5)
        second = lose_chat(session, 2.0)
        session.chat_said(second, CHAT, 2.5)
        session.woke(9.0)
        obey(session, wish.Release(), 10.0)

        at_s, actions = wake(session)

        assert at_s <= 10.0 + THINKS_FOR_S
        assert told(actions) == [evi.UserInput("where is it")]

    def test_of_all_that_the_agent_wanted_to_say_the_last_turn_is_said(self) -> None:
        session = talking_session()
        obey(session, wish.Hold(), 1.0)
        for number in range(3):
            session.chat_said(FIRST, sentence(f"n{number}", "Are you still there?"), 30.0 * number)
            session.chat_said(FIRST, evi.AssistantEnd(), 30.0 * number + 1)

        released = obey(session, wish.Release(), 120.0)

        assert told(released) == [evi.AssistantInput("Are you still there?")]


class TestWhatACallDoes:
    def test_it_connects_and_then_listens(self) -> None:
        session = new_session()

        assert session.state(0.1).doing is CallState.CONNECTING
        session.chat_said(FIRST, CHAT, 0.2)
        assert session.state(0.3).doing is CallState.LISTENING

    def test_it_follows_who_speaks(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("where", interim=True), 1.0)
        assert session.state(1.0).doing is CallState.CALLER_SPEAKING
        session.chat_said(FIRST, said("where is it"), 1.5)
        assert session.state(1.5).doing is CallState.LISTENING
        session.chat_said(FIRST, sentence("u1"), 2.0)
        session.agent_audio_sent("u1", 1000, 2.0)
        assert session.state(2.5).doing is CallState.AGENT_SPEAKING
        session.chat_said(FIRST, evi.UserInterruption(0), 2.6)
        assert session.state(2.6).doing is CallState.CALLER_SPEAKING

    def test_an_agent_who_is_about_to_speak_is_not_the_caller_speaking(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("where", interim=True), 1.0)
        session.chat_said(FIRST, sentence("u1"), 1.2)
        assert session.state(1.3).doing is CallState.LISTENING

    def test_a_cough_is_not_taken_for_speech_for_long(self) -> None:
        session = talking_session()
        speak(session, "u1", 5000, 1.0)
        session.chat_said(FIRST, evi.UserInterruption(0), 2.0)
        assert session.state(2.1).doing is CallState.CALLER_SPEAKING
        assert session.state(60.0).doing is CallState.LISTENING

    def test_tools_and_what_they_wait_for_come_before_talk(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, tool_call("call_1"), 1.0)
        assert session.state(1.0).doing is CallState.TOOL_RUNNING
        session.tool_awaits_verdict("call_1", 20.0)
        assert session.state(1.1).doing is CallState.NEEDS_APPROVAL

    def test_it_waits_for_a_lost_server_and_for_a_lost_caller(self) -> None:
        session = talking_session()
        session.caller_lost(1.0)
        assert session.state(1.0).doing is CallState.RECONNECTING
        session.caller_returned(2.0)
        assert session.state(2.0).doing is CallState.LISTENING
        lose_chat(session, 3.0)
        assert session.state(3.0).doing is CallState.RECONNECTING


class TestResponses:
    def test_the_callers_wait_for_an_answer_is_told_with_its_first_sound(self) -> None:
        session = talking_session()  # the chat hears the caller from the beginning
        heard = evi.UserMessage("where is it", False, False, begin_ms=500, end_ms=1500)
        session.chat_said(FIRST, heard, 2.3)

        first = speak(session, "u1", 200, 2.6)
        more = session.agent_audio_sent("u1", 200, 2.7)

        assert published(first) == [events.TurnAnswered(1100)]
        assert published(more) == []

    def test_what_was_asked_of_a_paused_agent_is_not_timed(self) -> None:
        session = talking_session()
        obey(session, wish.Pause(), 1.0)
        session.chat_said(FIRST, said("where is it"), 2.0)
        obey(session, wish.Resume(), 20.0)

        assert published(speak(session, "u1", 200, 21.0)) == []

    def test_a_chat_that_heard_what_was_kept_meanwhile_is_timed_from_there(self) -> None:
        session = talking_session()
        second = lose_chat(session, 3.0)
        session.chat_said(second, CHAT, 3.5)  # and hears the caller from second 3 on
        heard = evi.UserMessage("where is it", False, False, begin_ms=500, end_ms=1500)
        session.chat_said(second, heard, 4.9)
        session.chat_said(second, sentence("u1"), 5.0)

        assert published(session.agent_audio_sent("u1", 200, 5.2)) == [events.TurnAnswered(700)]

    def test_a_chat_that_takes_over_in_a_silence_is_timed_from_then(self) -> None:
        session = talking_session()
        session.command(Command.RENEW_CHAT, 10.0)
        session.woke(10.0)
        session.chat_said(SECOND, CHAT, 10.5)
        heard = evi.UserMessage("where is it", False, False, begin_ms=500, end_ms=1500)
        session.chat_said(SECOND, heard, 12.4)
        session.chat_said(SECOND, sentence("u1"), 12.5)

        assert published(session.agent_audio_sent("u1", 200, 13.0)) == [events.TurnAnswered(1000)]

    def test_how_voices_sounded_is_told(self) -> None:
        session = talking_session()
        heard = evi.UserMessage("yes", False, False, 1, 1, scores={"Joy": 0.4})

        assert published(session.chat_said(FIRST, heard, 1.0)) == [
            events.CallerSaid("yes", False, False, {"Joy": 0.4})
        ]
        sounded = session.chat_said(FIRST, evi.AssistantProsody("u1", {"Calmness": 0.5}), 1.5)
        assert published(sounded) == [events.AgentSounded("u1", {"Calmness": 0.5})]
        assert session.chat_said(FIRST, evi.AssistantProsody("u1", None), 1.6) == []
