"""Tool calls of a chat by mirror and webhook, in any order and number, through all kinds of loss.

`SIDECAR_STORMS=10000 pytest tests/agent/test_sidecar_storms.py` tries many more than the suite.
"""

import asyncio
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evibridge import events
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.errors import CommandRefused, ToolError
from evibridge.events import EndReason
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.registry import Tools
from tests.agent.sidecar_stage import SidecarStage
from tests.virtual_clock import run_in_virtual_time

STORMS = int(os.environ.get("SIDECAR_STORMS", "100"))
HOLD = "One moment, please."
WORK_S = (0.0, 0.1, 0.7, 1.9, 3.0)
"""How long a piece of work takes; the tool's deadline is 2 s."""

NUMBERS = st.integers(0, 4)
DELAYS = st.sampled_from([0.0, 0.01, 0.3, 1.0])


@dataclass(frozen=True)
class Called:
    """The model calls a function, and the webhook of that comes so often, each time so late."""

    number: int
    work_s: float
    fails: bool
    is_mirrored: bool
    webhooks: tuple[float, ...]


@dataclass(frozen=True)
class Told:
    """Webhooks tell again of an earlier call."""

    number: int


@dataclass(frozen=True)
class Answered:
    """Somebody else answers a call: the chat's own client, or an operator."""

    number: int
    by_operator: bool


@dataclass(frozen=True)
class Lost:
    """Something is lost for a while: all mirrors, mirrors and the way to new ones, or `send`."""

    what: str
    seconds: float


@dataclass(frozen=True)
class Said:
    """Somebody speaks."""

    who: str


Happening = Called | Told | Answered | Lost | Said
HAPPENINGS: st.SearchStrategy[Happening] = st.one_of(
    st.builds(
        Called,
        NUMBERS,
        st.sampled_from(WORK_S),
        st.booleans(),
        st.booleans(),
        st.lists(DELAYS, max_size=3).map(tuple),
    ),
    st.builds(Told, NUMBERS),
    st.builds(Answered, NUMBERS, st.booleans()),
    st.builds(
        Lost,
        st.sampled_from(["mirrors", "way", "send", "send refused", "send silent"]),
        st.sampled_from([0.2, 1.5, 6.0]),
    ),
    st.builds(Said, st.sampled_from(["caller", "agent", "pause", "resume"])),
)


class Storm:
    """Lets things happen to a sidecar, and counts what becomes of its tool calls."""

    def __init__(self, *, has_webhooks: bool) -> None:
        self.tools = Tools()
        self.ran: Counter[str] = Counter()
        self.works: dict[str, tuple[float, bool]] = {}
        self.told_by_webhook: set[str] = set()
        self.answered_elsewhere: set[str] = set()
        self.may_be_told_again = False
        self.has_webhooks = has_webhooks

        @self.tools.tool(holding=HOLD, holding_after_s=0.5, timeout=2)
        async def work(call: ToolContext) -> str:
            """Work for a while."""
            self.ran[call.tool_call_id] += 1
            seconds, fails = self.works[call.tool_call_id]
            await asyncio.sleep(seconds)
            if fails:
                raise ToolError("It cannot be done.")
            return "done"

    async def blow(self, happenings: list[tuple[Happening, float]]) -> SidecarStage:
        stage = SidecarStage(self.tools, has_webhooks=self.has_webhooks)
        await asyncio.sleep(1)
        for happening, pause_s in happenings:
            await self._happens(stage, happening)
            await asyncio.sleep(pause_s)
        await asyncio.sleep(20)
        assert not stage.call.is_over
        assert await stage.leave() is EndReason.CHAT_ENDED
        return stage

    async def _happens(self, stage: SidecarStage, happening: Happening) -> None:
        match happening:
            case Called(number) if f"call_{number}" not in self.works:
                self._call(stage, happening)
            case Told(number) if f"call_{number}" in self.works:
                self._tell(stage, f"call_{number}")
            case Answered(number, by_operator):
                await self._answer(stage, f"call_{number}", by_operator=by_operator)
            case Lost():
                self._lose(stage, happening)
            case Said("caller"):
                stage.chat.hear("Something else, please.")
            case Said("agent"):
                stage.chat.speak(None, "Of course.")
            case Said("pause"):
                await stage.call.operate(wish.Pause(), "Ada")
            case Said("resume"):
                await stage.call.operate(wish.Resume(), "Ada")
            case _:
                pass

    def _call(self, stage: SidecarStage, called: Called) -> None:
        tool_call_id = f"call_{called.number}"
        self.works[tool_call_id] = (called.work_s, called.fails)
        loop = asyncio.get_running_loop()
        for delay_s in called.webhooks if self.has_webhooks else ():
            loop.call_later(delay_s, self._tell, stage, tool_call_id)
        if called.is_mirrored:
            stage.chat.call_tool(tool_call_id, "work")
        stage.chat.call_tool(f"theirs_{called.number}", "what_only_they_know")

    def _tell(self, stage: SidecarStage, tool_call_id: str) -> None:
        if tool_call_id not in self.answered_elsewhere:
            self.told_by_webhook.add(tool_call_id)
        stage.deliver(tool_call_id, "work")

    async def _answer(self, stage: SidecarStage, tool_call_id: str, *, by_operator: bool) -> None:
        self.answered_elsewhere.add(tool_call_id)
        if not by_operator:
            stage.chat.say(type="tool_response", tool_call_id=tool_call_id, content="theirs")
            return
        answer = evi.ToolResponse(tool_call_id, "by hand")
        with suppress(CommandRefused):  # it is answered already
            await stage.call.operate(wish.Send(answer), "Ada")

    def _lose(self, stage: SidecarStage, lost: Lost) -> None:
        def put(thing: Any, attribute: str, value: object, after: object) -> None:
            setattr(thing, attribute, value)
            loop = asyncio.get_running_loop()
            loop.call_later(lost.seconds, setattr, thing, attribute, after)

        match lost.what:
            case "mirrors":
                self.may_be_told_again = True
                stage.chat.lose_mirrors()
            case "way":
                self.may_be_told_again = True
                put(stage.chat, "is_up", value=False, after=True)
                stage.chat.lose_mirrors(1011)
            case "send":
                put(stage.control_plane, "is_up", value=False, after=True)
            case "send refused":
                put(stage.control_plane, "refuses", 503, None)
            case "send silent":
                self.may_be_told_again = True
                put(stage.control_plane, "is_silent", value=True, after=False)


@pytest.mark.timeout(600)
@settings(max_examples=STORMS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    happenings=st.lists(st.tuples(HAPPENINGS, DELAYS), min_size=1, max_size=14),
    has_webhooks=st.booleans(),
)
def test_in_any_storm_each_tool_call_runs_at_most_once_and_has_exactly_one_answer(
    happenings: list[tuple[Happening, float]], *, has_webhooks: bool
) -> None:
    storm = Storm(has_webhooks=has_webhooks)
    stage = run_in_virtual_time(storm.blow(happenings))

    told = [
        message
        for _, message in stage.chat.told
        if message["type"] in ("tool_response", "tool_error")
    ]
    if storm.may_be_told_again:  # what may not have arrived is told again, word for word
        told = [message for at, message in enumerate(told) if message not in told[:at]]
    answers = Counter(message["tool_call_id"] for message in told)
    begun = Counter(event.tool_call_id for event in stage.of_type(events.ToolStarted))
    over = Counter(event.tool_call_id for event in stage.of_type(events.ToolFinished))
    outcomes = {event.tool_call_id: event.outcome for event in stage.of_type(events.ToolFinished)}
    dead = {each for each in begun if outcomes[each] in ("superseded", "cancelled")}
    assert set(storm.ran.values()) <= {1}
    assert set(answers.values()) <= {1}
    assert begun == over
    assert storm.ran.keys() <= begun.keys() <= storm.works.keys()
    assert storm.told_by_webhook <= begun.keys()
    ours = begun.keys() - dead - storm.answered_elsewhere
    assert ours <= answers.keys()
    assert answers.keys() <= begun.keys() - dead | storm.answered_elsewhere
