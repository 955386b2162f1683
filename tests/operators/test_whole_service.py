"""What operators get of a running service: over real sockets, with a carrier and an EVI server."""

import asyncio
import errno
import io
import json
import os
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from evibridge import Agent, Manners, Tools
from evibridge.audio.g711 import pcm16_to_mulaw
from evibridge.records.wav_on_disk import WavOnDisk
from evibridge.service import Service, start_service
from tests.bridges.conftest import settings
from tests.parties import PATIENCE_S, TinyChat, TinyEvi, TinyTwilio

TOKENS = "ada:control=hush,wall:read=glance"
ADA = {"Authorization": "Bearer hush"}
WALL = {"Authorization": "Bearer glance"}
FRAME_MS = 20
HUM = pcm16_to_mulaw((8000 * np.sin(np.arange(160) / 3)).astype(np.int16).tobytes())

shop = Tools()


@shop.tool(requires_approval=True, holding="One moment, I ask.")
async def refund(order_id: str) -> str:
    """Give the money of an order back."""
    return f"The money of {order_id} is on its way."


AGENT = Agent(system_prompt="You sell books.", tools=shop, manners=Manners(filler=None))


@dataclass
class Watched:
    """A service that records its calls, and operators with tokens."""

    evi: TinyEvi
    service: Service
    http: aiohttp.ClientSession
    folder: Path
    calls: list[TinyTwilio] = field(default_factory=list)

    async def talk(self) -> tuple[TinyTwilio, TinyChat]:
        """A call that has come as far as a conversation."""
        twilio = TinyTwilio(self.service.origin, self.http)
        self.calls.append(twilio)
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        chat = await self.evi.next_chat()
        await chat.open()
        await chat.expect("session_settings")
        return twilio, chat

    async def post(self, path: str, body: object = None, headers: Any = ADA) -> tuple[int, Any]:
        url = f"{self.service.origin}/v1{path}"
        async with self.http.post(url, json=body or {}, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, headers: Any = ADA) -> tuple[int, Any]:
        url = f"{self.service.origin}/v1{path}"
        async with self.http.get(url, headers=headers) as answer:
            return answer.status, await answer.json()

    async def open(self, path: str, headers: Any = WALL) -> aiohttp.ClientWebSocketResponse:
        return await self.http.ws_connect(f"{self.service.origin}/v1{path}", headers=headers)

    async def record(self, call_sid: str) -> dict[str, Any]:
        """The record of a call that is over, as soon as there is one."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                status, record = await self.get(f"/calls/{call_sid}/record")
                if status == 200:
                    return record  # type: ignore[no-any-return]
                assert status == 404


@asynccontextmanager
async def watched_service(evi: TinyEvi, folder: Path) -> AsyncIterator[Watched]:
    service = await start_service(
        AGENT, settings(evi, operator_token=TOKENS, record=True, data_dir=folder)
    )
    async with aiohttp.ClientSession() as http:
        watched = Watched(evi, service, http, folder)
        try:
            yield watched
        finally:
            for twilio in watched.calls:
                await twilio.close()
                if service.calls.get(twilio.call_sid) is not None:
                    await twilio.post("/twilio/call-status", CallStatus="completed")
            await service.close()


@pytest.fixture
async def watched(evi: TinyEvi, tmp_path: Path) -> AsyncIterator[Watched]:
    async with watched_service(evi, tmp_path) as service:
        yield service


async def next_of(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """The next message of this kind."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message: dict[str, Any] = json.loads(await socket.receive_str())
            if message["type"] == kind:
                return message


async def kinds_until_closed(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
    async with asyncio.timeout(PATIENCE_S):
        return [json.loads(message.data)["type"] async for message in socket]


async def test_a_call_is_watched_from_its_first_word_to_its_end(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    socket = await watched.open(f"/calls/{twilio.call_sid}/events")

    snapshot = await next_of(socket, "snapshot")
    assert snapshot["call"]["state"] == "listening"
    await chat.hear_user("Where is", interim=True)
    assert (await next_of(socket, "caller_said"))["interim"] is True
    await chat.hear_user("Where is my order?")
    said = await next_of(socket, "caller_said")
    assert (said["text"], said["interim"]) == ("Where is my order?", False)
    await chat.say("u1", "On its way.", 200)
    assert (await next_of(socket, "agent_said"))["text"] == "On its way."
    assert (await next_of(socket, "turn_answered"))["response_ms"] >= 0
    mark = await twilio.expect("mark")
    await twilio.echo(mark["mark"]["name"])
    heard = await next_of(socket, "agent_heard")
    assert (heard["sent_ms"], heard["heard_ms"]) == (200, 200)

    await twilio.hang_up()

    assert (await kinds_until_closed(socket))[-1] == "call_ended"
    assert socket.close_code == 1000


async def test_a_reader_that_comes_back_gets_what_it_missed(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    path = f"/calls/{twilio.call_sid}/events"
    socket = await watched.open(path)
    seq = (await next_of(socket, "snapshot"))["seq"]
    await socket.close()
    await chat.hear_user("Where is my order?")
    await chat.hear_user("And the other one?")

    socket = await watched.open(f"{path}?since={seq}")
    texts = [(await next_of(socket, "caller_said"))["text"] for _ in range(2)]

    assert texts == ["Where is my order?", "And the other one?"]


async def test_all_calls_are_watched_at_once(watched: Watched) -> None:
    socket = await watched.open("/events?summaries=true")
    assert (await next_of(socket, "snapshot"))["calls"] == []

    twilio, chat = await watched.talk()
    await chat.hear_user("Hello.")

    assert (await next_of(socket, "call_began"))["call_id"] == twilio.call_sid
    async with asyncio.timeout(PATIENCE_S):
        while True:
            (summary,) = (await next_of(socket, "summaries"))["calls"]
            if summary["last_line"]:
                break
    assert summary["last_line"] == {"who": "caller", "text": "Hello."}


async def test_a_console_sees_a_call_come_and_end_without_its_events(watched: Watched) -> None:
    socket = await watched.open("/events?events=false&summaries=true")
    twilio, _ = await watched.talk()
    told = [await next_of(socket, "summaries")]
    await twilio.hang_up()
    while told[-1]["calls"][0]["state"] != "ended":
        told.append(await next_of(socket, "summaries"))
    other, _ = await watched.talk()
    async with asyncio.timeout(PATIENCE_S):
        later = json.loads(await socket.receive_str())

    assert {call["call_id"] for each in told for call in each["calls"]} == {twilio.call_sid}
    (ended,) = told[-1]["calls"]
    assert (ended["end_reason"], ended["agent"]) == ("caller_hung_up", AGENT.name)
    assert [call["call_id"] for call in later["calls"]] == [other.call_sid]


async def test_whoever_pauses_a_call_is_known_to_everybody(watched: Watched) -> None:
    twilio, _ = await watched.talk()
    path = f"/calls/{twilio.call_sid}"
    socket = await watched.open(f"{path}/events")

    assert await watched.post(f"{path}/pause") == (
        200,
        {"call_id": twilio.call_sid, "command": "pause", "by": "ada", "via": "control_plane"},
    )

    given = await next_of(socket, "command_given")
    assert (given["command"], given["by"]) == ("pause", "ada")
    _, call = await watched.get(path)
    assert (call["state"], call["paused_by"]) == ("paused", "ada")
    assert (await watched.evi.next_posted())["type"] == "pause_assistant_message"


async def test_the_first_verdict_about_a_tool_wins(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    await chat.call_tool("call_1", "refund", '{"order_id":"1042"}')
    path = f"/calls/{twilio.call_sid}"
    socket = await watched.open(f"{path}/events?since=0")
    wanted = await next_of(socket, "approval_wanted")
    _, call = await watched.get(path)
    assert call["state"] == "needs_approval"
    assert call["approvals"][0]["expires_in_s"] <= wanted["timeout_s"]

    status, _ = await watched.post(f"{path}/tools/call_1/approve")
    late_status, late = await watched.post(f"{path}/tools/call_1/decline", {"reason": "No."})

    assert status == 200
    assert (late_status, late["message"]) == (409, "ada has approved it already.")
    assert (await next_of(socket, "approval_given"))["by"] == "ada"
    finished = await next_of(socket, "tool_finished")
    assert finished["content"] == "The money of 1042 is on its way."
    assert finished["duration_ms"] >= 0
    assert (await chat.expect("tool_response"))["tool_call_id"] == "call_1"


async def test_an_operator_hears_both_sides(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    socket = await watched.open(f"/calls/{twilio.call_sid}/audio")
    hello = json.loads(await socket.receive_str())
    assert hello == {"type": "audio", "rate_hz": 8000, "channels": 2, "encoding": "linear16"}

    await chat.say("u1", "On its way.", 400)
    caller = agent = False
    async with asyncio.timeout(PATIENCE_S):
        while not (caller and agent):
            await twilio.speak(HUM)
            stereo = np.frombuffer(await socket.receive_bytes(), np.int16).reshape(-1, 2)
            caller |= bool(np.abs(stereo[:, 0]).max(initial=0) > 1000)
            agent |= bool(np.abs(stereo[:, 1]).max(initial=0) > 100)

    await twilio.hang_up()
    async with asyncio.timeout(PATIENCE_S):
        async for _ in socket:
            pass
    assert socket.close_code == 1000


async def test_levels_are_told_to_whom_they_interest(watched: Watched) -> None:
    twilio, _ = await watched.talk()
    socket = await watched.open(f"/calls/{twilio.call_sid}/events?levels=true")

    async with asyncio.timeout(PATIENCE_S):
        while True:
            await twilio.speak(HUM)
            levels = await next_of(socket, "levels")
            if levels["caller"] > 0.1:
                break
    assert levels["agent"] == 0.0


@pytest.mark.parametrize("path", ["/events", "/calls/CA0/events", "/calls/CA0/audio"])
async def test_sockets_are_closed_to_strangers_before_anything_is_looked_up(
    watched: Watched, path: str
) -> None:
    for headers, status in (({}, 401), ({"Authorization": "Bearer wrong"}, 401)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await watched.open(path, headers)
        assert refused.value.status == status


@pytest.mark.parametrize("path", ["/calls/CA0/events", "/calls/CA0/audio"])
async def test_there_is_nothing_to_watch_of_a_call_that_is_not_known(
    watched: Watched, path: str
) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await watched.open(path)
    assert refused.value.status == 404


async def test_a_call_leaves_its_record_and_its_sound(watched: Watched) -> None:
    twilio, chat = await watched.talk()
    for _ in range(10):
        await twilio.speak(HUM)
    await chat.hear_user("Where is my order?")
    await chat.say("u1", "On its way.", 200)
    await twilio.expect("mark")
    await watched.post(f"/calls/{twilio.call_sid}/context", {"text": "A good customer."})
    await twilio.hang_up()

    record = await watched.record(twilio.call_sid)

    assert [turn["text"] for turn in record["turns"]] == ["Where is my order?", "On its way."]
    assert record["commands"][0]["by"] == "ada"
    assert record["end_reason"] == "caller_hung_up"
    assert record["recording"]["failure"] is None
    url = f"{watched.service.origin}/v1/calls/{twilio.call_sid}/recording"
    async with watched.http.get(url, headers=WALL) as answer:
        with wave.open(io.BytesIO(await answer.read())) as sound:
            assert (sound.getnchannels(), sound.getframerate()) == (2, 8000)
            assert sound.getnframes() / 8000 == pytest.approx(record["lasts_s"], abs=0.1)
    _, found = await watched.get("/calls?state=ended&q=order")
    assert [call["call_id"] for call in found["calls"]] == [twilio.call_sid]


async def test_a_call_goes_on_though_its_disk_does_not_take_the_sound(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(_: WavOnDisk, stereo16: bytes) -> None:
        del stereo16
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(WavOnDisk, "append", is_full)
    twilio, chat = await watched.talk()
    socket = await watched.open(f"/calls/{twilio.call_sid}/events?since=0")
    failed = await next_of(socket, "recording_failed")
    await chat.say("u1", "Hello.", 200)
    await twilio.expect("media")
    await twilio.hang_up()

    record = await watched.record(twilio.call_sid)

    assert "No space left on device" in failed["why"]
    assert record["recording"]["failure"] == failed["why"]
    assert record["turns"][0]["text"] == "Hello."
