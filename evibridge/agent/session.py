"""The state of one call: facts in, actions out.

`CallSession` is told what happened (`chat_said`, `playback_heard`, `caller_lost`, ...) and returns
what has to be done about it. It does no I/O and reads no clock, so every sequence of events can be
tried in a test without a socket. The audio path asks it `accepts` for each piece of the agent's
voice, and `hears_caller` for each of the caller's as long as `watches_caller`.

What is small and goes on by itself has a state of its own: the phase of the call (`CallPhase`), the
chats with the server (`ServerSide`), the agent's voice (`AgentSpeech`), who owes an answer
(`OpenTurn`), tools (`ToolDesk`), pressed keys (`Digits`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, Command
from evibridge.agent.briefing import what_was_heard, what_was_pressed
from evibridge.agent.conversation import Conversation, Line
from evibridge.agent.digits import Digits
from evibridge.agent.manners import Manners
from evibridge.agent.open_turn import OpenTurn
from evibridge.agent.phases import CallPhase, Turning
from evibridge.agent.sent_digits import DigitsToSend
from evibridge.agent.server_side import ServerSide
from evibridge.agent.speech import AgentSpeech, CutOff
from evibridge.agent.tool_desk import ToolDesk
from evibridge.events import ChatOpening, EndReason
from evibridge.tools_registry.progress import Verdict

LAST_WORDS_GRACE_S = 2.0
"""How long after its due time the last mark is waited for before hanging up."""
FAREWELL_S = 30.0
"""How long a decided hang-up waits for the agent to say goodbye and the caller to hear it."""
FILLER_AFTER_S = 1.5
FILLER_AGAIN_S = 6.0
GO_ON_AFTER_S = 2.0
"""How long a new chat may take to answer by itself what the lost one has left unanswered."""
THINKS_FOR_S = 5.0
"""The same for a server that knows of the question, or was given the result of a tool."""
SILENCE_S = 2.0
"""So long after the caller's last sound nothing of it is on its way: neither more nor its text."""
BREAK_S = 0.5
"""So long a silence of the agent within a turn is a break, in which the turn waits for a tool: EVI
tells of the end of a turn alone."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """How long a call waits for what may never come."""

    chat_ready_s: float = 4.0
    """From the caller's arrival to the first chat: he hears nothing meanwhile."""
    call_s: float = 1800.0
    resume_s: float = 20.0
    """For a lost EVI server, or a lost caller, to come back."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session at one moment, for people who watch; see `CallSnapshot`."""

    is_paused: bool
    is_held: bool
    caller_is_away: bool
    chat_is_ready: bool
    open_tools: tuple[str, ...]
    digits: str
    lines: tuple[Line, ...]


class _Caller(Enum):
    EXPECTED = auto()
    HERE = auto()
    AWAY = auto()


class _Deadline(Enum):
    CALL_LENGTH = auto()
    CALLER_BACK = auto()
    FAREWELL = auto()
    LAST_WORDS = auto()
    FILLER = auto()
    GO_ON = auto()
    BREAK = auto()


class CallSession:
    """One call's decisions. `now_s` is any clock that only goes forward, in seconds.

    Args:
        settings: what the EVI server is told once a chat is open
        limits: deadlines of the call
        manners: how it is held
        random: gives numbers from 0 to 1
    """

    def __init__(
        self,
        settings: evi.SessionSettings,
        limits: CallLimits,
        manners: Manners,
        random: Callable[[], float],
    ) -> None:
        self._limits = limits
        self._manners = manners
        self._phase = CallPhase()
        self._caller = _Caller.EXPECTED
        self._deadlines: dict[_Deadline, float] = {}
        self._server = ServerSide(
            settings, first_s=limits.chat_ready_s, resume_s=limits.resume_s, random=random
        )
        self._link = self._server.link
        self._conversation = Conversation()
        self._speech = AgentSpeech(self._conversation)
        self._turn = OpenTurn()
        self._tools = ToolDesk()
        self._digits = Digits(manners.digits)
        self._paused = False
        self._held = False
        self._caller_sounded_s = 0.0
        self._keys = DigitsToSend()
        self._last_words: str | None = None
        """After which the agent says nothing more, if there are any."""
        self._owes_last_words = False
        self._transfer_to: str | None = None

    # Questions

    @property
    def hears_caller(self) -> bool:
        """Whether the caller's audio goes to the server; silence of equal length goes if not."""
        return not self._held

    def accepts(self, utterance_id: str) -> bool:
        """Whether a chunk of this utterance, of the chat in use, may go to the caller."""
        if self._is_silenced or not self._link.is_ready:
            return False
        return self._speech.accepts(utterance_id)

    def watches_caller(self, now_s: float) -> bool:
        """Whether `hears_caller` is to be asked for each piece of audio, and `caller_sounded` told.

        Asked once after each fact, so that the audio path asks nothing while a call just goes on.
        """
        return self._held or self._link.wants_silence(now_s)

    def state(self, now_s: float) -> SessionState:
        """The call as it is now."""
        return SessionState(
            is_paused=self._paused,
            is_held=self._held,
            caller_is_away=self._caller is _Caller.AWAY,
            chat_is_ready=self._link.is_ready,
            open_tools=self._tools.open_names,
            digits=self._digits.all,
            lines=self._conversation.lines(self._speech.playing(now_s)),
        )

    def awaits_caller(self, now_s: float) -> bool:
        """Whether the agent has said all that it has to say; it may not be heard yet."""
        return (
            self._turn.is_given_up(now_s)
            and not self._turn.owes_texts(now_s)
            and self._speech.turn_is_over
            and self._tools.is_idle
        )

    @property
    def digits(self) -> str:
        """Keys that the caller has pressed."""
        return self._digits.all

    @property
    def next_wake_s(self) -> float | None:
        """When `woke` has to be called next; never again once the call is over."""
        if self._phase.is_over:
            return None
        times = (*self._deadlines.values(), self._link.wake_s, self._digits.wake_s)
        return min((at_s for at_s in times if at_s is not None), default=None)

    # The caller's side

    def caller_joined(self, now_s: float) -> list[Action]:
        """The caller's side is ready to talk; it may have left again before this is told."""
        if not self._phase.is_talking:
            return []
        self._caller = _Caller.HERE
        self._deadlines[_Deadline.CALL_LENGTH] = now_s + self._limits.call_s
        self._link.open(now_s)
        return self._wake_link(now_s)

    def caller_lost(self, now_s: float) -> list[Action]:
        """The caller's connection broke; the call may go on by another one."""
        if not self._phase.is_talking or self._caller is _Caller.EXPECTED:
            return self.caller_left(EndReason.CALLER_LOST, now_s)
        if self._caller is _Caller.AWAY:
            return []
        self._caller = _Caller.AWAY
        self._deadlines.pop(_Deadline.FILLER, None)
        self._deadlines[_Deadline.CALLER_BACK] = now_s + self._limits.resume_s
        return [*self._match_pause(), act.SendSilence(), *self._line_broke(now_s)]

    def caller_returned(self, now_s: float) -> list[Action]:
        """The caller is there on another connection, also if the loss was not noticed."""
        if not self._phase.has_server:
            return []
        broken: list[Action] = []
        if self._caller is _Caller.HERE:
            self._caller = _Caller.AWAY
            broken = [*self._match_pause(), *self._line_broke(now_s)]
        self._caller = _Caller.HERE
        self._deadlines.pop(_Deadline.CALLER_BACK, None)
        self._await_chat(now_s, FILLER_AFTER_S)
        return [
            *broken,
            act.Publish(events.CallerReturned()),
            *self._match_pause(),
            *self._take_up(now_s, within_s=THINKS_FOR_S),
            *self._press_keys(now_s),
            *self._leave_when_said(now_s),
        ]

    def _line_broke(self, now_s: float) -> list[Action]:
        """What the caller has not heard by now is lost with the line that should play it."""
        cut = self._speech.cut_off(now_s)
        # EVI: resumed, a server answers the caller's last words, and those alone.
        self._turn.missed(cut.lost, may_be_repeated=not self._turn.is_answered)
        return [*map(act.Publish, cut.reports), act.Publish(events.CallerLost())]

    def caller_left(self, reason: EndReason, now_s: float) -> list[Action]:
        """The caller hung up, or will not come back."""
        is_before_transfer = (
            self._phase.reason is EndReason.TRANSFERRED and reason is EndReason.CALLER_HUNG_UP
        )
        if self._phase.is_talking or is_before_transfer:
            return self._end(reason, now_s)
        return self._end(self._phase.reason, now_s)

    def caller_pressed(self, digit: str, now_s: float) -> list[Action]:
        """The caller pressed a key of the telephone."""
        if self._phase.is_over:
            return []
        entry = self._digits.pressed(digit, now_s)
        return [act.Publish(events.DigitPressed(digit)), *self._digits_entered(entry)]

    def caller_sounded(self, now_s: float) -> None:
        """The caller's line is louder than silence."""
        self._caller_sounded_s = now_s

    def caller_typed(self, text: str) -> list[Action]:
        """The caller says something in writing."""
        return self._tell(evi.UserInput(text))

    def playback_heard(self, mark: str, now_s: float) -> list[Action]:
        """The caller's side reported a mark."""
        if self._phase.is_over:
            return []
        actions: list[Action] = [*map(act.Publish, self._speech.echoed(mark, now_s))]
        if _Deadline.LAST_WORDS in self._deadlines and self._speech.all_heard:
            actions += self._end(self._phase.reason, now_s)
        return actions

    def agent_audio_sent(self, utterance_id: str, duration_ms: float, now_s: float) -> list[Action]:
        """A chunk that was accepted has been written to the caller's side."""
        mark = self._speech.sent(utterance_id, duration_ms, now_s)
        if mark is None:
            return []
        if self._speech.is_stalled(now_s):
            return self._end(EndReason.CALLER_STALLED, now_s)
        return [act.PlaceMark(mark)]

    def filler_played(self, duration_ms: float, now_s: float) -> list[Action]:
        """The filler has been written to the caller's side."""
        mark = self._speech.filler_sent(duration_ms, now_s)
        self._await_chat(now_s, FILLER_AGAIN_S)
        return [*_place(mark), act.Publish(events.FillerPlayed())]

    def tones_played(self, keys: str, duration_ms: float, now_s: float) -> list[Action]:
        """The tones of keys have been written to the caller's side."""
        mark = self._speech.filler_sent(duration_ms, now_s)
        self._keys.pressed(self._speech.due_s)
        sent = act.Publish(events.DigitsSent(keys))
        more = self._press_keys(now_s)
        return [*_place(mark), sent, *more, *self._leave_when_said(now_s)]

    # The EVI server

    def chat_said(self, chat: int, message: evi.Message, now_s: float) -> list[Action]:
        """A chat sent anything but audio."""
        if isinstance(message, evi.ChatMetadata):
            return self._chat_opened(chat, message, now_s)
        if chat != self._link.number or not self._phase.has_server:
            return []
        if isinstance(message, evi.ChatError):
            return self._server_failed(message)
        if not self._link.is_ready:  # EVI: the metadata is the first message of a chat
            return []
        return self._in_conversation(message, now_s)

    def _in_conversation(self, message: evi.Message, now_s: float) -> list[Action]:
        match message:
            case evi.UserMessage():
                return self._caller_said(message, now_s)
            case evi.AssistantMessage():
                return self._agent_says(message, now_s)
            case evi.UserInterruption():
                return self._caller_interrupts(now_s)
            case evi.AssistantEnd():
                return self._turn_ended(now_s)
            case evi.ToolCall():
                return self._tool_called(message)
            case _:
                return []

    def _tool_called(self, call: evi.ToolCall) -> list[Action]:
        actions = self._tools.called(call)
        if actions:
            self._deadlines.pop(_Deadline.GO_ON, None)
        return actions

    def chat_closed(self, chat: int, code: int, now_s: float) -> list[Action]:
        """The socket of a chat is gone."""
        if not self._phase.has_server:
            return []
        silenced = self._is_silenced
        meaning, error = self._server.closed(chat, code, now_s, may_be_idle=silenced)
        if meaning is None:
            return []
        if self._phase.is_closing:
            return self._server_left(self._phase.reason, now_s)
        if isinstance(meaning, EndReason):
            return self._server_left(meaning, now_s)
        return self._chat_lost(events.ChatLost(code, error), now_s)

    def chat_unavailable(self, chat: int, now_s: float, *, retryable: bool) -> list[Action]:
        """A chat could not be opened."""
        if retryable:
            self._link.failed(chat, now_s)
        elif self._link.refused(chat, now_s):
            return self._server_left(EndReason.EVI_REFUSED, now_s)
        return []

    def tool_finished(
        self, started_as: str, answer: evi.ToolResponse | evi.ToolError, now_s: float
    ) -> list[Action]:
        """The tool that was started with this id has an answer."""
        if (holding := self._tools.told_holding(started_as)) is not None:
            self._turn.retract(holding)
        actions = self._tools.finished(started_as, answer, has_chat=self._link.is_ready)
        if actions:
            self._turn.words_are_due(now_s)
        if _Deadline.GO_ON in self._deadlines:
            self._deadlines[_Deadline.GO_ON] = now_s + THINKS_FOR_S
        return actions

    def tool_holds(self, started_as: str, sentence: str, now_s: float) -> list[Action]:
        """The caller has to wait for a tool: the agent says so, once it says nothing else."""
        self._tools.holds(started_as, sentence)
        return self._ask_to_wait(now_s)

    def tool_awaits_verdict(self, started_as: str, timeout_s: float) -> list[Action]:
        """A tool may not run before an operator has approved of it, which he can so long."""
        return self._tools.awaits_verdict(started_as, timeout_s)

    def tool_delivered(self, text: str) -> list[Action]:
        """A tool that was answered early has a result; the model learns it with its next answer."""
        return self._server.note(text) if self._phase.has_server else []

    # Operators, tools and the service

    def tool_decided(self, tool_call_id: str, verdict: Verdict, by: str) -> list[Action]:
        """An operator has decided about a tool that waits; nothing if somebody else was first."""
        return self._tools.decided(tool_call_id, verdict, by)

    def command(self, command: Command, now_s: float) -> list[Action]:
        """An operator asks for something; asking twice changes nothing."""
        if not self._phase.is_talking and command is not Command.HANG_UP:
            return []
        match command:
            case Command.PAUSE if not self._paused:
                self._paused = True
                return [
                    *self._match_pause(),
                    *self._silence_agent(now_s),
                    act.Publish(events.AgentPaused()),
                ]
            case Command.RESUME if self._paused:
                self._paused = False
                self._await_chat(now_s, FILLER_AFTER_S)
                return [
                    *self._match_pause(),
                    act.Publish(events.AgentResumed()),
                    *self._take_up(now_s, within_s=THINKS_FOR_S),
                    *self._press_keys(now_s),
                ]
            case Command.HOLD if not self._held:
                self._held = True
                return [*self._silence_agent(now_s), act.Publish(events.CallHeld())]
            case Command.RELEASE if self._held:
                self._held = False
                self._await_chat(now_s, FILLER_AFTER_S)
                self._turn.repeat_missed(now_s)  # the server has never stopped
                return [
                    act.Publish(events.CallReleased()),
                    *self._tell_texts(now_s),
                    *self._ask_to_wait(now_s),
                    *self._press_keys(now_s),
                ]
            case Command.HANG_UP if self._phase.is_talking:
                return self.hang_up(EndReason.OPERATOR_HUNG_UP, now_s)
            case Command.HANG_UP if self._phase.reason is EndReason.TRANSFERRED:
                return self._end(EndReason.OPERATOR_HUNG_UP, now_s)
            case Command.HANG_UP:  # again: he does not want to wait
                return self._end(self._phase.reason, now_s)
            case Command.RENEW_CHAT:
                self._link.renew(now_s)
            case _:
                pass
        return []

    def say(self, text: str, now_s: float) -> list[Action]:
        """Have the agent speak a text word for word, as soon as it can."""
        if not self._phase.has_server or self._last_words is not None:
            return []
        self._deadlines.pop(_Deadline.LAST_WORDS, None)  # it is not heard yet
        self._turn.say(text, now_s)
        return self._tell_texts(now_s)

    def set_context(self, text: str | None) -> list[Action]:
        """Tell the model something for all its later answers; None takes it back."""
        return self._server.set_context(text) if self._phase.has_server else []

    def send_digits(self, keys: str, now_s: float) -> list[Action]:
        """Play the tones of keys to the caller's side, between two things that the agent says."""
        if not self._phase.has_server or self._last_words is not None:
            return []
        self._keys.add(keys)
        return self._press_keys(now_s)

    def end_with(self, text: str, now_s: float) -> list[Action]:
        """Have the agent speak a last text, and end the call once the caller has heard it."""
        if not self._phase.is_talking:
            return []
        told = self.say(text, now_s)
        self._last_words, self._owes_last_words = text, True
        return [*told, *self.hang_up(EndReason.AGENT_HUNG_UP, now_s)]

    def transfer(self, to: str, now_s: float) -> list[Action]:
        """Put the caller through to somebody else once the agent has said what it has to say."""
        if self._phase.is_talking:
            self._transfer_to = to
        return self.hang_up(EndReason.TRANSFERRED, now_s)

    def hang_up(self, reason: EndReason, now_s: float) -> list[Action]:
        """End the call once the agent has said, and the caller heard, what is being said now."""
        if not self._phase.is_talking:
            return []
        if self._caller is not _Caller.HERE:
            return self._end(reason, now_s)
        self._phase.go(Turning.HANG_UP, reason)
        self._deadlines[_Deadline.FAREWELL] = now_s + FAREWELL_S
        decided = act.Publish(events.HangUpDecided(reason))
        return [decided, *self._leave_when_said(now_s)]

    def ended_by(self, reason: EndReason, now_s: float) -> list[Action]:
        """The service itself ends the call at once: shutdown, or a defect."""
        return self._end(reason, now_s)

    # Time

    def woke(self, now_s: float) -> list[Action]:
        """The time of `next_wake_s` has come."""
        if self._phase.is_over:
            return []
        due = {deadline for deadline, at_s in self._deadlines.items() if at_s <= now_s}
        for deadline in due:
            del self._deadlines[deadline]
        if _Deadline.LAST_WORDS in due:
            return self._end(self._phase.reason, now_s)
        if _Deadline.FAREWELL in due:
            return self._server_left(self._phase.reason, now_s)
        if _Deadline.CALLER_BACK in due:
            return self._end(EndReason.CALLER_LOST, now_s)
        actions = self._digits_entered(self._digits.woke(now_s))
        if _Deadline.CALL_LENGTH in due:
            actions += self.hang_up(EndReason.MAX_DURATION, now_s)
        if _Deadline.FILLER in due:
            actions += self._fill(now_s)
        if _Deadline.GO_ON in due:
            actions += self._go_on(now_s)
        if _Deadline.BREAK in due:
            actions += [*self._ask_to_wait(now_s), *self._press_keys(now_s)]
        return actions + self._wake_link(now_s)

    def _wake_link(self, now_s: float) -> list[Action]:
        woken = self._link.woke(now_s, is_quiet=self._is_quiet(now_s))
        return self._server_left(woken, now_s) if isinstance(woken, EndReason) else woken

    def _await_chat(self, now_s: float, silence_s: float) -> None:
        """Let the caller not wait in silence for a chat that was lost."""
        is_lost = self._link.was_ready and not self._link.is_ready
        if self._manners.filler is None or not is_lost or self._is_silenced:
            return
        self._deadlines[_Deadline.FILLER] = max(now_s, self._speech.due_s) + silence_s

    def _fill(self, now_s: float) -> list[Action]:
        if self._is_silenced or not self._phase.is_talking:
            return []
        self._await_chat(now_s, FILLER_AGAIN_S)
        return [act.PlayFiller()]

    # Chats come and go

    def _chat_opened(self, chat: int, opened: evi.ChatMetadata, now_s: float) -> list[Action]:
        if self._phase.is_over or (chat == self._link.number and self._link.is_ready):
            return []
        if not self._phase.is_talking:
            return [act.Disconnect(chat)]
        is_quiet = self._is_quiet(now_s)
        news = self._link.opened(chat, opened.chat_group_id, now_s, is_quiet=is_quiet)
        if news is None:
            return [act.Disconnect(chat)]
        self._deadlines.pop(_Deadline.FILLER, None)
        replaced: list[Action] = []
        if news.replaces is not None:
            replaced = [act.Disconnect(news.replaces), *self._leave_chat()]
        opening = self._server.opening(chat, news, self._conversation, paused=self._wants_pause)
        owed = self._tools.chat_opened()
        if news.why is ChatOpening.RENEWED and is_quiet:
            resumed = self._tell_texts(now_s)
        elif news.why is ChatOpening.AFRESH:
            resumed = self._take_up(now_s, within_s=None)
        else:
            resumed = self._take_up(now_s, within_s=THINKS_FOR_S if owed else GO_ON_AFTER_S)
        return [
            *opening,
            *owed,
            act.HearCaller(),
            *replaced,
            *self._server.kept(),
            act.Publish(events.ChatOpened(opened.chat_id, opened.chat_group_id, news.why)),
            *resumed,
        ]

    def _chat_lost(self, lost: events.ChatLost, now_s: float) -> list[Action]:
        left = self._leave_chat()
        self._await_chat(now_s, FILLER_AFTER_S)
        return [*left, act.Publish(lost)]

    def _leave_chat(self) -> list[Action]:
        """Nothing more comes of the chat that was in use."""
        self._tools.chat_lost()
        self._turn.chat_lost()
        if not self._speech.turn_is_over:
            self._turn.missed(self._conversation.unfinished, may_be_repeated=False)
        return _place(self._speech.break_off())

    def _server_left(self, reason: EndReason, now_s: float) -> list[Action]:
        """The server is gone for good; what was sent of the agent's voice is still heard out."""
        if not self._phase.has_server:
            return []
        self._link.leave()
        mark = self._speech.break_off()
        if self._speech.all_heard or self._caller is not _Caller.HERE:
            return self._end(reason, now_s)
        self._phase.go(Turning.SERVER_LEFT, reason)
        self._deadlines = {_Deadline.LAST_WORDS: self._last_words_s(now_s)}
        return [*self._tools.drop_all(), *_place(mark)]

    def _take_up(self, now_s: float, *, within_s: float | None) -> list[Action]:
        """Go on where the conversation was: say what was missed, have the caller answered.

        `within_s` is how long the server may take to do so by itself; None if it knows of nothing
        that it could answer.
        """
        if self._is_silenced or not self._link.is_ready:
            return []  # this is called again when that is over
        self._turn.repeat_missed(now_s)
        told = [*self._tell_texts(now_s), *self._ask_to_wait(now_s)]
        if within_s is None:
            return [*told, *self._go_on(now_s)]
        if self._turn.has_missed or self._turn.owes_answer(now_s):
            self._deadlines[_Deadline.GO_ON] = now_s + within_s
        return told

    def _go_on(self, now_s: float) -> list[Action]:
        """The server says nothing by itself: have it say what was missed, and ask it again."""
        if self._is_silenced or not self._link.is_ready:
            return []
        if not self._tools.is_idle:
            self._deadlines[_Deadline.GO_ON] = now_s + GO_ON_AFTER_S
            return []
        had_missed = self._turn.has_missed
        self._turn.repeat_missed(now_s, also_if_repeated=True)
        told = self._tell_texts(now_s)
        if had_missed or not self._turn.owes_answer(now_s):
            return told
        self._tools.asked_again()
        return [*told, act.Tell(evi.UserInput(self._turn.ask_again()))]

    def _tell_texts(self, now_s: float) -> list[Action]:
        """Have the server speak what is to be spoken word for word."""
        if self._is_silenced or not self._link.is_ready:
            return []
        texts = self._turn.untold(now_s)
        if texts:
            self._turn.words_are_due(now_s)
        return [act.Tell(evi.AssistantInput(text)) for text in texts]

    def _ask_to_wait(self, now_s: float) -> list[Action]:
        """Tell the caller that he has to wait for a tool, but not into the agent's own words."""
        if not self._tools.has_holding or self._last_words is not None:
            return []
        if self._is_silenced or not self._link.is_ready or self._waits_for_break(now_s):
            return []
        for sentence in self._tools.take_holding():
            self._turn.say(sentence, now_s)
        return self._tell_texts(now_s)

    def _press_keys(self, now_s: float) -> list[Action]:
        if not self._keys.wait or self._is_silenced or self._waits_for_break(now_s):
            return []
        return [act.PlayTones(self._keys.take())]

    def _waits_for_break(self, now_s: float) -> bool:
        """Wait until the agent's voice is silent, if only for a while; False if it is."""
        break_s = self._speech.due_s + (0.0 if self._speech.turn_is_over else BREAK_S)
        if now_s < break_s:
            self._deadlines[_Deadline.BREAK] = break_s
        return now_s < break_s

    # What is said

    def _caller_said(self, said: evi.UserMessage, now_s: float) -> list[Action]:
        self._server.converses()
        self._caller_sounded_s = now_s
        if said.interim and _Deadline.GO_ON in self._deadlines:
            self._deadlines[_Deadline.GO_ON] = now_s + THINKS_FOR_S
        elif not said.interim:
            self._deadlines.pop(_Deadline.GO_ON, None)
        if said.from_text and self._turn.was_asked_again(said.content):
            return []
        said_it = act.Publish(events.CallerSaid(said.content, said.interim, said.from_text))
        cut = self._cut_in(now_s) if self._words_cut_in(now_s) else []
        if self._phase.is_over:
            return [said_it, *cut]
        if said.interim:
            return [*cut, said_it]
        self._link.talked()
        self._tools.caller_spoke()
        self._server.asked()
        self._conversation.caller_said(said.content, now_s)
        self._turn.caller_spoke(said.content, now_s)
        return [*cut, said_it, *self._say_last_words_again(now_s)]

    def _say_last_words_again(self, now_s: float) -> list[Action]:
        """A server whose caller spoke has forgotten what it was to speak and has not begun."""
        if not self._owes_last_words:
            return []
        assert self._last_words is not None
        self._turn.retract(self._last_words)
        self._turn.say(self._last_words, now_s)
        return self._tell_texts(now_s)

    def _words_cut_in(self, now_s: float) -> bool:
        """Whether words of the caller silence the agent.

        EVI interrupts only while it generates. When it is done and the phone still plays, they are
        the only sign of a barge-in.
        """
        policy = self._manners.cut_off_by_words
        may_cut = policy == "always" or (policy == "after_turn" and self._speech.turn_is_over)
        return may_cut and self._speech.is_audible(now_s) and not self._keys.sound(now_s)

    def _agent_says(self, said: evi.AssistantMessage, now_s: float) -> list[Action]:
        self._server.converses()
        if self._is_silenced:  # it was on its way already, and must not be heard from its middle
            self._speech.refuse(said.id)
            self._turn.refused(
                said.content, from_text=said.from_text, may_be_repeated=self._wants_pause
            )
            return []
        is_told = said.from_text or self._turn.was_told(said.content)
        if self._last_words is not None and not is_told:
            self._speech.refuse(said.id)
            return []
        starts_turn = self._speech.turn_is_over
        utterance_id = self._speech.announced(said.id, said.content, now_s)
        if utterance_id is None:
            return []
        self._deadlines.pop(_Deadline.LAST_WORDS, None)
        said_it = act.Publish(events.AgentSaid(utterance_id, said.content))
        if is_told:
            self._turn.spoken(said.content)
            if self._last_words is not None and not self._turn.owes(self._last_words):
                self._owes_last_words = False
            return [said_it]
        self._deadlines.pop(_Deadline.GO_ON, None)
        self._turn.server_answers()
        told = self._server.answers() if starts_turn else []
        return [*self._tools.answered_otherwise(), *told, said_it]

    def _turn_ended(self, now_s: float) -> list[Action]:
        if not self._speech.ends_turn():
            return []
        self._turn.ended()
        ended = _place(self._speech.end_turn())
        return [*ended, *self._press_keys(now_s), *self._leave_when_said(now_s)]

    def _server_failed(self, error: evi.ChatError) -> list[Action]:
        self._server.reported(error.code)
        return [act.Publish(events.ServerReportedError(error.code, error.slug, error.message))]

    def _caller_interrupts(self, now_s: float) -> list[Action]:
        self._caller_sounded_s = now_s
        return self._cut_in(now_s)

    def _cut_in(self, now_s: float) -> list[Action]:
        """The caller speaks over the agent, who falls silent and learns what was heard."""
        if self._phase.is_closing:  # he has something more to say, and is let
            self._deadlines.pop(_Deadline.LAST_WORDS, None)
            self._turn.words_are_due(now_s)
        stopped = [*self._stopped(self._speech.cut_off(now_s)), *self._press_keys(now_s)]
        if self._last_words is None:
            return stopped
        self._turn.forget_told()
        return [*stopped, *self._say_last_words_again(now_s), *self._leave_when_said(now_s)]

    def _silence_agent(self, now_s: float) -> list[Action]:
        """An operator silences the agent, who learns what was heard, and may go on later."""
        cut = self._speech.cut_off(now_s)
        self._turn.missed(cut.lost, may_be_repeated=self._paused and not self._turn.is_answered)
        return self._stopped(cut)

    def _stopped(self, cut: CutOff) -> list[Action]:
        actions: list[Action] = [act.Publish(report) for report in cut.reports]
        if cut.may_play_on:
            actions = [act.ClearPlayback(), *actions]
        if cut.was_audible:
            actions.append(act.Publish(events.AgentInterrupted()))
        if cut.lost and self._manners.tells_what_was_heard:
            actions += self._server.note(what_was_heard(cut))
        return actions

    def _is_quiet(self, now_s: float) -> bool:
        """Whether nobody speaks, and nobody is about to."""
        return (
            self.awaits_caller(now_s)
            and now_s >= self._speech.due_s
            and now_s - self._caller_sounded_s >= SILENCE_S
        )

    # What the server is told

    def _digits_entered(self, entry: str | None) -> list[Action]:
        if not entry:
            return []
        entered = act.Publish(events.DigitsEntered(entry))
        if self._manners.digits.sent_as == "user_input":
            return [*self._tell(evi.UserInput(entry)), entered]
        return [*self._server.note(what_was_pressed(entry)), entered]

    def _tell(self, message: evi.ClientMessage) -> list[Action]:
        return self._server.tell(message) if self._phase.has_server else []

    @property
    def _is_silenced(self) -> bool:
        return self._paused or self._held or self._caller is not _Caller.HERE

    @property
    def _wants_pause(self) -> bool:
        return self._paused or self._caller is _Caller.AWAY

    def _match_pause(self) -> list[Action]:
        return self._server.match_pause(wanted=self._wants_pause)

    # The end

    def _leave_when_said(self, now_s: float) -> list[Action]:
        """Hang up if that is decided and the agent has nothing more to say."""
        if not self._phase.is_closing:
            return []
        may_speak = self._link.is_ready and not self._is_silenced
        will_speak = not self._speech.turn_is_over or self._turn.owes_texts(now_s)
        will_speak |= not self._keys.all_pressed
        if self._last_words is None:
            will_speak |= not self._turn.is_given_up(now_s) or not self._tools.is_idle
        if may_speak and will_speak:
            return []
        if self._speech.all_heard:
            return self._end(self._phase.reason, now_s)
        self._deadlines[_Deadline.LAST_WORDS] = self._last_words_s(now_s)
        return _place(self._speech.break_off())

    def _last_words_s(self, now_s: float) -> float:
        return max(self._speech.due_s, now_s) + LAST_WORDS_GRACE_S

    def _end(self, reason: EndReason, now_s: float) -> list[Action]:
        if self._phase.is_over:
            return []
        self._phase.go(Turning.END, reason)
        self._deadlines.clear()
        self._link.leave()
        return [
            act.HangUp(
                reason,
                self._transfer_to if reason is EndReason.TRANSFERRED else None,
                self._last_words if self._owes_last_words else None,
            ),
            *self._tools.drop_all(),
            *map(act.Publish, self._speech.cut_off(now_s).reports),
            act.Publish(events.CallEnded(reason)),
        ]


def _place(mark: str | None) -> list[Action]:
    return [] if mark is None else [act.PlaceMark(mark)]
