"""The Python functions that the model may call."""

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, Unpack, overload

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.arguments import ToolArguments
from evibridge.tools_registry.conduct import Conduct, ToolOptions
from evibridge.tools_registry.docstring import read_docstring
from evibridge.tools_registry.mcp.server import McpServer

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Names that the language models behind EVI accept for a function."""

_collected_faults: ContextVar[list[ToolDefinitionError] | None] = ContextVar(
    "collected_faults", default=None
)

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


class ArgumentReader(Protocol):
    """Turns what the model wrote into keyword arguments."""

    context_parameter: str | None
    """Name of the parameter that receives the `ToolContext`, if there is one."""

    def read(self, text: str) -> dict[str, object]:
        """Turn the JSON text of a `tool_call` into keyword arguments.

        Raises:
            ToolError: with the code `BAD_ARGUMENTS`; the text tells the model what to write instead
        """


@dataclass(frozen=True, slots=True)
class Tool:
    """All that is needed to offer a function to a model and to call it."""

    definition: ToolDefinition
    function: Callable[..., Any]
    arguments: ArgumentReader
    is_async: bool
    """Whether it is called in the event loop; the others are called in a thread."""
    conduct: Conduct = field(default_factory=Conduct)


class Tools:
    """A set of tools, filled by decorating functions.

        @tools.tool(timeout=5)
        async def order_status(call: ToolContext, order_id: str) -> str: ...

    The docstring tells the model when to use the tool, its `Args:` section explains the arguments,
    and the type hints become their JSON Schema. A first parameter annotated `ToolContext` receives
    the call. A plain function runs in a thread, which others have used before. `ToolError` refuses
    with a text that the model reads.
    """

    def __init__(self) -> None:
        self._tools: dict[str, Tool] = {}
        self._mcp_servers: dict[str, McpServer] = {}

    @overload
    def tool(self, function: FunctionT, /, **options: Unpack[ToolOptions]) -> FunctionT: ...

    @overload
    def tool(self, /, **options: Unpack[ToolOptions]) -> Callable[[FunctionT], FunctionT]: ...

    def tool(
        self, function: Callable[..., object] | None = None, /, **options: Unpack[ToolOptions]
    ) -> Callable[..., Any]:
        """Register a function or bound method and return it unchanged.

        Works as `@tools.tool`, as `@tools.tool(timeout=5)` and as
        `tools.tool(shop.order_status, timeout=5)`.

        Args:
            function: the function; left out in a decorator with options
            options: see `ToolOptions`

        Raises:
            ToolDefinitionError: the function cannot be offered to a model
        """

        def register(function: FunctionT) -> FunctionT:
            try:
                self._add(make_tool(function, options), function)
            except ToolDefinitionError as fault:
                faults = _collected_faults.get()
                if faults is None:
                    raise
                faults.append(fault)
            return function

        return register if function is None else register(function)

    def add(self, server: McpServer) -> None:
        """Offer the tools of an MCP server beside the functions.

        Raises:
            ToolDefinitionError: there is one of this name
        """
        if server.name in self._mcp_servers:
            raise ToolDefinitionError(
                f"Two MCP servers are named {server.name!r}; give one of them another name."
            )
        self._mcp_servers[server.name] = server

    @property
    def mcp_servers(self) -> tuple[McpServer, ...]:
        """The servers, in the order in which they were added."""
        return tuple(self._mcp_servers.values())

    def _add(self, tool: Tool, function: Callable[..., object]) -> None:
        name = tool.definition.name
        if name in self._tools:
            raise ToolDefinitionError(
                f"Two tools are named {name!r}; give {_label(function)} another with `name=`."
            )
        self._tools[name] = tool

    def definitions(self) -> list[ToolDefinition]:
        """Return what a server is told, in the order of registration."""
        return [tool.definition for tool in self._tools.values()]

    def get(self, name: str) -> Tool | None:
        """Find a tool by the name that the model uses."""
        return self._tools.get(name)


@contextmanager
def collected_faults() -> Iterator[list[ToolDefinitionError]]:
    """In here a function that cannot be a tool raises nothing, so that all of them are found."""
    faults: list[ToolDefinitionError] = []
    token = _collected_faults.set(faults)
    try:
        yield faults
    finally:
        _collected_faults.reset(token)


def make_tool(function: Callable[..., object], options: ToolOptions) -> Tool:
    """Describe a function or bound method to a model.

    Raises:
        ToolDefinitionError: it cannot be offered to one
    """
    _check_function(function)
    label = _label(function)
    unknown = options.keys() - ToolOptions.__annotations__.keys()
    if unknown:
        raise ToolDefinitionError(
            f"{label} has the unknown option {min(unknown)!r}; "
            f"there are {', '.join(ToolOptions.__annotations__)}."
        )
    wanted = options.get("name")
    name = function.__name__ if wanted is None else wanted
    if not _NAME.fullmatch(name):
        raise ToolDefinitionError(
            f"The tool name {name!r} of {label} must be 1 to 64 letters a-z, digits, _ or -; "
            f"set one with `name=`."
        )
    conduct = Conduct.of(options, label)
    docstring = read_docstring(inspect.getdoc(function) or "")
    wanted = options.get("description")
    description = (docstring.description if wanted is None else wanted).strip()
    if not description:
        raise ToolDefinitionError(
            f"{label} has no description; write a docstring that tells the model when to use it."
        )
    arguments = ToolArguments(
        function, label, docstring.parameters, strict=options.get("strict", False)
    )
    definition = ToolDefinition(name, description, arguments.schema, options.get("fallback"))
    # Behind functools.wraps too: a plain wrapper of a coroutine function returns its coroutine.
    is_async = any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function))))
    return Tool(definition, function, arguments, is_async, conduct)


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
