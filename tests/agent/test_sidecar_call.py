"""Whole sidecars: in virtual time beside a chat in memory, and over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from evibridge import events
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.call_plan import CallPlan
from evibridge.agent.commands import Via
from evibridge.agent.control_plane import ControlPlane
from evibridge.agent.course import CallLimits
from evibridge.agent.evi_client import EviServer
from evibridge.agent.sidecar_call import OPERATOR_WAITS_S, SidecarCall
from evibridge.agent.snapshot import CallSnapshot, CallState
from evibridge.errors import CommandRefused, ToolError
from evibridge.events import CallKind, EndReason, ToolPath
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.progress import Verdict
from evibridge.tools_registry.registry import Tools
from evibridge.tools_registry.runner import ToolRunner
from tests.agent.mirrored_evi import API_KEY, MirroredEvi, RealChat, mirrored_evi
from tests.agent.sidecar_stage import CHAT_ID, GROUP_ID, MirroredChat, SidecarStage
from tests.parties import PATIENCE_S
from tests.virtual_clock import run_in_virtual_time

Scene = Callable[[SidecarStage], Awaitable[None]]


def play(
    scene: Scene,
    tools: Tools | None = None,
    *,
    chat: MirroredChat | None = None,
    has_webhooks: bool = False,
    limits: CallLimits | None = None,
) -> SidecarStage:
    """A sidecar of which the scene is played; the chat ends if nothing else does."""

    async def act() -> SidecarStage:
        stage = SidecarStage(tools, limits, chat=chat, has_webhooks=has_webhooks)
        await asyncio.sleep(1)
        await scene(stage)
        await stage.leave()
        return stage

    return run_in_virtual_time(act())


async def nothing(_: SidecarStage) -> None:
    """Nothing happens."""


async def ask(stage: SidecarStage, command: wish.OperatorCommand) -> Via | None:
    """An operator asks for something."""
    return await stage.call.operate(command, "Ada")


async def refusal(stage: SidecarStage, command: wish.OperatorCommand) -> str:
    """Why an operator is refused."""
    with pytest.raises(CommandRefused) as refused:
        await ask(stage, command)
    return refused.value.code


def reason(stage: SidecarStage) -> EndReason:
    (ended,) = stage.of_type(events.CallEnded)
    return ended.reason


@pytest.fixture
def looked(tools: Tools) -> list[ToolContext]:
    """What the tool `look` was called with."""
    contexts: list[ToolContext] = []

    @tools.tool
    async def look(call: ToolContext) -> str:
        """Look."""
        contexts.append(call)
        return "found"

    return contexts


class TestTools:
    def test_a_tool_runs_for_a_chat_that_others_have_opened(
        self, tools: Tools, looked: list[ToolContext]
    ) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.chat.call_tool("call_1", "look")
            stage.deliver("call_1", "look")
            await asyncio.sleep(1)

        stage = play(scene, tools, has_webhooks=True)

        (call,) = looked
        assert (call.call_id, call.chat_id, call.tool_call_id) == (CHAT_ID, CHAT_ID, "call_1")
        assert (call.caller, call.called, call.digits) == ("+14155550100", None, "")
        assert [(via, message["type"]) for via, message in stage.chat.told] == [
            (Via.CONTROL_PLANE, "session_settings"),
            (Via.CONTROL_PLANE, "tool_response"),
        ]
        (settings,) = stage.chat.of_type("session_settings")
        assert settings.keys() == {"type", "tools"}
        assert stage.chat.of_type("tool_response")[0]["content"] == "found"
        (started,) = stage.of_type(events.ToolStarted)
        (finished,) = stage.of_type(events.ToolFinished)
        assert started.path is ToolPath.MIRROR
        assert finished.duration_ms == 0

    def test_what_a_tool_asks_for_reaches_the_chat_before_its_answer(self, tools: Tools) -> None:
        @tools.tool
        async def look(call: ToolContext) -> str:
            """Look."""
            await call.say("Let me see.")
            call.set_context("The caller is in a hurry.")
            return "found"

        async def scene(stage: SidecarStage) -> None:
            stage.chat.call_tool("call_1", "look")
            await asyncio.sleep(1)

        assert play(scene, tools).chat.kinds == [
            "session_settings",
            "assistant_input",
            "session_settings",
            "tool_response",
        ]

    def test_the_callers_line_is_out_of_reach_for_tools(self, tools: Tools) -> None:
        @tools.tool
        async def leave(call: ToolContext) -> str:
            """Leave."""
            call.send_digits("1#")
            call.hang_up()
            with pytest.raises(ToolError, match="cannot be put through"):
                call.transfer("+14155550100")
            await call.end_with("Goodbye.")
            return "done"

        async def scene(stage: SidecarStage) -> None:
            stage.chat.call_tool("call_1", "leave")
            await asyncio.sleep(1)
            assert not stage.call.is_over

        with capture_logs() as logs:
            stage = play(scene, tools)

        asked = [each["what"] for each in logs if each["event"] == "tool_asks_for_callers_line"]
        assert asked == ["send_digits", "hang_up", "end_with"]
        assert [told["text"] for told in stage.chat.of_type("assistant_input")] == ["Goodbye."]

    def test_an_operator_approves_of_a_tool(self, tools: Tools, refunded: list[str]) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.chat.call_tool("call_1", "refund")
            await asyncio.sleep(1)
            snapshot = stage.call.snapshot()
            assert snapshot.state is CallState.NEEDS_APPROVAL
            assert [each.tool_call_id for each in snapshot.approvals] == ["call_1"]
            yes = wish.Decide("call_1", Verdict(is_approved=True))
            assert await ask(stage, yes) is None
            assert await refusal(stage, yes) == "tool_is_not_waiting"
            await asyncio.sleep(1)

        stage = play(scene, tools)

        assert refunded == ["call_1"]
        assert stage.chat.of_type("tool_response")[0]["content"] == "refunded"

    def test_whoever_waits_is_told_so(self, tools: Tools, refunded: list[str]) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.chat.call_tool("call_1", "refund")
            await asyncio.sleep(5)

        stage = play(scene, tools)

        assert len(stage.chat.of_type("assistant_input")) == 1
        assert refunded == []

    def test_the_model_learns_the_result_of_a_background_tool(self, tools: Tools) -> None:
        @tools.tool(background=True)
        async def search() -> str:
            """Search for long."""
            await asyncio.sleep(5)
            return "three books"

        @tools.tool(silent=True)
        async def note() -> str:
            """Note."""
            await asyncio.sleep(5)
            return "noted"

        async def scene(stage: SidecarStage) -> None:
            stage.chat.call_tool("call_1", "search")
            stage.chat.call_tool("call_2", "note")
            await asyncio.sleep(6)
            stage.chat.call_tool("call_3", "search")
            await asyncio.sleep(1)

        async def act() -> SidecarStage:
            stage = SidecarStage(tools)
            await asyncio.sleep(1)
            await scene(stage)
            await stage.leave()
            await asyncio.sleep(10)  # it comes to its end, and nobody is told
            return stage

        stage = run_in_virtual_time(act())

        contexts = [each for each in stage.chat.of_type("session_settings") if "context" in each]
        assert len(contexts) == 1
        assert "three books" in contexts[0]["context"]["text"]
        assert [each.tool_call_id for each in stage.of_type(events.ToolDelivered)] == [
            "call_1",
            "call_2",
        ]

    def test_a_tool_is_cancelled_when_somebody_else_has_answered(self, tools: Tools) -> None:
        ended: list[str] = []

        @tools.tool
        async def look(call: ToolContext) -> str:
            """Look for long."""
            try:
                await asyncio.sleep(4)
            finally:
                ended.append(call.tool_call_id)
            return "found"

        async def scene(stage: SidecarStage) -> None:
            stage.chat.call_tool("call_1", "look")
            await asyncio.sleep(1)
            stage.chat.say(type="tool_response", tool_call_id="call_1", content="theirs")
            await asyncio.sleep(0.1)
            assert ended == ["call_1"]
            await asyncio.sleep(5)

        assert play(scene, tools).chat.kinds == ["session_settings"]


class TestWaysToTheChat:
    def test_what_send_does_not_take_goes_by_the_mirror(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.is_up = False
            assert await ask(stage, wish.Say("One.")) is Via.CHAT_SOCKET
            stage.control_plane.is_up, stage.control_plane.refuses = True, 401
            assert await ask(stage, wish.Say("Two.")) is Via.CHAT_SOCKET
            stage.control_plane.refuses = None
            assert await ask(stage, wish.Say("Three.")) is Via.CONTROL_PLANE

        stage = play(scene)

        texts = [message["text"] for message in stage.chat.of_type("assistant_input")]
        assert texts == ["One.", "Two.", "Three."]

    def test_what_may_have_arrived_is_not_sent_again(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.is_silent = True
            assert await ask(stage, wish.Inject("Hello?")) is Via.CONTROL_PLANE
            stage.control_plane.is_silent = False
            await asyncio.sleep(30)

        assert len(play(scene).chat.of_type("user_input")) == 1

    def test_a_pause_that_may_have_arrived_is_sent_again(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.is_silent = True
            await ask(stage, wish.Pause())
            stage.control_plane.is_silent = False
            await asyncio.sleep(30)

        assert len(play(scene).chat.of_type("pause_assistant_message")) == 2

    @pytest.mark.parametrize("has_mirror", [True, False])
    def test_an_answer_of_a_tool_that_may_not_have_arrived_is_sent_again(
        self, tools: Tools, looked: list[ToolContext], *, has_mirror: bool
    ) -> None:
        chat = MirroredChat()
        chat.refuses = None if has_mirror else 403

        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.is_silent = True
            stage.deliver("call_1", "look")
            await asyncio.sleep(1)
            stage.control_plane.is_silent = False
            await asyncio.sleep(10)

        stage = play(scene, tools, chat=chat, has_webhooks=True)

        ways = [via for via, told in stage.chat.told if told["type"] == "tool_response"]
        again = Via.CHAT_SOCKET if has_mirror else Via.CONTROL_PLANE
        assert ways == [Via.CONTROL_PLANE, again]
        assert len(looked) == 1

    def test_what_may_be_lost_with_a_mirror_is_sent_again(
        self, tools: Tools, looked: list[ToolContext]
    ) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.is_up = False
            stage.deliver("call_1", "look")
            assert await ask(stage, wish.Inject("Hello?")) is Via.CHAT_SOCKET
            await asyncio.sleep(0.5)
            stage.chat.lose_mirrors()
            await asyncio.sleep(5)
            stage.chat.lose_mirrors()
            await asyncio.sleep(5)

        stage = play(scene, tools, has_webhooks=True)

        assert stage.chat.kinds.count("tool_response") == 2
        assert stage.chat.kinds.count("user_input") == 1
        assert len(looked) == 1

    def test_what_the_server_will_not_have_is_refused(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.refuses = 422
            assert await refusal(stage, wish.Say("Hello.")) == "message_refused"
            await asyncio.sleep(30)

        assert play(scene).chat.of_type("assistant_input") == []

    def test_what_cannot_be_written_is_refused(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            unwritable = evi.SessionSettings(metadata={"key": object()})
            assert await refusal(stage, wish.Send(unwritable)) == "message_refused"
            assert await ask(stage, wish.Say("Hello.")) is Via.CONTROL_PLANE

        with capture_logs() as logs:
            play(scene)

        assert "control_plane_failed" in [line["event"] for line in logs]

    def test_what_finds_no_way_is_told_in_its_order_once_there_is_one(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.is_up, stage.chat.is_up = False, False
            stage.chat.lose_mirrors()
            await asyncio.sleep(0.01)
            assert stage.call.snapshot().state is CallState.RECONNECTING
            ways = await asyncio.gather(
                ask(stage, wish.Say("One.")),
                ask(stage, wish.Pause()),
                ask(stage, wish.Inject("Two?")),
            )
            assert set(ways) == {None}
            stage.chat.is_up = True
            await asyncio.sleep(5)

        stage = play(scene)

        assert stage.chat.told == [
            (Via.CHAT_SOCKET, {"type": "pause_assistant_message"}),
            (Via.CHAT_SOCKET, {"type": "assistant_input", "text": "One."}),
            (Via.CHAT_SOCKET, {"type": "user_input", "text": "Two?"}),
        ]

    def test_an_operator_does_not_wait_for_ever(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.latency_s = 2 * OPERATOR_WAITS_S
            assert await ask(stage, wish.Say("Hello.")) is None

        play(scene)

    def test_an_operator_who_gives_up_disturbs_nobody(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.control_plane.latency_s = 1
            asking = asyncio.create_task(ask(stage, wish.Say("One.")))
            await asyncio.sleep(0.5)
            asking.cancel()
            assert await ask(stage, wish.Say("Two.")) is Via.CONTROL_PLANE

        assert len(play(scene).chat.of_type("assistant_input")) == 2

    def test_what_changes_nothing_is_not_sent(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            assert await ask(stage, wish.Pause()) is Via.CONTROL_PLANE
            assert await ask(stage, wish.Pause()) is None
            assert await refusal(stage, wish.Hold()) == "not_here"

        assert play(scene).chat.kinds == ["pause_assistant_message"]


class TestMirrors:
    def test_a_snapshot_tells_what_is_known(self, tools: Tools, looked: list[ToolContext]) -> None:
        seen: list[CallSnapshot] = []
        chat = MirroredChat()
        chat.hear("Is it there?", models={"prosody": {"scores": {"Joy": 0.5}}})
        chat.call_tool("call_1", "look")
        chat.speak("u1", "It is there.")

        async def scene(stage: SidecarStage) -> None:
            chat.hear("Hello?")
            await ask(stage, wish.Pause())
            seen.append(stage.call.snapshot())

        stage = play(scene, tools, chat=chat)

        (snapshot,) = seen
        assert (snapshot.call_id, snapshot.chat_id) == (CHAT_ID, CHAT_ID)
        assert (snapshot.chat_group_id, snapshot.kind) == (GROUP_ID, CallKind.SIDECAR)
        assert (snapshot.is_paused, snapshot.paused_by) == (True, "Ada")
        assert (snapshot.chat_is_ready, snapshot.state) == (True, CallState.PAUSED)
        texts = [line.text for line in snapshot.lines]
        assert texts == ["Is it there?", "It is there.", "Hello?"]
        assert 0 <= snapshot.lines[0].at_s < 1 <= snapshot.lines[2].at_s
        short = stage.call.snapshot(with_lines=False)
        assert short == replace(stage.call.snapshot(), lines=())
        assert snapshot.lasts_s >= 1
        assert snapshot.ended is None
        assert stage.call.snapshot().ended is EndReason.CHAT_ENDED
        assert looked == [], "what is past is not acted on"
        said = stage.of_type(events.CallerSaid)
        assert [each.scores for each in said] == [{"Joy": 0.5}, None]

    def test_a_lost_mirror_comes_back_and_tells_nothing_twice(
        self, tools: Tools, looked: list[ToolContext]
    ) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.chat.hear("Is it there?")
            stage.chat.call_tool("call_1", "look")
            await asyncio.sleep(0.5)
            stage.chat.is_up = False
            stage.chat.lose_mirrors(1011)
            await asyncio.sleep(3)
            stage.chat.speak("u1", "It is there.")
            stage.chat.is_up = True
            await asyncio.sleep(5)
            stage.chat.hear("Good.")
            await asyncio.sleep(1)

        stage = play(scene, tools)

        assert [type(event).__name__ for event in stage.events] == [
            "CallBegan",
            "ChatOpened",
            "CallerSaid",
            "ToolStarted",
            "ToolFinished",
            "ChatLost",
            "ChatOpened",
            "AgentSaid",
            "CallerSaid",
            "CallEnded",
        ]
        assert len(looked) == 1
        assert stage.chat.kinds == ["session_settings", "tool_response"]

    @pytest.mark.parametrize(
        ("refuses", "code", "ended"),
        [
            (404, "chat_not_found", EndReason.CHAT_ENDED),
            (403, "mirror_refused", EndReason.EVI_REFUSED),
            (401, "mirror_refused", EndReason.EVI_REFUSED),
            (503, "evi_unreachable", EndReason.EVI_UNREACHABLE),
            (0, "evi_unreachable", EndReason.EVI_UNREACHABLE),
        ],
    )
    def test_whoever_attaches_learns_why_there_is_no_mirror(
        self, refuses: int, code: str, ended: EndReason
    ) -> None:
        async def act() -> SidecarStage:
            chat = MirroredChat()
            chat.refuses = refuses
            stage = SidecarStage(chat=chat)
            with pytest.raises(CommandRefused) as refused:
                await stage.call.attached(3)
            assert refused.value.code == code
            assert await stage.running is ended
            return stage

        assert reason(run_in_virtual_time(act())) is ended

    def test_whoever_attaches_waits_for_the_mirror(self) -> None:
        async def act() -> None:
            stage = SidecarStage()
            await stage.call.attached(3)
            assert stage.call.snapshot().chat_is_ready
            await stage.leave()

        run_in_virtual_time(act())

    def test_whoever_attaches_to_one_that_was_attached_before_does_not_wait(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.chat.is_up = False
            stage.chat.lose_mirrors()
            await asyncio.sleep(5)
            await stage.call.attached(3)
            assert stage.call.snapshot().state is CallState.RECONNECTING

        play(scene)

    def test_a_key_that_cannot_be_sent_is_refused(self) -> None:
        async def act() -> EndReason:
            plan = CallPlan(
                server=EviServer("http://127.0.0.1", "two\nlines"),
                control_plane=ControlPlane("http://127.0.0.1", "two\nlines"),
                settings=evi.SessionSettings,
                tools=ToolRunner(Tools(), default_timeout_s=5),
                limits=CallLimits(),
                publish=lambda _call_id, _event: None,
            )
            call = SidecarCall(CHAT_ID, plan)
            running = asyncio.create_task(call.run())
            with pytest.raises(CommandRefused, match="HUME_API_KEY"):
                await call.attached(3)
            return await running

        assert run_in_virtual_time(act()) is EndReason.EVI_REFUSED

    @pytest.mark.parametrize("refuses", [403, 404])
    def test_webhooks_alone_will_do(
        self, tools: Tools, looked: list[ToolContext], refuses: int
    ) -> None:
        chat = MirroredChat()
        chat.refuses = refuses

        async def scene(stage: SidecarStage) -> None:
            await stage.call.attached(3)
            stage.deliver("call_1", "look")
            await asyncio.sleep(1)
            assert not stage.call.snapshot().chat_is_ready
            stage.control_plane.is_up = False
            stage.deliver("call_2", "look")
            await asyncio.sleep(5)
            stage.control_plane.is_up = True
            await asyncio.sleep(5)

        stage = play(scene, tools, chat=chat, has_webhooks=True)

        assert len(looked) == 2
        assert chat.kinds == ["session_settings", "tool_response", "tool_response"]
        assert {event.path for event in stage.of_type(events.ToolStarted)} == {ToolPath.WEBHOOK}

    def test_where_webhooks_come_a_server_without_room_for_a_mirror_costs_no_tool(
        self, tools: Tools
    ) -> None:
        @tools.tool
        async def book() -> str:
            """Book for long."""
            await asyncio.sleep(3)
            return "booked"

        chat = MirroredChat()
        chat.refuses = 429

        async def scene(stage: SidecarStage) -> None:
            stage.deliver("call_1", "book")
            await asyncio.sleep(6)
            await stage.call.attached(1)
            chat.refuses = None
            await asyncio.sleep(40)
            assert stage.call.snapshot().chat_is_ready

        limits = CallLimits(chat_ready_s=2, resume_s=2)
        stage = play(scene, tools, chat=chat, has_webhooks=True, limits=limits)

        assert stage.chat.kinds == ["session_settings", "tool_response"]

    def test_a_call_that_nobody_answers_is_told_in_the_log(
        self, tools: Tools, looked: list[ToolContext]
    ) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.chat.lose_mirrors()
            await asyncio.sleep(0)
            stage.chat.call_tool("call_1", "look")
            await asyncio.sleep(5)

        with capture_logs() as logs:
            play(scene, tools)

        (line,) = [line for line in logs if line["event"] == "tool_calls_missed"]
        assert (line["log_level"], line["tool_call_ids"]) == ("warning", ("call_1",))
        assert looked == []

    def test_the_control_plane_tells_that_such_a_chat_is_over(
        self, tools: Tools, looked: list[ToolContext]
    ) -> None:
        async def act() -> EndReason:
            chat = MirroredChat()
            chat.refuses = 403
            stage = SidecarStage(tools, chat=chat, has_webhooks=True)
            stage.control_plane.refuses = 404
            return await stage.running

        assert run_in_virtual_time(act()) is EndReason.CHAT_ENDED
        assert looked == []


class TestTheEnd:
    def test_the_chat_ends(self) -> None:
        async def act() -> EndReason:
            stage = SidecarStage()
            await asyncio.sleep(1)
            stage.chat.lose_mirrors(1000)
            return await stage.running

        assert run_in_virtual_time(act()) is EndReason.CHAT_ENDED

    def test_a_chat_that_goes_on_is_told_that_its_tools_are_gone(self, tools: Tools) -> None:
        @tools.tool
        async def look() -> str:
            """Look for long."""
            await asyncio.sleep(4)
            return "found"

        async def act() -> SidecarStage:
            stage = SidecarStage(tools)
            told: list[EndReason] = []
            stage.call.when_over(told.append)
            await asyncio.sleep(1)
            stage.chat.call_tool("call_1", "look")
            await asyncio.sleep(1)
            stage.call.end(EndReason.SHUTDOWN)
            assert await stage.running is EndReason.SHUTDOWN
            assert told == [EndReason.SHUTDOWN]
            await asyncio.sleep(5)
            return stage

        stage = run_in_virtual_time(act())

        (error,) = stage.chat.of_type("tool_error")
        assert (error["tool_call_id"], error["code"]) == ("call_1", "cancelled")
        assert stage.chat.of_type("tool_response") == []
        assert not stage.chat.mirrors[0].is_open

    def test_nothing_is_told_after_the_end(self, tools: Tools) -> None:
        @tools.tool(background=True)
        async def search() -> str:
            """Search for a while."""
            await asyncio.sleep(1)
            return "three books"

        async def act() -> SidecarStage:
            stage = SidecarStage(tools)
            await asyncio.sleep(1)
            stage.chat.call_tool("call_1", "search")
            await asyncio.sleep(0.5)
            stage.control_plane.latency_s = 1.5
            asking = asyncio.create_task(ask(stage, wish.Say("Goodbye.")))
            await asyncio.sleep(0.1)
            stage.call.end(EndReason.SHUTDOWN)
            await stage.running
            assert await asking is Via.CONTROL_PLANE
            return stage

        stage = run_in_virtual_time(act())

        assert stage.events[-1] == events.CallEnded(EndReason.SHUTDOWN)

    def test_nobody_waits_long_for_a_server_that_takes_nothing(self) -> None:
        async def act() -> float:
            stage = SidecarStage()
            await asyncio.sleep(1)
            stage.control_plane.latency_s = 60
            asking = asyncio.create_task(ask(stage, wish.Say("Hello.")))
            await asyncio.sleep(1)
            began_s = asyncio.get_running_loop().time()
            stage.call.end(EndReason.SHUTDOWN)
            await stage.running
            assert await asking is None
            return asyncio.get_running_loop().time() - began_s

        assert run_in_virtual_time(act()) < 3

    def test_it_lasts_so_long_at_most(self) -> None:
        async def scene(stage: SidecarStage) -> None:
            await asyncio.sleep(9)
            assert stage.call.is_over
            assert await refusal(stage, wish.Say("Hello.")) == "call_is_over"

        assert reason(play(scene, limits=CallLimits(call_s=8))) is EndReason.MAX_DURATION

    @pytest.mark.parametrize("kind", [events.CallBegan, events.ChatLost, events.CallEnded])
    def test_a_defect_ends_the_sidecar_alone(self, kind: type[events.CallEvent]) -> None:
        async def act() -> EndReason:
            stage = SidecarStage()
            stage.unpublishable.add(kind)
            await asyncio.sleep(1)
            if kind is events.ChatLost:
                stage.control_plane.is_up = False
                stage.chat.refuses = 503
                stage.chat.mirrors[0].end(1006)
                await asyncio.sleep(25)
            if kind is events.CallEnded:
                with pytest.raises(BrokenPipeError):
                    stage.call.webhook_ended()
            return await stage.running

        ends = {events.CallBegan: EndReason.FAULT, events.CallEnded: EndReason.CHAT_ENDED}
        assert run_in_virtual_time(act()) is ends.get(kind, EndReason.EVI_LOST)

    def test_a_defect_in_a_timer_ends_it(self) -> None:
        async def act() -> EndReason:
            stage = SidecarStage(limits=CallLimits(call_s=5))
            stage.unpublishable.add(events.CallEnded)
            with capture_logs() as logs:
                ended = await stage.running
            assert "call_failed" in [line["event"] for line in logs]
            return ended

        assert run_in_virtual_time(act()) is EndReason.MAX_DURATION

    def test_one_line_tells_the_whole_sidecar(
        self, tools: Tools, looked: list[ToolContext]
    ) -> None:
        async def scene(stage: SidecarStage) -> None:
            stage.chat.hear("Hel", interim=True)
            stage.chat.hear("Hello?")
            stage.chat.call_tool("call_1", "look")
            await asyncio.sleep(1)

        with capture_logs() as logs:
            play(scene, tools)

        (line,) = [line for line in logs if line["event"] == "call_ended"]
        assert (line["kind"], line["reason"]) == ("sidecar", "chat_ended")
        assert (line["caller_turns"], line["tool_calls"], line["mirrors"]) == (1, 1, 1)
        assert looked != []
        assert "Hello" not in repr(logs)


# Real sockets


@pytest.fixture
async def server() -> AsyncIterator[MirroredEvi]:
    async with mirrored_evi() as server:
        yield server


@pytest.fixture
async def chat(server: MirroredEvi) -> RealChat:
    return await server.chat()


@pytest.fixture
async def sidecar(
    server: MirroredEvi, chat: RealChat, tools: Tools, looked: list[ToolContext]
) -> AsyncIterator[SidecarCall]:
    """A sidecar of the chat, whose tool is `look`."""
    del looked
    plane = ControlPlane(server.origin, API_KEY)
    plan = CallPlan(
        server=EviServer(server.origin, API_KEY),
        control_plane=plane,
        settings=lambda: evi.SessionSettings(tools=(evi.ToolOffer("look", "{}"),)),
        tools=ToolRunner(tools, default_timeout_s=5),
        limits=CallLimits(),
        publish=lambda _call_id, _event: None,
    )
    call = SidecarCall(chat.chat_id, plan)
    running = asyncio.create_task(call.run())
    async with asyncio.timeout(PATIENCE_S):
        yield call
        call.end(EndReason.SHUTDOWN)
        await running
    await plane.close()


async def test_a_tool_call_of_a_webhook_is_answered_over_the_control_plane(
    chat: RealChat, sidecar: SidecarCall
) -> None:
    await sidecar.attached(PATIENCE_S)
    _, settings = await chat.expect("session_settings")
    assert [tool["name"] for tool in settings["tools"]] == ["look"]
    sidecar.tool_called(evi.ToolCall("call_1", "look", "{}"), ToolPath.WEBHOOK)

    via, answer = await chat.expect("tool_response")
    assert (via, answer["content"]) == (Via.CONTROL_PLANE, "found")


async def test_operators_reach_a_chat_whose_control_plane_is_gone(
    server: MirroredEvi, chat: RealChat, sidecar: SidecarCall
) -> None:
    await sidecar.attached(PATIENCE_S)
    server.send_answers = 503

    assert await sidecar.operate(wish.Say("Hello."), "Ada") is Via.CHAT_SOCKET
    _, told = await chat.expect("assistant_input")
    assert told["text"] == "Hello."


async def test_a_mirror_that_breaks_is_opened_again(chat: RealChat, sidecar: SidecarCall) -> None:
    await sidecar.attached(PATIENCE_S)
    await chat.was_mirrored()
    chat.cut_mirrors()

    await chat.was_mirrored()
    assert not sidecar.is_over


async def test_the_end_of_the_chat_is_its_end(
    server: MirroredEvi, chat: RealChat, sidecar: SidecarCall
) -> None:
    await sidecar.attached(PATIENCE_S)
    over: asyncio.Future[EndReason] = asyncio.get_running_loop().create_future()
    sidecar.when_over(over.set_result)
    await chat.was_mirrored()
    await server.end(chat)

    assert await over is EndReason.CHAT_ENDED
