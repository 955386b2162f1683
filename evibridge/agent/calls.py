"""All live calls of this process: admission, lookup, drain, and the records of those that ended."""

import asyncio
from collections import deque
from contextlib import suppress

import structlog

from evibridge.agent.call import Call, CallerFacts, CallerLeg, CallPlan
from evibridge.agent.snapshot import CallSnapshot
from evibridge.events import CallBegan, EndReason

SHUTDOWN_TIMEOUT_S = 5.0
"""How long calls may take to say goodbye when the process ends."""
MAX_RECORDS = 100
"""Of ended calls, the newest: an hour of talk is some 100 kB."""

log = structlog.get_logger(__name__)


class Calls:
    """The calls that are going on.

    Args:
        max_calls: how many may go on at a time
    """

    def __init__(self, *, max_calls: int) -> None:
        self._plan: CallPlan | None = None
        self._takes_new = False
        self._max_calls = max_calls
        self._live: dict[str, Call] = {}
        self._records: deque[CallSnapshot] = deque(maxlen=MAX_RECORDS)
        self._supervisors: set[asyncio.Task[None]] = set()

    @property
    def live(self) -> int:
        """How many calls go on."""
        return len(self._live)

    @property
    def max_calls(self) -> int:
        """How many may go on at a time."""
        return self._max_calls

    @property
    def free_places(self) -> int:
        """How many more callers may be let in: none before `open`, and none from `drain` on."""
        return self._max_calls - len(self._live) if self._takes_new else 0

    @property
    def is_open(self) -> bool:
        """Whether callers are let in."""
        return self._takes_new

    @property
    def may_begin(self) -> bool:
        """Whether a caller who was let in may begin, which he may while calls are drained."""
        return self._plan is not None

    def open(self, plan: CallPlan) -> None:
        """Let calls begin; `plan` is what they have in common."""
        self._plan = plan
        self._takes_new = True

    def get(self, call_id: str) -> Call | None:
        """The live call of this id."""
        return self._live.get(call_id)

    def snapshot(self, call_id: str) -> CallSnapshot | None:
        """A call as it is now, or as it was at its end if that is not long ago."""
        live = self._live.get(call_id)
        if live is not None:
            return live.snapshot()
        ended = (record for record in reversed(self._records) if record.call_id == call_id)
        return next(ended, None)

    def begin(self, facts: CallerFacts, leg: CallerLeg) -> Call:
        """Start a call; the caller has asked `may_begin` before.

        A call of the same id that is not over yet is brought back by `Call.caller_returned`
        instead.
        """
        assert self._plan is not None
        self._plan.publish(facts.call_id, CallBegan())
        call = Call(facts, leg, self._plan)
        self._live[facts.call_id] = call
        supervisor = asyncio.get_running_loop().create_task(self._supervise(call))
        self._supervisors.add(supervisor)
        supervisor.add_done_callback(self._supervisors.discard)
        log.info("call_began", call_id=facts.call_id, live=len(self._live))
        return call

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
        for call in list(self._live.values()):
            try:
                call.end(EndReason.SHUTDOWN)
            except Exception:  # whatever is wrong with it, the others are ended too
                log.exception("call_failed", call_id=call.facts.call_id)
        if self._supervisors:
            await asyncio.wait(self._supervisors, timeout=SHUTDOWN_TIMEOUT_S)

    async def _supervise(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            self._records.append(call.snapshot())
            if self._live.get(call.facts.call_id) is call:
                del self._live[call.facts.call_id]
