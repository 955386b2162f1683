"""An MCP server whose tools the model may call, as the author of an agent writes it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.conduct import Conduct, ToolOptions

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_PREFIX = re.compile(r"[A-Za-z0-9_-]{0,32}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?|")
"""Anything else makes the HTTP client raise an error that quotes the value."""


@dataclass(frozen=True, repr=False, eq=False)
class McpServer:
    """A server of the Model Context Protocol, whose tools are offered like functions.

        McpServer("crm", url="https://crm.example/mcp", headers={"Authorization": "Bearer ..."})
        McpServer("files", command=["python", "files.py"], prefix="files_", timeout=5)

    It is reached by Streamable HTTP, or started as a process that talks on its standard input and
    output. The process gets a few variables such as `PATH` and `HOME`, and `env`. `repr()` and logs
    show of all this the program or the host, and nothing that may be secret.

    Raises:
        ToolDefinitionError: something of it is missing, wrong or contradictory
    """

    name: str
    """How logs and error texts call it."""
    _: KW_ONLY
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request to the `url`."""
    command: Sequence[str] | None = None
    """The program and its arguments."""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | Path | None = None
    """Where the command runs, instead of where the service does."""
    prefix: str = ""
    """What the model's names of the tools begin with, before the server's own."""
    allow: Sequence[str] | None = None
    """Names of the tools to offer, as the server has them; `*` stands for any characters. None
    offers all."""
    timeout: float | None = None
    """Deadline of one call in seconds, instead of the service's."""
    fallback: str | None = None
    """What the model is told when a tool fails or is late."""
    holding: str | None = None
    """What the agent says when the caller has to wait: for approval, or for a slow answer."""
    holding_after_s: float | None = None
    """How slow an answer has to be for that; None leaves it to the service."""
    requires_approval: bool = False
    """Whether an operator has to approve each call."""

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and _NAME.fullmatch(self.name)):
            raise ToolDefinitionError(
                f"The name {self.name!r} of an MCP server must be 1 to 64 letters a-z, digits, _, "
                f"- or a full stop."
            )
        self._check_transport()
        if not (isinstance(self.prefix, str) and _PREFIX.fullmatch(self.prefix)):
            raise self._wrong(
                f"the prefix {self.prefix!r} must be at most 32 letters a-z, digits, _ or -"
            )
        if self.allow is not None and not _is_list_of_text(self.allow):
            raise self._wrong('`allow` must be a list of names, such as ["order_*"]')
        # The checks of the conduct are those that functions have.
        _ = self.conduct

    def __repr__(self) -> str:
        return f"McpServer({self.name!r}, {self.address!r})"

    @property
    def address(self) -> str:
        """The program, or scheme and host of the URL: paths have been used to carry keys."""
        if self.url is None:
            assert self.command is not None
            return self.command[0]
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def label(self) -> str:
        """How sentences call it."""
        return f"The MCP server {self.name!r}"

    @property
    def conduct(self) -> Conduct:
        """How each of its tools is used."""
        options: ToolOptions = {
            "timeout": self.timeout,
            "holding": self.holding,
            "holding_after_s": self.holding_after_s,
            "requires_approval": self.requires_approval,
        }
        return Conduct.of(options, f"McpServer({self.name!r})")

    def allows(self, tool: str) -> bool:
        """Tell whether a tool is to be offered, by the name that the server gives it."""
        return self.allow is None or any(_fits(tool, pattern) for pattern in self.allow)

    def _wrong(self, what: str) -> ToolDefinitionError:
        return ToolDefinitionError(f"{self.label} is not set up as it should be: {what}.")

    def _check_transport(self) -> None:
        if (self.url is None) == (self.command is None):
            raise self._wrong("give it either a `url` or a `command`")
        if self.url is not None:
            self._check_http(self.url)
        else:
            self._check_process()

    def _check_http(self, url: str) -> None:
        if self.env or self.cwd is not None:
            raise self._wrong("`env` and `cwd` are of use only with a `command`")
        if not _is_http_url(url):
            raise self._wrong("its `url` must be an address such as https://crm.example/mcp")
        if not _is_text_by_name(self.headers):
            raise self._wrong('`headers` must be names and values, such as {"X-Key": "..."}')
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name):
                raise self._wrong(f"no HTTP header can be called {name!r}")
            if not _HEADER_VALUE.fullmatch(value):
                raise self._wrong(
                    f"the value of the header {name!r} holds characters that no header may have, "
                    f"such as a line break; check where it was copied from"
                )

    def _check_process(self) -> None:
        if self.headers:
            raise self._wrong("`headers` are of use only with a `url`")
        command = self.command
        if not (_is_list_of_text(command) and command and command[0]):
            raise self._wrong('its `command` must be a list, such as ["python", "files.py"]')
        if not _is_text_by_name(self.env):
            raise self._wrong('`env` must be names and values, such as {"API_KEY": "..."}')
        for name in self.env:
            if not name or "=" in name:
                raise self._wrong(f"no environment variable can be called {name!r}")
        if "\0" in "".join([*command, *self.env, *self.env.values(), str(self.cwd)]):
            raise self._wrong("`command`, `env` and `cwd` must not hold NUL characters")


def _is_http_url(url: object) -> bool:
    if not isinstance(url, str) or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port, or the brackets of an IPv6 address
        return False


def _is_list_of_text(value: object) -> bool:
    """Tell a list of texts from one text, which is a sequence of texts as well."""
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(member, str) for member in value)
    )


def _is_text_by_name(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(part, str) for pair in value.items() for part in pair
    )


def _fits(name: str, pattern: str) -> bool:
    parts = map(re.escape, pattern.split("*"))
    return re.fullmatch(".*".join(parts), name, re.DOTALL) is not None
