import asyncio

from structlog.testing import capture_logs

from evibridge.tools_registry.mcp.stderr import MAX_LINE_CHARS, MAX_LINES, logged_stderr


async def logged(text: str) -> list[str]:
    """What of a process's standard error reaches the log."""
    with capture_logs() as logs:
        async with logged_stderr("files") as stderr:
            process = await asyncio.create_subprocess_exec(
                "cat", stdin=asyncio.subprocess.PIPE, stdout=stderr
            )
            stderr.close()
            await process.communicate(text.encode())
    expected = {"event": "mcp_stderr", "server": "files", "log_level": "debug"}
    assert all(expected.items() <= line.items() for line in logs)
    return [line["line"] for line in logs]


async def test_lines_are_logged_each_by_itself_and_the_last_one_without_its_end() -> None:
    assert await logged("starting\n\n  half a pair: \x1b[31m\nended") == [
        "starting",
        "  half a pair: \x1b[31m",
        "ended",
    ]


async def test_lines_are_clipped_and_counted() -> None:
    lines = await logged("x" * 100_000 + "\n" + "y\n" * (MAX_LINES + 10))
    assert len(lines[0]) == MAX_LINE_CHARS
    assert len(lines) == MAX_LINES


async def test_a_process_that_lives_on_with_the_file_is_not_waited_for_long() -> None:
    async with asyncio.timeout(10), logged_stderr("files") as stderr:
        process = await asyncio.create_subprocess_exec("sleep", "60", stdout=stderr)
        stderr.close()
    process.kill()
    await process.wait()
