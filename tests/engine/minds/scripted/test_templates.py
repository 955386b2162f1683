from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.engine.minds.scripted.templates import Lookup, Placeholder, Template, choose
from evibridge.errors import EngineSetupError


def known(slots: Mapping[str, str], variables: Mapping[str, str] | None = None) -> Lookup:
    def lookup(placeholder: Placeholder) -> str | None:
        name = ".".join(placeholder.path)
        return (variables or {}).get(name) if placeholder.variable else slots.get(name)

    return lookup


def variants(*texts: str) -> tuple[Template, ...]:
    return tuple(Template.parse(text) for text in texts)


def test_slots_results_and_variables_are_filled() -> None:
    text = Template.parse("Order {order_id} of {{ customer }} {result.status.text}.")
    lookup = known({"order_id": "1042", "result.status.text": "is late"}, {"customer": "Ada"})
    assert text.fill(lookup) == "Order 1042 of Ada is late."


def test_line_breaks_of_the_file_are_not_spoken() -> None:
    assert Template.parse(" One\n two   three ").fill(known({})) == "One two three"


def test_an_unknown_slot_spoils_the_text_and_an_unknown_variable_does_not() -> None:
    assert Template.parse("Hello {name}").fill(known({})) is None
    assert Template.parse("Hello {{name}}").fill(known({})) == "Hello"


def test_variants_are_taken_in_turn() -> None:
    texts = variants("One.", "Two.")
    assert [choose(texts, turn, known({})) for turn in range(3)] == ["One.", "Two.", "One."]


def test_the_variant_that_tells_most_wins() -> None:
    texts = variants("Goodbye.", "Goodbye, {name}.")
    assert choose(texts, 0, known({"name": "Ada"})) == "Goodbye, Ada."
    assert choose(texts, 0, known({})) == "Goodbye."


def test_a_variant_that_lacks_a_variable_stands_back() -> None:
    texts = variants("Hello, {{name}}.", "Hello.")
    assert choose(texts, 0, known({})) == "Hello."
    assert choose(texts, 0, known({}, {"name": "Ada"})) == "Hello, Ada."
    assert choose(variants("Hello {{name}}"), 0, known({})) == "Hello"


def test_nothing_is_said_when_nothing_can_be_said() -> None:
    assert choose((), 0, known({})) is None
    assert choose(variants("{name}"), 0, known({})) is None
    assert choose(variants("{{name}}"), 0, known({})) is None


@pytest.mark.parametrize(
    "source",
    ["{", "}", "{}", "{{}}", "{Order}", "{a b}", "{{a b}}", "{a:number}", "{a.}", "{{{a}}}"],
)
def test_a_wrong_placeholder_is_told(source: str) -> None:
    with pytest.raises(EngineSetupError, match="cannot be filled; write"):
        Template.parse(f"Text with {source} in it.")


@given(st.text("ab{}. ", max_size=20))
def test_any_text_is_read_or_refused(source: str) -> None:
    try:
        template = Template.parse(source)
    except EngineSetupError:
        assert "{" in source or "}" in source
    else:
        if not template.placeholders():
            assert template.fill(known({})) == " ".join(source.split())
