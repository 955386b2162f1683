"""pydantic's JSON Schema made self-contained and short, as language models like it."""

from collections.abc import Mapping
from typing import Any

from evibridge.errors import ToolDefinitionError

_DATA = frozenset({"const", "default", "enum", "examples", "required"})
"""Keywords whose value is data, in which nothing is a schema."""
_SCHEMAS_BY_NAME = frozenset({"patternProperties", "properties"})
"""Keywords whose value maps names of the author's choice to schemas."""
_DROPPED = frozenset({"$defs", "discriminator", "title"})
"""Definitions are inlined, and `discriminator` (OpenAPI's, not JSON Schema's) points to them."""
_REF_PREFIX = "#/$defs/"


def flatten_schema(
    schema: Mapping[str, Any], definitions: Mapping[str, Any], *, inside: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Replace every `$ref` by what it points to and drop `title`.

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
    return flat


def _flatten_value(value: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return flatten_schema(value, definitions, inside=inside)
    if isinstance(value, list):
        return [_flatten_value(member, definitions, inside) for member in value]
    return value
