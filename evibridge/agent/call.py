"""One live call: performs what its session decides, and owns every task of the call.

Audio takes the shortest way: the caller's side calls `caller_audio`, the chat calls `on_evi_audio`,
and both write to the other socket before they return.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import pybase64
import structlog

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_client import EviChat, EviServer
from evibridge.agent.session import CallLimits, CallSession
from evibridge.errors import BadAudio, LinkError, LinkRefused, SettingsError
from evibridge.events import CallEvent, EndReason
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.runner import ToolResult, ToolRunner

EARLY_AUDIO_MS = 2000
"""Caller's audio kept while the chat is being opened; the oldest goes first."""

MAX_DIGITS = 256
"""Pressed keys remembered for the tools; the oldest goes first."""

log = structlog.get_logger(__name__)


class CallerLeg(Protocol):
    """The caller's side of a call; a bridge implements it. Every method returns at once."""

    @property
    def audio(self) -> evi.AudioFormat:
        """Format in which the caller's audio is handed to `Call.caller_audio`."""

    def play(self, wav: bytes) -> float:
        """Queue one WAV file behind what is playing; returns its length in ms.

        Raises:
            BadAudio: the bytes are not a WAV file that can be played
        """

    def mark(self, name: str) -> None:
        """Report `name` by `Call.playback_heard` once everything queued so far was played."""

    def clear(self) -> None:
        """Drop whatever is queued and not played yet."""

    def hang_up(self, reason: EndReason) -> None:
        """End the caller's side; no report follows."""


@dataclass(frozen=True, slots=True)
class CallerFacts:
    """What is known of a call before it starts. Numbers are personal data."""

    call_id: str
    caller: str | None = field(default=None, repr=False)
    called: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What all calls of a service have in common."""

    server: EviServer
    settings: evi.SessionSettings
    tools: ToolRunner
    limits: CallLimits
    publish: Callable[[str, CallEvent], None]
    """Gets the call's id and each of its events, in order."""


class Call:
    """A call from the caller's arrival to its end; `run` is its one supervisor."""

    def __init__(self, facts: CallerFacts, leg: CallerLeg, plan: CallPlan) -> None:
        self.facts = facts
        self._leg = leg
        self._plan = plan
        audio = leg.audio
        self._session = CallSession(replace(plan.settings, audio=audio), plan.limits)
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[EndReason] = self._loop.create_future()
        self._tasks: asyncio.TaskGroup | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._tools: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._chat: EviChat | None = None
        self._chat_is_ready = False
        self._early: deque[bytes] = deque()
        self._early_bytes = 0
        self._early_frames_dropped = 0
        self._chunks_unreadable = 0
        self._max_early_bytes = EARLY_AUDIO_MS * audio.sample_rate * audio.channels * 2 // 1000
        self._chat_id = ""
        self._digits: deque[str] = deque(maxlen=MAX_DIGITS)
        self._tool_state: dict[str, object] = {}
        self._counts: Counter[str] = Counter()
        self._began_s = self._loop.time()

    # The supervisor

    async def run(self) -> EndReason:
        """Hold the call until it ends. No exception of this call gets out."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._perform(self._session.caller_joined(self._loop.time()))
                await self._ended
                for task in [self._connecting, *self._tools.values()]:
                    if task is not None:
                        task.cancel()
        except* Exception:
            log.exception("call_failed", call_id=self.facts.call_id)
        finally:
            self.end(EndReason.FAULT)
        reason = self._ended.result()
        self._log_end(reason)
        return reason

    def end(self, reason: EndReason) -> None:
        """End the call from outside; one that has ended stays as it is."""
        self._perform(self._session.ended_by(reason))

    # The caller's side

    def caller_audio(self, pcm16: bytes) -> None:
        """The next piece of the caller's voice, in the leg's format, of any length."""
        if not self._chat_is_ready:
            self._keep_early(pcm16)
            return
        assert self._chat is not None
        self._chat.send_audio(pcm16 if self._session.hears_caller else bytes(len(pcm16)))

    def caller_pressed(self, digit: str) -> None:
        """The caller pressed a key of the telephone."""
        self._digits.append(digit)

    def caller_left(self, reason: EndReason) -> None:
        """The caller's side is gone."""
        self._perform(self._session.caller_left(reason))

    def playback_heard(self, mark: str) -> None:
        """A mark was played, or flushed."""
        self._perform(self._session.playback_heard(mark, self._loop.time()))

    # Operators

    def command(self, command: act.Command) -> None:
        """Do what an operator asks."""
        self._perform(self._session.command(command, self._loop.time()))

    def say(self, text: str) -> None:
        """Have the agent speak a sentence word for word."""
        self._perform(self._session.say(text))

    # The chat

    def on_evi_message(self, message: evi.Message) -> None:
        """The server sent anything but audio."""
        self._perform(self._session.evi_said(message, self._loop.time()))

    def on_evi_audio(self, audio: evi.AudioOutput) -> None:
        """The server sent a chunk of the agent's voice: it is written to the caller here."""
        if not self._session.accepts(audio.id):
            return
        try:
            duration_ms = self._leg.play(pybase64.b64decode(audio.data, validate=True))
        except (BadAudio, ValueError) as error:
            self._chunks_unreadable += 1
            if self._chunks_unreadable == 1:
                call_id = self.facts.call_id
                log.warning("agent_audio_unreadable", call_id=call_id, error=str(error))
            return
        actions = self._session.agent_audio_sent(audio.id, duration_ms, self._loop.time())
        if actions:
            self._perform(actions)

    def on_evi_closed(self, code: int) -> None:
        """The chat is over."""
        self._chat_is_ready = False
        self._perform(self._session.evi_closed(code, self._loop.time()))

    # Actions

    def _perform(self, actions: list[act.Action]) -> None:
        for action in actions:
            match action:
                case act.Tell(message):
                    self._tell(message)
                case act.ClearPlayback():
                    self._leg.clear()
                case act.PlaceMark(name):
                    self._leg.mark(name)
                case act.Publish(event):
                    self._publish(event)
                case act.StartTool(call):
                    self._start_tool(call)
                case act.CancelTool(tool_call_id):
                    self._cancel_tool(tool_call_id)
                case act.Connect():
                    assert self._tasks is not None
                    self._connecting = self._tasks.create_task(self._connect())
                case act.HangUp(reason):
                    self._hang_up(reason)
        self._arm_timer()

    def _tell(self, message: evi.ClientMessage) -> None:
        if self._chat is None:
            return
        self._chat.send(message)
        if isinstance(message, evi.SessionSettings) and not self._chat_is_ready:
            self._chat_is_ready = True
            for pcm16 in self._early:
                self._chat.send_kept_audio(pcm16)
            self._early.clear()

    def _publish(self, event: CallEvent) -> None:
        if isinstance(event, events.ChatOpened):
            self._chat_id = event.chat_id
        if not (isinstance(event, events.CallerSaid) and event.interim):
            self._counts[type(event).__name__] += 1
        self._plan.publish(self.facts.call_id, event)

    def _hang_up(self, reason: EndReason) -> None:
        self._chat_is_ready = False
        if self._chat is not None:
            self._chat.close()
        self._leg.hang_up(reason)
        if not self._ended.done():
            self._ended.set_result(reason)

    def _keep_early(self, pcm16: bytes) -> None:
        self._early.append(pcm16)
        self._early_bytes += len(pcm16)
        while self._early_bytes > self._max_early_bytes:
            self._early_bytes -= len(self._early.popleft())
            self._early_frames_dropped += 1

    # Time

    def _arm_timer(self) -> None:
        at_s = self._session.next_wake_s
        if self._timer is not None:
            if at_s == self._timer.when():
                return
            self._timer.cancel()
        self._timer = None if at_s is None else self._loop.call_at(at_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._perform(self._session.woke(self._loop.time()))

    # Tasks

    async def _connect(self) -> None:
        timeout_s = self._plan.limits.chat_ready_s
        # The chat is ours before it is open: its first message can come before `open` returns.
        self._chat = EviChat(self, self._leg.audio)
        try:
            await self._chat.open(self._plan.server, timeout_s=timeout_s)
        except (LinkError, SettingsError) as error:
            log.warning("evi_unavailable", call_id=self.facts.call_id, error=_with_advice(error))
            reason = EndReason.EVI_UNREACHABLE if error.retryable else EndReason.EVI_REFUSED
            self._perform(self._session.evi_unavailable(reason))

    def _start_tool(self, call: evi.ToolCall) -> None:
        assert self._tasks is not None
        self._tools[call.tool_call_id] = self._tasks.create_task(self._run_tool(call))

    async def _run_tool(self, call: evi.ToolCall) -> None:
        try:
            outcome = await self._plan.tools.run(call.name, call.parameters, self._tool_context())
        finally:
            self._tools.pop(call.tool_call_id, None)
        answer: evi.ToolResponse | evi.ToolError
        if isinstance(outcome, ToolResult):
            answer = evi.ToolResponse(call.tool_call_id, outcome.content, tool_name=call.name)
        else:
            answer = evi.ToolError(
                call.tool_call_id,
                error=outcome.error,
                content=outcome.content,
                code=outcome.code,
                level="warn",
            )
        self._perform(self._session.tool_finished(call.tool_call_id, answer))

    def _cancel_tool(self, tool_call_id: str) -> None:
        task = self._tools.get(tool_call_id)
        if task is not None:
            task.cancel()

    def _tool_context(self) -> ToolContext:
        return ToolContext(
            call_id=self.facts.call_id,
            chat_id=self._chat_id,
            caller=self.facts.caller,
            called=self.facts.called,
            parameters=self.facts.parameters,
            state=self._tool_state,
            read_digits=lambda: "".join(self._digits),
        )

    def _log_end(self, reason: EndReason) -> None:
        dropped = self._early_frames_dropped + (self._chat.frames_dropped if self._chat else 0)
        log.info(
            "call_ended",
            call_id=self.facts.call_id,
            chat_id=self._chat_id,
            reason=reason.value,
            seconds=round(self._loop.time() - self._began_s, 1),
            caller_turns=self._counts["CallerSaid"],
            agent_sentences=self._counts["AgentSaid"],
            interruptions=self._counts["AgentInterrupted"],
            tool_calls=self._counts["ToolStarted"],
            server_errors=self._counts["ServerReportedError"],
            caller_frames_dropped=dropped,
        )


def _with_advice(error: LinkError | SettingsError) -> str:
    refused = isinstance(error, LinkRefused) and error.status in (401, 403)
    return f"{error} Check HUME_API_KEY." if refused else str(error)
