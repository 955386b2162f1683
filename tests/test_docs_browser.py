"""What docs/browser.md says is so: its tables are complete, and what it shows runs."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from evibridge import create_web_session
from evibridge.bridges.browser import messages
from evibridge.bridges.browser.desk import PlaceUnknown
from evibridge.operators.bodies import WebSessionBody
from evibridge.service import Service, start_service
from evibridge.settings import Settings
from evibridge.web_sessions import _REFUSALS
from tests.bridges.conftest import AGENT, settings
from tests.pages import Section, quoted, sections
from tests.parties import TinyEvi
from tests.processes import ROOT

PAGE = sections(ROOT / "docs" / "browser.md")
WIRE = PAGE["What is said between page and service"]
BRIDGE = ROOT / "evibridge" / "bridges" / "browser"
TYPES = (ROOT / "evibridge" / "web" / "evibridge.d.ts").read_text()


@pytest.fixture
async def service(evi: TinyEvi, tmp_path: Path) -> AsyncIterator[Service]:
    running = await start_service(AGENT, settings(evi, operator_token="hush", data_dir=tmp_path))
    yield running
    await running.close()


def names(section: Section, heading: str) -> list[str]:
    return [name for cell, *_ in section.table(heading) for name in quoted(cell)]


def test_every_message_of_a_page_is_told() -> None:
    assert sorted(names(WIRE, "from the page")) == sorted(messages._READERS)


def test_every_message_to_a_page_is_told_and_has_a_type() -> None:
    source = "".join((BRIDGE / file).read_text() for file in ("caller_view.py", "messages.py"))
    sent = set(re.findall(r'"type": "(\w+)"', source))
    sent |= set(re.findall(r'\bmessage\(\s*"(\w+)"', source))

    assert set(names(WIRE, "from the service")) == sent
    assert sent <= set(re.findall(r'\btype: "(\w+)"', TYPES))


def test_every_member_of_a_token_is_told() -> None:
    assert names(PAGE["Tokens"], "member") == list(WebSessionBody.model_fields)


def test_every_refusal_is_told_with_its_status() -> None:
    routes = (BRIDGE / "webrtc_routes.py").read_text() + (
        BRIDGE / "websocket_routes.py"
    ).read_text()
    refused = {
        **{code: 401 for code, _ in _REFUSALS.values()},
        "token_for_another_origin": 401,
        PlaceUnknown.code: 404,
        "draining": 503,
        "too_many_connections": 503,
        "key_missing": 401,
        **{code: int(status) for status, code in re.findall(r'_fault\((\d+), "(\w+)"', routes)},
    }

    assert {
        code: int(status)
        for cell, status, _ in PAGE["When something is wrong"].table("code")
        for code in quoted(cell)
    } == refused


async def test_a_token_is_asked_for_as_it_says(
    service: Service, http: aiohttp.ClientSession
) -> None:
    (request,) = PAGE["Tokens"].requests(ORIGIN="", TOKEN="hush")

    status, answer = await request.send(http, service.origin)

    assert (status, answer.keys()) == (201, PAGE["Tokens"].document.keys())
    assert answer["expires_in_s"] == PAGE["Tokens"].document["expires_in_s"]


async def test_a_page_says_hello_as_it_says(
    service: Service, http: aiohttp.ClientSession, evi: TinyEvi
) -> None:
    token = create_web_session(service.parts.app, name="Ann", variables={"plan": "gold"})
    hello = WIRE.document | {"token": token}

    async with http.ws_connect(f"{service.origin}/browser") as socket:
        await socket.send_str(json.dumps(hello))
        welcome = await socket.receive_json(timeout=5)
        chat = await evi.next_chat()
        await chat.open()
        told = await chat.expect("session_settings")

    assert {"type", *quoted(WIRE.table("from the service")[0][1])} == welcome.keys()
    assert told["variables"] == {"shop": "Lantern", "plan": "gold"}


def test_the_settings_of_networks_are_some() -> None:
    variables = names(PAGE["Networks"], "variable")

    assert {each.removeprefix("EVIBRIDGE_").lower() for each in variables} <= {
        *Settings.model_fields
    }
