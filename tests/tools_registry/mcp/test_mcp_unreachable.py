from typing import Any

import httpx2
import pytest
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, INTERNAL_ERROR, UNSUPPORTED_PROTOCOL_VERSION

from evibridge.tools_registry.mcp.server import McpServer
from evibridge.tools_registry.mcp.unreachable import Seen, reason_of

SECRET_URL = "https://user:s3cret@crm.example:8443/s3cret/mcp?key=s3cret"
HTTP = McpServer("crm", url=SECRET_URL, headers={"Authorization": "s3cret"})
PROCESS = McpServer("files", command=["files", "--key=s3cret"])


def reason(error: BaseException, server: McpServer = HTTP, **seen: Any) -> str:
    sentence = reason_of(server, error, Seen(**seen))
    assert sentence.startswith(f"The MCP server {server.name!r} ")
    assert sentence.endswith(".")
    assert "s3cret" not in sentence
    return sentence.removeprefix(f"The MCP server {server.name!r} ").removesuffix(".")


def mcp_error(code: int) -> MCPError:
    return MCPError(code, "s3cret")


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (FileNotFoundError("s3cret"), "there is no command 'files'; install it or check `command`"),
        (PermissionError("s3cret"), "'files' may not be executed; check its `command`"),
        (BlockingIOError("s3cret"), "cannot be started (BlockingIOError); check its `command`"),
    ],
)
def test_a_process_that_cannot_be_started(error: OSError, what: str) -> None:
    assert what in reason(error, PROCESS)


def test_a_directory_that_is_not_there() -> None:
    server = McpServer("files", command=["files"], cwd="/nowhere")
    assert reason(FileNotFoundError(), server) == (
        "cannot be started: there is no directory '/nowhere'; check its `cwd`"
    )


def test_a_process_that_has_ended() -> None:
    assert reason(mcp_error(CONNECTION_CLOSED), PROCESS, exit_code=3) == (
        "has ended (exit code 3); run its command by hand to see why, or look for mcp_stderr in "
        "the log at level debug"
    )


@pytest.mark.parametrize(
    ("server", "setting"), [(HTTP, "url"), (PROCESS, "command")], ids=["http", "process"]
)
def test_a_server_that_is_silent_or_none(server: McpServer, setting: str) -> None:
    assert reason(TimeoutError(), server) == (
        f"does not answer; check that its `{setting}` is that of an MCP server"
    )
    assert reason(ValueError("s3cret"), server) == f"does not speak MCP; check its `{setting}`"
    assert reason(mcp_error(INTERNAL_ERROR), server) == (
        f"does not speak MCP (error -32603); check its `{setting}`"
    )


def test_a_server_that_has_fallen_silent() -> None:
    assert reason(TimeoutError(), PROCESS, has_answered=True, has_nonsense=True) == (
        "does not answer any more; look at its own log"
    )


def test_a_process_that_writes_something_else() -> None:
    assert "writes to its standard output what is no MCP message" in reason(
        TimeoutError(), PROCESS, has_nonsense=True
    )


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (
            httpx2.ConnectError("All connection attempts failed"),
            (
                "cannot be reached at https://crm.example:8443 (All connection attempts failed); "
                "check its `url`, and that it runs"
            ),
        ),
        (
            httpx2.ConnectTimeout(""),
            "cannot be reached at https://crm.example:8443; check its `url`, and that it runs",
        ),
        (httpx2.InvalidURL("s3cret"), "has an address that cannot be used; check its `url`"),
        (
            httpx2.ReadError("s3cret"),
            "broke the connection to https://crm.example:8443; look at its own log",
        ),
        (
            mcp_error(CONNECTION_CLOSED),
            "broke the connection to https://crm.example:8443; look at its own log",
        ),
        (
            mcp_error(UNSUPPORTED_PROTOCOL_VERSION),
            "speaks no version of MCP that is known here; bring evibridge[mcp] up to date",
        ),
    ],
)
def test_an_address_that_leads_to_no_server(error: Exception, what: str) -> None:
    assert reason(error) == what


@pytest.mark.parametrize(
    ("status", "what"),
    [
        (401, "refuses its credentials (HTTP status 401); check its `headers`"),
        (403, "refuses its credentials (HTTP status 403); check its `headers`"),
        (307, "serves no MCP at its address (HTTP status 307); check the path of its `url`"),
        (404, "serves no MCP at its address (HTTP status 404); check the path of its `url`"),
        (502, "is out of order (HTTP status 502); look at its own log"),
        (200, "does not speak MCP (error -32603); check its `url`"),
    ],
)
def test_a_server_that_refuses(status: int, what: str) -> None:
    assert reason(mcp_error(INTERNAL_ERROR), http_status=status) == what


def test_a_server_that_was_restarted_has_forgotten_the_session() -> None:
    assert reason(mcp_error(-32600), http_status=404, has_answered=True) == (
        "has ended its session (HTTP status 404), as it does when it is restarted"
    )


def test_the_first_of_several_faults_is_told() -> None:
    inner = ExceptionGroup("s3cret", [httpx2.ConnectError("refused"), ValueError("s3cret")])
    assert "(refused)" in reason(ExceptionGroup("s3cret", [inner]))
