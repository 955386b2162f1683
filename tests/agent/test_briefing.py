from dataclasses import replace

from evibridge.agent import evi_messages as evi
from evibridge.agent.briefing import (
    MAX_KEPT_MESSAGES,
    MAX_NOTE_CHARACTERS,
    MAX_NOTES,
    Briefing,
    what_was_heard,
    what_was_pressed,
)
from evibridge.agent.conversation import RETOLD, Conversation
from evibridge.agent.speech import CutOff
from evibridge.events import ChatOpening

SETTINGS = evi.SessionSettings(
    audio=evi.AudioFormat(8000), system_prompt="You sell books.", voice_id="v-1"
)
NO_PROMPT = evi.SessionSettings(audio=evi.AudioFormat(8000))


def short_talk() -> Conversation:
    conversation = Conversation()
    conversation.caller_said("Where is my book?", 1.0)
    return conversation


def cut_off(*, heard: str) -> CutOff:
    return CutOff(
        was_audible=True, may_play_on=True, reports=[], heard=heard, lost="It is on its way."
    )


class TestAChange:
    def test_what_is_named_is_told_now_and_to_every_later_chat(self) -> None:
        briefing = Briefing(SETTINGS)

        assert briefing.change(evi.SessionSettings(voice_id="v-2")) == [
            evi.SessionSettings(voice_id="v-2")
        ]
        assert briefing.settings(ChatOpening.RESUMED, short_talk()) == replace(
            SETTINGS, voice_id="v-2"
        )

    def test_variables_that_are_not_named_stay(self) -> None:
        briefing = Briefing(evi.SessionSettings(variables={"shop": "Lantern", "day": "Friday"}))

        (told,) = briefing.change(evi.SessionSettings(variables={"day": "Sunday"}))

        assert told == evi.SessionSettings(variables={"shop": "Lantern", "day": "Sunday"})

    def test_a_lasting_context_takes_the_place_of_what_was_set_before(self) -> None:
        briefing = Briefing(NO_PROMPT)
        briefing.set_context("It rains.")

        told = briefing.change(evi.SessionSettings(context=evi.Context("It snows.", "persistent")))

        assert told == [evi.SessionSettings(context=evi.Context("It snows.", "persistent"))]
        assert briefing.notes() == told

    def test_a_passing_context_is_a_note(self) -> None:
        briefing = Briefing(NO_PROMPT)

        told = briefing.change(evi.SessionSettings(context=evi.Context("She is in a hurry.")))

        assert told == [evi.SessionSettings(context=evi.Context("She is in a hurry."))]
        briefing.asked()
        assert briefing.forget_notes() == []

    def test_a_context_can_be_taken_back(self) -> None:
        briefing = Briefing(NO_PROMPT)
        briefing.set_context("It rains.")

        assert briefing.change(evi.SessionSettings(context=evi.Clear.CLEAR)) == [
            evi.SessionSettings(context=evi.Clear.CLEAR)
        ]
        assert briefing.notes() == []


class TestSettings:
    def test_the_first_chat_gets_them_as_they_are(self) -> None:
        assert Briefing(SETTINGS).settings(ChatOpening.FIRST, Conversation()) == SETTINGS

    def test_a_chat_of_the_same_group_knows_what_was_said(self) -> None:
        briefing = Briefing(SETTINGS)

        assert briefing.settings(ChatOpening.RESUMED, short_talk()) == SETTINGS
        assert briefing.settings(ChatOpening.RENEWED, short_talk()) == SETTINGS

    def test_a_chat_of_a_new_group_is_told_what_was_said(self) -> None:
        settings = Briefing(SETTINGS).settings(ChatOpening.AFRESH, short_talk())

        assert settings == evi.SessionSettings(
            audio=evi.AudioFormat(8000),
            system_prompt=f"You sell books.\n\n{RETOLD}\nCaller: Where is my book?",
            voice_id="v-1",
        )

    def test_there_is_nothing_to_tell_when_nothing_was_said(self) -> None:
        assert Briefing(SETTINGS).settings(ChatOpening.AFRESH, Conversation()) == SETTINGS

    def test_a_prompt_that_the_server_has_is_not_replaced(self) -> None:
        assert Briefing(NO_PROMPT).settings(ChatOpening.AFRESH, short_talk()) == NO_PROMPT


class TestNotes:
    def test_there_are_none_at_first(self) -> None:
        assert Briefing(SETTINGS).notes() == []

    def test_all_of_them_are_told_together_until_the_next_answer(self) -> None:
        briefing = Briefing(SETTINGS)
        briefing.note("The caller pressed 1.")
        first = briefing.notes()
        briefing.note("The caller pressed 2.")

        assert first == [evi.SessionSettings(context=evi.Context("The caller pressed 1."))]
        assert briefing.notes() == [
            evi.SessionSettings(
                context=evi.Context("The caller pressed 1.\nThe caller pressed 2.", "temporary")
            )
        ]
        assert briefing.notes() == briefing.notes()

    def test_they_are_forgotten_when_the_answer_begins(self) -> None:
        briefing = Briefing(SETTINGS)
        briefing.note("The caller pressed 1.")
        briefing.asked()

        assert briefing.forget_notes() == []
        assert briefing.notes() == []

    def test_what_came_too_late_for_an_answer_is_for_the_next_one(self) -> None:
        briefing = Briefing(SETTINGS)
        briefing.note("The caller pressed 1.")
        briefing.asked()
        briefing.note("The caller pressed 2.")

        (told,) = briefing.forget_notes()
        assert told == evi.SessionSettings(context=evi.Context("The caller pressed 2."))

    def test_a_very_long_one_is_cut_short(self) -> None:
        briefing = Briefing(SETTINGS)
        briefing.note("x" * MAX_NOTE_CHARACTERS)
        (told,) = briefing.notes()
        assert told == evi.SessionSettings(context=evi.Context("x" * MAX_NOTE_CHARACTERS))

        briefing.note("y" * (MAX_NOTE_CHARACTERS + 1))
        (told,) = briefing.notes()
        assert isinstance(told, evi.SessionSettings)
        assert isinstance(told.context, evi.Context)
        assert told.context.text.endswith("y…")
        assert len(told.context.text) == 2 * MAX_NOTE_CHARACTERS + 1

    def test_of_very_many_the_oldest_is_forgotten(self) -> None:
        briefing = Briefing(SETTINGS)
        for number in range(MAX_NOTES + 1):
            briefing.note(f"{number}")

        (told,) = briefing.notes()

        assert isinstance(told, evi.SessionSettings)
        assert isinstance(told.context, evi.Context)
        assert told.context.text.splitlines() == [f"{n}" for n in range(1, MAX_NOTES + 1)]


class TestKeptMessages:
    def test_they_are_told_once_in_order(self) -> None:
        briefing = Briefing(SETTINGS)
        briefing.keep(evi.AssistantInput("Hello."))
        briefing.keep(evi.UserInput("1042"))

        assert briefing.take_kept() == [evi.AssistantInput("Hello."), evi.UserInput("1042")]
        assert briefing.take_kept() == []

    def test_of_very_many_the_newest_are_kept(self) -> None:
        briefing = Briefing(SETTINGS)
        messages = [evi.UserInput(f"{number}") for number in range(MAX_KEPT_MESSAGES + 1)]
        for message in messages:
            briefing.keep(message)

        assert briefing.take_kept() == messages[1:]


class TestWords:
    def test_the_model_is_told_how_far_it_was_heard(self) -> None:
        told = what_was_heard(cut_off(heard="It is on"))

        assert told.endswith("only this was heard: It is on")

    def test_the_model_is_told_that_nothing_was_heard(self) -> None:
        assert "nothing was heard" in what_was_heard(cut_off(heard=""))

    def test_the_model_is_told_which_keys_were_pressed(self) -> None:
        assert what_was_pressed("1042").endswith(": 1042")
