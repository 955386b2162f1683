"""An operator speaks with the caller in the agent's place, and hands the call back."""

import pytest

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Command
from evibridge.agent.commands import OperatorCommand
from evibridge.agent.session import CallSession
from evibridge.agent.snapshot import CallState
from evibridge.agent.taking_over import ABSENT_S, BEHIND_S
from evibridge.errors import CommandRefused
from evibridge.events import CommandGiven, EndReason
from tests.agent.test_session import (
    FIRST,
    lose_chat,
    new_session,
    published,
    said,
    sentence,
    speak,
    talking_session,
    told,
)

ADA, SAM = "Ada", "Sam"


def ask(
    session: CallSession, command: OperatorCommand, now_s: float, by: str = ADA
) -> list[act.Action]:
    return session.operate(command, by, now_s)


def refusal(session: CallSession, command: OperatorCommand, by: str = ADA) -> str:
    with pytest.raises(CommandRefused) as refused:
        session.operate(command, by, 5.0)
    return refused.value.code


def taken_over(now_s: float = 2.0) -> CallSession:
    session = talking_session()
    ask(session, wish.TakeOver(), now_s)
    return session


def with_microphone() -> CallSession:
    session = taken_over()
    session.taking_over.switch_on(ADA, 3.0)
    return session


def context_of(actions: list[act.Action]) -> str:
    """The newest that the model is told, for all its later answers."""
    settings = [each for each in told(actions) if isinstance(each, evi.SessionSettings)]
    context = settings[-1].context
    assert isinstance(context, evi.Context)
    assert context.type == "persistent"
    return context.text


class TestTakingOver:
    def test_the_agent_falls_silent_and_everybody_knows_who_has_the_call(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)

        actions = ask(session, wish.TakeOver(), 2.0)

        assert evi.PauseAssistant() in told(actions)
        assert act.ClearPlayback() in actions
        assert published(actions)[0] == CommandGiven("takeover", ADA)
        assert published(actions)[-1] == events.CallTakenOver(ADA)
        state = session.state(2.5)
        assert (state.doing, state.taken_over_by) == (CallState.TAKEN_OVER, ADA)
        assert (state.is_paused, state.paused_by) == (True, ADA)
        assert not session.accepts("a")

    def test_taking_over_twice_changes_nothing(self) -> None:
        assert ask(taken_over(), wish.TakeOver(), 3.0) == []

    def test_a_sign_of_him_takes_nothing_over(self) -> None:
        session = talking_session()
        assert refusal(session, wish.TakeOver(renew=True)) == "call_is_not_taken_over"
        assert not session.is_taken_over

        assert ask(taken_over(), wish.TakeOver(renew=True), 3.0) == []
        assert refusal(taken_over(), wish.TakeOver(renew=True), SAM) == "call_is_taken_over"

    def test_another_operator_is_told_who_was_quicker(self) -> None:
        session = taken_over()

        with pytest.raises(CommandRefused, match="Ada speaks with the caller") as refused:
            ask(session, wish.TakeOver(), 3.0, SAM)
        assert refused.value.code == "call_is_taken_over"

    def test_a_call_on_hold_is_released(self) -> None:
        session = talking_session()
        ask(session, wish.Hold(), 2.0)

        actions = ask(session, wish.TakeOver(), 3.0)

        assert events.CallReleased() in published(actions)
        assert session.state(3.1).doing is CallState.TAKEN_OVER

    def test_a_paused_agent_stays_paused(self) -> None:
        session = talking_session()
        ask(session, wish.Pause(), 2.0, SAM)

        actions = ask(session, wish.TakeOver(), 3.0)

        assert told(actions) == []
        assert session.state(3.1).paused_by == ADA

    @pytest.mark.parametrize(
        "command",
        [
            wish.Pause(),
            wish.Resume(),
            wish.Send(evi.PauseAssistant()),
            wish.Send(evi.ResumeAssistant()),
            wish.Transfer("+14155550100", "I connect you."),
        ],
    )
    def test_what_the_agent_would_do_waits_for_the_end(self, command: OperatorCommand) -> None:
        assert refusal(taken_over(), command) == "call_is_taken_over"

    def test_callers_with_buttons_neither_pause_nor_resume(self) -> None:
        session = taken_over()

        assert session.caller_pauses(3.0) == []
        with pytest.raises(CommandRefused) as refused:
            session.caller_resumes(3.0)
        assert refused.value.code == "paused_by_operator"

    def test_a_call_that_ends_is_not_taken_over(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)
        ask(session, wish.HangUp(), 2.0)

        assert refusal(session, wish.TakeOver()) == "call_is_ending"

    def test_the_caller_is_put_through_without_a_word(self) -> None:
        actions = ask(taken_over(), wish.Transfer("+14155550100"), 3.0)

        (hang_up,) = (action for action in actions if isinstance(action, act.HangUp))
        assert hang_up.transfer_to == "+14155550100"

    def test_words_of_the_caller_cut_no_operator_off(self) -> None:
        session = taken_over()
        ask(session, wish.Say("Good morning."), 3.0)
        session.taking_over.writing_sent(4000, 3.1)

        heard = session.chat_said(FIRST, said(interim=True), 3.5)
        interrupted = session.chat_said(FIRST, evi.UserInterruption(0), 3.6)

        assert act.ClearPlayback() not in (*heard, *interrupted)


class TestHandingBack:
    def test_the_agent_goes_on_and_knows_what_was_said(self) -> None:
        session = taken_over()
        session.chat_said(FIRST, said("Can I have it today?"), 3.0)
        ask(session, wish.Say("It is on the counter."), 4.0)

        actions = ask(session, wish.HandBack(), 5.0)

        context = context_of(actions)
        assert "Caller: Can I have it today?\nAda: It is on the counter." in context
        assert told(actions)[-1] == evi.ResumeAssistant()
        assert act.LeaveOperator() in actions
        assert published(actions)[:2] == [CommandGiven("handback", ADA), events.CallHandedBack(ADA)]
        state = session.state(5.1)
        assert (state.doing, state.taken_over_by, state.is_paused) == (
            CallState.LISTENING,
            None,
            False,
        )

    def test_anybody_may_hand_back(self) -> None:
        actions = ask(taken_over(), wish.HandBack(), 3.0, SAM)

        assert events.CallHandedBack(SAM) in published(actions)

    def test_a_call_that_nobody_has_is_handed_back_without_effect(self) -> None:
        assert ask(talking_session(), wish.HandBack(), 3.0) == []

    def test_what_the_agent_was_saying_is_not_said_again(self) -> None:
        session = talking_session()
        speak(session, "a", 5000, 1.0)
        ask(session, wish.TakeOver(), 2.0)
        ask(session, wish.Say("Good morning."), 3.0)

        actions = ask(session, wish.HandBack(), 5.0)

        assert not any(isinstance(each, evi.AssistantInput) for each in told(actions))
        assert not any(isinstance(each, evi.AssistantInput) for each in told(session.woke(20.0)))

    def test_the_next_chat_knows_it_too(self) -> None:
        session = taken_over()
        ask(session, wish.Say("It is on the counter."), 4.0)
        ask(session, wish.HandBack(), 5.0)
        chat = lose_chat(session, 6.0)

        opened = session.chat_said(chat, evi.ChatMetadata("c-2", "group-1"), 8.0)

        assert "Ada: It is on the counter." in context_of(opened)

    def test_a_question_that_nobody_has_answered_is_asked_again(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.5)
        ask(session, wish.TakeOver(), 2.0)
        ask(session, wish.HandBack(), 3.0)

        assert evi.UserInput("Where is my order?") in told(session.woke(20.0))

    def test_what_the_operator_has_answered_is_not(self) -> None:
        session = talking_session()
        session.chat_said(FIRST, said("Where is my order?"), 1.5)
        ask(session, wish.TakeOver(), 2.0)
        ask(session, wish.Say("On the counter."), 3.0)
        ask(session, wish.HandBack(), 4.0)

        assert not any(isinstance(each, evi.UserInput) for each in told(session.woke(20.0)))

    def test_texts_of_tools_have_waited(self) -> None:
        session = taken_over()
        session.say("The refund is done.", 2.5)
        ask(session, wish.Say("Good morning."), 3.0)

        actions = ask(session, wish.HandBack(), 4.0)

        assert evi.AssistantInput("The refund is done.") in told(actions)

    def test_an_agent_whom_somebody_else_had_paused_stays_so(self) -> None:
        session = talking_session()
        session.caller_pauses(1.5)
        ask(session, wish.TakeOver(), 2.0)

        actions = ask(session, wish.HandBack(), 3.0)

        assert evi.ResumeAssistant() not in told(actions)
        assert session.state(3.1).paused_by == events.CALLER
        session.caller_resumes(4.0)
        assert session.state(4.1).doing is CallState.LISTENING

    def test_one_whom_he_had_paused_himself_goes_on(self) -> None:
        session = talking_session()
        ask(session, wish.Pause(), 1.5)
        ask(session, wish.TakeOver(), 2.0)
        ask(session, wish.HandBack(), 3.0)

        assert session.state(3.1).doing is CallState.LISTENING

    def test_words_that_are_written_down_late_are_told_all_the_same(self) -> None:
        session = with_microphone()
        ask(session, wish.HandBack(), 4.0)

        late = session.taking_over.operator_said(
            "Good bye.", ADA, 5.0, interim=False, is_spoken=True
        )

        assert context_of(late).endswith("Ada said to the caller: Good bye.")

    def test_take_overs_push_no_whisper_out(self) -> None:
        session = talking_session()
        ask(session, wish.Whisper("A customer since 2019."), 1.5)
        for number in range(20):
            ask(session, wish.TakeOver(), 2.0 + number)
            actions = ask(session, wish.HandBack(), 2.5 + number)

        assert context_of(actions).startswith("A customer since 2019.\n")


class TestAServerThatIsAway:
    """An operator who speaks does not need it."""

    def test_the_call_goes_on(self) -> None:
        session = taken_over()
        lose_chat(session, 3.0)
        while (at_s := session.next_wake_s) is not None and at_s < 55.0:
            assert not any(isinstance(each, act.HangUp) for each in session.woke(at_s))

        assert session.is_taken_over

    @pytest.mark.parametrize("error", ["E0300", "I0100"])
    def test_whatever_it_has_said(self, error: str) -> None:
        session = taken_over()
        session.chat_said(FIRST, evi.ChatError(error, "", ""), 3.0)
        actions = session.chat_closed(FIRST, 1000, 3.1)

        assert not any(isinstance(each, act.HangUp) for each in actions)
        assert any(isinstance(each, act.Connect) for each in session.woke(4.0))

    def test_one_that_refuses_the_first_chat_is_asked_again(self) -> None:
        session = new_session()
        session.caller_joined(0.0)
        ask(session, wish.TakeOver(), 0.1)

        assert session.chat_unavailable(FIRST, 0.2, retryable=False) == []
        assert any(isinstance(each, act.Connect) for each in session.woke(2.0))

    def test_without_it_a_call_that_is_handed_back_ends(self) -> None:
        session = taken_over()
        lose_chat(session, 3.0)
        ask(session, wish.HandBack(), 4.0)
        actions: list[act.Action] = []
        while session.next_wake_s is not None:
            actions = session.woke(session.next_wake_s)

        assert events.CallEnded(EndReason.EVI_LOST) in published(actions)


class TestAnOperatorWhoIsGone:
    def test_the_agent_goes_on_when_nothing_is_seen_of_him(self) -> None:
        session = taken_over(2.0)

        assert session.woke(2.0 + ABSENT_S - 0.1) == []
        actions = session.woke(2.0 + ABSENT_S)

        assert events.CallHandedBack(None) in published(actions)
        assert evi.ResumeAssistant() in told(actions)
        assert not session.is_taken_over

    @pytest.mark.parametrize(
        "command", [wish.TakeOver(renew=True), wish.Say("Yes?"), wish.Whisper("Hm.")]
    )
    def test_each_of_his_commands_is_a_sign_of_him(self, command: OperatorCommand) -> None:
        session = taken_over(2.0)
        ask(session, command, 40.0)

        assert session.woke(2.0 + ABSENT_S) == []
        assert session.woke(40.0 + ABSENT_S) != []

    def test_those_of_others_are_not(self) -> None:
        session = taken_over(2.0)
        ask(session, wish.Whisper("Hm."), 40.0, SAM)

        assert session.woke(2.0 + ABSENT_S) != []

    def test_not_even_if_they_speak_for_him(self) -> None:
        session = taken_over(2.0)
        ask(session, wish.Say("Yes?"), 40.0, SAM)

        assert session.woke(2.0 + ABSENT_S) != []

    def test_a_microphone_that_is_only_on_is_none(self) -> None:
        session = with_microphone()
        session.taking_over.microphone_sent(20, 50.0)

        assert session.woke(3.0 + ABSENT_S) != []

    def test_his_voice_is_a_sign_of_him(self) -> None:
        session = with_microphone()
        session.taking_over.microphone_sounded(50.0)

        assert session.woke(3.0 + ABSENT_S) == []


class TestWriting:
    def test_what_he_writes_is_spoken_beside_the_chat(self) -> None:
        actions = ask(taken_over(), wish.Say("Good morning."), 3.0)

        assert told(actions) == []
        assert act.SpeakForOperator("Good morning.") in actions
        assert published(actions) == [
            CommandGiven("say", ADA, "Good morning."),
            events.OperatorSaid("Good morning.", ADA, interim=False, is_spoken=False),
        ]

    def test_a_message_of_the_control_plane_does_the_same(self) -> None:
        actions = ask(taken_over(), wish.Send(evi.AssistantInput("Good morning.")), 3.0)

        assert act.SpeakForOperator("Good morning.") in actions

    def test_it_stands_in_the_conversation(self) -> None:
        session = taken_over()
        ask(session, wish.Say("Good morning."), 3.0, SAM)

        (line,) = session.lines(4.0)
        assert (line.who, line.by, line.text, line.text_heard) == (
            "operator",
            SAM,
            "Good morning.",
            "Good morning.",
        )

    def test_a_caller_on_hold_hears_nothing(self) -> None:
        session = taken_over()

        assert act.StopOperator() in ask(session, wish.Hold(), 3.0)
        assert not session.taking_over.writing_is_heard
        assert refusal(session, wish.Say("Good morning.")) == "call_is_held"

    def test_nothing_is_said_to_a_line_that_broke(self) -> None:
        session = taken_over()

        assert act.StopOperator() in session.caller_lost(3.0)
        assert not session.taking_over.writing_is_heard
        assert refusal(session, wish.Say("Good morning.")) == "caller_is_away"

    def test_nothing_is_written_into_an_open_microphone(self) -> None:
        assert refusal(with_microphone(), wish.Say("Hello.")) == "operator_speaks_already"

    def test_its_audio_is_followed_like_the_agents(self) -> None:
        session = taken_over()
        ask(session, wish.Say("Good morning."), 3.0)

        (mark,) = session.taking_over.writing_sent(1000, 3.1)

        assert isinstance(mark, act.PlaceMark)
        assert session.unplayed_ms(3.2) == pytest.approx(900)


class TestTheMicrophone:
    def test_it_goes_to_the_caller_while_he_has_the_call(self) -> None:
        session = with_microphone()
        before = session.taking_over.microphone_is_heard

        session.taking_over.switch_off()

        assert (before, session.taking_over.microphone_is_heard, session.is_taken_over) == (
            True,
            False,
            True,
        )

    def test_a_call_that_he_does_not_have_hears_nobody(self) -> None:
        for session, by, code in (
            (talking_session(), ADA, "call_is_not_taken_over"),
            (taken_over(), SAM, "call_is_taken_over"),
        ):
            with pytest.raises(CommandRefused) as refused:
                session.taking_over.switch_on(by, 3.0)
            assert refused.value.code == code

    def test_a_call_that_is_over_hears_nobody(self) -> None:
        session = with_microphone()
        session.ended_by(EndReason.SHUTDOWN, 4.0)

        with pytest.raises(CommandRefused) as refused:
            session.taking_over.check_microphone(ADA)
        assert refused.value.code == "call_is_over"
        assert not session.taking_over.microphone_is_heard
        assert (
            session.taking_over.operator_said("Bye.", ADA, 5.0, interim=False, is_spoken=True) == []
        )

    @pytest.mark.parametrize("silence", ["hold", "loss", "hand_back"])
    def test_nobody_hears_it_while_the_caller_cannot(self, silence: str) -> None:
        session = with_microphone()
        if silence == "hold":
            ask(session, wish.Hold(), 4.0)
        elif silence == "loss":
            session.caller_lost(4.0)
        else:
            ask(session, wish.HandBack(), 4.0)

        assert not session.taking_over.microphone_is_heard

    def test_what_still_plays_makes_him_not_late(self) -> None:
        session = taken_over()
        ask(session, wish.Say("A long sentence."), 3.0)
        session.taking_over.writing_sent(4000, 3.1)

        assert session.taking_over.switch_on(ADA, 3.5)[:2] == [
            act.StopOperator(),
            act.ClearPlayback(),
        ]
        assert not session.taking_over.writing_is_heard

    def test_a_voice_that_is_too_late_is_dropped(self) -> None:
        session = with_microphone()
        for number in range(round(BEHIND_S * 10)):
            assert act.ClearPlayback() not in session.taking_over.microphone_sent(
                100, 3.0 + number / 1000
            )

        assert session.taking_over.microphone_sent(100, 3.01)[0] == act.ClearPlayback()
        assert session.unplayed_ms(3.01) == 0

    def test_his_words_are_told_for_now_and_for_good(self) -> None:
        session = with_microphone()

        interim = session.taking_over.operator_said("Good", ADA, 4.0, interim=True, is_spoken=True)
        final = session.taking_over.operator_said(
            "Good morning.", ADA, 4.5, interim=False, is_spoken=True
        )

        assert published([*interim, *final]) == [
            events.OperatorSaid("Good", ADA, interim=True, is_spoken=True),
            events.OperatorSaid("Good morning.", ADA, interim=False, is_spoken=True),
        ]
        assert "Ada: Good morning." in context_of(ask(session, wish.HandBack(), 5.0))


class TestWhispers:
    def test_the_model_knows_each_for_the_rest_of_the_call(self) -> None:
        session = talking_session()
        ask(session, wish.Whisper("A customer since 2019."), 2.0)

        actions = ask(session, wish.Whisper("Refund the postage too."), 3.0)

        assert published(actions) == [CommandGiven("whisper", ADA, "Refund the postage too.")]
        assert context_of(actions) == "A customer since 2019.\nRefund the postage too."

    def test_they_stand_beside_what_was_set(self) -> None:
        session = talking_session()
        ask(session, wish.SetContext("She is a regular."), 2.0)
        ask(session, wish.Whisper("Be brief."), 3.0)

        taken_back = ask(session, wish.SetContext(None), 4.0)

        assert context_of(taken_back) == "Be brief."

    def test_an_answer_does_not_wear_them_out(self) -> None:
        session = talking_session()
        ask(session, wish.Whisper("Be brief."), 2.0)
        session.chat_said(FIRST, said("Hello?"), 3.0)

        answered = session.chat_said(FIRST, sentence("a", "Yes?"), 4.0)

        assert not any(isinstance(each, evi.SessionSettings) for each in told(answered))


def test_the_service_ends_calls_that_operators_have() -> None:
    session = taken_over()

    actions = session.command(Command.HANG_UP, 3.0)

    assert any(isinstance(action, act.HangUp) for action in actions)
    assert session.next_wake_s is None
