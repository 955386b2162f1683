"""Operators who are early: they watch, or want to hear, a call that still rings."""

import asyncio
import json

import aiohttp

from evibridge.events import CallBegan, CallEnded, EndReason
from tests.bridges.outbound_stage import outbound_stage
from tests.bridges.twilio_rest_server import tiny_twilio_rest
from tests.operators.event_stage import Stage, StuckSocket, said
from tests.parties import PATIENCE_S, TinyEvi
from tests.sockets.peers import KEY

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def early_watcher(stage: Stage) -> StuckSocket:
    """Somebody who wants to see levels of CA2."""
    return StuckSocket(stage.accept("/v1/calls/CA2/events?levels=true", call_id="CA2"))


def test_levels_begin_with_the_call_for_all_who_wait_for_them() -> None:
    stage = Stage()
    watchers = [early_watcher(stage) for _ in range(2)]
    stage.tell(CallBegan(), "CA2")  # told before the call is there
    sinks = stage.level_sinks["CA2"] = []
    stage.tell(said("Hello."), "CA2")
    stage.tell(said("Hello?"), "CA2")
    (sink,) = sinks
    sink(0.5, 0.0)

    for watcher in watchers:
        assert watcher.types == ["snapshot", "call_began", "caller_said", "caller_said", "levels"]
    stage.tell(CallEnded(EndReason.CALLER_HUNG_UP), "CA2")
    assert sinks == []


def test_who_has_stopped_waiting_for_levels_gets_none() -> None:
    stage = Stage()
    early_watcher(stage).hang_up()
    sinks = stage.level_sinks["CA2"] = []
    stage.tell(CallBegan(), "CA2")

    assert sinks == []


async def test_a_call_that_rings_cannot_be_heard_and_has_levels_once_it_has_begun(
    evi: TinyEvi, http: aiohttp.ClientSession
) -> None:
    async with (
        asyncio.timeout(PATIENCE_S),
        tiny_twilio_rest() as rest,
        outbound_stage(evi, rest, http) as stage,
    ):
        person = await stage.ring()
        path = f"{stage.service.origin}/v1/calls/{person.call_sid}"
        async with http.get(f"{path}/audio", headers=UPGRADE) as answer:
            assert (answer.status, await answer.text()) == (409, "Nobody has answered yet.")
        async with http.ws_connect(f"{path}/events?levels=true") as events:
            await person.speak_with(await person.answer())
            chat = await evi.next_chat()
            await chat.open()
            while json.loads(await events.receive_str())["type"] != "levels":
                pass
