"""Delivering webhooks: requests, further tries, and an end that waits for nobody for long.

Whoever tells an event goes on at once. The events of one chat for one webhook go out one after
another; everything else goes out side by side. EVI's own order, time limits and retries are not
documented (UNCONFIRMED U37), so receivers have to know an event again that comes twice.
"""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import aiohttp
import structlog

from evibridge.engine.tasks import OwnedTasks
from evibridge.engine.webhooks.events import Event, EventName
from evibridge.engine.webhooks.outbox import Lane, Outbox
from evibridge.engine.webhooks.signature import signed_headers
from evibridge.engine.webhooks.webhook import Webhook

TRY_TIMEOUT_S = 5.0
"""For the status of an answer; receivers are asked to answer first and to work then."""
RETRY_PAUSES_S = (1.0, 3.0, 9.0)
"""Before further tries, or down to half of it: chats that failed together come back apart."""
MAX_REQUESTS = 64
"""To one webhook at once: more would only wait at a receiver that is slow, and fill this process
with connections to one that is dead."""
CLOSE_TIMEOUT_S = 3.0
"""For what still waits when the engine ends."""
CANCEL_TIMEOUT_S = 1.0

WebhookEnd = Literal["delivered", "given_up"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Failure:
    """Of one try.

    Attributes:
        why: for the log: neither address nor body, which may be secret
        is_passing: whether a further try may succeed
    """

    why: str
    is_passing: bool


class Deliveries:
    """All webhooks of an engine.

    Args:
        webhooks: who is told
        count: told how each delivery ended
        pauses_s: before each further try
        try_timeout_s: for one try
        outbox: what waits
        unix_s: the clock that receivers compare with theirs
    """

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        count: Callable[[EventName, WebhookEnd], None],
        *,
        pauses_s: Sequence[float] = RETRY_PAUSES_S,
        try_timeout_s: float = TRY_TIMEOUT_S,
        outbox: Outbox | None = None,
        unix_s: Callable[[], float] = time.time,
    ) -> None:
        self._webhooks = tuple(webhooks)
        self._count = count
        self._pauses_s = tuple(pauses_s)
        self._try_timeout_s = try_timeout_s
        self._outbox = Outbox() if outbox is None else outbox
        self._unix_s = unix_s
        self._places = [asyncio.Semaphore(MAX_REQUESTS) for _ in self._webhooks]
        self._tasks = OwnedTasks(_failed)
        self._at_work: dict[Lane, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._closing = asyncio.Event()
        self._closed = False

    def tell(self, chat_id: str, event: Event) -> None:
        """Have an event delivered to every webhook that wants it; returns at once."""
        for number, webhook in enumerate(self._webhooks):
            if event.name in webhook.events:
                self._add(Lane(chat_id, number), event)

    async def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Deliver what waits, without pauses between tries; give up what is left after that."""
        self._closing.set()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._tasks.ended()
        finally:
            self._closed = True
            self._tasks.stop()
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_TIMEOUT_S):
                    await self._tasks.ended()
            for lane, events in self._outbox.take_all():
                self._give_up(lane, events, "engine_closed")
            if self._session is not None:
                await self._session.close()

    def _add(self, lane: Lane, event: Event) -> None:
        if self._closed:
            self._give_up(lane, [event], "engine_closed")
            return
        dropped = self._outbox.add(lane, event)
        if dropped is not None:
            self._give_up(lane, [dropped], "too_many_of_chat")
        for old, events in self._outbox.overflow(lane):
            self._at_work.pop(old).cancel()
            self._give_up(old, events, "too_many")
        if lane not in self._at_work:
            self._at_work[lane] = self._tasks.start(self._work(lane))

    async def _work(self, lane: Lane) -> None:
        more = True
        while more:
            event = self._outbox.first(lane)
            failure = await self._deliver(lane.webhook, event)
            if failure is None:
                self._count(event.name, "delivered")
            else:
                self._give_up(lane, [event], failure.why)
            more = self._outbox.delivered(lane)
        del self._at_work[lane]

    async def _deliver(self, number: int, event: Event) -> _Failure | None:
        failure = await self._try(number, event)
        for pause_s in self._pauses_s:
            if failure is None or not failure.is_passing:
                break
            await self._pause(pause_s * random.uniform(0.5, 1.0))
            failure = await self._try(number, event)
        return failure

    async def _pause(self, pause_s: float) -> None:
        """Wait; an engine that ends has no time for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._closing.wait()

    async def _try(self, number: int, event: Event) -> _Failure | None:
        webhook = self._webhooks[number]
        async with self._places[number]:
            try:
                status = await self._post(webhook, event.body)
            except TimeoutError:
                return _Failure(f"no answer within {self._try_timeout_s:g} s", is_passing=True)
            except Exception as error:  # noqa: BLE001 - some addresses are refused by `codecs`
                # Addresses and certificates that are wrong stay wrong: both are `ValueError`s.
                of_network = isinstance(error, aiohttp.ClientError | OSError)
                is_passing = of_network and not isinstance(error, ValueError)
                return _Failure(type(error).__name__, is_passing)
        if 200 <= status < 300:
            return None
        return _Failure(f"HTTP {status}", status in (408, 409, 429) or status >= 500)

    async def _post(self, webhook: Webhook, body: bytes) -> int:
        """The status of the answer, whose body nobody reads."""
        headers = signed_headers(webhook.signing_key, body, self._unix_s())
        async with (
            asyncio.timeout(self._try_timeout_s),
            self._connections().post(
                webhook.url,
                data=body,
                headers={**headers, "Content-Type": "application/json"},
                allow_redirects=False,
            ) as response,
        ):
            return response.status

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),  # `MAX_REQUESTS` limits them
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),  # those of aiohttp end when an answer begins
                headers={"User-Agent": "evibridge"},
            )
        return self._session

    def _give_up(self, lane: Lane, events: Sequence[Event], why: str) -> None:
        host = self._webhooks[lane.webhook].host
        for event in events:
            self._count(event.name, "given_up")
            log.warning(
                "webhook_given_up", chat_id=lane.chat_id, webhook=event.name, host=host, why=why
            )


def _failed(error: BaseException) -> None:
    log.error("webhooks_failed", exc_info=error)
