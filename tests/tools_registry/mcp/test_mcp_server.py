from pathlib import Path
from typing import Any

import pytest

from evibridge.errors import ToolDefinitionError
from evibridge.tools_registry.conduct import HOLDING_AFTER_S, Conduct
from evibridge.tools_registry.mcp.server import McpServer

URL = "https://crm.example/mcp"


def fault_of(name: Any = "crm", **options: Any) -> str:
    with pytest.raises(ToolDefinitionError) as fault:
        McpServer(name, **options)
    return str(fault.value)


def test_a_server_is_an_address_or_a_command() -> None:
    assert McpServer("crm", url=URL).address == "https://crm.example"
    assert McpServer("files", command=["python", "files.py"], cwd=Path("/tmp")).address == "python"


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, 7])
def test_a_name_fits_into_a_log(name: object) -> None:
    assert fault_of(name, url=URL) == (
        f"The name {name!r} of an MCP server must be 1 to 64 letters a-z, digits, _, "
        f"- or a full stop."
    )


@pytest.mark.parametrize("both_or_none", [{}, {"url": URL, "command": ["python"]}])
def test_there_is_exactly_one_way_to_reach_it(both_or_none: dict[str, Any]) -> None:
    assert fault_of(**both_or_none) == (
        "The MCP server 'crm' is not set up as it should be: give it either a `url` or a `command`."
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"url": "crm.example/mcp"}, "its `url` must be an address such as"),
        ({"url": "ftp://crm.example"}, "its `url` must be"),
        ({"url": "http://"}, "its `url` must be"),
        ({"url": "http://crm.example:port/"}, "its `url` must be"),
        ({"url": "http://crm.example:0/"}, "its `url` must be"),
        ({"url": "http://crm.example/a b"}, "its `url` must be"),
        ({"url": "http://crm.example/\n"}, "its `url` must be"),
        ({"url": 7}, "its `url` must be"),
        ({"url": URL, "headers": ["X-Key"]}, "`headers` must be names and values"),
        ({"url": URL, "headers": {"X-Key": 7}}, "`headers` must be names and values"),
        ({"url": URL, "headers": {"X Key": "7"}}, "no HTTP header can be called 'X Key'"),
        ({"url": URL, "env": {"A": "b"}}, "`env` and `cwd` are of use only with a `command`"),
        ({"url": URL, "cwd": "/tmp"}, "`env` and `cwd` are of use only with a `command`"),
        ({"command": []}, "its `command` must be a list"),
        ({"command": [""]}, "its `command` must be a list"),
        ({"command": "python files.py"}, "its `command` must be a list"),
        ({"command": ["python", 7]}, "its `command` must be a list"),
        ({"command": ["python"], "headers": {"a": "b"}}, "`headers` are of use only with a `url`"),
        ({"command": ["python"], "env": {"A": 7}}, "`env` must be names and values"),
        ({"command": ["python"], "env": {"A=B": "c"}}, "no environment variable can be called"),
        ({"command": ["python"], "env": {"": "c"}}, "no environment variable can be called ''"),
        ({"command": ["python", "\0"]}, "must not hold NUL characters"),
        ({"command": ["python"], "env": {"A": "\0"}}, "must not hold NUL characters"),
        ({"command": ["python"], "cwd": "\0"}, "must not hold NUL characters"),
        ({"url": URL, "prefix": "crm."}, "the prefix 'crm.' must be at most 32 letters"),
        ({"url": URL, "prefix": "x" * 33}, "must be at most 32 letters"),
        ({"url": URL, "prefix": None}, "must be at most 32 letters"),
        ({"url": URL, "allow": "order_*"}, "`allow` must be a list of names"),
        ({"url": URL, "allow": [7]}, "`allow` must be a list of names"),
    ],
)
def test_what_is_wrong_is_said_with_the_name_of_the_server(
    options: dict[str, Any], what: str
) -> None:
    sentence = fault_of(**options)
    assert sentence.startswith("The MCP server 'crm' is not set up as it should be: ")
    assert what in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("value", ["Bearer s3cret\n", "s3cret\r\nX: y", "s3crét", " s3cret"])
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(value: str) -> None:
    sentence = fault_of(url=URL, headers={"Authorization": value})
    assert "'Authorization' holds characters that no header may have" in sentence
    assert "s3cr" not in sentence


@pytest.mark.parametrize("value", ["", "x", "Bearer abc def==", "a\tb"])
def test_headers_may_be_what_http_allows(value: str) -> None:
    assert McpServer("crm", url=URL, headers={"X-Key": value}).headers == {"X-Key": value}


def test_its_tools_are_used_as_functions_with_the_same_options_are() -> None:
    server = McpServer("crm", url=URL, timeout=5, holding="One moment.", requires_approval=True)
    assert server.conduct == Conduct(5, "One moment.", HOLDING_AFTER_S, requires_approval=True)
    assert McpServer("crm", url=URL).conduct == Conduct()


def test_holding_may_come_sooner_or_later() -> None:
    server = McpServer("crm", url=URL, holding="One moment.", holding_after_s=0.5)
    assert server.conduct.holding_after_s == 0.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"timeout": 0}, "The timeout of McpServer('crm') must be more than 0 seconds, not 0."),
        ({"holding": " "}, "The holding sentence of McpServer('crm') holds no words."),
        (
            {"holding_after_s": 3.0},
            (
                "McpServer('crm') has a `holding_after_s` and nothing to say then; "
                "give it a `holding`."
            ),
        ),
    ],
)
def test_the_conduct_is_checked_as_that_of_functions_is(
    options: dict[str, Any], sentence: str
) -> None:
    assert fault_of(url=URL, **options) == sentence


def test_nothing_that_may_be_secret_is_shown() -> None:
    servers = [
        McpServer(
            "crm",
            url="https://user:s3cret@crm.example:8443/s3cret/mcp?key=s3cret",
            headers={"Authorization": "Bearer s3cret"},
        ),
        McpServer("files", command=["files", "--key=s3cret"], env={"API_KEY": "s3cret"}),
    ]
    assert [repr(server) for server in servers] == [
        "McpServer('crm', 'https://crm.example:8443')",
        "McpServer('files', 'files')",
    ]


@pytest.mark.parametrize(
    ("allow", "tool", "allowed"),
    [
        (None, "anything", True),
        ([], "anything", False),
        (["order_status"], "order_status", True),
        (["order_status"], "order_status_of_all", False),
        (["order_*"], "order_status", True),
        (["order_*"], "reorder_all", False),
        (["x", "*_status"], "order_status", True),
        (["order.*"], "order_status", False),
        (["order[1]"], "order1", False),
        (["*"], "two\nlines", True),
    ],
)
def test_tools_are_allowed_by_name_with_stars_for_any_characters(
    allow: list[str] | None, tool: str, allowed: bool
) -> None:
    assert McpServer("crm", url=URL, allow=allow).allows(tool) is allowed
