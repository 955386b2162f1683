"""OpenAI's strict function format: what it can express, and what `null` means in it.

A model that is held to the format writes every member of every object. One that may be left out in
Python is written as `null` instead, and is left out again when the arguments are read. The rules
are those of https://platform.openai.com/docs/guides/structured-outputs (supported schemas).
"""

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, TypeAlias

from evibridge.errors import ToolDefinitionError

Schema: TypeAlias = Mapping[str, Any]
Subschema: TypeAlias = Schema | bool
"""`true` allows anything, as `{}` does."""

MAX_PROPERTIES = 5000
MAX_ENUM_VALUES = 1000
MAX_CHARS = 120_000
"""Of all names of properties and values of `enum` and `const` together."""
MAX_LEVELS = 10
"""Of objects and lists inside each other. The format may count objects only: this is safe."""
LONG_ENUM_VALUES = 250
MAX_LONG_ENUM_CHARS = 15_000
"""Of the values of one `enum` that has more than `LONG_ENUM_VALUES` of them."""

_KEPT = frozenset(
    {
        *("const", "description", "enum", "pattern"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minItems", "maxItems"),
    }
)
"""Keywords that mean the same in the format. The others narrow a type, which Python does anyway."""
_FORMATS = frozenset(
    {
        *("date-time", "time", "date", "duration", "email"),
        *("hostname", "ipv4", "ipv6", "uuid"),
    }
)
_COMPOSITIONS = ("allOf", "dependentRequired", "dependentSchemas", "else", "if", "not", "then")
"""Keywords that may hold a part of the type, so that a schema without them is another one."""
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}
_NULL = {"type": "null"}


def strict_schema(schema: Schema) -> dict[str, Any]:
    """Rewrite the schema of an argument object in the strict format.

    Args:
        schema: an object with properties, without `$ref`; it is not changed

    Raises:
        ToolDefinitionError: the format has no such schema; the text names the parameter, without
            the function
    """
    strict = _rewrite(schema, "")
    _check_levels(strict)
    _check_size(strict)
    return strict


def without_nulls(value: object, schema: Schema) -> object:
    """Leave out every member that is `null` and that may be left out, but not be `null`.

    Args:
        value: the argument object, as the model wrote it
        schema: the schema that `strict_schema` was given
    """
    return _drop(value, [schema])


def _rewrite(schema: Subschema, place: str) -> dict[str, Any]:
    if isinstance(schema, bool):
        schema = {}
    for keyword in _COMPOSITIONS:
        if keyword in schema:
            raise ToolDefinitionError(
                f"the parameter {place!r} is described with `{keyword}`; use plain types and unions"
            )
    strict = {keyword: value for keyword, value in schema.items() if keyword in _KEPT}
    if schema.get("format") in _FORMATS:
        strict["format"] = schema["format"]
    types = _types(schema, place)
    choices = _choices(schema)
    if choices:
        strict["anyOf"] = [_rewrite(choice, place) for choice in choices]
    elif not types:
        raise ToolDefinitionError(f"the parameter {place!r} takes any value; give it a type")
    if types:
        strict["type"] = types[0] if len(types) == 1 else types
    if "object" in types:
        strict |= _rewrite_members(schema, place)
    if "array" in types:
        strict["items"] = _rewrite_items(schema, place)
    return strict


def _types(schema: Schema, place: str) -> list[str]:
    """Return the types that a schema names, or else those of the values that it lists."""
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if not all(type(value) in _TYPES for value in values):
        raise ToolDefinitionError(
            f"the parameter {place!r} has lists or objects as fixed values; use strings and numbers"
        )
    named = schema.get("type", [_TYPES[type(value)] for value in values])
    return [named] if isinstance(named, str) else list(dict.fromkeys(named))


def _choices(schema: Schema) -> Sequence[Schema]:
    choices: Sequence[Schema] = schema.get("anyOf") or schema.get("oneOf") or ()
    return choices


def _rewrite_members(schema: Schema, place: str) -> dict[str, Any]:
    is_open = schema.get("additionalProperties", False) is not False
    if is_open or "patternProperties" in schema or "properties" not in schema:
        raise ToolDefinitionError(
            f"the parameter {place!r} takes members of any name; "
            f"use a list of objects with a field for the name"
        )
    members: dict[str, dict[str, Any]] = {}
    for name, member in schema["properties"].items():
        strict = _rewrite(member, f"{place}.{name}".removeprefix("."))
        is_optional = name not in schema.get("required", ())
        members[name] = _nullable(strict) if is_optional and not _is_fixed(member) else strict
    return {"properties": members, "required": list(members), "additionalProperties": False}


def _rewrite_items(schema: Schema, place: str) -> dict[str, Any]:
    if "prefixItems" in schema:
        raise ToolDefinitionError(f"the parameter {place!r} is a tuple; use a list or a dataclass")
    return _rewrite(schema.get("items", True), f"{place}[]")


def _is_fixed(schema: Schema) -> bool:
    """Tell whether the default is the only value, as of a tag: `null` would say nothing else."""
    return "const" in schema and "default" in schema and schema["const"] == schema["default"]


def _nullable(strict: dict[str, Any]) -> dict[str, Any]:
    if _accepts_null(strict):
        return strict
    if "type" not in strict:
        return {**strict, "anyOf": [*strict["anyOf"], _NULL]}
    if strict.keys().isdisjoint(("properties", "items", "const", "anyOf")):
        nullable = {**strict, "type": list(dict.fromkeys([*_types(strict, ""), "null"]))}
        if "enum" in strict:
            nullable["enum"] = [*strict["enum"], None]
        return nullable
    inner = {keyword: value for keyword, value in strict.items() if keyword != "description"}
    beside = {"description": strict["description"]} if "description" in strict else {}
    return {"anyOf": [inner, _NULL], **beside}


def _accepts_null(schema: Schema) -> bool:
    choices = _choices(schema)
    if choices:
        return any(map(_accepts_null, choices))
    return "null" in _types(schema, "") and None in _values(schema, None)


def _values(schema: Schema, member: object) -> Sequence[object]:
    """Return the values that a schema lists, or `member` alone where it lists none."""
    values: Sequence[object] = schema.get("enum", [schema.get("const", member)])
    return values


def _drop(value: object, schemas: Sequence[Schema]) -> object:
    """Do as `without_nulls` with a value to which one of several schemas applies."""
    schemas = list(_flat_choices(schemas))
    if isinstance(value, list):
        items = [schema["items"] for schema in schemas if "items" in schema]
        return [_drop(item, items) for item in value]
    if not isinstance(value, dict):
        return value
    objects = [schema for schema in schemas if "properties" in schema]
    objects = [schema for schema in objects if _fits(value, schema)] or objects
    kept: dict[str, object] = {}
    for name, member in value.items():
        owners = [schema for schema in objects if name in schema["properties"]]
        members = [schema["properties"][name] for schema in owners]
        is_optional = any(name not in schema.get("required", ()) for schema in owners)
        if member is None and is_optional and not any(map(_accepts_null, members)):
            continue
        kept[name] = _drop(member, members)
    return kept


def _flat_choices(schemas: Sequence[Schema]) -> Iterator[Schema]:
    for schema in schemas:
        choices = _choices(schema)
        if choices:
            yield from _flat_choices(choices)
        else:
            yield schema


def _fits(value: Mapping[str, object], schema: Schema) -> bool:
    """Tell by names and tags whether an object may be meant by one schema of a union."""
    properties = schema["properties"]
    return value.keys() >= set(schema.get("required", ())) and all(
        name in properties and (member is None or member in _values(properties[name], member))
        for name, member in value.items()
    )


def _check_levels(strict: Schema) -> None:
    for schema, place, level in _walk(strict, "", 1):
        if level > MAX_LEVELS and not schema.keys().isdisjoint(("properties", "items")):
            raise ToolDefinitionError(
                f"the parameter {place!r} is more than {MAX_LEVELS} levels deep; make it flatter"
            )


def _check_size(strict: Schema) -> None:
    properties = enum_values = chars = 0
    for schema, place, _ in _walk(strict, "", 1):
        names = list(schema.get("properties", ()))
        values = schema.get("enum", [])
        value_chars = sum(len(str(value)) for value in values)
        if len(values) > LONG_ENUM_VALUES and value_chars > MAX_LONG_ENUM_CHARS:
            raise ToolDefinitionError(
                f"the parameter {place!r} lists values of {value_chars} characters, and may list "
                f"{MAX_LONG_ENUM_CHARS} where it has more than {LONG_ENUM_VALUES} of them; "
                f"list fewer"
            )
        properties += len(names)
        enum_values += len(values)
        chars += sum(map(len, names)) + value_chars + len(str(schema.get("const", "")))
    for count, limit, what in (
        (properties, MAX_PROPERTIES, "fields"),
        (enum_values, MAX_ENUM_VALUES, "values to choose from"),
        (chars, MAX_CHARS, "characters of names and values"),
    ):
        if count > limit:
            raise ToolDefinitionError(
                f"its parameters have {count} {what}, and may have {limit}; describe less"
            )


def _walk(schema: Schema, place: str, level: int) -> Iterator[tuple[Schema, str, int]]:
    """Yield a schema in the format and all inside it, each with its place and its level."""
    yield schema, place, level
    for name, member in schema.get("properties", {}).items():
        yield from _walk(member, f"{place}.{name}".removeprefix("."), level + 1)
    if "items" in schema:
        yield from _walk(schema["items"], f"{place}[]", level + 1)
    for choice in schema.get("anyOf", ()):
        yield from _walk(choice, place, level)
