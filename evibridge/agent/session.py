"""The state of one call: facts in, actions out.

`CallSession` is told what happened (`chat_said`, `playback_heard`, `caller_lost`, ...) and returns
what has to be done about it. It does no I/O and reads no clock, so every sequence of events can be
tried in a test without a socket. The audio path asks it `accepts` for each piece of the agent's
voice, and `hears_caller` for each of the caller's as long as `watches_caller`.

What is small and goes on by itself has a state of its own: the phase of the call (`CallPhase`), the
chats with the server (`ServerSide`), the agent's voice (`AgentSpeech`), who owes an answer
(`OpenTurn`), tools (`ToolDesk`), pressed keys (`Digits`). `CallCourse` has them all. Who speaks is
decided in `Talk`, what the agent owes in `Duties`, how chats follow one another in `ChatChanges`,
what operators want in `Steering`, and the end in `Farewell`.
"""

from collections.abc import Callable
from dataclasses import dataclass

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, Command
from evibridge.agent.briefing import what_was_pressed
from evibridge.agent.chat_changes import ChatChanges
from evibridge.agent.commands import OperatorCommand
from evibridge.agent.conversation import Line
from evibridge.agent.course import CallCourse, CallLimits, Deadline, Presence, place
from evibridge.agent.duties import (
    FILLER_AFTER_S,
    FILLER_AGAIN_S,
    THINKS_FOR_S,
    Duties,
)
from evibridge.agent.farewell import Farewell
from evibridge.agent.manners import Manners
from evibridge.agent.snapshot import CallState
from evibridge.agent.steering import Steering
from evibridge.agent.taking_over import TakingOver
from evibridge.agent.talk import Talk
from evibridge.errors import CommandRefused
from evibridge.events import EndReason, ToolPath

PAUSE_AGAIN_S = 10.0
"""When a message of unknown fate can take effect no more."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session at one moment, for people who watch; see `CallSnapshot`."""

    is_paused: bool
    paused_by: str | None
    is_held: bool
    held_by: str | None
    taken_over_by: str | None
    caller_is_away: bool
    chat_is_ready: bool
    open_tools: tuple[str, ...]
    digits: str
    doing: CallState


class CallSession:
    """One call's decisions. `now_s` is any clock that only goes forward, in seconds.

    Args:
        settings: what the EVI server is told once a chat is open
        limits: deadlines of the call
        manners: how it is held
        random: gives numbers from 0 to 1
        disclosure: what the agent says before anything else, word for word
    """

    def __init__(
        self,
        settings: evi.SessionSettings,
        limits: CallLimits,
        manners: Manners,
        random: Callable[[], float],
        disclosure: str | None = None,
    ) -> None:
        self._course = course = CallCourse(settings, limits, manners, random, disclosure)
        self._duties = Duties(course)
        self._farewell = Farewell(course, self._duties)
        self._talk = Talk(course, self._duties, self._farewell)
        self._changes = ChatChanges(course, self._duties, self._farewell)
        self._steering = Steering(course, self._duties, self._farewell, self._talk)

    # Questions

    @property
    def hears_caller(self) -> bool:
        """Whether the caller's audio goes to the server; silence of equal length goes if not."""
        return not self._course.is_held

    def accepts(self, utterance_id: str) -> bool:
        """Whether a chunk of this utterance, of the chat in use, may go to the caller."""
        if not self._course.may_speak:
            return False
        return self._course.speech.accepts(utterance_id)

    def watches_caller(self, now_s: float) -> bool:
        """Whether `hears_caller` is to be asked for each piece of audio, and `caller_sounded` told.

        Asked once after each fact, so that the audio path asks nothing while a call just goes on.
        """
        return self._course.is_held or self._course.link.wants_silence(now_s)

    def state(self, now_s: float) -> SessionState:
        """The call as it is now."""
        course = self._course
        return SessionState(
            is_paused=course.is_paused,
            paused_by=course.paused_by,
            is_held=course.is_held,
            held_by=course.held_by,
            taken_over_by=course.takeover.by,
            caller_is_away=course.caller is Presence.AWAY,
            chat_is_ready=course.link.is_ready,
            open_tools=course.tools.open_names,
            digits=course.digits.all,
            doing=course.doing(now_s),
        )

    def lines(self, now_s: float) -> tuple[Line, ...]:
        """What was said by now, and heard; see `CallSnapshot`."""
        return self._course.conversation.lines(self._course.speech.playing(now_s))

    def awaits_caller(self, now_s: float) -> bool:
        """Whether the agent has said all that it has to say; it may not be heard yet."""
        return self._course.awaits_caller(now_s)

    @property
    def digits(self) -> str:
        """Keys that the caller has pressed."""
        return self._course.digits.all

    def unplayed_ms(self, now_s: float) -> float:
        """Audio that the caller's side was handed and has not played, by the best estimate."""
        return self._course.speech.unplayed_ms(now_s)

    @property
    def next_wake_s(self) -> float | None:
        """When `woke` has to be called next; never again once the call is over."""
        course = self._course
        if course.phase.is_over:
            return None
        times = (
            *course.deadlines.values(),
            course.link.wake_s,
            course.digits.wake_s,
            course.disclosure.wake_s,
        )
        return min((at_s for at_s in times if at_s is not None), default=None)

    # The caller's side

    def caller_joined(self, now_s: float) -> list[Action]:
        """The caller's side is ready to talk; it may have left again before this is told."""
        course = self._course
        if not course.phase.is_talking:
            return []
        course.caller = Presence.HERE
        course.unheard_from_s = now_s
        course.deadlines[Deadline.CALL_LENGTH] = now_s + course.limits.call_s
        course.link.open(now_s)
        return self._changes.woke(now_s)

    def caller_lost(self, now_s: float) -> list[Action]:
        """The caller's connection broke; the call may go on by another one."""
        course = self._course
        if not course.phase.is_talking or course.caller is Presence.EXPECTED:
            return self.caller_left(EndReason.CALLER_LOST, now_s)
        if course.caller is Presence.AWAY:
            return []
        course.caller = Presence.AWAY
        course.deadlines.pop(Deadline.FILLER, None)
        course.deadlines[Deadline.CALLER_BACK] = now_s + course.limits.resume_s
        return [*course.match_pause(), act.SendSilence(), *self._line_broke(now_s)]

    def caller_returned(self, now_s: float) -> list[Action]:
        """The caller is there on another connection, also if the loss was not noticed."""
        course = self._course
        if not course.phase.has_server:
            return []
        broken: list[Action] = []
        if course.caller is Presence.HERE:
            course.caller = Presence.AWAY
            broken = [*course.match_pause(), *self._line_broke(now_s)]
        course.caller = Presence.HERE
        course.deadlines.pop(Deadline.CALLER_BACK, None)
        self._duties.await_chat(now_s, FILLER_AFTER_S)
        return [
            *broken,
            act.Publish(events.CallerReturned()),
            *course.match_pause(),
            *self._duties.take_up(now_s, within_s=THINKS_FOR_S),
            *self._duties.press_keys(now_s),
            *self._farewell.leave_when_said(now_s),
        ]

    def _line_broke(self, now_s: float) -> list[Action]:
        """What the caller has not heard by now is lost with the line that should play it."""
        course = self._course
        cut = course.cut_off(now_s)
        # EVI: resumed, a server answers the caller's last words, and those alone.
        course.turn.missed(cut.lost, may_be_repeated=not course.turn.is_answered)
        course.caller_spoke_s = None
        stopped = [] if course.takeover.by is None else [act.StopOperator()]
        reports = course.heard(cut.reports, now_s)
        return [*stopped, *reports, act.Publish(events.CallerLost())]

    def caller_left(self, reason: EndReason, now_s: float) -> list[Action]:
        """The caller hung up, or will not come back."""
        course = self._course
        is_before_transfer = (
            course.phase.reason is EndReason.TRANSFERRED and reason is EndReason.CALLER_HUNG_UP
        )
        if course.phase.is_talking or is_before_transfer:
            return self._farewell.end(reason, now_s)
        return self._farewell.end(course.phase.reason, now_s)

    def caller_pressed(self, digit: str, now_s: float) -> list[Action]:
        """The caller pressed a key of the telephone."""
        if self._course.phase.is_over:
            return []
        entry = self._course.digits.pressed(digit, now_s)
        return [act.Publish(events.DigitPressed(digit)), *self._digits_entered(entry)]

    def caller_sounded(self, now_s: float) -> None:
        """The caller's line is louder than silence."""
        self._course.caller_sounded_s = now_s

    def caller_typed(self, text: str) -> list[Action]:
        """The caller says something in writing.

        Raises:
            CommandRefused: nobody would answer it
        """
        course = self._course
        if not course.phase.is_talking:
            raise CommandRefused("call_is_ending", "The call is about to end.")
        if course.is_held:
            raise CommandRefused("call_is_held", "The call is on hold: write when it goes on.")
        if not course.server.has_room:
            sentence = "The agent is not there: write again when it is back."
            raise CommandRefused("agent_is_away", sentence)
        return course.write(text)

    def caller_pauses(self, now_s: float) -> list[Action]:
        """The caller wants the agent to be silent; see `Steering.caller_pauses`."""
        return self._steering.caller_pauses(now_s)

    def caller_resumes(self, now_s: float) -> list[Action]:
        """The caller wants to be answered again; see `Steering.caller_resumes`."""
        return self._steering.caller_resumes(now_s)

    def playback_heard(self, mark: str, now_s: float) -> list[Action]:
        """The caller's side reported a mark."""
        course = self._course
        if course.phase.is_over:
            return []
        actions = course.heard(course.speech.echoed(mark, now_s), now_s)
        if Deadline.LAST_WORDS in course.deadlines and course.speech.all_heard:
            actions += self._farewell.end(course.phase.reason, now_s)
        return actions

    def agent_audio_sent(self, utterance_id: str, duration_ms: float, now_s: float) -> list[Action]:
        """A chunk that was accepted has been written to the caller's side."""
        mark = self._course.speech.sent(utterance_id, duration_ms, now_s)
        responses = self._course.responses
        answered: list[Action] = []
        if responses.is_awaited:
            waited_ms = responses.sounded(utterance_id, now_s)
            if waited_ms is not None:
                answered = [act.Publish(events.TurnAnswered(waited_ms))]
        if mark is None:
            return answered
        if self._course.speech.is_stalled(now_s):
            return self._farewell.end(EndReason.CALLER_STALLED, now_s)
        return [act.PlaceMark(mark), *answered]

    def filler_played(self, duration_ms: float, now_s: float) -> list[Action]:
        """The filler has been written to the caller's side."""
        mark = self._course.speech.filler_sent(duration_ms, now_s)
        self._duties.await_chat(now_s, FILLER_AGAIN_S)
        return [*place(mark), act.Publish(events.FillerPlayed())]

    def tones_played(self, keys: str, duration_ms: float, now_s: float) -> list[Action]:
        """The tones of keys have been written to the caller's side."""
        course = self._course
        mark = course.speech.filler_sent(duration_ms, now_s)
        course.keys.pressed(course.speech.due_s)
        sent = act.Publish(events.DigitsSent(keys))
        more = self._duties.press_keys(now_s)
        return [*place(mark), sent, *more, *self._farewell.leave_when_said(now_s)]

    # The EVI server

    def chat_said(self, chat: int, message: evi.Message, now_s: float) -> list[Action]:
        """A chat sent anything but audio."""
        course = self._course
        if isinstance(message, evi.ChatMetadata):
            return self._changes.opened(chat, message, now_s)
        if chat != course.link.number or not course.phase.has_server:
            return []
        if isinstance(message, evi.ChatError):
            return self._talk.server_failed(message)
        if not course.link.is_ready:  # EVI: the metadata is the first message of a chat
            return []
        return self._in_conversation(message, now_s)

    def _in_conversation(self, message: evi.Message, now_s: float) -> list[Action]:
        match message:
            case evi.UserMessage():
                return self._talk.caller_said(message, now_s)
            case evi.AssistantMessage():
                return self._talk.agent_says(message, now_s)
            case evi.UserInterruption():
                return self._talk.caller_interrupts(now_s)
            case evi.AssistantEnd():
                return self._talk.turn_ended(now_s)
            case evi.ToolCall():
                return self.tool_called(message, ToolPath.SOCKET)
            case evi.AssistantProsody(utterance_id, scores) if scores:
                return [act.Publish(events.AgentSounded(utterance_id, scores))]
            case _:
                return []

    def tool_called(self, call: evi.ToolCall, path: ToolPath) -> list[Action]:
        """The server calls a function; it may say so by several paths."""
        course = self._course
        if not course.phase.has_server or not course.link.is_ready:
            return []
        if path is not ToolPath.SOCKET and course.tools.knows(call.tool_call_id):
            return []  # news of a call that has come by the chat, perhaps by one that is lost
        actions = course.tools.called(call, path)
        if actions:
            course.deadlines.pop(Deadline.GO_ON, None)
        return actions

    def chat_closed(self, chat: int, code: int, now_s: float) -> list[Action]:
        """The socket of a chat is gone."""
        return self._changes.closed(chat, code, now_s)

    def chat_unavailable(self, chat: int, now_s: float, *, retryable: bool) -> list[Action]:
        """A chat could not be opened."""
        return self._changes.unavailable(chat, now_s, retryable=retryable)

    def tool_finished(
        self, started_as: str, answer: evi.ToolResponse | evi.ToolError, now_s: float
    ) -> list[Action]:
        """The tool that was started with this id has an answer."""
        course = self._course
        if (holding := course.tools.told_holding(started_as)) is not None:
            course.turn.retract(holding)
        actions = course.tools.finished(started_as, answer, has_chat=course.link.is_ready)
        if actions:
            self._duties.tool_answered(now_s)
        return actions

    def tool_holds(self, started_as: str, sentence: str, now_s: float) -> list[Action]:
        """The caller has to wait for a tool: the agent says so, once it says nothing else."""
        self._course.tools.holds(started_as, sentence)
        return self._duties.ask_to_wait(now_s)

    def tool_awaits_verdict(self, started_as: str, timeout_s: float) -> list[Action]:
        """A tool may not run before an operator has approved of it, which he can so long."""
        return self._course.tools.awaits_verdict(started_as, timeout_s)

    def tool_delivered(self, text: str) -> list[Action]:
        """A tool that was answered early has a result; the model learns it with its next answer."""
        return self._course.server.note(text) if self._course.phase.has_server else []

    # Operators, tools and the service

    def operate(self, command: OperatorCommand, by: str, now_s: float) -> list[Action]:
        """An operator of this name asks for something.

        Raises:
            CommandRefused: the call cannot do it now
        """
        return self._steering.operate(command, by, now_s)

    def command(self, command: Command, now_s: float) -> list[Action]:
        """An operator asks for something; asking twice changes nothing."""
        return self._steering.command(command, now_s)

    def say(self, text: str, now_s: float) -> list[Action]:
        """Have the agent speak a text word for word, as soon as it can."""
        return self._duties.say(text, now_s)

    def owes(self, text: str) -> bool:
        """Whether the server was told to speak this, or will be, and has not begun."""
        return self._course.turn.owes(text)

    @property
    def is_taken_over(self) -> bool:
        """Whether an operator speaks in the agent's place."""
        return self._course.takeover.by is not None

    @property
    def taking_over(self) -> TakingOver:
        """What operators do who speak in the agent's place."""
        return self._steering.taking_over

    def untold(self, message: evi.ClientMessage) -> list[Action]:
        """What the server was to be told did not reach it, because its chat is gone."""
        return self._course.tell(message)

    def pause_is_uncertain(self, now_s: float) -> None:
        """Nobody knows whether a pause or its end has reached the server, or when it will."""
        self._course.deadlines[Deadline.PAUSE_AGAIN] = now_s + PAUSE_AGAIN_S

    def set_context(self, text: str | None) -> list[Action]:
        """Tell the model something for all its later answers; None takes it back."""
        return self._course.server.set_context(text) if self._course.phase.has_server else []

    def send_digits(self, keys: str, now_s: float) -> list[Action]:
        """Play the tones of keys to the caller's side, between two things that the agent says."""
        course = self._course
        if not course.phase.has_server or course.last_words is not None:
            return []
        course.keys.add(keys)
        return self._duties.press_keys(now_s)

    def end_with(self, text: str, now_s: float) -> list[Action]:
        """Have the agent speak a last text, and end the call once the caller has heard it."""
        return self._farewell.end_with(text, now_s)

    def transfer(self, to: str, now_s: float) -> list[Action]:
        """Put the caller through to somebody else once the agent has said what it has to say."""
        return self._farewell.transfer(to, now_s)

    def hang_up(self, reason: EndReason, now_s: float) -> list[Action]:
        """End the call once the agent has said, and the caller heard, what is being said now."""
        return self._farewell.hang_up(reason, now_s)

    def ended_by(self, reason: EndReason, now_s: float) -> list[Action]:
        """The service itself ends the call at once: shutdown, or a defect."""
        return self._farewell.end(reason, now_s)

    # Time

    def woke(self, now_s: float) -> list[Action]:
        """The time of `next_wake_s` has come."""
        course = self._course
        if course.phase.is_over:
            return []
        due = {deadline for deadline, at_s in course.deadlines.items() if at_s <= now_s}
        for deadline in due:
            del course.deadlines[deadline]
        if Deadline.LAST_WORDS in due:
            return self._farewell.end(course.phase.reason, now_s)
        if Deadline.FAREWELL in due:
            return self._farewell.server_left(course.phase.reason, now_s)
        if Deadline.CALLER_BACK in due:
            return self._farewell.end(EndReason.CALLER_LOST, now_s)
        actions = self._digits_entered(course.digits.woke(now_s))
        if Deadline.CALL_LENGTH in due:
            actions += self._farewell.hang_up(EndReason.MAX_DURATION, now_s)
        if Deadline.HAND_BACK in due:
            actions += self.taking_over.hand_back(None, now_s)
        actions += self._duties.woke(due, now_s)
        return actions + self._changes.woke(now_s)

    # What the server is told

    def _digits_entered(self, entry: str | None) -> list[Action]:
        course = self._course
        if not entry:
            return []
        entered = act.Publish(events.DigitsEntered(entry))
        if course.manners.digits.sent_as == "user_input":
            return [*course.write(entry), entered]
        return [*course.server.note(what_was_pressed(entry)), entered]
