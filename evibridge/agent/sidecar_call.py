"""One live sidecar: performs what its session decides, and owns every task of it."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

import structlog

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.call_plan import CallerFacts, CallPlan
from evibridge.agent.call_tools import CallTools, delivered, delivery
from evibridge.agent.commands import Decide, OperatorCommand, Via
from evibridge.agent.mirror_link import MirrorFate, fate_of_close
from evibridge.agent.session_timer import SessionTimer
from evibridge.agent.sidecar_line import LineOfOthers
from evibridge.agent.sidecar_mirrors import SidecarMirrors
from evibridge.agent.sidecar_post import SidecarPost, Undelivered
from evibridge.agent.sidecar_session import SidecarSession
from evibridge.agent.snapshot import CallSnapshot
from evibridge.agent.tool_desk import Answer
from evibridge.agent.tool_line import ToolLine
from evibridge.agent.tool_watch import ToolWatch
from evibridge.errors import CommandRefused
from evibridge.events import CallEvent, CallKind, EndReason, ToolPath
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.outcome import ToolOutcome

OPERATOR_WAITS_S = 5.0
"""For one message to reach the chat, with those before it."""
LAST_MESSAGES_S = 2.0
"""For what the chat is to be told before the sidecar leaves it."""
NEVER_OPEN = 1006

log = structlog.get_logger(__name__)


class SidecarCall(LineOfOthers):
    """A sidecar from its beginning to its end; `run` is its one supervisor.

    Args:
        chat_id: of the chat, and the id of this call as well
        plan: what all calls of the service have in common
        past_tool_calls: ids of tool calls that sidecars before this one have taken; they do not run
            again
    """

    def __init__(self, chat_id: str, plan: CallPlan, past_tool_calls: Collection[str] = ()) -> None:
        self.facts = CallerFacts(chat_id)
        self._plan = plan
        self._session = SidecarSession(
            chat_id, plan.settings(), plan.limits, random.random, past_tool_calls
        )
        self._mirrors = SidecarMirrors(self, plan.server, chat_id)
        self._post = SidecarPost(self, chat_id, plan.control_plane, self._mirrors)
        self._tools = CallTools(self, plan.tools, plan.journal, self._tool_context)
        self._tool_watch = ToolWatch()
        self._tool_state: dict[str, object] = {}
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[EndReason] = self._loop.create_future()
        self._tasks: asyncio.TaskGroup | None = None
        self._timer = SessionTimer(self._loop, self._wake)
        self._counts: Counter[str] = Counter()
        self._began_s = self._loop.time()
        self._began_at_s = time.time()

    # The supervisor

    async def run(self) -> EndReason:
        """Hold the sidecar until it ends. No exception of it gets out."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                delivering = self._tasks.create_task(self._post.run())
                self._perform(self._session.began(self._loop.time()))
                if await self._ended is not EndReason.CHAT_ENDED:
                    await self._post.delivered(LAST_MESSAGES_S)
                delivering.cancel()
                self._leave()
        except* Exception:
            log.exception("call_failed", call_id=self.facts.call_id)
        finally:
            self.end(EndReason.FAULT)
            self._leave()
        reason = self._ended.result()
        self._plan.journal.forget(self.facts.call_id)
        self._log_end(reason)
        return reason

    async def attached(self, timeout_s: float) -> None:
        """Return when the sidecar knows what happens in the chat.

        Raises:
            CommandRefused: `chat_not_found`, `mirror_refused`, or `evi_unreachable` if that is not
                known within `timeout_s`
        """
        await self._mirrors.settled(timeout_s)

    def end(self, reason: EndReason) -> None:
        """Leave the chat; a sidecar that has ended stays as it is."""
        self._perform(self._session.ended_by(reason, self._loop.time()))

    @property
    def is_over(self) -> bool:
        """Whether nothing can bring the sidecar back."""
        return self._ended.done()

    @property
    def end_reason(self) -> EndReason | None:
        """Why the sidecar is over, None while it goes on."""
        return self._ended.result() if self._ended.done() else None

    @property
    def took_part(self) -> bool:
        """Whether it has ever learned what happens in the chat."""
        return self._session.took_part

    @property
    def tool_calls(self) -> frozenset[str]:
        """Ids of the tool calls that it knows, of sidecars before it as well."""
        return self._session.tool_calls

    @property
    def call_id(self) -> str:
        """Of the sidecar, which is its chat's."""
        return self.facts.call_id

    def snapshot(self, *, with_lines: bool = True) -> CallSnapshot:
        """The sidecar as it is now; see `OperatedCall.snapshot`."""
        now_s = self._loop.time()
        state = self._session.state()
        lines = state.lines if with_lines else ()
        return CallSnapshot(
            call_id=self.facts.call_id,
            chat_id=self.facts.call_id,
            chat_group_id=state.chat_group_id,
            lasts_s=now_s - self._began_s,
            is_paused=state.is_paused,
            is_held=False,
            caller_is_away=False,
            chat_is_ready=state.chat_is_ready,
            open_tools=state.open_tools,
            caller=self.facts.caller,
            called=self.facts.called,
            digits=self.digits,
            lines=tuple(line.counted_from(self._began_s) for line in lines),
            ended=self.end_reason,
            state=state.doing,
            kind=CallKind.SIDECAR,
            began_at_s=self._began_at_s,
            paused_by=state.paused_by,
            approvals=self._tool_watch.waiting(now_s),
        )

    def when_over(self, tell: Callable[[EndReason], None]) -> None:
        """Have `tell` called once the sidecar is over."""
        self._ended.add_done_callback(lambda ended: tell(ended.result()))

    # Webhooks

    @property
    def has_webhooks(self) -> bool:
        """Whether the chat's webhooks are delivered here."""
        return self._session.has_webhooks

    def webhooks_come(self, chat_group_id: str, caller: str | None, called: str | None) -> None:
        """The chat's webhooks are delivered here; they tell numbers as well."""
        self._session.webhooks_come(chat_group_id)
        self.facts = replace(
            self.facts, caller=caller or self.facts.caller, called=called or self.facts.called
        )

    def webhook_ended(self) -> None:
        """The chat is over, says a webhook."""
        self._perform(self._session.webhook_ended(self._loop.time()))

    def tool_called(self, call: evi.ToolCall, path: ToolPath) -> None:
        """The model calls a function, and it is told by another path than the mirror."""
        self._perform(self._session.tool_called(call, path, self._loop.time()))

    # Operators and tools

    async def operate(self, command: OperatorCommand, by: str) -> Via | None:
        """Do what an operator asks for; see `OperatedCall.operate`."""
        actions = self._session.operate(command, by, self._loop.time())
        if isinstance(command, Decide) and not actions:
            sentence = self._tool_watch.why_not_waiting(command.tool_call_id)
            raise CommandRefused("tool_is_not_waiting", sentence)
        fates = self._perform(actions)
        if not fates:
            return None
        arrived, _ = await asyncio.wait(fates, timeout=OPERATOR_WAITS_S)
        ways = [fate.result() for fate in arrived]
        if Undelivered.REFUSED in ways:
            sentence = "The EVI server does not take this message; the service's log says why."
            raise CommandRefused("message_refused", sentence)
        if len(arrived) < len(fates) or Undelivered.KEPT in ways:
            return None
        return Via.CHAT_SOCKET if Via.CHAT_SOCKET in ways else Via.CONTROL_PLANE

    def say(self, text: str) -> None:
        """Have the agent speak a text word for word."""
        self._perform(self._session.say(text, self._loop.time()))

    def set_context(self, text: str | None) -> None:
        """Tell the model something for all its later answers; None takes it back."""
        self._perform(self._session.set_context(text, self._loop.time()))

    def end_with(self, text: str) -> None:
        """Have the agent speak a text; it cannot be made the last one."""
        self.say(text)
        self._cannot("end_with")

    # The mirror

    def on_mirror_open(self, mirror: int) -> None:
        """A mirror is open."""
        self._perform(self._session.mirror_opened(mirror, self._loop.time()))
        self._mirrors.settle(is_attached=True)

    def on_mirror_message(self, mirror: int, message: evi.Message, *, is_replay: bool) -> None:
        """The server sent anything but audio."""
        now_s = self._loop.time()
        self._perform(self._session.mirror_said(mirror, message, now_s, is_replay=is_replay))

    def on_replay_ended(self, mirror: int) -> None:
        """From here on everything has just happened."""
        self._perform(self._session.replay_ended(mirror))
        missed = self._session.take_missed_calls()
        if missed:
            log.warning("tool_calls_missed", call_id=self.facts.call_id, tool_call_ids=missed)

    def on_mirror_closed(self, mirror: int, code: int) -> None:
        """A mirror is gone."""
        self._post.mirror_lost()
        self._mirror_gone(mirror, fate_of_close(code), code)

    def _mirror_unavailable(self, mirror: int, fate: MirrorFate) -> None:
        self._mirror_gone(mirror, fate, NEVER_OPEN)
        self._settle_without()

    def _settle_without(self) -> None:
        """If there will be no first mirror, webhooks tell the rest."""
        if not self._session.awaits_mirror:
            self._mirrors.settle(is_attached=not self.is_over)

    def _mirror_gone(self, mirror: int, fate: MirrorFate, code: int) -> None:
        self._perform(self._session.mirror_gone(mirror, fate, code, self._loop.time()))

    def _leave(self) -> None:
        """Nothing is done for the chat any more."""
        self._tools.cancel_all()
        self._post.take_back()
        self._mirrors.close()
        self._mirrors.settle(is_attached=False)

    # Actions

    def _perform(self, actions: list[act.Action]) -> list[asyncio.Future[Via | Undelivered]]:
        """Do what the session has decided; returns what will become of its messages."""
        fates: list[asyncio.Future[Via | Undelivered]] = []
        try:
            for action in actions:
                if isinstance(action, act.Tell):
                    fates.append(self._tell(action.message))
                else:
                    self._perform_one(action)
        finally:
            self._arm_timer()
        return fates

    def _perform_one(self, action: act.Action) -> None:
        match action:
            case act.Publish(event):
                self._publish(event)
            case act.StartTool():
                assert self._tasks is not None
                self._tools.start(action, self._tasks)
            case act.CancelTool(tool_call_id):
                self._tools.cancel(tool_call_id)
            case act.TellVerdict(tool_call_id, verdict):
                self._tools.decide(tool_call_id, verdict)
            case act.Connect():
                assert self._tasks is not None
                self._mirrors.connect(action, self._tasks, unavailable=self._mirror_unavailable)
            case act.Disconnect():
                self._mirrors.close()
            case act.HangUp(reason):
                self._ended.set_result(reason)
            case _:  # there is no caller here to do anything to
                pass

    def _tell(self, message: evi.ClientMessage) -> asyncio.Future[Via | Undelivered]:
        if isinstance(message, evi.ToolResponse | evi.ToolError):
            self._plan.journal.record(self.facts.call_id, message)
        return self._post.send(message)

    def _publish(self, event: CallEvent) -> None:
        if not (isinstance(event, events.CallerSaid) and event.interim):
            self._counts[type(event).__name__] += 1
        self._plan.publish(self.facts.call_id, self._tool_watch.follow(event, self._loop.time()))

    # What became of messages

    def chat_missed(self, messages: Iterable[evi.ClientMessage]) -> None:
        """These were not delivered, or perhaps not, in this order."""
        self._session.missed(messages, self._loop.time())
        self._arm_timer()

    def chat_unknown(self) -> None:
        """The server does not know the chat."""
        self._perform(self._session.chat_unknown(self._loop.time()))

    # Time

    def _arm_timer(self) -> None:
        self._timer.follow(self._session.next_wake_s)

    def _wake(self) -> None:
        try:
            self._perform(self._session.woke(self._loop.time()))
            self._settle_without()
        except Exception:
            log.exception("call_failed", call_id=self.facts.call_id)
            self.end(EndReason.FAULT)

    # Tools

    def tool_holds(self, tool_call_id: str, sentence: str) -> None:
        """The caller has to wait for a tool."""
        self._perform(self._session.tool_holds(tool_call_id, sentence, self._loop.time()))

    def tool_awaits_verdict(self, tool_call_id: str, timeout_s: float) -> None:
        """A tool may not run before an operator has approved of it, which he can so long."""
        self._perform(self._session.tool_awaits_verdict(tool_call_id, timeout_s))

    def tool_finished(self, tool: evi.ToolCall, answer: Answer) -> None:
        """This is what a tool call is answered with."""
        now_s = self._loop.time()
        self._perform(self._session.tool_finished(tool.tool_call_id, answer, now_s))

    def tool_delivered(
        self, tool: evi.ToolCall, outcome: ToolOutcome, *, is_for_model: bool
    ) -> None:
        """A tool that was answered before is done."""
        if self.is_over:
            return
        self._publish(delivered(tool, outcome))
        if is_for_model:
            now_s = self._loop.time()
            self._perform(self._session.tool_delivered(delivery(tool, outcome), now_s))

    def _tool_context(self, line: ToolLine) -> ToolContext:
        return ToolContext(
            call_id=self.facts.call_id,
            chat_id=self.facts.call_id,
            tool_call_id=line.tool.tool_call_id,
            caller=self.facts.caller,
            called=self.facts.called,
            parameters=self.facts.parameters,
            state=self._tool_state,
            live=line,
        )

    def _log_end(self, reason: EndReason) -> None:
        log.info(
            "call_ended",
            call_id=self.facts.call_id,
            kind=CallKind.SIDECAR.value,
            reason=reason.value,
            seconds=round(self._loop.time() - self._began_s, 1),
            caller_turns=self._counts["CallerSaid"],
            agent_sentences=self._counts["AgentSaid"],
            interruptions=self._counts["AgentInterrupted"],
            tool_calls=self._counts["ToolStarted"],
            mirrors=self._counts["ChatOpened"],
            mirrors_lost=self._counts["ChatLost"],
            server_errors=self._counts["ServerReportedError"],
        )
