from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.minds.mind import (
    CallTool,
    HangUp,
    HistoryEntry,
    Prompt,
    Say,
    ToolOffer,
    ToolOutcome,
)
from evibridge.engine.minds.scripted.interpreter import Interpreter
from evibridge.engine.minds.scripted.script_file import read_script
from tests.engine.minds.scripted.talks import Talk, script, words

SHOP = """
    greeting: Good day.
    turns:
      - name: order status
        heard:
          - where is my order {order_id:number}
          - where is my order
          - has my order left for the city
        missing:
          order_id: [Which order is it?, The number is on the receipt.]
        call: {tool: order_status, with: {order_id: "{order_id}"}}
        meanwhile: One moment.
        failed: I cannot look it up.
      - name: reserve
        heard:
          - reserve {title:text}
          - reserve {title:text} for {name:name}
          - reserve a book
        missing: {title: Which book?, name: Under what name?}
        call: {tool: reserve, with: {title: "{title}", name: "{name}", copies: 1}}
        say: "Done. {result}"
      - name: recommend
        heard: recommend a book
        say: Emma. Shall I keep it?
        answers:
          - name: keep it
            heard: "yes"
            say: It is kept.
          - name: leave it
            heard: "no"
            say: As you like.
            answers:
              - name: leave it indeed
                heard: "no"
                say: No means no.
      - name: their name
        heard: my name is {name:name}
        say: Hello {name}.
      - name: hours
        heard: when do you open
        say: [At nine., Still at nine.]
      - name: repeat
        heard: what did you say
        say: I said, {said}
      - name: "yes"
        heard: "yes"
        say: Good.
      - name: goodbye
        heard: goodbye
        say: ["Goodbye, {name}.", Goodbye.]
        hang_up: true
    fallback: [Pardon?, Ask for an order., Still there?]
    """


@pytest.fixture
def shop(tmp_path: Path) -> Talk:
    return Talk(script(tmp_path, SHOP))


def one_turn(folder: Path, turn: str, **kwargs: Any) -> Talk:
    """Return a talk along a script of one turn that hears "go"."""
    return Talk(script(folder, f"turns: [{{name: go, heard: go, {turn}}}]"), **kwargs)


def test_the_greeting_opens_the_talk(shop: Talk) -> None:
    assert shop.greeting() == "Good day."


def test_without_a_greeting_the_caller_begins(tmp_path: Path) -> None:
    assert one_turn(tmp_path, "say: Yes.").greeting() is None


def test_a_tool_is_called_with_what_was_heard_and_its_result_is_told(shop: Talk) -> None:
    assert shop.said("Where is my order, 10 42?") == [
        Say("One moment."),
        CallTool("order_status", {"order_id": "1042"}),
    ]
    assert shop.tool_gave("It arrives on Friday.") == [Say("It arrives on Friday.")]


def test_a_number_is_caught_by_any_phrase_of_the_turn(shop: Talk) -> None:
    said = "Where is my order? Has my order, 1042, left for the city?"
    assert shop.said(said)[-1] == CallTool("order_status", {"order_id": "1042"})


def test_a_missing_slot_is_asked_for_and_the_bare_answer_fills_it(shop: Talk) -> None:
    assert shop.answer("Where is my order?") == "Which order is it?"
    assert shop.said("Ten forty-two.")[-1] == CallTool("order_status", {"order_id": "1042"})


def test_missing_slots_are_asked_for_one_after_the_other(shop: Talk) -> None:
    assert shop.answer("Can I reserve a book?") == "Which book?"
    assert shop.answer("Moby Dick, please.") == "Under what name?"
    assert shop.said("It's Ada.") == [
        CallTool("reserve", {"title": "Moby Dick", "name": "Ada", "copies": 1})
    ]
    assert shop.tool_gave("Bye.") == [Say("Done. Bye.")]


def test_an_answer_may_fill_more_than_was_asked_for(shop: Talk) -> None:
    shop.said("Can I reserve a book?")
    assert shop.said("Reserve Moby Dick for Ada") == [
        CallTool("reserve", {"title": "Moby Dick", "name": "Ada", "copies": 1})
    ]


def test_an_answer_may_look_like_another_turn(shop: Talk) -> None:
    shop.said("Reserve Moby Dick.")
    assert shop.said("My name is Ada.") == [
        CallTool("reserve", {"title": "Moby Dick", "name": "Ada", "copies": 1})
    ]


def test_thanks_around_an_answer_do_not_hide_it(shop: Talk) -> None:
    shop.said("Where is my order?")
    assert shop.said("Ten forty-two, yes")[-1] == CallTool("order_status", {"order_id": "1042"})


def test_a_question_may_be_left_unanswered(shop: Talk) -> None:
    shop.said("Where is my order?")
    assert shop.answer("When do you open?") == "At nine."
    assert shop.answer("1042") == "Pardon?"


def test_an_answer_that_does_not_fit_is_asked_for_in_other_words_then_given_up(shop: Talk) -> None:
    assert shop.answer("Where is my order?") == "Which order is it?"
    assert shop.answer("blue") == "The number is on the receipt."
    assert shop.answer("green") == "Pardon?"
    assert shop.said("1042")[-1] == CallTool("order_status", {"order_id": "1042"})


def test_what_was_told_once_is_remembered(shop: Talk) -> None:
    shop.said("Where is my order 1042?")
    shop.tool_gave("It arrives on Friday.")
    assert shop.said("Where is my order?")[-1] == CallTool("order_status", {"order_id": "1042"})
    assert shop.said("Where is my order 7?")[-1] == CallTool("order_status", {"order_id": "7"})


def test_what_a_tool_failed_with_is_forgotten(shop: Talk) -> None:
    shop.said("Where is my order 1142?")
    assert shop.tool_gave("There is no such order.", failed=True) == [
        Say("There is no such order.")
    ]
    assert shop.answer("Where is my order?") == "Which order is it?"


def test_a_tool_that_failed_without_a_word_is_excused(shop: Talk) -> None:
    shop.said("Where is my order 1142?")
    assert shop.tool_gave(None, failed=True) == [Say("I cannot look it up.")]


def test_a_failure_without_a_text_in_the_script_is_excused_too(tmp_path: Path) -> None:
    talk = one_turn(tmp_path, "call: {tool: go}")
    talk.said("go")
    assert talk.tool_gave(None, failed=True) == [Say("I am sorry, that did not work just now.")]


def test_an_outcome_that_no_turn_waits_for_is_told_as_it_is(shop: Talk) -> None:
    assert shop.tool_gave("News.") == [Say("News.")]
    assert shop.tool_gave(None) == [Say("I am sorry, that did not work just now.")]


def test_the_answers_of_a_turn_count_right_after_it(shop: Talk) -> None:
    assert shop.answer("Yes.") == "Good."
    assert shop.answer("Recommend a book!") == "Emma. Shall I keep it?"
    assert shop.answer("Yes.") == "It is kept."
    assert shop.answer("Yes.") == "Good."


def test_answers_have_answers(shop: Talk) -> None:
    shop.said("Recommend a book!")
    assert shop.answer("No.") == "As you like."
    assert shop.answer("No.") == "No means no."


def test_answers_outlive_a_misunderstanding_and_a_repetition(shop: Talk) -> None:
    shop.said("Recommend a book!")
    assert shop.answer("Blah.") == "Pardon?"
    assert shop.answer("What did you say?") == "I said, Pardon?"
    assert shop.answer("Yes.") == "It is kept."


def test_a_repetition_leaves_the_question_open(shop: Talk) -> None:
    shop.said("Where is my order?")
    assert shop.answer("What did you say?") == "I said, Which order is it?"
    assert shop.answer("What did you say?") == "I said, Which order is it?"
    assert shop.said("1042")[-1] == CallTool("order_status", {"order_id": "1042"})


def test_nothing_is_repeated_before_something_was_said(shop: Talk) -> None:
    assert shop.answer("What did you say?") == "Pardon?"


def test_variants_are_taken_in_turn(shop: Talk) -> None:
    assert [shop.answer("When do you open?") for _ in range(3)] == [
        "At nine.",
        "Still at nine.",
        "At nine.",
    ]


def test_misunderstandings_in_a_row_are_told_in_other_words(shop: Talk) -> None:
    assert [shop.answer("blah") for _ in range(4)] == [
        "Pardon?",
        "Ask for an order.",
        "Still there?",
        "Pardon?",
    ]
    shop.said("When do you open?")
    assert shop.answer("blah") == "Pardon?"


def test_silence_is_a_misunderstanding(shop: Talk) -> None:
    assert shop.answer("...") == "Pardon?"


def test_a_script_without_fallback_is_not_silent_either(tmp_path: Path) -> None:
    assert one_turn(tmp_path, "say: Gone.").answer("come") == (
        "I am sorry, I did not understand that."
    )


def test_a_farewell_ends_in_hanging_up(shop: Talk) -> None:
    assert shop.said("Goodbye!") == [Say("Goodbye."), HangUp()]


def test_a_name_that_was_given_is_used(shop: Talk) -> None:
    assert shop.answer("My name is Ada.") == "Hello Ada."
    assert shop.said("Goodbye!") == [Say("Goodbye, Ada."), HangUp()]


def test_a_turn_that_cannot_be_said_is_not_taken(shop: Talk) -> None:
    assert shop.answer("My name is ...") == "Pardon?"
    assert shop.taken() is None


def test_a_call_that_lacks_an_argument_without_a_question_is_not_taken(tmp_path: Path) -> None:
    talk = Talk(
        script(
            tmp_path,
            """
            turns:
              - name: buy
                heard: buy {what:text}
                call: {tool: buy, with: {what: "{what}"}}
            """,
        )
    )
    assert talk.answer("Buy!") == "I am sorry, I did not understand that."
    assert talk.said("Buy tea.") == [CallTool("buy", {"what": "tea"})]


def test_a_turn_that_can_no_longer_be_said_is_excused(tmp_path: Path) -> None:
    text = """
        turns:
          - name: introduce
            heard: call me {name:name}
            missing: {name: Who are you?}
            say: "{name} may use {tools}."
        """
    talk = Talk(script(tmp_path, text), tools=[ToolOffer("go")])
    assert talk.answer("Call me ...") == "Who are you?"
    talk.tools = []
    assert talk.answer("Ada") == "I am sorry, I did not understand that."


def test_the_name_of_the_turn_that_answers_is_known(shop: Talk) -> None:
    shop.said("When do you open?")
    assert shop.taken() == "hours"


@pytest.mark.parametrize(
    ("say", "result", "told"),
    [
        ("{result}", "plain", "plain"),
        ("It {result.status}.", '{"status": "waits"}', "It waits."),
        ("It {result.a.b}.", '{"a": {"b": 3}}', "It 3."),
        ("{result.price} pounds.", '{"price": 7.5}', "7.5 pounds."),
        ("Ready, {result.ready}.", '{"ready": true}', "Ready, yes."),
        ("Ready, {result.ready}.", '{"ready": false}', "Ready, no."),
        ("We have {result.titles}.", '{"titles": ["A", "B", null, "C"]}', "We have A, B and C."),
        ("We have {result.titles}.", '{"titles": ["A"]}', "We have A."),
    ],
)
def test_a_result_is_told_whole_or_by_its_fields(
    tmp_path: Path, say: str, result: str, told: str
) -> None:
    talk = one_turn(tmp_path, f'call: {{tool: go}}, say: "{say}"')
    talk.said("go")
    assert talk.tool_gave(result) == [Say(told)]


@pytest.mark.parametrize(
    "result",
    [None, "", "not JSON", "[]", "{}", '{"status": null}', '{"status": {}}', '{"status": []}'],
)
def test_a_result_that_lacks_what_is_to_be_told_counts_as_failed(
    tmp_path: Path, result: str | None
) -> None:
    talk = one_turn(tmp_path, 'call: {tool: go}, say: "{result.status}", failed: No.')
    talk.said("go")
    assert talk.tool_gave(result) == [Say("No.")]


def test_a_call_may_end_in_hanging_up(tmp_path: Path) -> None:
    talk = one_turn(tmp_path, "call: {tool: go}, hang_up: true")
    talk.said("go")
    assert talk.tool_gave("Gone.") == [Say("Gone."), HangUp()]


@pytest.mark.parametrize(
    ("parameters", "argument"),
    [
        ({"properties": {"n": {"type": "integer"}}}, 42),
        ({"properties": {"n": {"type": "number"}}}, 42),
        ({"properties": {"n": {"type": "string"}}}, "42"),
        ({"properties": {"n": True}}, "42"),
        ({"properties": {}}, "42"),
        ({"properties": None}, "42"),
        ({}, "42"),
    ],
)
def test_an_argument_has_the_type_that_the_tool_declares(
    tmp_path: Path, parameters: dict[str, Any], argument: str | int
) -> None:
    text = 'turns: [{name: a, heard: "take {n:number}", call: {tool: take, with: {n: "{n}"}}}]'
    talk = Talk(script(tmp_path, text), tools=[ToolOffer("take", parameters=parameters)])
    assert talk.said("Take forty-two") == [CallTool("take", {"n": argument})]


def test_a_number_too_long_for_json_stays_text(tmp_path: Path) -> None:
    text = 'turns: [{name: a, heard: "take {n:number}", call: {tool: take, with: {n: "{n}"}}}]'
    offer = ToolOffer("take", parameters={"properties": {"n": {"type": "integer"}}})
    assert Talk(script(tmp_path, text), tools=[offer]).said(f"Take {'9' * 16}") == [
        CallTool("take", {"n": "9" * 16})
    ]


def test_arguments_may_be_constants_and_variables(tmp_path: Path) -> None:
    arguments = 'a: 1, b: 1.5, c: true, d: text, e: "{{customer}}", f: "{{unknown}}"'
    talk = one_turn(
        tmp_path, f"call: {{tool: go, with: {{{arguments}}}}}", variables={"customer": "Ada"}
    )
    assert talk.said("go") == [
        CallTool("go", {"a": 1, "b": 1.5, "c": True, "d": "text", "e": "Ada", "f": ""})
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], "Nothing."),
        (["order_status"], "I know order status."),
        (["a", "b", "c"], "I know a, b and c."),
    ],
)
def test_the_tools_on_offer_can_be_told(tmp_path: Path, names: list[str], told: str) -> None:
    tools = [ToolOffer(name) for name in names]
    talk = one_turn(tmp_path, "say: ['I know {tools}.', Nothing.]", tools=tools)
    assert talk.answer("go") == told


SAID = st.lists(
    st.sampled_from(
        [
            "where is my order",
            "where is my order 1042",
            "reserve a book",
            "reserve Emma for Ada",
            "recommend a book",
            "yes",
            "no",
            "1042",
            "my name is Ada",
            "what did you say",
            "goodbye",
            "blah",
            "",
        ]
    )
    | st.text(max_size=30),
    max_size=20,
)
OUTCOMES = st.builds(ToolOutcome, content=st.none() | st.text(max_size=20), failed=st.booleans())


@given(SAID, st.lists(OUTCOMES, min_size=20, max_size=20))
def test_every_turn_is_answered_whatever_is_said(
    tmp_path_factory: pytest.TempPathFactory, said: list[str], outcomes: list[ToolOutcome]
) -> None:
    path = tmp_path_factory.getbasetemp() / "shop.yaml"
    if not path.exists():
        path.write_text(SHOP, encoding="utf-8")
    interpreter = Interpreter(read_script(path))
    for text, outcome in zip(said, outcomes, strict=False):
        prompt = Prompt(history=[HistoryEntry("user", text)])
        actions = interpreter.reply(prompt)
        if isinstance(actions[-1], CallTool):
            assert all(actions[-1].arguments.values())
            actions = interpreter.after_tool(prompt, outcome)
        assert words([action for action in actions if not isinstance(action, HangUp)]).strip()
