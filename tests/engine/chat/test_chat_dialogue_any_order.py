"""The rules of a dialogue, kept in any order of events."""

from collections.abc import Iterator
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evibridge.engine.chat.actions import (
    Action,
    Answer,
    EndChat,
    Recite,
    Start,
    Stop,
    Tell,
)
from evibridge.engine.minds.mind import CallTool
from tests.engine.dialogue_stage import (
    Stage,
    messages_in,
    told,
    work,
)

AGES = st.sampled_from([0, 0, 0, 1])  # mostly the newest part, sometimes the one before


class AnyChat(RuleBasedStateMachine):
    """Facts in any order, reports of stale parts among them."""

    @initialize()
    def opens(self) -> None:
        self.begin_chat()

    def begin_chat(self) -> None:
        self.stage = Stage()
        self.running: int | None = None
        self.newest = 0
        self.paused = False
        self.thinks = False
        """A mind is at work that has not ended with a tool call."""
        self.pending: set[str] = set()
        self.indices: dict[str, Iterator[int]] = {}

    def take(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Start(part, begun):
                    assert self.running is None
                    assert part > self.newest
                    assert not self.paused
                    self.running = self.newest = part
                    self.thinks = not isinstance(begun, Recite)
                case Stop():
                    assert self.running is not None
                    self.running = None
                case EndChat(why):
                    assert self.running is None or why != "hang_up"
                    assert action is actions[-1]
                    self.begin_chat()  # an ended chat is told nothing more
                case Tell(message):
                    self.hear(message)

    def hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind in ("assistant_message", "tool_call"):
            assert self.running is not None
            assert not self.paused
        if kind == "tool_call":
            assert not self.pending
            self.pending.add(message["tool_call_id"])
        if kind == "user_interruption":
            assert self.running is None
            self.pending.clear()

    @rule(text=st.sampled_from(["Hello?", ""]))
    def the_caller_speaks(self, text: str) -> None:
        stage = self.stage
        actions = stage.dialogue.caller_said(text, 0, 1, stage.now_s)
        actions += stage.dialogue.turn_ended()
        self.pending.clear()
        self.take(actions)
        assert (self.running is None) is self.paused

    @rule()
    def the_caller_interrupts(self) -> None:
        self.take(self.stage.dialogue.caller_interrupts(self.stage.now_s))
        assert not self.stage.dialogue.speaking(self.stage.now_s)

    @rule()
    def a_text_is_given(self) -> None:
        self.take(self.stage.dialogue.text_to_speak("Hold on."))

    @rule()
    def the_client_is_ready(self) -> None:
        self.take(self.stage.dialogue.client_ready())

    @rule()
    def the_interruption_was_a_noise(self) -> None:
        self.take(self.stage.dialogue.interruption_was_noise())

    @rule()
    def the_caller_is_not_understood(self) -> None:
        self.take(self.stage.dialogue.not_heard())

    @rule(age=AGES)
    def a_part_fails(self, age: int) -> None:
        part = self.newest - age
        was_running = part == self.running
        actions = self.stage.dialogue.part_failed(part, None)
        assert was_running or actions == []
        if was_running:
            self.running = None
        self.take(actions)

    @rule()
    def the_client_pauses(self) -> None:
        actions = self.stage.dialogue.pause(self.stage.now_s)
        assert told(actions) == []
        self.take(actions)
        self.paused = True
        assert self.running is None

    @rule()
    def the_client_resumes(self) -> None:
        self.paused = False
        self.take(self.stage.dialogue.resume(self.stage.now_s))

    @rule(age=AGES)
    def a_part_speaks(self, age: int) -> None:
        part = self.newest - age
        actions = self.stage.dialogue.sentence_begins(part, "A few words.", self.stage.now_s)
        assert bool(actions) is (part == self.running)
        self.take(actions)
        if actions:
            (message,) = messages_in(actions)
            self.indices[message["id"]] = count()

    @precondition(lambda self: self.indices)
    @rule(age=AGES, seconds=st.floats(0.1, 3))
    def a_part_sends_audio(self, age: int, seconds: float) -> None:
        part = self.newest - age
        if part == self.running and not self.stage.dialogue.speaking(self.stage.now_s):
            return  # audio always follows a sentence of the same part
        place = self.stage.dialogue.chunk_ready(part, seconds, self.stage.now_s)
        assert (place is not None) is (part == self.running)
        if place is not None:
            assert next(self.indices[place[0]]) == place[1]

    @rule(age=AGES, name=st.sampled_from(["look", "sing"]))
    def a_part_calls_a_tool(self, age: int, name: str) -> None:
        if self.thinks:
            part = self.newest - age
            self.take(self.stage.dialogue.tool_called(part, CallTool(name, {}), self.stage.now_s))
            self.thinks = part != self.running

    @rule(age=AGES)
    def a_part_ends(self, age: int) -> None:
        part = self.newest - age
        was_running = part == self.running
        actions = self.stage.dialogue.part_finished(part)
        ends = told(actions).count("assistant_end")
        assert ends <= was_running
        if was_running:
            self.running = None
        self.take(actions)

    @rule(age=AGES)
    def a_part_wants_to_hang_up(self, age: int) -> None:
        if self.thinks:
            self.stage.dialogue.hang_up_wanted(self.newest - age)

    @rule(failed=st.booleans(), known=st.booleans())
    def a_tool_answers(self, failed: bool, known: bool) -> None:
        call_id = next(iter(self.pending), "call_x") if known else "call_x"
        actions = self.stage.dialogue.tool_answered(call_id, None if failed else "", failed=failed)
        assert told(actions) == ([] if call_id in self.pending else ["tool_error"])
        self.pending.discard(call_id)
        self.take(actions)

    @rule(seconds=st.floats(0.1, 20))
    def time_passes(self, seconds: float) -> None:
        stage = self.stage
        stage.now_s += seconds
        actions = stage.dialogue.woke(stage.now_s)
        self.pending -= {message["tool_call_id"] for message in messages_in(actions)}
        self.take(actions)
        wake_at_s = self.stage.dialogue.wake_at_s
        assert wake_at_s is None or wake_at_s > self.stage.now_s

    @invariant()
    def a_call_waits_exactly_until_it_is_answered_or_superseded(self) -> None:
        assert len(self.pending) <= 1

    def teardown(self) -> None:
        """Whatever happened, a caller who speaks is answered."""
        if hasattr(self, "stage"):
            self.stage.dialogue.resume(self.stage.now_s)
            assert isinstance(work(self.stage.asks("Hello?")), Answer)


TestAnyChat = AnyChat.TestCase
TestAnyChat.settings = settings(max_examples=200, stateful_step_count=40)
