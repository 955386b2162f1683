import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from evibridge.engine.chat import messages
from evibridge.engine.webhooks.delivery import Deliveries
from evibridge.engine.webhooks.events import (
    ChatIdentity,
    Event,
    EventName,
    chat_ended,
    chat_started,
    tool_call,
)
from evibridge.engine.webhooks.outbox import EVENT_BYTES, Outbox
from evibridge.engine.webhooks.webhook import Webhook
from tests.engine.webhooks.receiver import (
    KEY,
    PATIENCE_S,
    Received,
    Receiver,
    bound_socket,
    is_signed,
    receiving,
    webhook,
)

NO_PAUSES_S = (0.0, 0.0, 0.0)
FOR_EVER_S = 3600.0
ADA, BOB = "ada", "bob"


class Counts(Counter[tuple[EventName, str]]):
    """How deliveries ended."""

    def ended(self, event: EventName, outcome: str) -> None:
        self[event, outcome] += 1


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@asynccontextmanager
async def delivering(
    webhooks: Sequence[Webhook], counts: Counts, **options: Any
) -> AsyncIterator[Deliveries]:
    deliveries = Deliveries(webhooks, counts.ended, **{"pauses_s": NO_PAUSES_S} | options)
    try:
        yield deliveries
    finally:
        await asyncio.wait_for(deliveries.close(), PATIENCE_S)


def start(chat_id: str) -> Event:
    return chat_started(ChatIdentity(chat_id, "group", None), None, 1.0, resumed=False)


def end(chat_id: str) -> Event:
    identity = ChatIdentity(chat_id, "group", None)
    return chat_ended(identity, None, 2.0, lasted_s=1.0, why="hang_up")


def call(chat_id: str, number: int) -> Event:
    message = messages.tool_call(str(number), "order_status", {}, builtin=False)
    return tool_call(ChatIdentity(chat_id, "group", None), None, 1.5, message)


def told(received: Sequence[Received]) -> list[tuple[str, str]]:
    return [(each.event["chat_id"], each.name) for each in received]


async def test_an_event_is_told_once_and_signed(receiver: Receiver, counts: Counts) -> None:
    async with delivering([webhook(receiver, "?code=1%2F2")], counts) as deliveries:
        deliveries.tell(ADA, start(ADA))
        received = await receiver.next()

    assert received.is_genuine
    assert received.headers["Content-Type"] == "application/json"
    assert json.loads(received.body) == json.loads(start(ADA).body)
    assert len(receiver.told) == 1
    assert counts == {("chat_started", "delivered"): 1}


async def test_a_webhook_is_told_only_what_it_wants(receiver: Receiver, counts: Counts) -> None:
    async with (
        receiving() as other,
        delivering([webhook(receiver, "", "chat_ended"), webhook(other)], counts) as deliveries,
    ):
        deliveries.tell(ADA, start(ADA))
        deliveries.tell(ADA, end(ADA))
        assert told([await receiver.next()]) == [(ADA, "chat_ended")]
        assert told(await other.until("chat_ended")) == [(ADA, "chat_started"), (ADA, "chat_ended")]


@pytest.mark.parametrize("statuses", [(408, 409, 429), (500, 502, 503), (None, None, 503)])
async def test_what_passes_is_tried_again(
    receiver: Receiver, counts: Counts, statuses: tuple[int | None, ...]
) -> None:
    receiver.answers.extend(statuses)
    async with delivering([webhook(receiver)], counts) as deliveries:
        deliveries.tell(ADA, start(ADA))
        tries = [await receiver.next() for _ in range(4)]

    assert {each.body for each in tries} == {start(ADA).body}
    assert counts == {("chat_started", "delivered"): 1}


async def test_every_try_is_signed_anew(receiver: Receiver, counts: Counts) -> None:
    receiver.answers.append(503)
    clock = itertools.count(1767000124, step=200)
    async with delivering(
        [webhook(receiver)], counts, unix_s=lambda: float(next(clock))
    ) as deliveries:
        deliveries.tell(ADA, start(ADA))
        tries = [await receiver.next() for _ in range(2)]

    assert [each.timestamp for each in tries] == ["1767000124", "1767000324"]
    assert all(is_signed(each.body, each.timestamp, each.signature) for each in tries)


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410])
async def test_what_does_not_pass_is_not_tried_again(
    receiver: Receiver, counts: Counts, status: int
) -> None:
    receiver.answers.append(status)
    async with delivering([webhook(receiver)], counts) as deliveries:
        deliveries.tell(ADA, start(ADA))
        deliveries.tell(ADA, end(ADA))
        received = await receiver.until("chat_ended")

    assert told(received) == [(ADA, "chat_started"), (ADA, "chat_ended")]
    assert counts == {("chat_started", "given_up"): 1, ("chat_ended", "delivered"): 1}


async def test_what_fails_four_times_is_given_up_and_told_without_what_may_be_secret(
    receiver: Receiver, counts: Counts
) -> None:
    receiver.answers.extend([503] * 4)
    with capture_logs() as logs:
        async with delivering([webhook(receiver, "?code=hush")], counts) as deliveries:
            deliveries.tell(ADA, start(ADA))
            deliveries.tell(ADA, end(ADA))
            received = await receiver.until("chat_ended")

    assert [each.name for each in received] == ["chat_started"] * 4 + ["chat_ended"]
    assert counts == {("chat_started", "given_up"): 1, ("chat_ended", "delivered"): 1}
    assert logs == [
        {
            "event": "webhook_given_up",
            "log_level": "warning",
            "chat_id": ADA,
            "webhook": "chat_started",
            "host": "127.0.0.1",
            "why": "HTTP 503",
        }
    ]


async def test_a_refused_connection_is_tried_again(counts: Counts) -> None:
    with bound_socket() as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        pauses_s = (0.01,) * 200  # as many as it takes until somebody listens
        async with delivering([Webhook(url, KEY)], counts, pauses_s=pauses_s) as deliveries:
            deliveries.tell(ADA, start(ADA))
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*closed.getsockname())
            async with receiving(closed) as receiver:
                assert told([await receiver.next()]) == [(ADA, "chat_started")]

    assert counts == {("chat_started", "delivered"): 1}


async def test_an_answer_that_does_not_come_is_tried_again(
    receiver: Receiver, counts: Counts
) -> None:
    receiver.may_answer.clear()
    options = {"try_timeout_s": 0.05, "pauses_s": (0.0,) * 200}
    async with delivering([webhook(receiver)], counts, **options) as deliveries:
        deliveries.tell(ADA, start(ADA))
        await receiver.next()
        await receiver.next()
        receiver.may_answer.set()
        deliveries.tell(ADA, end(ADA))
        await receiver.until("chat_ended")

    assert counts == {("chat_started", "delivered"): 1, ("chat_ended", "delivered"): 1}


@pytest.mark.parametrize("host", ["..example", "ü" * 80])
async def test_an_address_that_nobody_can_have_is_not_tried_again(
    counts: Counts, host: str
) -> None:
    clock = itertools.count()
    async with delivering(
        [Webhook(f"http://{host}/", KEY)], counts, unix_s=lambda: float(next(clock))
    ) as deliveries:
        deliveries.tell(ADA, start(ADA))

    assert counts == {("chat_started", "given_up"): 1}
    assert next(clock) == 1


async def test_the_events_of_a_chat_wait_for_each_other_and_chats_do_not(
    receiver: Receiver, counts: Counts
) -> None:
    receiver.may_answer.clear()
    async with delivering([webhook(receiver)], counts) as deliveries:
        deliveries.tell(ADA, start(ADA))
        deliveries.tell(ADA, end(ADA))
        deliveries.tell(BOB, start(BOB))
        first = [await receiver.next() for _ in range(2)]
        receiver.may_answer.set()
        last = await receiver.next()

    assert sorted(told(first)) == [(ADA, "chat_started"), (BOB, "chat_started")]
    assert told([last]) == [(ADA, "chat_ended")]
    assert receiver.busiest == 1


async def test_a_chat_with_an_event_after_a_quiet_time_is_told_of_it(
    receiver: Receiver, counts: Counts
) -> None:
    async with delivering([webhook(receiver)], counts) as deliveries:
        for event in (start(ADA), end(ADA)):
            deliveries.tell(ADA, event)
            assert (await receiver.next()).name == event.name

    assert counts.total() == 2


async def test_a_receiver_that_is_dead_for_long_costs_the_oldest_chats_their_events(
    receiver: Receiver, counts: Counts
) -> None:
    receiver.may_answer.clear()
    outbox = Outbox(max_bytes=3 * (EVENT_BYTES + 300))
    chats = [f"chat {number}" for number in range(10)]
    async with delivering([webhook(receiver)], counts, outbox=outbox) as deliveries:
        for chat_id in chats[:5]:
            deliveries.tell(chat_id, start(chat_id))
            await receiver.next()
        for chat_id in chats[5:]:
            deliveries.tell(chat_id, start(chat_id))
        receiver.may_answer.set()
        received = [await receiver.next() for _ in range(3)]

    assert told(received) == [(chat_id, "chat_started") for chat_id in chats[-3:]]
    assert counts == {("chat_started", "given_up"): 7, ("chat_started", "delivered"): 3}


async def test_more_tool_calls_than_anybody_answers_cost_the_oldest_of_them(
    receiver: Receiver, counts: Counts
) -> None:
    receiver.may_answer.clear()
    async with delivering([webhook(receiver)], counts) as deliveries:
        deliveries.tell(ADA, start(ADA))
        for number in range(40):
            deliveries.tell(ADA, call(ADA, number))
        receiver.may_answer.set()
        deliveries.tell(ADA, end(ADA))
        _, *calls, _ = await receiver.until("chat_ended")

    numbers = [int(each.event["tool_call_message"]["tool_call_id"]) for each in calls]
    assert numbers == list(range(10, 40))
    assert counts["tool_call", "given_up"] == 10
    assert counts["chat_started", "delivered"] == counts["chat_ended", "delivered"] == 1


async def test_at_the_end_nothing_waits_for_its_next_try(
    receiver: Receiver, counts: Counts
) -> None:
    receiver.answers.append(503)
    async with delivering([webhook(receiver)], counts, pauses_s=(FOR_EVER_S,)) as deliveries:
        deliveries.tell(ADA, start(ADA))
        deliveries.tell(ADA, end(ADA))
        await receiver.next()

    assert [each.name for each in receiver.told] == ["chat_started", "chat_started", "chat_ended"]
    assert counts == {("chat_started", "delivered"): 1, ("chat_ended", "delivered"): 1}


async def test_the_end_waits_for_no_dead_receiver(receiver: Receiver, counts: Counts) -> None:
    receiver.may_answer.clear()
    with capture_logs() as logs:
        async with delivering([webhook(receiver)], counts) as deliveries:
            deliveries.tell(ADA, start(ADA))
            deliveries.tell(ADA, end(ADA))
            await receiver.next()
            await deliveries.close(timeout_s=0.01)
            deliveries.tell(BOB, start(BOB))

    assert counts == {("chat_started", "given_up"): 2, ("chat_ended", "given_up"): 1}
    assert {entry["why"] for entry in logs} == {"engine_closed"}
    assert len(receiver.told) == 1


async def test_without_an_event_there_is_nothing_to_close(counts: Counts) -> None:
    async with delivering([Webhook("http://127.0.0.1:1/", KEY)], counts):
        pass

    assert not counts


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://u:p@bridge.example:8443/hume?code=hush", "bridge.example"),
        ("http://[::1]/", "::1"),
    ],
)
def test_of_an_address_only_the_host_is_shown(url: str, host: str) -> None:
    shown = Webhook(url, KEY)

    assert shown.host == host
    assert "hush" not in repr(shown)
    assert KEY not in repr(shown)
