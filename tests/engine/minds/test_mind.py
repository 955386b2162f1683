import pytest

from evibridge.engine.minds.mind import HistoryEntry, Prompt, ToolOffer, fill_in


def test_the_last_words_of_the_caller_are_the_ones_to_answer() -> None:
    prompt = Prompt(
        history=[
            HistoryEntry("user", "Where is my order?"),
            HistoryEntry("assistant", "Which one?"),
            HistoryEntry("user", "1042"),
            HistoryEntry("tool", "It is late."),
        ]
    )
    assert prompt.last_heard() == "1042"


def test_a_caller_who_has_not_spoken_said_nothing() -> None:
    assert Prompt(history=[HistoryEntry("assistant", "Hello.")]).last_heard() == ""


def test_a_tool_is_found_by_its_name() -> None:
    offer = ToolOffer("order_status")
    assert Prompt(tools=[ToolOffer("other"), offer]).tool("order_status") is offer
    assert Prompt(tools=[offer]).tool("other") is None


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("Greet {{name}}.", "Greet Ada."),
        ("Greet {{ name }}, {{name}}!", "Greet Ada, Ada!"),
        ("{{first name}} and {{unset}}", "Ada Augusta and {{unset}}"),
        ("{name} {{}} {{{name}}}", "{name} {{}} {Ada}"),
        ("{{evil}}", "{{name}}"),
    ],
)
def test_variables_are_filled_in_once_and_unknown_ones_stay(text: str, filled: str) -> None:
    variables = {"name": "Ada", "first name": "Ada Augusta", "evil": "{{name}}"}

    assert fill_in(text, variables) == filled


def test_the_instructions_are_the_prompt_with_its_variables() -> None:
    prompt = Prompt(system_prompt="Greet {{name}}.", variables={"name": "Ada"})

    assert prompt.instructions() == "Greet Ada."
    assert Prompt().instructions() is None


def test_keys_are_not_shown() -> None:
    assert "sk-secret" not in repr(Prompt(language_model_api_key="sk-secret"))
