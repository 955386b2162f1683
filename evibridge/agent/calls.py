"""All live calls of this process: admission, lookup, drain, and snapshots of those that ended."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from contextlib import suppress
from typing import Protocol

import structlog

from evibridge.agent.call import Call, CallerFacts, CallerLeg, CallPlan
from evibridge.agent.commands import OperatedCall
from evibridge.agent.snapshot import CallSnapshot
from evibridge.events import CallBegan, CallKind, EndReason

SHUTDOWN_TIMEOUT_S = 5.0
"""How long calls may take to say goodbye when the process ends."""
MAX_ENDED = 100
"""Calls remembered after their end, the newest: an hour of talk is some 100 kB."""

log = structlog.get_logger(__name__)


class AttachedCall(OperatedCall, Protocol):
    """A call whose audio flows elsewhere, with a supervisor of its own."""

    @property
    def call_id(self) -> str:
        """By which it is known."""

    async def run(self) -> EndReason:
        """Hold the call until it ends. No exception of it gets out."""


class CallKeeper(Protocol):
    """Who keeps what calls leave behind. Its methods return at once."""

    def began(self, call: Call) -> None:
        """A call whose audio comes here has begun."""

    def ended(self, snapshot: CallSnapshot) -> None:
        """A call is over; every event of it was told."""

    def forgotten(self, call_id: str) -> None:
        """Nothing of a call that ended long ago is kept in memory any more."""


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
        self._live: dict[str, Call] = {}
        self._attached: dict[str, AttachedCall] = {}
        self._ended: deque[CallSnapshot] = deque()
        self._supervisors: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> int:
        """How many calls go on."""
        return len(self._live) + len(self._attached)

    @property
    def max_calls(self) -> int:
        """How many may go on at a time."""
        return self._max_calls

    @property
    def free_places(self) -> int:
        """How many more callers may be let in: none before `open`, and none from `drain` on."""
        return self._max_calls - self.live if self._takes_new else 0

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

    def operated(self, call_id: str) -> OperatedCall | None:
        """The live call of this id, wherever its audio flows."""
        return self._live.get(call_id) or self._attached.get(call_id)

    def all_live(self) -> tuple[OperatedCall, ...]:
        """All calls that go on, in the order in which they began."""
        return (*self._live.values(), *self._attached.values())

    def by_chat(self, chat_id: str) -> OperatedCall | None:
        """The live call that has this chat."""
        attached = self._attached.get(chat_id)
        if attached is not None:
            return attached
        return next((call for call in self._live.values() if call.chat_id == chat_id), None)

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
        self._plan.publish(facts.call_id, CallBegan(CallKind.PHONE, facts.direction))
        call = Call(facts, leg, self._plan)
        self._live[facts.call_id] = call
        if self._keeper is not None:
            self._keeper.began(call)
        self._supervise(self._run(call))
        log.info("call_began", call_id=facts.call_id, live=self.live)
        return call

    def attach(self, call: AttachedCall) -> None:
        """Hold a call whose audio flows elsewhere; there is `free_places` for it."""
        self._attached[call.call_id] = call
        self._supervise(self._run_attached(call))
        log.info("call_attached", call_id=call.call_id, live=self.live)

    async def drain(self, timeout_s: float) -> None:
        """Let no more callers in, and return when the last call is over, or after `timeout_s`.

        Calls that begin meanwhile, because their callers were let in before, are waited for too.
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
                log.exception("call_failed", call_id=call.snapshot().call_id)
        if self._supervisors:
            await asyncio.wait(self._supervisors, timeout=SHUTDOWN_TIMEOUT_S)

    def _supervise(self, running: Coroutine[None, None, None]) -> None:
        supervisor = asyncio.get_running_loop().create_task(running)
        self._supervisors.add(supervisor)
        supervisor.add_done_callback(self._supervisors.discard)

    async def _run(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            if self._live.get(call.facts.call_id) is call:
                del self._live[call.facts.call_id]
            self._remember(call.snapshot())

    async def _run_attached(self, call: AttachedCall) -> None:
        try:
            await call.run()
        finally:
            del self._attached[call.call_id]
            self._remember(call.snapshot())

    def _remember(self, ended: CallSnapshot) -> None:
        self._ended.append(ended)
        forgotten = self._ended.popleft() if len(self._ended) > MAX_ENDED else None
        if self._keeper is None:
            return
        self._keeper.ended(ended)
        if forgotten is not None and all(each.call_id != forgotten.call_id for each in self._ended):
            self._keeper.forgotten(forgotten.call_id)
