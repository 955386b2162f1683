from dataclasses import replace

import pytest

from evibridge.engine.actions import (
    Action,
    Answer,
    AnswerAfterTool,
    EndChat,
    Greet,
    Recite,
    Refuse,
    Stop,
)
from evibridge.engine.chat_settings import ChatSettings
from evibridge.engine.dialogue import (
    GREETING_WAIT_S,
    HANG_UP_GRACE_S,
    INTERRUPTED_FAREWELL_S,
    MAX_TOOL_CALLS,
    MAX_WAITING_TEXTS,
    REMEMBERED_CALLS,
)
from evibridge.engine.messages import Context
from evibridge.engine.mind import CallTool, HistoryEntry, ToolOffer, ToolOutcome
from tests.engine.dialogue_stage import (
    LOOK,
    SETTINGS,
    START_S,
    TOOL_TIMEOUT_S,
    Stage,
    messages_in,
    told,
    work,
)

# Greeting


def test_the_greeting_waits_for_the_client() -> None:
    stage = Stage()

    assert stage.dialogue.wake_at_s == START_S + GREETING_WAIT_S
    (greet,) = stage.dialogue.client_ready()
    assert isinstance(greet, Greet)
    assert stage.dialogue.client_ready() == []
    assert work(stage.dialogue.greeting_chosen("Good day.")) == Recite("Good day.", from_text=False)


def test_a_silent_client_is_greeted_after_a_moment() -> None:
    stage = Stage()

    assert stage.dialogue.woke(START_S + GREETING_WAIT_S / 2) == []
    (greet,) = stage.dialogue.woke(START_S + GREETING_WAIT_S)
    assert isinstance(greet, Greet)
    assert stage.dialogue.wake_at_s is None


def test_a_client_that_begins_is_not_greeted() -> None:
    stage = Stage()
    stage.asks("Hello?")

    assert stage.dialogue.client_ready() == []
    assert stage.dialogue.wake_at_s is None


# Turns


def test_an_answer_is_told_sentence_by_sentence_and_ended_once() -> None:
    stage = Stage()

    asked = stage.asks("Where is my order?")
    assert told(asked) == ["user_message"]
    prompt = work(asked)
    assert isinstance(prompt, Answer)
    assert prompt.prompt.history == [HistoryEntry("user", "Where is my order?")]

    first = messages_in(stage.dialogue.sentence_begins(stage.part, "One moment.", stage.now_s))
    assert first[0]["message"]["content"] == "One moment."
    assert stage.dialogue.chunk_ready(stage.part, 0.2, stage.now_s) == (first[0]["id"], 0)
    assert stage.dialogue.chunk_ready(stage.part, 0.2, stage.now_s) == (first[0]["id"], 1)
    second = messages_in(stage.dialogue.sentence_begins(stage.part, "It is here.", stage.now_s))
    assert second[0]["id"] != first[0]["id"]
    assert stage.dialogue.chunk_ready(stage.part, 0.2, stage.now_s) == (second[0]["id"], 0)
    assert told(stage.finishes()) == ["assistant_end"]
    assert stage.finishes() == []


def test_the_agent_speaks_until_the_estimated_end_of_its_audio() -> None:
    stage = Stage()
    stage.asks("Hello?")
    assert not stage.dialogue.speaking(stage.now_s)

    stage.says("Good day.", 2.0)
    stage.finishes()

    assert stage.dialogue.lead_s(START_S + 0.5) == pytest.approx(1.5)
    assert stage.dialogue.speaking(START_S + 1.9)
    assert not stage.dialogue.speaking(START_S + 2.1)
    assert stage.dialogue.lead_s(START_S + 2.1) == 0


def test_the_agent_speaks_on_while_its_next_sentence_is_late() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.says("Good day.", 1.0)

    assert stage.dialogue.speaking(START_S + 5)


def test_a_new_utterance_supersedes_an_answer_that_is_not_spoken_yet() -> None:
    stage = Stage()
    stage.asks("Where is")
    stale = stage.part

    actions = stage.asks("my order?")

    assert actions[0] == Stop()
    assert told(actions) == ["user_message"]
    assert stage.part != stale
    assert stage.dialogue.sentence_begins(stale, "Late.", stage.now_s) == []
    assert stage.dialogue.chunk_ready(stale, 0.2, stage.now_s) is None
    assert stage.dialogue.tool_called(stale, LOOK, stage.now_s) == []
    assert stage.dialogue.part_finished(stale) == []
    stage.dialogue.hang_up_wanted(stale)
    stage.finishes()
    assert stage.dialogue.wake_at_s is None


def test_a_typed_text_over_the_agents_voice_interrupts_it() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.says("Good day, this is the book shop.", 5.0)

    assert told(stage.asks("Stop.")) == ["user_interruption", "user_message"]


# Interruption


def test_an_interruption_is_told_once_and_without_an_end() -> None:
    stage = Stage()
    stage.asks("Tell me everything.")
    stage.says("First of all.", 5.0)
    stale = stage.part

    stage.now_s += 1
    actions = stage.dialogue.caller_interrupts(stage.now_s)

    assert actions[0] == Stop()
    assert messages_in(actions) == [
        {"type": "user_interruption", "time": int(START_S * 1000) + 1000}
    ]
    assert not stage.dialogue.speaking(stage.now_s)
    assert stage.dialogue.chunk_ready(stale, 0.2, stage.now_s) is None
    assert stage.dialogue.part_finished(stale) == []
    assert stage.dialogue.caller_interrupts(stage.now_s) == []
    assert told(stage.asks("Stop.")) == ["user_message"]


def test_an_interruption_works_after_everything_was_sent() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.says("Good day.", 5.0)
    stage.finishes()

    assert told(stage.dialogue.caller_interrupts(START_S + 4)) == ["user_interruption"]


def test_words_that_were_not_played_leave_the_history() -> None:
    stage = Stage()
    stage.asks("Tell me about the shop.")
    stage.says("It is old.", 1.0)
    stage.says("one two three four", 4.0)
    stage.says("Never heard.", 1.0)
    stage.finishes()

    stage.now_s += 3.01
    stage.dialogue.caller_interrupts(stage.now_s)

    assert stage.assistant_words() == ["It is old. one two"]


def test_a_silent_agent_cannot_be_interrupted() -> None:
    stage = Stage()
    stage.asks("Hello?")

    assert stage.dialogue.caller_interrupts(stage.now_s) == []
    assert told(stage.says("Good day.")) == ["assistant_message"]


# Tools


def test_the_turn_goes_on_when_a_tool_has_answered() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    stage.says("One moment.")
    call_id = stage.calls()
    assert call_id.startswith("call_")

    answered = stage.note(stage.dialogue.tool_answered(call_id, "on its way", failed=False))

    after = work(answered)
    assert isinstance(after, AnswerAfterTool)
    assert after.call == LOOK
    assert after.outcome == ToolOutcome("on its way", failed=False)
    assert after.prompt.history[-2:] == [
        HistoryEntry("assistant", "One moment."),
        HistoryEntry("tool", "on its way"),
    ]
    stage.says("It is on its way.")
    assert told(stage.finishes()) == ["assistant_end"]


def test_an_answer_that_comes_before_the_sentence_is_out_waits_for_it() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    stage.says("One moment.")
    (call,) = messages_in(stage.dialogue.tool_called(stage.part, LOOK, stage.now_s))

    assert stage.dialogue.tool_answered(call["tool_call_id"], "here", failed=False) == []

    finished = stage.finishes()
    assert told(finished) == []
    assert isinstance(work(finished), AnswerAfterTool)


def outcome_of(actions: list[Action]) -> ToolOutcome:
    after = work(actions)
    assert isinstance(after, AnswerAfterTool)
    return after.outcome


def test_an_error_with_content_is_told_by_its_content() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")

    answered = stage.dialogue.tool_answered(stage.calls(), "It broke.", failed=True)

    assert outcome_of(answered) == ToolOutcome("It broke.", failed=True)


def test_an_error_without_content_is_told_by_the_tools_fallback() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")

    answered = stage.dialogue.tool_answered(stage.calls(), None, failed=True)

    assert outcome_of(answered) == ToolOutcome("It cannot be found out.", failed=True)


def test_without_any_text_the_mind_improvises() -> None:
    stage = Stage(ChatSettings(tools=(ToolOffer("look"),)))
    stage.asks("Where is order 1042?")

    answered = stage.dialogue.tool_answered(stage.calls(), None, failed=True)

    after = work(answered)
    assert isinstance(after, AnswerAfterTool)
    assert after.outcome == ToolOutcome(None, failed=True)
    assert [entry.role for entry in after.prompt.history] == ["user"]


def test_a_tool_that_does_not_answer_is_given_up() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()
    assert stage.dialogue.wake_at_s == START_S + TOOL_TIMEOUT_S
    assert stage.dialogue.woke(START_S + TOOL_TIMEOUT_S - 1) == []

    woke = stage.dialogue.woke(START_S + TOOL_TIMEOUT_S)

    (error,) = messages_in(woke)
    assert (error["type"], error["level"], error["tool_call_id"]) == ("tool_error", "warn", call_id)
    assert outcome_of(woke) == ToolOutcome("It cannot be found out.", failed=True)
    assert told(stage.dialogue.tool_answered(call_id, "late", failed=False)) == ["tool_error"]


def test_a_new_turn_supersedes_the_tool_call() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()

    stage.asks("Never mind.")

    assert told(stage.dialogue.tool_answered(call_id, "late", failed=False)) == ["tool_error"]
    assert stage.dialogue.wake_at_s is None


def test_a_second_answer_is_ignored_and_an_unknown_one_is_refused() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()
    stage.dialogue.tool_answered(call_id, "here", failed=False)

    assert stage.dialogue.tool_answered(call_id, "here", failed=False) == []
    assert told(stage.dialogue.tool_answered("call_x", "here", failed=False)) == ["tool_error"]


def test_a_tool_that_the_client_does_not_offer_fails_at_once() -> None:
    stage = Stage()
    stage.asks("Sing.")

    assert stage.dialogue.tool_called(stage.part, CallTool("sing", {}), stage.now_s) == []

    assert outcome_of(stage.finishes()) == ToolOutcome(None, failed=True)


def test_a_mind_that_calls_tools_in_circles_is_stopped() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    for _ in range(MAX_TOOL_CALLS):
        stage.note(stage.dialogue.tool_answered(stage.calls(), "again", failed=False))

    assert stage.dialogue.tool_called(stage.part, LOOK, stage.now_s) == []
    assert told(stage.finishes()) == ["assistant_end"]


def test_the_memory_of_answered_calls_is_bounded() -> None:
    stage = Stage()
    answered = []
    for _ in range(REMEMBERED_CALLS + 1):
        stage.asks("Where is order 1042?")
        answered.append(stage.calls())
        stage.note(stage.dialogue.tool_answered(answered[-1], "here", failed=False))

    assert told(stage.dialogue.tool_answered(answered[0], "here", failed=False)) == ["tool_error"]
    assert told(stage.dialogue.tool_answered(answered[1], "here", failed=False)) == []


# Texts to speak


def test_a_text_is_spoken_and_joins_the_history() -> None:
    stage = Stage()

    assert work(stage.note(stage.dialogue.text_to_speak("Please hold on."))) == Recite(
        "Please hold on.", from_text=True
    )
    (message,) = messages_in(stage.says("Please hold on.", 0.1))
    assert message["from_text"] is True
    assert told(stage.finishes()) == ["assistant_end"]
    stage.now_s += 1
    assert stage.assistant_words() == ["Please hold on."]


def test_a_text_waits_for_what_is_being_said() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.says("Good day.")

    assert stage.dialogue.text_to_speak("Please hold on.") == []

    finished = stage.finishes()
    assert told(finished) == ["assistant_end"]
    assert isinstance(work(finished), Recite)


def test_a_text_is_spoken_while_a_tool_works_and_the_turn_goes_on_after_it() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()

    stage.note(stage.dialogue.text_to_speak("Please hold on."))
    stage.says("Please hold on.")
    assert stage.dialogue.tool_answered(call_id, "here", failed=False) == []

    finished = stage.finishes()
    assert told(finished) == ["assistant_end"]
    assert isinstance(work(finished), AnswerAfterTool)


def test_too_many_waiting_texts_are_refused() -> None:
    stage = Stage()
    stage.dialogue.pause(stage.now_s)
    for _ in range(MAX_WAITING_TEXTS):
        assert stage.dialogue.text_to_speak("Hold on.") == []

    (refused,) = stage.dialogue.text_to_speak("Hold on.")
    assert isinstance(refused, Refuse)
    assert refused.fault.code == "E0101"


# Pause


def test_a_pause_silences_without_a_message_and_cuts_what_was_not_heard() -> None:
    stage = Stage()
    stage.asks("Tell me about the shop.")
    stage.says("one two three four", 4.0)
    stage.now_s += 2.01

    assert stage.dialogue.pause(stage.now_s) == [Stop()]
    assert stage.dialogue.pause(stage.now_s) == []

    answer = work(stage.dialogue.resume())
    assert isinstance(answer, Answer)
    assert answer.prompt.history == [
        HistoryEntry("user", "Tell me about the shop."),
        HistoryEntry("assistant", "one two"),
    ]
    assert stage.dialogue.resume() == []


def test_what_is_said_in_a_pause_is_answered_after_it_and_once() -> None:
    stage = Stage()
    stage.dialogue.pause(stage.now_s)

    assert told(stage.asks("Hello?")) == ["user_message"]
    assert told(stage.asks("Are you there?")) == ["user_message"]
    answer = work(stage.note(stage.dialogue.resume()))

    assert isinstance(answer, Answer)
    assert [entry.content for entry in answer.prompt.history] == ["Hello?", "Are you there?"]
    assert told(stage.finishes()) == ["assistant_end"]


def test_nothing_is_answered_twice_after_a_pause() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.says("Good day.")
    stage.finishes()
    stage.dialogue.pause(stage.now_s)

    assert stage.dialogue.resume() == []


def test_texts_are_held_back_in_a_pause_and_come_before_the_answer() -> None:
    stage = Stage()
    stage.dialogue.pause(stage.now_s)
    stage.asks("Hello?")
    assert stage.dialogue.text_to_speak("I am back.") == []

    assert isinstance(work(stage.note(stage.dialogue.resume())), Recite)
    stage.dialogue.pause(stage.now_s)
    assert isinstance(work(stage.note(stage.dialogue.resume())), Answer)
    assert told(stage.finishes()) == ["assistant_end"]
    assert stage.finishes() == []


def test_a_pause_ends_a_tool_call() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()
    stage.dialogue.pause(stage.now_s)

    assert told(stage.dialogue.tool_answered(call_id, "here", failed=False)) == ["tool_error"]
    assert isinstance(work(stage.dialogue.resume()), Answer)


# Hanging up


def test_the_chat_ends_after_the_last_words_were_played() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.hang_up_wanted(stage.part)
    stage.says("Goodbye.", 2.0)
    assert stage.dialogue.wake_at_s is None
    assert told(stage.finishes()) == ["assistant_end"]

    assert stage.dialogue.wake_at_s == pytest.approx(START_S + 2.0 + HANG_UP_GRACE_S)
    assert stage.dialogue.woke(START_S + 2.0) == []
    assert stage.dialogue.woke(START_S + 2.0 + HANG_UP_GRACE_S) == [EndChat()]
    assert stage.dialogue.wake_at_s is None


@pytest.mark.parametrize("whole", [True, False], ids=["all is sent", "more was to come"])
def test_a_sound_over_the_farewell_only_puts_the_hang_up_off(whole: bool) -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.hang_up_wanted(stage.part)
    stage.says("Goodbye.", 2.0)
    if whole:
        stage.finishes()

    assert "user_interruption" in told(stage.dialogue.caller_interrupts(START_S + 1))

    assert stage.dialogue.wake_at_s == START_S + 1 + INTERRUPTED_FAREWELL_S
    assert stage.dialogue.woke(START_S + 1 + INTERRUPTED_FAREWELL_S) == [EndChat()]


def test_a_caller_who_speaks_again_is_not_hung_up_on() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.hang_up_wanted(stage.part)
    stage.says("Goodbye.", 2.0)
    stage.finishes()

    stage.asks("Wait, one more thing!")
    stage.finishes()

    assert stage.dialogue.wake_at_s is None
    assert stage.dialogue.woke(START_S + 60) == []


# Context


def test_a_temporary_context_is_for_the_next_answer_only() -> None:
    context = Context(text="Verified.", type="temporary")
    stage = Stage(replace(SETTINGS, context=context))
    asked = work(stage.asks("Where is order 1042?"))
    assert isinstance(asked, Answer)
    assert asked.prompt.context == "Verified."

    stage.says("One moment.")
    after = work(stage.note(stage.dialogue.tool_answered(stage.calls(), "here", failed=False)))
    assert isinstance(after, AnswerAfterTool)
    assert after.prompt.context == "Verified."

    assert stage.prompt().context is None


def test_a_context_waits_while_only_texts_are_recited() -> None:
    stage = Stage(replace(SETTINGS, context=Context(text="Verified.", type="temporary")))
    stage.note(stage.dialogue.text_to_speak("Hold on."))
    stage.says("Hold on.")
    stage.finishes()

    assert stage.prompt().context == "Verified."


def test_a_persistent_context_stays() -> None:
    stage = Stage(replace(SETTINGS, context=Context(text="Verified.", type="persistent")))
    stage.asks("Hello?")
    stage.says("Good day.")

    assert stage.prompt().context == "Verified."


def test_a_context_set_meanwhile_is_not_taken_for_used() -> None:
    stage = Stage(replace(SETTINGS, context=Context(text="Verified.", type="temporary")))
    stage.asks("Hello?")
    stage.dialogue.settings = replace(SETTINGS, context=Context(text="Angry.", type="temporary"))
    stage.says("Good day.")

    assert stage.prompt().context == "Angry."
