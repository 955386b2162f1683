"""A chat of the real engine, opened by a client of its own; tools and operators are here."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from evibridge import events
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.call_plan import CallPlan
from evibridge.agent.calls import Calls
from evibridge.agent.commands import Via
from evibridge.agent.control_plane import ControlPlane
from evibridge.agent.course import CallLimits
from evibridge.agent.evi_client import EviServer
from evibridge.agent.sidecar_call import SidecarCall
from evibridge.bridges import sidecar as sidecar_module
from evibridge.bridges.hume_webhook import WEBHOOK_PATH, HumeWebhook
from evibridge.bridges.sidecar import Sidecars
from evibridge.engine.metrics import EngineMetrics
from evibridge.engine.minds.script import ScriptedMind
from evibridge.engine.server import Engine
from evibridge.engine.webhooks.delivery import Deliveries
from evibridge.engine.webhooks.webhook import Webhook
from evibridge.errors import CommandRefused
from evibridge.events import CallEvent, EndReason
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner
from tests.engine.chat_client import ChatClient, serving, words
from tests.parties import PATIENCE_S, all_gone

KEY = "wh_test_key"
SCRIPT = """
turns:
  - name: order status
    heard: where is my order
    call: {tool: order_status}
fallback: Pardon?
"""


@dataclass
class Office:
    """Calls, tools and the webhook's route, without a telephone."""

    calls: Calls = field(default_factory=lambda: Calls(max_calls=4))
    tools: Tools = field(default_factory=Tools)
    told: list[CallEvent] = field(default_factory=list)
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    orders: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        @self.tools.tool
        async def order_status() -> str:
            """Tell where an order is."""
            self.orders.append("asked")
            return "It is on its way."

        self.sidecars = Sidecars(self.calls, lambda: self.calls.free_places)

    def open(self, engine: Engine, control_plane: ControlPlane) -> None:
        """Let calls begin."""
        offers = (evi.ToolOffer("order_status", '{"type": "object", "properties": {}}'),)
        plan = CallPlan(
            server=EviServer(engine.origin),
            control_plane=control_plane,
            settings=lambda: evi.SessionSettings(system_prompt="Theirs is kept.", tools=offers),
            tools=ToolRunner(self.tools, default_timeout_s=5),
            limits=CallLimits(),
            publish=self._publish,
        )
        self.calls.open(plan)

    async def sidecar(self, chat_id: str) -> SidecarCall:
        """The sidecar of a chat, once there is one that is attached."""
        async with asyncio.timeout(PATIENCE_S):
            await self.has_begun.wait()
        call = self.calls.by_chat(chat_id)
        assert isinstance(call, SidecarCall)
        await call.attached(PATIENCE_S)
        return call

    def _publish(self, _: str, event: CallEvent) -> None:
        self.told.append(event)
        self.has_begun.set()


@asynccontextmanager
async def receiving(office: Office) -> AsyncIterator[str]:
    """Serve the route of the webhooks; yields its URL."""
    app = web.Application()
    HumeWebhook(office.sidecars, KEY).add_routes(app)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}{WEBHOOK_PATH}"
    await runner.cleanup()


@pytest.fixture
def mind(tmp_path: Path) -> ScriptedMind:
    path = tmp_path / "shop.yaml"
    path.write_text(SCRIPT, encoding="utf-8")
    return ScriptedMind.load(path)


@asynccontextmanager
async def beside(mind: ScriptedMind) -> AsyncIterator[tuple[Engine, Office]]:
    """An engine, and a service that its webhooks come to."""
    office = Office()
    metrics = EngineMetrics()
    async with receiving(office) as url:
        deliveries = Deliveries((Webhook(url, KEY),), metrics.webhook_ended)
        async with serving(mind, webhooks=deliveries, metrics=metrics) as engine:
            control_plane = ControlPlane(engine.origin, None)
            office.open(engine, control_plane)
            yield engine, office
            office.sidecars.close()
            await office.calls.close()
            await control_plane.close()


@pytest.fixture(autouse=True)
def _own_chats_are_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar_module, "OWN_CHATS_KNOWN_S", 0.0)


@pytest.mark.parametrize("allow_connection", ["true", "false"])
async def test_the_agents_tools_serve_a_chat_that_was_opened_elsewhere(
    mind: ScriptedMind, allow_connection: str
) -> None:
    """By mirror and webhooks, or by webhooks alone."""
    query = f"allow_connection={allow_connection}"
    async with beside(mind) as (engine, office), ChatClient.connect(engine, query=query) as chat:
        chat_id = (await chat.next())["chat_id"]
        call = await office.sidecar(chat_id)
        # The chat knows the tools once an operator's message, sent behind them, has arrived.
        assert await call.operate(wish.SetVariables({"shop": "Lantern"}), "Ada")
        await chat.send("user_input", text="Where is my order?")
        answer = await chat.until("assistant_end")
        assert await call.operate(wish.Say("Goodbye."), "Ada") is Via.CONTROL_PLANE
        goodbye = await chat.until("assistant_end")
        await chat.close()
        await all_gone(office.calls)

    assert words(answer)[-1] == "It is on its way."
    assert words(goodbye) == ["Goodbye."]
    assert office.orders == ["asked"]
    finished = [event for event in office.told if isinstance(event, events.ToolFinished)]
    assert [event.outcome for event in finished] == ["answered"]
    assert office.told[0] == events.CallBegan(events.CallKind.SIDECAR)
    assert office.told[-1] == events.CallEnded(EndReason.CHAT_ENDED)
    said = [event.text for event in office.told if isinstance(event, events.AgentSaid)]
    assert said == (["It is on its way.", "Goodbye."] if allow_connection == "true" else [])


async def test_an_operator_attaches_to_a_chat_of_the_engine(mind: ScriptedMind) -> None:
    async with beside(mind) as (engine, office):
        async with ChatClient.connect(engine, query="allow_connection=true") as chat:
            chat_id = (await chat.next())["chat_id"]
            call, _ = await office.sidecars.attach(chat_id)
            assert call.snapshot().chat_is_ready
            await chat.close()
        await all_gone(office.calls)
        with pytest.raises(CommandRefused):
            await office.sidecars.attach(chat_id)
