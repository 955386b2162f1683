"""The arguments of an MCP server's tool: what the model wrote, checked by the server's own schema.

The schema comes from another program and the check runs in the event loop of all calls, so that it
has no way to take long: it is given up after `MAX_STEPS`, of which a keyword takes as many as its
value and the list or object that it looks at are long, and after `MAX_CHECK_S`, whichever comes
first. Regular expressions are compiled before, in the thread that reads what the server lists, and
matched in linear time. Nothing is fetched or searched for, and the few keywords without such a
bound are left to the server.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
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

MAX_STEPS = 10_000
"""Keywords, the parts of what they compare, and faults; most arguments take some hundreds."""
MAX_CHECK_S = 0.02
"""As long as the event loop may stand still, which is one frame of audio."""
MAX_PATTERNS = 32
"""Regular expressions of one tool; a short one can take megabytes."""
MAX_PATTERN_CHARS = 200
MAX_MATCHED_CHARS = 8 * 1024
"""Of a text that is matched; the worst expressions take microseconds for each."""

MAX_OLD_CHOICES = 256
"""Of an `enum` in a draft that forbids it to repeat itself: all of them are compared."""

_OLD_DRAFTS = (validators.Draft3Validator, validators.Draft4Validator)
_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class McpArguments:
    """Reads the arguments of one tool.

    Where the schema is not valid, or cannot be followed to its end, its server is left to refuse
    what it does not take.

    Attributes:
        context_parameter: None: a server knows nothing of calls
    """

    context_parameter: str | None = None

    def __init__(
        self, schema: Mapping[str, Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Look through a schema, which takes some milliseconds, or a second if it is meant to.

        Args:
            schema: as the server wrote it, of any draft from 4 on
            clock: monotonic seconds
        """
        self._clock = clock
        properties = schema.get("properties")
        self._names = tuple(properties) if isinstance(properties, Mapping) else ()
        self._validator = _validator(schema)
        self._matchers = {} if self._validator is None else _matchers(schema)

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
        _check.set(_Check(self._matchers, self._clock))
        try:
            # What comes before an exception stays in the list.
            faults.extend(self._validator.iter_errors(arguments))
        except Exception:  # noqa: BLE001  whatever a schema leads to, the call goes on
            return faults
        return faults


class _Check:
    """One look at arguments, as far as it may go."""

    def __init__(self, matchers: Mapping[str, SchemaValidator], clock: Callable[[], float]) -> None:
        self.matchers = matchers
        self._clock = clock
        self._ends_s = clock() + MAX_CHECK_S
        self._steps_left = MAX_STEPS

    def spend(self, steps: int) -> None:
        """Go on, if there are as many steps and some time left.

        Raises:
            TimeoutError: there are not
        """
        self._steps_left -= steps
        if self._steps_left < 0 or self._clock() > self._ends_s:
            raise TimeoutError("the schema leads too far")


_check: ContextVar[_Check] = ContextVar("check")


def _refusal(text: str) -> ToolError:
    return ToolError(text, code=BAD_ARGUMENTS)


def _validator(schema: Mapping[str, Any]) -> Any:
    try:
        draft: Any = validators.validator_for(schema, default=validators.Draft202012Validator)
        if _has_resources(schema, draft) or _has_long_choices(schema, draft):
            return None
        draft.check_schema(schema)
        bounded = _bounded(draft)
        return bounded(_without_dialects(schema), registry=Registry())
    except Exception:  # noqa: BLE001  what is wrong with it is its server's concern
        return None


def _has_resources(schema: Mapping[str, Any], draft: Any) -> bool:
    """Tell whether a part has its own address: what is meant by `#` there has to be searched."""
    key = "id" if draft in _OLD_DRAFTS else "$id"
    return any(isinstance(part.get(key), str) for part in islice(_objects(schema), 1, None))


def _has_long_choices(schema: Mapping[str, Any], draft: Any) -> bool:
    choices = (part.get("enum") for part in _objects(schema))
    return draft in _OLD_DRAFTS and any(
        isinstance(values, list) and len(values) > MAX_OLD_CHOICES for values in choices
    )


def _objects(document: Any) -> Iterator[Mapping[str, Any]]:
    """All objects in a document, the outermost first."""
    left = deque([document])
    while left:
        node = left.popleft()
        if isinstance(node, Mapping):
            yield node
            left.extend(node.values())
        elif isinstance(node, list):
            left.extend(node)


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
        "$dynamicRef": _reference(draft.VALIDATORS.get("$dynamicRef", _left_to_the_server)),
        "$ref": _reference(draft.VALIDATORS["$ref"]),
        "additionalProperties": _additional_properties,
        "pattern": _pattern,
        "required": _required,
        **dict.fromkeys(
            (
                "$recursiveRef",
                "patternProperties",
                "unevaluatedItems",
                "unevaluatedProperties",
                "uniqueItems",
            ),
            _left_to_the_server,
        ),
    }
    keywords = {**draft.VALIDATORS, **changed}
    counted = {name: _counted(keyword) for name, keyword in keywords.items()}
    return validators.extend(draft, counted)  # type: ignore[no-untyped-call]


def _counted(keyword: _Keyword) -> _Keyword:
    def step(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        check = _check.get()
        value_size = len(value) if isinstance(value, list | dict | str) else 0
        instance_size = len(instance) if isinstance(instance, list | dict) else 0
        check.spend(1 + value_size + instance_size)
        for fault in keyword(validator, value, instance, schema) or ():
            check.spend(1)
            yield fault

    return step


def _reference(follow: _Keyword) -> _Keyword:
    """Follow a path from the top of the schema; for a name, all of it would be searched."""

    def reference(
        validator: Any, target: Any, instance: Any, schema: Any
    ) -> Iterator[ValidationError] | None:
        if target != "#" and not target.startswith("#/"):
            return None
        return follow(validator, target, instance, schema)

    return reference


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
    if validator.is_type(instance, "string") and len(instance) <= MAX_MATCHED_CHARS:
        matcher = _check.get().matchers.get(pattern)
        if matcher is not None and not matcher.isinstance_python(instance):
            yield ValidationError("no match")


def _matchers(schema: Mapping[str, Any]) -> dict[str, SchemaValidator]:
    """Compile the regular expressions of a schema, those that are not too many or too long."""
    found = (part.get("pattern") for part in _objects(schema))
    patterns = dict.fromkeys(
        text for text in found if isinstance(text, str) and len(text) <= MAX_PATTERN_CHARS
    )
    compiled = ((pattern, _matcher(pattern)) for pattern in islice(patterns, MAX_PATTERNS))
    return {pattern: matcher for pattern, matcher in compiled if matcher is not None}


def _matcher(pattern: str) -> SchemaValidator | None:
    """Compile a regular expression for linear time; None if it needs more than that."""
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError:
        return None
