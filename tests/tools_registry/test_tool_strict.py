import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import date
from enum import Enum
from typing import Annotated, Any

import jsonschema
import pytest
from pydantic import BaseModel, Field

from evibridge.errors import ToolDefinitionError, ToolError
from evibridge.tools_registry.arguments import ToolArguments
from evibridge.tools_registry.strict_schema import strict_schema, without_nulls
from tests.tools_registry.test_tool_signatures import (
    SIGNATURES,
    Book,
    Customer,
    Goods,
    Json,
    Line,
    Order,
    Parcel,
    Point,
    Shipment,
    Signature,
    Slot,
    closed,
    each_signature,
    many,
    members,
    one_of,
)

TEXT: Json = {"type": "string"}
WHOLE: Json = {"type": "integer"}
NULL: Json = {"type": "null"}


def strictly(function: Callable[..., object]) -> ToolArguments:
    return ToolArguments(function, f"{function.__name__}()", {}, strict=True)


def strict_member(schema: Json) -> Json:
    """What becomes of a member that is required."""
    strict: Json = strict_schema(members({"a": schema}))["properties"]["a"]
    return strict


def strict_optional(schema: Json) -> Json:
    """What becomes of a member that may be left out."""
    strict: Json = strict_schema(members({"a?": schema}))["properties"]["a"]
    return strict


def fault_of(schema: Json) -> str:
    with pytest.raises(ToolDefinitionError) as caught:
        strict_schema(schema)
    return str(caught.value)


# The rules of the format, written down once more

KEYWORDS = {
    *("type", "enum", "const", "anyOf", "description", "format", "pattern"),
    *("properties", "required", "additionalProperties", "items", "minItems", "maxItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}
FORMATS = {
    *("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"),
}


def broken_rules(schema: Json, level: int = 1) -> Iterator[str]:
    """Name what is wrong with a schema in the strict format and with all inside it."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    yield from (f"keyword {keyword}" for keyword in schema.keys() - KEYWORDS)
    if not types and "anyOf" not in schema:
        yield "no type"
    if schema.get("format", "date") not in FORMATS:
        yield "format"
    if "null" in types and None not in schema.get("enum", [None]):
        yield "null is not among the values"
    properties = schema.get("properties", {})
    if "object" in types and schema.get("additionalProperties") is not False:
        yield "an object is open"
    if "object" in types and schema.get("required") != list(properties):
        yield "not every member is required"
    if "array" in types and "items" not in schema:
        yield "a list of nothing"
    inner = [*properties.values(), *([schema["items"]] if "items" in schema else [])]
    if level > 10 and inner:
        yield "too deep"
    for member in inner:
        yield from broken_rules(member, level + 1)
    for choice in schema.get("anyOf", []):
        yield from broken_rules(choice, level)


def assert_strict(schema: Json) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(broken_rules(schema)) == []
    assert schema["type"] == "object"
    assert "anyOf" not in schema


def test_the_rules_find_fault_with_what_is_not_strict() -> None:
    lenient = [each for each in SIGNATURES if list(broken_rules(each.schema))]
    assert {"model_two_deep", "sets", "typed_dictionaries", "default_text_and_whole", "path"} <= {
        each.function.__name__ for each in lenient
    }


@each_signature
def test_every_signature_is_strict_or_refused_by_name(signature: Signature) -> None:
    if signature.not_strict is None:
        assert_strict(signature.arguments(strict=True).schema)
        return
    with pytest.raises(ToolDefinitionError) as caught:
        signature.arguments(strict=True)
    words = str(caught.value)
    assert words.startswith(f"{signature.function.__name__}() cannot be strict: the parameter ")
    assert signature.not_strict in words
    assert words.endswith(", or leave `strict` out.")


# What becomes of a schema


def test_every_member_is_required_and_what_may_be_left_out_may_be_null() -> None:
    schema = closed({"a": TEXT, "b?": {**WHOLE, "default": 3}})
    assert strict_schema(schema) == {
        "type": "object",
        "properties": {"a": TEXT, "b": {"type": ["integer", "null"]}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }


def test_the_schema_without_strictness_is_not_changed() -> None:
    schema = members({"a?": {"type": "array", "items": TEXT, "uniqueItems": True, "default": []}})
    before = deepcopy(schema)
    strict_schema(schema)
    assert schema == before


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({**WHOLE, "default": 1, "minimum": 0}, {"type": ["integer", "null"], "minimum": 0}),
        ({**TEXT, "enum": ["a"]}, {"type": ["string", "null"], "enum": ["a", None]}),
        ({"enum": ["a", 1]}, {"type": ["string", "integer", "null"], "enum": ["a", 1, None]}),
        ({"type": ["string", "integer"]}, {"type": ["string", "integer", "null"]}),
        (
            {"type": ["string", "null"], "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (one_of(TEXT, WHOLE), one_of(TEXT, WHOLE, NULL)),
        ({**TEXT, "const": "a"}, one_of({**TEXT, "const": "a"}, NULL)),
        (
            {**many(TEXT), "default": [], "description": "d"},
            one_of(many(TEXT), NULL, description="d"),
        ),
        (members({"b": TEXT}), one_of(closed({"b": TEXT}), NULL)),
        ({**TEXT, "anyOf": [TEXT]}, one_of({**TEXT, "anyOf": [TEXT]}, NULL)),
    ],
)
def test_what_may_be_left_out_may_be_null(schema: Json, strict: Json) -> None:
    assert strict_optional(schema) == strict


@pytest.mark.parametrize(
    "schema",
    [
        NULL,
        one_of(TEXT, NULL),
        one_of(WHOLE, one_of(TEXT, NULL)),
        {"type": ["string", "null"]},
        {"type": ["string", "null"], "enum": ["a", None]},
        {"type": "null", "const": None},
    ],
)
def test_what_may_be_null_already_stays_as_it_is(schema: Json) -> None:
    assert strict_optional({**schema, "default": None}) == schema


def test_a_tag_that_has_itself_as_default_may_not_be_null() -> None:
    tag = {**TEXT, "const": "tea"}
    assert strict_optional({**tag, "default": "tea"}) == tag
    assert strict_optional({**tag, "default": None}) == one_of(tag, NULL)


def test_values_without_a_type_are_given_one() -> None:
    assert strict_member({"enum": ["a", "b", 1, None, True, 0.5]})["type"] == [
        *("string", "integer", "null", "boolean", "number"),
    ]
    assert strict_member({"const": "a"}) == {"type": "string", "const": "a"}


def test_the_one_of_several_becomes_any_of_them() -> None:
    assert strict_member({"oneOf": [TEXT, WHOLE]}) == one_of(TEXT, WHOLE)


def test_what_only_narrows_is_dropped() -> None:
    narrow = {
        **many({**TEXT, "minLength": 1, "maxLength": 2, "format": "uri", "examples": ["a"]}),
        "uniqueItems": True,
        "minItems": 1,
        "maxItems": 2,
        "contains": TEXT,
    }
    assert strict_member(narrow) == {**many(TEXT), "minItems": 1, "maxItems": 2}
    assert strict_member(members({"b": TEXT}, minProperties=1)) == closed({"b": TEXT})


def test_formats_and_limits_that_the_format_has_are_kept() -> None:
    kept = [
        {**TEXT, "format": "date", "pattern": "^2", "description": "d"},
        {**WHOLE, "minimum": 1, "maximum": 9, "multipleOf": 2},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    ]
    assert [strict_member(schema) for schema in kept] == kept


# What the format does not have


@pytest.mark.parametrize("schema", [{}, {"description": "d"}, True])
def test_any_value_is_refused_at_its_place(schema: Json) -> None:
    advice = "takes any value; give it a type"
    assert fault_of(members({"a": schema})) == f"the parameter 'a' {advice}"
    assert fault_of(members({"a": many(schema)})) == f"the parameter 'a[]' {advice}"
    inner = members({"b": many(members({"c?": schema}))})
    assert fault_of(members({"a": inner})) == f"the parameter 'a.b[].c' {advice}"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": True},
        {"type": "object", "additionalProperties": TEXT},
        {"type": "object", "patternProperties": {"^a": TEXT}},
        members({"b": TEXT}, additionalProperties=TEXT),
        members({"b": TEXT}, patternProperties={"^a": TEXT}),
    ],
)
def test_members_of_any_name_are_refused(schema: Json) -> None:
    assert fault_of(members({"a": schema})) == (
        "the parameter 'a' takes members of any name; "
        "use a list of objects with a field for the name"
    )


def test_a_tuple_is_refused() -> None:
    schema = {"type": "array", "prefixItems": [TEXT]}
    assert fault_of(members({"a": schema})) == (
        "the parameter 'a' is a tuple; use a list or a dataclass"
    )


@pytest.mark.parametrize(
    "keyword", ["allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas"]
)
def test_compositions_are_refused(keyword: str) -> None:
    schema = {**TEXT, keyword: {}}
    assert fault_of(members({"a": schema})) == (
        f"the parameter 'a' is described with `{keyword}`; use plain types and unions"
    )


@pytest.mark.parametrize("values", [{"enum": ["a", [1]]}, {"type": "object", "const": {"b": 1}}])
def test_fixed_values_that_are_not_plain_are_refused(values: Json) -> None:
    assert fault_of(members({"a": values})) == (
        "the parameter 'a' has lists or objects as fixed values; use strings and numbers"
    )


# Limits


def nested(levels: int) -> Json:
    schema = TEXT
    for _ in range(levels):
        schema = many(schema)
    return schema


def test_ten_levels_of_objects_and_lists_are_the_most() -> None:
    assert_strict(strict_schema(members({"a": nested(9)})))
    assert fault_of(members({"a": nested(10)})) == (
        "the parameter 'a[][][][][][][][][]' is more than 10 levels deep; make it flatter"
    )


def test_a_choice_is_no_level() -> None:
    assert_strict(strict_schema(members({"a": one_of(nested(9), NULL)})))


def test_fields_are_counted_everywhere() -> None:
    def with_fields(count: int) -> Json:
        inner = members({f"f{number}": WHOLE for number in range(count - 2)})
        return members({"a": inner, "b": WHOLE})

    strict_schema(with_fields(5000))
    assert fault_of(with_fields(5001)) == (
        "its parameters have 5001 fields, and may have 5000; describe less"
    )


def test_values_to_choose_from_are_counted_together() -> None:
    def with_values(count: int) -> Json:
        values = [{**WHOLE, "enum": list(range(half))} for half in (count - 400, 400)]
        return members({"a": values[0], "b": values[1]})

    strict_schema(with_values(1000))
    assert fault_of(with_values(1001)) == (
        "its parameters have 1001 values to choose from, and may have 1000; describe less"
    )


@pytest.mark.parametrize(
    "schema",
    [
        {"x" * 119_999: WHOLE},
        {"a": {**TEXT, "const": "x" * 119_999}},
        {"a": {**TEXT, "enum": ["x" * 100_000, "x" * 19_999]}},
    ],
)
def test_characters_of_names_and_values_are_counted_together(schema: dict[str, Json]) -> None:
    strict_schema(members(schema))
    assert fault_of(members({**schema, "more": WHOLE})).startswith("its parameters have 12000")


def test_a_long_choice_may_not_have_long_values() -> None:
    def with_values(count: int) -> Json:
        return members({"a": {**TEXT, "enum": [f"{number:060}" for number in range(count)]}})

    strict_schema(with_values(250))
    assert fault_of(with_values(251)) == (
        "the parameter 'a' lists values of 15060 characters, and may list 15000 where it has more "
        "than 250 of them; list fewer"
    )


def test_a_limit_is_told_with_the_name_of_the_function() -> None:
    many_values = Enum("many_values", {f"v{number}": number for number in range(1001)})  # type: ignore[misc]

    def tool(a: Any) -> None: ...

    tool.__annotations__["a"] = many_values
    with pytest.raises(ToolDefinitionError) as caught:
        strictly(tool)
    assert str(caught.value) == (
        "tool() cannot be strict: its parameters have 1001 values to choose from, and may have "
        "1000; describe less, or leave `strict` out."
    )


# What null means


def test_null_means_the_default_unless_the_hint_accepts_it() -> None:
    def tool(
        a: Annotated[list[int], Field(default_factory=list)],
        b: int = 3,
        c: str | None = "x",
        d: str = None,  # type: ignore[assignment]  # noqa: RUF013  as people write it
    ) -> None: ...

    text = '{"a": null, "b": null, "c": null, "d": null}'
    assert strictly(tool).read(text) == {"a": [], "b": 3, "c": None, "d": None}


def test_null_means_the_default_in_nested_types() -> None:
    def tool(order: Order, slot: Slot, point: Point, lines: list[Line] | None = None) -> None: ...

    line = {"title": "Emma", "count": None}
    customer = {"fullName": "Ann", "born": None}
    order = {"customer": customer, "lines": [line], "gift": None, "notes": None}
    slot = {"day": "2025-02-03", "hour": None}
    point = {"x": 1, "label": None}
    text = json.dumps({"order": order, "slot": slot, "point": point, "lines": [line]})
    assert strictly(tool).read(text) == {
        "order": Order.model_validate({"customer": customer, "lines": [{"title": "Emma"}]}),
        "slot": {"day": date(2025, 2, 3)},
        "point": Point(1),
        "lines": [Line(title="Emma")],
    }


def test_a_tag_of_a_union_is_always_written() -> None:
    def tool(goods: Goods) -> None: ...

    arguments = strictly(tool)
    tea, book = arguments.schema["properties"]["goods"]["anyOf"]
    assert tea["properties"]["kind"] == {**TEXT, "const": "tea"}
    assert book["properties"] == {
        "kind": {**TEXT, "const": "book"},
        "pages": {"type": ["integer", "null"]},
    }
    read = arguments.read('{"goods": {"kind": "book", "pages": null}}')
    assert read == {"goods": Book(kind="book")}


def test_null_is_refused_where_a_value_has_to_be() -> None:
    def tool(a: int, lines: list[Line]) -> None: ...

    with pytest.raises(ToolError) as caught:
        strictly(tool).read('{"a": null, "lines": [null, {"title": null}]}')
    words = str(caught.value)
    assert all(place in words for place in ("'a'", "'lines[0]'", "'lines[1].title'"))


def test_what_is_left_out_against_the_format_has_its_default() -> None:
    def tool(a: int = 3, line: Line | None = None) -> None: ...

    assert strictly(tool).read("") == {"a": 3, "line": None}
    assert strictly(tool).read('{"line": {"title": "Emma"}}')["line"] == Line(title="Emma")


@pytest.mark.parametrize("text", ["{", "\ud800", "[" * 10_000, '"\\ud800"'])
def test_text_that_is_not_json_is_refused_as_without_strictness(text: str) -> None:
    def tool(a: int = 3) -> None: ...

    refusals = []
    for strict in (False, True):
        with pytest.raises(ToolError) as caught:
            ToolArguments(tool, "tool()", {}, strict=strict).read(text)
        refusals.append(str(caught.value))
    assert refusals[0] == refusals[1]


def test_a_number_that_is_not_finite_is_refused_as_one() -> None:
    def tool(a: float = 3) -> None: ...

    with pytest.raises(ToolError, match="'a' is wrong: input should be a finite number"):
        strictly(tool).read('{"a": NaN}')


@pytest.mark.parametrize("value", [None, 3, "x", [{"a": None}]])
def test_what_is_no_object_stays_as_it_is(value: object) -> None:
    assert without_nulls(value, members({"a?": WHOLE})) == value


DEFAULT = members({"a?": {**WHOLE, "default": 1}})
NULLABLE = members({"a": one_of(WHOLE, NULL)})


@pytest.mark.parametrize(
    ("choices", "value", "kept"),
    [
        ([DEFAULT, TEXT], {"a": None}, {}),
        ([DEFAULT, NULLABLE], {"a": None}, {"a": None}),
        ([DEFAULT, members({"a": NULL, "b": TEXT})], {"a": None}, {}),
        ([DEFAULT, members({"a": NULL, "b": TEXT})], {"a": None, "b": "x"}, {"a": None, "b": "x"}),
        ([DEFAULT], {"a": None, "unknown": None}, {"unknown": None}),
        ([one_of(NULL, one_of(TEXT, DEFAULT))], {"a": None}, {}),
        ([many(DEFAULT), many(TEXT)], [{"a": None}, "x"], [{}, "x"]),
        ([{"oneOf": [DEFAULT, NULL]}], {"a": None}, {}),
    ],
)
def test_in_a_union_null_means_what_the_fitting_object_says(
    choices: list[Json], value: object, kept: object
) -> None:
    schema = members({"x": one_of(*choices)})
    assert without_nulls({"x": value}, schema) == {"x": kept}


@pytest.mark.parametrize(
    ("kind", "kept"),
    [("tea", {"kind": "tea"}), ("green", {"kind": "green"}), ("book", {"kind": "book", "a": None})],
)
def test_a_tag_tells_which_object_of_a_union_is_meant(kind: str, kept: object) -> None:
    tea = members({"kind": {**TEXT, "enum": ["tea", "green"]}, "a?": WHOLE})
    book = members({"kind": {**TEXT, "const": "book"}, "a?": one_of(WHOLE, NULL)})
    schema = members({"x": one_of(tea, book)})
    assert without_nulls({"x": {"kind": kind, "a": None}}, schema) == {"x": kept}


# As OpenAI's own library has it


def in_place(schema: Any, definitions: dict[str, Any]) -> Any:
    """Replace `$ref`, and drop `title` and `default`."""
    if isinstance(schema, list):
        return [in_place(each, definitions) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return in_place(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    dropped = ("$defs", "title", "default")
    if "properties" in schema:  # whose names are no keywords
        properties = {k: in_place(v, definitions) for k, v in schema["properties"].items()}
        schema = {**schema, "properties": properties}
        return {k: v for k, v in schema.items() if k not in dropped}
    return {k: in_place(v, definitions) for k, v in schema.items() if k not in dropped}


def as_openai(model: type[BaseModel]) -> Any:
    openai = pytest.importorskip("openai")
    schema = openai.pydantic_function_tool(model)["function"]["parameters"]
    return in_place(schema, schema.get("$defs", {}))


def as_evibridge(model: type[BaseModel]) -> Any:
    def tool(a: Any) -> None: ...

    tool.__annotations__["a"] = model
    return strictly(tool).schema["properties"]["a"]


@pytest.mark.parametrize("model", [Shipment, Parcel, Customer, Book])
def test_a_model_is_as_strict_as_openai_makes_it(model: type[BaseModel]) -> None:
    ours, theirs = as_evibridge(model), as_openai(model)
    if model is Book:  # only ours lets what has a default be left out
        assert ours["properties"].pop("pages") == {"type": ["integer", "null"]}
        assert theirs["properties"].pop("pages") == WHOLE
    assert ours == theirs


def test_a_model_with_defaults_has_the_members_that_openai_gives_it() -> None:
    ours, theirs = as_evibridge(Order), as_openai(Order)
    assert ours["required"] == theirs["required"]
    assert ours["properties"]["customer"] == theirs["properties"]["customer"]
    ours_line, line = (each["properties"]["lines"]["items"] for each in (ours, theirs))
    assert ours_line["required"] == line["required"]
    assert ours_line["additionalProperties"] is line["additionalProperties"] is False
