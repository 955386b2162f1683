"""The state of a sidecar: tools, operators and events of a chat that somebody else has opened.

Pure, as `session.py` is: facts in, actions out. The caller's audio and line are the others'; what
is said, and which functions the model calls, is told by a mirror of the chat, by the chat's
webhooks, or by both. Tool calls may come by either, in any order and any number: each is answered
once.

What the mirror replays is past: it is told to those who watch, and nothing is done about it.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.commands import OperatorCommand
from evibridge.agent.conversation import Line
from evibridge.agent.course import CallLimits
from evibridge.agent.mirror_link import MirrorFate, MirrorLink
from evibridge.agent.sidecar_steering import SidecarSteering
from evibridge.agent.sidecar_tools import SidecarTools
from evibridge.agent.snapshot import CallState
from evibridge.agent.told_chat import ToldChat
from evibridge.agent.transcript import Transcript
from evibridge.errors import CommandRefused
from evibridge.events import CallKind, ChatOpening, EndReason, ToolPath


@dataclass(frozen=True, slots=True)
class SidecarState:
    """A sidecar at one moment, for people who watch; see `CallSnapshot`."""

    chat_group_id: str
    is_paused: bool
    paused_by: str | None
    chat_is_ready: bool
    open_tools: tuple[str, ...]
    lines: tuple[Line, ...]
    doing: CallState


class SidecarSession:
    """One sidecar's decisions. `now_s` is any clock that only goes forward, in seconds.

    Args:
        chat_id: of the chat
        settings: of the agent, of which the chat is told the tools alone
        limits: deadlines of the call
        random: gives numbers from 0 to 1
        past_tool_calls: ids of tool calls that are not to run again
    """

    def __init__(
        self,
        chat_id: str,
        settings: evi.SessionSettings,
        limits: CallLimits,
        random: Callable[[], float],
        past_tool_calls: Collection[str] = (),
    ) -> None:
        self._chat_id = chat_id
        self._limits = limits
        first_s = max(limits.chat_ready_s, limits.resume_s)  # there is no caller who hears nothing
        self._link = MirrorLink(first_s=first_s, resume_s=limits.resume_s, random=random)
        self._told = ToldChat(evi.SessionSettings(tools=settings.tools or None))
        names = {tool.name for tool in settings.tools or ()}
        self._tools = SidecarTools(names, self._told, past_tool_calls)
        self._steering = SidecarSteering(self._told, self._tools)
        self._transcript = Transcript()
        self.has_webhooks = False
        """Whether the chat's webhooks are delivered here."""
        self._is_over = False
        self._ends_s: float | None = None
        self._early: list[tuple[evi.ToolCall, ToolPath]] = []
        """What was called before the sidecar has begun."""
        self._group_id = ""
        self._tells_opening = False
        """Whether a mirror is open, and that has still to be told."""
        self._was_told = False
        """Whether it was ever told."""
        self._was_replayed = False
        """Whether a mirror has told all that there was: a later one shows what was missed."""
        self._last_error: str | None = None
        self._agent_speaks = self._caller_speaks = False

    # Questions

    @property
    def next_wake_s(self) -> float | None:
        """When `woke` has to be called next; never again once the sidecar is over."""
        if self._is_over:
            return None
        times = (self._ends_s, self._link.wake_s, self._told.wake_s)
        return min((at_s for at_s in times if at_s is not None), default=None)

    @property
    def awaits_mirror(self) -> bool:
        """Whether there may be a mirror yet, and has been none."""
        return not (self._is_over or self._link.was_open or self._link.is_gone_without)

    @property
    def took_part(self) -> bool:
        """Whether it was ever known what happens in the chat."""
        return self._link.was_open or self.has_webhooks

    @property
    def tool_calls(self) -> frozenset[str]:
        """Ids of the tool calls that are known, past ones as well."""
        return self._tools.known

    def state(self) -> SidecarState:
        """The sidecar as it is now."""
        return SidecarState(
            chat_group_id=self._group_id,
            is_paused=self._steering.paused_by is not None,
            paused_by=self._steering.paused_by,
            chat_is_ready=self._link.is_open,
            open_tools=self._tools.open_names,
            lines=self._transcript.lines,
            doing=self._doing(),
        )

    def _doing(self) -> CallState:
        is_attached = self._link.was_open or self._link.is_gone_without
        is_watched = self._link.is_open or self._link.is_gone_without
        states = {
            CallState.CONNECTING: not is_attached,
            CallState.LISTENING: is_attached,
            CallState.CALLER_SPEAKING: self._caller_speaks,
            CallState.AGENT_SPEAKING: self._agent_speaks,
            CallState.TOOL_RUNNING: bool(self._tools.open_names),
            CallState.PAUSED: self._steering.paused_by is not None,
            CallState.RECONNECTING: is_attached and not is_watched,
            CallState.NEEDS_APPROVAL: self._tools.awaits_operator,
            CallState.ENDED: self._is_over,
        }
        return [state for state, is_so in states.items() if is_so][-1]

    # The mirror

    def began(self, now_s: float) -> list[Action]:
        """The sidecar begins; `webhooks_come` and `tool_called` may have been told before."""
        if self._is_over:
            return []
        self._ends_s = now_s + self._limits.call_s
        self._link.open(now_s)
        began = [act.Publish(events.CallBegan(CallKind.SIDECAR)), *self._wake_link(now_s)]
        early, self._early = self._early, []
        called = (self.tool_called(call, path, now_s) for call, path in early)
        return [*began, *chain.from_iterable(called)]

    def mirror_opened(self, mirror: int, now_s: float) -> list[Action]:
        """A mirror is open; its replay follows."""
        if not self._link.opened(mirror, now_s):
            return []
        self._tells_opening = True
        self._last_error = None
        self._transcript.mirror_opened()
        return [*self._told.begin(now_s), *self._told.tell_again(now_s)]

    def mirror_said(
        self, mirror: int, message: evi.Message, now_s: float, *, is_replay: bool
    ) -> list[Action]:
        """A mirror sent anything but audio."""
        if mirror != self._link.number or not self._link.is_open:
            return []
        match message:
            case evi.ChatMetadata():
                self._group_id = message.chat_group_id
                return self._tell_opening()
            case evi.SessionSettings():
                self._told.variables_seen(message)
                return []
            case evi.ToolResponse() | evi.ToolError():
                return self._tools.answered_elsewhere(message, now_s)
            case evi.ToolCall() if is_replay:
                self._tools.replayed(message)
                return []
            case evi.AssistantProsody(utterance_id, scores) if scores:
                is_new = self._transcript.agent_sounded(utterance_id, is_replay=is_replay)
                sounded = act.Publish(events.AgentSounded(utterance_id, scores))
                return [sounded] if is_new else []
            case evi.UserMessage(interim=False):
                return self._caller_said(message, now_s, is_replay=is_replay)
            case evi.AssistantMessage():
                return self._agent_says(message, now_s, is_replay=is_replay)
            case _:
                return [] if is_replay else self._happens(message, now_s)

    def _happens(self, message: evi.Message, now_s: float) -> list[Action]:
        """What is news only at the moment at which it happens."""
        match message:
            case evi.ToolCall():
                return self.tool_called(message, ToolPath.MIRROR, now_s)
            case evi.UserMessage():
                self._caller_speaks = True
                return [_said(message)]
            case evi.UserInterruption():
                self._caller_speaks, self._agent_speaks = True, False
                return [act.Publish(events.AgentInterrupted())]
            case evi.AssistantEnd():
                self._agent_speaks = False
                return []
            case evi.ChatError(code, slug, text):
                self._last_error = code
                return [act.Publish(events.ServerReportedError(code, slug, text))]
            case _:
                return []

    def replay_ended(self, mirror: int) -> list[Action]:
        """From here on, what the mirror tells has just happened."""
        if mirror != self._link.number or not self._link.is_open:
            return []
        self._transcript.replay_ended()
        return self._tell_opening()

    def take_missed_calls(self) -> tuple[str, ...]:
        """Ids of tool calls that nobody answers: they came while there was no mirror.

        To be asked when a replay has ended. What came before the first one was others' business,
        and webhooks may bring theirs yet.
        """
        missed = self._tools.take_missed()
        was_replayed, self._was_replayed = self._was_replayed, True
        return missed if was_replayed and not self.has_webhooks else ()

    def mirror_gone(self, mirror: int, fate: MirrorFate, code: int, now_s: float) -> list[Action]:
        """A mirror could not be opened, or is closed.

        `code` is the WebSocket's close code, 1006 if it was never open.
        """
        was_told = self._link.is_open and not self._tells_opening
        was_open = self._link.was_open
        if not self._link.gone(mirror, now_s):
            return []
        match fate:
            case MirrorFate.BAD_KEY:
                return self._end(EndReason.EVI_REFUSED, now_s)
            case MirrorFate.CHAT_IS_OVER if was_open or not self.has_webhooks:
                return self._end(EndReason.CHAT_ENDED, now_s)
            case MirrorFate.NOT_ALLOWED if not self.has_webhooks:
                return self._end(EndReason.EVI_REFUSED, now_s)
            case MirrorFate.CHAT_IS_OVER | MirrorFate.NOT_ALLOWED:
                # EVI: which status tells of a chat that may not be mirrored is UNCONFIRMED.
                self._link.bar()
            case _:  # it comes back
                pass
        lost = [act.Publish(events.ChatLost(code, self._last_error))] if was_told else []
        self._agent_speaks = self._caller_speaks = False
        return [*lost, *(self._told.begin(now_s) if self._link.is_gone_without else [])]

    def _tell_opening(self) -> list[Action]:
        if not self._tells_opening:
            return []
        why = ChatOpening.RESUMED if self._was_told else ChatOpening.FIRST
        self._tells_opening, self._was_told = False, True
        return [act.Publish(events.ChatOpened(self._chat_id, self._group_id, why))]

    # The conversation

    def _caller_said(self, said: evi.UserMessage, now_s: float, *, is_replay: bool) -> list[Action]:
        if not is_replay:
            self._caller_speaks = False
            self._tools.caller_spoke()
            self._told.asked()
        return [_said(said)] if self._transcript.caller_said(said, now_s) else []

    def _agent_says(
        self, said: evi.AssistantMessage, now_s: float, *, is_replay: bool
    ) -> list[Action]:
        done: list[Action] = []
        if not is_replay:
            if not said.from_text:
                done += self._tools.answered_otherwise(now_s)
                done += [] if self._agent_speaks else self._told.answers(now_s)
            self._agent_speaks = True
        utterance_id = self._transcript.agent_says(said, now_s, is_replay=is_replay)
        if utterance_id is None:
            return done
        done.append(act.Publish(events.AgentSaid(utterance_id, said.content)))
        if said.scores and self._transcript.agent_sounded(said.id, is_replay=is_replay):
            done.append(act.Publish(events.AgentSounded(utterance_id, said.scores)))
        return done

    # Webhooks

    def webhooks_come(self, chat_group_id: str) -> None:
        """The chat's webhooks are delivered here, so that its tool calls come in any case."""
        self.has_webhooks = True
        self._group_id = self._group_id or chat_group_id

    def webhook_ended(self, now_s: float) -> list[Action]:
        """The chat is over, says a webhook."""
        return self._end(EndReason.CHAT_ENDED, now_s)

    # Tools

    def tool_called(self, call: evi.ToolCall, path: ToolPath, now_s: float) -> list[Action]:
        """The model calls a function; the same call may come by several paths."""
        if self._is_over:
            return []
        if self._ends_s is None:
            self._early.append((call, path))
            return []
        return self._tools.called(call, path, now_s)

    def tool_finished(
        self, started_as: str, answer: evi.ToolResponse | evi.ToolError, now_s: float
    ) -> list[Action]:
        """The tool that was started with this id has an answer."""
        return self._tools.finished(started_as, answer, now_s)

    def tool_holds(self, started_as: str, sentence: str, now_s: float) -> list[Action]:
        """The caller has to wait for a tool: the agent says so."""
        self._tools.holds(started_as, sentence)
        return self._steering.ask_to_wait(now_s)

    def tool_awaits_verdict(self, started_as: str, timeout_s: float) -> list[Action]:
        """A tool may not run before an operator has approved of it, which he can so long."""
        return self._tools.awaits_verdict(started_as, timeout_s)

    def tool_delivered(self, text: str, now_s: float) -> list[Action]:
        """A tool that was answered early has a result; the model learns it with its next answer."""
        return [] if self._is_over else self._told.note(text, now_s)

    # Operators, tools and the service

    def operate(self, command: OperatorCommand, by: str, now_s: float) -> list[Action]:
        """An operator of this name asks for something.

        Raises:
            CommandRefused: the sidecar cannot do it, or not now
        """
        if self._is_over:
            raise CommandRefused("call_is_over", "The call is over.")
        return self._steering.operate(command, by, now_s)

    def say(self, text: str, now_s: float) -> list[Action]:
        """Have the agent speak a text word for word, as soon as it may."""
        return [] if self._is_over else self._steering.say(text, now_s)

    def set_context(self, text: str | None, now_s: float) -> list[Action]:
        """Tell the model something for all its later answers; None takes it back."""
        return [] if self._is_over else self._told.set_context(text, now_s)

    def ended_by(self, reason: EndReason, now_s: float) -> list[Action]:
        """The service itself ends the sidecar at once: shutdown, or a defect."""
        return self._end(reason, now_s)

    # What became of messages

    def missed(self, messages: Iterable[evi.ClientMessage], now_s: float) -> None:
        """The chat was not told these, or perhaps not, in this order."""
        self._told.missed(messages, now_s)

    def chat_unknown(self, now_s: float) -> list[Action]:
        """The server knows of no such chat, when it is told something."""
        return self._end(EndReason.CHAT_ENDED, now_s) if self._link.is_gone_without else []

    # Time and the end

    def woke(self, now_s: float) -> list[Action]:
        """The time of `next_wake_s` has come."""
        if self._is_over:
            return []
        if self._ends_s is not None and self._ends_s <= now_s:
            return self._end(EndReason.MAX_DURATION, now_s)
        due_s = self._told.wake_s
        again = self._told.tell_again(now_s) if due_s is not None and due_s <= now_s else []
        return [*again, *self._wake_link(now_s)]

    def _wake_link(self, now_s: float) -> list[Action]:
        woken = self._link.woke(now_s)
        if not isinstance(woken, EndReason):
            return woken
        if not self.has_webhooks:
            return self._end(woken, now_s)
        self._link.go_on_without()
        return self._told.begin(now_s)

    def _end(self, reason: EndReason, now_s: float) -> list[Action]:
        if self._is_over:
            return []
        self._is_over = True
        self._link.leave()
        chat_goes_on = reason is not EndReason.CHAT_ENDED
        left = self._tools.leave(now_s, chat_goes_on=chat_goes_on)
        if chat_goes_on:
            left += [*self._steering.leave(now_s), *self._told.leave(now_s)]
        return [act.HangUp(reason), *left, act.Publish(events.CallEnded(reason))]


def _said(said: evi.UserMessage) -> Action:
    told = events.CallerSaid(said.content, said.interim, said.from_text, said.scores)
    return act.Publish(told)
