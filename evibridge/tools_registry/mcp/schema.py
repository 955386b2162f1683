"""The JSON Schema of an MCP server's tool, narrowed to what language models take.

A server may use all of JSON Schema, in any of its drafts. Models take a part of it, each vendor
another one, so that what is left here is the part that they share. Nothing depends on it but what
the model is told: arguments are checked against the schema as the server wrote it.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.arguments import clip

MAX_SCHEMA_CHARS = 32 * 1024
"""A model reads all of it before it can say a word."""
MAX_SCHEMAS = 2000
"""Parts of one schema, once every `$ref` is replaced: a few lines can unfold to millions."""
MAX_TAKEN_CHARS = 4 * MAX_SCHEMA_CHARS
"""What is looked at to make one schema, every time that a `$ref` leads to it."""
MAX_DEPTH = 32
"""Levels of one schema, those of `$ref` and `allOf` included."""
MAX_DESCRIPTION_CHARS = 1024
MAX_NAME_CHARS = 64
"""Of a type, in an error text."""

_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")


def narrow_schema(document: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the arguments of a tool to a model.

    Types are written out where they are used; of `oneOf` it is told as `anyOf`, of `const` as
    `enum`, of `allOf` what it amounts to, and of conditions, negations and patterns for names
    nothing.

    Args:
        document: the schema as the server wrote it; it is not changed

    Returns:
        the schema of an object, with `properties` and `required`

    Raises:
        ToolDefinitionError: a type contains itself, or there is too much of it; the text ends the
            sentence "The tool so-and-so ..."
    """
    narrowed = _Narrowing(document).schema(document, 0, ("#",))
    choices = narrowed.get("anyOf", [])
    # Models refuse choices at the top.
    properties = _united(part.get("properties", {}) for part in (narrowed, *choices))
    required = [*narrowed.get("required", []), *_required_by_all(choices)]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": list(dict.fromkeys(required)),
    }
    if "additionalProperties" in narrowed and not choices:
        schema["additionalProperties"] = narrowed["additionalProperties"]
    _check_size(schema)
    return schema


class _Narrowing:
    """Narrows one document, and counts what comes of it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._count = 0
        self._taken_chars = 0

    def schema(self, node: object, depth: int, inside: tuple[str, ...]) -> dict[str, Any]:
        """Narrow one part; what is no schema, or allows everything, becomes an empty one.

        Args:
            node: the part
            depth: levels above it
            inside: what the `$ref` around it point to, the outermost first
        """
        self._count += 1
        if self._count > MAX_SCHEMAS:
            raise ToolDefinitionError("has a schema that is too large")
        if depth > MAX_DEPTH:
            raise ToolDefinitionError("has a schema that is nested too deep")
        if not isinstance(node, Mapping):
            return {}
        narrowed = {**self._plain(node), **self._of_object(node, depth, inside)}
        if "items" in node or "prefixItems" in node or "array" in narrowed.get("type", ()):
            narrowed["items"] = self._items(node, depth, inside)
        choices = self._choices(node.get("anyOf") or node.get("oneOf"), depth, inside)
        if len(choices) > 1:
            narrowed["anyOf"] = choices
        parts = choices if len(choices) == 1 else []
        if isinstance(node.get("$ref"), str):
            parts.append(self._target(node["$ref"], depth, inside))
        for part in _list(node.get("allOf")):
            parts.append(self.schema(part, depth + 1, inside))
        return _merged(narrowed, parts)

    def _take(self, value: object) -> None:
        self._taken_chars += _size(value)
        if self._taken_chars > MAX_TAKEN_CHARS:
            raise ToolDefinitionError("has a schema that is too large")

    def _plain(self, node: Mapping[str, Any]) -> dict[str, Any]:
        """Take over the keywords in which there is no other schema."""
        plain: dict[str, Any] = {}
        if _is_text(node.get("description")):
            plain["description"] = clip(node["description"], MAX_DESCRIPTION_CHARS)
            self._take(plain["description"])
        for key, fits in _PLAIN.items():
            if key in node:
                self._take(node[key])
                if fits(node[key]):
                    plain[key] = node[key]
        if isinstance(plain.get("type"), list):
            types = [name for name in _TYPES if name in plain["type"]]
            plain["type"] = types if len(types) > 1 else types[0]
        if "const" in node:
            self._take(node["const"])
            plain["enum"] = [node["const"]]
        return plain

    def _of_object(
        self, node: Mapping[str, Any], depth: int, inside: tuple[str, ...]
    ) -> dict[str, Any]:
        """Narrow what is said about the members of an object."""
        told: dict[str, Any] = {}
        self._take(_list(node.get("required")))
        wanted = (name for name in _list(node.get("required")) if isinstance(name, str))
        required = list(dict.fromkeys(wanted))
        if required:
            told["required"] = required
        properties = node.get("properties")
        members = properties if isinstance(properties, Mapping) else {}
        self._take(list(members))
        if members or required:
            told["properties"] = {
                **{
                    name: self.schema(member, depth + 1, inside)
                    for name, member in members.items()
                    if member is not False
                },
                **{name: {} for name in required if name not in members},
            }
        others = node.get("additionalProperties")
        if isinstance(others, bool):
            told["additionalProperties"] = others
        elif isinstance(others, Mapping):
            told["additionalProperties"] = self.schema(others, depth + 1, inside) or True
        return told

    def _items(
        self, node: Mapping[str, Any], depth: int, inside: tuple[str, ...]
    ) -> dict[str, Any]:
        """Narrow the items of a list; of those that have their places, tell what each may be."""
        items = node.get("prefixItems", node.get("items"))
        if not isinstance(items, list):
            return self.schema(items, depth + 1, inside)
        choices = self._choices(items, depth, inside)
        distinct = [item for at, item in enumerate(choices) if item not in choices[:at]]
        return {"anyOf": distinct} if len(distinct) > 1 else next(iter(distinct), {})

    def _choices(self, nodes: object, depth: int, inside: tuple[str, ...]) -> list[dict[str, Any]]:
        choices = _list(nodes)
        self._take("," * len(choices))
        return [self.schema(choice, depth + 1, inside) for choice in choices if choice is not False]

    def _target(self, reference: str, depth: int, inside: tuple[str, ...]) -> dict[str, Any]:
        """Narrow what a `$ref` points to; nothing is known of what is not in the document."""
        self._take(reference)
        if reference in inside:
            name = clip(reference.rpartition("/")[2], MAX_NAME_CHARS)
            raise ToolDefinitionError(f"has the type {name!r}, which contains itself")
        return self.schema(_lookup(self._document, reference), depth + 1, (*inside, reference))


def _lookup(document: Mapping[str, Any], reference: str) -> object:
    """Find what a JSON pointer of this document points to, None if there is nothing."""
    found: object = document
    start, *parts = reference.split("/")
    if start != "#":
        return None
    for part in parts:
        key = unquote(part).replace("~1", "/").replace("~0", "~")
        if isinstance(found, Mapping):
            found = found.get(key)
        elif isinstance(found, list):
            index = int(key) if _INDEX.fullmatch(key) else len(found)
            found = found[index] if index < len(found) else None
        else:
            return None
    return found


def _merged(schema: dict[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Write as one schema what all of these ask for; where they differ, the first one counts."""
    merged = dict(schema)
    for part in parts:
        for key, value in part.items():
            merged.setdefault(key, value)
    if "properties" in merged:
        merged["properties"] = _united(part.get("properties", {}) for part in (schema, *parts))
    if "required" in merged:
        names = (name for part in (schema, *parts) for name in part.get("required", []))
        merged["required"] = list(dict.fromkeys(names))
    return merged


def _united(objects: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Bring members together: of one name, the first that says anything counts."""
    united: dict[str, Any] = {}
    for members in objects:
        for name, member in members.items():
            if not united.get(name):
                united[name] = member
    return united


def _size(value: object) -> int:
    """About as many characters as JSON takes for it."""
    size = 0
    left = [value]
    while left:
        part = left.pop()
        size += 1
        if isinstance(part, str):
            size += len(part)
        elif isinstance(part, int):
            size += part.bit_length() // 3
        elif isinstance(part, Mapping):
            left += [*part, *part.values()]
        elif isinstance(part, list):
            left += part
    return size


def _required_by_all(choices: list[dict[str, Any]]) -> list[str]:
    if not choices:
        return []
    first, *others = (choice.get("required", []) for choice in choices)
    by_all = set(first).intersection(*others)
    return [name for name in first if name in by_all]


def _check_size(schema: dict[str, Any]) -> None:
    try:
        text = json.dumps(schema, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        raise ToolDefinitionError("has a schema that JSON cannot express") from None
    if len(text) > MAX_SCHEMA_CHARS:
        raise ToolDefinitionError("has a schema that is too large")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_type(value: object) -> bool:
    return value in _TYPES or (isinstance(value, list) and any(name in value for name in _TYPES))


def _is_list_of_values(value: object) -> bool:
    return isinstance(value, list) and bool(value)


_PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "type": _is_type,
    "enum": _is_list_of_values,
    "default": lambda _: True,
    "format": _is_text,
    "pattern": _is_text,
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _is_number
    ),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), _is_count),
    "uniqueItems": lambda value: isinstance(value, bool),
}
"""Keywords that are taken as they are, and which values; drafts differ, and servers err."""
