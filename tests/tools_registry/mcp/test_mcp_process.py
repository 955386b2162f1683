import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification

from evibridge.tools_registry.mcp import process as mcp_process
from evibridge.tools_registry.mcp.process import run_process
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.mcp.unreachable import Seen

MESSAGE = SessionMessage(JSONRPCNotification(jsonrpc="2.0", method="notifications/x"))


def process(program: str) -> McpServer:
    return McpServer("crm", command=[sys.executable, "-ESc", program])


async def send_for_ever(messages: Any) -> None:
    while True:
        await messages.send(MESSAGE)
        await asyncio.sleep(0)


async def test_messages_are_lines_and_what_is_none_is_an_error() -> None:
    seen = Seen()
    program = """
import sys
from typing import Any
print(sys.stdin.readline().strip())
print("Welcome!")
sys.exit(3)
"""
    async with asyncio.timeout(10), run_process(process(program), seen) as (output, messages):
        await messages.send(MESSAGE)
        echo = await anext(output)
        assert isinstance(echo, SessionMessage)
        assert echo.message == MESSAGE.message
        assert isinstance(await anext(output), ValueError)
        with pytest.raises(StopAsyncIteration):
            await anext(output)
    assert seen.exit_code == 3


async def test_a_process_that_has_ended_is_a_closed_stream() -> None:
    async with asyncio.timeout(10), run_process(process(""), Seen()) as (output, messages):
        with pytest.raises(StopAsyncIteration):
            await anext(output)
        with pytest.raises(anyio.ClosedResourceError):
            await send_for_ever(messages)


async def test_who_waits_for_a_process_to_read_learns_that_it_has_ended(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    program = f"""
import os, pathlib, time
pathlib.Path({str(note)!r}).write_text(str(os.getpid()))
print(flush=True)
time.sleep(600)
"""
    large = JSONRPCNotification(
        jsonrpc="2.0", method="notifications/x", params={"a": "x" * 500_000}
    )
    async with asyncio.timeout(10), run_process(process(program), Seen()) as (output, messages):
        assert isinstance(await anext(output), ValueError)
        sending = asyncio.create_task(messages.send(SessionMessage(large)))
        await asyncio.sleep(0)
        assert not sending.done()
        os.kill(int(note.read_text()), 9)
        with pytest.raises(anyio.ClosedResourceError):
            await sending


async def pids_of(output: Any) -> list[int]:
    """The processes that a program tells of, once the first of them has ended."""
    item = await anext(output)
    pids = [int(pid) for pid in item.message.method.split()]
    with suppress(ProcessLookupError):
        while True:
            os.kill(pids[0], 0)
            await asyncio.sleep(0)
    await some_turns()
    return pids


async def some_turns() -> None:
    """Let the event loop learn what has happened."""
    for _ in range(100):
        await asyncio.sleep(0)


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def parent(*, errors: Path, is_apart: bool) -> McpServer:
    """Ends at once, and leaves behind a child that has its pipes."""
    return process(f"""
import os, subprocess, sys
with open({str(errors)!r}, "w") as errors:
    child = subprocess.Popen(["sleep", "600"], stderr=errors, start_new_session={is_apart})
print('{{"jsonrpc": "2.0", "method": "%d %d"}}' % (os.getpid(), child.pid), flush=True)
os._exit(3)
""")


async def test_a_child_does_not_outlive_a_process_that_has_ended_before(tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    os.mkfifo(errors)
    reading = os.open(errors, os.O_RDONLY | os.O_NONBLOCK)
    is_closed = asyncio.Event()
    seen = Seen()
    try:
        async with asyncio.timeout(10):
            async with run_process(parent(errors=errors, is_apart=False), seen) as (output, _):
                await pids_of(output)
            asyncio.get_running_loop().add_reader(reading, is_closed.set)
            await is_closed.wait()
    finally:
        asyncio.get_running_loop().remove_reader(reading)
        os.close(reading)
    assert seen.exit_code == 3


async def test_a_child_in_a_session_of_its_own_does_not_keep_our_pipes_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_process, "END_WITHIN_S", 0.1)
    server = parent(errors=Path(os.devnull), is_apart=True)
    counts: list[int] = []
    children: list[int] = []
    async with asyncio.timeout(10):
        try:
            for _ in range(2):  # the event loop opens some for itself, once
                async with run_process(server, Seen()) as (output, _):
                    children.append((await pids_of(output))[1])
                await some_turns()
                counts.append(open_files())
        finally:
            for child in children:
                os.kill(child, signal.SIGKILL)
    assert counts[0] == counts[1]
