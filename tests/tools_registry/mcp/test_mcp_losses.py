"""Servers that cannot be reached, and connections that break."""

import asyncio
import logging.handlers
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from evibridge.tools_registry.mcp import connection as mcp_connection
from evibridge.tools_registry.mcp import connections as mcp_connections
from evibridge.tools_registry.mcp import process as mcp_process
from evibridge.tools_registry.mcp import session as mcp_session
from evibridge.tools_registry.mcp.connection import McpConnection, backoff_delays
from evibridge.tools_registry.mcp.connections import McpConnections
from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.outcome import ToolFailure, ToolOutcome, ToolResult
from tests.tools_registry.mcp.stage import (
    Log,
    at_once,
    http_shop,
    logged,
    never,
    other_tasks,
    plain_server,
    run,
)

connected = mcp_connections.mcp_connections

NOT_CONNECTED = ToolFailure(
    "The tool echo cannot be used: the MCP server plain is not connected.",
    "Sorry.",
    "unavailable",
)


def code_of(outcome: ToolOutcome) -> str | None:
    return outcome.code if isinstance(outcome, ToolFailure) else None


async def pid_of(connections: McpConnections) -> int:
    outcome = await run(connections, "pid")
    assert isinstance(outcome, ToolResult)
    return int(outcome.content)


def process(program: str, **options: Any) -> McpServer:
    return McpServer("crm", command=[sys.executable, "-ESc", program], **options)


# At the start


async def fault_of(server: McpServer) -> str:
    """Why a server is not connected, and what the log says of it."""
    with logged() as log:
        async with connected([server], never) as connections:
            assert connections.tools == {}
            sentence = connections.faults[server.name]
        assert other_tasks() == set()
    (line,) = log.of("mcp_unreachable", server=server.name)
    assert line["reason"] == sentence
    return sentence.removeprefix("The MCP server 'crm' ").removesuffix(".")


async def test_a_command_that_does_not_exist() -> None:
    assert await fault_of(McpServer("crm", command=["no-such-command"])) == (
        "cannot be started: there is no command 'no-such-command'; install it or check `command`"
    )


async def test_a_command_that_may_not_be_executed(tmp_path: Path) -> None:
    (tmp_path / "crm").write_text("#!/bin/sh\n")
    sentence = await fault_of(McpServer("crm", command=[str(tmp_path / "crm")]))
    assert "may not be executed; check its `command`" in sentence


async def test_a_directory_that_does_not_exist() -> None:
    assert await fault_of(process("", cwd="/nowhere")) == (
        "cannot be started: there is no directory '/nowhere'; check its `cwd`"
    )


async def test_a_command_that_ends_at_once_and_whose_last_words_are_in_the_log() -> None:
    with logged() as log:
        async with connected([plain_server("dying")], never) as connections:
            assert connections.faults["plain"] == (
                "The MCP server 'plain' has ended (exit code 3); run its command by hand to see "
                "why, or look for mcp_stderr in the log at level debug."
            )
    (line,) = log.of("mcp_stderr")
    assert (line["line"], line["level"]) == ("I am dying.", "debug")


@pytest.mark.parametrize(
    ("manners", "what"),
    [
        (["deaf"], "does not answer; check that its `command` is that of an MCP server"),
        (
            ["noisy", "mute"],
            (
                "writes to its standard output what is no MCP message; have it log to its standard "
                "error, and check its `command`"
            ),
        ),
        (["foreign"], "does not speak MCP; check its `command`"),
        (["odd"], "does not speak MCP; check its `command`"),
    ],
)
async def test_a_command_that_is_no_mcp_server(
    manners: list[str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_session, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(mcp_process, "END_WITHIN_S", 0.1)
    assert await fault_of(plain_server(*manners, name="crm")) == what


async def test_a_server_that_says_more_than_messages_is_used_all_the_same() -> None:
    handler = logging.handlers.BufferingHandler(100)
    logging.getLogger().addHandler(handler)
    try:
        async with connected([plain_server("noisy")]) as connections:
            assert await run(connections, "noisy") == ToolResult("{}")
            assert await run(connections, "odd_result") != ToolResult("{}")
    finally:
        logging.getLogger().removeHandler(handler)
    assert handler.buffer == []  # the package would log the texts


async def test_leaving_while_a_connection_breaks_takes_no_time() -> None:
    async with asyncio.timeout(5):
        async with connected([plain_server()], never) as connections:
            os.kill(await pid_of(connections), 9)
            assert code_of(await run(connections, "mute")) == "unavailable"
    assert other_tasks() == set()


async def test_the_start_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_connections, "START_WITHIN_S", 0.2)
    monkeypatch.setattr(mcp_process, "END_WITHIN_S", 0.1)
    async with connected([plain_server("deaf"), plain_server(name="other")], never) as connections:
        assert connections.faults["plain"] == (
            "The MCP server 'plain' has not answered yet; it is waited for."
        )
    assert other_tasks() == set()


async def test_an_outage_is_logged_once_however_often_it_is_tried() -> None:
    attempts = 0

    def counted() -> Any:
        nonlocal attempts
        for delay_s in at_once():
            attempts += 1
            if attempts == 3:
                done.set()
            yield delay_s

    done = asyncio.Event()
    with logged() as log:
        async with connected([process("")], counted), asyncio.timeout(20):
            await done.wait()
    assert len(log.of("mcp_unreachable")) == 1


# Broken


async def test_a_process_that_dies_in_a_call_is_started_again() -> None:
    with logged() as log:
        async with connected([plain_server(fallback="Sorry.")], at_once) as connections:
            first = await pid_of(connections)
            assert await run(connections, "dying") == ToolFailure(
                "The tool dying cannot be used: the MCP server plain broke the connection.",
                "Sorry.",
                "unavailable",
            )
            line = await log.told("mcp_disconnected", server="plain")
            assert "has ended (exit code 3)" in line["reason"]
            await log.told("mcp_connected", server="plain", times=2)
            assert connections.faults == {}
            assert await pid_of(connections) != first
    assert log.of("mcp_unreachable") == []


async def test_while_a_server_is_away_its_tools_stay_and_fail_at_once() -> None:
    with logged() as log:
        async with connected([plain_server(fallback="Sorry.")], never) as connections:
            os.kill(await pid_of(connections), 9)
            await log.told("mcp_disconnected")
            assert "echo" in connections.tools
            assert "exit code -9" in connections.faults["plain"]
            async with asyncio.timeout(1):
                assert await run(connections, "echo") == NOT_CONNECTED


async def test_all_calls_of_a_process_that_is_killed_end() -> None:
    async with connected([plain_server()], never) as connections:
        pid = await pid_of(connections)
        calls = [asyncio.create_task(run(connections, "mute")) for _ in range(3)]
        for _ in range(100):  # they reach the server
            await asyncio.sleep(0)
        os.kill(pid, 9)
        assert {code_of(await call) for call in calls} == {"unavailable"}


async def test_a_server_over_http_that_is_killed_and_comes_back_is_used_again() -> None:
    with logged() as log, http_shop() as shop:
        server = shop.server(allow=["order_status", "wait"], fallback="Sorry.")
        async with connected([server], at_once) as connections:
            waiting = asyncio.create_task(run(connections, "wait"))
            await run(connections, "order_status", order_id="1")
            shop.kill()
            assert code_of(await waiting) == "unavailable"
            await log.told("mcp_disconnected", server="http")
            await log.told("mcp_unreachable", server="http")
            assert code_of(await run(connections, "order_status", order_id="1")) == "unavailable"
            shop.start()
            await log.told("mcp_connected", server="http", times=2)
            outcome = await run(connections, "order_status", order_id="1")
            assert outcome == ToolResult("Order 1 is on its way, 1 times.")
    assert other_tasks() == set()


async def test_a_server_that_answers_no_ping_any_more_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_connection, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(mcp_session, "PING_TIMEOUT_S", 0.05)
    with logged() as log:
        async with connected([plain_server()], at_once) as connections:
            assert code_of(await run(connections, "mute", timeout_s=0.05)) == "timeout"
            line = await log.told("mcp_disconnected")
            assert "does not answer any more" in line["reason"]
            await log.told("mcp_connected", times=2)


@pytest.mark.parametrize("manners", [[], ["talkative"], ["modern"]])
async def test_any_answer_to_a_ping_is_a_sign_of_life(
    manners: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_connection, "PING_EVERY_S", 0.01)
    pings = asyncio.Semaphore(0)
    ping = mcp_session.McpSession.ping

    async def counted(session: mcp_session.McpSession) -> bool:
        pings.release()
        return await ping(session)

    monkeypatch.setattr(mcp_session.McpSession, "ping", counted)
    async with connected([plain_server(*manners)]) as connections, asyncio.timeout(10):
        for _ in range(5):
            await pings.acquire()
        assert connections.faults == {}


async def test_a_process_that_reads_no_more_does_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_process, "MAX_BEHIND_BYTES", 50_000)
    monkeypatch.setattr(mcp_process, "END_WITHIN_S", 0.1)
    async with connected([plain_server()], never) as connections:
        assert code_of(await run(connections, "deaf", timeout_s=0.1)) == "timeout"
        codes = [
            code_of(await run(connections, "echo", timeout_s=0.05, a="x" * 60_000))
            for _ in range(6)
        ]
        assert codes[0] == "timeout"
        assert codes[-1] == "unavailable"


async def test_a_line_without_end_is_dropped_and_the_server_is_used_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_process, "MAX_MESSAGE_BYTES", 20_000)
    async with connected([plain_server()], never) as connections:
        outcome = await run(connections, "echo", timeout_s=0.3, a="x" * 50_000)
        assert code_of(outcome) == "timeout"
        assert await run(connections, "echo", a=1) == ToolResult('{"a": 1}')
        assert connections.faults == {}


# Answers that are none


@pytest.mark.parametrize(
    ("error", "code", "content"),
    [
        (-32602, "mcp_error", "No."),
        (1066, "mcp_error", "No."),
        (-32603, "unavailable", None),
        (-32020, "unavailable", None),
        (-32000, "unavailable", None),
    ],
)
async def test_errors_of_the_protocol_are_told_to_the_model_if_it_can_act_on_them(
    error: int, code: str, content: str | None
) -> None:
    async with connected([plain_server()]) as connections:
        outcome = await run(connections, "error", code=error)
        assert isinstance(outcome, ToolFailure)
        assert (outcome.code, outcome.content) == (code, content)
        assert await run(connections, "echo", a=1) == ToolResult('{"a": 1}')
        assert connections.faults == {}


async def test_a_result_that_is_none_is_a_failure() -> None:
    async with connected([plain_server(fallback="Sorry.")]) as connections:
        assert await run(connections, "odd_result") == ToolFailure(
            "The tool odd_result cannot be used: the MCP server plain sent a result that cannot "
            "be read.",
            "Sorry.",
            "unavailable",
        )


# The list of tools


async def test_changes_of_the_list_are_read_together() -> None:
    with logged() as log:
        async with connected([plain_server()]) as connections:
            await run(connections, "add", names=["one", "two", "three"])
            await log.told("mcp_tools_changed", server="plain")
            assert await run(connections, "three", a=1) == ToolResult('{"a": 1}')
    assert len(log.of("mcp_tools_changed")) == 1


async def test_a_list_that_changes_all_the_time_is_read_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    enough = asyncio.Event()

    async def noted(_: mcp_session.McpSession, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 8:
            enough.set()

    monkeypatch.setattr(mcp_session.McpSession, "pause", noted)
    monkeypatch.setattr(mcp_connection, "CALM_AFTER_S", 600.0)
    async with connected([plain_server("restless")]), asyncio.timeout(20):
        await enough.wait()
    assert pauses[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]


async def test_a_list_that_changes_after_a_while_is_read_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    enough = asyncio.Event()

    async def noted(_: mcp_session.McpSession, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            enough.set()

    monkeypatch.setattr(mcp_session.McpSession, "pause", noted)
    monkeypatch.setattr(mcp_connection, "CALM_AFTER_S", -1.0)
    async with connected([plain_server("restless")]), asyncio.timeout(20):
        await enough.wait()
    assert pauses[:3] == [0.5, 0.5, 0.5]


async def test_a_loss_is_noticed_while_a_change_of_the_list_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_connection, "RELIST_AFTER_S", 600.0)
    with logged() as log:
        async with connected([plain_server("restless")], at_once) as connections:
            os.kill(await pid_of(connections), 9)
            await log.told("mcp_connected", times=2)


async def test_a_list_without_end_is_read_for_a_while() -> None:
    with logged() as log:
        async with connected([plain_server("endless")]) as connections:
            assert len(connections.tools) == 128
    assert log.of("mcp_tool_left_out")[0] == {
        "event": "mcp_tool_left_out",
        "level": "warning",
        "server": "plain",
        "tool": "*",
        "reason": "The MCP server 'plain' lists more tools than are read; the rest is left out.",
    }


async def test_of_many_reasons_the_log_has_some_and_says_so_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_connection, "MAX_REASONS", 3)
    with logged() as log:
        async with connected([plain_server("endless")], never):
            pass
    lines = log.of("mcp_tool_left_out")
    assert [line["tool"] for line in lines] == ["*", "tool128", "tool129", "*"]
    assert lines[-1]["reason"] == (
        "The MCP server 'plain' has more tools that are left out; they are not logged."
    )


async def test_a_list_of_many_pages_is_read_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_session, "MAX_PAGES", 2)
    async with connected([plain_server()]) as connections:
        assert list(connections.tools) == ["echo", "error", "odd_result", "add"]


async def test_news_of_tools_that_a_server_gives_up_are_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_session, "LISTEN_AGAIN_S", 0.01)
    with logged() as log:
        async with connected([plain_server("modern", "fickle")]) as connections:
            await log.told("mcp_stderr", line="listened", times=3)
            assert await run(connections, "echo", a=1) == ToolResult('{"a": 1}')
            assert connections.faults == {}


async def test_a_call_that_shows_the_list_to_be_old_has_it_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_connection, "RELIST_AFTER_S", 0.0)
    with logged() as log:
        async with connected([plain_server()]) as connections:
            outcome = await run(connections, "error", code=-32020, names=["late"])
            assert code_of(outcome) == "unavailable"
            await log.told("mcp_tools_changed")
            assert "late" in connections.tools


async def test_what_is_left_out_is_logged_once_and_not_after_every_loss() -> None:
    with logged() as log:
        async with connected([plain_server("endless")], at_once) as connections:
            lines = len(log.of("mcp_tool_left_out"))
            assert lines > 1
            connection = connections._connections[0]
            assert connection._session is not None
            connection._session.on_end()
            await log.told("mcp_connected", times=2)
            assert len(log.of("mcp_tool_left_out")) == lines


# The end


async def test_a_process_that_does_not_want_to_end_is_killed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mcp_process, "END_WITHIN_S", 0.1)
    note = tmp_path / "pid"
    stubborn = process(
        f"import os, pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )
    monkeypatch.setattr(mcp_connections, "START_WITHIN_S", 1.0)
    async with connected([stubborn], never):
        pass
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
    assert other_tasks() == set()


async def test_closing_is_bounded_and_leaves_no_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mcp_connections, "CLOSE_WITHIN_S", 0.1)
    async with connected([plain_server()], never) as connections:
        pid = await pid_of(connections)
        assert code_of(await run(connections, "deaf", timeout_s=0.05)) == "timeout"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert other_tasks() == set()


# Delays


def test_delays_double_up_to_half_a_minute_with_some_of_it_left_to_chance() -> None:
    delays = backoff_delays()
    for longest_s in (0.5, 1, 2, 4, 8, 16, 30, 30, 30):
        assert longest_s / 2 <= next(delays) <= longest_s


@pytest.mark.parametrize(("stable_s", "outages"), [(0.0, 2), (600.0, 1)])
async def test_delays_begin_anew_after_a_connection_that_was_stable(
    stable_s: float, outages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_connection, "STABLE_S", stable_s)
    begun = 0

    def counted() -> Any:
        nonlocal begun
        begun += 1
        return at_once()

    with logged() as log:
        async with connected([plain_server()], counted) as connections:
            os.kill(await pid_of(connections), 9)
            await log.told("mcp_connected", times=2)
    assert begun == outages


def test_a_connection_that_was_never_tried_says_so() -> None:
    connection = McpConnection(McpServer("crm", command=["crm"]))
    assert connection.fault == "The MCP server 'crm' has not answered yet; it is waited for."
    assert connection.tools == {}
    assert Log().lines == []
