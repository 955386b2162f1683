import asyncio
import io
import json
import os
import pty
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from evibridge.errors import BadMessage, CommandRefused, LinkUnreachable
from evibridge.terminal.live_lines import LiveLines
from evibridge.terminal.operator_client import OperatorClient
from evibridge.terminal.watch_command import watch
from tests.faults.proxy import Proxy, proxy
from tests.operators.test_whole_service import TOKENS, Watched, watched_service
from tests.parties import TinyEvi
from tests.processes import ROOT
from tests.terminal.stage import Terminal

pytestmark = pytest.mark.usefixtures("logging_is_undone")

PATIENCE_S = 10.0
NO_PAUSES = (0.0,) * 50


class Output(io.StringIO):
    """What is printed, for a test that waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._written = asyncio.Event()

    def write(self, text: str) -> int:
        self._written.set()
        return super().write(text)

    @property
    def lines(self) -> list[str]:
        """What is told, without times and ids."""
        lines = self.getvalue().splitlines()
        return [re.sub(r"^( *\d+:[\d.]+|\d\d:\d\d:\d\d  CA\w+) +", "", line) for line in lines]

    async def until(self, text: str) -> None:
        """Wait until this has been printed."""
        async with asyncio.timeout(PATIENCE_S):
            while text not in self.getvalue():
                self._written.clear()
                await self._written.wait()


@asynccontextmanager
async def watching(
    origin: str,
    call_id: str | None = None,
    *,
    width: int | None = None,
    pauses_s: tuple[float, ...] = NO_PAUSES,
) -> AsyncIterator[tuple[Output, Callable[[], Awaitable[None]]]]:
    """A watch: what it prints, and a way to wait for its end."""
    output = Output()
    lines = LiveLines(output, None if width is None else lambda: width)
    async with OperatorClient(origin, "glance", (0.0,)) as client:
        task = asyncio.create_task(watch(client, lines, call_id, pauses_s))

        async def end() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await task

        try:
            yield output, end
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
async def watched(evi: TinyEvi, tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched_service(evi, tmp_path) as service:
        yield service


def cut(line: Proxy) -> None:
    """Break all connections through a proxy."""
    while line._lines:
        line._lines.pop().reset()


async def test_a_call_is_watched_to_its_end(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    async with watching(watched.service.origin, twilio.call_sid[:10]) as (output, end):
        await output.until("now: listening")
        await chat.hear_user("Where is", interim=True)
        await chat.hear_user("Where is my order?")
        await chat.say("u1", "It is on its way.", 2000)
        await output.until("answers after")
        await chat.send(type="user_interruption", time=0)
        await output.until("interrupted")
        await watched.post(f"/calls/{twilio.call_sid}/pause")
        await output.until("the agent is paused")
        await twilio.hang_up()
        await end()

    assert output.lines[0] == f"Call {twilio.call_sid}"
    told = [re.sub(r"[\d.]+ m?s\b", "*", line) for line in output.lines[4:]]
    assert told == [
        "call      now: listening",
        "caller    Where is my order?",
        "agent     It is on its way.",
        "agent     answers after *",
        "agent     interrupted, heard * of *",
        "operator  ada: pause",
        "call      the agent is paused",
        "call      Caller hung up.",
    ]


async def test_interim_text_is_replaced_in_place_on_a_terminal(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    async with watching(watched.service.origin, twilio.call_sid, width=80) as (output, _):
        await output.until("now: listening")
        await chat.hear_user("Where is", interim=True)
        await output.until("Where is")
        await chat.hear_user("Where is my order?")
        await output.until("Where is my order?\n")

    assert re.search(
        r"\n\r\x1b\[K +0:[\d.]+  caller    Where is"
        r"\r\x1b\[K +0:[\d.]+  caller    Where is my order\?\n$",
        output.getvalue(),
    )


async def test_a_watch_that_is_given_up_leaves_nothing_interim(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    async with watching(watched.service.origin, twilio.call_sid, width=80) as (output, _):
        await output.until("now: listening")
        await chat.hear_user("Where is", interim=True)
        await output.until("Where is")

    assert output.getvalue().endswith("Where is\r\x1b[K")


async def test_all_calls_are_watched(watched: Watched) -> None:
    async with watching(watched.service.origin, width=200) as (output, _):
        await output.until("Calls that go on: 0.")
        twilio, chat = await watched.talk()
        await chat.hear_user("Where is", interim=True)
        await chat.hear_user("Where is my order?")
        await output.until("Where is my order?")
        await twilio.hang_up()
        await output.until("Caller hung up.")

    assert output.lines == [
        "Calls that go on: 0. Times are UTC.",
        "call      begins: phone, inbound",
        "call      the EVI server is there",
        "caller    Where is my order?",
        "call      Caller hung up.",
    ]
    assert twilio.call_sid[:10] in output.getvalue()


async def test_a_call_that_was_over_before_is_told_and_left(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    twilio, chat = await watched.talk()
    await chat.hear_user("Goodbye.")
    await twilio.hang_up()
    await watched.record(twilio.call_sid)
    terminal = Terminal(monkeypatch, capsys, TOKENS)

    ended = await terminal.run("calls", "watch", twilio.call_sid, "--url", watched.service.origin)

    assert ended.code == 0
    assert re.search(r"caller    Goodbye\.\n.*call      Caller hung up\.\n$", ended.out)


# Lost connections


async def test_a_watch_goes_on_where_it_was_lost(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    async with (
        proxy(watched.service.origin) as line,
        watching(line.origin, twilio.call_sid) as (output, end),
    ):
        await output.until("now: listening")
        for words in ("Hello?", "Hello again?"):
            cut(line)
            await chat.hear_user(words)
            await output.until(words)
        await twilio.hang_up()
        await end()

    stopped = "The connection broke. Calls go on; the live view tries again."
    assert output.lines[4:] == [
        "call      now: listening",
        *(stopped, "The live view goes on.", "caller    Hello?"),
        *(stopped, "The live view goes on.", "caller    Hello again?"),
        "call      Caller hung up.",
    ]


async def test_a_terminal_is_told_when_it_is_tried_again(watched: Watched) -> None:
    twilio, _ = await watched.talk()
    async with (
        proxy(watched.service.origin) as line,
        watching(line.origin, twilio.call_sid, width=80) as (output, _),
    ):
        await output.until("now: listening")
        cut(line)
        await output.until("The live view goes on.\n")

    assert output.getvalue().endswith(
        "the live view tries again.\n\r\x1b[KTrying again in 0 s.\r\x1b[KThe live view goes on.\n"
    )


async def test_a_service_that_does_not_come_back_is_one_sentence(watched: Watched) -> None:
    async with AsyncExitStack() as network:
        line = await network.enter_async_context(proxy(watched.service.origin))
        async with watching(line.origin, pauses_s=(0.0, 0.0)) as (output, end):
            await output.until("Calls that go on")
            await network.aclose()
            with pytest.raises(LinkUnreachable, match="cannot be reached"):
                await end()

    assert output.lines[1:] == ["The connection broke. Calls go on; the live view tries again."]


async def test_a_service_that_is_not_there_is_not_waited_for() -> None:
    async with watching("http://127.0.0.1:1") as (output, end):
        with pytest.raises(LinkUnreachable, match="cannot be reached"):
            await end()

    assert output.getvalue() == ""


async def test_a_call_that_is_not_known_is_one_sentence(watched: Watched) -> None:
    async with watching(watched.service.origin, "CA0123456789") as (_, end):
        with pytest.raises(CommandRefused, match=r"^No call has this id"):
            await end()


# Other services


@asynccontextmanager
async def telling(*connections: Sequence[str | bytes | int]) -> AsyncIterator[str]:
    """A service whose streams tell what a test says: texts, raw bytes, or a code that closes them.

    After the last one it refuses them.
    """
    left = iter(connections)

    async def stream(request: web.Request) -> web.StreamResponse:
        messages = next(left, None)
        if messages is None:
            return web.Response(status=404, text="No call has this id.")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for message in messages:
            if isinstance(message, int):
                await socket.close(code=message)
            elif isinstance(message, bytes):
                assert request.transport is not None
                request.transport.write(message)
            else:
                await socket.send_str(message)
        return socket

    app = web.Application()
    app.router.add_get("/v1/events", stream)
    app.router.add_get("/v1/calls/CA1/events", stream)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


SNAPSHOT = json.dumps(
    {"type": "snapshot", "call_id": None, "seq": 7, "at": "2026-11-28T12:00:00.000Z", "calls": []}
)


async def test_a_service_that_has_forgotten_the_call_is_not_asked_again() -> None:
    async with telling([SNAPSHOT, 1001]) as origin, watching(origin) as (output, end):
        with pytest.raises(CommandRefused, match=r"^No call has this id\.$"):
            await end()

    assert output.lines[-1] == "The service has ended. The live view tries again."


async def test_a_stream_that_ends_as_it_should_ends_the_watch() -> None:
    async with telling([1000]) as origin, watching(origin, "CA1") as (output, end):
        await end()

    assert output.getvalue() == ""


@pytest.mark.parametrize("message", ["{", "{}", "[]"])
async def test_what_cannot_be_read_is_one_sentence(message: str) -> None:
    async with telling([message]) as origin, watching(origin) as (_, end):
        with pytest.raises(BadMessage, match="of the service's version"):
            await end()


async def test_a_stream_that_breaks_its_protocol_is_lost() -> None:
    async with (
        telling([SNAPSHOT, b"\x83\x00"], [1000]) as origin,
        watching(origin) as (output, end),
    ):
        await end()

    assert output.lines[-1] == "The live view goes on."


# As it is typed


async def test_ctrl_c_ends_a_watch_quietly(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    ours, terminal = pty.openpty()
    os.set_blocking(ours, False)
    loop, output = asyncio.get_running_loop(), Output()
    loop.add_reader(ours, lambda: output.write(os.read(ours, 65_536).decode()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "evibridge", "calls", "watch", twilio.call_sid[:12],
        "--url", watched.service.origin, cwd=ROOT, stdout=terminal, stderr=PIPE,
        env={**os.environ, "EVIBRIDGE_OPERATOR_TOKEN": TOKENS, "TERM": "xterm", "NO_COLOR": "1"},
    )  # fmt: skip
    try:
        await output.until("now: listening")
        await chat.hear_user("Where is", interim=True)
        await output.until("Where is")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            _, err = await process.communicate()
        await output.until("Where is\r\x1b[K")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        loop.remove_reader(ours)
        os.close(ours)
        os.close(terminal)

    assert (process.returncode, err) == (0, b"")
