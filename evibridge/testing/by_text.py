"""A call by text: everything is real but sound, models and the carrier."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerFacts
from evibridge.agent.definition import Agent
from evibridge.events import EndReason
from evibridge.testing.attentive_mind import mind_of
from evibridge.testing.fakes import CALLED, CALLER
from evibridge.testing.record import CallRecord, ToolUse
from evibridge.testing.running import running_service
from evibridge.testing.silence import DeafEars, ReadingLeg, SilentVoice
from evibridge.tools_registry.progress import Verdict

TIMEOUT_S = 10.0
KEYS = frozenset("0123456789*#ABCD")
OPERATOR = "the test"


class TextCall:
    """A call whose caller types and reads; `call_by_text` makes it.

    A method that does something to the agent returns what the agent says to it, its sentences
    joined by spaces, once it waits for the caller again. It also returns when the call is over, and
    when a tool waits for approval and the caller has been told to wait, be it by words of the
    script or by the tool's holding sentence.

    Attributes:
        greeting: the agent's first words
    """

    def __init__(self, agent: Agent, record: CallRecord, call: Call, leg: ReadingLeg) -> None:
        self.greeting = " ".join(record.said)
        self._agent = agent
        self._record = record
        self._call = call
        self._leg = leg

    # What is done

    async def says(self, words: str, *, timeout_s: float = TIMEOUT_S) -> str:
        """Say something; returns what the agent says to it.

        Raises:
            ValueError: there are no words
            RuntimeError: the call is over
            TimeoutError: the agent has not said all that it has to say in time
        """
        if not words.strip():
            raise ValueError("The caller cannot say nothing: says() needs words.")
        since = self._place(f"hears {words!r}")
        async with _within(timeout_s, self._record, repr(words)):
            self._call.caller_typed(words)
            await self._taken(words, since)
            return await self._answer(since)

    async def presses(self, keys: str, *, timeout_s: float = TIMEOUT_S) -> str:
        """Press keys of the telephone; returns what the agent says to it.

        It takes as long as the entry does: to its end key, or for the pause after it
        (`Manners.digits`). The agent answers at once only if entries are sent as `user_input`.

        Args:
            keys: `0-9*#A-D`
            timeout_s: for the entry and the answer

        Raises:
            ValueError: there is no key, or one that telephones do not have
            RuntimeError: the call is over
            TimeoutError: the agent has not said all that it has to say in time
        """
        if not keys or not KEYS.issuperset(keys):
            raise ValueError(f"The caller cannot press {keys!r}: there are 0-9, *, # and A-D.")
        since = self._place(f"hears the keys {keys}")
        async with _within(timeout_s, self._record, f"the keys {keys}"):
            for key in keys:
                self._call.caller_pressed(key)
            await self._record.until(lambda: self._has_entry(since))
            if self._agent.manners.digits.sent_as == "user_input":
                await self._taken(self._record.entry_since(since) or "", since)
            return await self._answer(since)

    async def approve(self, name: str, *, timeout_s: float = TIMEOUT_S) -> str:
        """Let a tool run that requires approval; returns what the agent says then.

        Raises:
            LookupError: no such tool waits for approval
            TimeoutError: the agent has not said all that it has to say in time
        """
        return await self._decide(name, Verdict(is_approved=True), timeout_s)

    async def decline(self, name: str, reason: str = "", *, timeout_s: float = TIMEOUT_S) -> str:
        """Keep a tool from running that requires approval; returns what the agent says then.

        Args:
            name: the tool
            reason: for the model
            timeout_s: for what the agent says

        Raises:
            LookupError: no such tool waits for approval
            TimeoutError: the agent has not said all that it has to say in time
        """
        return await self._decide(name, Verdict(is_approved=False, reason=reason), timeout_s)

    # What has come of it

    @property
    def said(self) -> list[str]:
        """All sentences of the agent so far."""
        return self._record.said

    @property
    def called(self) -> list[ToolUse]:
        """The tools that the agent has called so far."""
        return self._record.called

    @property
    def digits_sent(self) -> list[str]:
        """Keys that the agent has pressed."""
        return self._record.digits_sent

    @property
    def transferred_to(self) -> str | None:
        """Whom the caller was put through to."""
        return self._leg.transferred_to

    @property
    def ended(self) -> EndReason | None:
        """Why the call is over, None while it goes on."""
        return self._record.ended

    # Inside

    async def _decide(self, name: str, verdict: Verdict, timeout_s: float) -> str:
        waiting = self._record.approvals_wanted
        wanted = next((each for each in waiting if each.name == name), None)
        if wanted is None:
            names = ", ".join(each.name for each in waiting) or "none"
            raise LookupError(f"No tool {name!r} waits for approval; those that wait: {names}.")
        since = len(self._record.events)
        async with _within(timeout_s, self._record, f"the verdict about {name}"):
            self._call.decide(wanted.tool_call_id, verdict, OPERATOR)
            return await self._answer(since)

    def _place(self, what: str) -> int:
        """Where the record goes on, unless the call is over."""
        if self.ended is not None:
            raise RuntimeError(f"The call is over ({self.ended}): nobody {what}.")
        return len(self._record.events)

    async def _taken(self, words: str, since: int) -> None:
        """Wait until the server has taken words of the caller."""
        record = self._record

        def is_taken() -> bool:
            return any(at >= since and text == words for at, text in record.caller_said.items())

        await record.until(lambda: is_taken() or self.ended is not None)

    async def _answer(self, since: int) -> str:
        await self._record.until(self._has_answered)
        return " ".join(self._record.said_since(since))

    def _has_entry(self, since: int) -> bool:
        return self._record.entry_since(since) is not None or self.ended is not None

    def _has_answered(self) -> bool:
        record = self._record
        if record.ended is not None or record.caller_is_told_to_wait:
            return True
        return self._call.awaits_caller and record.all_is_heard and not record.is_leaving


CallByText: TypeAlias = Callable[..., AbstractAsyncContextManager[TextCall]]
"""The type of `call_by_text`, and so of the fixture `text_call`."""


@asynccontextmanager
async def call_by_text(
    agent: Agent,
    *,
    caller: str | None = CALLER,
    called: str | None = CALLED,
    parameters: Mapping[str, str] | None = None,
) -> AsyncIterator[TextCall]:
    """Call an agent by text; the call has begun and the caller is greeted when this is entered.

    Call, tools, chat and engine are the real ones; what the agent says is in its `script`. There
    is no sound: the engine's voice is silent, and the caller has heard at once what was said.
    Leaving hangs up.

    Args:
        agent: with a `script`
        caller: who calls, E.164; None if that is withheld
        called: the number that is called, E.164
        parameters: of the carrier's stream, for `ToolContext.parameters`

    Raises:
        EngineSetupError: the agent has no script, or it cannot be read
        TimeoutError: the agent has not greeted the caller in time
    """
    record = CallRecord()
    facts = CallerFacts(f"test-{uuid.uuid4().hex}", caller, called, parameters or {})
    mind = mind_of(agent, record)
    async with running_service(agent, mind, DeafEars(), SilentVoice(), record) as service:

        def is_greeted() -> bool:
            is_over = bool(record.said) and record.all_is_heard and call.awaits_caller
            return record.greets is False or is_over or record.ended is not None

        def heard(mark: str) -> None:
            call.playback_heard(mark)

        leg = ReadingLeg(record, heard)
        call = service.calls.begin(facts, leg)
        try:
            async with _within(TIMEOUT_S, record, "the call"):
                await record.until(is_greeted)
            yield TextCall(agent, record, call, leg)
        finally:
            call.caller_left(EndReason.CALLER_HUNG_UP)


@asynccontextmanager
async def _within(timeout_s: float, record: CallRecord, to_what: str) -> AsyncIterator[None]:
    """Bound the wait for the agent's answer, and say in an error what has come of it so far."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        calls = ", ".join(f"{use.name} ({use.outcome})" for use in record.called) or "nothing"
        raise TimeoutError(
            f"The agent has not said all that it has to say to {to_what} within {timeout_s:g} s. "
            f"So far it has said {record.said} and called {calls}."
        ) from None
