"""The Python functions that the model may call."""

import inspect
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.arguments import ToolArguments
from evibridge.tools_registry.docstring import read_docstring

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names that the language models behind EVI accept for a function."""

FunctionT = TypeVar("FunctionT", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """What a server has to know of a tool."""

    name: str
    description: str
    """When and what for the model should use it."""
    parameters: dict[str, Any]
    """JSON Schema of the argument object; EVI wants it serialised to text."""
    fallback: str | None
    """What the model is told when the tool gave no answer (EVI: `fallback_content`)."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A registered function with all that is needed to call it."""

    definition: ToolDefinition
    function: Callable[..., Any]
    arguments: ToolArguments
    is_async: bool
    """Whether it is called in the event loop; the others are called in a thread."""
    timeout_s: float | None
    """Deadline of one call; `None` leaves it to the runner."""


class Tools:
    """A set of tools, filled by decorating functions.

        @tools.tool(timeout=5)
        async def order_status(call: ToolContext, order_id: str) -> str: ...

    The docstring tells the model when to use the tool, its `Args:` section explains the arguments,
    and the type hints become their JSON Schema. A first parameter annotated `ToolContext` receives
    the call. A plain function runs in a thread of its own. `ToolError` refuses with a text that
    the model reads.
    """

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}

    @overload
    def tool(self, function: FunctionT, /) -> FunctionT: ...

    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        fallback: str | None = None,
    ) -> Callable[[FunctionT], FunctionT]: ...

    def tool(
        self,
        function: Callable[..., object] | None = None,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        timeout: float | None = None,
        fallback: str | None = None,
    ) -> Callable[..., Any]:
        """Register a function or bound method and return it unchanged.

        Works as `@tools.tool`, as `@tools.tool(timeout=5)` and as `tools.tool(shop.order_status)`.

        Args:
            function: the function; left out when options are given
            name: how the model calls it, instead of the function's name
            description: what the model reads about it, instead of the docstring
            timeout: deadline of one call in seconds, instead of the service's
            fallback: what the model is told when the tool fails or is late

        Raises:
            ToolDefinitionError: the function cannot be offered to a model
        """

        def register(function: FunctionT) -> FunctionT:
            made = _make_tool(function, name, description, timeout, fallback)
            if made.definition.name in self._tools:
                raise ToolDefinitionError(
                    f"Two tools are named {made.definition.name!r}; "
                    f"give {_label(function)} another with `name=`."
                )
            self._tools[made.definition.name] = made
            return function

        return register if function is None else register(function)

    def definitions(self) -> list[ToolDefinition]:
        """Return what a server is told, in the order of registration."""
        return [tool.definition for tool in self._tools.values()]

    def get(self, name: str) -> Tool | None:
        """Find a tool by the name that the model uses."""
        return self._tools.get(name)


def _make_tool(
    function: Callable[..., object],
    name: str | None,
    description: str | None,
    timeout_s: float | None,
    fallback: str | None,
) -> Tool:
    _check_function(function)
    label = _label(function)
    name = function.__name__ if name is None else name
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"The tool name {name!r} of {label} must be 1 to 64 letters a-z, digits, _ or -; "
            f"set one with `name=`."
        )
    if timeout_s is not None and not (timeout_s > 0 and math.isfinite(timeout_s)):
        raise ToolDefinitionError(
            f"The timeout of {label} must be more than 0 seconds, not {timeout_s}."
        )
    docstring = read_docstring(inspect.getdoc(function) or "")
    description = (docstring.description if description is None else description).strip()
    if not description:
        raise ToolDefinitionError(
            f"{label} has no description; write a docstring that tells the model when to use it."
        )
    arguments = ToolArguments(function, label, docstring.parameters)
    definition = ToolDefinition(name, description, arguments.schema, fallback)
    # Behind functools.wraps too: a plain wrapper of a coroutine function returns its coroutine.
    is_async = any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function))))
    return Tool(definition, function, arguments, is_async, timeout_s)


def _check_function(function: object) -> None:
    if not (inspect.isfunction(function) or inspect.ismethod(function)):
        raise ToolDefinitionError(
            f"A tool must be a function or a bound method, not {function!r}; wrap it in a function."
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ToolDefinitionError(
            f"{_label(function)} yields values, but a tool has one answer; return it."
        )


def _label(function: Callable[..., object]) -> str:
    """Name a function in a sentence, without the functions that it is nested in."""
    return f"{function.__qualname__.rpartition('<locals>.')[2]}()"
