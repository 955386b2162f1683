import asyncio
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from evibridge.cli import main
from tests.processes import ROOT, finish, start

SHOP = '''
import asyncio, time
from evibridge import Agent, ToolContext, ToolError, ToolUnavailable, Tools

print("the shop opens")
tools = Tools()

@tools.tool(fallback="Das weiß ich gerade nicht.")
def order_status(order_id: str) -> str:
    """Sagt, wo eine Bestellung bleibt.

    Args:
        order_id: the number on the receipt
    """
    print("looking it up")
    if order_id == "0":
        raise ToolError("There is no order 0.", code="no_order")
    if order_id == "1":
        raise ToolUnavailable("has no database")
    return f"Order {order_id} is in Köln."

@tools.tool
async def who_calls(call: ToolContext) -> dict:
    """Tell what is known of the call."""
    return {
        "ids": [call.call_id, call.chat_id], "use": call.tool_call_id,
        "numbers": [call.caller, call.called], "digits": call.digits,
    }

@tools.tool
async def act(call: ToolContext) -> None:
    """Do all that can be done to a call."""
    call.say("One moment.")
    call.set_context("The caller is in a hurry.")
    call.set_context(None)
    call.send_digits("12#")
    call.transfer("+14155550101")
    call.hang_up()
    call.end_with("Goodbye.")

@tools.tool
def break_down(card: str) -> str:
    """Fail."""
    raise RuntimeError("the shelf is empty")

@tools.tool(holding="I am still looking.", holding_after_s=0.001)
async def look_long() -> str:
    """Look for something."""
    await asyncio.sleep(0.05)
    return "found"

@tools.tool(holding="I have to ask.", requires_approval=True, timeout=3)
async def refund() -> str:
    """Pay back."""
    return "paid"

@tools.tool(background=True)
async def print_receipt() -> str:
    """Print a receipt."""
    return "printed"

@tools.tool(silent=True)
async def note() -> str:
    """Write something down."""
    return "noted"

agent = Agent(system_prompt="You sell books.", tools=tools)
clerk = Agent(system_prompt="You sell nothing.")
'''
NAMES = "order_status, who_calls, act, break_down, look_long, refund, print_receipt, note"
STARTED = "Started. The result is not known yet; you will be told later."
DONE = "Done. Say nothing about it and go on with the conversation."


class Ended(NamedTuple):
    """A command that has come to its end."""

    code: int
    out: str
    err: str


Tools = Callable[..., Ended]
"""Runs `evibridge tools ARGUMENTS...` in this process."""


@pytest.fixture
def tools(
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    tmp_path: Path,
    logging_is_undone: None,  # noqa: ARG001
) -> Iterator[Tools]:
    on_ctrl_c = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVIBRIDGE_TOOL_SECONDS", raising=False)
    (tmp_path / "shop.py").write_text(SHOP)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["evibridge", "tools", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfdbinary.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Ended(code, captured.out.decode(), captured.err.decode())

    yield run
    signal.signal(signal.SIGINT, on_ctrl_c)
    for name, module in list(sys.modules.items()):
        if Path(getattr(module, "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


def complaint(ended: Ended) -> str:
    """The one sentence of a command that cannot work."""
    assert (ended.code, ended.out) == (2, "")
    line = ended.err.removeprefix("the shop opens\n")
    assert line.startswith("evibridge: ")
    assert len(line.splitlines()) == 1
    return line.removeprefix("evibridge: ").strip()


# list


def test_what_the_model_is_told_of_the_tools_is_printed_as_json(tools: Tools) -> None:
    code, out, err = tools("list", "shop.py")

    told = json.loads(out)
    assert code == 0
    assert ", ".join(tool["name"] for tool in told) == NAMES
    assert told[0] == {
        "name": "order_status",
        "description": "Sagt, wo eine Bestellung bleibt.",
        "parameters": {
            "type": "object",
            "properties": {
                "order_id": {"type": "string", "description": "the number on the receipt"}
            },
            "required": ["order_id"],
            "additionalProperties": False,
        },
        "fallback_content": "Das weiß ich gerade nicht.",
    }
    assert told[1].keys() == {"name", "description", "parameters"}
    assert '    "fallback_content": "Das weiß ich gerade nicht."\n' in out
    assert err == "the shop opens\n"


def test_an_agent_without_tools_has_an_empty_list(tools: Tools) -> None:
    code, out, err = tools("list", "shop.py:clerk")

    assert (code, out) == (0, "[]\n")
    assert "shop.py:clerk has no tools: register functions with `@tools.tool`" in err


def test_without_a_place_the_agent_of_this_folder_is_taken(tools: Tools, tmp_path: Path) -> None:
    missing = complaint(tools("list"))
    (tmp_path / "agent.py").write_text(SHOP)

    assert missing == "agent.py does not exist: give the path of a Python file."
    assert tools("list").out == tools("list", "shop.py").out
    assert tools("check").out == f"8 tools: {NAMES}\n"


@pytest.mark.parametrize("command", [["list"], ["call", "order_status"]])
def test_an_agent_that_cannot_be_loaded_is_one_sentence(tools: Tools, command: list[str]) -> None:
    said = complaint(tools(command[0], "nowhere.py", *command[1:]))

    assert said == "nowhere.py does not exist: give the path of a Python file."


# call


def test_a_tool_that_is_called_by_hand_prints_its_answer_alone(tools: Tools) -> None:
    code, out, err = tools("call", "shop.py", "order_status", '{"order_id": 1042}')

    assert (code, out) == (0, "Order 1042 is in Köln.\n")
    assert err == "the shop opens\nlooking it up\n"


def test_a_tool_is_told_of_a_made_up_call(tools: Tools) -> None:
    first, second = (json.loads(tools("call", "shop.py", "who_calls").out) for _ in range(2))

    assert first["ids"] == ["by-hand", "by-hand"]
    assert first["numbers"] == ["+14155550123", "+14155550100"]
    assert first["digits"] == ""
    assert first["use"] != second["use"]


def test_what_a_tool_would_do_to_the_call_is_told(tools: Tools) -> None:
    code, out, err = tools("call", "shop.py", "act")

    assert (code, out) == (0, "done\n")
    assert err.splitlines()[1:] == [
        "the agent would say: One moment.",
        "the model would be told: The caller is in a hurry.",
        "the model would be told to forget what it was told before",
        "keys would be pressed: 12#",
        "the call would be transferred to +14155550101",
        "the call would end",
        "the agent would say: Goodbye.",
        "the call would end",
    ]


@pytest.mark.parametrize(
    ("name", "answer", "told"),
    [
        ("look_long", "found", ["the agent would say meanwhile: I am still looking."]),
        (
            "refund",
            "paid",
            [
                "the agent would say meanwhile: I have to ask.",
                "an operator would be asked, for 3 s at most; by hand, you have approved",
            ],
        ),
        (
            "print_receipt",
            "printed",
            [f"the model would be told at once, and the result later: {STARTED}"],
        ),
        ("note", "noted", [f"the model would be told at once, and never the result: {DONE}"]),
    ],
)
def test_what_happens_before_a_tool_is_done_is_told(
    tools: Tools, name: str, answer: str, told: list[str]
) -> None:
    code, out, err = tools("call", "shop.py", name)

    assert (code, out) == (0, f"{answer}\n")
    assert err.splitlines()[1:] == told


@pytest.mark.parametrize(
    ("arguments", "content", "fault"),
    [
        (
            ["order_status", '{"order_id": "0"}'],
            "There is no order 0.\n",
            "no_order: The tool order_status refused.",
        ),
        (
            ["order_status", '{"order_id": "1"}'],
            "Das weiß ich gerade nicht.\n",
            "unavailable: The tool order_status has no database.",
        ),
        (
            ["order_status"],
            "The argument 'order_id' is missing.\n",
            "bad_arguments: The tool order_status refused.",
        ),
        (
            ["order_status", "1042"],
            "The arguments must be one JSON object.\n",
            "bad_arguments: The tool order_status refused.",
        ),
        (
            ["break_down", '{"card": "4929"}'],
            "",
            "failed: The tool break_down failed with RuntimeError.",
        ),
    ],
)
def test_a_tool_that_gives_no_answer_fails_with_a_code_and_a_sentence(
    tools: Tools, arguments: list[str], content: str, fault: str
) -> None:
    code, out, err = tools("call", "shop.py", *arguments)

    assert (code, out) == (1, content)
    assert err.splitlines()[-1] == fault


def test_the_log_has_the_traceback_of_a_tool_and_not_its_arguments(tools: Tools) -> None:
    err = tools("call", "shop.py", "break_down", '{"card": "4929"}').err

    assert "RuntimeError: the shelf is empty" in err
    assert "4929" not in err


@pytest.mark.parametrize(
    ("where", "name", "sentence"),
    [
        ("shop.py", "order_state", f"use one of {NAMES}; did you mean order_status?"),
        ("shop.py", "xyz", f"use one of {NAMES}."),
        ("shop.py:clerk", "xyz", "register it with `@tools.tool`."),
    ],
)
def test_a_tool_that_is_not_there_is_one_sentence(
    tools: Tools, where: str, name: str, sentence: str
) -> None:
    said = complaint(tools("call", where, name))

    assert said == f"{where} has no tool named {name!r}: {sentence}"


STUCK = '''
import asyncio, time
from evibridge import Agent, Tools

tools = Tools()

@tools.tool
def hang() -> str:
    """Hang in a thread."""
    print("it begins", flush=True)
    time.sleep(1000)

@tools.tool
async def ignore() -> str:
    """Ignore that it is cancelled."""
    print("it begins", flush=True)
    while True:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            pass

@tools.tool(fallback="später")
async def leave_a_thread() -> str:
    """Start a thread that hangs."""
    await asyncio.to_thread(time.sleep, 1000)

@tools.tool
async def block() -> str:
    """Block the event loop."""
    print("it begins", flush=True)
    time.sleep(1000)

agent = Agent(system_prompt="Be patient.", tools=tools)
'''


@pytest.fixture
def stuck(tmp_path: Path) -> str:
    path = tmp_path / "stuck.py"
    path.write_text(STUCK)
    return str(path)


async def test_a_tool_that_does_not_end_is_left_at_its_deadline(stuck: str) -> None:
    names = ("hang", "ignore", "leave_a_thread")
    ended = await asyncio.gather(
        *[run_by_hand(stuck, name, EVIBRIDGE_TOOL_SECONDS="0.1") for name in names]
    )

    assert [code for code, _, _ in ended] == [1, 1, 1]
    assert [out for _, out, _ in ended] == ["", "", "später\n"]
    for name, (_, _, err) in zip(names, ended, strict=True):
        late = f"timeout: The tool {name} did not answer within 0.1 s."
        assert err.splitlines()[-1] == late


async def run_by_hand(where: str, name: str, **variables: str) -> tuple[int, str, str]:
    # The terminal's encoding makes no difference to what is piped on.
    process = await start("tools", "call", where, name, PYTHONIOENCODING="ascii", **variables)
    return await finish(process)


@pytest.mark.parametrize("name", ["hang", "block"])
async def test_ctrl_c_ends_a_tool_at_once(stuck: str, name: str) -> None:
    process = await start("tools", "call", stuck, name)
    assert process.stderr is not None
    assert await process.stderr.readline() == b"it begins\n"
    process.send_signal(signal.SIGINT)

    assert await finish(process) == (-signal.SIGINT, "", "")


# check


def test_all_is_well_with_the_tools_of_the_example(tools: Tools) -> None:
    ended = tools("check", str(ROOT / "examples" / "bookshop.py"))

    assert ended == (0, "3 tools: order_status, find_book, reserve_book\n", "")


@pytest.mark.parametrize(
    ("text", "summary"),
    [("", "0 tools\n"), ("@tools.tool\ndef nod():\n    'Nod.'\n", "1 tool: nod\n")],
)
def test_few_tools_are_counted(tools: Tools, tmp_path: Path, text: str, summary: str) -> None:
    (tmp_path / "few.py").write_text(with_tools(text))

    assert tools("check", "few.py") == (0, summary, "")


def with_tools(text: str, *, script: str | None = None) -> str:
    return (
        "from evibridge import Agent, Tools\n"
        f"tools = Tools()\n{text}\n"
        f"agent = Agent(system_prompt='Be brief.', tools=tools, script={script!r})\n"
    )


def faults(ended: Ended) -> list[str]:
    """The sentences of a check that has found something."""
    code, out, err = ended
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert all(line.startswith("evibridge: ") for line in lines)
    return [line.removeprefix("evibridge: ") for line in lines]


def test_every_function_that_cannot_be_a_tool_is_told_of(tools: Tools, tmp_path: Path) -> None:
    bad = "@tools.tool\ndef one(x):\n    'Do.'\n@tools.tool\ndef two():\n    pass\n"
    (tmp_path / "bad.py").write_text(with_tools(bad))

    first, second = faults(tools("check", "bad.py:agent"))

    assert first.startswith("bad.py: The parameter 'x' of one() has no type hint;")
    assert second.startswith("bad.py: two() has no description;")


def test_a_file_that_breaks_off_is_told_of_after_its_functions(
    tools: Tools, tmp_path: Path
) -> None:
    text = "@tools.tool\ndef one():\n    pass\nraise ValueError('first line\\nsecond line')\n"
    (tmp_path / "bad.py").write_text(with_tools(text))

    first, second = faults(tools("check", "bad.py"))

    assert first.startswith("bad.py: one() has no description;")
    assert second == "bad.py, line 6, cannot be imported: ValueError: first line second line"


def test_a_missing_agent_is_a_fault(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "none.py").write_text("x = 1\n")

    [fault] = faults(tools("check", "none.py"))

    assert fault == "none.py has no Agent named 'agent': write `agent = Agent(...)` in it."


def test_a_description_that_models_would_cut_is_a_fault(tools: Tools, tmp_path: Path) -> None:
    text = "".join(
        f"@tools.tool\ndef {name}():\n    '{'x' * length}'\n"
        for name, length in (("talk", 1025), ("say", 1024))
    )
    (tmp_path / "long.py").write_text(with_tools(text))

    [fault] = faults(tools("check", "long.py"))

    assert fault == (
        "The description of the tool talk has 1025 characters, of which models read 1024: "
        "shorten it."
    )


SOLD = '''
@tools.tool
def order_status(order_id: str, language: str = "en"):
    """Tell where an order is."""

@tools.tool(strict=True)
def reserve(title: str, shelf: int | None = None, name: str = "", copies: int | str = 1):
    """Put a book aside."""

@tools.tool
def nod():
    """Nod."""
'''


def turn(call: str, name: str = "a") -> str:
    return f"- {{name: {name}, heard: [{name}], call: {call}}}\n"


@pytest.mark.parametrize(
    ("script", "sentences"),
    [
        ("turns: [", ["shop.yaml, line "]),
        (
            "turns:\n" + turn("{tool: order_state}"),
            ['shop.yaml, turn "a": the agent has no tool named order_state; write order_status.'],
        ),
        (
            "turns:\n" + turn("{tool: xyz}"),
            ["; write one of order_status, reserve, nod."],
        ),
        (
            "turns:\n" + turn("{tool: order_status, with: {order: 1}}"),
            [
                'shop.yaml, turn "a": order_status has no argument "order"; write order_id.',
                'turn "a": order_status needs the argument "order_id"; write it under "with".',
            ],
        ),
        (
            "turns:\n" + turn("{tool: nod, with: {hard: true}}"),
            ['nod has no argument "hard"; leave it out, there is none.'],
        ),
        (
            "turns:\n- name: a\n  heard: a\n  say: Well?\n  answers:\n  "
            + turn("{tool: order_status}", "b")
            + turn("{tool: reserve}", "c"),
            ['turn "b": order_status needs', 'turn "c": reserve needs the argument "title"'],
        ),
    ],
)
def test_a_script_that_does_not_fit_the_tools_is_told_of(
    tools: Tools, tmp_path: Path, script: str, sentences: list[str]
) -> None:
    (tmp_path / "shop.yaml").write_text(script)
    (tmp_path / "sold.py").write_text(with_tools(SOLD, script="shop.yaml"))

    found = faults(tools("check", "sold.py"))

    assert len(found) == len(sentences)
    for fault, sentence in zip(found, sentences, strict=True):
        assert sentence in fault


def test_a_script_without_tools_to_call_is_told_that_there_are_none(
    tools: Tools, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text("turns:\n" + turn("{tool: nod}"))
    (tmp_path / "sold.py").write_text(with_tools("", script="shop.yaml"))

    [fault] = faults(tools("check", "sold.py"))

    assert "the agent has no tool named nod; leave it out, there is none." in fault


def test_a_script_that_is_not_there_is_a_fault(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "sold.py").write_text(with_tools("", script="nowhere.yaml"))

    [fault] = faults(tools("check", "sold.py"))

    assert fault.startswith("nowhere.yaml cannot be read (No such file or directory);")


def test_a_script_that_calls_a_function_at_fault_is_not_blamed(
    tools: Tools, tmp_path: Path
) -> None:
    script = "turns:\n" + turn("{tool: nod}") + turn("{tool: od}", "b")
    (tmp_path / "shop.yaml").write_text(script)
    bad = "@tools.tool\ndef nod():\n    pass\n"
    (tmp_path / "sold.py").write_text(with_tools(bad, script="shop.yaml"))

    of_function, of_script = faults(tools("check", "sold.py"))

    assert "nod() has no description" in of_function
    assert "no tool named od;" in of_script


def test_without_the_engines_packages_a_script_is_not_checked(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sold.py").write_text(with_tools("", script="nowhere.yaml"))
    for module in ("evibridge.engine.yaml_file", "evibridge.engine.minds.scripted.script_file"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)

    code, out, err = tools("check", "sold.py")

    assert (code, out) == (0, "0 tools\n")
    assert re.fullmatch(
        r"nowhere\.yaml is not checked \(yaml is not installed\): install evibridge\[engine\]\.\n",
        err,
    )


# MCP servers

CRM = """
import json, sys

TOOL = {
    "name": "find", "description": "x" * 2000,
    "inputSchema": {
        "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
    },
}
for line in sys.stdin:
    message = json.loads(line)
    match message["method"]:
        case "initialize":
            version = message["params"]["protocolVersion"]
            about = {"name": "crm", "version": "1"}
            result = {
                "protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about
            }
        case "tools/list":
            result = {"tools": [TOOL]}
        case "tools/call":
            found = "Found " + message["params"]["arguments"]["name"]
            result = {"content": [{"type": "text", "text": found}]}
        case _:
            result = None
    if "id" in message:
        unknown = {"error": {"code": -32601, "message": "unknown"}}
        answer = unknown if result is None else {"result": result}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
"""


def with_server(command: list[str], *, script: str | None = None) -> str:
    return with_tools(
        "from evibridge.tools_registry.mcp.server import McpServer\n"
        "@tools.tool\ndef nod():\n    'Nod.'\n"
        f"tools.add(McpServer('crm', command={command!r}, prefix='crm_'))\n",
        script=script,
    )


def test_tools_of_an_mcp_server_are_listed_called_and_checked(tools: Tools, tmp_path: Path) -> None:
    (tmp_path / "crm.py").write_text(CRM)
    (tmp_path / "shop.yaml").write_text("turns:\n" + turn("{tool: crm_find, with: {nme: a}}"))
    (tmp_path / "sold.py").write_text(with_server([sys.executable, "crm.py"], script="shop.yaml"))

    listed = tools("list", "sold.py")
    called = tools("call", "sold.py", "crm_find", '{"name": "Ada"}')

    assert [tool["name"] for tool in json.loads(listed.out)] == ["nod", "crm_find"]
    assert listed.err == ""
    assert called == (0, "Found Ada\n", "")
    assert faults(tools("check", "sold.py")) == [
        'shop.yaml, turn "a": crm_find has no argument "nme"; write name.',
        'shop.yaml, turn "a": crm_find needs the argument "name"; write it under "with".',
    ]


def test_an_mcp_server_that_is_down_is_a_fault_and_hinders_no_function(
    tools: Tools, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text("turns:\n" + turn("{tool: crm_find}"))
    (tmp_path / "sold.py").write_text(with_server(["./nowhere"], script="shop.yaml"))
    down = "The MCP server 'crm' cannot be started: there is no command './nowhere'; "

    listed = tools("list", "sold.py")
    checked = tools("check", "sold.py")

    assert listed.code == 0
    assert [tool["name"] for tool in json.loads(listed.out)] == ["nod"]
    assert listed.err.splitlines()[-1].startswith(down)
    assert (checked.code, checked.out) == (2, "")
    assert checked.err.splitlines()[-1].startswith(f"evibridge: {down}")
    assert checked.err.count("evibridge: ") == 1
    assert tools("call", "sold.py", "nod") == (0, "done\n", "")
    assert down in tools("call", "sold.py", "crm_find").err


def test_a_missing_package_for_mcp_is_a_fault(
    tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sold.py").write_text(with_server(["./nowhere"]))
    monkeypatch.setitem(sys.modules, "evibridge.tools_registry.mcp.session", None)

    [fault] = faults(tools("check", "sold.py"))

    assert fault.startswith("The MCP server 'crm' needs a package that is missing")
