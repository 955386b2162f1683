"""Finding the `Agent` that a command was given: `path/to/file.py[:name]` or `module:name`."""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from evibridge.agent.definition import Agent
from evibridge.errors import AgentLoadError, ToolDefinitionError

DEFAULT_FILE = "agent.py"
DEFAULT_NAME = "agent"


def load_agent(where: str) -> Agent:
    """Import the file or module and take the agent out of it.

    Raises:
        AgentLoadError: nothing there, it cannot be imported, or the name is not an `Agent`
    """
    place, _, name = where.partition(":")
    name = name or DEFAULT_NAME
    module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
    agent = getattr(module, name, None)
    if not isinstance(agent, Agent):
        there = [key for key, value in vars(module).items() if isinstance(value, Agent)]
        hint = f"use {place}:{there[0]}" if there else f"write `{name} = Agent(...)` in it"
        raise AgentLoadError(f"{place} has no Agent named {name!r}: {hint}.")
    return agent


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise AgentLoadError(f"{path} does not exist: give the path of a Python file.")
    # A file that is called like a module in use must not take its place.
    name = path.stem if path.stem not in sys.modules else f"{path.stem}_agent"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # The file may import its neighbours, as it would when run by itself.
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise AgentLoadError(_sentence(str(path), error)) from error
    return module


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise AgentLoadError(_sentence(name, error)) from error


def _sentence(place: str, error: Exception | SystemExit) -> str:
    if isinstance(error, SyntaxError):
        return f"{error.filename or place}, line {error.lineno}: {error.msg}."
    if isinstance(error, ToolDefinitionError):
        return f"{place}: {error}"
    line = _last_line_in(place, error)
    what = " ".join(str(error).split())
    return f"{place}{line} cannot be imported: {type(error).__name__}: {what}"


def _last_line_in(place: str, error: BaseException) -> str:
    """Where in the agent's own file the error arose."""
    line = ""
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename).name == Path(place).name:
            line = f", line {trace.tb_lineno},"
        trace = trace.tb_next
    return line
