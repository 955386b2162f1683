import pytest

from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, Tell
from evibridge.agent.told_chat import AGAIN_S, FRESH_S, MAX_KEPT, ToldChat

TOOLS = evi.SessionSettings(tools=(evi.ToolOffer("look", "{}"),))
SAY = evi.AssistantInput("Hello.")
NOTHING = evi.SessionSettings()
CLEARED = evi.SessionSettings(context=evi.Clear.CLEAR)


def persistent(text: str) -> evi.SessionSettings:
    return evi.SessionSettings(context=evi.Context(text, "persistent"))


def told(actions: list[Action]) -> list[evi.ClientMessage]:
    return [action.message for action in actions if isinstance(action, Tell)]


@pytest.fixture
def chat() -> ToldChat:
    """A chat that has been told its settings."""
    chat = ToldChat(TOOLS)
    chat.begin(0.0)
    return chat


def test_a_chat_is_told_its_settings_once() -> None:
    chat = ToldChat(TOOLS)

    assert told(chat.begin(0.0)) == [TOOLS]
    assert told(chat.begin(1.0)) == []


def test_an_agent_without_tools_has_nothing_to_tell() -> None:
    assert ToldChat(NOTHING).begin(0.0) == []


def test_what_was_delivered_is_not_told_again(chat: ToldChat) -> None:
    assert told(chat.tell(SAY, 1.0)) == [SAY]
    assert chat.wake_s is None
    assert chat.tell_again(2.0) == []


def test_a_message_that_was_missed_is_told_again(chat: ToldChat) -> None:
    chat.missed([SAY], 1.0)

    assert chat.wake_s == 1.0 + AGAIN_S
    assert told(chat.tell_again(1.0 + AGAIN_S)) == [SAY]
    assert chat.wake_s is None


def test_what_is_said_while_there_is_no_way_waits_behind_what_was_missed(chat: ToldChat) -> None:
    later = evi.AssistantInput("Later.")
    chat.missed([SAY], 1.0)

    assert chat.tell(later, 1.5) == []
    assert told(chat.tell_again(2.0)) == [SAY, later]
    assert told(chat.tell(later, 2.0)) == [later]


def test_a_message_is_fresh_for_so_long_however_often_it_was_tried(chat: ToldChat) -> None:
    now_s = 1.0
    chat.missed([SAY], now_s)
    while now_s + AGAIN_S <= 1.0 + FRESH_S:
        now_s += AGAIN_S
        assert told(chat.tell_again(now_s)) == [SAY]
        chat.missed([SAY], now_s)

    assert chat.tell_again(now_s + AGAIN_S) == []


def test_only_so_much_is_kept(chat: ToldChat) -> None:
    texts = [evi.AssistantInput(str(number)) for number in range(MAX_KEPT + 1)]
    chat.missed(texts, 1.0)

    assert told(chat.tell_again(2.0)) == [*texts[1:]]


def test_of_settings_and_pause_what_is_wanted_now_is_told_again(chat: ToldChat) -> None:
    missed = [
        *told(chat.pause(1.0, wanted=True)),
        *told(chat.set_context("He is in a hurry.", 1.0)),
        SAY,
    ]
    chat.missed(missed, 2.0)
    assert chat.set_context("He has time.", 2.5) == []
    assert chat.pause(2.5, wanted=False) == []

    again = told(chat.tell_again(3.0))

    assert again == [TOOLS, persistent("He has time."), evi.ResumeAssistant(), SAY]


def test_a_context_that_was_taken_back_is_taken_back_again(chat: ToldChat) -> None:
    chat.set_context("He is in a hurry.", 1.0)
    assert told(chat.set_context(None, 2.0)) == [CLEARED]
    chat.missed([CLEARED], 2.0)

    assert told(chat.tell_again(3.0)) == [TOOLS, CLEARED]


def test_a_chat_that_is_left_is_told_the_rest_but_no_settings(chat: ToldChat) -> None:
    (pause,) = told(chat.pause(1.0, wanted=True))
    chat.missed([evi.SessionSettings(voice_id="a-voice"), pause, SAY], 2.0)
    chat.pause(2.5, wanted=False)

    assert told(chat.leave(3.0)) == [evi.ResumeAssistant(), SAY]


def test_an_answer_that_somebody_else_has_given_is_not_told_again(chat: ToldChat) -> None:
    answers: list[evi.ClientMessage] = [
        evi.ToolResponse("call_1", "ours"),
        SAY,
        evi.ToolError("call_2", "ours"),
        evi.ToolError("call_1", "ours"),
    ]
    chat.missed(answers, 1.0)
    chat.answered("call_1")

    assert told(chat.tell_again(2.0)) == [SAY, evi.ToolError("call_2", "ours")]


def test_all_variables_are_told_the_others_own_as_well(chat: ToldChat) -> None:
    chat.variables_seen(evi.SessionSettings(variables={"name": "Jo", "shop": "Lantern"}))
    chat.variables_seen(evi.SessionSettings(voice_id="a-voice"))

    assert told(chat.change(evi.SessionSettings(variables={"name": "Ada"}), 1.0)) == [
        evi.SessionSettings(variables={"name": "Ada", "shop": "Lantern"})
    ]
    chat.variables_seen(evi.SessionSettings(variables={"name": "Jo", "day": "Friday"}))
    assert told(chat.change(evi.SessionSettings(variables={"vip": True}), 2.0)) == [
        evi.SessionSettings(
            variables={"name": "Ada", "shop": "Lantern", "day": "Friday", "vip": True}
        )
    ]


def test_a_change_of_anything_else_is_told_as_it_is(chat: ToldChat) -> None:
    assert told(chat.change(evi.SessionSettings(voice_id="a-voice"), 1.0)) == [
        evi.SessionSettings(voice_id="a-voice")
    ]
    assert told(chat.change(persistent("He waits."), 1.0)) == [persistent("He waits.")]


def test_a_note_is_for_the_next_answer(chat: ToldChat) -> None:
    assert told(chat.note("Three books were found.", 1.0)) == [
        evi.SessionSettings(context=evi.Context("Three books were found."))
    ]
    assert chat.answers(2.0) == []  # which was asked for before the note came
    chat.asked()
    chat.set_context("He waits.", 3.0)

    assert told(chat.answers(4.0)) == [persistent("He waits.")]
