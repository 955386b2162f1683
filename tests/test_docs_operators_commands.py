"""What docs/operators.md says of commands is so: its requests are sent to a running service."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import typer.main

from evibridge import Agent
from evibridge.bridges.hume_webhook import WEBHOOK_PATH
from evibridge.cli import app
from evibridge.engine_service import engine_config
from evibridge.service import start_service
from evibridge.settings import Settings
from tests.agent.mirrored_evi import API_KEY, mirrored_evi
from tests.bridges.outbound_stage import outbound_stage
from tests.bridges.twilio_rest_server import tiny_twilio_rest
from tests.operators.test_whole_service import AGENT, Watched, next_of, watched_service
from tests.pages import Request, like, quoted, sections
from tests.parties import TinyChat, TinyEvi, TinyTwilio
from tests.processes import ROOT

PAGE = sections(ROOT / "docs" / "operators.md")
HERE = {"ORIGIN": "", "TOKEN": "hush"}
POST = {"Authorization": "Bearer hush", "Content-Type": "application/json"}
COMMANDS = [
    (quoted(path)[0], "".join(quoted(body)), quoted(codes))
    for path, body, _, codes in PAGE["Commands"].table("path")
]
"""What is posted as an example, and how that may be refused."""
SPOKEN = '{"type": "assistant_input", "text": "Hello."}'
"""What may not be sent to an agent that cannot speak."""


def with_codes(*codes: str) -> dict[str, str]:
    """The commands that are refused with these codes, by their table."""
    return {command: code for command, _, of in COMMANDS for code in codes if code in of}


@dataclass(frozen=True)
class Operator:
    """A program that posts what the page shows, about one call."""

    http: aiohttp.ClientSession
    origin: str
    call_id: str

    async def post(self, command: str, body: str = "") -> tuple[int, Any]:
        request = Request(f"/v1/calls/{self.call_id}/{command}", "POST", POST, body)
        return await request.send(self.http, self.origin)

    async def refused(self, *but: str) -> dict[str, str]:
        """What the call refuses, and how; `but` some commands that would change its state."""
        codes = {}
        for command, example, _ in COMMANDS:
            if command not in but:
                body = SPOKEN if command == "send" else example
                status, answer = await self.post(command.format(tool_call_id="call_1"), body)
                if status != 200:
                    codes[command] = answer["code"]
        return codes


@dataclass(frozen=True)
class Talk(Operator):
    """The same, about a call that goes on."""

    watched: Watched
    twilio: TinyTwilio
    chat: TinyChat

    async def told(self, kind: str, tool_call_id: str) -> dict[str, Any]:
        """What an event tells of a tool."""
        events = await self.watched.open(f"/calls/{self.call_id}/events?since=0")
        while (event := await next_of(events, kind))["tool_call_id"] != tool_call_id:
            pass
        return event

    async def wait_with_tool(self, tool_call_id: str) -> None:
        """Have the model use a tool that waits for an operator."""
        await self.chat.call_tool(tool_call_id, "refund", '{"order_id":"1042"}')
        await self.told("approval_wanted", tool_call_id)


@pytest.fixture
async def talk(evi: TinyEvi, tmp_path: Path) -> AsyncIterator[Talk]:
    async with watched_service(evi, tmp_path) as watched:
        twilio, chat = await watched.talk()
        origin = watched.service.origin
        yield Talk(watched.http, origin, twilio.call_sid, watched, twilio, chat)
        await twilio.post("/twilio/call-status", CallStatus="completed")


async def test_every_command_is_done_with_the_body_that_it_shows(talk: Talk) -> None:
    for command, body, _ in COMMANDS:
        tool_call_id = f"to-{command[-7:]}"
        if "{tool_call_id}" in command:
            await talk.wait_with_tool(tool_call_id)

        status, done = await talk.post(command.format(tool_call_id=tool_call_id), body)

        assert (status, done["by"]) == (200, "ada"), command


async def test_something_is_said_and_answered_as_it_shows(talk: Talk) -> None:
    (say,) = PAGE["Commands"].requests(**HERE, CALL=talk.call_id)

    status, done = await say.send(talk.http, talk.origin)

    assert (status, like(PAGE["Commands"].document, done)) == (200, True)
    assert (await talk.watched.evi.next_posted())["text"] == "We close at six."


async def test_a_request_that_is_sent_again_is_done_once(talk: Talk) -> None:
    (inject,) = PAGE["Requests that are sent again"].requests(**HERE, CALL=talk.call_id)

    first, again = [await inject.send(talk.http, talk.origin) for _ in range(2)]

    assert first == again
    assert (await talk.watched.evi.next_posted())["type"] == "user_input"
    assert talk.watched.evi.posted.empty()


async def test_tools_are_approved_and_declined_as_it_shows(talk: Talk) -> None:
    page = PAGE["Approve and decline"]
    for number, is_approved in enumerate((True, False)):
        tool_call_id = f"call_{number}"
        await talk.wait_with_tool(tool_call_id)
        request = page.requests(**HERE, CALL=talk.call_id, TOOL_CALL=tool_call_id)[number]

        status, _ = await request.send(talk.http, talk.origin)

        assert status == 200
        given = await talk.told("approval_given", tool_call_id)
        assert (given["is_approved"], given["by"]) == (is_approved, "ada")


# Refusals


@pytest.mark.parametrize(
    ("command", "code", "but"),
    [
        ("pause", "agent_is_paused", ["resume", "takeover", "hangup"]),
        ("hold", "call_is_held", ["pause", "release", "takeover", "hangup"]),
        ("hangup", "call_is_ending", ["hangup"]),
    ],
)
async def test_commands_are_refused_as_their_rows_say(
    talk: Talk, command: str, code: str, but: list[str]
) -> None:
    await talk.chat.say("u1", "I am still speaking.", 5000, end=False)
    await talk.twilio.expect("media")
    await talk.post(command)

    assert await talk.refused(*but) == with_codes(code, "tool_is_not_waiting")


async def test_a_call_that_is_over_or_not_known_takes_no_command(talk: Talk) -> None:
    await talk.twilio.hang_up()
    await talk.watched.record(talk.call_id)
    unknown = Operator(talk.http, talk.origin, "CA0")

    assert set((await talk.refused("say", "send")).values()) == {"call_is_over"}
    assert (await unknown.post("say", '{"text": "Hello."}'))[1]["code"] == "call_not_found"


async def test_messages_that_cannot_be_sent_are_refused_as_it_says(talk: Talk) -> None:
    audio = {"encoding": "linear16", "sample_rate": 8000, "channels": 1}
    for message, code in (
        ({"type": "tool_error", "tool_call_id": "call_1", "error": "?"}, "tool_is_not_open"),
        ({"type": "session_settings", "audio": audio}, "audio_is_fixed"),
    ):
        status, refusal = await talk.post("send", json.dumps(message))

        assert (status, refusal["code"]) == (409, code)
        assert with_codes(code) == {"send": code}


async def test_refusals_look_as_it_shows(talk: Talk) -> None:
    await talk.post("pause")
    paused, unfit = (text for text in quoted(PAGE["When it is refused"].text) if text[0] == "{")

    assert await talk.post("say", '{"text": "Hello."}') == (409, json.loads(paused))
    assert await talk.post("say", "{}") == (422, json.loads(unfit))


# Calling somebody


async def test_somebody_is_called_once_as_it_shows(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    (dial,) = PAGE["Calling somebody"].requests(**HERE)
    async with tiny_twilio_rest() as rest, outbound_stage(evi, rest, http) as stage:
        origin = stage.service.origin
        (status, call), again = [await dial.send(http, origin) for _ in range(2)]
        person = await stage.person()
        operator = Operator(http, origin, person.call_sid)
        refused = await operator.refused("hangup")
        called_off, _ = await operator.post("hangup")

    assert again == (status, call)
    assert (status, call["state"], call["caller"]) == (201, "ringing", person.made["To"])
    assert (len(rest.created), called_off) == (1, 200)
    assert refused == {name: "call_is_ringing" for name, *_ in COMMANDS if name != "hangup"}


def test_its_agent_says_what_it_is() -> None:
    names: dict[str, Any] = {}
    exec(PAGE["Calling somebody"].code("python")[0], names)

    assert isinstance(names["agent"], Agent)
    assert names["agent"].disclosure


# Chats that others have opened


async def test_a_chat_of_others_is_joined_as_it_shows(http: aiohttp.ClientSession) -> None:
    async with mirrored_evi() as evi:
        known: Any = {"evi_url": evi.origin, "hume_api_key": API_KEY}
        service = await start_service(AGENT, Settings(_env_file=None, port=0, **known))  # type: ignore[call-arg]
        chat = await evi.chat()
        (join,) = PAGE["Chats that others have opened"].requests(**HERE, CHAT_ID=chat.chat_id)

        (status, call), (again, _) = [await join.send(http, service.origin) for _ in range(2)]
        refused = await Operator(http, service.origin, chat.chat_id).refused()
        await service.close()

    assert (status, again, call["kind"], call["call_id"]) == (201, 200, "sidecar", chat.chat_id)
    assert refused == with_codes("not_here", "tool_is_not_waiting")


def test_its_engine_delivers_webhooks_where_the_service_takes_them(tmp_path: Path) -> None:
    page = PAGE["Chats that others have opened"]
    file = tmp_path / "engine.yaml"
    file.write_text(page.code("yaml")[0])
    program: Any = typer.main.get_command(app)
    keys = set()
    for key, _, command, *arguments in page.typed(**HERE, CHAT_ID="")[1:]:
        program.commands[command].make_context(command, arguments)
        keys.add(key)

    (key,) = keys
    known: Any = {"engine_config": file, "HUME_WEBHOOK_SIGNING_KEY": key.partition("=")[2]}
    config = engine_config(Settings(_env_file=None, **known))  # type: ignore[call-arg]

    assert key.startswith("HUME_WEBHOOK_SIGNING_KEY=")
    assert [webhook.url for webhook in config.webhooks] == [f"http://127.0.0.1:8080{WEBHOOK_PATH}"]
