from typing import get_args

import aiohttp
import pytest

from evibridge.engine.chat.tool_calls import ToolEnd
from evibridge.engine.metrics import CONTENT_TYPE, EngineMetrics, ModelPart
from evibridge.engine.minds.mind import Say
from evibridge.engine.server import Engine
from evibridge.engine.webhooks.delivery import WebhookEnd
from evibridge.engine.webhooks.events import EVENT_NAMES, EventName
from evibridge.engine.workers import Workers
from tests.engine.chat_client import PATIENCE_S, ChatClient, serving
from tests.engine.chat_parts import RuleMind
from tests.metrics_page import Page, read_page


def read(text: str) -> Page:
    return read_page(text, prefix="evibridge_engine_")


def page_of(metrics: EngineMetrics) -> Page:
    return read(metrics.page().decode())


async def fetched(engine: Engine) -> tuple[str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{engine.origin}/metrics") as answer,
    ):
        assert answer.status == 200
        return answer.headers["Content-Type"], await answer.text()


def test_every_series_is_there_before_anything_has_happened() -> None:
    page = page_of(EngineMetrics())

    assert page["chats"] == 0
    assert page['chats_ended_total{reason="client_left"}'] == 0
    assert page['errors_sent_total{code="E0712"}'] == 0
    assert page['handshakes_refused_total{status="429"}'] == 0
    assert page['tool_calls_total{outcome="timed_out"}'] == 0
    assert page['overloads_total{part="mind"}'] == 0
    assert page['webhooks_total{event="tool_call",outcome="given_up"}'] == 0
    assert page['queue_waiting{part="ears"}'] == 0
    assert page['queue_wait_seconds_count{part="voice"}'] == 0
    assert not [name for name, value in page.items() if value and "_created" not in name]


def test_chats_are_counted_while_they_are_open_and_by_their_end() -> None:
    metrics = EngineMetrics()
    metrics.chat_started()
    metrics.chat_started()
    metrics.chat_ended("hang_up")

    page = page_of(metrics)

    assert page["chats"] == 1
    assert page['chats_ended_total{reason="hang_up"}'] == 1


def test_what_is_not_foreseen_is_counted_as_other() -> None:
    metrics = EngineMetrics()
    metrics.chat_started()
    metrics.chat_ended("a new reason")
    metrics.error_sent("E9999")
    metrics.handshake_refused(500)

    page = page_of(metrics)

    assert page['chats_ended_total{reason="other"}'] == 1
    assert page['errors_sent_total{code="other"}'] == 1
    assert page['handshakes_refused_total{status="other"}'] == 1
    assert not [name for name in page if "new reason" in name or "9999" in name or "500" in name]


def test_turns_interruptions_and_refusals_are_counted() -> None:
    metrics = EngineMetrics()
    metrics.turn_ended()
    metrics.interrupted()
    metrics.error_sent("E0101")
    metrics.handshake_refused(401)

    page = page_of(metrics)

    assert page["turns_total"] == 1
    assert page["interruptions_total"] == 1
    assert page['errors_sent_total{code="E0101"}'] == 1
    assert page['handshakes_refused_total{status="401"}'] == 1


@pytest.mark.parametrize("outcome", get_args(ToolEnd))
def test_tool_calls_are_counted_by_their_outcome(outcome: ToolEnd) -> None:
    metrics = EngineMetrics()
    metrics.tool_call_ended(outcome)

    assert page_of(metrics)[f'tool_calls_total{{outcome="{outcome}"}}'] == 1


@pytest.mark.parametrize("part", get_args(ModelPart))
def test_overloads_are_counted_by_part(part: ModelPart) -> None:
    metrics = EngineMetrics()
    metrics.overloaded(part)

    assert page_of(metrics)[f'overloads_total{{part="{part}"}}'] == 1


@pytest.mark.parametrize("event", EVENT_NAMES)
@pytest.mark.parametrize("outcome", get_args(WebhookEnd))
def test_webhooks_are_counted_by_event_and_outcome(event: EventName, outcome: WebhookEnd) -> None:
    metrics = EngineMetrics()
    metrics.webhook_ended(event, outcome)

    assert page_of(metrics)[f'webhooks_total{{event="{event}",outcome="{outcome}"}}'] == 1


def test_delays_fall_into_buckets() -> None:
    metrics = EngineMetrics()
    metrics.turn_answered(0.45)
    metrics.turn_answered(7.0)
    metrics.speech_recognised(0.12)
    metrics.mind_began(0.02)
    metrics.voice_began(0.06)

    page = page_of(metrics)

    assert page['answer_seconds_bucket{le="0.4"}'] == 0
    assert page['answer_seconds_bucket{le="0.5"}'] == 1
    assert page['answer_seconds_bucket{le="5.0"}'] == 1
    assert page['answer_seconds_bucket{le="+Inf"}'] == 2
    assert page["answer_seconds_sum"] == pytest.approx(7.45)
    assert page['recognition_seconds_bucket{le="0.15"}'] == 1
    assert page['mind_first_words_seconds_bucket{le="0.025"}'] == 1
    assert page['synthesis_first_chunk_seconds_bucket{le="0.1"}'] == 1


async def test_the_work_of_threads_is_timed_by_part() -> None:
    metrics = EngineMetrics()
    workers = Workers(1, max_waiting=1, name="ears")
    metrics.watch("ears", workers)
    try:
        during = await workers.run(page_of, metrics)
    finally:
        workers.close()
    after = page_of(metrics)

    assert during['queue_busy{part="ears"}'] == 1
    assert during['queue_waiting{part="ears"}'] == 0
    assert after['queue_busy{part="ears"}'] == 0
    assert after['queue_wait_seconds_count{part="ears"}'] == 1
    assert after['queue_work_seconds_count{part="ears"}'] == 1
    assert after['queue_work_seconds_count{part="voice"}'] == 0


def test_engines_count_for_themselves() -> None:
    one, other = EngineMetrics(), EngineMetrics()
    one.turn_ended()

    assert page_of(other)["turns_total"] == 0


async def test_a_conversation_can_be_followed_on_the_page() -> None:
    mind = RuleMind(lambda heard: [Say(f"Your code is 4711, {heard}.")])
    async with serving(mind) as engine:
        async with ChatClient.connect(engine) as chat:
            await chat.until("chat_metadata")
            await chat.send_raw("[]")
            await chat.until("error")
            await chat.send("user_input", text="Muriel")
            await chat.until("assistant_end")
            during = read((await fetched(engine))[1])
            await chat.close()
        await engine.drain(PATIENCE_S)
        kind, text = await fetched(engine)

    after = read(text)
    assert kind == CONTENT_TYPE
    assert during["chats"] == 1
    assert after["chats"] == 0
    assert after['chats_ended_total{reason="client_left"}'] == 1
    assert after["answer_seconds_count"] == 1
    assert after['errors_sent_total{code="E0100"}'] == 1
    assert "Muriel" not in text
    assert "4711" not in text
