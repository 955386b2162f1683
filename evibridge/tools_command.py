"""`evibridge tools`: what the model is told of an agent's tools, a try of one, and their faults."""

import difflib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import typer

from evibridge.agent.definition import Agent
from evibridge.agent.loading import load_agent
from evibridge.errors import (
    AgentLoadError,
    EngineSetupError,
    SettingsError,
    ToolDefinitionError,
)
from evibridge.tools_registry.catalogue import ToolCatalogue
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.mcp.connections import mcp_connections
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.outcome import ToolFailure, ToolOutcome, ToolResult, sendable
from evibridge.tools_registry.progress import Verdict
from evibridge.tools_registry.registry import ToolDefinition, Tools, collected_faults
from evibridge.tools_registry.runner import ToolRunner

if TYPE_CHECKING:
    from evibridge.engine.minds.scripted.definition import Call, Turn

MAX_DESCRIPTION_CHARS = 1024
"""What is longer, models cut."""
BY_HAND = "by-hand"
CALLER, CALLED = "+14155550123", "+14155550100"


async def list_tools(where: str) -> None:
    """Print what the model is told of an agent's tools, as JSON.

    Args:
        where: the agent, as `load_agent` takes it

    Raises:
        AgentLoadError: it cannot be loaded
    """
    with _standard_output() as show:
        tools = load_agent(where).tools
        async with _catalogue(tools, tools.mcp_servers) as (catalogue, faults):
            definitions = catalogue.definitions()
        for fault in faults:
            _note(fault)
        if not definitions:
            _note(
                f"{where} has no tools: register functions with `@tools.tool`, and give the Agent "
                f"its `tools`."
            )
        listed = [_as_told(definition) for definition in definitions]
        show(json.dumps(listed, indent=2, ensure_ascii=False))


async def call_tool(where: str, name: str, arguments: str, *, timeout_s: float) -> bool:
    """Run one tool as a call would, and print its answer; returns whether it gave one.

    Args:
        where: the agent, as `load_agent` takes it
        name: the tool, as the model calls it
        arguments: a JSON object, as the model would write it
        timeout_s: deadline of a tool that sets none of its own

    Raises:
        AgentLoadError: the agent cannot be loaded
        SettingsError: it has no such tool
    """
    with _standard_output() as show:
        tools = load_agent(where).tools
        # A function needs no server, and nobody wants to wait for one meanwhile.
        servers = tools.mcp_servers if tools.get(name) is None else ()
        async with _catalogue(tools, servers) as (catalogue, faults):
            for fault in faults:
                _note(fault)
            if catalogue.get(name) is None:
                raise _no_such_tool(where, name, catalogue)
            runner = ToolRunner(catalogue, default_timeout_s=timeout_s)
            line = ByHand()
            outcome = await runner.run(name, arguments, _made_up_call(line), line)
            _show_outcome(outcome, show)
            await runner.close()
        if isinstance(outcome, ToolFailure) and outcome.code == "timeout":
            # Nothing can stop a coroutine that ignores its cancellation, nor a thread that it has
            # started: Python would wait for both of them.
            os._exit(1)
    return isinstance(outcome, ToolResult)


async def check_tools(where: str) -> bool:
    """Print all that is wrong with an agent's tools, or their names; returns whether all is well.

    Args:
        where: the agent, as `load_agent` takes it
    """
    with _standard_output() as show:
        agent, faults = _load(where)
        names: list[str] = []
        if agent is not None:
            tools = agent.tools
            faults += _long_descriptions(tools.definitions())
            async with _catalogue(tools, tools.mcp_servers) as (catalogue, faults_of_servers):
                names = _names(catalogue)
                faults += faults_of_servers
                if agent.script is not None:
                    is_whole = not faults_of_servers
                    faults += _script_faults(
                        Path(agent.script), catalogue, faults, is_whole=is_whole
                    )
        for fault in faults:
            _note(f"evibridge: {fault}")
        if not faults:
            count = f"{len(names)} tool{'' if len(names) == 1 else 's'}"
            show(f"{count}: {', '.join(names)}" if names else count)
    return not faults


@contextmanager
def _standard_output() -> Iterator[Callable[[str], None]]:
    """Keep standard output for the answer: what the agent's code prints goes to standard error."""
    stdout = sys.stdout
    with redirect_stdout(sys.stderr):
        yield lambda text: typer.echo(sendable(text), stdout)


def _note(text: str) -> None:
    typer.echo(text, err=True)


@asynccontextmanager
async def _catalogue(
    tools: Tools, servers: Sequence[McpServer]
) -> AsyncIterator[tuple[ToolCatalogue, list[str]]]:
    """The functions and the tools of MCP servers, and why some of the servers cannot be used."""
    async with AsyncExitStack() as stack:
        connections = None
        try:
            connections = await stack.enter_async_context(mcp_connections(servers))
            faults = list(connections.faults.values())
        except ToolDefinitionError as error:
            faults = [str(error)]
        yield ToolCatalogue(tools, connections), faults


def _as_told(definition: ToolDefinition) -> dict[str, Any]:
    told = {
        "name": definition.name,
        "description": definition.description,
        "parameters": definition.parameters,
    }
    if definition.fallback is not None:
        told["fallback_content"] = definition.fallback
    return told


# One call by hand


class ByHand:
    """The call behind a tool that is tried by hand: says on standard error what would happen."""

    digits = ""
    can_transfer = True

    def say(self, text: str) -> None:
        """Have the agent speak a text word for word."""
        _note(f"the agent would say: {text}")

    def set_context(self, text: str | None) -> None:
        """Tell the model something for all its later answers; None takes it back."""
        if text is None:
            _note("the model would be told to forget what it was told before")
        else:
            _note(f"the model would be told: {text}")

    def send_digits(self, digits: str) -> None:
        """Play the tones of these keys to the caller's side."""
        _note(f"keys would be pressed: {digits}")

    def hang_up(self) -> None:
        """End the call once everything was said."""
        _note("the call would end")

    def end_with(self, text: str) -> None:
        """Have the agent speak a last text, and end the call."""
        self.say(text)
        self.hang_up()

    def transfer(self, to: str) -> None:
        """Put the caller through to somebody else once everything was said."""
        _note(f"the call would be transferred to {to}")

    def hold(self, sentence: str) -> None:
        """The caller has to wait: let the agent say this."""
        _note(f"the agent would say meanwhile: {sentence}")

    async def verdict(self, timeout_s: float) -> Verdict:
        """Whoever tries a tool by hand approves of it."""
        _note(
            f"an operator would be asked, for {timeout_s:g} s at most; by hand, you have approved"
        )
        return Verdict(is_approved=True)

    def answer_early(self, answer: ToolResult, *, result_follows: bool) -> None:
        """This is the answer; the tool goes on."""
        later = "the result later" if result_follows else "never the result"
        _note(f"the model would be told at once, and {later}: {answer.content}")


def _made_up_call(line: ByHand) -> ToolContext:
    return ToolContext(
        call_id=BY_HAND,
        chat_id=BY_HAND,
        tool_call_id=uuid4().hex,
        caller=CALLER,
        called=CALLED,
        live=line,
    )


def _show_outcome(outcome: ToolOutcome, show: Callable[[str], None]) -> None:
    if outcome.content is not None:
        show(outcome.content)
    if isinstance(outcome, ToolFailure):
        _note(f"{outcome.code}: {outcome.error}")


def _no_such_tool(where: str, name: str, catalogue: ToolCatalogue) -> SettingsError:
    names = _names(catalogue)
    if not names:
        return SettingsError(f"{where} has no tool named {name!r}: register it with `@tools.tool`.")
    nearest = _nearest(name, names)
    meant = f"; did you mean {nearest}?" if nearest else "."
    return SettingsError(
        f"{where} has no tool named {name!r}: use one of {', '.join(names)}{meant}"
    )


def _names(catalogue: ToolCatalogue) -> list[str]:
    return [definition.name for definition in catalogue.definitions()]


def _nearest(name: str, names: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, names, n=1)), None)


# Faults


def _load(where: str) -> tuple[Agent | None, list[str]]:
    """Load an agent without the functions that cannot be tools, and say what is wrong with them."""
    agent, unloadable = None, []
    with collected_faults() as faults:
        try:
            agent = load_agent(where)
        except AgentLoadError as error:
            unloadable = [str(error)]
    place = where.partition(":")[0]
    return agent, [*(f"{place}: {fault}" for fault in faults), *unloadable]


def _long_descriptions(definitions: Sequence[ToolDefinition]) -> list[str]:
    return [
        f"The description of the tool {definition.name} has {len(definition.description)} "
        f"characters, of which models read {MAX_DESCRIPTION_CHARS}: shorten it."
        for definition in definitions
        if len(definition.description) > MAX_DESCRIPTION_CHARS
    ]


def _script_faults(
    path: Path, catalogue: ToolCatalogue, known: Sequence[str], *, is_whole: bool
) -> list[str]:
    """Say why a script cannot be read, or which of its calls an agent's tools do not fit.

    Args:
        path: the script
        catalogue: the tools
        known: other faults, of functions that the script may call
        is_whole: whether no MCP server's tools are missing in the catalogue
    """
    try:
        from evibridge.engine.minds.scripted.script_file import read_script
    except ImportError as error:
        _note(f"{path} is not checked ({error.name} is not installed): install evibridge[engine].")
        return []
    try:
        script = read_script(path)
    except EngineSetupError as error:
        return [str(error)]
    faults: list[str] = []
    for turn, call in _calls(script.turns):
        tool = catalogue.get(call.tool)
        if tool is not None:
            wrong = list(_argument_faults(call, tool.definition.parameters))
        elif not is_whole or any(re.search(rf"\b{call.tool}\(\)", fault) for fault in known):
            continue  # it may well be there, and why it cannot be used has been told
        else:
            hint = _instead(call.tool, _names(catalogue))
            wrong = [f"the agent has no tool named {call.tool}; {hint}"]
        faults += [f'{path}, turn "{turn.name}": {each}.' for each in wrong]
    return faults


def _calls(turns: Sequence["Turn"]) -> Iterator[tuple["Turn", "Call"]]:
    for turn in turns:
        if turn.call is not None:
            yield turn, turn.call
        yield from _calls(turn.answers)


def _argument_faults(call: "Call", schema: Mapping[str, Any]) -> Iterator[str]:
    """Compare the names of a call's arguments with the schema of the argument object."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    for name in call.arguments:
        if name not in properties and not _takes_other_names(schema):
            yield f'{call.tool} has no argument "{name}"; {_instead(name, list(properties))}'
    for name in schema.get("required", ()):
        # Strict schemas require every argument; `null` is for those that may be left out.
        if name not in call.arguments and not _accepts_null(properties[name]):
            yield f'{call.tool} needs the argument "{name}"; write it under "with"'


def _instead(name: str, names: Sequence[str]) -> str:
    if not names:
        return "leave it out, there is none"
    return f"write {_nearest(name, names) or 'one of ' + ', '.join(names)}"


def _takes_other_names(schema: Mapping[str, Any]) -> bool:
    return schema.get("additionalProperties", not schema.get("properties")) is not False


def _accepts_null(schema: Mapping[str, Any]) -> bool:
    types = schema.get("type", ())
    return "null" in ([types] if isinstance(types, str) else types) or any(
        map(_accepts_null, schema.get("anyOf", ()))
    )
