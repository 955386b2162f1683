"""What JSON Schema has against an argument, in words for the model, those of `ToolArguments`.

The value itself is not repeated: the words also reach people's logs.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from jsonschema import ValidationError
from pydantic_core import to_json

from evibridge.tools_registry.arguments import MAX_ECHO_CHARS, clip

_TYPES = {
    "string": "a valid string",
    "integer": "a valid integer",
    "number": "a valid number",
    "boolean": "a valid boolean",
    "array": "a valid list",
    "object": "an object",
}
_BOUNDS = {
    "minimum": "input should be greater than or equal to",
    "maximum": "input should be less than or equal to",
    "exclusiveMinimum": "input should be greater than",
    "exclusiveMaximum": "input should be less than",
    "multipleOf": "input should be a multiple of",
    "minLength": "the length of the string should be at least",
    "maxLength": "the length of the string should be at most",
    "pattern": "string should match the pattern",
    "minItems": "the length of the list should be at least",
    "maxItems": "the length of the list should be at most",
}


def fault_in_words(fault: ValidationError, names: Iterable[str]) -> str:
    """Tell a model which argument is at fault, and what is expected of it.

    Args:
        fault: as the validators of `arguments.py` report it: the path of what is missing, and of
            what is one too many, includes its own name
        names: the arguments that the tool has
    """
    fault = _closest(fault)
    path = clip(_path(fault.absolute_path), MAX_ECHO_CHARS)
    if not path:
        return f"The arguments are wrong: {_expectation(fault)}."
    match fault.validator:
        case "required":
            return f"The argument {path!r} is missing."
        case "additionalProperties" if len(fault.absolute_path) == 1:
            known = ", ".join(names) or "none"
            return f"There is no argument {path!r}; the tool's arguments are: {known}."
    return f"The argument {path!r} is wrong: {_expectation(fault)}."


def _closest(fault: ValidationError) -> ValidationError:
    """Go down to what is wrong with the choice that comes closest, if one has the right type."""
    while fault.context:
        closest = [
            errors for errors in _by_choice(fault.context) if not _is_of_another_kind(errors)
        ]
        if not closest:
            break
        fault = min(closest, key=len)[0]
    return fault


def _by_choice(context: Sequence[ValidationError]) -> list[list[ValidationError]]:
    return [list(errors) for _, errors in groupby(context, lambda error: error.schema_path[0])]


def _is_of_another_kind(errors: Iterable[ValidationError]) -> bool:
    return any(error.validator in ("type", "enum", "const") and not error.path for error in errors)


def _expectation(fault: ValidationError) -> str:
    rule: Any = fault.validator
    if fault.context:
        return f"input should be {_alternatives(map(_kind, fault.context))}"
    match rule:
        case "type" | "enum" | "const":
            return f"input should be {_kind(fault)}"
        case "oneOf":
            return "input should fit only one of the choices"
        case "additionalProperties" | None:
            return "extra inputs are not permitted"
    if rule in _BOUNDS:
        return f"{_BOUNDS[rule]} {_json(fault.validator_value)}"
    return f"input should fit {_json({rule: fault.validator_value})}"


def _kind(fault: ValidationError) -> str:
    value: Any = fault.validator_value
    match fault.validator:
        case "type":
            types = value if isinstance(value, list) else [value]
            return _alternatives(_TYPES.get(name, str(name)) for name in types)
        case "enum":
            return _alternatives(map(_json, value))
    return _json(value)


def _alternatives(choices: Iterable[str]) -> str:
    *others, last = dict.fromkeys(choices) or ["nothing"]
    return f"{', '.join(others)} or {last}" if others else last


def _json(value: object) -> str:
    return to_json(value).decode()


def _path(location: Iterable[Any]) -> str:
    """Write where a fault is as a person would: `items[0].name`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".")
