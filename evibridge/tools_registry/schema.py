"""pydantic's JSON Schema made self-contained and short, as language models like it."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import ByteSize
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, core_schema, to_jsonable_python

from evibridge.errors import ToolDefinitionError

_DATA = frozenset({"const", "default", "enum", "examples", "required"})
"""Keywords whose value is data, in which nothing is a schema."""
_SCHEMAS_BY_NAME = frozenset({"patternProperties", "properties"})
"""Keywords whose value maps names of the author's choice to schemas."""
_DROPPED = frozenset({"$defs", "discriminator", "title"})
"""Definitions are inlined, and `discriminator` (OpenAPI's, not JSON Schema's) points to them."""
_REF_PREFIX = "#/$defs/"


class SchemaWriter(GenerateJsonSchema):
    """Writes the schema of a hint so that what a model makes of it can be read.

    A default or a choice that JSON cannot express is left out without a warning: Python applies it.
    """

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  as in pydantic

    def encode_default(self, dft: Any) -> Any:
        """Write a `Decimal` as the number it is, and refuse infinity and NaN."""
        if isinstance(dft, Decimal):
            dft = float(dft)
        if isinstance(dft, float) and not math.isfinite(dft):
            raise PydanticSerializationError("JSON has no such number")
        return super().encode_default(dft)

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> dict[str, Any]:
        """Ask for a number; a string would do as well, and leave the model a choice."""
        number: dict[str, Any] = super().decimal_schema(schema)["anyOf"][0]
        return number

    def named_tuple_schema(self, schema: Any) -> dict[str, Any]:
        """Ask for an object, whose names tell more than the positions in a list.

        pydantic before 2.14 has no such schema, and writes a list.
        """
        return self.kw_arguments_schema(
            [
                core_schema.arguments_parameter(
                    field["name"], field["schema"], alias=field.get("validation_alias")
                )
                for field in schema["fields"]
            ],
            None,
        )

    def function_after_schema(
        self, schema: core_schema.AfterValidatorFunctionSchema
    ) -> dict[str, Any]:
        """Ask for a `ByteSize` in bytes, without pydantic's pattern for units."""
        if getattr(schema["function"]["function"], "__self__", None) is ByteSize:
            return {"type": "integer", "minimum": 0}
        return super().function_after_schema(schema)

    def literal_schema(self, schema: core_schema.LiteralSchema) -> dict[str, Any]:
        """Refuse values that cannot be told from JSON."""
        values = [value.value if isinstance(value, Enum) else value for value in schema["expected"]]
        _check_values(values)
        return super().literal_schema(schema)

    def enum_schema(self, schema: core_schema.EnumSchema) -> dict[str, Any]:
        """Refuse values that cannot be told from JSON."""
        _check_values([member.value for member in schema["members"]])
        return super().enum_schema(schema)

    def bytes_schema(self, schema: core_schema.BytesSchema) -> dict[str, Any]:
        """Refuse bytes: a model writes text."""
        return self.handle_invalid_for_json_schema(schema, "bytes")

    def complex_schema(self, schema: core_schema.ComplexSchema) -> dict[str, Any]:
        """Refuse complex numbers, of which pydantic only says that they are strings."""
        return self.handle_invalid_for_json_schema(schema, "complex numbers")

    def is_subclass_schema(self, schema: core_schema.IsSubclassSchema) -> dict[str, Any]:
        """Refuse classes, for which pydantic lets any value do."""
        return self.handle_invalid_for_json_schema(schema, "classes")

    def generator_schema(self, schema: core_schema.GeneratorSchema) -> dict[str, Any]:
        """Refuse iterables: pydantic checks their items when the function already runs."""
        return self.handle_invalid_for_json_schema(schema, "an iterable")


def _check_values(values: Sequence[object]) -> None:
    """Refuse `b"x"` and dates, which the schema would show as text that is not read as them."""
    for value in values:
        if to_jsonable_python(value) != value:
            raise PydanticInvalidForJsonSchema(f"the value {value!r} has no form in JSON")


def flatten_schema(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], *, inside: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Replace every `$ref` by what it points to and drop `title`.

    The tag of a tagged union becomes required: pydantic reads none without it, default or not.

    Args:
        schema: a schema as pydantic writes it; it is not changed
        definitions: the `$defs` of the document it comes from
        inside: definitions that are being inlined, the outermost first

    Raises:
        ToolDefinitionError: a type contains itself, so that it cannot be written without `$ref`
    """
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_REF_PREFIX)
        if name in inside:
            raise ToolDefinitionError(f"the type {name} contains itself")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return flatten_schema({**definitions[name], **beside}, definitions, inside=(*inside, name))
    flat: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _DATA:
            flat[keyword] = value
        elif keyword in _SCHEMAS_BY_NAME:
            flat[keyword] = {
                name: flatten_schema(member, definitions, inside=inside)
                for name, member in value.items()
            }
        elif keyword not in _DROPPED:
            flat[keyword] = _flatten_value(value, definitions, inside)
    if "discriminator" in schema:
        _require_tag(flat, schema["discriminator"]["propertyName"])
    return flat


def _require_tag(flat: dict[str, Any], tag: str) -> None:
    for choice in flat.get("oneOf", ()):
        _require_tag(choice, tag)
    if tag in flat.get("properties", {}):
        flat["properties"][tag].pop("default", None)
        flat["required"] = list(dict.fromkeys([tag, *flat.get("required", ())]))


def _flatten_value(value: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return flatten_schema(value, definitions, inside=inside)
    if isinstance(value, list):
        return [_flatten_value(member, definitions, inside) for member in value]
    return value
