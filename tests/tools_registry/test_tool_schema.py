from copy import deepcopy
from typing import Any

import pytest

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.schema import flatten_schema

ITEM = {"type": "object", "title": "Item", "properties": {"size": {"$ref": "#/$defs/Size"}}}
DEFINITIONS: dict[str, Any] = {"Item": ITEM, "Size": {"enum": ["s", "m"], "title": "Size"}}
FLAT_ITEM = {"type": "object", "properties": {"size": {"enum": ["s", "m"]}}}


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
