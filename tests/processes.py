"""Running the commands as processes of their own."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 15.0
LOG_TIMEOUT_S = 10.0
MAX_LINE_BYTES = 4 * 1024 * 1024
"""Of a log: a process whose log is not read any more hangs."""
QUIET = dict.fromkeys(
    (
        "EVIBRIDGE_ENGINE_CONFIG",
        "EVIBRIDGE_ENGINE_KEYS",
        "EVIBRIDGE_EVI_URL",
        "EVIBRIDGE_MODEL",
        "EVIBRIDGE_PUBLIC_URL",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "TWILIO_AUTH_TOKEN",
    ),
    "",
)


async def start(*arguments: str, module: str = "evibridge", **variables: str) -> Process:
    """`evibridge ARGUMENTS...` with nothing but these settings in its environment."""
    environment = {**os.environ, **QUIET, "EVIBRIDGE_LOG_FORMAT": "json", **variables}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments,
        cwd=ROOT, env=environment, stdout=PIPE, stderr=PIPE, limit=MAX_LINE_BYTES,
    )  # fmt: skip


async def finish(process: Process, timeout_s: float = 60.0) -> tuple[int, str, str]:
    """Wait for a command's end; returns exit code, output and error output."""
    async with asyncio.timeout(timeout_s):
        out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


class Running:
    """A service that serves until the test is over."""

    def __init__(self, process: Process, origin: str) -> None:
        self.process = process
        self.origin = origin
        self.log: list[str] = []
        self._events: list[dict[str, Any]] = []
        self._logged = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            async with self._logged:
                self.log.append(line.decode())
                if line.startswith(b"{"):
                    self._events.append(json.loads(line))
                self._logged.notify_all()

    def logged(self, event: str, **attributes: Any) -> list[dict[str, Any]]:
        """The lines of its log that tell of this event, with these attributes."""
        wanted = {"event": event, **attributes}.items()
        return [line for line in self._events if wanted <= line.items()]

    async def told(
        self, event: str, *, times: int = 1, within_s: float = LOG_TIMEOUT_S, **attributes: Any
    ) -> dict[str, Any]:
        """Wait until its log tells of this event for the `times`th time; returns that line."""
        async with asyncio.timeout(within_s), self._logged:
            while len(lines := self.logged(event, **attributes)) < times:
                await self._logged.wait()
        return lines[times - 1]

    async def ended(self, within_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the process to end by itself; returns its exit code."""
        async with asyncio.timeout(within_s):
            code = await self.process.wait()
            await self._reader
        return code

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        return await self.ended()


@asynccontextmanager
async def running(
    *arguments: str, announced_by: str, module: str = "evibridge", **variables: str
) -> AsyncIterator[Running]:
    """A long-running command, once it has printed a line with its origin."""
    process = await start(*arguments, module=module, **variables)
    try:
        service = Running(process, await _origin(process, announced_by))
        yield service
        await service.stop()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _origin(process: Process, announced_by: str) -> str:
    assert process.stderr is not None
    seen = ""
    async with asyncio.timeout(START_TIMEOUT_S):
        async for line in process.stderr:
            seen += line.decode()
            if announced_by in seen.splitlines()[-1]:
                address = seen.splitlines()[-1].partition("http://")[2]
                return f"http://{address.split('/')[0].split()[0]}"
    raise AssertionError(f"the command ended before it served:\n{seen}")


def run_service(*more: str, **variables: str) -> AbstractAsyncContextManager[Running]:
    """The example on a free port, with the embedded engine."""
    return running(
        "run", "examples/bookshop.py", "--port", "0", *more,
        announced_by="phone webhook", **variables,
    )  # fmt: skip
