import math
from collections.abc import Generator, Iterable
from copy import deepcopy
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple

import pytest
from pydantic import Base64Bytes, ByteSize, Field, SecretBytes, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.schema import SchemaWriter, flatten_schema

ITEM = {"type": "object", "title": "Item", "properties": {"size": {"$ref": "#/$defs/Size"}}}
DEFINITIONS: dict[str, Any] = {"Item": ITEM, "Size": {"enum": ["s", "m"], "title": "Size"}}
FLAT_ITEM = {"type": "object", "properties": {"size": {"enum": ["s", "m"]}}}


class Price(NamedTuple):
    amount: Decimal
    unit: Annotated[str, Field(description="of what")] = "each"


class Colour(Enum):
    RED = "red"


class Holiday(Enum):
    LABOUR = date(2025, 5, 1)


def written(hint: Any) -> dict[str, Any]:
    return TypeAdapter(hint).json_schema(schema_generator=SchemaWriter)


# What pydantic writes


def test_a_decimal_is_a_number_with_its_limits() -> None:
    assert written(Decimal) == {"type": "number"}
    limited = Annotated[Decimal, Field(gt=0, le=10, max_digits=4)]
    assert written(limited) == {"type": "number", "exclusiveMinimum": 0, "maximum": 10}
    assert written(Decimal | str) == {"anyOf": [{"type": "number"}, {"type": "string"}]}


def test_a_named_tuple_is_an_object() -> None:
    schema = flatten_schema(written(Price), {})
    assert schema == {
        "type": "object",
        "properties": {
            "amount": {"type": "number"},
            "unit": {"type": "string", "default": "each", "description": "of what"},
        },
        "required": ["amount"],
        "additionalProperties": False,
    }


def test_a_number_of_bytes_is_a_whole_number() -> None:
    assert written(ByteSize) == {"type": "integer", "minimum": 0}


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (Decimal("9.99"), {"default": 9.99}),
        (0.5, {"default": 0.5}),
        ("x", {"default": "x"}),
        (math.inf, {}),
        (Decimal("NaN"), {}),
        (object(), {}),
    ],
)
def test_a_default_is_shown_if_json_has_it(default: object, shown: dict[str, object]) -> None:
    assert written(Annotated[float, Field(default=default)]) == {"type": "number", **shown}


@pytest.mark.parametrize("hint", [Literal["red"], Literal[Colour.RED], Colour])
def test_values_that_json_has_are_shown(hint: Any) -> None:
    assert "red" in written(hint).get("enum", [written(hint).get("const")])


@pytest.mark.parametrize(
    ("hint", "what"),
    [
        (bytes, "bytes"),
        (SecretBytes, "bytes"),
        (list[Base64Bytes], "bytes"),
        (complex, "complex numbers"),
        (type[int], "classes"),
        (Iterable[int], "an iterable"),
        (Generator[int, None, None], "an iterable"),
        (Literal[b"x", "x"], "the value b'x'"),
        (Literal[Holiday.LABOUR], "the value datetime.date"),
        (Holiday, "the value datetime.date"),
    ],
)
def test_what_has_no_form_in_json_is_refused(hint: Any, what: str) -> None:
    with pytest.raises(PydanticInvalidForJsonSchema, match=what):
        written(hint)


def test_a_choice_that_has_no_form_in_json_is_left_out_of_a_union() -> None:
    assert written(bytes | str) == {"type": "string"}


# What becomes of it


def test_references_are_replaced_at_every_depth() -> None:
    schema = {
        "type": "array",
        "items": {"anyOf": [{"$ref": "#/$defs/Item"}, {"type": "null"}]},
    }
    assert flatten_schema(schema, DEFINITIONS) == {
        "type": "array",
        "items": {"anyOf": [FLAT_ITEM, {"type": "null"}]},
    }


def test_words_beside_a_reference_win_over_those_of_the_type() -> None:
    definitions = {"Size": {"enum": ["s"], "description": "general"}}
    schema = {"$ref": "#/$defs/Size", "description": "particular", "default": "s"}
    assert flatten_schema(schema, definitions) == {
        "enum": ["s"],
        "description": "particular",
        "default": "s",
    }


def test_a_property_may_be_called_like_a_keyword() -> None:
    schema = {
        "title": "Book",
        "properties": {
            "title": {"type": "string", "title": "Title"},
            "$ref": {"type": "string"},
            "default": {"$ref": "#/$defs/Size"},
        },
    }
    assert flatten_schema(schema, DEFINITIONS) == {
        "properties": {
            "title": {"type": "string"},
            "$ref": {"type": "string"},
            "default": {"enum": ["s", "m"]},
        }
    }


def test_data_is_left_as_it_is() -> None:
    data = {"title": "Emma", "$ref": "#/$defs/Item"}
    schema = {"default": data, "const": data, "enum": [data], "examples": [data]}
    assert flatten_schema(schema, DEFINITIONS) == schema


def test_the_discriminator_of_a_union_is_dropped() -> None:
    schema = {
        "oneOf": [{"$ref": "#/$defs/Size"}],
        "discriminator": {"propertyName": "kind", "mapping": {"size": "#/$defs/Size"}},
    }
    assert flatten_schema(schema, DEFINITIONS) == {"oneOf": [{"enum": ["s", "m"]}]}


def test_the_tag_of_a_union_is_required_though_it_has_a_default() -> None:
    tea = {"properties": {"kind": {"const": "tea", "default": "tea"}, "grams": {"default": 1}}}
    book = {"properties": {"kind": {"const": "book"}, "pages": {}}, "required": ["pages", "kind"]}
    inner = {"oneOf": [tea], "discriminator": {"propertyName": "size"}}
    schema = {"oneOf": [inner, book], "discriminator": {"propertyName": "kind"}}
    before = deepcopy(schema)
    flat_tea = {
        "properties": {"kind": {"const": "tea"}, "grams": {"default": 1}},
        "required": ["kind"],
    }
    flat_book = {"properties": book["properties"], "required": ["kind", "pages"]}
    assert flatten_schema(schema, {}) == {"oneOf": [{"oneOf": [flat_tea]}, flat_book]}
    assert schema == before


def test_the_same_type_may_be_used_twice() -> None:
    schema = {"properties": {name: {"$ref": "#/$defs/Item"} for name in ("a", "b")}}
    assert flatten_schema(schema, DEFINITIONS) == {"properties": {"a": FLAT_ITEM, "b": FLAT_ITEM}}


def test_the_given_schema_is_not_changed() -> None:
    definitions = deepcopy(DEFINITIONS)
    schema = {"title": "X", "items": {"$ref": "#/$defs/Item"}, "$defs": definitions}
    before = deepcopy(schema)
    flatten_schema(schema, definitions)
    assert schema == before


def test_a_type_that_contains_itself_is_refused_by_name() -> None:
    definitions = {
        "Node": {"properties": {"next": {"anyOf": [{"$ref": "#/$defs/Link"}]}}},
        "Link": {"$ref": "#/$defs/Node"},
    }
    with pytest.raises(ToolDefinitionError, match="Node contains itself"):
        flatten_schema({"items": {"$ref": "#/$defs/Node"}}, definitions)
