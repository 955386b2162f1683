"""A bridge that somebody else runs, beside ours or instead of it: any program, at any URL.

If it is on this machine, its processes are those that listen on the port of its URL, and their
children. What they use is read from /proc.
"""

import argparse
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.processes import cpu_s_of, rss_kb_of
from evibridge.loopback import is_loopback

PROC = Path("/proc")
DIALS = ("twilio", "stream")
DEFAULT_PORTS = {"http": 80, "https": 443}
_LISTENING = "0A"
_PARENT, _CPU_OF_ENDED_CHILDREN = 1, slice(13, 15)
"""In /proc/PID/stat behind the name; see proc_pid_stat(5)."""


@dataclass(frozen=True, slots=True)
class OtherBridge:
    """A running bridge.

    Attributes:
        name: in tables; also the `config_id` by which the EVI stand-in counts its audio
        dial: how it is called, `twilio` by a webhook or `stream` by a media socket alone
        url: of the webhook or of the socket; an origin alone stands for evibridge's paths
    """

    name: str
    dial: str
    url: str

    @classmethod
    def parse(cls, text: str) -> "OtherBridge":
        """Read `NAME=twilio=URL`.

        Raises:
            argparse.ArgumentTypeError: it is something else
        """
        name, _, rest = text.partition("=")
        dial, _, url = rest.partition("=")
        if not name or dial not in DIALS or urlsplit(url).scheme not in DEFAULT_PORTS:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not NAME=twilio=URL or NAME=stream=URL, with http or https."
            )
        return cls(name, dial, url)

    @property
    def address(self) -> str:
        """How and where it is called, as `benchmarks.callers` reads it."""
        return f"{self.dial}={self.url}"


def add_options(options: argparse.ArgumentParser, *, config_id: str) -> None:
    """Let other bridges take part.

    Args:
        options: of a command
        config_id: what the bridges ask the EVI server for, and why
    """
    options.add_argument(
        "--also",
        type=OtherBridge.parse,
        action="append",
        default=[],
        metavar="NAME=twilio=URL|NAME=stream=URL",
        help="another running bridge, called by the webhook or by the media socket at this URL; "
        "its EVI server is the one of --evi-port, which it asks for " + config_id,
    )
    add_evi_port(options)


def add_evi_port(options: argparse.ArgumentParser) -> None:
    """Let other bridges know where the EVI server is."""
    options.add_argument(
        "--evi-port",
        type=int,
        metavar="PORT",
        help="where the EVI stand-in listens, on 127.0.0.1; any free port by default",
    )


class ProcessTree:
    """Processes and all that they have started; without any, what they use is not a number.

    Args:
        roots: the processes
        proc: where the kernel tells of them
    """

    def __init__(self, roots: Iterable[int], proc: Path = PROC) -> None:
        self._roots = frozenset(roots)
        self._proc = proc

    @classmethod
    def behind(cls, url: str, proc: Path = PROC) -> "ProcessTree":
        """The processes that listen on the port of a URL, if it is of this machine."""
        parts = urlsplit(url)
        if not is_loopback(parts.hostname or ""):
            return cls([], proc)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        return cls(processes_that_have(listening_sockets(port, proc), proc), proc)

    def __bool__(self) -> bool:
        return bool(self._roots)

    def pids(self) -> list[int]:
        """Those that are there now."""
        parents = {}
        for folder in _processes(self._proc):
            with suppress(OSError):  # it has ended meanwhile
                parents[int(folder.name)] = int(_stat(folder)[_PARENT])
        found = set(self._roots & parents.keys())
        while more := {pid for pid in parents if parents[pid] in found} - found:
            found |= more
        return sorted(found)

    def cores(self) -> set[int]:
        """Those that they may use."""
        return {core for pid in self.pids() for core in os.sched_getaffinity(pid)}

    def cpu_s(self) -> float:
        """CPU time of all their threads so far, and of children that have ended."""
        return self._sum(_cpu_s)

    def rss_kb(self) -> float:
        """Resident memory; what they share is counted for each."""
        return self._sum(rss_kb_of)

    def threads(self) -> int | None:
        """How many they have."""
        return self._count(lambda folder: (folder / "task").iterdir())

    def files(self) -> int | None:
        """How many they have open, sockets included."""
        return self._count(lambda folder: (folder / "fd").iterdir())

    def sockets(self) -> int | None:
        """How many they have open."""
        return self._count(_sockets)

    def _count(self, entries: Callable[[Path], Iterable[object]]) -> int | None:
        if not self._roots:
            return None
        return round(self._sum(lambda folder: sum(1 for _ in entries(folder))))

    def _sum(self, figure: Callable[[Path], float]) -> float:
        if not self._roots:
            return math.nan
        total = 0.0
        for pid in self.pids():
            with suppress(OSError):  # it has ended meanwhile
                total += figure(self._proc / str(pid))
        return total


def listening_sockets(port: int, proc: Path = PROC) -> set[str]:
    """Sockets on which this machine listens at a TCP port, by the names that /proc gives them."""
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(FileNotFoundError):  # a machine without IPv6
            for line in (proc / "net" / table).read_text().splitlines()[1:]:
                columns = line.split()
                local, state, inode = columns[1], columns[3], columns[9]
                if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                    found.add(f"socket:[{inode}]")
    return found


def processes_that_have(sockets: set[str], proc: Path = PROC) -> set[int]:
    """Processes that have one of these open, as far as we may look into them."""
    found = set()
    for folder in _processes(proc):
        with suppress(OSError):  # it is somebody else's, or has ended
            if not sockets.isdisjoint(_sockets(folder)):
                found.add(int(folder.name))
    return found


def _processes(proc: Path) -> Iterator[Path]:
    return (folder for folder in proc.iterdir() if folder.name.isdigit())


def _sockets(folder: Path) -> Iterator[str]:
    """The sockets that a process has open."""
    for descriptor in (folder / "fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(descriptor)  # noqa: PTH115 # names that are no paths
            if target.startswith("socket:"):
                yield target


def _stat(folder: Path) -> list[str]:
    """What stands behind the name of the program, which may hold anything."""
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _cpu_s(folder: Path) -> float:
    ended = sum(map(int, _stat(folder)[_CPU_OF_ENDED_CHILDREN])) / os.sysconf("SC_CLK_TCK")
    return cpu_s_of(int(folder.name)) + ended
