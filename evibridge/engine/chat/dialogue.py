"""The course of one chat: who may speak, what is answered, what was heard. Pure.

Facts go in as method calls, actions come out as lists, time is an argument. The agent speaks in
*parts*: an answer of the mind, the answer after a tool call, words on an occasion, or a text to
recite. One part runs at a time, others wait. A part that was stopped may still report for a moment,
until its task notices; its number is stale by then and every report of it is refused, which is why
nothing of an interrupted turn can follow `user_interruption`.

    listening ──turn ended──► thinking ──sentence──► speaking ──played──► listening
                                 │  ▲                   │
                            tool call  tool answer      └─ caller speaks: cut, listening
    paused: nothing runs and nothing is sent; the last words of the caller wait for an answer
"""

from collections.abc import Callable
from dataclasses import dataclass

from evibridge.engine.chat import faults, messages
from evibridge.engine.chat.actions import (
    Action,
    Answer,
    AnswerAfterTool,
    EndChat,
    Recite,
    Refuse,
    Report,
    Search,
    SpeakUp,
    Start,
    Stop,
    Tell,
    TellSender,
    Work,
)
from evibridge.engine.chat.agenda import Agenda, OnOccasion, Part, Unanswered
from evibridge.engine.chat.chat_settings import ChatSettings
from evibridge.engine.chat.faults import Fault
from evibridge.engine.chat.history import History
from evibridge.engine.chat.playback import Playback
from evibridge.engine.chat.timeouts import (
    MAX_CHAT_S,
    WORDS_S,
    ChatLimits,
    Due,
    EventMessage,
    Timeouts,
)
from evibridge.engine.chat.tool_calls import (
    HANG_UP,
    WEB_SEARCH,
    Answered,
    Asking,
    ToolCalls,
    ToolEnd,
)
from evibridge.engine.minds.mind import CallTool, Occasion, Prompt, fill_in
from evibridge.engine.minds.occasions import standard_sentence
from evibridge.engine.voices.phrases import Phrases

GREETING_WAIT_S = 0.5
"""The greeting waits for the first message of the client, which most often holds the variables
that the greeting names; a silent client is greeted after this time (UNCONFIRMED U9)."""
INTERRUPTED_FAREWELL_S = 5.0
"""A sound over the farewell may be the beginning of words: they are given this time to come."""
HANG_UP_GRACE_S = 0.5
"""Between the estimated end of the last words and the close: what networks and players add."""
MAX_FAREWELL_S = 30.0
"""How long sounds over the farewell may put the end off."""
BETWEEN_SENTENCES_S = 1.0
"""A pause in the agent's turn; in a longer one the caller may speak without interrupting."""
MAX_TOOL_CALLS = 8
"""Tool calls of one turn, one after the other; a mind that wants more goes in circles."""
MAX_UNHEARD_TURNS = 3
"""Turns in a row whose words could not be recognised: then the chat makes no sense any more."""


@dataclass(frozen=True, slots=True)
class _Cut:
    """A turn that an interruption ended, for the case that it was only a noise."""

    unheard: list[str]
    unanswered: bool


class Dialogue:
    """The state of one chat.

    Args:
        now_s: the clock of all methods: Unix seconds that advance steadily
        new_id: gives 32 hex digits, never the same twice
        history: of the chat's group; an empty one unless a group is resumed
        resumes: whether the chat goes on with its group's conversation: then nobody is greeted, but
            words that were left without an answer get one
        remembers_since: the place in the history before which nothing is told to the mind
        count_tool_call: told how each tool call ended
        can_search: whether the engine has a web search to offer
    """

    def __init__(
        self,
        *,
        now_s: float,
        limits: ChatLimits,
        phrases: Phrases,
        new_id: Callable[[], str],
        history: History,
        count_tool_call: Callable[[ToolEnd], None],
        remembers_since: int = 0,
        resumes: bool = False,
        can_search: bool = False,
    ) -> None:
        self.settings = ChatSettings()
        self._limits = limits
        self._phrases = phrases
        self._new_id = new_id
        self._history = history
        self._remembers_since = remembers_since
        self._can_search = can_search
        self._playback = Playback()
        self._timeouts = Timeouts(limits, now_s)
        self._tool_calls = ToolCalls(limits.tool_timeout_s, new_id, count_tool_call)
        self._paused = False
        self._unanswered = resumes and history.awaits_answer
        begins = self._unanswered or (limits.on_new_chat.enabled and not resumes)
        self._begin_at_s = now_s + GREETING_WAIT_S if begins else None
        self._unheard_turns = 0
        self._hanging_up = False
        """Whether the chat ends once the last words have been heard."""
        self._hang_up_not_before_s = 0.0
        self._hang_up_latest_s = 0.0
        self._used_context: str | None = None
        self._agenda = Agenda()
        self._cut: _Cut | None = None

    # Questions

    def speaking(self, now_s: float) -> bool:
        """True while the caller hears the agent, or is about to hear the rest of its turn."""
        part = self._agenda.part
        more_follows = part is not None and part.spoke
        return self._playback.end_s > now_s - (BETWEEN_SENTENCES_S if more_follows else 0.0)

    def awaits(self, call_id: str) -> bool:
        """Whether the answer of this tool call is still wanted from a client."""
        return self._tool_calls.awaits(call_id)

    def lead_s(self, now_s: float) -> float:
        """How much audio the client has that it has not played yet."""
        return max(0.0, self._playback.end_s - now_s)

    @property
    def wake_at_s(self) -> float | None:
        """When `woke` is due, whatever else happens."""
        times = [
            None if self._paused else self._begin_at_s,
            self._tool_calls.deadline_s,
            self._timeouts.next_s(self._voice_ends_s, may_nudge=self._may_nudge),
        ]
        if self._may_hang_up:
            times.append(self._farewell_over_s)
        return min((at_s for at_s in times if at_s is not None), default=None)

    # Facts about the client and its caller

    def client_ready(self) -> list[Action]:
        """The client has sent its first settings or audio: the agent may begin."""
        if self._begin_at_s is None or self._paused:
            return []
        self._begin_at_s = None
        if self._unanswered:
            self._agenda.add(Unanswered())
            return self._start_next()
        return self._speak_up("greeting", self._limits.on_new_chat)

    def caller_is_saying(self, text: str, begin_ms: int, end_ms: int) -> list[Action]:
        """A provisional transcript; more or a final one follows."""
        return [Tell(messages.user_message(text, begin_ms, end_ms, interim=True))]

    def caller_said(
        self,
        text: str,
        begin_ms: int,
        end_ms: int,
        now_s: float,
        *,
        from_text: bool = False,
        is_read: bool = False,
    ) -> list[Action]:
        """A stretch of speech, or a typed text: whatever the agent was doing is superseded.

        Who types at the chat's own client has read what the agent said (`is_read`).
        """
        self._begin_at_s = None
        self._spend_context()
        self._timeouts.caller_spoke(now_s)
        self._unheard_turns = 0
        actions = self._silence(now_s, interrupted=True, is_read=is_read)
        actions.append(Tell(messages.user_message(text, begin_ms, end_ms, from_text=from_text)))
        self._history.add_user(text)
        self._unanswered = True
        return actions

    def turn_ended(self) -> list[Action]:
        """The caller has finished and waits for an answer."""
        if self._paused or not self._unanswered:
            return []
        self._agenda.add(Unanswered())
        return self._start_next()

    def not_heard(self) -> list[Action]:
        """The caller has spoken, and the ears have failed to recognise a word of it."""
        self._unheard_turns += 1
        self._hanging_up = False
        if self._unheard_turns >= MAX_UNHEARD_TURNS:
            return [Report(faults.NOT_TRANSCRIBED), EndChat(faults.NOT_TRANSCRIBED.slug)]
        please_repeat = Recite(self._phrases.please_repeat)
        if self._paused or self._agenda.includes(please_repeat):
            return []
        self._agenda.add(please_repeat)
        return self._start_next()

    def caller_interrupts(self, now_s: float) -> list[Action]:
        """The caller has spoken over the agent for long enough.

        No `assistant_end` follows (UNCONFIRMED U11): the interruption is the end of the turn, and
        a tool call of the turn ends with it.
        """
        if not self.speaking(now_s):
            return []
        part = self._agenda.part
        saying_goodbye = self._hanging_up or (part is not None and part.hangs_up)
        cut = _Cut(self._playback.unheard(now_s), self._unanswered or self._tool_calls.pending)
        actions = self._silence(now_s, interrupted=True)
        self._cut = cut
        if saying_goodbye:
            self._hanging_up = True
            self._hang_up_not_before_s = now_s + INTERRUPTED_FAREWELL_S
            self._hang_up_latest_s = now_s + MAX_FAREWELL_S
        return actions

    def interruption_was_noise(self) -> list[Action]:
        """What interrupted the agent held no words: it takes up its turn where it was cut."""
        cut, self._cut = self._cut, None
        if cut is None or self._paused or self._hanging_up:
            return []
        if cut.unanswered:
            self._agenda.add(Unanswered())
        elif cut.unheard:
            self._agenda.add(Recite(" ".join(cut.unheard)))
        return self._start_next()

    def text_to_speak(self, text: str) -> list[Action]:
        """The client wants the agent to say something, after what it is saying now.

        While paused it is held back (UNCONFIRMED U12).
        """
        if self._agenda.is_full:
            return [Refuse(faults.TOO_MANY_TEXTS)]
        self._agenda.add(Recite(text, from_text=True))
        return self._start_next()

    def tool_answered(self, call_id: str, content: str | None, *, failed: bool) -> list[Action]:
        """A client gave a tool's result, or said that it failed."""
        match self._tool_calls.answer(call_id, content, failed=failed):
            case None:
                return []
            case Answered() as answered:
                return self._go_on_after_tool(answered)
            case message:
                return [TellSender(message)]

    def searched(self, call_id: str, content: str | None) -> list[Action]:
        """The engine's own search has ended; None is a failure."""
        found = self._tool_calls.searched(call_id, content)
        return [Tell(found[0]), *self._go_on_after_tool(found[1])] if found else []

    def pause(self, now_s: float) -> list[Action]:
        """The agent falls silent, without a message to tell so, and calls no tools.

        A call that was made already may be answered: what follows from it waits for `resume`.
        """
        if self._paused:
            return []
        self._paused = True
        # `resume` asks anew for an answer that is cut short here.
        self._agenda.keep(lambda work: isinstance(work, Recite | Answered))
        return self._silence(now_s, interrupted=False)

    def resume(self, now_s: float) -> list[Action]:
        """The agent may speak again: texts held back first, then the unanswered words."""
        if not self._paused:
            return []
        self._paused = False
        self._timeouts.silence_begins(now_s)
        if self._begin_at_s is not None:
            return self.client_ready()
        goes_on = self._tool_calls.pending or self._agenda.tool_answers()
        if self._unanswered and not goes_on:
            self._agenda.add(Unanswered())
        return self._start_next()

    def client_left(self, now_s: float) -> None:
        """The connection is gone: of the agent's words only what was played counts as said."""
        self._tool_calls.drop()
        self._history.keep_heard(self._playback.cut(now_s))

    # Facts about the part that runs

    def sentence_begins(
        self, part: int, text: str, now_s: float, *, quick: bool = False
    ) -> list[Action]:
        """The part has chosen its next sentence; a quick one fills the wait for its answer."""
        running = self._agenda.running(part)
        if running is None:
            return []
        segment_id = self._new_id()
        self._playback.begin(segment_id, text, now_s)
        self._history.add_sentence(segment_id, text)
        running.spoke = True
        if not quick:
            running.said = True
            if running.answers:
                self._used_context = running.context
        message = messages.assistant_message(
            segment_id, text, from_text=running.from_text, quick=quick
        )
        return [Tell(message)]

    def chunk_ready(self, part: int, duration_s: float, now_s: float) -> tuple[str, int] | None:
        """Audio of the last sentence is to be sent: under which id and index, or not at all."""
        if self._agenda.running(part) is None:
            return None
        return self._playback.send(duration_s, now_s)

    def tool_called(self, part: int, call: CallTool, now_s: float) -> list[Action]:
        """The mind wants a tool; its part ends with that, the turn does not."""
        running = self._agenda.running(part)
        if running is None or running.awaits_tool:
            return []
        if call.name == HANG_UP and self.settings.allows(HANG_UP):
            running.hangs_up = True
            return [Tell(message) for message in self._tool_calls.hang_up()]
        running.awaits_tool = True
        if running.calls >= MAX_TOOL_CALLS:
            self._unanswered = False
            self._agenda.add_next(Recite(self._phrases.apology))
            return []
        asking = Asking(call, running.calls + 1, running.context)
        if call.name == WEB_SEARCH and self._can_search and self.settings.allows(WEB_SEARCH):
            return self._search(asking, now_s)
        offer = self.settings.offer(call.name)
        if offer is None:
            self._agenda.add_next(self._tool_calls.not_offered(asking))
            return []
        _, message = self._tool_calls.begin(asking, offer.fallback_content, now_s, builtin=False)
        return [Tell(message)]

    def hang_up_wanted(self, part: int) -> None:
        """The mind wants to end the chat after the last words."""
        running = self._agenda.running(part)
        if running is not None:
            running.hangs_up = True

    def part_finished(self, part: int) -> list[Action]:
        """All audio of the part is sent; one `assistant_end` closes the turn (U10)."""
        running = self._agenda.running(part)
        if running is None:
            return []
        self._agenda.end_part()
        self._playback.complete()
        if running.awaits_tool:
            return self._start_next()
        if running.answers:
            self._unanswered = False
            self._spend_context()
        if running.hangs_up:
            self._hanging_up = True
            self._hang_up_latest_s = self._playback.end_s + MAX_FAREWELL_S
            if not running.said:
                self._agenda.add_next(Recite(self._phrases.farewell))
                return self._start_next()
        ends = [Tell(messages.assistant_end())] if running.spoke or running.answers else []
        return [*ends, *self._start_next()]

    def part_failed(self, part: int, fault: Fault | None) -> list[Action]:
        """The mind or the voice gave up; the caller hears one sentence, once.

        Args:
            part: its number
            fault: what the client is told, None when EVI has no word for it
        """
        running = self._agenda.running(part)
        if running is None:
            return []
        self._agenda.end_part()
        self._history.keep_heard(self._playback.drop_silent())
        self._playback.complete()
        actions: list[Action] = [Report(fault)] if fault else []
        if running.awaits_tool:
            return actions + self._start_next()  # the tool's answer makes up for what is lost
        self._unanswered = self._unanswered and not running.answers
        apology = Recite(self._phrases.apology)
        if running.work == apology:
            return [*actions, Tell(messages.assistant_end()), *self._start_next()]
        if running.occasion is None:
            self._agenda.add_next(apology)
        else:
            sentence = standard_sentence(running.occasion) or self._phrases.greeting
            self._agenda.add_next(Recite(sentence))
        return actions + self._start_next()

    # Time

    def woke(self, now_s: float, *, caller_speaks: bool = False) -> list[Action]:
        """Do what is due; early calls do nothing."""
        actions: list[Action] = []
        if self._begin_at_s is not None and now_s >= self._begin_at_s:
            actions += self.client_ready()
        if expired := self._tool_calls.expired(now_s):
            message, answered = expired
            actions += [Tell(message), *self._go_on_after_tool(answered)]
        if caller_speaks:
            self._hang_up_not_before_s = min(now_s + WORDS_S, self._hang_up_latest_s)
            self._timeouts.caller_is_speaking(now_s)
        if self._may_hang_up and now_s >= self._farewell_over_s:
            return [*actions, EndChat(HANG_UP)]
        due = self._timeouts.due(now_s, self._voice_ends_s, may_nudge=self._may_nudge)
        return actions + self._time_is_up(due, now_s)

    def _time_is_up(self, due: Due | None, now_s: float) -> list[Action]:
        match due:
            case "nudge":
                return self._speak_up("nudge", EventMessage())
            case "check_in":
                return self._speak_up("inactivity", self._limits.on_inactivity)
            case "notice":
                silenced = self._silence(now_s, interrupted=True)
                return silenced + self._speak_up("max_duration", self._limits.on_max_duration)
            case "inactive":
                assert self._limits.inactivity_s is not None
                fault = faults.inactive(self._limits.inactivity_s)
            case "too_long":
                fault = faults.too_long(self._limits.max_duration_s or MAX_CHAT_S)
            case None:
                return []
        return [Report(fault), EndChat(fault.slug)]

    @property
    def _may_hang_up(self) -> bool:
        return self._hanging_up and self._agenda.part is None and not self._paused

    @property
    def _farewell_over_s(self) -> float:
        return max(self._playback.end_s + HANG_UP_GRACE_S, self._hang_up_not_before_s)

    @property
    def _voice_ends_s(self) -> float | None:
        """When the agent falls silent, None while it is still finding or sending its words."""
        busy = self._agenda.part is not None or (self._agenda.has_work and not self._paused)
        return None if busy else self._playback.end_s

    @property
    def _may_nudge(self) -> bool:
        return not (self._paused or self._tool_calls.pending or self._hanging_up)

    # Doing

    def _silence(self, now_s: float, *, interrupted: bool, is_read: bool = False) -> list[Action]:
        """Stop all that the agent does and wants to do; keep of its words what was heard.

        Who types reads what the agent says as well: then all of it counts.
        """
        was_speaking = self.speaking(now_s)
        actions: list[Action] = [Stop()] if self._agenda.end_part() else []
        if interrupted and was_speaking:
            actions.append(Tell(messages.user_interruption(int(now_s * 1000))))
        heard = self._playback.cut(now_s)
        if not is_read:
            self._history.keep_heard(heard)
        self._cut = None
        if interrupted:
            self._hanging_up = False
            self._tool_calls.drop()
            for answered in self._agenda.tool_answers():
                self._remember(answered)  # what a tool has done is done
            self._agenda.keep(lambda work: self._paused and isinstance(work, Recite))
        return actions

    def _spend_context(self) -> None:
        """A temporary context is for one answer: one that was begun, and was not cut by a noise."""
        self.settings = self.settings.after_answer(self._used_context)
        self._used_context = None

    def _speak_up(self, occasion: Occasion, message: EventMessage) -> list[Action]:
        if self._paused:
            return []
        if message.text is None:
            self._agenda.add(OnOccasion(occasion))
        else:
            self._agenda.add(Recite(fill_in(message.text, self.settings.variables)))
        return self._start_next()

    def _search(self, asking: Asking, now_s: float) -> list[Action]:
        fallback = self.settings.builtin_tools[WEB_SEARCH]
        call_id, message = self._tool_calls.begin(asking, fallback, now_s, builtin=True)
        query = str(asking.call.arguments.get("query", ""))
        return [Tell(message), Search(call_id, query)]

    def _go_on_after_tool(self, answered: Answered) -> list[Action]:
        """Go on with the turn, once the words before the call have been sent."""
        self._agenda.add_next(answered)
        return self._start_next()

    def _remember(self, answered: Answered) -> None:
        self._history.add_tool(answered.use, answered.outcome.content or "")

    def _start_next(self) -> list[Action]:
        part = None if self._paused else self._agenda.begin_next()
        return [Start(part.number, self._work(part))] if part else []

    def _work(self, part: Part) -> Work:
        match part.work:
            case Recite() as work:
                return work
            case OnOccasion(occasion):
                return SpeakUp(self._prompt(None), occasion)
            case Answered(asking, outcome) as answered:
                self._remember(answered)
                part.calls, part.context = asking.calls, asking.context
                return AnswerAfterTool(self._prompt(asking.context), asking.call, outcome)
            case Unanswered():
                part.context = self.settings.context.text if self.settings.context else None
                return Answer(self._prompt(part.context))

    def _prompt(self, context: str | None) -> Prompt:
        history = self._history.entries(self._remembers_since)
        return self.settings.prompt(history, context, search=self._can_search)
