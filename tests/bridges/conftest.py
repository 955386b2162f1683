import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
import pytest

from evibridge import Agent, Manners, ToolContext, Tools
from evibridge.service import Service, start_service
from evibridge.settings import Settings
from tests.bridges.twilio_rest_server import TinyTwilioRest, tiny_twilio_rest
from tests.parties import TinyChat, TinyEvi, TinyTwilio

if TYPE_CHECKING:
    from tests.bridges.outbound_stage import OutboundStage

shop = Tools()


@shop.tool
async def order_status(call: ToolContext, order_id: str) -> str:
    """Tell where an order is.

    Args:
        order_id: the number on the receipt
    """
    return f"Order {order_id} of {call.caller} is on its way; keys: {call.digits or 'none'}."


@shop.tool(timeout=0.05, fallback="That takes too long.")
async def hang() -> str:
    """Never answer."""
    await asyncio.Event().wait()
    return ""


AGENT = Agent(
    system_prompt="You answer for {{shop}}.",
    tools=shop,
    variables={"shop": "Lantern"},
    manners=Manners(filler=None),
)


@dataclass
class Scene:
    """A service between a carrier and an EVI server that a test plays."""

    evi: TinyEvi
    service: Service
    http: aiohttp.ClientSession
    calls: list[TinyTwilio] = field(default_factory=list)

    def carrier(self) -> TinyTwilio:
        """A new call at the carrier's end."""
        self.calls.append(TinyTwilio(self.service.origin, self.http))
        return self.calls[-1]

    async def talk(self) -> tuple[TinyTwilio, TinyChat]:
        """A call that has come as far as a conversation."""
        twilio = self.carrier()
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        chat = await self.evi.next_chat()
        await chat.open()
        await chat.expect("session_settings")
        return twilio, chat


def settings(evi: TinyEvi, **more: object) -> Settings:
    return Settings(_env_file=None, port=0, evi_url=evi.origin, **more)  # type: ignore[call-arg, arg-type]


@pytest.fixture
async def scene(evi: TinyEvi, http: aiohttp.ClientSession) -> AsyncIterator[Scene]:
    service = await start_service(AGENT, settings(evi, max_calls=2))
    scene = Scene(evi, service, http)
    try:
        yield scene
    finally:
        for twilio in scene.calls:
            await twilio.close()
            if service.calls.get(twilio.call_sid) is not None:
                await twilio.post("/twilio/call-status", CallStatus="completed")
        await service.close()


@pytest.fixture
async def rest() -> AsyncIterator[TinyTwilioRest]:
    async with tiny_twilio_rest() as server:
        yield server


@pytest.fixture
async def stage(
    evi: TinyEvi, rest: TinyTwilioRest, http: aiohttp.ClientSession
) -> AsyncIterator["OutboundStage"]:
    from tests.bridges.outbound_stage import outbound_stage  # which takes settings from here

    async with outbound_stage(evi, rest, http) as stage:
        yield stage
