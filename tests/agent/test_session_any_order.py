"""What holds in a call whatever happens in it, in whatever order."""

from contextlib import suppress

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.commands import OperatorCommand
from evibridge.agent.course import CallLimits
from evibridge.agent.manners import Manners
from evibridge.agent.session import CallSession
from evibridge.errors import CommandRefused
from evibridge.events import EndReason

LIMITS = CallLimits(chat_ready_s=6, call_s=600, resume_s=20)
UTTERANCES = st.sampled_from([f"u{number}" for number in range(12)])
TOOLS = st.sampled_from([f"call_{number}" for number in range(6)])
CLOSE_CODES = st.sampled_from([1000, 1001, 1006, 1008, 1009, 1011])
ERRORS = st.sampled_from(["E0101", "E0708", "E0712", "E0714", "E0715", "I0100", "I0116"])
STEPS_S = st.sampled_from([0.0, 0.02, 0.4, 2.0, 9.0])


class _Server:
    """A chat at the server's end, as far as the session can know of it."""

    def __init__(self) -> None:
        self.is_open = True
        self.is_paused = False
        self.has_settings = False


class Call(RuleBasedStateMachine):
    """A call whose peers do anything at any time; its shell does what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        self.session = CallSession(evi.SessionSettings("x"), LIMITS, Manners(), lambda: 0.5)  # type: ignore[arg-type]
        self.chats: dict[int, _Server] = {}
        self.in_use: int | None = None
        self.hears: int | None = None
        self.cut_off: set[str] = set()
        self.announced: set[str] = set()
        self.marks: list[str] = []
        self.running: set[str] = set()
        self.called: set[str] = set()
        self.answered: list[tuple[int, str]] = []
        """By chat and id."""
        self.superseded: set[str] = set()
        self.hang_ups: list[EndReason] = []
        self.ends = 0

    def do(self, actions: list[act.Action]) -> None:
        """Perform what the session wants, and check it on the way."""
        if self.hang_ups:
            assert actions == [], "something follows the end"
        for action in actions:
            match action:
                case act.Tell(message):
                    self.tell(message)
                case act.Publish(event):
                    self.note(event)
                case act.HangUp(reason):
                    self.hang_ups.append(reason)
                case act.ClearPlayback():
                    self.marks.clear()
                case act.PlaceMark(name):
                    self.marks.append(name)
                case act.StartTool(call):
                    assert call.tool_call_id not in self.running, "a tool was started twice"
                    self.running.add(call.tool_call_id)
                    self.superseded.discard(call.tool_call_id)  # another call of the same id
                case act.CancelTool(tool_call_id):
                    self.running.discard(tool_call_id)
                case other:
                    self.switch(other)

    def switch(self, action: act.Action) -> None:
        match action:
            case act.Connect(chat):
                assert chat not in self.chats, "the number of a chat was used twice"
                self.chats[chat] = _Server()
                opened = [each for each in self.chats.values() if each.is_open]
                assert len(opened) <= 2, "more chats than one and its successor"
            case act.Disconnect(chat):
                self.chats[chat].is_open = False
                self.forget(chat)
            case act.UseChat(chat):
                assert self.chats[chat].is_open
                self.in_use = chat
            case act.HearCaller():
                assert self.in_use is not None
                assert self.chats[self.in_use].has_settings, "audio before the settings"
                self.hears = self.in_use
            case _:
                pass

    def tell(self, message: evi.ClientMessage) -> None:
        assert self.in_use is not None, "a message to nobody"
        server = self.chats[self.in_use]
        assert server.is_open, "a message to a chat that is gone"
        match message:
            case evi.PauseAssistant():
                assert not server.is_paused
                server.is_paused = True
            case evi.ResumeAssistant():
                assert server.is_paused
                server.is_paused = False
            case evi.SessionSettings():
                server.has_settings = True
            case evi.ToolResponse(tool_call_id) | evi.ToolError(tool_call_id):
                answer = (self.in_use, tool_call_id)
                assert answer not in self.answered, "a tool call was answered twice in a chat"
                self.answered.append(answer)
            case _:
                pass

    def note(self, event: events.CallEvent) -> None:
        match event:
            case events.AgentHeard(utterance_id, sent_ms, heard_ms, _):
                assert 0 <= heard_ms <= sent_ms, utterance_id
            case events.ToolFinished(tool_call_id, _, "superseded"):
                self.superseded.add(tool_call_id)
            case events.AgentInterrupted() | events.CallerLost():
                self.cut_off |= self.announced
            case events.CallEnded():
                self.ends += 1
            case _:
                pass

    def forget(self, chat: int) -> None:
        if self.hears == chat:
            self.hears = None

    @initialize()
    def the_caller_joins(self) -> None:
        self.do(self.session.caller_joined(self.now_s))

    @rule(seconds=STEPS_S)
    def time_passes(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while (at_s := self.session.next_wake_s) is not None and at_s <= until_s:
            self.now_s = max(self.now_s, at_s)
            self.do(self.session.woke(self.now_s))
        self.now_s = until_s

    def some_chat(self, data: st.DataObject) -> int | None:
        known = [number for number, server in self.chats.items() if server.is_open]
        return data.draw(st.sampled_from(known)) if known else None

    @rule(data=st.data(), group=st.sampled_from(["g1", "g2"]))
    def a_chat_opens(self, data: st.DataObject, group: str) -> None:
        chat = self.some_chat(data)
        if chat is not None:
            opened = evi.ChatMetadata(f"chat-{chat}", group)
            self.do(self.session.chat_said(chat, opened, self.now_s))

    @rule(data=st.data(), retryable=st.booleans())
    def a_chat_cannot_be_opened(self, data: st.DataObject, *, retryable: bool) -> None:
        chat = self.some_chat(data)
        if chat is not None and chat != self.in_use:
            self.chats[chat].is_open = False
            gone = self.session.chat_unavailable(chat, self.now_s, retryable=retryable)
            self.do(gone)

    @rule(data=st.data(), code=CLOSE_CODES)
    def a_chat_closes(self, data: st.DataObject, code: int) -> None:
        chat = self.some_chat(data)
        if chat is not None:
            self.chats[chat].is_open = False
            self.forget(chat)
            self.do(self.session.chat_closed(chat, code, self.now_s))

    def hear(self, data: st.DataObject, message: evi.Message) -> None:
        chat = self.some_chat(data)
        if chat is not None:
            self.do(self.session.chat_said(chat, message, self.now_s))

    @rule(data=st.data(), code=ERRORS)
    def the_server_reports_an_error(self, data: st.DataObject, code: str) -> None:
        self.hear(data, evi.ChatError(code, "", ""))

    @rule(data=st.data(), utterance=UTTERANCES)
    def the_agent_begins_a_sentence(self, data: st.DataObject, utterance: str) -> None:
        said = evi.AssistantMessage(utterance, "one two three", False, False)
        chat = self.some_chat(data)
        if chat is not None:
            if chat == self.in_use:
                self.announced.add(utterance)
            self.do(self.session.chat_said(chat, said, self.now_s))

    @rule(utterance=UTTERANCES, ms=st.sampled_from([20.0, 450.0, 3000.0]))
    def audio_of_the_agent_comes(self, utterance: str, ms: float) -> None:
        if self.in_use is None or not self.chats[self.in_use].is_open:
            return
        if self.session.accepts(utterance):
            assert utterance not in self.cut_off, "audio of an utterance that was cut off"
            self.announced.add(utterance)
            self.do(self.session.agent_audio_sent(utterance, ms, self.now_s))

    @rule(data=st.data())
    def the_agents_turn_ends(self, data: st.DataObject) -> None:
        self.hear(data, evi.AssistantEnd())

    @rule(data=st.data())
    def the_caller_interrupts(self, data: st.DataObject) -> None:
        self.hear(data, evi.UserInterruption(1))

    @rule(data=st.data(), interim=st.booleans(), typed=st.booleans())
    def the_caller_says_something(self, data: st.DataObject, *, interim: bool, typed: bool) -> None:
        self.hear(data, evi.UserMessage("hello", interim, typed, 0, 0))

    @rule(data=st.data())
    def a_mark_comes_back(self, data: st.DataObject) -> None:
        names = [*self.marks, "0:450", "never placed"]
        name = data.draw(st.sampled_from(names))
        if name in self.marks:
            self.marks.remove(name)
        self.do(self.session.playback_heard(name, self.now_s))

    @rule(data=st.data(), tool=TOOLS, name=st.sampled_from(["look", "book"]))
    def the_server_calls_a_tool(self, data: st.DataObject, tool: str, name: str) -> None:
        self.called.add(tool)
        self.hear(data, evi.ToolCall(tool, name, "{}"))

    @rule(data=st.data(), fails=st.booleans())
    def a_tool_finishes(self, data: st.DataObject, *, fails: bool) -> None:
        if not self.running:
            return
        tool = data.draw(st.sampled_from(sorted(self.running)))
        self.running.discard(tool)
        answer = evi.ToolError(tool, "no") if fails else evi.ToolResponse(tool, "yes")
        self.do(self.session.tool_finished(tool, answer, self.now_s))

    @rule(command=st.sampled_from(list(act.Command)))
    def an_operator_commands(self, command: act.Command) -> None:
        if command is not act.Command.HANG_UP or self.now_s > 1060:
            self.do(self.session.command(command, self.now_s))

    @rule(
        command=st.sampled_from([wish.TakeOver(), wish.HandBack(), wish.Say("Good morning.")]),
        by=st.sampled_from(["Ada", "Sam"]),
    )
    def an_operator_takes_part(self, command: OperatorCommand, by: str) -> None:
        with suppress(CommandRefused):
            self.do(self.session.operate(command, by, self.now_s))

    @rule(is_on=st.booleans())
    def an_operator_uses_the_microphone(self, *, is_on: bool) -> None:
        if not is_on:
            self.session.taking_over.switch_off()
            return
        with suppress(CommandRefused):
            self.do(self.session.taking_over.switch_on("Ada", self.now_s))

    @rule(ms=st.sampled_from([20.0, 450.0]))
    def an_operators_voice_comes(self, ms: float) -> None:
        if self.session.taking_over.microphone_is_heard:
            assert self.session.is_taken_over
            self.do(self.session.taking_over.microphone_sent(ms, self.now_s))

    @rule()
    def the_agent_is_to_say_something(self) -> None:
        self.do(self.session.say("One moment.", self.now_s))

    @rule(digit=st.sampled_from("12#"))
    def the_caller_presses_a_key(self, digit: str) -> None:
        self.do(self.session.caller_pressed(digit, self.now_s))

    @rule()
    def the_filler_plays(self) -> None:
        if not self.session.state(0.0).chat_is_ready and not self.hang_ups:
            self.do(self.session.filler_played(900, self.now_s))

    @rule()
    def the_line_breaks(self) -> None:
        self.marks.clear()
        self.do(self.session.caller_lost(self.now_s))

    @rule()
    def another_line_comes(self) -> None:
        if not self.hang_ups:
            self.marks.clear()
            self.do(self.session.caller_returned(self.now_s))

    @rule()
    def a_tool_hangs_up(self) -> None:
        if self.now_s > 1030:
            self.do(self.session.hang_up(EndReason.AGENT_HUNG_UP, self.now_s))

    @rule()
    def the_caller_hangs_up(self) -> None:
        if self.now_s > 1030:
            self.do(self.session.caller_left(EndReason.CALLER_HUNG_UP, self.now_s))

    @invariant()
    def the_call_ends_once(self) -> None:
        assert len(self.hang_ups) == self.ends <= 1

    @invariant()
    def there_is_always_a_deadline_until_the_end(self) -> None:
        assert (self.session.next_wake_s is None) == bool(self.hang_ups)

    @invariant()
    def the_server_is_paused_when_it_should_be(self) -> None:
        if self.session.state(0.0).chat_is_ready:
            assert self.in_use is not None
            wanted = self.session.state(0.0).is_paused or self.session.state(0.0).caller_is_away
            assert self.chats[self.in_use].is_paused == wanted

    @invariant()
    def an_agent_whose_call_was_taken_over_is_paused(self) -> None:
        state = self.session.state(0.0)
        assert state.taken_over_by is None or state.is_paused
        assert state.taken_over_by is not None or not self.session.taking_over.microphone_is_heard

    @invariant()
    def a_ready_chat_hears_the_caller(self) -> None:
        if self.session.state(0.0).chat_is_ready:
            assert self.hears == self.in_use

    @invariant()
    def a_silenced_agent_is_not_heard(self) -> None:
        silenced = (
            self.session.state(0.0).is_paused
            or self.session.state(0.0).is_held
            or self.session.state(0.0).caller_is_away
        )
        if silenced or not self.session.state(0.0).chat_is_ready:
            assert not self.session.accepts("anything")

    @invariant()
    def no_tool_call_is_answered_that_was_superseded(self) -> None:
        assert not self.superseded & {tool_call_id for _, tool_call_id in self.answered}

    def teardown(self) -> None:
        """Whatever state it is in, time alone brings the call to an end."""
        while (at_s := self.session.next_wake_s) is not None:
            assert at_s <= self.now_s + LIMITS.call_s + 60
            self.now_s = max(self.now_s, at_s)
            self.do(self.session.woke(self.now_s))
        assert len(self.hang_ups) == 1
        assert not self.running, "a tool runs on after the end"


Call.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


TestACallInAnyOrder = pytest.mark.timeout(180)(Call.TestCase)
