"""What the README says is true: its commands run, and no setting is missing from it."""

import asyncio
import json
import os
import re
import shlex
import signal
import socket
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest_asyncio

from evibridge.settings import Settings
from tests.processes import QUIET, ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
PATIENCE_S = 60.0


@asynccontextmanager
async def started(command: str, until: str, **variables: str) -> AsyncIterator[list[str]]:
    """A command of the README that goes on for as long as the context is open.

    What it has printed meanwhile is in the list afterwards.
    """
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command),
        cwd=ROOT,
        env={**os.environ, **QUIET, **variables},
        stdout=PIPE,
        stderr=STDOUT,
        start_new_session=True,
    )
    reading = asyncio.create_task(_wait_for(process, until))
    try:
        async with asyncio.timeout(PATIENCE_S):
            rest = await reading
        printed: list[str] = []
        yield printed
        os.killpg(process.pid, signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            printed.append((await rest).decode())
            await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def _wait_for(process: Process, until: str) -> "asyncio.Task[bytes]":
    assert process.stdout is not None
    seen = ""
    async for line in process.stdout:
        seen += line.decode()
        if until in seen:
            return asyncio.create_task(process.stdout.read())
    raise AssertionError(f"the command ended before it served:\n{seen}")


async def finished(command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *shlex.split(command), cwd=ROOT, env={**os.environ, **QUIET}, stdout=PIPE, stderr=STDOUT
    )
    async with asyncio.timeout(PATIENCE_S):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_these_are_the_commands_that_are_tried_here() -> None:
    assert COMMANDS == [
        "make run",
        '.venv/bin/evibridge call --say "Where is order 1042?"',
        '.venv/bin/evibridge call --say "Tell me a long story" --interrupt-after 2',
        ".venv/bin/evibridge run examples/bookshop.py --port 8081",
        ".venv/bin/evibridge engine --port 8765 --script examples/bookshop.yaml",
        ".venv/bin/evibridge run examples/bookshop.py --evi-url http://127.0.0.1:8765",
        ".venv/bin/evibridge tools list examples/bookshop.py",
        ".venv/bin/evibridge tools check examples/bookshop.py",
        ".venv/bin/evibridge calls watch",
        '.venv/bin/evibridge calls list --state ended --search "order"',
        "make bench",
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls() -> dict[str, str]:
    """What callers read: of `make run` and, beside it, of a bridge with an engine of its own.

    All of them at once, because they wait most of their time.
    """
    port, engine_port, bridge_port = free_port(), free_port(), free_port()
    engine = COMMANDS[4].replace("8765", engine_port)
    bridge = COMMANDS[5].replace("8765", engine_port)
    services = (
        started(COMMANDS[0], until="phone webhook", EVIBRIDGE_PORT=port),
        started(engine, until="The engine listens"),
        started(bridge, until="phone webhook", EVIBRIDGE_PORT=bridge_port),
    )
    async with AsyncExitStack() as stack:
        await asyncio.gather(*map(stack.enter_async_context, services))
        here = f"--url http://127.0.0.1:{port}"
        async with started(f"{COMMANDS[8]} {here}", until="Calls that go on: 0") as watched:
            said, interrupted, said_to_bridge = await asyncio.gather(
                finished(f"{COMMANDS[1]} {here}"),
                finished(f"{COMMANDS[2]} {here}"),
                finished(f"{COMMANDS[1]} --url http://127.0.0.1:{bridge_port}"),
            )
        found = await finished(f"{COMMANDS[9]} {here}")
    return {
        "said": said,
        "interrupted": interrupted,
        "said to the bridge": said_to_bridge,
        "watched": watched[0],
        "found": found,
    }


async def test_a_newcomer_talks_to_the_agent_after_two_commands(calls: dict[str, str]) -> None:
    assert "caller  Where is order 1042?" in calls["said"]
    assert "Friday" in calls["said"]
    _shows_what_was_heard_and_what_was_not(calls["interrupted"])


def _shows_what_was_heard_and_what_was_not(conversation: str) -> None:
    *lines, end = conversation.splitlines()
    assert end == "The call is over: the caller hung up."
    greeting, wish, story, interruption, silence, answer = lines
    assert re.fullmatch(r" +\d+\.\d s  agent   .*help.*", greeting)
    assert re.fullmatch(r" +\d+\.\d s  caller  Tell me a long story", wish)
    assert re.fullmatch(r" +\d+\.\d s  agent   .*upon a time.*", story)
    assert re.fullmatch(r" +\d+\.\d s  caller  Excuse me, .*  \(cuts in\)", interruption)
    assert re.fullmatch(
        r" +\d+\.\d s {10}\(the agent falls silent: \d+\.\d s were sent and not heard, "
        r'".*neighbou?rs.*"\)',
        silence,
    )
    assert re.fullmatch(r" +\d+\.\d s  agent   .*your time.*", answer)
    times_s = [float(line.split()[0]) for line in lines]
    assert times_s == sorted(times_s)
    assert 1.8 < times_s[3] - times_s[2] < 3.0  # printed in tenths


async def test_the_engine_serves_alone_and_a_bridge_uses_it(calls: dict[str, str]) -> None:
    assert "Friday" in calls["said to the bridge"]


async def test_calls_are_watched_and_found_afterwards(calls: dict[str, str]) -> None:
    assert re.search(r"  caller +Where is order 1042\?\n", calls["watched"])
    assert re.search(r"  call +Caller hung up\.\n", calls["watched"])
    assert re.search(r"^ended .+Caller hung up", calls["found"], re.MULTILINE)


async def test_another_port_can_be_given() -> None:
    port = free_port()
    async with started(COMMANDS[3].replace("8081", port), until=f"127.0.0.1:{port}"):
        pass


async def test_the_tools_can_be_looked_at_and_checked() -> None:
    listed, checked = await asyncio.gather(finished(COMMANDS[6]), finished(COMMANDS[7]))

    assert [tool["name"] for tool in json.loads(listed)] == [
        "order_status",
        "find_book",
        "reserve_book",
    ]
    assert checked.startswith("3 tools")


async def test_the_benchmarks_are_started_by_make() -> None:
    assert "-m benchmarks" in await finished(f"{COMMANDS[10]} --dry-run")


def test_every_setting_is_in_the_readme() -> None:
    for name, field in Settings.model_fields.items():
        variable = field.validation_alias or f"EVIBRIDGE_{name.upper()}"
        assert f"`{variable}`" in README
