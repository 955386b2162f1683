import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evibridge.tools_registry.docstring import read_docstring


def test_the_description_ends_at_the_first_section() -> None:
    docstring = read_docstring("Tell where.\n\nNot for returns.\n\nReturns:\n    A text.")
    assert docstring.description == "Tell where.\n\nNot for returns."
    assert docstring.parameters == {}


@pytest.mark.parametrize("section", ["Args", "Returns", "Raises"])
def test_every_section_ends_the_description(section: str) -> None:
    assert read_docstring(f"Do it.\n{section}:\n    x: y").description == "Do it."


def test_a_docstring_without_sections_is_all_description() -> None:
    text = "Do it.\n\nExample:\n    now"
    assert read_docstring(text).description == text


def test_parameters_are_read_with_their_continuation_lines() -> None:
    docstring = read_docstring(
        inspect.cleandoc(
            """Tell where an order is.

            Args:
                order_id (str): the number printed
                    on the receipt

                    note: it is not the invoice
                language: how to answer,
                    one of: en, de
                later:
                    said on the next line
                bare:

            Raises:
                ToolError: nothing found
            """
        )
    )
    assert docstring.parameters == {
        "order_id": "the number printed on the receipt note: it is not the invoice",
        "language": "how to answer, one of: en, de",
        "later": "said on the next line",
        "bare": "",
    }


@pytest.mark.parametrize(
    "type_text",
    ["int", "list[tuple[int, ...]]", 'Literal["a: b", "c)"]', "Annotated[int, Field(ge=1)]"],
)
def test_a_type_in_parentheses_is_left_out(type_text: str) -> None:
    docstring = read_docstring(f"Do it.\n\nArgs:\n    a ({type_text}, optional): one (or: two)")
    assert docstring.parameters == {"a": "one (or: two)"}


def test_a_line_that_is_not_indented_ends_the_parameters() -> None:
    docstring = read_docstring("Do it.\n\nArgs:\n    a: one\nNote:\n    b: two")
    assert docstring.parameters == {"a": "one"}


def test_a_line_that_names_no_parameter_goes_on_with_the_one_above() -> None:
    docstring = read_docstring("Do it.\nArgs:\n    lost words\n    a: one\n    and more")
    assert docstring.parameters == {"a": "one and more"}


def test_parameters_may_stand_behind_what_is_returned() -> None:
    docstring = read_docstring("Do it.\nReturns:\n    x: a text\nArgs:\n    a: one")
    assert docstring.parameters == {"a": "one"}


LINES = ["", "Args:", "Returns:", "    a: one", "        more", "  b (int): two", "c"]


@given(st.lists(st.sampled_from(LINES) | st.text()))
def test_any_text_is_accepted_and_no_word_is_invented(lines: list[str]) -> None:
    text = "\n".join(lines)
    docstring = read_docstring(text)
    said = [docstring.description, *docstring.parameters, *docstring.parameters.values()]
    assert all(word in text for part in said for word in part.split())
