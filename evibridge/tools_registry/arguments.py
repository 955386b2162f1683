"""The arguments of a tool: from a Python signature to JSON Schema, from JSON text to values.

One pydantic model per tool does both. Its fields have numbers for names and the parameters' names
as aliases, because a parameter may be called `schema` or `copy`, which a model's field may not.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails, from_json, to_json

from evibridge.errors import ToolDefinitionError, ToolError
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.schema import SchemaWriter, flatten_schema
from evibridge.tools_registry.strict_schema import strict_schema, without_nulls

BAD_ARGUMENTS = "bad_arguments"
"""Code of the `ToolError` for arguments that cannot be used."""
MAX_ARGUMENTS_CHARS = 64 * 1024
"""Longer than anything that a model writes in a conversation; bounds the work of a refusal."""
MAX_ECHO_CHARS = 100
"""How much of its own input is shown back to the model."""
MAX_FAULTS = 5
MAX_FAULT_CHARS = 300

_MODEL_CONFIG = ConfigDict(allow_inf_nan=False, coerce_numbers_to_str=True, extra="forbid")

_KINDS_REFUSED = {
    inspect.Parameter.POSITIONAL_ONLY: "is positional-only; the model names its arguments",
    inspect.Parameter.VAR_POSITIONAL: "takes any number of values; use a list",
    inspect.Parameter.VAR_KEYWORD: "takes any names; write each parameter out",
}


@dataclass(frozen=True, slots=True)
class _Argument:
    """One parameter that the model fills in."""

    name: str
    field: Any
    """As `create_model` wants it: a hint, or hint and default."""
    schema: dict[str, Any]
    is_required: bool


class ToolArguments:
    """Describes and reads the arguments of one function.

    Numbers are accepted where a string is asked for, because models write `1042` for an order
    number; otherwise pydantic's usual conversions apply. A pydantic model in a hint keeps its own
    configuration. With `strict`, the schema is one of OpenAI's strict function format, in which the
    model writes `null` for what it leaves out.

    Attributes:
        schema: JSON Schema of the argument object, without `$ref`, `$defs` and `title`
        context_parameter: name of the parameter that receives the `ToolContext`, if there is one

    Raises:
        ToolDefinitionError: a parameter cannot be described to a model
    """

    def __init__(
        self,
        function: Callable[..., object],
        label: str,
        descriptions: Mapping[str, str],
        *,
        strict: bool = False,
    ) -> None:
        """Read the signature of a function.

        Args:
            function: a function or bound method
            label: how error texts name the function
            descriptions: parameter name -> what the docstring says about it
            strict: whether servers may hold the model to the schema
        """
        parameters = list(inspect.signature(function).parameters.values())
        _check_described(descriptions, parameters, label)
        hints = {parameter.name: _hint(function, parameter, label) for parameter in parameters}
        self.context_parameter = _take_context(hints, label)

        arguments = [
            _describe(parameter, hints[parameter.name], descriptions.get(parameter.name), label)
            for parameter in parameters
            if parameter.name != self.context_parameter
        ]
        self._written_schema: dict[str, Any] = {
            "type": "object",
            "properties": {argument.name: argument.schema for argument in arguments},
            "required": [argument.name for argument in arguments if argument.is_required],
            "additionalProperties": False,
        }
        self._is_strict = strict
        self.schema = _strict(self._written_schema, label) if strict else self._written_schema
        self._names = {f"p{number}": argument.name for number, argument in enumerate(arguments)}
        fields = [argument.field for argument in arguments]
        self._model = _build_model(dict(zip(self._names, fields, strict=True)))

    def read(self, text: str) -> dict[str, object]:
        """Turn the JSON text of a `tool_call` into keyword arguments; blank text is no arguments.

        Raises:
            ToolError: with the code `BAD_ARGUMENTS`; the text tells the model what to write instead
        """
        if len(text) > MAX_ARGUMENTS_CHARS:
            raise ToolError(
                f"The arguments are longer than {MAX_ARGUMENTS_CHARS} characters.",
                code=BAD_ARGUMENTS,
            )
        text = text.strip() or "{}"
        try:
            values = self._model.model_validate_json(
                self._without_nulls(text) if self._is_strict else text
            )
        except ValidationError as error:
            raise self._refusal(error) from None
        return {name: getattr(values, field) for field, name in self._names.items()}

    def _without_nulls(self, text: str) -> str | bytes:
        try:
            value = from_json(text)
        except (TypeError, ValueError):  # TypeError: half a surrogate pair
            return text  # the refusal by the model below says what is wrong
        return to_json(without_nulls(value, self._written_schema), inf_nan_mode="constants")

    def _refusal(self, error: ValidationError) -> ToolError:
        faults = error.errors(include_url=False, include_input=False)
        words = [clip(self._in_words(fault), MAX_FAULT_CHARS) for fault in faults[:MAX_FAULTS]]
        if len(faults) > MAX_FAULTS:
            words.append(f"Faults besides these: {len(faults) - MAX_FAULTS}.")
        return ToolError(" ".join(words), code=BAD_ARGUMENTS)

    def _in_words(self, fault: ErrorDetails) -> str:
        path = clip(_path(fault["loc"]), MAX_ECHO_CHARS)
        match fault["type"]:
            case "json_invalid" if not path:
                return f"The arguments are not valid JSON: {fault['ctx']['error']}."
            case "missing":
                return f"The argument {path!r} is missing."
            case "extra_forbidden" if len(fault["loc"]) == 1:
                names = ", ".join(self._names.values()) or "none"
                return f"There is no argument {path!r}; the tool's arguments are: {names}."
            case "union_tag_invalid":  # pydantic's own words repeat the whole tag
                discriminator, tags = fault["ctx"]["discriminator"], fault["ctx"]["expected_tags"]
                return f"In the argument {path!r}, {discriminator} must be one of {tags}."
            case _ if not path:
                return "The arguments must be one JSON object."
        reason = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        return f"The argument {path!r} is wrong: {reason[:1].lower()}{reason[1:].rstrip('.')}."


def clip(text: str, limit: int) -> str:
    """Shorten a text that is quoted in a message to `limit` characters."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _check_described(
    descriptions: Iterable[str], parameters: list[inspect.Parameter], label: str
) -> None:
    names = {parameter.name for parameter in parameters}
    for name in descriptions:
        if name not in names:
            raise ToolDefinitionError(
                f"The docstring of {label} describes the parameter {name!r}, "
                f"which the function does not have; correct its Args section."
            )


def _hint(function: Callable[..., object], parameter: inspect.Parameter, label: str) -> Any:
    """Evaluate one type hint, which may be text, in the module of its function."""
    name = parameter.name
    if parameter.kind in _KINDS_REFUSED:
        why = _KINDS_REFUSED[parameter.kind]
        raise ToolDefinitionError(f"The parameter {name!r} of {label} {why}.")
    if parameter.annotation is parameter.empty:
        advice = "give it one, for example `str`"
        if name in ("self", "cls"):
            advice = "register the bound method instead: `tools.tool(shop.order_status)`"
        raise ToolDefinitionError(f"The parameter {name!r} of {label} has no type hint; {advice}.")
    # Only a namespace of one annotation tells which of them cannot be evaluated.
    alone = SimpleNamespace(__annotations__={name: parameter.annotation})
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    try:
        return get_type_hints(alone, globalns=scope, include_extras=True)[name]
    except Exception as error:
        raise ToolDefinitionError(
            f"The type hint of the parameter {name!r} of {label} cannot be evaluated ({error}); "
            f"import the type at the top of the module, not only for type checkers."
        ) from error


def _take_context(hints: Mapping[str, Any], label: str) -> str | None:
    for position, (name, hint) in enumerate(hints.items()):
        if hint is ToolContext and position == 0:
            return name
        if hint is ToolContext or ToolContext in get_args(hint):
            raise ToolDefinitionError(
                f"The parameter {name!r} of {label} must come first and be annotated "
                f"`ToolContext` alone to receive the call."
            )
    return None


def _describe(
    parameter: inspect.Parameter, hint: Any, description: str | None, label: str
) -> _Argument:
    """Write one parameter as field and schema.

    It has a model of its own, so that a hint without a schema is known by its parameter.
    """
    name = parameter.name
    try:
        field: Any = Annotated[hint, Field(alias=name)]
        if parameter.default is not parameter.empty:
            field = (field, parameter.default)
        document = _build_model({"p": field}).model_json_schema(schema_generator=SchemaWriter)
        schema = document["properties"][name]
        if description:
            schema.setdefault("description", description)
        schema = flatten_schema(schema, document.get("$defs", {}))
    except Exception as error:
        reason = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
        raise ToolDefinitionError(
            f"The type hint of the parameter {name!r} of {label} cannot be described to a model "
            f"({reason}); use plain types, Literal, lists, dicts, dataclasses or pydantic models."
        ) from error
    return _Argument(name, field, schema, "required" in document)


def _strict(schema: Mapping[str, Any], label: str) -> dict[str, Any]:
    try:
        return strict_schema(schema)
    except ToolDefinitionError as error:
        raise ToolDefinitionError(
            f"{label} cannot be strict: {error}, or leave `strict` out."
        ) from error


def _build_model(fields: Mapping[str, Any]) -> type[BaseModel]:
    return create_model("Arguments", __config__=_MODEL_CONFIG, **fields)


def _path(location: tuple[int | str, ...]) -> str:
    """Write where a fault is as a person would: `items[0].name`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".")
