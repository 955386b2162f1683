"""The arguments of an MCP server's tool: what the model wrote, checked by the server's own schema.

The schema comes from another program and the check runs in the event loop of all calls, so that it
has no way to take long: it is given up after `MAX_STEPS`, regular expressions are matched in linear
time, nothing is fetched, and the few keywords without such a bound are left to the server.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from jsonschema import ValidationError, validators
from pydantic_core import SchemaError, SchemaValidator, core_schema, from_json
from referencing import Registry

from evibridge.errors import ToolError
from evibridge.tools_registry.arguments import (
    BAD_ARGUMENTS,
    MAX_ARGUMENTS_CHARS,
    MAX_FAULT_CHARS,
    MAX_FAULTS,
    clip,
)
from evibridge.tools_registry.mcp.argument_faults import fault_in_words

MAX_STEPS = 4000
"""Keywords that are looked at; the arguments of a conversation take some tens."""

_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]

_steps_left: ContextVar[int] = ContextVar("steps_left")


class McpArguments:
    """Reads the arguments of one tool.

    Where the schema is not valid, or cannot be followed to its end, its server is left to refuse
    what it does not take.

    Attributes:
        context_parameter: None: a server knows nothing of calls
    """

    context_parameter: str | None = None

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Look through a schema, which takes some milliseconds.

        Args:
            schema: as the server wrote it, of any draft from 4 on
        """
        properties = schema.get("properties")
        self._names = tuple(properties) if isinstance(properties, Mapping) else ()
        self._validator = _validator(schema)

    def read(self, text: str) -> dict[str, object]:
        """Turn the JSON text of a `tool_call` into arguments; blank text is no arguments.

        Raises:
            ToolError: with the code `BAD_ARGUMENTS`; the text tells the model what to write instead
        """
        if len(text) > MAX_ARGUMENTS_CHARS:
            raise _refusal(f"The arguments are longer than {MAX_ARGUMENTS_CHARS} characters.")
        try:
            arguments = from_json(text.strip() or "{}", allow_inf_nan=False)
        except (TypeError, ValueError) as error:  # TypeError: half a surrogate pair
            raise _refusal(f"The arguments are not valid JSON: {error}.") from None
        if not isinstance(arguments, dict):
            raise _refusal("The arguments must be one JSON object.")
        faults = self._faults(arguments)
        if faults:
            words = [
                clip(fault_in_words(fault, self._names), MAX_FAULT_CHARS)
                for fault in faults[:MAX_FAULTS]
            ]
            if len(faults) > MAX_FAULTS:
                words.append(f"Faults besides these: {len(faults) - MAX_FAULTS}.")
            raise _refusal(" ".join(words))
        return arguments

    def _faults(self, arguments: dict[str, object]) -> list[ValidationError]:
        faults: list[ValidationError] = []
        if self._validator is None:
            return faults
        _steps_left.set(MAX_STEPS)
        try:
            # What comes before an exception stays in the list.
            faults.extend(self._validator.iter_errors(arguments))
        except Exception:  # noqa: BLE001  whatever a schema leads to, the call goes on
            return faults
        return faults


def _refusal(text: str) -> ToolError:
    return ToolError(text, code=BAD_ARGUMENTS)


def _validator(schema: Mapping[str, Any]) -> Any:
    try:
        draft: Any = validators.validator_for(schema, default=validators.Draft202012Validator)
        draft.check_schema(schema)
        bounded = _bounded(draft)
        return bounded(_without_dialects(schema), registry=Registry())
    except Exception:  # noqa: BLE001  what is wrong with it is its server's concern
        return None


def _without_dialects(node: Any) -> Any:
    """Drop every `$schema`: a validator would hand its part to another one, without bounds."""
    if isinstance(node, list):
        return [_without_dialects(member) for member in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: _without_dialects(member)
        for key, member in node.items()
        if not (key == "$schema" and isinstance(member, str))
    }


@lru_cache(maxsize=16)
def _bounded(draft: Any) -> Any:
    """Make the validator of a draft one whose work has bounds."""
    changed: dict[str, _Keyword] = {
        "additionalProperties": _additional_properties,
        "pattern": _pattern,
        "required": _required,
        **dict.fromkeys(
            ("patternProperties", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"),
            _left_to_the_server,
        ),
    }
    keywords = {**draft.VALIDATORS, **changed}
    counted = {name: _counted(keyword) for name, keyword in keywords.items()}
    return validators.extend(draft, counted)  # type: ignore[no-untyped-call]


def _counted(keyword: _Keyword) -> _Keyword:
    def step(
        validator: Any, value: Any, instance: Any, schema: Any
    ) -> Iterator[ValidationError] | None:
        left = _steps_left.get()
        if left == 0:
            raise RecursionError("the schema leads too far")
        _steps_left.set(left - 1)
        return keyword(validator, value, instance, schema)

    return step


def _left_to_the_server(_validator: Any, _value: Any, _instance: Any, _schema: Any) -> None:
    return None


def _required(validator: Any, names: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for name in names:
            if name not in instance:
                yield ValidationError("missing", path=(name,))


def _additional_properties(
    validator: Any, others: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object") or "patternProperties" in schema:
        return
    known = schema.get("properties", {})
    for name in [name for name in instance if name not in known]:
        if others is False:
            yield ValidationError("unexpected", path=(name,))
        else:
            yield from validator.descend(instance[name], others, path=name)


def _pattern(
    validator: Any, pattern: Any, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string"):
        matcher = _matcher(pattern)
        if matcher is not None and not matcher.isinstance_python(instance):
            yield ValidationError("no match")


@lru_cache(maxsize=512)
def _matcher(pattern: str) -> SchemaValidator | None:
    """Compile a regular expression for linear time; None if it needs more than that."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        return None
