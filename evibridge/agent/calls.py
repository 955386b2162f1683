"""All live calls of this process: admission, lookup, drain, and snapshots of those that ended."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Coroutine
from contextlib import suppress
from typing import Protocol

import structlog

from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerFacts, CallerLeg, CallPlan
from evibridge.agent.sidecar_call import SidecarCall
from evibridge.agent.snapshot import CallSnapshot
from evibridge.events import CallBegan, EndReason

SHUTDOWN_TIMEOUT_S = 5.0
"""How long calls may take to say goodbye when the process ends."""
MAX_PAST_CHATS = 4096
"""Chats of calls that are over, so that news of them which come late are not taken for others'."""
MAX_ENDED = 100
"""Calls remembered after their end, the newest: an hour of talk is some 100 kB."""

log = structlog.get_logger(__name__)


class CallKeeper(Protocol):
    """Who keeps what calls leave behind. Its methods return at once."""

    def began(self, call: Call) -> None:
        """A call whose audio comes here has begun."""

    def ended(self, snapshot: CallSnapshot) -> None:
        """A call is over; every event of it was told."""

    def came_to_nothing(self, call_id: str) -> None:
        """A sidecar is over that never found its chat: it leaves nothing but its events."""


class Calls:
    """The calls that are going on.

    Args:
        max_calls: how many may go on at a time
    """

    def __init__(self, *, max_calls: int) -> None:
        self._plan: CallPlan | None = None
        self._keeper: CallKeeper | None = None
        self._takes_new = False
        self._max_calls = max_calls
        self._waiting: list[Callable[[], int]] = []
        self._live: dict[str, Call] = {}
        self._sidecars: dict[str, SidecarCall] = {}
        self._past_chats: dict[str, None] = {}
        """Of telephone calls that are over."""
        self._ended: deque[CallSnapshot] = deque(maxlen=MAX_ENDED)
        self._supervisors: set[asyncio.Task[None]] = set()
        self._sidecar_supervisors: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> int:
        """How many calls go on."""
        return len(self._live) + len(self._sidecars)

    @property
    def max_calls(self) -> int:
        """How many may go on at a time."""
        return self._max_calls

    @property
    def free_places(self) -> int:
        """How many more callers may be let in: none before `open`, and none from `drain` on."""
        if not self._takes_new:
            return 0
        return self._max_calls - self.live - sum(count() for count in self._waiting)

    def count_waiting(self, count: Callable[[], int]) -> None:
        """Have a bridge tell how many callers it has let in whose calls have not begun."""
        self._waiting.append(count)

    @property
    def is_open(self) -> bool:
        """Whether callers are let in."""
        return self._takes_new

    @property
    def may_begin(self) -> bool:
        """Whether a caller who was let in may begin, which he may while calls are drained."""
        return self._plan is not None

    def open(self, plan: CallPlan, keeper: CallKeeper | None = None) -> None:
        """Let calls begin; `plan` is what they have in common, `keeper` keeps what they leave."""
        self._plan = plan
        self._keeper = keeper
        self._takes_new = True

    def get(self, call_id: str) -> Call | None:
        """The live call of this id, if its audio comes here."""
        return self._live.get(call_id)

    def operated(self, call_id: str) -> Call | SidecarCall | None:
        """The live call of this id, wherever its audio flows."""
        return self._live.get(call_id) or self._sidecars.get(call_id)

    def all_live(self) -> tuple[Call | SidecarCall, ...]:
        """All calls that go on."""
        return (*self._live.values(), *self._sidecars.values())

    def by_chat(self, chat_id: str) -> Call | SidecarCall | None:
        """The live call that has this chat, on the telephone or as a sidecar."""
        sidecar = self._sidecars.get(chat_id)
        if sidecar is not None:
            return sidecar
        return next((call for call in self._live.values() if call.chat_id == chat_id), None)

    def had_chat(self, chat_id: str) -> bool:
        """Whether the chat belongs to a telephone call that is over, or has another one now."""
        is_past = any(
            chat_id in call.chat_ids and chat_id != call.chat_id for call in self._live.values()
        )
        return is_past or chat_id in self._past_chats

    def ended(self) -> tuple[CallSnapshot, ...]:
        """Calls that ended not long ago, the newest first."""
        return tuple(reversed(self._ended))

    def snapshot(self, call_id: str) -> CallSnapshot | None:
        """A call as it is now, or as it was at its end if that is not long ago."""
        live = self.operated(call_id)
        if live is not None:
            return live.snapshot()
        return next((ended for ended in self.ended() if ended.call_id == call_id), None)

    def begin(self, facts: CallerFacts, leg: CallerLeg) -> Call:
        """Start a call; the caller has asked `may_begin` before.

        A call of the same id that is not over yet is brought back by `Call.caller_returned`
        instead.
        """
        assert self._plan is not None
        self._plan.publish(facts.call_id, CallBegan(facts.kind, facts.direction))
        call = Call(facts, leg, self._plan)
        self._live[facts.call_id] = call
        if self._keeper is not None:
            self._keeper.began(call)
        self._supervise(self._run(call), self._supervisors)
        log.info("call_began", call_id=facts.call_id, live=self.live)
        return call

    def begin_sidecar(self, chat_id: str, past_tool_calls: Collection[str] = ()) -> SidecarCall:
        """Begin a call beside a chat that somebody else has opened; there are `free_places`.

        Args:
            chat_id: of a chat that has no call
            past_tool_calls: ids of the chat's tool calls that are not to run again
        """
        assert self._plan is not None
        sidecar = self._sidecars[chat_id] = SidecarCall(chat_id, self._plan, past_tool_calls)
        self._supervise(self._run_sidecar(chat_id, sidecar), self._sidecar_supervisors)
        log.info("sidecar_began", call_id=chat_id, live=self.live)
        return sidecar

    async def drain(self, timeout_s: float) -> None:
        """Let no more callers in, and return when the last call is over, or after `timeout_s`.

        Calls that begin meanwhile, because their callers were let in before, are waited for too;
        sidecars are not, as their chats go on without them.
        """
        self._takes_new = False
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._supervisors:
                    await asyncio.wait(self._supervisors)

    async def close(self) -> None:
        """Let no more calls begin, end every call, and wait until each is gone."""
        self._plan = None
        self._takes_new = False
        for call in self.all_live():
            try:
                call.end(EndReason.SHUTDOWN)
            except Exception:  # whatever is wrong with it, the others are ended too
                log.exception("call_failed", call_id=call.facts.call_id)
        supervisors = self._supervisors | self._sidecar_supervisors
        if supervisors:
            await asyncio.wait(supervisors, timeout=SHUTDOWN_TIMEOUT_S)

    def _supervise(
        self, running: Coroutine[None, None, None], supervisors: set[asyncio.Task[None]]
    ) -> None:
        supervisor = asyncio.get_running_loop().create_task(running)
        supervisors.add(supervisor)
        supervisor.add_done_callback(supervisors.discard)

    async def _run(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            if self._live.get(call.facts.call_id) is call:
                del self._live[call.facts.call_id]
            for chat_id in call.chat_ids:
                self._past_chats[chat_id] = None
            while len(self._past_chats) > MAX_PAST_CHATS:
                del self._past_chats[next(iter(self._past_chats))]
            self._remember(call.snapshot())

    async def _run_sidecar(self, chat_id: str, sidecar: SidecarCall) -> None:
        try:
            await sidecar.run()
        finally:
            del self._sidecars[chat_id]
            if sidecar.took_part:
                self._remember(sidecar.snapshot())
            elif self._keeper is not None:
                self._keeper.came_to_nothing(chat_id)

    def _remember(self, ended: CallSnapshot) -> None:
        self._ended.append(ended)
        if self._keeper is not None:
            self._keeper.ended(ended)
