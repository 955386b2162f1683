"""Webhooks of a real engine with a scripted mind, as a receiver of EVI's webhooks gets them."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hume.empathic_voice import (
    WebhookEventChatEnded,
    WebhookEventChatStarted,
    WebhookEventToolCall,
)

from evibridge.engine.chat.timeouts import ChatLimits, EventMessage
from evibridge.engine.metrics import EngineMetrics
from evibridge.engine.minds.script import ScriptedMind
from evibridge.engine.server import Engine
from evibridge.engine.webhooks.delivery import Deliveries
from evibridge.engine.webhooks.webhook import Webhook
from tests.engine.chat_client import ChatClient, serving, types, words
from tests.engine.webhooks.receiver import (
    KEY,
    PATIENCE_S,
    Received,
    Receiver,
    bound_socket,
    receiving,
    webhook,
)

SCRIPT = """
turns:
  - name: order status
    heard: where is my order
    call: {tool: order_status, with: {order_id: "1042"}}
  - name: news
    heard: what is new
    call: {tool: web_search, with: {query: news}}
fallback: Pardon?
"""
TOOL = {"type": "function", "name": "order_status", "parameters": "{}"}
CONFIG_ID = "1B60E1A0-cc59-424a-8d2c-189d354db3f3"
PARSERS: dict[str, Any] = {
    "chat_started": WebhookEventChatStarted,
    "tool_call": WebhookEventToolCall,
    "chat_ended": WebhookEventChatEnded,
}
"""Hume's own types."""


@pytest.fixture
def mind(tmp_path: Path) -> ScriptedMind:
    path = tmp_path / "shop.yaml"
    path.write_text(SCRIPT, encoding="utf-8")
    return ScriptedMind.load(path)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def telling(
    mind: ScriptedMind, *webhooks: Webhook, metrics: EngineMetrics | None = None, **parts: Any
) -> AsyncIterator[Engine]:
    """Run an engine that tells receivers of its chats."""
    metrics = metrics or EngineMetrics()
    deliveries = Deliveries(webhooks, metrics.webhook_ended, pauses_s=(0.0, 0.0, 0.0))
    async with serving(mind, webhooks=deliveries, metrics=metrics, **parts) as engine:
        yield engine


@asynccontextmanager
async def chatting(engine: Engine, query: str = "") -> AsyncIterator[ChatClient]:
    """Open a chat that offers a tool, and leave it at the end."""
    async with ChatClient.connect(engine, query=query) as chat:
        await chat.send("session_settings", tools=[TOOL], builtin_tools=[{"name": "web_search"}])
        yield chat
        await chat.close()


def names(received: Sequence[Received]) -> list[str]:
    return [each.name for each in received]


async def test_a_chat_is_told_from_its_start_to_its_end(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    query = f"config_id={CONFIG_ID}&session_settings[custom_session_id]=call-4711"
    async with telling(mind, webhook(receiver)) as engine:
        async with chatting(engine, query) as chat:
            (metadata,) = await chat.until("chat_metadata")
            await chat.send("user_input", text="Where is my order?")
            sent = (await chat.until("tool_call"))[-1]
        start, call, end = await receiver.until("chat_ended")

    assert names([start, call, end]) == ["chat_started", "tool_call", "chat_ended"]
    for each in (start, call, end):
        assert each.is_genuine
        assert each.event["chat_id"] == metadata["chat_id"]
        assert each.event["chat_group_id"] == metadata["chat_group_id"]
        assert each.event["config_id"] == CONFIG_ID
        assert each.event["custom_session_id"] == "call-4711"
        assert each.event["caller_number"] is None
        assert each.event["twilio_metadata"] is None
    assert start.event["chat_start_type"] == "new_chat_group"
    assert call.event["tool_call_message"] == sent
    assert sent["custom_session_id"] == "call-4711"
    assert end.event["end_reason"] == "USER_ENDED"
    lasted_ms = end.event["end_time"] - start.event["start_time"]
    assert 0 <= lasted_ms - 1000 * end.event["duration_seconds"] < 1001
    assert start.event["start_time"] <= call.event["timestamp"] <= end.event["end_time"]


async def test_humes_own_types_read_every_event(mind: ScriptedMind, receiver: Receiver) -> None:
    async with telling(mind, webhook(receiver)) as engine:
        async with chatting(engine) as chat:
            await chat.send("user_input", text="Where is my order?")
            await chat.until("tool_call")
        received = await receiver.until("chat_ended")

    parsed = [PARSERS[each.name].model_validate(each.event) for each in received]
    assert [type(each) for each in parsed] == list(PARSERS.values())
    assert [each.model_extra for each in parsed] == [{}, {}, {}]
    call = parsed[1]
    assert isinstance(call, WebhookEventToolCall)
    assert json.loads(call.tool_call_message.parameters) == {"order_id": "1042"}


async def test_a_chat_that_goes_on_with_a_group_says_so(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    async with telling(mind, webhook(receiver)) as engine:
        async with chatting(engine):
            pass
        first, _ = await receiver.until("chat_ended")
        group = first.event["chat_group_id"]
        async with chatting(engine, f"resumed_chat_group_id={group}&config_id=mine"):
            pass
        second, end = await receiver.until("chat_ended")

    assert second.event["chat_start_type"] == "resumed_chat_group"
    assert second.event["chat_group_id"] == end.event["chat_group_id"] == group
    assert second.event["chat_id"] != first.event["chat_id"]
    assert second.event["config_id"] is None


async def test_a_chat_without_its_group_never_was_one(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    async with telling(mind, webhook(receiver)) as engine:
        query = f"resumed_chat_group_id={uuid.uuid4()}"
        async with ChatClient.connect(engine, query=query) as chat:
            assert types(await chat.rest()) == ["error"]

    assert receiver.told == []


async def test_a_chat_that_a_timer_ends_says_so(mind: ScriptedMind, receiver: Receiver) -> None:
    limits = ChatLimits(inactivity_s=0.05, on_inactivity=EventMessage(enabled=False))
    async with telling(mind, webhook(receiver), limits=limits) as engine:
        async with ChatClient.connect(engine) as chat:
            assert types(await chat.rest()) == ["chat_metadata", "error"]
        received = await receiver.until("chat_ended")

    assert received[-1].event["end_reason"] == "INACTIVITY_TIMEOUT"


async def test_the_engines_own_tools_are_nobody_elses_to_answer(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    async def search(query: str) -> str:
        return f"All the {query}."

    async with telling(mind, webhook(receiver), web_search=search) as engine:
        async with chatting(engine) as chat:
            await chat.send("user_input", text="What is new?")
            assert "tool_call" in types(await chat.until("assistant_end"))
        received = await receiver.until("chat_ended")

    assert names(received) == ["chat_started", "chat_ended"]


async def test_a_receiver_answers_a_call_over_the_control_plane(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    only_calls = webhook(receiver, "", "tool_call")
    async with telling(mind, only_calls) as engine, chatting(engine) as chat:
        await chat.send("user_input", text="Where is my order?")
        call = (await receiver.next()).event
        url = f"{engine.origin}/v0/evi/chat/{call['chat_id']}/send"
        answer = {
            "type": "tool_response",
            "tool_call_id": call["tool_call_message"]["tool_call_id"],
            "content": "On its way.",
        }
        async with aiohttp.ClientSession() as http, http.post(url, json=answer) as response:
            assert response.status == 200
        assert words(await chat.until("assistant_end")) == ["On its way."]

    assert names(receiver.told) == ["tool_call"]


async def test_a_receiver_that_does_not_answer_delays_no_chat(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    receiver.may_answer.clear()
    async with telling(mind, webhook(receiver)) as engine:
        async with chatting(engine) as chat:
            await chat.send("user_input", text="Where is my order?")
            call_id = (await chat.until("tool_call"))[-1]["tool_call_id"]
            await chat.send("tool_response", tool_call_id=call_id, content="On its way.")
            assert words(await chat.until("assistant_end")) == ["On its way."]
        await asyncio.wait_for(engine.drain(PATIENCE_S), PATIENCE_S)
        first = await receiver.next()
        assert receiver.told == [first]  # and the chat is over
        receiver.may_answer.set()
        others = await receiver.until("chat_ended")

    assert names([first, *others]) == ["chat_started", "tool_call", "chat_ended"]
    assert receiver.busiest == 1


async def test_a_receiver_that_is_out_of_order_for_a_moment_misses_nothing(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    receiver.answers.extend([503, None, 200, 429])
    async with telling(mind, webhook(receiver)) as engine:
        async with chatting(engine):
            pass
        received = [await receiver.next() for _ in range(5)]

    assert names(received) == ["chat_started"] * 3 + ["chat_ended"] * 2


async def test_an_engine_that_shuts_down_tells_the_end_of_its_chats(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    async with telling(mind, webhook(receiver)) as engine, chatting(engine) as chat:
        await chat.until("chat_metadata")
        closing = asyncio.create_task(engine.close())
        await chat.rest()
        await asyncio.wait_for(closing, PATIENCE_S)

    assert chat.close_code == 1001
    assert names(receiver.told) == ["chat_started", "chat_ended"]
    assert receiver.told[-1].event["end_reason"] == "ERROR"


async def test_what_was_told_is_on_the_page_of_metrics(
    mind: ScriptedMind, receiver: Receiver
) -> None:
    metrics = EngineMetrics()
    with bound_socket() as dead:
        nobody = Webhook(f"http://127.0.0.1:{dead.getsockname()[1]}/", KEY)
        async with telling(mind, webhook(receiver), nobody, metrics=metrics) as engine:
            async with chatting(engine):
                pass
            await receiver.until("chat_ended")
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{engine.origin}/metrics") as answer,
            ):
                before = await answer.text()
    after = metrics.page().decode()

    name = "evibridge_engine_webhooks_total"
    assert f'{name}{{event="tool_call",outcome="delivered"}} 0.0' in before
    assert f'{name}{{event="chat_ended",outcome="delivered"}} 1.0' in after
    assert f'{name}{{event="chat_ended",outcome="given_up"}} 1.0' in after
