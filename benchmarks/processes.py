"""Programs of a benchmark: each a process on cores of its own, watched from outside.

Needs Linux: the cores are set by affinity, memory is read from /proc.
"""

import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
"""Where `python -m benchmarks...` finds its package."""
START_TIMEOUT_S = 60.0
"""Until a program listens; the engine loads its models meanwhile."""
STOP_TIMEOUT_S = 10.0
LOOK_EVERY_S = 0.02
MAX_LINE_BYTES = 16 * 1024 * 1024
"""A report is one line, with a figure for each second of each call."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the program under test has to itself, and which the load."""

    under_test: frozenset[int]
    load: frozenset[int]

    @classmethod
    def divided(cls) -> "Cores":
        """One core for the program under test, the others for the load; a single one is shared."""
        cores = sorted(os.sched_getaffinity(0))
        return cls(frozenset(cores[:1]), frozenset(cores[1:] or cores))

    @contextmanager
    def with_us_as_load(self) -> Iterator[None]:
        """Let this process, which is a part of the load, keep off the core under test."""
        own_cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, self.load)
        try:
            yield
        finally:
            os.sched_setaffinity(0, own_cores)


class Program:
    """A running process.

    Args:
        process: its standard input and output are pipes
        stderr: the file that takes its standard error
    """

    def __init__(self, process: asyncio.subprocess.Process, stderr: IO[bytes]) -> None:
        self._process = process
        self._stderr = stderr

    def cpu_s(self) -> float:
        """CPU time of all its threads so far."""
        return cpu_s_of(self._process.pid)

    def rss_kb(self) -> float:
        """Resident memory."""
        return rss_kb_of(Path(f"/proc/{self._process.pid}"))

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def say_no_more(self) -> None:
        """End its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def line(self, *, timeout_s: float) -> str:
        """The next line of its standard output.

        Raises:
            RuntimeError: it has ended instead
        """
        assert self._process.stdout is not None
        async with asyncio.timeout(timeout_s):
            line = await self._process.stdout.readline()
        if not line:
            raise self._fault("reported")
        return line.decode().rstrip("\n")

    async def until_it_listens(self, port: int) -> None:
        """Wait until somebody answers at the port.

        Raises:
            RuntimeError: the program has ended instead
        """
        async with asyncio.timeout(START_TIMEOUT_S):
            while self._process.returncode is None:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(LOOK_EVERY_S)
        raise self._fault("listened")

    def _fault(self, missing: str) -> RuntimeError:
        self._stderr.seek(0)
        last_words = self._stderr.read().decode(errors="replace")
        return RuntimeError(f"The program ended before it had {missing}:\n{last_words}")


@asynccontextmanager
async def running(
    arguments: Sequence[str],
    cores: frozenset[int],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> AsyncIterator[Program]:
    """Run `python ARGUMENTS` on these cores for as long as the context is open."""
    with tempfile.TemporaryFile() as stderr:
        own_cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # inherited, also by threads that start on import
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=environment,
                cwd=folder,
                limit=MAX_LINE_BYTES,
            )
        finally:
            os.sched_setaffinity(0, own_cores)
        try:
            yield Program(process, stderr)
        finally:
            await _stop(process)


@dataclass(frozen=True, slots=True)
class Server:
    """A running program that listens, and where."""

    program: Program
    origin: str


@asynccontextmanager
async def serving(
    arguments: Sequence[str], cores: frozenset[int], *, port: int | None = None, **settings: str
) -> AsyncIterator[Server]:
    """Run a program that takes `--port`, with these settings of the service and no others.

    What it keeps of calls is gone with it.

    Args:
        arguments: of `python`
        cores: where it runs
        port: where it listens; any free one by default
        settings: variables of its environment
    """
    port = port or free_port()
    with tempfile.TemporaryDirectory() as folder:  # without .env file
        environment = plain_environment(**{"EVIBRIDGE_DATA_DIR": f"{folder}/data"} | settings)
        async with running(
            [*arguments, "--port", str(port)], cores, environment=environment, folder=Path(folder)
        ) as program:
            await program.until_it_listens(port)
            yield Server(program, f"http://127.0.0.1:{port}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.communicate(), STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def cpu_s_of(pid: int) -> float:
    """CPU time of all threads of a process so far, to the nanosecond."""
    # The kernel numbers the CPU clock of a process like this; see clock_getcpuclockid(3).
    return time.clock_gettime((~pid << 3) | 2)


def rss_kb_of(folder: Path) -> float:
    """Resident memory of the process that has this folder in /proc."""
    pages = int((folder / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def busy_s(cores: AbstractSet[int]) -> float:
    """How long these cores have worked so far, for whomever."""
    ticks = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *columns = line.split()
        if name.removeprefix("cpu") in map(str, cores):
            user, nice, system, _idle, _io_wait, irq, soft_irq, steal = map(int, columns[:8])
            ticks += user + nice + system + irq + soft_irq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A TCP port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def plain_environment(**settings: str) -> dict[str, str]:
    """Our environment with these settings of the service and no others; it runs from this tree."""
    others = ("EVIBRIDGE_", "HUME_", "TWILIO_", "OPENAI_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return kept | {"PYTHONPATH": str(ROOT)} | settings
