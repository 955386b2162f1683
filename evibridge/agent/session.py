"""The state of one call: facts in, actions out.

`CallSession` is told what happened (`evi_said`, `playback_heard`, `caller_left`, ...) and returns
what has to be done about it. It does no I/O and reads no clock, so every sequence of events can be
tried in a test without a socket. The audio path asks it two questions per piece of audio:
`hears_caller` and `accepts`.

    CONNECTING ──chat ready──► TALKING ──server closed──► LEAVING ──last word heard──► ENDED
         └───────────────────────┴── hang-up, loss, deadline from either side ───────────┘
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from evibridge import events
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import (
    Action,
    CancelTool,
    ClearPlayback,
    Command,
    Connect,
    HangUp,
    PlaceMark,
    Publish,
    StartTool,
    Tell,
)
from evibridge.audio.playout import Heard, Playout
from evibridge.events import EndReason

MAX_OPEN_TOOLS = 4
"""EVI calls one function at a time; more than a few at once is a model gone astray."""
LAST_WORDS_GRACE_S = 2.0
"""How long after its due time the last mark is waited for before hanging up."""
MAX_STALE_UTTERANCES = 1024
"""Interrupted utterances remembered; late chunks come within a second of the interruption."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long a call waits for what may never come."""

    chat_ready_s: float = 6.0
    """From the caller's arrival to the EVI server's `chat_metadata`."""
    call_s: float = 1800.0


class _Phase(Enum):
    CONNECTING = auto()
    TALKING = auto()
    LEAVING = auto()
    ENDED = auto()


class _Deadline(Enum):
    CHAT_READY = auto()
    CALL_LENGTH = auto()
    LAST_WORDS = auto()


@dataclass(slots=True)
class _OpenTool:
    call: evi.ToolCall
    caller_spoke_since: bool = False


class CallSession:
    """One call's decisions. `now_s` is any clock that only goes forward, in seconds.

    Args:
        settings: what the EVI server is told once the chat is open
        limits: deadlines of the call
    """

    def __init__(self, settings: evi.SessionSettings, limits: CallLimits) -> None:
        self._settings = settings
        self._limits = limits
        self._phase = _Phase.CONNECTING
        self._deadlines: dict[_Deadline, float] = {}
        self._playout = Playout()
        self._texts: dict[str, str] = {}
        self._live: set[str] = set()
        self._stale: dict[str, None] = {}
        self._ignoring_audio = False
        self._answer_complete = True
        self._paused = False
        self._held = False
        self._tools: dict[str, _OpenTool] = {}
        self._seen_tools: set[str] = set()
        self._last_error: str | None = None
        self._leaving_for = EndReason.AGENT_HUNG_UP

    # Questions of the audio path

    @property
    def hears_caller(self) -> bool:
        """Whether the caller's audio goes to the server; silence of equal length goes if not."""
        return not self._held

    def accepts(self, utterance_id: str) -> bool:
        """Whether a chunk of this utterance may go to the caller.

        Chunks of an interrupted turn can still be on the wire: they are refused, and so is
        audio that no `assistant_message` has announced since the interruption.
        """
        if self._phase is not _Phase.TALKING or self._is_silenced or utterance_id in self._stale:
            return False
        return utterance_id in self._live or not self._ignoring_audio

    @property
    def _is_silenced(self) -> bool:
        return self._paused or self._held

    @property
    def next_wake_s(self) -> float | None:
        """When `woke` has to be called next."""
        return min(self._deadlines.values(), default=None)

    # Facts

    def caller_joined(self, now_s: float) -> list[Action]:
        """The caller's side is ready to talk; it may have left again before this is told."""
        if self._phase is _Phase.ENDED:
            return []
        self._deadlines[_Deadline.CHAT_READY] = now_s + self._limits.chat_ready_s
        self._deadlines[_Deadline.CALL_LENGTH] = now_s + self._limits.call_s
        return [Connect()]

    def caller_left(self, reason: EndReason) -> list[Action]:
        """The caller hung up or was lost."""
        return self._end(self._leaving_for if self._phase is _Phase.LEAVING else reason)

    def evi_said(self, message: evi.Message, now_s: float) -> list[Action]:
        """The server sent anything but audio."""
        if self._phase in (_Phase.LEAVING, _Phase.ENDED):
            return []
        match message:
            case evi.ChatMetadata():
                return self._chat_opened(message)
            case evi.UserMessage():
                return self._caller_said(message, now_s)
            case evi.AssistantMessage():
                return self._agent_said(message)
            case evi.UserInterruption():
                return self._silence_agent(now_s)
            case evi.AssistantEnd():
                return self._answer_ended()
            case evi.ToolCall():
                return self._tool_called(message)
            case evi.ChatError():
                return self._server_failed(message)
            case _:
                return []

    def evi_closed(self, code: int, now_s: float) -> list[Action]:
        """The chat's socket is gone; what was sent of the agent's voice is still heard out."""
        if self._phase in (_Phase.LEAVING, _Phase.ENDED):
            return []
        opened = self._phase is _Phase.TALKING
        self._leaving_for = _reason_of_close(code, self._last_error, opened=opened)
        if self._playout.all_heard:
            return self._end(self._leaving_for)
        self._phase = _Phase.LEAVING
        self._playout.end_turn()
        due_s = max(self._playout.due_s, now_s)
        self._deadlines = {_Deadline.LAST_WORDS: due_s + LAST_WORDS_GRACE_S}
        return [*self._cancel_tools(), *self._mark_now()]

    def evi_unavailable(self, reason: EndReason) -> list[Action]:
        """The chat could not be opened."""
        return self._end(reason)

    def agent_audio_sent(self, utterance_id: str, duration_ms: float, now_s: float) -> list[Action]:
        """A chunk that was accepted has been written to the caller's side."""
        self._live.add(utterance_id)
        self._playout.sent(utterance_id, duration_ms, now_s)
        if self._playout.is_stalled(now_s):
            return self._end(EndReason.CALLER_STALLED)
        return self._mark_now() if self._playout.mark_is_due else []

    def playback_heard(self, mark: str, now_s: float) -> list[Action]:
        """The caller's side reported a mark."""
        actions = self._report(self._playout.echoed(mark, now_s))
        if self._phase is _Phase.LEAVING and self._playout.all_heard:
            return actions + self._end(self._leaving_for)
        return actions

    def tool_finished(
        self, tool_call_id: str, answer: evi.ToolResponse | evi.ToolError
    ) -> list[Action]:
        """A tool has an answer; late ones, of calls no longer open, are dropped."""
        tool = self._tools.pop(tool_call_id, None)
        if tool is None:
            return []
        outcome = "answered" if isinstance(answer, evi.ToolResponse) else answer.code or "failed"
        return [
            Tell(answer),
            Publish(events.ToolFinished(tool_call_id, tool.call.name, outcome)),
        ]

    def command(self, command: Command, now_s: float) -> list[Action]:
        """An operator asks for something; asking twice changes nothing."""
        match command:
            case _ if self._phase is not _Phase.TALKING and command is not Command.HANG_UP:
                return []
            case Command.PAUSE if not self._paused:
                self._paused = True
                silenced = self._silence_agent(now_s)
                return [Tell(evi.PauseAssistant()), *silenced, Publish(events.AgentPaused())]
            case Command.RESUME if self._paused:
                self._paused = False
                return [Tell(evi.ResumeAssistant()), Publish(events.AgentResumed())]
            case Command.HOLD if not self._held:
                self._held = True
                return self._silence_agent(now_s)
            case Command.RELEASE:
                self._held = False
                return []
            case Command.HANG_UP:
                return self._end(EndReason.OPERATOR_HUNG_UP)
            case _:
                return []

    def say(self, text: str) -> list[Action]:
        """Have the agent speak a sentence word for word."""
        return [Tell(evi.AssistantInput(text))] if self._phase is _Phase.TALKING else []

    def ended_by(self, reason: EndReason) -> list[Action]:
        """The service itself ends the call: shutdown, or a defect."""
        return self._end(reason)

    def woke(self, now_s: float) -> list[Action]:
        """The time of `next_wake_s` has come."""
        due = {deadline for deadline, at_s in self._deadlines.items() if at_s <= now_s}
        for deadline in due:
            del self._deadlines[deadline]
        if _Deadline.CHAT_READY in due:
            return self._end(EndReason.EVI_UNREACHABLE)
        if _Deadline.LAST_WORDS in due:
            return self._end(self._leaving_for)
        if _Deadline.CALL_LENGTH in due:
            return self._end(EndReason.MAX_DURATION)
        return []

    # What follows from them

    def _chat_opened(self, chat: evi.ChatMetadata) -> list[Action]:
        if self._phase is not _Phase.CONNECTING:
            return []
        self._phase = _Phase.TALKING
        del self._deadlines[_Deadline.CHAT_READY]
        return [
            Tell(self._settings),
            Publish(events.ChatOpened(chat.chat_id, chat.chat_group_id)),
        ]

    def _caller_said(self, said: evi.UserMessage, now_s: float) -> list[Action]:
        self._last_error = None
        actions: list[Action] = []
        # EVI interrupts only while it generates. When it is done and the phone still plays, a new
        # user message is the only sign of a barge-in.
        if self._answer_complete and self._playout.unplayed_ms(now_s) > 0:
            actions += self._silence_agent(now_s)
        if not said.interim:
            for tool in self._tools.values():
                tool.caller_spoke_since = True
        actions.append(Publish(events.CallerSaid(said.content, said.interim, said.from_text)))
        return actions

    def _agent_said(self, said: evi.AssistantMessage) -> list[Action]:
        self._last_error = None
        self._answer_complete = False
        if said.id in self._stale:
            return []
        if self._is_silenced:  # it was on its way already, and must not be heard from its middle
            self._stale[said.id or ""] = None
            return []
        self._ignoring_audio = False
        utterance_id = said.id or ""
        self._live.add(utterance_id)
        self._texts[utterance_id] = said.content
        return [Publish(events.AgentSaid(utterance_id, said.content))]

    def _answer_ended(self) -> list[Action]:
        self._answer_complete = True
        self._playout.end_turn()
        return self._mark_now()

    def _tool_called(self, call: evi.ToolCall) -> list[Action]:
        # Built-in tools are run by the server; replays of a call must not run it again.
        if call.tool_type == "builtin" or not call.response_required:
            return []
        if call.tool_call_id in self._seen_tools:
            return []
        self._seen_tools.add(call.tool_call_id)
        actions = self._drop_superseded_tools()
        if len(self._tools) >= MAX_OPEN_TOOLS:
            busy = evi.ToolError(
                call.tool_call_id, error="too many tool calls at once", code="busy", level="warn"
            )
            return [*actions, Tell(busy)]
        self._tools[call.tool_call_id] = _OpenTool(call)
        started = events.ToolStarted(call.tool_call_id, call.name, call.parameters)
        return [*actions, StartTool(call), Publish(started)]

    def _drop_superseded_tools(self) -> list[Action]:
        """When the caller changes his mind, EVI calls anew and the older call is dead."""
        actions: list[Action] = []
        for tool in [tool for tool in self._tools.values() if tool.caller_spoke_since]:
            del self._tools[tool.call.tool_call_id]
            finished = events.ToolFinished(
                tool.call.tool_call_id, tool.call.name, outcome="superseded"
            )
            actions += [CancelTool(tool.call.tool_call_id), Publish(finished)]
        return actions

    def _server_failed(self, error: evi.ChatError) -> list[Action]:
        self._last_error = error.code
        return [Publish(events.ServerReportedError(error.code, error.slug, error.message))]

    def _silence_agent(self, now_s: float) -> list[Action]:
        """Cut the agent off: nothing said so far is heard from now on."""
        for utterance_id in self._live:
            self._stale[utterance_id] = None
        while len(self._stale) > MAX_STALE_UTTERANCES:
            del self._stale[next(iter(self._stale))]
        self._live.clear()
        self._ignoring_audio = True
        self._answer_complete = True
        if self._playout.all_heard:
            self._texts.clear()
            return []
        reports = self._report(self._playout.clear(now_s))
        self._texts.clear()
        return [ClearPlayback(), *reports, Publish(events.AgentInterrupted())]

    def _mark_now(self) -> list[Action]:
        name = self._playout.mark()
        return [] if name is None else [PlaceMark(name)]

    def _report(self, fates: list[Heard]) -> list[Action]:
        return [
            Publish(
                events.AgentHeard(
                    fate.utterance_id,
                    sent_ms=round(fate.sent_ms),
                    heard_ms=round(fate.heard_ms),
                    text_heard=text_heard(self._texts.pop(fate.utterance_id, ""), fate),
                )
            )
            for fate in fates
        ]

    def _end(self, reason: EndReason) -> list[Action]:
        if self._phase is _Phase.ENDED:
            return []
        self._phase = _Phase.ENDED
        self._deadlines.clear()
        return [*self._cancel_tools(), HangUp(reason), Publish(events.CallEnded(reason))]

    def _cancel_tools(self) -> list[Action]:
        """Nobody is there any more to take the answers."""
        cancelled: list[Action] = [CancelTool(tool_call_id) for tool_call_id in self._tools]
        self._tools.clear()
        return cancelled


def text_heard(text: str, fate: Heard) -> str:
    """The words of an utterance that were heard, in proportion to the time that was."""
    if fate.heard_ms >= fate.sent_ms:
        return text
    words = text.split()
    return " ".join(words[: int(len(words) * fate.heard_ms / fate.sent_ms)])


_MEANING_OF_ERRORS: Mapping[str, EndReason] = {
    "E0714": EndReason.INACTIVITY,
    "E0715": EndReason.MAX_DURATION,
}


def _reason_of_close(code: int, last_error: str | None, *, opened: bool) -> EndReason:
    """What a close means: EVI sends the `error` first, then closes with 1000.

    The first letter of an error tells whose fault it is: `E` the client's, `I` the server's. An
    error that the conversation has outlived says nothing about its end.
    """
    if last_error is not None and last_error in _MEANING_OF_ERRORS:
        return _MEANING_OF_ERRORS[last_error]
    if last_error is not None and last_error.startswith("I"):
        return EndReason.EVI_LOST
    if code == 1008 or (code == 1000 and (last_error is not None or not opened)):
        return EndReason.EVI_REFUSED
    return EndReason.AGENT_HUNG_UP if code == 1000 else EndReason.EVI_LOST
