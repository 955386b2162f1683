import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification

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
