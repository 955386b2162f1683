"""What docs/operators.md says is so: its tables are complete, and what it shows runs."""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import typer.main

from evibridge.agent import sidecar_mirrors
from evibridge.agent.commands import Via
from evibridge.agent.snapshot import CallState
from evibridge.bridges import twilio_rest
from evibridge.cli import app
from evibridge.dialling import transfer_targets
from evibridge.event_wire import TYPE_NAMES
from evibridge.events import DigitPressed, EndReason
from evibridge.operator_access import Scope, parse_tokens
from evibridge.operators.bodies import VoiceBody
from evibridge.operators.call_commands import CALL_COMMANDS
from evibridge.operators.errors import FAULTS, OTHER_REFUSALS, REFUSED_WITH
from evibridge.operators.event_query import Wanted
from evibridge.operators.listing import ListQuery
from evibridge.operators.service_view import ServiceQuery
from evibridge.operators.views import Ended
from tests.faults.proxy import proxy
from tests.operators.event_stage import Stage, long_sentence
from tests.operators.test_whole_service import TOKENS, Watched, next_of, watched_service
from tests.pages import Request, like, quoted, sections
from tests.parties import PATIENCE_S, TinyEvi
from tests.processes import ROOT
from tests.terminal.stage import Terminal
from tests.virtual_clock import run_in_virtual_time

PAGE = sections(ROOT / "docs" / "operators.md")
HERE = {"ORIGIN": "", "TOKEN": "hush"}


# Tables


def test_every_event_has_a_row_with_its_members() -> None:
    table = PAGE["Events"].table("type")

    assert {quoted(kind)[0]: quoted(members) for kind, members, _ in table} == {
        name: [*vars(kind)["__match_args__"]] for kind, name in TYPE_NAMES.items()
    }


def test_messages_that_are_no_events_have_the_members_of_their_rows() -> None:
    told: dict[str, dict[str, Any]] = {}

    async def scene() -> None:
        stage = Stage()
        one, every = stage.watch_call("levels=true"), stage.watch_all("summaries=true")
        stage.level_sinks["CA1"][0](0.1, 0.2)
        one.stop_taking()
        for number in range(300):
            stage.tell(long_sentence(number) if number < 2 else DigitPressed("1"))
        one.take_all()
        await asyncio.sleep(1)
        told.update({each["type"]: each for each in (*every.sent, *one.sent)})

    run_in_virtual_time(scene())

    for cell, members, _ in PAGE["Events"].table("type", after="What is not an event"):
        (kind,) = quoted(cell)
        assert told[kind].keys() == {"type", *quoted(members)}


@pytest.mark.parametrize(
    ("section", "heading", "names"),
    [
        ("Tokens", "scope", Scope),
        ("Calls", "parameter", ListQuery.model_fields),
        ("Events", "parameter", Wanted.__match_args__),
        ("The service", "parameter", ServiceQuery.model_fields),
        ("Calls", "`state`, the last that is true", CallState),
        ("Calls", "`end_reason`, why it ended", EndReason),
        ("Calls", "of `ended`", Ended.__annotations__),
        ("Commands", "path", [each.path.removeprefix("/") for each in CALL_COMMANDS]),
        ("Commands", "`via`", [*Via, "null"]),
    ],
)
def test_nothing_is_missing_from_a_table(section: str, heading: str, names: Iterable[str]) -> None:
    told = [name for cell, *_ in PAGE[section].table(heading) for name in quoted(cell)]

    assert sorted(told) == sorted(map(str, names))


def test_every_refusal_is_told_with_its_status() -> None:
    told: dict[str, int] = {}
    for cell, statuses, _ in PAGE["When it is refused"].table("code"):
        codes, numbers = quoted(cell), [int(status) for status in statuses.split(", ")]
        told |= dict(zip(codes, numbers * (len(codes) if len(numbers) == 1 else 1), strict=True))

    # A number was checked with the body; the other one is told to callers.
    of_calls = codes_of_calls() - {"bad_number", "paused_by_operator"}
    assert told == {
        **{code: REFUSED_WITH.get(code, OTHER_REFUSALS) for code in of_calls},
        **{code: fault.status for code, fault in FAULTS.items()},
    }
    assert told.keys() >= {
        code for *_, codes in PAGE["Commands"].table("path") for code in quoted(codes)
    }


def codes_of_calls() -> set[str]:
    """Those that the source of calls and carriers names."""
    rooms = [ROOT / "evibridge" / room for room in ("agent", "bridges")]
    source = "".join(file.read_text() for room in rooms for file in room.rglob("*.py"))
    named = {*re.findall(r'CommandRefused\(\s*"(\w+)"', source), "carrier_refused"}
    named |= {code for code, _ in sidecar_mirrors._REFUSALS.values()}
    return named | set(twilio_rest._CODES.values())


def test_every_command_of_the_terminal_has_a_row() -> None:
    program: Any = typer.main.get_command(app)
    commands = program.commands["calls"].commands
    table = PAGE["In the terminal"].table("command")

    assert sorted(line.split()[0] for cell, _ in table for line in quoted(cell)) == sorted(commands)
    parameters = [each for command in commands.values() for each in command.params]
    options = {option for each in parameters for option in each.opts}
    assert options > {option for _, cell in table for option in re.findall(r"--[\w-]+", cell)}


# Watching


@pytest.fixture
async def watched(evi: TinyEvi, tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched_service(evi, tmp_path) as service:
        yield service


async def answer(watched: Watched, request: Request) -> Any:
    """What a request gives that is not refused."""
    status, document = await request.send(watched.http, watched.service.origin)
    assert status == 200, document
    return document


async def test_calls_are_listed_and_shown_as_it_says(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    events = await watched.open(f"/calls/{twilio.call_sid}/events")
    await chat.hear_user("Where is order 1042?")
    assert like(PAGE["Events"].document, await next_of(events, "caller_said"))
    (listing,) = PAGE["Tokens"].requests(**HERE)
    (showing,) = PAGE["Calls"].requests(**HERE, CALL=twilio.call_sid)

    listed, call = await answer(watched, listing), await answer(watched, showing)

    assert like(PAGE["Calls"].document, listed)
    named = {*listed["calls"][0], *quoted(PAGE["Calls"].text)}
    assert named >= call.keys() | call["lines"][0].keys()


async def test_the_service_is_told_of_as_it_says(watched: Watched) -> None:
    (request,) = PAGE["The service"].requests(**HERE)

    assert like(PAGE["The service"].document, await answer(watched, request))


def test_an_operator_speaks_by_an_offer_as_it_shows() -> None:
    assert VoiceBody.model_validate(PAGE["Taking a call over"].document).type == "offer"


async def test_a_page_shows_its_token_as_it_says(
    watched: Watched, http: aiohttp.ClientSession
) -> None:
    named = quoted(PAGE["Tokens"].text)
    spoken, bearer = named[named.index("evibridge") :][:2]
    shown = bearer + urlsafe_b64encode(b"glance").decode().rstrip("=")
    url = f"{watched.service.origin}/v1/events"

    async with http.ws_connect(url, protocols=(spoken, shown)) as socket:
        assert socket.protocol == spoken


def test_its_transfer_targets_are_a_setting() -> None:
    (setting,) = (each for each in quoted(PAGE["The service"].text) if "=" in each)

    assert [name for name, _ in transfer_targets(setting)] == ["Front desk", "Sales"]


async def test_its_reader_goes_on_where_the_connection_was_lost(watched: Watched) -> None:
    names: dict[str, Any] = {}
    exec(PAGE["Events"].code("python")[0], names)
    twilio, chat = await watched.talk()
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async with asyncio.timeout(PATIENCE_S), proxy(watched.service.origin) as line:
        url = f"{line.origin}/v1/calls/{twilio.call_sid}/events"
        reading = asyncio.create_task(names["read"](url, "glance", told.put_nowait, pause_s=0.0))
        assert (await told.get())["type"] == "snapshot"
        await chat.hear_user("One.")
        assert (await told.get())["text"] == "One."
        line.end()
        await chat.hear_user("Two.")
        assert (await told.get())["text"] == "Two."
        await twilio.hang_up()
        await reading

        assert told.get_nowait()["type"] == "call_ended"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await names["read"](url, "unknown", told.put_nowait)


def test_its_reader_shows_everything_and_is_started_with_a_token_that_reads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names: dict[str, Any] = {}
    reader, start = PAGE["Events"].code("python")
    exec(reader, names)
    for message in ({"type": "snapshot", "calls": []}, {"type": "gap", "missed": 3}):
        names["show"](message)
    names["show"](PAGE["Events"].document)
    *lines, event = capsys.readouterr().out.splitlines()
    assert lines == ["now []", "missed 3"]
    assert event.endswith("caller_said")

    run: Any = SimpleNamespace(run=lambda read: read)
    exec(start, {**names, "asyncio": run, "read": lambda *how: names.update(how=how)})

    name, _, setting = PAGE["Tokens"].code("")[0].strip().partition("=")
    scopes = {each.token: each.scope for each in parse_tokens(setting)}
    url, token, _ = names["how"]
    assert (name, url) == ("EVIBRIDGE_OPERATOR_TOKEN", "ws://127.0.0.1:8080/v1/events")
    assert (scopes.pop(token), *scopes.values()) == (Scope.READ, Scope.CONTROL)


async def test_listening_begins_as_it_says(watched: Watched) -> None:
    twilio, _ = await watched.talk()
    socket = await watched.open(f"/calls/{twilio.call_sid}/audio")

    async with asyncio.timeout(PATIENCE_S):
        assert json.loads(await socket.receive_str()) == PAGE["Listening"].document


async def test_an_ended_call_is_found_shown_and_heard(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    events = await watched.open(f"/calls/{twilio.call_sid}/events")
    await chat.hear_user("Where is my order?")
    await next_of(events, "caller_said")
    await twilio.hang_up()
    await watched.record(twilio.call_sid)
    requests = PAGE["Ended calls"].requests(**HERE, CALL=twilio.call_sid)

    *lists, record, recording = [await answer(watched, request) for request in requests]

    for found in lists:
        assert [call["call_id"] for call in found["calls"]] == [twilio.call_sid]
    assert record["end_reason"] == "caller_hung_up"
    assert recording.startswith(b"RIFF")


# In the terminal


@pytest.mark.usefixtures("logging_is_undone")
async def test_its_commands_work_in_a_terminal(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    twilio, chat = await watched.talk()
    events = await watched.open(f"/calls/{twilio.call_sid}/events")
    await chat.hear_user("Where is my order?")
    await next_of(events, "caller_said")
    terminal = Terminal(monkeypatch, capsys, TOKENS)

    for program, *words in PAGE["In the terminal"].typed(**HERE, CALL=twilio.call_sid[:8]):
        assert program == ".venv/bin/evibridge"
        ended = await terminal.run(*words, "--url", watched.service.origin)
        assert twilio.call_sid[:10] in ended.done
