from dataclasses import replace

import pytest

from evibridge.engine.chat.actions import (
    Action,
    Answer,
    AnswerAfterTool,
    EndChat,
    Recite,
    Refuse,
    Report,
    Search,
    SpeakUp,
    Stop,
)
from evibridge.engine.chat.agenda import MAX_WAITING
from evibridge.engine.chat.chat_settings import ChatSettings
from evibridge.engine.chat.dialogue import (
    GREETING_WAIT_S,
    HANG_UP_GRACE_S,
    INTERRUPTED_FAREWELL_S,
    MAX_TOOL_CALLS,
    MAX_UNHEARD_TURNS,
)
from evibridge.engine.chat.faults import MODEL_FAILED, MODEL_TIMED_OUT, Fault
from evibridge.engine.chat.history import History
from evibridge.engine.chat.messages import Context
from evibridge.engine.chat.timeouts import ChatLimits, EventMessage
from evibridge.engine.chat.tool_calls import BUILT_IN, REMEMBERED_CALLS
from evibridge.engine.minds.mind import CallTool, HistoryEntry, ToolOffer, ToolOutcome, ToolUse
from evibridge.engine.minds.occasions import standard_sentence
from evibridge.engine.voices.phrases import Phrases
from tests.engine.dialogue_stage import (
    ENDS_S,
    LIMITS,
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
    greeting = work(stage.dialogue.client_ready())
    assert isinstance(greeting, SpeakUp)
    assert greeting.occasion == "greeting"
    assert stage.dialogue.client_ready() == []


def test_a_silent_client_is_greeted_after_a_moment() -> None:
    stage = Stage()

    assert stage.dialogue.woke(START_S + GREETING_WAIT_S / 2) == []
    assert isinstance(work(stage.dialogue.woke(START_S + GREETING_WAIT_S)), SpeakUp)


def test_the_owners_greeting_is_recited_with_the_clients_variables() -> None:
    greeting = EventMessage(text="Good day, {{ name }}. This is {{shop}}.")
    settings = replace(SETTINGS, variables={"name": "Ada"})
    stage = Stage(settings, replace(LIMITS, on_new_chat=greeting))

    recited = work(stage.dialogue.client_ready())

    assert recited == Recite("Good day, Ada. This is {{shop}}.")


def test_a_mind_without_a_greeting_says_nothing_and_ends_nothing() -> None:
    stage = Stage()
    stage.note(stage.dialogue.client_ready())

    assert stage.finishes() == []


def test_a_client_that_begins_is_not_greeted() -> None:
    stage = Stage()
    stage.asks("Hello?")

    assert stage.dialogue.client_ready() == []
    assert stage.dialogue.wake_at_s == ENDS_S


@pytest.mark.parametrize(
    "stage",
    [
        Stage(resumes=True),
        Stage(limits=replace(LIMITS, on_new_chat=EventMessage(enabled=False))),
    ],
    ids=["a resumed chat", "a greeting that is off"],
)
def test_not_every_chat_is_greeted(stage: Stage) -> None:
    assert stage.dialogue.wake_at_s == ENDS_S
    assert stage.dialogue.client_ready() == []


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

    assert stage.dialogue.speaking(START_S + 1.5)


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
    assert stage.dialogue.wake_at_s == ENDS_S


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


@pytest.mark.parametrize(
    ("is_read", "kept"), [(True, "It is old and stands by the river."), (False, "It is")]
)
def test_who_types_has_read_what_the_agent_said_unless_somebody_else_does(
    is_read: bool, kept: str
) -> None:
    stage = Stage()
    stage.asks("Tell me about the shop.")
    stage.says("It is old and stands by the river.", 4.0)
    stage.finishes()

    typed = stage.dialogue.caller_said(
        "And then?", 0, 0, START_S + 1, from_text=True, is_read=is_read
    )

    assert told(typed) == ["user_interruption", "user_message"]
    assert stage.assistant_words() == [kept]


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
        HistoryEntry("tool", "on its way", ToolUse(call_id, "look", {"order": "1042"})),
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
    assert [entry.content for entry in after.prompt.history] == ["Where is order 1042?", ""]


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


def test_a_result_comes_behind_the_words_that_were_said_before_the_call() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    (call,) = messages_in(stage.dialogue.tool_called(stage.part, LOOK, stage.now_s))
    stage.dialogue.tool_answered(call["tool_call_id"], "here", failed=False)

    stage.says("One moment.", 0.1)
    after = work(stage.note(stage.finishes()))

    assert isinstance(after, AnswerAfterTool)
    roles = [entry.role for entry in after.prompt.history]
    assert roles == ["user", "assistant", "tool"]


def test_what_a_tool_has_done_is_remembered_though_its_turn_is_superseded() -> None:
    stage = Stage()
    stage.asks("Cancel order 1042.")
    (call,) = messages_in(stage.dialogue.tool_called(stage.part, LOOK, stage.now_s))
    stage.dialogue.tool_answered(call["tool_call_id"], "cancelled", failed=False)

    answer = work(stage.asks("No, wait!"))

    assert isinstance(answer, Answer)
    contents = [entry.content for entry in answer.prompt.history]
    assert contents == ["Cancel order 1042.", "cancelled", "No, wait!"]


def test_a_new_turn_supersedes_the_tool_call() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()

    stage.asks("Never mind.")

    assert told(stage.dialogue.tool_answered(call_id, "late", failed=False)) == ["tool_error"]
    assert stage.dialogue.wake_at_s == ENDS_S


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
    stage.says("One moment.")
    for _ in range(MAX_TOOL_CALLS):
        stage.note(stage.dialogue.tool_answered(stage.calls(), "again", failed=False))

    assert stage.dialogue.tool_called(stage.part, LOOK, stage.now_s) == []
    assert work(stage.finishes()) == Recite(Phrases().apology)
    stage.says(Phrases().apology)
    assert told(stage.finishes()) == ["assistant_end"]


def test_a_mind_has_one_tool_call_at_a_time() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    assert told(stage.dialogue.tool_called(stage.part, LOOK, stage.now_s)) == ["tool_call"]

    assert stage.dialogue.tool_called(stage.part, LOOK, stage.now_s) == []


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
    for _ in range(MAX_WAITING):
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

    answer = work(stage.dialogue.resume(stage.now_s))
    assert isinstance(answer, Answer)
    assert answer.prompt.history == [
        HistoryEntry("user", "Tell me about the shop."),
        HistoryEntry("assistant", "one two"),
    ]
    assert stage.dialogue.resume(stage.now_s) == []


def test_what_is_said_in_a_pause_is_answered_after_it_and_once() -> None:
    stage = Stage()
    stage.dialogue.pause(stage.now_s)

    assert told(stage.asks("Hello?")) == ["user_message"]
    assert told(stage.asks("Are you there?")) == ["user_message"]
    answer = work(stage.note(stage.dialogue.resume(stage.now_s)))

    assert isinstance(answer, Answer)
    assert [entry.content for entry in answer.prompt.history] == ["Hello?", "Are you there?"]
    assert told(stage.finishes()) == ["assistant_end"]


def test_a_pause_puts_the_greeting_off() -> None:
    stage = Stage()
    stage.dialogue.pause(stage.now_s)
    assert stage.dialogue.client_ready() == []
    assert stage.dialogue.wake_at_s == ENDS_S

    assert isinstance(work(stage.dialogue.resume(START_S + 5)), SpeakUp)


def test_nothing_is_answered_twice_after_a_pause() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.says("Good day.")
    stage.finishes()
    stage.dialogue.pause(stage.now_s)

    assert stage.dialogue.resume(stage.now_s) == []


def test_texts_are_held_back_in_a_pause_and_come_before_the_answer() -> None:
    stage = Stage()
    stage.dialogue.pause(stage.now_s)
    stage.asks("Hello?")
    assert stage.dialogue.text_to_speak("I am back.") == []

    assert isinstance(work(stage.note(stage.dialogue.resume(stage.now_s))), Recite)
    stage.dialogue.pause(stage.now_s)
    assert isinstance(work(stage.note(stage.dialogue.resume(stage.now_s))), Answer)
    assert told(stage.finishes()) == ["assistant_end"]
    assert stage.finishes() == []


def test_a_tools_answer_in_a_pause_is_told_after_it() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()
    stage.dialogue.pause(stage.now_s)

    assert stage.dialogue.tool_answered(call_id, "here", failed=False) == []

    assert isinstance(work(stage.note(stage.dialogue.resume(stage.now_s))), AnswerAfterTool)
    stage.says("It is here.")
    assert told(stage.finishes()) == ["assistant_end"]


def test_a_tool_that_answers_after_the_pause_is_not_called_again() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()
    stage.dialogue.pause(stage.now_s)

    assert stage.dialogue.resume(stage.now_s) == []

    answered = stage.dialogue.tool_answered(call_id, "here", failed=False)
    assert isinstance(work(answered), AnswerAfterTool)


def test_words_in_a_pause_supersede_a_tools_answer() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    call_id = stage.calls()
    stage.dialogue.pause(stage.now_s)
    stage.dialogue.tool_answered(call_id, "here", failed=False)

    assert told(stage.asks("Never mind.")) == ["user_message"]

    assert isinstance(work(stage.dialogue.resume(stage.now_s)), Answer)


# Hanging up


def test_the_chat_ends_after_the_last_words_were_played() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.hang_up_wanted(stage.part)
    stage.says("Goodbye.", 2.0)
    assert stage.dialogue.wake_at_s == ENDS_S
    assert told(stage.finishes()) == ["assistant_end"]

    assert stage.dialogue.wake_at_s == pytest.approx(START_S + 2.0 + HANG_UP_GRACE_S)
    assert stage.dialogue.woke(START_S + 2.0) == []
    assert stage.dialogue.woke(START_S + 2.0 + HANG_UP_GRACE_S) == [EndChat("hang_up")]


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
    assert stage.dialogue.woke(START_S + 1 + INTERRUPTED_FAREWELL_S) == [EndChat("hang_up")]


def test_a_caller_who_is_still_speaking_over_the_farewell_is_heard_out_for_a_while() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.hang_up_wanted(stage.part)
    stage.says("Goodbye.", 2.0)
    stage.finishes()
    stage.dialogue.caller_interrupts(START_S + 1)

    for second in range(6, 31):
        assert stage.dialogue.woke(START_S + second, caller_speaks=True) == []
    assert stage.dialogue.woke(START_S + 31, caller_speaks=True) == [EndChat("hang_up")]


def test_a_caller_whose_last_words_were_lost_is_not_hung_up_on() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.hang_up_wanted(stage.part)
    stage.says("Goodbye.", 2.0)
    stage.finishes()
    stage.dialogue.caller_interrupts(START_S + 1)

    assert work(stage.note(stage.dialogue.not_heard())) == Recite(Phrases().please_repeat)
    stage.finishes()
    assert stage.dialogue.woke(START_S + 60) == []


def test_a_caller_who_speaks_again_is_not_hung_up_on() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.hang_up_wanted(stage.part)
    stage.says("Goodbye.", 2.0)
    stage.finishes()

    stage.asks("Wait, one more thing!")
    stage.finishes()

    assert stage.dialogue.wake_at_s == ENDS_S
    assert stage.dialogue.woke(START_S + 60) == []


def test_a_pause_in_the_farewell_only_puts_the_hang_up_off() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.hang_up_wanted(stage.part)
    stage.says("Goodbye.", 2.0)
    stage.finishes()
    stage.dialogue.pause(START_S + 1)
    assert stage.dialogue.woke(START_S + 60) == []

    stage.dialogue.resume(stage.now_s)

    assert stage.dialogue.woke(START_S + 61) == [EndChat("hang_up")]


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


def test_a_temporary_context_outlives_a_noise_and_a_pause() -> None:
    stage = Stage(replace(SETTINGS, context=Context(text="Verified.", type="temporary")))
    stage.asks("Hello?")
    stage.says("Good day.", 1.0)
    stage.dialogue.caller_interrupts(START_S + 0.5)
    again = work(stage.note(stage.dialogue.interruption_was_noise()))
    assert isinstance(again, Answer)
    assert again.prompt.context == "Verified."

    stage.says("Good day.", 1.0)
    stage.dialogue.pause(START_S + 1)
    resumed = work(stage.note(stage.dialogue.resume(START_S + 2)))
    assert isinstance(resumed, Answer)
    assert resumed.prompt.context == "Verified."
    stage.says("Good day.", 1.0)
    stage.finishes()
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


# Stretches of a turn


def test_a_turn_of_several_stretches_is_answered_once_it_has_ended() -> None:
    stage = Stage()

    first = stage.dialogue.caller_said("I would like", 0, 900, stage.now_s)
    second = stage.dialogue.caller_said("a book.", 2_000, 2_900, stage.now_s)
    assert told(first) == told(second) == ["user_message"]

    answer = work(stage.dialogue.turn_ended())
    assert isinstance(answer, Answer)
    assert [entry.content for entry in answer.prompt.history] == ["I would like", "a book."]


def test_the_end_of_a_turn_without_words_is_no_question() -> None:
    assert Stage().dialogue.turn_ended() == []


def test_a_provisional_transcript_changes_nothing() -> None:
    stage = Stage()

    (message,) = messages_in(stage.dialogue.caller_is_saying("I would", 100, 500))

    assert message["interim"] is True
    assert stage.prompt().history == [HistoryEntry("user", "?")]


# Noise


def test_an_agent_interrupted_by_a_noise_takes_up_the_sentence_that_was_cut() -> None:
    stage = Stage()
    stage.asks("Tell me about the shop.")
    stage.says("It is old.", 1.0)
    stage.says("It stands by the river.", 4.0)
    stage.says("It is closed.", 1.0)
    stage.finishes()
    stage.dialogue.caller_interrupts(START_S + 2)

    recited = work(stage.dialogue.interruption_was_noise())

    assert recited == Recite("It stands by the river. It is closed.")
    assert stage.dialogue.interruption_was_noise() == []


def test_a_question_whose_answer_a_noise_has_stopped_is_answered_again() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    stage.says("One moment.", 1.0)
    call_id = stage.calls()
    stage.dialogue.caller_interrupts(START_S + 0.5)

    assert isinstance(work(stage.note(stage.dialogue.interruption_was_noise())), Answer)
    assert told(stage.dialogue.tool_answered(call_id, "here", failed=False)) == ["tool_error"]
    stage.says("It is here.")
    assert told(stage.finishes()) == ["assistant_end"]


def test_a_pause_of_the_agent_is_time_for_the_caller_to_speak() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.says("One moment.", 1.0)

    assert stage.dialogue.speaking(START_S + 1.9)
    assert not stage.dialogue.speaking(START_S + 2.1)


def test_words_after_an_interruption_make_an_end_of_the_turn_that_was_cut() -> None:
    stage = Stage()
    stage.asks("Tell me about the shop.")
    stage.says("It is old.", 1.0)
    stage.dialogue.caller_interrupts(START_S + 0.5)
    stage.asks("Stop.")

    assert stage.dialogue.interruption_was_noise() == []


# Failures


@pytest.mark.parametrize("fault", [MODEL_FAILED, MODEL_TIMED_OUT])
def test_a_failed_mind_is_told_and_apologised_for(fault: Fault) -> None:
    stage = Stage()
    stage.asks("Hello?")

    failed = stage.note(stage.dialogue.part_failed(stage.part, fault))

    assert failed[0] == Report(fault)
    assert work(failed) == Recite(Phrases().apology)
    stage.says(Phrases().apology)
    assert told(stage.finishes()) == ["assistant_end"]
    assert stage.dialogue.part_failed(stage.part, MODEL_FAILED) == []


def test_an_apology_that_cannot_be_spoken_is_not_apologised_for() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.note(stage.dialogue.part_failed(stage.part, None))

    assert told(stage.dialogue.part_failed(stage.part, None)) == ["assistant_end"]


def test_a_question_that_could_not_be_answered_is_not_asked_again_after_a_pause() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.note(stage.dialogue.part_failed(stage.part, None))
    stage.finishes()
    stage.dialogue.pause(stage.now_s)

    assert stage.dialogue.resume(stage.now_s) == []


def test_a_voice_that_fails_before_a_tools_answer_is_not_apologised_for() -> None:
    stage = Stage()
    stage.asks("Where is order 1042?")
    (call,) = messages_in(stage.dialogue.tool_called(stage.part, LOOK, stage.now_s))

    assert stage.dialogue.part_failed(stage.part, None) == []

    answered = stage.dialogue.tool_answered(call["tool_call_id"], "here", failed=False)
    assert isinstance(work(answered), AnswerAfterTool)


def test_a_sentence_that_could_not_be_spoken_was_not_said() -> None:
    stage = Stage()
    stage.asks("Hello?")
    stage.says("Good day.", 0.1)
    stage.dialogue.sentence_begins(stage.part, "How are you?", stage.now_s)
    stage.note(stage.dialogue.part_failed(stage.part, None))
    stage.now_s += 1

    assert stage.assistant_words() == ["Good day."]


def test_a_mind_that_cannot_greet_leaves_a_hello() -> None:
    stage = Stage()
    stage.note(stage.dialogue.client_ready())

    assert work(stage.dialogue.part_failed(stage.part, MODEL_FAILED)) == Recite("Hello.")


def test_words_that_the_ears_lost_are_asked_for_again() -> None:
    stage = Stage()

    assert work(stage.dialogue.not_heard()) == Recite(Phrases().please_repeat)
    assert stage.dialogue.not_heard() == []  # it is being said


def test_ears_that_fail_again_and_again_end_the_chat() -> None:
    stage = Stage()
    for _ in range(MAX_UNHEARD_TURNS - 1):
        stage.note(stage.dialogue.not_heard())
        stage.finishes()

    fault, end = stage.dialogue.not_heard()

    assert isinstance(fault, Report)
    assert fault.fault.code == "I0116"
    assert end == EndChat("transcription_failure")


def test_one_turn_that_is_heard_makes_up_for_those_before() -> None:
    stage = Stage()
    for _ in range(MAX_UNHEARD_TURNS - 1):
        stage.dialogue.not_heard()
    stage.asks("Hello?")

    assert stage.dialogue.not_heard() == []


# Built-in tools


def test_built_in_tools_are_offered_when_the_client_allows_and_the_engine_has_them() -> None:
    settings = replace(SETTINGS, builtin_tools={"hang_up": None, "web_search": None})

    assert [tool.name for tool in Stage(settings).prompt().tools] == ["look", "hang_up"]
    offered = Stage(settings, can_search=True).prompt().tools
    assert [tool.name for tool in offered] == ["look", "hang_up", "web_search"]
    assert Stage(can_search=True).prompt().tool("web_search") is None


def test_a_mind_hangs_up_by_evis_own_tool() -> None:
    stage = Stage(replace(SETTINGS, builtin_tools={"hang_up": None}))
    stage.asks("Goodbye.")
    stage.says("Goodbye.", 1.0)

    call, response = messages_in(
        stage.dialogue.tool_called(stage.part, CallTool("hang_up", {}), stage.now_s)
    )

    assert (call["tool_type"], call["response_required"]) == ("builtin", False)
    assert (response["type"], response["tool_name"]) == ("tool_response", "hang_up")
    assert response["tool_call_id"] == call["tool_call_id"]
    assert told(stage.finishes()) == ["assistant_end"]
    assert stage.dialogue.woke(START_S + 1 + HANG_UP_GRACE_S) == [EndChat("hang_up")]


def test_a_mind_that_hangs_up_without_a_word_says_goodbye() -> None:
    stage = Stage(replace(SETTINGS, builtin_tools={"hang_up": None}))
    stage.asks("Goodbye.")
    stage.dialogue.tool_called(stage.part, CallTool("hang_up", {}), stage.now_s)

    assert work(stage.finishes()) == Recite(Phrases().farewell)
    stage.says("Goodbye.", 1.0)
    assert told(stage.finishes()) == ["assistant_end"]
    assert stage.dialogue.woke(START_S + 1 + HANG_UP_GRACE_S) == [EndChat("hang_up")]


def test_a_stop_gap_is_no_farewell() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.sentence_begins(stage.part, "One moment.", stage.now_s, quick=True)
    stage.dialogue.hang_up_wanted(stage.part)

    assert work(stage.finishes()) == Recite(Phrases().farewell)


def test_hanging_up_has_to_be_allowed() -> None:
    stage = Stage()
    stage.asks("Goodbye.")
    stage.dialogue.tool_called(stage.part, CallTool("hang_up", {}), stage.now_s)

    assert outcome_of(stage.finishes()) == ToolOutcome(None, failed=True)


def searching() -> tuple[Stage, str]:
    stage = Stage(replace(SETTINGS, builtin_tools={"web_search": "Nothing."}), can_search=True)
    stage.asks("Who won?")
    search = CallTool("web_search", {"query": "cup final"})
    call, action = stage.dialogue.tool_called(stage.part, search, stage.now_s)
    assert isinstance(action, Search)
    assert action.query == "cup final"
    (message,) = messages_in([call])
    assert (message["tool_type"], message["response_required"]) == ("builtin", False)
    stage.finishes()
    return stage, action.tool_call_id


def test_the_engine_answers_its_own_search() -> None:
    stage, call_id = searching()

    found = stage.dialogue.searched(call_id, "The home team.")

    (message,) = messages_in(found)
    assert (message["type"], message["content"]) == ("tool_response", "The home team.")
    assert outcome_of(found) == ToolOutcome("The home team.", failed=False)
    assert stage.dialogue.searched(call_id, "The home team.") == []


def test_a_failed_search_is_told_with_the_clients_fallback() -> None:
    stage, call_id = searching()

    found = stage.dialogue.searched(call_id, None)

    (message,) = messages_in(found)
    assert (message["type"], message["tool_type"]) == ("tool_error", "builtin")
    assert outcome_of(found) == ToolOutcome("Nothing.", failed=True)


def test_a_client_cannot_answer_for_the_engine() -> None:
    stage, call_id = searching()

    assert told(stage.dialogue.tool_answered(call_id, "Me!", failed=False)) == ["tool_error"]
    assert stage.dialogue.searched(call_id, "The home team.") != []


def test_the_tool_of_the_engine_cannot_be_had_without_the_client() -> None:
    assert BUILT_IN["web_search"] not in Stage(can_search=True).prompt().tools


# Time


def test_a_caller_who_says_nothing_is_asked_and_then_left() -> None:
    stage = Stage(limits=ChatLimits(inactivity_s=120))
    stage.asks("Hello?")
    stage.says("Good day.", 1.0)
    stage.finishes()

    check_in = work(stage.note(stage.dialogue.woke(START_S + 120)))
    assert isinstance(check_in, SpeakUp)
    assert check_in.occasion == "inactivity"
    stage.now_s = START_S + 120
    stage.says("Are you there?", 1.0)
    stage.finishes()
    assert stage.dialogue.woke(START_S + 135) == []

    fault, end = stage.dialogue.woke(START_S + 136)
    assert isinstance(fault, Report)
    assert fault.fault.code == "E0714"
    assert fault.fault.message.endswith("no user message was received in 120 seconds.")
    assert end == EndChat("inactivity_timeout")


def test_a_paused_agent_does_not_check_in_but_leaves() -> None:
    stage = Stage(limits=ChatLimits(inactivity_s=120))
    stage.dialogue.pause(stage.now_s)

    assert stage.dialogue.woke(START_S + 120) == []
    assert stage.dialogue.woke(START_S + 135)[-1] == EndChat("inactivity_timeout")


def test_the_longest_chat_ends_with_a_notice() -> None:
    stage = Stage(limits=ChatLimits(inactivity_s=None, max_duration_s=60))
    stage.now_s = START_S + 59
    stage.asks("Tell me a story.")
    stage.says("Once upon a time.", 30.0)

    notice = stage.note(stage.dialogue.woke(START_S + 60))
    assert told(notice) == ["user_interruption"]
    assert isinstance(work(notice), SpeakUp)
    stage.now_s = START_S + 60
    stage.says("Our time is up.", 2.0)
    stage.finishes()

    assert stage.dialogue.woke(START_S + 62) == []
    fault, end = stage.dialogue.woke(START_S + 62.6)
    assert isinstance(fault, Report)
    assert fault.fault.code == "E0715"
    assert end == EndChat("max_duration_timeout")


def test_a_mind_that_fails_on_an_occasion_leaves_a_standard_sentence() -> None:
    stage = Stage(limits=ChatLimits(inactivity_s=120))
    stage.asks("Hello?")
    stage.finishes()
    stage.note(stage.dialogue.woke(START_S + 120))

    failed = stage.dialogue.part_failed(stage.part, MODEL_FAILED)

    assert work(failed) == Recite(standard_sentence("inactivity") or "")


def test_the_agent_speaks_up_after_a_silence_unless_the_caller_is_speaking() -> None:
    stage = Stage(limits=replace(LIMITS, nudge_interval_s=10))
    stage.asks("Hello?")
    stage.says("Good day.", 2.0)
    stage.finishes()
    assert stage.dialogue.wake_at_s == START_S + 12

    assert stage.dialogue.woke(START_S + 12, caller_speaks=True) == []
    nudge = work(stage.dialogue.woke(START_S + 22))

    assert isinstance(nudge, SpeakUp)
    assert nudge.occasion == "nudge"


def test_a_pause_is_no_silence_that_asks_for_words() -> None:
    stage = Stage(limits=replace(LIMITS, nudge_interval_s=10))
    stage.asks("Hello?")
    stage.says("Good day.", 2.0)
    stage.finishes()
    stage.dialogue.pause(START_S + 3)
    stage.dialogue.resume(START_S + 300)

    assert stage.dialogue.woke(START_S + 300) == []
    assert stage.dialogue.wake_at_s == START_S + 310


# Groups


def test_a_resumed_chat_knows_what_was_said_before() -> None:
    history = History()
    history.add_user("My name is Ada.")
    stage = Stage(history=history, resumes=True)

    assert [entry.content for entry in stage.prompt().history] == ["My name is Ada.", "?"]


def test_words_that_the_lost_chat_left_unanswered_are_answered_by_the_next() -> None:
    history = History()
    history.add_user("Where is my order?")
    stage = Stage(history=history, resumes=True)

    assert isinstance(work(stage.note(stage.dialogue.client_ready())), Answer)
    stage.says("It is here.")
    assert told(stage.finishes()) == ["assistant_end"]


def test_words_that_were_cut_off_with_the_connection_are_not_remembered() -> None:
    history = History()
    stage = Stage(history=history)
    stage.asks("Tell me about the shop.")
    stage.says("one two three four", 4.0)

    stage.dialogue.client_left(START_S + 2.01)

    assert history.entries()[-1] == HistoryEntry("assistant", "one two")
