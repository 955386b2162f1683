"""What a file with a tool costs to import, each time in a fresh interpreter.

    python -m benchmarks.tool_dispatch --import

All the other packages' modules that the file makes Python load are imported without evibridge as
well: most of the time is theirs. How long evibridge's own modules take, without what they import,
Python tells itself. The same file with nothing in the place of evibridge's modules for MCP tells
what those add, with all that they import, for an agent that has no MCP server.

Everything has been compiled before, as it is when a program was started once.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.processes import plain_environment
from benchmarks.report import table

ROUNDS = 15
MCP_BAR_MS = 20.0
"""What the support of MCP servers may add to a file that has none."""
OURS, MCP_MODULES = "evibridge", "evibridge.tools_registry.mcp"
MCP_PACKAGES = frozenset(
    {"anyio", "httpx", "httpx2", "jsonschema", "mcp", "mcp_types", "sse_starlette", "starlette"}
)
"""What only an MCP server needs; none of them may be loaded without one."""

TOOL_FILE = '''
from evibridge import Agent, ToolContext, Tools

tools = Tools()

@tools.tool
async def order_status(call: ToolContext, order_id: str) -> str:
    """Look up an order.

    Args:
        order_id: number of the order
    """
    return "sent"

agent = Agent(system_prompt="You answer the telephone.", tools=tools)
'''
_BEGIN = """
import sys, time
there = set(sys.modules)
began_s = time.process_time()
"""
# What has no spec cannot be imported by its name: `typing.io`, for example.
_END = """
took_ms = (time.process_time() - began_s) * 1000
loaded = [name for name in sys.modules if name not in there]
named = [name for name in loaded if getattr(sys.modules[name], "__spec__", None)]
import json
print(json.dumps({"took_ms": took_ms, "modules": named}))
"""
_STUBS = """
import sys
class Nothing(type(sys)):
    def __getattr__(self, name):
        return type(name, (), {{}})
for name in {names!r}:
    sys.modules[name] = Nothing(name)
"""
_MODULE_TIME = "import time:"
"""What `python -X importtime` begins its lines with."""


@dataclass(frozen=True, slots=True)
class ImportTime:
    """Times are in ms, one of each fresh interpreter.

    Attributes:
        mcp_modules: ours that the file loads
        mcp_packages: of others, that only MCP servers need, and that it loads nevertheless
        packages: of others that it loads, without those of Python itself
        file_ms: CPU of the whole file
        packages_ms: CPU of all modules of others that it makes Python load
        own_ms: of our modules, without what they import
        own_for_mcp_ms: of those among them that are for MCP
        mcp_ms: CPU of the whole file, less that of the same file without them, one after the other
    """

    mcp_modules: list[str]
    mcp_packages: list[str]
    packages: list[str]
    file_ms: list[float] = field(default_factory=list)
    packages_ms: list[float] = field(default_factory=list)
    own_ms: list[float] = field(default_factory=list)
    own_for_mcp_ms: list[float] = field(default_factory=list)
    mcp_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Imported:
    """What an interpreter tells of a program."""

    took_ms: float
    modules: list[str]
    module_ms: dict[str, float]
    """Of each module without what it imports, in ms; empty if it was not asked for."""


def measure(rounds: int = ROUNDS) -> ImportTime:
    """Import by turns, in so many interpreters each."""
    with TemporaryDirectory() as compiled:
        loaded = _imported(TOOL_FILE, compiled).modules
        of_others = [name for name in loaded if name.partition(".")[0] != OURS]
        of_mcp = [name for name in loaded if name.startswith(MCP_MODULES)]
        packages = {name.partition(".")[0] for name in of_others} - sys.stdlib_module_names
        imports = ImportTime(
            of_mcp,
            sorted(packages & MCP_PACKAGES),
            sorted(name for name in packages if not name.startswith("_")),
        )
        stubs = _STUBS.format(names=of_mcp) if of_mcp else ""
        for number in range(rounds):
            with_mcp_first = number % 2 == 0  # who comes second finds the processor awake
            _import_once(imports, stubs, of_others, compiled, with_mcp_first=with_mcp_first)
        return imports


def _import_once(
    imports: ImportTime,
    stubs: str,
    of_others: Sequence[str],
    compiled: str,
    *,
    with_mcp_first: bool,
) -> None:
    file_ms = {
        before: _imported(TOOL_FILE, compiled, before=before).took_ms
        for before in (("", stubs) if with_mcp_first else (stubs, ""))
    }
    imports.file_ms.append(file_ms[""])
    imports.mcp_ms.append(file_ms[""] - file_ms[stubs])
    alone = f"for name in {of_others!r}: __import__(name)\n"
    imports.packages_ms.append(_imported(alone, compiled).took_ms)
    own_ms = {
        name: ms
        for name, ms in _imported(TOOL_FILE, compiled, "-X", "importtime").module_ms.items()
        if name.partition(".")[0] == OURS
    }
    imports.own_ms.append(sum(own_ms.values()))
    imports.own_for_mcp_ms.append(sum(own_ms[name] for name in imports.mcp_modules))


def _imported(program: str, compiled: str, *options: str, before: str = "") -> _Imported:
    """Run a program in a fresh interpreter, where this folder has what was compiled before."""
    ended = subprocess.run(
        [sys.executable, *options, "-c", before + _BEGIN + program + _END],
        env=plain_environment(PYTHONPYCACHEPREFIX=compiled, PYTHONDONTWRITEBYTECODE=""),
        cwd=compiled,
        check=True,
        capture_output=True,
        text=True,
    )
    return _Imported(**json.loads(ended.stdout), module_ms=dict(_module_times(ended.stderr)))


def _module_times(lines: str) -> Iterator[tuple[str, float]]:
    for line in lines.splitlines():
        if line.startswith(_MODULE_TIME):
            own_us, _, name = line.removeprefix(_MODULE_TIME).split("|")
            if own_us.strip().isdigit():  # the first line names the columns
                yield name.strip(), int(own_us) / 1000


def shown(imports: ImportTime) -> str:
    """Everything as a table, and the bar."""
    rows = [
        (what, f"{median(times):.1f}")
        for what, times in (
            ("the whole file", imports.file_ms),
            ("modules of others that it loads", imports.packages_ms),
            ("evibridge's own modules", imports.own_ms),
            ("those of them that are for MCP", imports.own_for_mcp_ms),
            ("the whole file, less the same without those", imports.mcp_ms),
        )
    ]
    return "\n\n".join(
        (
            table((f"ms, median of {len(imports.file_ms)} interpreters", ""), rows),
            _loaded_shown(imports),
            f"Bar: {MCP_BAR_MS:g} ms for MCP support that is not used, and none of its packages.",
        )
    )


def _loaded_shown(imports: ImportTime) -> str:
    return (
        f"Packages of others: {', '.join(imports.packages)}. "
        f"Own modules for MCP: {', '.join(imports.mcp_modules) or 'none'}. "
        f"Packages for MCP servers: {', '.join(imports.mcp_packages) or 'none'}."
    )


def figures(imports: ImportTime) -> dict[str, object]:
    """All of them, for machines, with medians for the single times."""
    return {
        name: median(value) if name.endswith("_ms") else value
        for name, value in asdict(imports).items()
    }
