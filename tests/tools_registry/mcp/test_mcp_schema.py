from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.mcp.schema import (
    MAX_DEPTH,
    MAX_DESCRIPTION_CHARS,
    MAX_SCHEMA_CHARS,
    MAX_TAKEN_CHARS,
    narrow_schema,
)


def narrowed(argument: object, **document: Any) -> Any:
    """What a model is told of one argument."""
    return narrow_schema({"properties": {"it": argument}, **document})["properties"]["it"]


def fault_of(document: Mapping[str, Any]) -> str:
    with pytest.raises(ToolDefinitionError) as fault:
        narrow_schema(document)
    return str(fault.value)


# The whole


@pytest.mark.parametrize("document", [{}, {"type": "object"}, {"properties": 7, "required": "x"}])
def test_a_tool_without_arguments_takes_an_empty_object(document: dict[str, Any]) -> None:
    assert narrow_schema(document) == {"type": "object", "properties": {}, "required": []}


def test_an_ordinary_schema_loses_only_what_is_of_no_use_to_a_model() -> None:
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://crm.example/order.json",
        "$comment": "generated",
        "title": "OrderArguments",
        "type": "object",
        "properties": {
            "order_id": {"type": "string", "title": "Order", "description": "On the receipt."},
            "count": {"type": "integer", "minimum": 1, "default": 2, "examples": [3]},
        },
        "required": ["order_id"],
        "additionalProperties": False,
    }
    before = deepcopy(document)
    assert narrow_schema(document) == {
        "type": "object",
        "properties": {
            "order_id": {"type": "string", "description": "On the receipt."},
            "count": {"type": "integer", "minimum": 1, "default": 2},
        },
        "required": ["order_id"],
        "additionalProperties": False,
    }
    assert document == before


def test_an_argument_may_be_called_like_a_keyword() -> None:
    properties = {"title": {"type": "string"}, "$ref": {"type": "string"}, "not": {}}
    assert narrow_schema({"properties": properties})["properties"] == properties


def test_what_is_required_and_not_described_is_told_of() -> None:
    assert narrow_schema({"required": ["id", 7, "id"]}) == {
        "type": "object",
        "properties": {"id": {}},
        "required": ["id"],
    }


# What becomes of keywords


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        (True, {}),
        ("nonsense", {}),
        (
            {"patternProperties": {"^x": {}}, "propertyNames": {}, "unevaluatedProperties": False},
            {},
        ),
        (
            {"dependentSchemas": {}, "if": {}, "then": {}, "else": {}, "not": {}, "nullable": True},
            {},
        ),
        ({"type": "array", "contains": {"type": "string"}}, {"type": "array", "items": {}}),
        ({"type": "any"}, {}),
        ({"type": ["string", "null", "any"]}, {"type": ["string", "null"]}),
        ({"type": ["string"]}, {"type": "string"}),
        ({"type": 7}, {}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"const": None, "enum": [1]}, {"enum": [None]}),
        ({"enum": []}, {}),
        ({"enum": "abc"}, {}),
        ({"minimum": 3, "exclusiveMinimum": True}, {"minimum": 3}),
        ({"minimum": "3", "maximum": float("inf"), "multipleOf": 0.5}, {"multipleOf": 0.5}),
        ({"minimum": 10**400}, {"minimum": 10**400}),
        ({"minLength": -1, "maxLength": 2.5, "minItems": True, "maxItems": 3}, {"maxItems": 3}),
        ({"uniqueItems": True}, {"uniqueItems": True}),
        ({"uniqueItems": 1}, {}),
        ({"format": "date", "pattern": "^a"}, {"format": "date", "pattern": "^a"}),
        ({"format": 7, "pattern": 7, "description": 7}, {}),
        ({"additionalProperties": True}, {"additionalProperties": True}),
        ({"additionalProperties": {}}, {"additionalProperties": True}),
        (
            {"additionalProperties": {"type": "string", "title": "x"}},
            {"additionalProperties": {"type": "string"}},
        ),
        ({"additionalProperties": 7}, {}),
        ({"properties": {"a": False, "b": True}}, {"properties": {"b": {}}}),
    ],
)
def test_keywords_that_models_do_not_take_are_left_out(schema: object, told: object) -> None:
    assert narrowed(schema) == told


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null", "title": "x"}]}, ["string", "null"]),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, ["string", "null"]),
        ({"oneOf": [{"type": "string"}, False, {"type": "null"}]}, ["string", "null"]),
    ],
)
def test_choices_are_told_as_any_of(schema: object, told: list[str]) -> None:
    assert narrowed(schema) == {"anyOf": [{"type": name} for name in told]}


def test_a_single_choice_is_none() -> None:
    schema = {"description": "It.", "anyOf": [{"type": "string", "description": "Text."}]}
    assert narrowed(schema) == {"description": "It.", "type": "string"}


def test_what_all_of_several_schemas_ask_for_is_written_as_one() -> None:
    schema = {
        "description": "An order.",
        "required": ["id"],
        "allOf": [
            {"type": "object", "properties": {"id": {"type": "string"}}, "description": "x"},
            {"properties": {"count": {"type": "integer"}}, "required": ["count", "id"]},
            True,
        ],
    }
    assert narrowed(schema) == {
        "description": "An order.",
        "type": "object",
        "properties": {"id": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["id", "count"],
    }


@pytest.mark.parametrize(
    ("schema", "items"),
    [
        ({"items": {"type": "string", "title": "x"}}, {"type": "string"}),
        ({"items": True}, {}),
        ({"items": False}, {}),
        ({"items": [{"type": "string"}, {"type": "integer"}]}, ["string", "integer"]),
        ({"prefixItems": [{"type": "string"}, {"type": "integer"}]}, ["string", "integer"]),
        ({"prefixItems": [{"type": "string"}, {"type": "string"}]}, {"type": "string"}),
        ({"prefixItems": [], "items": {"type": "string"}}, {}),
    ],
)
def test_lists_always_say_what_their_items_are(schema: dict[str, Any], items: Any) -> None:
    if isinstance(items, list):
        items = {"anyOf": [{"type": name} for name in items]}
    assert narrowed({"type": "array", **schema}) == {"type": "array", "items": items}


def test_choices_at_the_top_become_arguments_that_may_be_left_out() -> None:
    document = {
        "properties": {"shop": {"type": "string"}},
        "required": ["shop"],
        "additionalProperties": False,
        "oneOf": [
            {"properties": {"id": {"type": "string"}, "day": {}}, "required": ["id", "day"]},
            {"properties": {"name": {"type": "string"}, "day": {}}, "required": ["name", "day"]},
        ],
    }
    assert narrow_schema(document) == {
        "type": "object",
        "properties": {
            "shop": {"type": "string"},
            "id": {"type": "string"},
            "day": {},
            "name": {"type": "string"},
        },
        "required": ["shop", "day"],
    }


def test_descriptions_of_absurd_length_are_clipped() -> None:
    told = narrowed({"description": "x" * 100_000})["description"]
    assert len(told) == MAX_DESCRIPTION_CHARS


# References

ITEM = {"type": "object", "properties": {"size": {"$ref": "#/$defs/Size"}}}
SIZE = {"enum": ["s", "m"], "description": "of a shirt"}
FLAT_ITEM = {"type": "object", "properties": {"size": SIZE}}


def test_types_are_written_out_where_they_are_used() -> None:
    definitions = {"Item": ITEM, "Size": SIZE}
    item = {"$ref": "#/$defs/Item"}
    assert narrowed({"items": item}, **{"$defs": definitions}) == {"items": FLAT_ITEM}


def test_words_beside_a_reference_win_over_those_of_the_type() -> None:
    told = narrowed(
        {"$ref": "#/definitions/Size", "description": "Mine."}, definitions={"Size": SIZE}
    )
    assert told == {"enum": ["s", "m"], "description": "Mine."}


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("#/properties/other", {"type": "string"}),
        ("#/$defs/a~1b~0c", {"type": "integer"}),
        ("#/$defs/two%20words", {"type": "boolean"}),
        ("#/$defs/list/1", {"type": "number"}),
        ("#/$defs/list/2", {}),
        ("#/$defs/list/01", {}),
        ("#/$defs/list/one", {}),
        ("#/$defs/nothing/here", {}),
        ("#/$defs/text/0", {}),
        ("#anchor", {}),
        ("other.json#/$defs/a", {}),
        ("https://crm.example/order.json", {}),
        ("", {}),
        (7, {}),
    ],
)
def test_references_lead_through_the_document_and_nowhere_else(
    reference: object, told: object
) -> None:
    definitions = {
        "a/b~c": {"type": "integer"},
        "two words": {"type": "boolean"},
        "list": [{}, {"type": "number"}],
        "text": "abc",
    }
    document = {
        "properties": {"it": {"$ref": reference}, "other": {"type": "string"}},
        "$defs": definitions,
    }
    assert narrow_schema(document)["properties"]["it"] == told


def test_the_document_itself_may_be_a_reference() -> None:
    document = {"$ref": "#/$defs/Arguments", "$defs": {"Arguments": FLAT_ITEM}}
    assert narrow_schema(document) == {
        "type": "object",
        "properties": {"size": SIZE},
        "required": [],
    }


@pytest.mark.parametrize(
    ("inner", "what"),
    [
        ({"$ref": "#/$defs/Node"}, "has the type 'Node', which contains itself"),
        ({"anyOf": [{"$ref": "#/$defs/Node"}, {}]}, "has the type 'Node', which contains itself"),
        ({"items": {"$ref": "#"}}, "has the type '#', which contains itself"),
    ],
)
def test_a_type_that_contains_itself_cannot_be_told(inner: object, what: str) -> None:
    node = {"type": "object", "properties": {"inner": inner}}
    document = {"properties": {"node": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}
    assert fault_of(document) == what


def test_a_type_that_contains_itself_where_models_are_told_nothing_is_no_harm() -> None:
    node = {"type": "object", "not": {"$ref": "#/$defs/Node"}}
    assert narrowed({"$ref": "#/$defs/Node"}, **{"$defs": {"Node": node}}) == {"type": "object"}


# Bounds


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"properties": {"in": schema}}
    return schema


def test_a_schema_may_be_deep_and_no_deeper() -> None:
    assert narrow_schema(nested(MAX_DEPTH))["type"] == "object"
    assert fault_of(nested(MAX_DEPTH + 1)) == "has a schema that is nested too deep"


def test_a_schema_may_be_long_and_no_longer() -> None:
    short = {"properties": {"it": {"enum": ["x" * (MAX_SCHEMA_CHARS - 200)]}}}
    assert narrow_schema(short)["type"] == "object"
    assert fault_of({"properties": {"it": {"enum": ["x" * MAX_SCHEMA_CHARS]}}}) == (
        "has a schema that is too large"
    )


def test_a_schema_that_unfolds_to_millions_of_parts_is_given_up() -> None:
    definitions = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 2} for level in range(13)
    }
    assert fault_of({"$ref": "#/$defs/d0", "$defs": definitions}) == (
        "has a schema that is too large"
    )


LONG = "x" * (MAX_TAKEN_CHARS // 50)


@pytest.mark.parametrize(
    "part",
    [
        {"required": [LONG]},
        {"properties": {LONG: False}},
        {"enum": [LONG]},
        {"const": {"deep": [LONG]}},
        {"default": LONG},
        {"pattern": LONG},
        {"minimum": 10 ** len(LONG)},
        {"type": [*LONG]},
        {"anyOf": [False] * len(LONG)},
        {"$ref": "#/$defs/" + LONG},
    ],
)
def test_what_references_repeat_is_counted_every_time(part: dict[str, Any]) -> None:
    # Only one of them is told, so that it is not the size of the whole which is refused.
    repeated = {"allOf": [{"$ref": "#/$defs/part"}] * 60, "$defs": {"part": part}}
    once = {"allOf": [{"$ref": "#/$defs/part"}], "$defs": {"part": part}}
    assert fault_of(repeated) == "has a schema that is too large"
    assert narrow_schema(once)["type"] == "object"


@pytest.mark.parametrize("value", [float("nan"), "half a pair: \ud83d", object()])
def test_a_value_that_json_cannot_express_does_not_reach_the_model(value: object) -> None:
    document = {"properties": {"it": {"default": value}}}
    assert fault_of(document) == "has a schema that JSON cannot express"


# Anything

WORDS = st.sampled_from(
    [
        "$ref", "$defs", "properties", "required", "items", "prefixItems", "anyOf", "oneOf", "a",
        "allOf", "type", "enum", "const", "default", "description", "additionalProperties",
    ]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["object", "array", "string", "#", "#/$defs/a", "#/properties/a", "#/a/0"])
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5)
)


def parts_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All schemas in a schema that was narrowed."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", [])]
    inner += [schema[key] for key in ("items", "additionalProperties") if key in schema]
    for part in inner:
        if isinstance(part, dict):
            yield from parts_of(part)


@given(st.dictionaries(WORDS, JSON, max_size=6))
def test_anything_becomes_a_schema_of_an_object_or_is_refused(document: dict[str, Any]) -> None:
    try:
        told = narrow_schema(document)
    except ToolDefinitionError:
        return
    Draft202012Validator.check_schema(told)
    assert told["type"] == "object"
    assert set(told["required"]) <= set(told["properties"])
    assert not any({"$ref", "allOf", "oneOf"} & part.keys() for part in parts_of(told))
