"""One live call: performs what its session decides, and owns every task of the call.

Audio takes the shortest way: the caller's side calls `caller_audio`, the chat calls `on_evi_audio`,
and both write to the other socket before they return.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import structlog

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.call_operator import CallOperator
from evibridge.agent.call_plan import CallerFacts, CallerLeg, CallPlan
from evibridge.agent.call_tap import CallTap
from evibridge.agent.call_tools import CallTools, delivered, delivery
from evibridge.agent.chat_dispatch import ChatDispatch, Dispatched, way_of
from evibridge.agent.chat_lines import ChatLines, with_advice
from evibridge.agent.commands import Decide, OperatorCommand, Transfer, Via
from evibridge.agent.end_of_call_log import log_end
from evibridge.agent.operator_line import OperatorLine
from evibridge.agent.session import CallSession
from evibridge.agent.session_timer import SessionTimer
from evibridge.agent.snapshot import CallSnapshot
from evibridge.agent.tool_desk import Answer
from evibridge.agent.tool_line import ToolLine
from evibridge.agent.tool_watch import ToolWatch
from evibridge.audio.dtmf import tones_wav
from evibridge.audio.level import is_sound
from evibridge.errors import BadAudio, CommandRefused, LinkError, SettingsError
from evibridge.events import CallEvent, EndReason, ToolPath
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.outcome import ToolOutcome
from evibridge.tools_registry.progress import Verdict

log = structlog.get_logger(__name__)


class Call:
    """A call from the caller's arrival to its end; `run` is its one supervisor."""

    def __init__(self, facts: CallerFacts, leg: CallerLeg, plan: CallPlan) -> None:
        self.facts = facts
        self._leg = leg
        self._plan = plan
        settings = plan.settings()
        variables = {**(settings.variables or {}), **facts.variables}
        settings = replace(settings, audio=leg.audio, variables=variables or None)
        self._session = CallSession(
            settings, plan.limits, plan.manners, random.random, plan.disclosure
        )
        self._chats = ChatLines(self, plan.server, leg.audio)
        self._dispatch = ChatDispatch(
            self._chats, plan.control_plane, self._session.owes, self._pause_is_uncertain
        )
        self._tool_watch = ToolWatch()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[EndReason] = self._loop.create_future()
        self._tasks: asyncio.TaskGroup | None = None
        self._tools = CallTools(self, plan.tools, plan.journal, self._tool_context)
        self.chat_ids: list[str] = []
        """Of all chats of the call in their order, those among them that lend an operator a voice
        or write down what he says."""
        self._operator = CallOperator(
            facts.call_id,
            self._session,
            lambda: self._leg,
            self._perform,
            self.chat_ids.append,
            server=plan.server,
            audio=leg.audio,
            voice_id=settings.voice_id,
            spawn=self._spawn,
        )
        self.tap = CallTap(leg.audio.sample_rate, self._loop)
        """Where the call is listened to."""
        self.tap.on_use_changed = self._tap_use_changed
        self._timer = SessionTimer(self._loop, self._wake)
        self.caller_audio: Callable[[bytes], None] = self._chats.carry
        """Takes the next piece of the caller's voice, in the leg's format; about 20 ms.

        Most of the time this is the very method of the chat: the call and its session are not
        asked for each piece, which saves 1 % of a call's CPU and a step of the audio's way."""
        self._untapped_audio = self.caller_audio
        self._chunks_unreadable = 0
        self._is_muted = False
        self._chat_id = self._chat_group_id = ""
        self._tool_state: dict[str, object] = {}
        self._counts: Counter[str] = Counter()
        self._began_s = self._loop.time()
        self._began_at_s = time.time()

    # The supervisor

    async def run(self) -> EndReason:
        """Hold the call until it ends. No exception of this call gets out."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._perform(self._session.caller_joined(self._loop.time()))
                await self._ended
                self._tools.cancel_all()
        except* Exception:
            log.exception("call_failed", call_id=self.facts.call_id)
        finally:
            self.end(EndReason.FAULT)
        reason = self._ended.result()
        self._plan.journal.forget(self.facts.call_id)
        now_s = self._loop.time()
        log_end(
            self.facts.call_id,
            self._chat_id,
            reason,
            lasted_s=now_s - self._began_s,
            said=self._session.lines(now_s),
            counts=self._counts,
            frames_dropped=self._chats.frames_dropped,
        )
        return reason

    def end(self, reason: EndReason) -> None:
        """End the call from outside; one that has ended stays as it is."""
        self._perform(self._session.ended_by(reason, self._loop.time()))

    @property
    def is_over(self) -> bool:
        """Whether nothing can bring the call back."""
        return self._ended.done()

    @property
    def call_id(self) -> str:
        """Of the call."""
        return self.facts.call_id

    def snapshot(self, *, with_lines: bool = True) -> CallSnapshot:
        """The call as it is now; see `OperatedCall.snapshot`."""
        now_s = self._loop.time()
        state = self._session.state(now_s)
        lines = self._session.lines(now_s) if with_lines else ()
        return CallSnapshot(
            call_id=self.facts.call_id,
            chat_id=self._chat_id,
            chat_group_id=self._chat_group_id,
            lasts_s=now_s - self._began_s,
            is_paused=state.is_paused,
            is_held=state.is_held,
            caller_is_away=state.caller_is_away,
            chat_is_ready=state.chat_is_ready,
            open_tools=state.open_tools,
            caller=self.facts.caller,
            called=self.facts.called,
            digits=state.digits,
            lines=tuple(line.counted_from(self._began_s) for line in lines),
            ended=self._ended.result() if self._ended.done() else None,
            state=state.doing,
            kind=self.facts.kind,
            direction=self.facts.direction,
            began_at_s=self._began_at_s,
            paused_by=state.paused_by,
            held_by=state.held_by,
            taken_over_by=state.taken_over_by,
            approvals=self._tool_watch.waiting(now_s),
        )

    @property
    def rate_hz(self) -> int:
        """Of both sides, as they are listened to by `tap`."""
        return self._leg.audio.sample_rate

    @property
    def can_transfer(self) -> bool:
        """Whether the caller can be put through to somebody."""
        return self._leg.can_transfer

    @property
    def chat_id(self) -> str:
        """Of the chat in use, or of the last one; "" before the first."""
        return self._chat_id

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        assert self._tasks is not None
        return self._tasks.create_task(work)

    # The caller's side

    def _route_caller(self) -> None:
        watches = self._session.watches_caller(self._loop.time())
        self._untapped_audio = self._watched_audio if watches else self._chats.carry
        is_overheard = self.tap.is_used or self._operator.hear is not None
        self.caller_audio = self._tapped_audio if is_overheard else self._untapped_audio

    def _tapped_audio(self, pcm16: bytes) -> None:
        self.tap.caller(pcm16)
        if self._operator.hear is not None:
            self._operator.hear(pcm16)
        self._untapped_audio(pcm16)

    def _tap_use_changed(self) -> None:
        self._leg.tap = self.tap.agent if self.tap.is_used else None
        self._route_caller()
        if self.tap.is_used:
            queued_ms = self._session.unplayed_ms(self._loop.time())
            self.tap.agent(bytes(2 * round(queued_ms * self.rate_hz / 1000)))

    def _watched_audio(self, pcm16: bytes) -> None:
        if not self._session.hears_caller:
            pcm16 = bytes(len(pcm16))
        elif is_sound(pcm16):
            self._session.caller_sounded(self._loop.time())
        self._chats.carry(pcm16)

    def caller_pressed(self, digit: str) -> None:
        """The caller pressed a key of the telephone."""
        self._perform(self._session.caller_pressed(digit, self._loop.time()))

    def caller_typed(self, text: str) -> None:
        """The caller says something in writing.

        Raises:
            CommandRefused: nobody would answer it
        """
        self._perform(self._session.caller_typed(text))

    def caller_mutes(self, *, is_muted: bool) -> None:
        """The caller has switched the microphone off, or on again."""
        if is_muted != self._is_muted and not self.is_over:
            self._is_muted = is_muted
            self._publish(events.CallerMuted(is_muted))

    def caller_pauses(self) -> None:
        """The caller wants the agent to be silent until he resumes.

        Raises:
            CommandRefused: the call is about to end
        """
        self._perform(self._session.caller_pauses(self._loop.time()))

    def caller_resumes(self) -> None:
        """The caller wants to be answered again.

        Raises:
            CommandRefused: an operator has paused the agent, or the call is about to end
        """
        self._perform(self._session.caller_resumes(self._loop.time()))

    def caller_lost(self) -> None:
        """The caller's connection broke; another leg may bring the caller back."""
        self.tap.clear()
        self._perform(self._session.caller_lost(self._loop.time()))

    def caller_returned(self, leg: CallerLeg) -> None:
        """The caller is there on another leg, of the same audio format."""
        before, self._leg = self._leg, leg
        leg.tap, before.tap = before.tap, None
        before.release()
        self.tap.clear()
        self._chats.stop_silence()
        self._perform(self._session.caller_returned(self._loop.time()))

    def caller_left(self, reason: EndReason) -> None:
        """The caller hung up."""
        self._perform(self._session.caller_left(reason, self._loop.time()))

    def playback_heard(self, mark: str) -> None:
        """A mark was played, or flushed."""
        actions = self._session.playback_heard(mark, self._loop.time())
        if actions:
            self._perform(actions)

    # Operators and tools

    async def operate(self, command: OperatorCommand, by: str) -> Via | None:
        """Do what an operator asks for; see `OperatedCall.operate`."""
        if isinstance(command, Transfer) and not self.can_transfer:
            sentence = "The caller is not on a telephone: nobody can be put through."
            raise CommandRefused("caller_has_no_telephone", sentence)
        actions = await self._operator.operate(command, by)
        if isinstance(command, Decide) and not actions:
            sentence = self._tool_watch.why_not_waiting(command.tool_call_id)
            raise CommandRefused("tool_is_not_waiting", sentence)
        told: list[Dispatched] = []
        self._perform(actions, lambda message: told.append(self._dispatch.for_operator(message)))
        return await way_of(told)

    def check_operator_line(self, by: str) -> None:
        """Tell whether an operator may speak by microphone now.

        Raises:
            CommandRefused: he has not taken the call over, or it is over
        """
        self._operator.check_line(by)

    def open_operator_line(
        self, by: str, hear: Callable[[bytes], None], on_closed: Callable[[], None]
    ) -> OperatorLine:
        """An operator's microphone is on: the caller hears it from now on.

        Args:
            by: name of the operator; a line that he had before is closed
            hear: takes each piece of the caller's voice, int16 mono PCM at `rate_hz`
            on_closed: is told once if the call is handed back, or over

        Raises:
            CommandRefused: as `check_operator_line`
        """
        return self._operator.open_line(by, hear, on_closed)

    def tool_called(self, call: evi.ToolCall, path: ToolPath) -> None:
        """The server calls a function, and says so by another path than the chat's socket."""
        self._perform(self._session.tool_called(call, path))

    def command(self, command: act.Command) -> None:
        """Do what the service or a program asks."""
        self._perform(self._session.command(command, self._loop.time()))

    def say(self, text: str) -> None:
        """Have the agent speak a text word for word."""
        self._perform(self._session.say(text, self._loop.time()))

    def set_context(self, text: str | None) -> None:
        """Tell the model something for all its later answers; None takes it back."""
        self._perform(self._session.set_context(text))

    def send_digits(self, digits: str) -> None:
        """Play the tones of these keys to the caller's side."""
        self._perform(self._session.send_digits(digits, self._loop.time()))

    def hang_up(self) -> None:
        """End the call once everything was said."""
        if not self._is_an_operators("hang_up"):
            self._perform(self._session.hang_up(EndReason.AGENT_HUNG_UP, self._loop.time()))

    def end_with(self, text: str) -> None:
        """Have the agent speak a last text, and end the call."""
        if not self._is_an_operators("end_with"):
            self._perform(self._session.end_with(text, self._loop.time()))

    def transfer(self, to: str) -> None:
        """Put the caller through to somebody else once everything was said."""
        if not self._is_an_operators("transfer"):
            self._perform(self._session.transfer(to, self._loop.time()))

    def _is_an_operators(self, asked: str) -> bool:
        """Whether the call is not the agent's to end, as a tool of it asks."""
        if self._session.is_taken_over:
            log.warning("tool_asks_for_taken_call", call_id=self.call_id, asked=asked)
        return self._session.is_taken_over

    def decide(self, tool_call_id: str, verdict: Verdict, by: str) -> bool:
        """Approve or decline a tool that waits; returns whether nobody was quicker.

        `by` is a name for who decides.
        """
        if self.is_over:
            return False
        decided = self._session.operate(Decide(tool_call_id, verdict), by, self._loop.time())
        self._perform(decided)
        return bool(decided)

    @property
    def awaits_caller(self) -> bool:
        """Whether the agent has said all that it has to say; it may not be heard yet."""
        return self._session.awaits_caller(self._loop.time())

    @property
    def digits(self) -> str:
        """Keys that the caller has pressed so far."""
        return self._session.digits

    # The chats

    def on_evi_message(self, chat: int, message: evi.Message) -> None:
        """The server sent anything but audio."""
        self._perform(self._session.chat_said(chat, message, self._loop.time()))

    def on_evi_audio(self, chat: int, utterance_id: str, wav: bytes) -> None:
        """The server sent a chunk of the agent's voice: it is written to the caller here."""
        if chat != self._chats.in_use or not self._session.accepts(utterance_id):
            return
        try:
            duration_ms = self._leg.play(wav)
        except BadAudio as error:
            self._chunks_unreadable += 1
            if self._chunks_unreadable == 1:
                call_id = self.facts.call_id
                log.warning("agent_audio_unreadable", call_id=call_id, error=str(error))
            return
        actions = self._session.agent_audio_sent(utterance_id, duration_ms, self._loop.time())
        if actions:
            self._perform(actions)

    def on_evi_closed(self, chat: int, code: int) -> None:
        """A chat is over."""
        self._chats.forget(chat)
        untold = self._dispatch.stop() if chat == self._chats.in_use else []
        self._perform(self._session.chat_closed(chat, code, self._loop.time()))
        for message in untold:
            if isinstance(message, evi.UserInput):  # the session tells the next chat all else
                self._perform(self._session.untold(message))

    def _pause_is_uncertain(self) -> None:
        self._session.pause_is_uncertain(self._loop.time())
        self._arm_timer()

    # Actions

    def _perform(
        self, actions: list[act.Action], tell: Callable[[evi.ClientMessage], None] | None = None
    ) -> None:
        """Do what the session has decided; `tell` sends its messages, by default to the socket."""
        tell = tell or self._dispatch.tell
        try:
            for action in actions:
                self._perform_one(action, tell)
        finally:  # a failed action leaves no held caller heard, and no call without a deadline
            self._route_caller()
            self._arm_timer()

    def _perform_one(self, action: act.Action, tell: Callable[[evi.ClientMessage], None]) -> None:
        match action:
            case act.Tell(message):
                if isinstance(message, evi.ToolResponse | evi.ToolError):
                    self._plan.journal.record(self.facts.call_id, message)
                tell(message)
            case act.ClearPlayback():
                self._leg.clear()
                self.tap.clear()
            case act.PlaceMark(name):
                self._leg.mark(name)
            case act.Publish(event):
                self._publish(event)
            case act.StartTool():
                assert self._tasks is not None
                self._tools.start(action, self._tasks)
            case act.HangUp():
                self._hang_up(action)
            case seldom:
                self._perform_seldom(seldom)

    def _perform_seldom(
        self,
        action: act.Connect
        | act.Disconnect
        | act.UseChat
        | act.HearCaller
        | act.CancelTool
        | act.TellVerdict
        | act.PlayFiller
        | act.SpeakForOperator
        | act.StopOperator
        | act.LeaveOperator
        | act.PlayTones
        | act.SendSilence,
    ) -> None:
        match action:
            case act.Connect():
                assert self._tasks is not None
                self._chats.connect(action, self._tasks, unavailable=self._chat_unavailable)
            case act.Disconnect(chat):
                self._chats.disconnect(chat)
            case act.UseChat(chat):
                self._dispatch.use(chat)
            case act.HearCaller():
                self._chats.hear_caller()
            case act.CancelTool(tool_call_id):
                self._tools.cancel(tool_call_id)
            case act.TellVerdict(tool_call_id, verdict):
                self._tools.decide(tool_call_id, verdict)
            case act.PlayFiller() | act.PlayTones():
                self._play_own(action)
            case act.SpeakForOperator() | act.StopOperator() | act.LeaveOperator():
                self._operator.perform(action)
            case act.SendSilence():
                self._chats.send_silence()

    def _chat_unavailable(self, chat: int, error: LinkError | SettingsError) -> None:
        log.warning("evi_unavailable", call_id=self.facts.call_id, error=with_advice(error))
        now_s = self._loop.time()
        self._perform(self._session.chat_unavailable(chat, now_s, retryable=error.retryable))

    def _publish(self, event: CallEvent) -> None:
        if isinstance(event, events.ChatOpened):
            self._chat_id, self._chat_group_id = event.chat_id, event.chat_group_id
            self._dispatch.opened(event.chat_id)
            self.chat_ids.append(event.chat_id)
        if not (isinstance(event, events.CallerSaid) and event.interim):
            self._counts[type(event).__name__] += 1
        self._plan.publish(self.facts.call_id, self._tool_watch.follow(event, self._loop.time()))

    def _hang_up(self, hang_up: act.HangUp) -> None:
        self._dispatch.stop()
        self._chats.close()
        self._operator.close()
        self._leg.hang_up(hang_up)
        self.tap.close()
        if not self._ended.done():
            self._ended.set_result(hang_up.reason)

    def _play_own(self, sound: act.PlayFiller | act.PlayTones) -> None:
        """Sound that is not the agent's."""
        if isinstance(sound, act.PlayFiller):
            self._play_filler()
            return
        duration_ms = self._leg.play(tones_wav(sound.keys))
        self._perform(self._session.tones_played(sound.keys, duration_ms, self._loop.time()))

    def _play_filler(self) -> None:
        wav = self._plan.filler()
        if wav is None:
            return
        try:
            duration_ms = self._leg.play(wav)
        except BadAudio as error:
            log.warning("filler_unplayable", call_id=self.facts.call_id, error=str(error))
            return
        self._perform(self._session.filler_played(duration_ms, self._loop.time()))

    # Time

    def _arm_timer(self) -> None:
        self._timer.follow(self._session.next_wake_s)

    def _wake(self) -> None:
        try:
            self._perform(self._session.woke(self._loop.time()))
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
            self._perform(self._session.tool_delivered(delivery(tool, outcome)))

    def _tool_context(self, line: ToolLine) -> ToolContext:
        return ToolContext(
            call_id=self.facts.call_id,
            chat_id=self._chat_id,
            tool_call_id=line.tool.tool_call_id,
            caller=self.facts.caller,
            called=self.facts.called,
            parameters=self.facts.parameters,
            state=self._tool_state,
            live=line,
        )
