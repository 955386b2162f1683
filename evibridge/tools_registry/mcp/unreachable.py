"""Why an MCP server cannot be used: one sentence for the person who set it up."""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx2
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED, UNSUPPORTED_PROTOCOL_VERSION

from evibridge.tools_registry.arguments import clip
from evibridge.tools_registry.mcp.server import McpServer

MAX_CAUSE_CHARS = 200


@dataclass(slots=True)
class Seen:
    """What a connection has shown besides MCP messages.

    Attributes:
        http_status: of the server's last answer
        exit_code: of the process, once it has ended
        has_nonsense: whether there were lines that are no messages
        has_answered: whether it has shaken hands
    """

    http_status: int | None = None
    exit_code: int | None = None
    has_nonsense: bool = False
    has_answered: bool = False


def reason_of(server: McpServer, error: BaseException, seen: Seen) -> str:
    """Tell why a server cannot be connected to, or not any more.

    No text of the server, and of the errors only those that hold no address, are in it: keys are
    part of some.
    """
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{server.label} {_what_happened(server, error, seen)}."


def _what_happened(server: McpServer, cause: BaseException, seen: Seen) -> str:
    match cause:
        case TimeoutError():
            return _silence(server, seen)
        case OSError() if server.command is not None:
            return _no_process(server, server.command[0], cause)
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            why = f" ({clip(str(cause), MAX_CAUSE_CHARS)})" if str(cause) else ""
            return f"cannot be reached at {server.address}{why}; check its `url`, and that it runs"
        case httpx2.InvalidURL() | httpx2.UnsupportedProtocol():
            return "has an address that cannot be used; check its `url`"
        case httpx2.TransportError():
            return _broken(server)
        case MCPError():
            return _refusal(server, cause, seen)
    return f"does not speak MCP; check its `{_setting(server)}`"


def _broken(server: McpServer) -> str:
    return f"broke the connection to {server.address}; look at its own log"


def _silence(server: McpServer, seen: Seen) -> str:
    if seen.has_answered:
        return "does not answer any more; look at its own log"
    if seen.has_nonsense:
        return (
            "writes to its standard output what is no MCP message; have it log to its standard "
            "error, and check its `command`"
        )
    return f"does not answer; check that its `{_setting(server)}` is that of an MCP server"


def _no_process(server: McpServer, program: str, cause: OSError) -> str:
    if server.cwd is not None and not Path(server.cwd).is_dir():
        return f"cannot be started: there is no directory {str(server.cwd)!r}; check its `cwd`"
    if isinstance(cause, FileNotFoundError):
        return f"cannot be started: there is no command {program!r}; install it or check `command`"
    if isinstance(cause, PermissionError):
        return f"cannot be started: {program!r} may not be executed; check its `command`"
    return f"cannot be started ({type(cause).__name__}); check its `command`"


def _refusal(server: McpServer, cause: MCPError, seen: Seen) -> str:
    status = seen.http_status
    if server.command is not None and cause.code == CONNECTION_CLOSED:
        return (
            f"has ended (exit code {seen.exit_code}); run its command by hand to see why, or look "
            f"for mcp_stderr in the log at level debug"
        )
    if cause.code == CONNECTION_CLOSED:
        return _broken(server)
    if seen.has_answered and status == HTTPStatus.NOT_FOUND:
        return f"has ended its session (HTTP status {status}), as it does when it is restarted"
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return f"refuses its credentials (HTTP status {status}); check its `headers`"
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"is out of order (HTTP status {status}); look at its own log"
    if status is not None and status >= HTTPStatus.MULTIPLE_CHOICES:
        return f"serves no MCP at its address (HTTP status {status}); check the path of its `url`"
    if cause.code == UNSUPPORTED_PROTOCOL_VERSION:
        return "speaks no version of MCP that is known here; bring evibridge[mcp] up to date"
    return f"does not speak MCP (error {cause.code}); check its `{_setting(server)}`"


def _setting(server: McpServer) -> str:
    return "command" if server.url is None else "url"
