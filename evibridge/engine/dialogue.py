"""The course of one chat: who may speak, what is answered, what was heard. Pure.

Facts go in as method calls, actions come out as lists, time is an argument. The agent speaks in
*parts*: an answer of the mind, the answer after a tool call, or a text to recite. One part runs at
a time, others wait. A part that was stopped may still report for a moment, until its task notices;
its number is stale by then and every report of it is refused, which is why nothing of an
interrupted turn can follow `user_interruption`.

    listening ──caller said──► thinking ──sentence──► speaking ──played──► listening
                                  │  ▲                   │
                             tool call  tool answer      └─ caller speaks: cut, listening
    paused: nothing runs and nothing is sent; the last words of the caller wait for an answer
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from evibridge.engine import messages
from evibridge.engine.actions import (
    Action,
    Answer,
    AnswerAfterTool,
    EndChat,
    Greet,
    Recite,
    Refuse,
    Start,
    Stop,
    Tell,
)
from evibridge.engine.chat_settings import ChatSettings
from evibridge.engine.history import History
from evibridge.engine.mind import CallTool, Prompt, ToolOutcome
from evibridge.engine.playback import Playback

GREETING_WAIT_S = 0.5
"""The greeting waits for the first message of the client, which most often holds the variables
that the greeting names; a silent client is greeted after this time (UNCONFIRMED U9)."""
INTERRUPTED_FAREWELL_S = 5.0
"""A sound over the farewell may be the beginning of words: they are given this time to come."""
HANG_UP_GRACE_S = 0.5
"""Between the estimated end of the last words and the close: what networks and players add."""
MAX_TOOL_CALLS = 8
"""Tool calls of one turn, one after the other; a mind that wants more goes in circles."""
MAX_WAITING_TEXTS = 32
"""Texts to recite that wait for a pause or another part to end."""
REMEMBERED_CALLS = 32
"""Answered tool calls whose second answer is ignored in silence."""


@dataclass(frozen=True, slots=True)
class _ToolOutcomeKnown:
    """A tool's outcome waits to be told by the mind."""

    call: CallTool
    outcome: ToolOutcome
    calls: int
    context: str | None


class _Unanswered:
    """The last words of the caller wait to be answered."""


@dataclass(slots=True)
class _Part:
    """The part that runs now."""

    number: int
    from_text: bool = False
    answers: bool = True
    calls: int = 0
    context: str | None = None
    spoke: bool = False
    awaits_tool: bool = False
    hangs_up: bool = False


@dataclass(frozen=True, slots=True)
class _PendingCall:
    id: str
    call: CallTool
    calls: int
    context: str | None
    fallback: str | None
    deadline_s: float


class Dialogue:
    """The state of one chat.

    Args:
        now_s: the clock of all methods: Unix seconds that advance steadily
        tool_timeout_s: how long the client may take to answer a tool call (UNCONFIRMED U13)
        new_id: gives 32 hex digits, never the same twice
    """

    def __init__(self, *, now_s: float, tool_timeout_s: float, new_id: Callable[[], str]) -> None:
        self.settings = ChatSettings()
        self._tool_timeout_s = tool_timeout_s
        self._new_id = new_id
        self._history = History()
        self._playback = Playback()
        self._greet_at_s: float | None = now_s + GREETING_WAIT_S
        self._paused = False
        self._unanswered = False
        self._hanging_up = False
        self._hang_up_not_before_s = 0.0
        self._parts = 0
        self._part: _Part | None = None
        self._waiting: deque[Recite | _ToolOutcomeKnown | _Unanswered] = deque()
        self._call: _PendingCall | None = None
        self._answered_calls: deque[str] = deque(maxlen=REMEMBERED_CALLS)

    # Questions

    def speaking(self, now_s: float) -> bool:
        """True while the caller hears the agent, or is about to hear the rest of its turn."""
        between_sentences = self._part is not None and self._part.spoke
        return between_sentences or self._playback.end_s > now_s

    def lead_s(self, now_s: float) -> float:
        """How much audio the client has that it has not played yet."""
        return max(0.0, self._playback.end_s - now_s)

    @property
    def wake_at_s(self) -> float | None:
        """When `woke` is due, whatever else happens."""
        times = [self._greet_at_s, self._call.deadline_s if self._call else None]
        if self._hanging_up and self._part is None:
            times.append(self._farewell_over_s)
        return min((at_s for at_s in times if at_s is not None), default=None)

    # Facts about the client and its caller

    def client_ready(self) -> list[Action]:
        """The client has sent its first settings or audio: it may be greeted."""
        if self._greet_at_s is None:
            return []
        self._greet_at_s = None
        return [Greet(self._prompt(self._context_text()))]

    def greeting_chosen(self, text: str) -> list[Action]:
        """The mind wants to open the chat with these words."""
        self._waiting.append(Recite(text, from_text=False))
        return self._start_next()

    def caller_said(
        self, text: str, begin_ms: int, end_ms: int, now_s: float, *, from_text: bool
    ) -> list[Action]:
        """An utterance or a typed text: whatever the agent was doing is superseded."""
        self._greet_at_s = None
        actions = self._silence(now_s, interrupted=True)
        message = messages.user_message(text, begin_ms, end_ms, from_text=from_text)
        actions.append(Tell(message))
        self._history.add_user(text)
        self._unanswered = True
        if not self._paused:
            self._waiting.append(_Unanswered())
        return actions + self._start_next()

    def caller_interrupts(self, now_s: float) -> list[Action]:
        """The caller has spoken over the agent for long enough.

        No `assistant_end` follows (UNCONFIRMED U11): the interruption is the end of the turn, and
        a tool call of the turn ends with it.
        """
        if not self.speaking(now_s):
            return []
        saying_goodbye = self._hanging_up or (self._part is not None and self._part.hangs_up)
        actions = self._silence(now_s, interrupted=True)
        if saying_goodbye:
            self._hanging_up = True
            self._hang_up_not_before_s = now_s + INTERRUPTED_FAREWELL_S
        return actions

    def text_to_speak(self, text: str) -> list[Action]:
        """The client wants the agent to say something, after what it is saying now.

        While paused it is held back (UNCONFIRMED U12).
        """
        if len(self._waiting) >= MAX_WAITING_TEXTS:
            return [Refuse(messages.malformed("assistant_input: too many texts are waiting."))]
        self._waiting.append(Recite(text, from_text=True))
        return self._start_next()

    def tool_answered(self, call_id: str, content: str | None, *, failed: bool) -> list[Action]:
        """The client gave a tool's result, or said that it failed.

        An answer to anything but the pending call is refused, except that a second answer to the
        same call is ignored (UNCONFIRMED U29).
        """
        if call_id in self._answered_calls:
            return []
        if self._call is None or self._call.id != call_id:
            sentence = "No tool call of this id is waiting for an answer."
            return [Tell(messages.unusable_tool_answer(call_id, "call_not_pending", sentence))]
        self._answered_calls.append(call_id)
        if failed and content is None:
            content = self._call.fallback
        return self._go_on_after_tool(ToolOutcome(content, failed))

    def pause(self, now_s: float) -> list[Action]:
        """The agent falls silent, without a message to tell so, and calls no tools."""
        if self._paused:
            return []
        self._paused = True
        # `resume` asks anew for the answer that is cut short here.
        self._waiting = deque(work for work in self._waiting if isinstance(work, Recite))
        return self._silence(now_s, interrupted=False)

    def resume(self) -> list[Action]:
        """The agent may speak again: texts held back first, then the unanswered words."""
        if not self._paused:
            return []
        self._paused = False
        if self._unanswered:
            self._waiting.append(_Unanswered())
        return self._start_next()

    # Facts about the part that runs

    def sentence_begins(self, part: int, text: str, now_s: float) -> list[Action]:
        """The part has chosen its next sentence."""
        running = self._running(part)
        if running is None:
            return []
        segment_id = self._new_id()
        self._playback.begin(segment_id, text, now_s)
        self._history.add_sentence(segment_id, text)
        if running.answers and not running.spoke:
            self._forget_temporary_context(running.context)
        running.spoke = True
        return [Tell(messages.assistant_message(segment_id, text, from_text=running.from_text))]

    def chunk_ready(self, part: int, duration_s: float, now_s: float) -> tuple[str, int] | None:
        """Audio of the last sentence is to be sent: under which id and index, or not at all."""
        if self._running(part) is None:
            return None
        return self._playback.send(duration_s, now_s)

    def tool_called(self, part: int, call: CallTool, now_s: float) -> list[Action]:
        """The mind wants a tool; its part ends with that, the turn does not."""
        running = self._running(part)
        if running is None or running.calls >= MAX_TOOL_CALLS:
            return []
        running.awaits_tool = True
        calls = running.calls + 1
        offer = self.settings.offer(call.name)
        if offer is None:
            outcome = ToolOutcome(None, failed=True)
            self._waiting.appendleft(_ToolOutcomeKnown(call, outcome, calls, running.context))
            return []
        self._call = _PendingCall(
            id=f"call_{self._new_id()}",
            call=call,
            calls=calls,
            context=running.context,
            fallback=offer.fallback_content,
            deadline_s=now_s + self._tool_timeout_s,
        )
        return [Tell(messages.tool_call(self._call.id, call.name, call.arguments))]

    def hang_up_wanted(self, part: int) -> None:
        """The mind wants to end the chat after the last words."""
        running = self._running(part)
        if running is not None:
            running.hangs_up = True

    def part_finished(self, part: int) -> list[Action]:
        """All audio of the part is sent; one `assistant_end` closes the turn (U10)."""
        running = self._running(part)
        if running is None:
            return []
        self._part = None
        self._playback.complete()
        actions: list[Action] = []
        if not running.awaits_tool:
            actions.append(Tell(messages.assistant_end()))
            self._hanging_up = self._hanging_up or running.hangs_up
            if running.answers:
                self._unanswered = False
        return actions + self._start_next()

    # Time

    def woke(self, now_s: float) -> list[Action]:
        """Do what is due; early calls do nothing."""
        actions: list[Action] = []
        if self._greet_at_s is not None and now_s >= self._greet_at_s:
            actions += self.client_ready()
        if self._call is not None and now_s >= self._call.deadline_s:
            sentence = f"No answer came within {self._tool_timeout_s:g} s."
            message = messages.unusable_tool_answer(self._call.id, "timeout", sentence)
            fallback = self._call.fallback
            actions += [Tell(message), *self._go_on_after_tool(ToolOutcome(fallback, failed=True))]
        if self._hanging_up and self._part is None and now_s >= self._farewell_over_s:
            self._hanging_up = False
            actions.append(EndChat())
        return actions

    @property
    def _farewell_over_s(self) -> float:
        return max(self._playback.end_s + HANG_UP_GRACE_S, self._hang_up_not_before_s)

    def _running(self, number: int) -> _Part | None:
        part = self._part
        return part if part is not None and part.number == number else None

    def _silence(self, now_s: float, *, interrupted: bool) -> list[Action]:
        """Stop all that the agent does and wants to do; keep of its words what was heard."""
        actions: list[Action] = [Stop()] if self._part else []
        if interrupted and self.speaking(now_s):
            actions.append(Tell(messages.user_interruption(int(now_s * 1000))))
        self._history.keep_heard(self._playback.cut(now_s))
        self._part = None
        self._call = None
        self._hanging_up = False
        if not self._paused:
            self._waiting.clear()
        return actions

    def _go_on_after_tool(self, outcome: ToolOutcome) -> list[Action]:
        pending, self._call = self._call, None
        assert pending is not None
        if outcome.content is not None:
            self._history.add_tool(outcome.content)
        known = _ToolOutcomeKnown(pending.call, outcome, pending.calls, pending.context)
        self._waiting.appendleft(known)
        return self._start_next()

    def _start_next(self) -> list[Action]:
        if self._paused or self._part is not None or not self._waiting:
            return []
        self._parts += 1
        match self._waiting.popleft():
            case Recite() as work:
                self._part = _Part(self._parts, from_text=work.from_text, answers=False)
                return [Start(self._parts, work)]
            case _ToolOutcomeKnown(call, outcome, calls, context):
                self._part = _Part(self._parts, calls=calls, context=context)
                answer = AnswerAfterTool(self._prompt(context), call, outcome)
                return [Start(self._parts, answer)]
            case _:
                context = self._context_text()
                self._part = _Part(self._parts, context=context)
                return [Start(self._parts, Answer(self._prompt(context)))]

    def _context_text(self) -> str | None:
        return self.settings.context.text if self.settings.context else None

    def _forget_temporary_context(self, used: str | None) -> None:
        """A temporary context is for the next answer only; one set meanwhile stays."""
        context = self.settings.context
        if context is not None and context.type == "temporary" and context.text == used:
            self.settings = self.settings.without_context()

    def _prompt(self, context: str | None) -> Prompt:
        return Prompt(
            system_prompt=self.settings.system_prompt,
            variables=dict(self.settings.variables),
            context=context,
            tools=list(self.settings.tools),
            history=self._history.entries(),
        )
