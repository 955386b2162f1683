"""The bridge in a process that tells what it holds.

    python -m benchmarks.counted_service --port 8080

Settings come from the environment. For every line on its standard input it writes a line to its
standard output: JSON with the members of `Held`.
"""

import argparse
import asyncio
import gc
import os
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import uvloop

from evibridge import Agent, Manners, Tools
from evibridge.logs import configure_logs
from evibridge.service import Service, start_service
from evibridge.settings import load_settings

TOOL_S = 30.0
"""Longer than any call lasts."""

tools = Tools()


@tools.tool(timeout=2 * TOOL_S)
async def slow_tool() -> str:
    """Take longer than the call."""
    await asyncio.sleep(TOOL_S)
    return "done"


agent = Agent(system_prompt="You are on the phone.", tools=tools, manners=Manners(filler=None))


@dataclass(frozen=True, slots=True)
class Held:
    """What is there after a garbage collection; None for what cannot be seen from outside.

    Attributes:
        live: calls
        tasks: of asyncio
        timers: of the event loop that are not cancelled
        sockets: among its open files
        files: open ones, sockets included
        threads: of Python
        objects: that the garbage collector knows of, less those of the start
        rss_kb: resident memory
    """

    live: int | None
    tasks: int | None
    timers: int | None
    sockets: int | None
    files: int | None
    threads: int | None
    objects: int | None
    rss_kb: float


def held(service: Service) -> Held:
    """Count everything."""
    gc.collect()
    objects = gc.get_objects()
    files = [_target(descriptor) for descriptor in Path("/proc/self/fd").iterdir()]
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(
        live=service.calls.live,
        tasks=len(asyncio.all_tasks()),
        timers=sum(
            type(each).__name__ == "TimerHandle" and not each.cancelled() for each in objects
        ),
        sockets=sum(file.startswith("socket:") for file in files),
        files=len(files),
        threads=threading.active_count(),
        objects=len(objects),
        rss_kb=pages * os.sysconf("SC_PAGE_SIZE") / 1024,
    )


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:  # that of the listing itself
        return ""


async def run(port: int) -> None:
    """Serve until the process is ended."""
    settings = load_settings(port=port)
    configure_logs(settings.log_level, settings.log_format)
    service = await start_service(agent, settings)
    gc.collect()
    gc.freeze()  # as `evibridge run` does

    def answer() -> None:
        if not sys.stdin.readline():
            asyncio.get_running_loop().remove_reader(sys.stdin)
            return
        print(orjson.dumps(asdict(held(service))).decode(), flush=True)

    asyncio.get_running_loop().add_reader(sys.stdin, answer)
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser(prog="python -m benchmarks.counted_service")
    options.add_argument("--port", type=int, default=8080)
    uvloop.run(run(options.parse_args().port))
