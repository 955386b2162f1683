"""Chats that others have opened: webhooks and operators find their calls, or begin them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
from structlog.testing import capture_logs

from evibridge import events
from evibridge.agent import commands as wish
from evibridge.agent import control_plane as control_plane_module
from evibridge.agent import evi_messages as evi
from evibridge.agent.call import Call
from evibridge.agent.call_plan import CallerFacts, CallPlan
from evibridge.agent.calls import Calls
from evibridge.agent.commands import Via
from evibridge.agent.control_plane import ControlPlane
from evibridge.agent.course import CallLimits
from evibridge.agent.evi_client import EviServer
from evibridge.agent.sidecar_call import SidecarCall
from evibridge.agent.snapshot import CallSnapshot
from evibridge.bridges import sidecar as sidecar_module
from evibridge.bridges.hume_events import ChatEnded, ChatStarted, ToolCalled, read_event
from evibridge.bridges.sidecar import Sidecars
from evibridge.errors import CommandRefused
from evibridge.events import CallEvent, EndReason, ToolPath
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner
from tests.agent.mirrored_evi import API_KEY, MirroredEvi, RealChat, mirrored_evi
from tests.agent.stage import MemoryPhone
from tests.bridges.webhook_events import ended, started, tool_call
from tests.parties import PATIENCE_S, TinyEvi, all_gone

E = TypeVar("E", bound=CallEvent)
W = TypeVar("W", ChatStarted, ToolCalled, ChatEnded)


def event(kind: type[W], body: dict[str, Any]) -> W:
    """A webhook's event, as it is read."""
    read = read_event(body)
    assert isinstance(read, kind)
    return read


async def what_is_due() -> None:
    """Let timers fire whose time has come."""
    for _ in range(3):
        await asyncio.sleep(0)


class Kept:
    """What calls leave behind."""

    def __init__(self) -> None:
        self.kept: list[CallSnapshot] = []
        self.in_vain: list[str] = []

    def began(self, call: Call) -> None:
        """Nothing is recorded."""

    def ended(self, snapshot: CallSnapshot) -> None:
        self.kept.append(snapshot)

    def came_to_nothing(self, call_id: str) -> None:
        self.in_vain.append(call_id)


class Office:
    """All calls of a service, and what becomes of them."""

    def __init__(self, origin: str, *, max_calls: int) -> None:
        self.tools = Tools()
        self.looked: list[ToolContext] = []
        self.events: asyncio.Queue[tuple[str, CallEvent]] = asyncio.Queue()

        @self.tools.tool
        async def look(call: ToolContext) -> str:
            """Look."""
            self.looked.append(call)
            return "found"

        self.calls = Calls(max_calls=max_calls)
        self.keeper = Kept()
        self.control_plane = ControlPlane(origin, API_KEY)
        self.plan = CallPlan(
            server=EviServer(origin, API_KEY),
            control_plane=self.control_plane,
            settings=lambda: evi.SessionSettings(tools=(evi.ToolOffer("look", "{}"),)),
            tools=ToolRunner(self.tools, default_timeout_s=5),
            limits=CallLimits(),
            publish=lambda call_id, told: self.events.put_nowait((call_id, told)),
        )
        self.promised = 0
        """Places of callers who have not come yet."""
        self.sidecars = Sidecars(self.calls, lambda: self.calls.free_places - self.promised)

    async def attach(self, chat_id: str) -> bool:
        """An operator attaches to a chat; returns whether its call is new."""
        call, is_new = await self.sidecars.attach(chat_id)
        assert self.calls.by_chat(chat_id.lower()) is call
        return is_new

    async def refused(self, chat_id: str) -> str:
        """Why an operator cannot attach."""
        with pytest.raises(CommandRefused) as refusal:
            await self.sidecars.attach(chat_id)
        return refusal.value.code

    async def next(self, kind: type[E]) -> E:
        """The next event of a kind; others before it are passed over."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                _, told = await self.events.get()
                if isinstance(told, kind):
                    return told

    async def left(self, chat_id: str, reason: EndReason) -> None:
        """Have the sidecar of a chat end, and wait until it is gone."""
        call, _ = await self.sidecars.attach(chat_id)
        assert isinstance(call, SidecarCall)
        call.end(reason)
        await self.gone()

    @asynccontextmanager
    async def leaving(
        self, server: MirroredEvi, chat: RealChat, reason: EndReason
    ) -> AsyncIterator[None]:
        """The chat's sidecar is leaving, and waits for what the chat is told last."""
        call, _ = await self.sidecars.attach(chat.chat_id)
        assert isinstance(call, SidecarCall)
        await chat.expect("session_settings")
        server.goes_on.clear()
        asking = asyncio.create_task(call.operate(wish.Say("Hello."), "Ada"))
        await server.holds(1)
        call.end(reason)
        await what_is_due()
        yield
        server.goes_on.set()
        await asking

    async def gone(self) -> None:
        """Return when the last call is gone."""
        await all_gone(self.calls)


@asynccontextmanager
async def office_of(origin: str, *, max_calls: int = 4) -> AsyncIterator[Office]:
    office = Office(origin, max_calls=max_calls)
    office.calls.open(office.plan, office.keeper)
    async with asyncio.timeout(2 * PATIENCE_S):
        yield office
        office.sidecars.close()
        await office.calls.close()
        await office.control_plane.close()


@pytest.fixture(autouse=True)
def _own_chats_are_known_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sidecar_module, "OWN_CHATS_KNOWN_S", 0.0)


@pytest.fixture
async def server() -> AsyncIterator[MirroredEvi]:
    async with mirrored_evi() as server:
        yield server


@pytest.fixture
async def office(server: MirroredEvi) -> AsyncIterator[Office]:
    async with office_of(server.origin) as office:
        yield office


class TestOperators:
    async def test_an_operator_attaches_to_a_chat(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        assert await office.attach(chat.chat_id.upper())
        assert not await office.attach(chat.chat_id)

        call, _ = await office.sidecars.attach(chat.chat_id)
        assert await call.operate(wish.Say("Hello."), "Ada") is Via.CONTROL_PLANE
        _, told = await chat.expect("assistant_input")
        assert told["text"] == "Hello."

    async def test_two_operators_attach_to_the_same_chat_at_once(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        are_new = await asyncio.gather(office.attach(chat.chat_id), office.attach(chat.chat_id))

        assert sorted(are_new) == [False, True]
        assert office.calls.live == 1

    @pytest.mark.parametrize("chat_id", ["", "../x", "c1a7d0b4-52f4-4b1e-8a5e-6f0f1c2b3a49"])
    async def test_there_has_to_be_such_a_chat(self, office: Office, chat_id: str) -> None:
        assert await office.refused(chat_id) == "chat_not_found"

    async def test_a_chat_that_may_not_be_mirrored_is_left_alone(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat(is_allowed=False)
        with capture_logs() as logs, pytest.raises(CommandRefused, match="allow_conn") as refusal:
            await office.sidecars.attach(chat.chat_id)

        assert refusal.value.code == "mirror_refused"
        assert str(refusal.value) in [line.get("error") for line in logs]
        assert (await office.next(events.CallEnded)).reason is EndReason.EVI_REFUSED

    async def test_a_server_that_does_not_answer_is_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch, office: Office, server: MirroredEvi
    ) -> None:
        monkeypatch.setattr(sidecar_module, "ATTACH_TIMEOUT_S", 0.05)
        server.refuses_mirrors = 0
        chat = await server.chat()

        assert await office.refused(chat.chat_id) == "evi_unreachable"
        assert (await office.next(events.CallEnded)).reason is EndReason.EVI_UNREACHABLE

    async def test_a_chat_that_ends_meanwhile_cannot_be_attached_to(
        self, office: Office, server: MirroredEvi
    ) -> None:
        server.refuses_mirrors = 0
        chat = await server.chat()
        attaching = asyncio.create_task(office.refused(chat.chat_id))
        await office.next(events.CallBegan)
        office.sidecars.chat_ended(event(ChatEnded, ended(chat.chat_id)))

        assert await attaching == "chat_not_found"

    async def test_there_are_only_so_many_places(self, server: MirroredEvi) -> None:
        first, second = await server.chat(), await server.chat()
        async with office_of(server.origin, max_calls=1) as office:
            await office.attach(first.chat_id)
            assert await office.refused(second.chat_id) == "service_full"
            assert not await office.attach(first.chat_id)

    async def test_a_place_that_a_caller_was_promised_is_taken(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        office.promised = office.calls.max_calls

        assert await office.refused(chat.chat_id) == "service_full"
        with pytest.raises(CommandRefused):
            office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))

    async def test_a_sidecar_that_is_leaving_cannot_be_attached_to(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        async with office.leaving(server, chat, EndReason.MAX_DURATION):
            assert await office.refused(chat.chat_id) == "evi_unreachable"
        await office.gone()
        assert await office.attach(chat.chat_id)

    async def test_an_attempt_in_vain_leaves_no_call(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        await office.attach(chat.chat_id)
        await server.end(chat)
        await office.gone()
        (ended,) = office.calls.ended()
        assert await office.refused(chat.chat_id) == "chat_not_found"
        await office.gone()

        assert office.calls.ended() == (ended,)
        assert [call.call_id for call in office.keeper.kept] == [chat.chat_id]
        assert office.keeper.in_vain == [chat.chat_id]


class TestWebhooks:
    async def test_a_chat_that_begins_has_a_sidecar(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        body = started(chat.chat_id, caller_number="+14155550100")
        office.sidecars.chat_started(event(ChatStarted, body))
        office.sidecars.chat_started(event(ChatStarted, body))
        assert (await office.next(events.ChatOpened)).chat_id == chat.chat_id

        office.sidecars.chat_started(event(ChatStarted, body))
        assert office.calls.live == 1
        snapshot = office.calls.snapshot(chat.chat_id)
        assert snapshot is not None
        assert snapshot.caller == "+14155550100"

    async def test_a_tool_call_of_a_chat_that_is_not_known_begins_one(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat(is_allowed=False)
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))

        via, answer = await chat.expect("tool_response")
        assert (via, answer["content"]) == (Via.CONTROL_PLANE, "found")
        assert (await office.next(events.ToolStarted)).path is ToolPath.WEBHOOK
        assert len(office.looked) == 1

    async def test_mirror_and_webhook_tell_of_one_call(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        await chat.was_mirrored()
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))
        await chat.call_tool("call_1", "look")
        await chat.expect("tool_response")
        await chat.call_tool("call_2", "look")
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id, "call_2")))
        await chat.expect("tool_response")

        assert [call.tool_call_id for call in office.looked] == ["call_1", "call_2"]

    async def test_the_end_of_a_chat_is_the_end_of_its_sidecar(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        await office.attach(chat.chat_id)
        office.sidecars.chat_ended(event(ChatEnded, ended(chat.chat_id)))
        assert (await office.next(events.CallEnded)).reason is EndReason.CHAT_ENDED

        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))
        office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        await what_is_due()
        assert office.looked == []

    async def test_webhooks_in_the_wrong_order_begin_nothing(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        for body in (ended(chat.chat_id), ended(chat.chat_id)):
            office.sidecars.chat_ended(event(ChatEnded, body))
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))
        office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        await what_is_due()

        assert office.calls.live == 0

    async def test_a_sidecar_that_lasted_too_long_is_not_begun_again(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        await office.left(chat.chat_id, EndReason.MAX_DURATION)
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))

        assert office.calls.live == 0

    async def test_one_that_has_lost_the_server_is(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        await office.left(chat.chat_id, EndReason.EVI_LOST)
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))

        await chat.expect("tool_response")
        assert len(office.looked) == 1

    async def test_a_webhook_that_comes_late_runs_no_tool_again(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        for reason in (EndReason.EVI_LOST, EndReason.EVI_LOST):
            office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id, reason.value)))
            await office.left(chat.chat_id, reason)
        await chat.expect("tool_response")
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id, "evi_lost")))
        assert office.calls.live == 0

        await office.attach(chat.chat_id)
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id, "evi_lost")))
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id, "call_2")))
        await chat.expect("tool_response")
        assert [call.tool_call_id for call in office.looked] == ["evi_lost", "call_2"]

    async def test_what_comes_while_a_sidecar_is_leaving_is_to_come_again(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        called = event(ToolCalled, tool_call(chat.chat_id))
        async with office.leaving(server, chat, EndReason.EVI_LOST):
            with pytest.raises(CommandRefused):
                office.sidecars.tool_called(called)
            with pytest.raises(CommandRefused):
                office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        await office.gone()
        office.sidecars.tool_called(called)

        await chat.expect("tool_response")
        assert len(office.looked) == 1

    async def test_a_failed_attach_takes_no_tools_away(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        server.refuses_mirrors = 404
        assert await office.refused(chat.chat_id) == "chat_not_found"
        await office.gone()
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))

        await chat.expect("tool_response")

    async def test_a_mirror_that_is_closed_takes_no_tools_away(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        await chat.was_mirrored()
        await chat.close_mirrors(1000)
        await office.gone()
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))

        await chat.expect("tool_response")

    async def test_a_server_that_is_slow_for_one_chat_is_asked_for_the_others(
        self, monkeypatch: pytest.MonkeyPatch, office: Office, server: MirroredEvi
    ) -> None:
        monkeypatch.setattr(control_plane_module, "ANSWER_TIMEOUT_S", 0.1)
        slow, other = await server.chat(is_allowed=False), await server.chat(is_allowed=False)
        for chat in (slow, other):
            office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))
            async with asyncio.timeout(PATIENCE_S):
                told = {(await chat.told.get())[1]["type"] for _ in range(2)}
            assert told == {"session_settings", "tool_response"}
        server.send_answers = "silence"
        call, _ = await office.sidecars.attach(slow.chat_id)
        await call.operate(wish.Say("Hello."), "Ada")
        server.send_answers = 200
        office.sidecars.tool_called(event(ToolCalled, tool_call(other.chat_id, "call_2")))

        _, answer = await other.expect("tool_response")
        assert answer["tool_call_id"] == "call_2"

    async def test_a_refused_operator_does_not_end_what_webhooks_tell(
        self, monkeypatch: pytest.MonkeyPatch, office: Office, server: MirroredEvi
    ) -> None:
        monkeypatch.setattr(sidecar_module, "ATTACH_TIMEOUT_S", 0.05)
        server.refuses_mirrors = 0
        chat = await server.chat()
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))

        assert await office.refused(chat.chat_id) == "evi_unreachable"
        await chat.expect("tool_response")
        call = office.calls.by_chat(chat.chat_id)
        assert call is not None
        assert not call.is_over

    async def test_a_full_service_says_so(self, server: MirroredEvi) -> None:
        first, second = await server.chat(), await server.chat()
        async with office_of(server.origin, max_calls=1) as office:
            with capture_logs() as logs:
                office.sidecars.chat_started(event(ChatStarted, started(second.chat_id)))
                await office.attach(first.chat_id)  # meanwhile the only place was taken
            assert "chat_left_alone" in [line["event"] for line in logs]
            with pytest.raises(CommandRefused):
                office.sidecars.tool_called(event(ToolCalled, tool_call(second.chat_id)))
            with pytest.raises(CommandRefused):
                office.sidecars.chat_started(event(ChatStarted, started(second.chat_id)))

    async def test_only_so_many_ends_are_remembered(
        self, monkeypatch: pytest.MonkeyPatch, office: Office, server: MirroredEvi
    ) -> None:
        monkeypatch.setattr(sidecar_module, "MAX_REMEMBERED", 1)
        chat = await server.chat()
        for body in (ended(chat.chat_id), ended()):
            office.sidecars.chat_ended(event(ChatEnded, body))
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))

        await chat.expect("tool_response")

    async def test_nothing_begins_when_the_service_ends(
        self, office: Office, server: MirroredEvi
    ) -> None:
        chat = await server.chat()
        office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        office.sidecars.close()
        await what_is_due()

        assert office.calls.live == 0


class TestOwnChats:
    """Telephone calls open chats as well, and their webhooks come like all others."""

    @pytest.fixture
    async def office(self, evi: TinyEvi) -> AsyncIterator[Office]:
        async with office_of(evi.origin) as office:
            yield office

    async def test_a_tool_call_of_a_telephone_call_is_its_own(
        self, office: Office, evi: TinyEvi
    ) -> None:
        call = office.calls.begin(CallerFacts("CA1"), MemoryPhone())
        chat = await evi.next_chat()
        office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        await chat.open()
        await chat.expect("session_settings")
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))
        await chat.call_tool("call_1", "look", "{}")

        answer = await chat.expect("tool_response")
        assert answer["content"] == "found"
        assert [looked.call_id for looked in office.looked] == ["CA1"]
        assert await office.sidecars.attach(chat.chat_id) == (call, False)

    async def test_the_end_of_its_chat_is_its_own_business(
        self, office: Office, evi: TinyEvi
    ) -> None:
        call = office.calls.begin(CallerFacts("CA1"), MemoryPhone())
        chat = await evi.next_chat()
        await chat.open()
        await chat.expect("session_settings")
        office.sidecars.chat_ended(event(ChatEnded, ended(chat.chat_id)))

        assert not call.is_over

    async def test_news_of_a_telephone_call_that_is_over_begin_nothing(
        self, office: Office, evi: TinyEvi
    ) -> None:
        call = office.calls.begin(CallerFacts("CA1"), MemoryPhone())
        chat = await evi.next_chat()
        await chat.open()
        await chat.expect("session_settings")
        call.caller_left(EndReason.CALLER_HUNG_UP)
        await office.gone()
        office.sidecars.tool_called(event(ToolCalled, tool_call(chat.chat_id)))
        office.sidecars.chat_started(event(ChatStarted, started(chat.chat_id)))
        await what_is_due()

        assert office.calls.live == 0
        assert office.looked == []
