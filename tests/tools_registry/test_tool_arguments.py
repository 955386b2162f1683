import contextlib
import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, date
from enum import Enum
from socket import socket
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from pydantic import Json as JsonText

from evibridge.errors import ToolDefinitionError, ToolError
from evibridge.tools_registry.arguments import MAX_ARGUMENTS_CHARS, ToolArguments, clip
from evibridge.tools_registry.context import ToolContext
from tests.tools_registry.test_tool_signatures import SIGNATURES, Json, Signature

if TYPE_CHECKING:
    from decimal import Decimal


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


class Item(BaseModel):
    """One line of an order."""

    title: str
    count: Annotated[int, Field(ge=1)] = 1


class Tea(BaseModel, extra="forbid"):
    kind: Literal["tea"]


class Book(BaseModel):
    kind: Literal["book"]


class Even(BaseModel):
    number: int

    @field_validator("number")
    @classmethod
    def _is_even(cls, number: int) -> int:
        if number % 2:
            raise ValueError("Odd numbers are out of stock.")
        return number


@dataclass
class Address:
    street: str


class Node(BaseModel):
    next: "Node | None" = None


class Opaque:
    """Something that JSON cannot express."""


UNSET = Opaque()
COUNT_IS_WRONG = (
    "The argument 'count' is wrong: input should be a valid integer, "
    "unable to parse string as an integer."
)


def arguments_of(
    function: Callable[..., object], descriptions: dict[str, str] | None = None
) -> ToolArguments:
    return ToolArguments(function, f"{function.__name__}()", descriptions or {})


def properties_of(function: Callable[..., object]) -> dict[str, Any]:
    schema = arguments_of(function).schema
    jsonschema.Draft202012Validator.check_schema(schema)
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return properties


def refusal_of(function: Callable[..., object], text: str) -> str:
    with pytest.raises(ToolError) as caught:
        arguments_of(function).read(text)
    assert caught.value.code == "bad_arguments"
    return str(caught.value)


def definition_fault(
    function: Callable[..., object], descriptions: dict[str, str] | None = None
) -> str:
    with pytest.raises(ToolDefinitionError) as caught:
        arguments_of(function, descriptions)
    return str(caught.value)


def order(order_id: str, count: int = 1) -> None:
    """A function as users write it."""


# What the model is told


def test_plain_types_become_a_closed_object_schema() -> None:
    assert arguments_of(order).schema == {
        "type": "object",
        "properties": {"order_id": {"type": "string"}, "count": {"type": "integer", "default": 1}},
        "required": ["order_id"],
        "additionalProperties": False,
    }


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    def ping() -> None: ...

    arguments = arguments_of(ping)
    assert arguments.schema["properties"] == {}
    assert arguments.read("{}") == {}


def test_the_docstring_describes_a_parameter_unless_its_hint_does() -> None:
    def tool(a: int, b: Annotated[int, Field(description="hint")], c: Item) -> None: ...

    said = {"a": "doc a", "b": "doc b", "c": "doc c"}
    properties = arguments_of(tool, said).schema["properties"]
    words = {name: schema["description"] for name, schema in properties.items()}
    assert words == {"a": "doc a", "b": "hint", "c": "doc c"}


def test_a_default_that_json_cannot_express_is_left_out_and_kept() -> None:
    def tool(shop: Any = UNSET, limit: float = math.inf) -> None: ...

    assert properties_of(tool) == {"shop": {}, "limit": {"type": "number"}}
    assert arguments_of(tool).read("{}") == {"shop": UNSET, "limit": math.inf}


def test_parameters_may_have_names_that_pydantic_reserves() -> None:
    def tool(schema: int, model_config: str, copy: int, _hidden: int, p0: int) -> None: ...

    text = '{"schema": 1, "model_config": "x", "copy": 2, "_hidden": 3, "p0": 4}'
    assert list(properties_of(tool)) == ["schema", "model_config", "copy", "_hidden", "p0"]
    assert arguments_of(tool).read(text) == json.loads(text)


def test_hints_may_be_text() -> None:
    def tool(items: "list[Item]") -> None: ...

    assert arguments_of(tool).read('{"items": [{"title": "Emma"}]}') == {
        "items": [Item(title="Emma")]
    }


def test_hints_as_text_are_read_in_the_module_of_the_decorated_function() -> None:
    @contextlib.contextmanager
    def traced() -> Iterator[None]:
        yield

    @traced()  # a wrapper whose own module is contextlib
    def tool(item: "Item") -> None: ...

    assert arguments_of(tool).read('{"item": {"title": "Emma"}}') == {"item": Item(title="Emma")}


def test_the_context_parameter_is_hidden_from_the_model() -> None:
    def tool(call: ToolContext, order_id: str) -> None: ...

    arguments = arguments_of(tool)
    assert arguments.context_parameter == "call"
    assert list(arguments.schema["properties"]) == ["order_id"]
    assert arguments.read('{"order_id": "7"}') == {"order_id": "7"}


def test_a_function_without_the_context_has_no_context_parameter() -> None:
    assert arguments_of(order).context_parameter is None


# What a function may not look like


def test_each_refused_kind_of_parameter_is_named() -> None:
    def positional(a: int, /) -> None: ...
    def many(*values: int) -> None: ...
    def named(**values: int) -> None: ...

    assert "'a' of positional() is positional-only" in definition_fault(positional)
    assert "'values' of many() takes any number" in definition_fault(many)
    assert "'values' of named() takes any names" in definition_fault(named)


def test_a_missing_type_hint_is_named() -> None:
    def tool(a: int, b) -> None: ...  # type: ignore[no-untyped-def]  # noqa: ANN001  the fault

    assert "'b' of tool() has no type hint" in definition_fault(tool)


def test_a_method_of_a_class_is_to_be_registered_bound() -> None:
    class Shop:
        def status(self, order_id: str) -> None: ...

    assert "register the bound method" in definition_fault(Shop.status)
    assert arguments_of(Shop().status).read('{"order_id": "1"}') == {"order_id": "1"}


def test_a_type_that_is_only_imported_for_type_checkers_is_named() -> None:
    def tool(price: "Decimal") -> None: ...

    words = definition_fault(tool)
    assert "'price' of tool() cannot be evaluated" in words
    assert "'Decimal' is not defined" in words


@pytest.mark.parametrize(
    "hint",
    [
        *(Opaque, socket, bytes, bytearray, complex, type, type[int], 5),
        *(Callable, Callable[[], int], Iterable[int], Literal[b"x"]),
        *(list[bytes], dict[str, Opaque], Opaque | None, Annotated[str, Field(pattern="(")]),
    ],
)
def test_a_hint_without_a_json_form_is_refused(hint: Any) -> None:
    def tool(a: int, b: Any) -> None: ...

    tool.__annotations__["b"] = hint
    words = definition_fault(tool)
    assert "'b' of tool() cannot be described" in words
    assert "errors.pydantic.dev" not in words


def test_a_recursive_type_is_refused() -> None:
    def tool(tree: Node) -> None: ...

    words = definition_fault(tool)
    assert "'tree' of tool()" in words
    assert "Node contains itself" in words


def test_the_context_must_come_first_and_alone() -> None:
    def late(a: int, call: ToolContext) -> None: ...
    def perhaps(call: ToolContext | None) -> None: ...

    assert "'call' of late() must come first" in definition_fault(late)
    assert "'call' of perhaps() must come first and be annotated" in definition_fault(perhaps)


def test_a_docstring_may_not_describe_a_parameter_that_is_not_there() -> None:
    words = definition_fault(order, {"orderid": "the number"})
    assert "order() describes the parameter 'orderid'" in words


# What it is told strictly; test_tool_strict.py has the format


def test_a_strict_schema_requires_all_and_reads_null_as_the_default() -> None:
    arguments = ToolArguments(order, "order()", {}, strict=True)
    assert arguments.schema["properties"]["count"] == {"type": ["integer", "null"]}
    assert arguments.schema["required"] == ["order_id", "count"]
    assert arguments.read('{"order_id": "1", "count": null}') == {"order_id": "1", "count": 1}
    with pytest.raises(ToolError, match="not valid JSON"):
        arguments.read("{")


def test_what_cannot_be_strict_is_named_with_its_function() -> None:
    def tool(a: int, prices: dict[str, float]) -> None: ...

    with pytest.raises(ToolDefinitionError) as caught:
        ToolArguments(tool, "tool()", {}, strict=True)
    assert str(caught.value) == (
        "tool() cannot be strict: the parameter 'prices' takes members of any name; use a list of "
        "objects with a field for the name, or leave `strict` out."
    )


# What the model writes


@pytest.mark.parametrize(
    ("text", "order_id"),
    [
        ('{"order_id": "1042"}', "1042"),
        ('{"order_id": 1042}', "1042"),
        ('{"order_id": 123456789012345678901234567890}', "123456789012345678901234567890"),
    ],
)
def test_a_number_is_accepted_where_a_string_is_asked_for(text: str, order_id: str) -> None:
    assert arguments_of(order).read(text) == {"order_id": order_id, "count": 1}


def test_a_string_is_accepted_where_a_number_is_asked_for() -> None:
    assert arguments_of(order).read('{"order_id": "a", "count": "3"}')["count"] == 3


def test_json_forms_become_python_values() -> None:
    def tool(size: Size, when: date, where: Address, pair: tuple[int, int]) -> None: ...

    text = '{"size": "l", "when": "2025-02-03", "where": {"street": "A"}, "pair": [1, 2]}'
    assert arguments_of(tool).read(text) == {
        "size": Size.LARGE,
        "when": date(2025, 2, 3),
        "where": Address("A"),
        "pair": (1, 2),
    }


@pytest.mark.parametrize("text", ["", " \n"])
def test_blank_text_means_no_arguments(text: str) -> None:
    def tool(count: int = 2) -> None: ...

    assert arguments_of(tool).read(text) == {"count": 2}


def test_a_default_list_is_not_shared_between_calls() -> None:
    def tool(names: list[str] = []) -> None: ...  # noqa: B006  the habit that is to do no harm

    arguments = arguments_of(tool)
    first = arguments.read("{}")["names"]
    assert isinstance(first, list)
    first.append("x")
    assert arguments.read("{}")["names"] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "The arguments are not valid JSON: EOF while parsing an object at line 1 column 1."),
        ("[1]", "The arguments must be one JSON object."),
        ('"order_id"', "The arguments must be one JSON object."),
        ("\ud800", "The arguments must be one JSON object."),
        ("{}", "The argument 'order_id' is missing."),
        (
            '{"order_id": "1", "colour": "red"}',
            "There is no argument 'colour'; the tool's arguments are: order_id, count.",
        ),
        (
            '{"order_id": "1", "count": "many"}',
            COUNT_IS_WRONG,
        ),
        (
            '{"order_id": null, "count": "many"}',
            f"The argument 'order_id' is wrong: input should be a valid string. {COUNT_IS_WRONG}",
        ),
    ],
)
def test_the_model_is_told_in_words_what_to_mend(text: str, words: str) -> None:
    assert refusal_of(order, text) == words


def test_a_function_without_parameters_says_that_it_takes_none() -> None:
    def ping() -> None: ...

    words = "There is no argument 'x'; the tool's arguments are: none."
    assert refusal_of(ping, '{"x": 1}') == words


def test_a_fault_inside_a_list_is_located() -> None:
    def tool(items: list[Item]) -> None: ...

    words = refusal_of(tool, '{"items": [{"title": "a"}, {"count": 0}]}')
    assert "'items[1].title' is missing" in words
    assert "'items[1].count' is wrong: input should be greater than or equal to 1" in words


def test_a_fault_inside_a_nested_type_is_located() -> None:
    def tool(where: Address, tea: Tea, price: JsonText[int]) -> None: ...

    where, tea = {"street": "A", "floor": 1}, {"kind": "tea", "grams": 1}
    words = refusal_of(tool, json.dumps({"where": where, "tea": tea, "price": "x"}))
    assert "'where.floor' is wrong: unexpected keyword argument." in words
    assert "'tea.grams' is wrong: extra inputs are not permitted." in words
    assert "'price' is wrong: invalid JSON" in words


def test_the_words_of_a_validator_are_passed_on() -> None:
    def tool(even: Even) -> None: ...

    words = "The argument 'even.number' is wrong: odd numbers are out of stock."
    assert refusal_of(tool, '{"even": {"number": 3}}') == words


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_finite_is_refused(literal: str) -> None:
    def tool(price: float) -> None: ...

    assert "finite number" in refusal_of(tool, f'{{"price": {literal}}}')


def test_no_more_than_a_little_of_the_input_is_repeated() -> None:
    def tool(goods: Annotated[Tea | Book, Field(discriminator="kind")], count: int) -> None: ...

    long = "x" * 5000
    text = json.dumps({"goods": {"kind": long}, "count": long, long: 1})
    words = refusal_of(tool, text)
    assert "In the argument 'goods', 'kind' must be one of 'tea', 'book'." in words
    assert "x" * 99 in words
    assert "x" * 101 not in words


def test_many_faults_are_summed_up() -> None:
    def tool(counts: list[int]) -> None: ...

    words = refusal_of(tool, json.dumps({"counts": ["x"] * 1000}))
    assert words.count("is wrong") == 5
    assert words.endswith("Faults besides these: 995.")


def test_arguments_of_absurd_length_are_not_even_parsed() -> None:
    text = json.dumps({"order_id": "x" * MAX_ARGUMENTS_CHARS})
    assert "longer than 65536 characters" in refusal_of(order, text)


def test_text_is_clipped_only_when_it_is_too_long() -> None:
    assert (clip("four", 4), clip("fours", 4)) == ("four", "fou…")


# Anything at all

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "date": st.dates().map(str),
    "date-time": st.datetimes(timezones=st.just(UTC)).map(str),
    "time": st.times().map(str),
    "duration": st.integers(0, 10**6).map("PT{}S".format),
    "uuid": st.uuids().map(str),
    "ipv4": st.ip_addresses(v=4).map(str),
    "path": st.text("abc./"),
    "uri": st.integers(0, 999).map("https://bookshop.example/{}".format),
}


def texts(schema: Json) -> st.SearchStrategy[Any]:
    if "pattern" in schema:
        lengths = range(schema["minLength"], schema["maxLength"] + 1)
        return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda s: len(s) in lengths)
    return FORMATS.get(schema.get("format", ""), st.text())


def wholes(schema: Json) -> st.SearchStrategy[Any]:
    least = schema.get("minimum", schema.get("exclusiveMinimum", -(10**30)) + 1)
    return st.integers(least, 10**30).map(lambda number: number * schema.get("multipleOf", 1))


def numbers(schema: Json) -> st.SearchStrategy[Any]:
    return st.floats(schema.get("minimum", -1e15), schema.get("maximum", 1e15))


def lists(schema: Json, *, nulls: bool) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        parts = [described(each, nulls=nulls) for each in schema["prefixItems"]]
        return st.tuples(*parts).map(list)
    return st.lists(
        described(schema["items"], nulls=nulls),
        min_size=schema.get("minItems", 0),
        max_size=schema.get("maxItems", 3),
        unique_by=json.dumps if "uniqueItems" in schema else None,
    )


def objects(schema: Json, *, nulls: bool) -> st.SearchStrategy[Any]:
    written: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for name, each in schema.get("properties", {}).items():
        values = described(each, nulls=nulls)
        if name in schema.get("required", ()) or (nulls and "const" in each):
            written[name] = values
        elif nulls:
            written[name] = values | st.none()
        else:
            optional[name] = values
    members = st.fixed_dictionaries(written, optional=optional)
    more = schema.get("additionalProperties") or {}
    if not more:
        return members
    others = described({} if more is True else more, nulls=nulls)
    others = st.dictionaries(st.text(), others, max_size=3)
    return st.builds(lambda own, more: {**more, **own}, members, others)


def described(schema: Json, *, nulls: bool) -> st.SearchStrategy[Any]:
    """Draw what a schema describes; with `nulls`, all is written, as the strict format has it."""
    choices = schema.get("anyOf", schema.get("oneOf"))
    if choices is not None:
        return st.one_of(*(described(each, nulls=nulls) for each in choices))
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    by_type: dict[str | None, Callable[[], st.SearchStrategy[Any]]] = {
        None: lambda: json_values,
        "null": st.none,
        "boolean": st.booleans,
        "integer": lambda: wholes(schema),
        "number": lambda: numbers(schema),
        "string": lambda: texts(schema),
        "array": lambda: lists(schema, nulls=nulls),
        "object": lambda: objects(schema, nulls=nulls),
    }
    return by_type[schema.get("type")]()


def containers(value: Any) -> Iterator[dict[str, Any] | list[Any]]:
    """Find a value and all inside it that has members or items."""
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from containers(inner)


@st.composite
def damaged(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> Any:
    """Draw a value with members dropped, renamed, retyped and added."""
    value = deepcopy(draw(values))
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(list(containers(value))))
        new = draw(json_values)
        if isinstance(where, list):
            where.insert(0, new)
            continue
        names = [*where, draw(st.text())]
        match draw(st.sampled_from(["drop", "rename", "retype"])):
            case "drop":
                where.pop(draw(st.sampled_from(names)), None)
            case "rename":
                where[names[-1]] = where.pop(names[0], new)
            case "retype":
                where[draw(st.sampled_from(names))] = new
    return value


class Case:
    """A signature as it is offered, and the types that its function asks for."""

    def __init__(self, signature: Signature, *, strict: bool) -> None:
        self.label = f"{signature.function.__name__}{' strictly' * strict}"
        self.arguments = signature.arguments(strict=strict)
        self.schema = jsonschema.Draft202012Validator(self.arguments.schema)
        self.values = described(signature.schema, nulls=strict)
        self.names = list(signature.schema["properties"])
        hints = get_type_hints(signature.function, include_extras=True)
        self.types = {name: TypeAdapter(hints[name]) for name in self.names}
        parameters = inspect.signature(signature.function).parameters
        self.defaults = {name: parameters[name].default for name in self.names}

    def __repr__(self) -> str:
        return self.label

    def read(self, value: object) -> None:
        """Read JSON and see that the function gets its own types."""
        values = self.arguments.read(json.dumps(value))
        assert values.keys() == set(self.names)
        for name, argument in values.items():
            if argument != self.defaults[name]:
                self.types[name].validate_python(argument, strict=True)

    def is_read_or_refused(self, value: object) -> bool:
        """Read JSON, or see that the refusal says which argument is at fault, or that none is."""
        try:
            self.read(value)
        except ToolError as refusal:
            words = f"{refusal.code}: {refusal}"
        else:
            return True
        # in quotes, alone or with the place inside it
        names = "|".join(rf"""argument ['"]{name}['".\[…]""" for name in self.names)
        faults = rf"""{names or "no argument"}|There is no argument|must be one JSON object"""
        return bool(re.match(rf"bad_arguments: .*({faults})", words))


CASES = [
    Case(each, strict=strict)
    for each in SIGNATURES
    for strict in (False, True)
    if not (strict and each.not_strict)
]
quickly = settings(deadline=None, max_examples=300)
cases = st.sampled_from(CASES)


@quickly
@given(cases, st.data())
def test_what_is_described_is_allowed_and_read_as_the_functions_types(
    case: Case, data: st.DataObject
) -> None:
    value = data.draw(case.values)
    case.schema.validate(value)
    case.read(value)


@quickly
@given(cases, st.data())
def test_damaged_arguments_are_read_or_refused_by_name(case: Case, data: st.DataObject) -> None:
    assert case.is_read_or_refused(data.draw(damaged(case.values)))


@quickly
@given(cases, st.data())
def test_any_values_are_read_or_refused_by_name(case: Case, data: st.DataObject) -> None:
    named = st.fixed_dictionaries({}, optional=dict.fromkeys([*case.names, "more"], json_values))
    assert case.is_read_or_refused(data.draw(named | json_values))


ORDER_ARGUMENTS = arguments_of(order)
ORDER_STRICTLY = ToolArguments(order, "order()", {}, strict=True)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for arguments in (ORDER_ARGUMENTS, ORDER_STRICTLY):
        with contextlib.suppress(ToolError):
            assert arguments.read(text).keys() == {"order_id", "count"}
