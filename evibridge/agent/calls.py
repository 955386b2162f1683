"""All live calls of this process: admission, lookup, shutdown."""

import asyncio

import structlog

from evibridge.agent.call import Call, CallerFacts, CallerLeg, CallPlan
from evibridge.events import EndReason

SHUTDOWN_TIMEOUT_S = 5.0
"""How long calls may take to say goodbye when the process ends."""

log = structlog.get_logger(__name__)


class Calls:
    """The calls that are going on.

    Args:
        max_calls: how many may go on at a time
    """

    def __init__(self, *, max_calls: int) -> None:
        self._plan: CallPlan | None = None
        self._max_calls = max_calls
        self._live: dict[str, Call] = {}
        self._supervisors: set[asyncio.Task[None]] = set()

    @property
    def free_places(self) -> int:
        """How many more calls may begin: none before `open` and after `close`."""
        return 0 if self._plan is None else self._max_calls - len(self._live)

    @property
    def is_open(self) -> bool:
        """Whether calls are taken at all."""
        return self._plan is not None

    def open(self, plan: CallPlan) -> None:
        """Let calls begin; `plan` is what they have in common."""
        self._plan = plan

    def get(self, call_id: str) -> Call | None:
        """The live call of this id."""
        return self._live.get(call_id)

    def begin(self, facts: CallerFacts, leg: CallerLeg) -> Call:
        """Start a call; the caller has asked `free_places` before.

        A call of the same id is an older connection of the same caller: it ends.
        """
        assert self._plan is not None
        older = self._live.get(facts.call_id)
        if older is not None:
            older.end(EndReason.CALLER_LOST)
        call = Call(facts, leg, self._plan)
        self._live[facts.call_id] = call
        supervisor = asyncio.get_running_loop().create_task(self._supervise(call))
        self._supervisors.add(supervisor)
        supervisor.add_done_callback(self._supervisors.discard)
        log.info("call_began", call_id=facts.call_id, live=len(self._live))
        return call

    async def close(self) -> None:
        """Let no more calls begin, end every call, and wait until each is gone."""
        self._plan = None
        for call in list(self._live.values()):
            call.end(EndReason.SHUTDOWN)
        if self._supervisors:
            await asyncio.wait(self._supervisors, timeout=SHUTDOWN_TIMEOUT_S)

    async def _supervise(self, call: Call) -> None:
        try:
            await call.run()
        finally:
            if self._live.get(call.facts.call_id) is call:
                del self._live[call.facts.call_id]
