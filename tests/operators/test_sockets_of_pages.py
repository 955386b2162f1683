"""A page opens the WebSockets of operators: its token is offered as a subprotocol."""

import logging
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from evibridge.operator_access import OperatorAccess, Scope
from evibridge.operators.admission import socket_refusal
from evibridge.operators.audio_stream import AudioStreams
from tests.operators.api_stage import TOKENS, open_stage
from tests.operators.event_stage import Stage
from tests.operators.event_stage import open_stage as open_event_stage
from tests.sockets.peers import RawPeer, upgrade_head

SHOWN = "bearer." + urlsafe_b64encode(b"glance").decode().rstrip("=")


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    access = OperatorAccess(TOKENS)
    admit = partial(socket_refusal, access, scope=Scope.READ)
    async with open_event_stage(admit) as stage:
        yield stage


@pytest.mark.parametrize("path", ["/v1/events", "/v1/calls/CA1/events"])
async def test_a_page_reads_events_with_its_token(
    stage: Stage, http: aiohttp.ClientSession, path: str
) -> None:
    url = f"ws://127.0.0.1:{stage.port}{path}"
    async with http.ws_connect(url, protocols=("evibridge", SHOWN)) as socket:
        assert socket.protocol == "evibridge"
        assert (await socket.receive_json())["type"] == "snapshot"


async def test_the_log_has_nothing_of_what_a_page_shows(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        for offers, wanted in ((f"evibridge, {SHOWN}", 101), (f"evibridge, {SHOWN}x", 401)):
            head = upgrade_head("/v1/events", Sec_WebSocket_Protocol=offers)
            async with await RawPeer.dial(stage.port, head) as peer:
                status, headers = await peer.response()
            assert status == wanted
            assert SHOWN not in str(headers)
    told = f"{logs}{caplog.text}"
    assert SHOWN not in told
    assert "glance" not in told


def test_sound_is_listened_to_in_the_same_way() -> None:
    stage = Stage()
    admit = partial(socket_refusal, OperatorAccess(TOKENS), scope=Scope.READ)
    route = AudioStreams(lambda _: None, lambda _: True, lambda _: True, admit, stage.bus).route

    assert route.subprotocol == "evibridge"
    assert [each.subprotocol for each in stage.streams.routes] == ["evibridge"] * 2


async def test_a_request_by_http_shows_its_token_in_its_header_alone(tmp_path: Path) -> None:
    async with open_stage(tmp_path) as stage:
        by = {"Sec-WebSocket-Protocol": f"evibridge, {SHOWN}"}

        assert (await stage.get("/v1/calls", by=by)).refusal == (401, "unauthorized")
