"""What holds in a sidecar whatever happens in it, in whatever order."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.course import CallLimits
from evibridge.agent.mirror_link import MirrorFate
from evibridge.agent.sidecar_session import SidecarSession
from evibridge.errors import CommandRefused
from evibridge.events import EndReason, ToolPath
from evibridge.tools_registry.progress import Verdict

LIMITS = CallLimits(call_s=600, resume_s=20)
OFFERS = (evi.ToolOffer("look", "{}"), evi.ToolOffer("book", "{}"))
CALLS = st.builds(
    evi.ToolCall,
    st.sampled_from([f"call_{number}" for number in range(5)]),
    st.sampled_from(["look", "book", "theirs"]),
    st.sampled_from(["{}", '{"day": 1}']),
)
MESSAGES: st.SearchStrategy[evi.Message] = st.one_of(
    CALLS,
    st.builds(evi.UserMessage, st.just("Hello."), st.booleans(), st.booleans(), *[st.just(0)] * 2),
    st.builds(
        evi.AssistantMessage,
        st.sampled_from([None, "u1", "u2"]),
        st.sampled_from(["Yes.", "No."]),
        st.booleans(),
        st.just(False),
    ),
    st.builds(evi.AssistantEnd),
    st.builds(evi.UserInterruption, st.just(1)),
    st.builds(evi.ToolResponse, CALLS.map(lambda call: call.tool_call_id), st.just("theirs")),
    st.just(evi.ChatMetadata("chat-1", "group-1")),
)
COMMANDS: st.SearchStrategy[wish.OperatorCommand] = st.one_of(
    st.sampled_from([wish.Pause(), wish.Resume(), wish.HangUp(), wish.Say("Hello.")]),
    st.builds(wish.SetContext, st.sampled_from([None, "He waits."])),
    st.builds(
        wish.Decide,
        CALLS.map(lambda call: call.tool_call_id),
        st.builds(Verdict, st.booleans()),
    ),
    CALLS.map(lambda call: wish.Send(evi.ToolResponse(call.tool_call_id, "by hand"))),
)


class Sidecar(RuleBasedStateMachine):
    """A sidecar whose chat does anything at any time; its shell does what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0
        settings = evi.SessionSettings(system_prompt="x", tools=OFFERS)
        self.session = SidecarSession("chat-1", settings, LIMITS, lambda: 0.5)
        self.mirror = 0
        self.is_open = False
        self.running: set[str] = set()
        self.ran: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.begun: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()
        self.on_the_way: list[evi.ClientMessage] = []
        self.chat_is_paused = False
        self.is_cut_off = False
        """Whether it has missed something, and was told nothing since."""
        self.ends: list[EndReason] = []

    def do(self, actions: list[act.Action]) -> None:
        assert not (self.ends and actions), "something follows the end"
        for action in actions:
            match action:
                case act.Connect(mirror):
                    assert mirror == self.mirror + 1
                    assert not self.is_open, "two mirrors at a time"
                    self.mirror = mirror
                case act.Disconnect(mirror):
                    assert mirror == self.mirror
                case act.Tell(message):
                    self.is_cut_off = False
                    self.on_the_way.append(message)
                case act.StartTool(call):
                    assert call.name != "theirs"
                    self.ran[call.tool_call_id] += 1
                    self.running.add(call.tool_call_id)
                case act.CancelTool(tool_call_id):
                    self.running.discard(tool_call_id)
                case act.Publish(event):
                    self.note(event)
                case act.HangUp(reason):
                    self.ends.append(reason)
                case _:
                    assert isinstance(action, act.TellVerdict)

    def note(self, event: events.CallEvent) -> None:
        match event:
            case events.ToolStarted(tool_call_id):
                self.begun[tool_call_id] += 1
            case events.ToolFinished(tool_call_id):
                self.finished[tool_call_id] += 1
            case _:
                pass

    def arrive(self, message: evi.ClientMessage) -> None:
        match message:
            case evi.PauseAssistant():
                self.chat_is_paused = True
            case evi.ResumeAssistant():
                self.chat_is_paused = False
            case evi.ToolResponse(tool_call_id) | evi.ToolError(tool_call_id):
                self.answered[tool_call_id] += 1
            case _:
                pass

    @initialize(has_webhooks=st.booleans())
    def the_sidecar_begins(self, *, has_webhooks: bool) -> None:
        if has_webhooks:
            self.session.webhooks_come("group-1")
        self.do(self.session.began(self.now_s))

    @rule(seconds=st.sampled_from([0.0, 0.1, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while (at_s := self.session.next_wake_s) is not None and at_s <= until_s:
            self.now_s = max(self.now_s, at_s)
            self.do(self.session.woke(self.now_s))
        self.now_s = until_s

    @rule()
    def a_mirror_opens(self) -> None:
        if not self.is_open and self.session.next_wake_s is not None:
            self.do(self.session.mirror_opened(self.mirror, self.now_s))
            self.is_open = self.session.state().chat_is_ready

    @rule(fate=st.sampled_from(MirrorFate))
    def a_mirror_is_gone(self, fate: MirrorFate) -> None:
        if fate is MirrorFate.COMES_BACK or self.now_s > 1015:
            self.is_open = False
            self.do(self.session.mirror_gone(self.mirror, fate, 1006, self.now_s))

    @rule(message=MESSAGES, is_replay=st.booleans())
    def the_mirror_tells(self, message: evi.Message, *, is_replay: bool) -> None:
        actions = self.session.mirror_said(self.mirror, message, self.now_s, is_replay=is_replay)
        if is_replay:
            assert not any(isinstance(each, act.StartTool | act.Tell) for each in actions)
        self.do(actions)

    @rule()
    def the_replay_ends(self) -> None:
        self.do(self.session.replay_ended(self.mirror))

    @rule(call=CALLS)
    def a_webhook_tells(self, call: evi.ToolCall) -> None:
        self.do(self.session.tool_called(call, ToolPath.WEBHOOK, self.now_s))

    @rule(data=st.data(), fails=st.booleans())
    def a_tool_finishes(self, data: st.DataObject, *, fails: bool) -> None:
        if not self.running:
            return
        tool = data.draw(st.sampled_from(sorted(self.running)))
        self.running.discard(tool)
        answer = evi.ToolError(tool, "no") if fails else evi.ToolResponse(tool, "yes")
        self.do(self.session.tool_finished(tool, answer, self.now_s))

    @rule(data=st.data())
    def a_tool_asks(self, data: st.DataObject) -> None:
        if self.running:
            tool = data.draw(st.sampled_from(sorted(self.running)))
            self.do(self.session.tool_awaits_verdict(tool, 5))
            self.do(self.session.tool_holds(tool, "One moment.", self.now_s))

    @rule(command=COMMANDS)
    def an_operator_asks(self, command: wish.OperatorCommand) -> None:
        try:
            actions = self.session.operate(command, "Ada", self.now_s)
        except CommandRefused:
            return
        self.do(actions)

    @rule(count=st.integers(1, 3))
    def messages_arrive(self, count: int) -> None:
        for message in self.on_the_way[:count]:
            self.arrive(message)
        del self.on_the_way[:count]

    @rule()
    def no_message_arrives(self) -> None:
        messages, self.on_the_way = self.on_the_way, []
        if messages:
            self.is_cut_off = True
            self.session.missed(messages, self.now_s)

    @rule()
    def the_chat_ends(self) -> None:
        if self.now_s > 1015:
            self.do(self.session.webhook_ended(self.now_s))

    @invariant()
    def there_is_always_a_deadline_until_the_end(self) -> None:
        assert (self.session.next_wake_s is None) == bool(self.ends)

    @invariant()
    def each_call_runs_and_is_answered_once_at_most(self) -> None:
        assert {*self.ran.values(), *self.begun.values(), *self.finished.values()} <= {1}
        assert set(self.answered.values()) <= {1}

    @invariant()
    def the_chat_is_paused_when_it_should_be(self) -> None:
        if not (self.ends or self.on_the_way or self.is_cut_off):
            assert self.chat_is_paused == self.session.state().is_paused

    def teardown(self) -> None:
        """Whatever state it is in, time alone brings the sidecar to an end."""
        while (at_s := self.session.next_wake_s) is not None:
            assert at_s <= self.now_s + LIMITS.call_s
            self.now_s = max(self.now_s, at_s)
            self.do(self.session.woke(self.now_s))
            self.messages_arrive(len(self.on_the_way))
        assert len(self.ends) == 1
        assert not self.running, "a tool runs on after the end"
        assert self.begun == self.finished


Sidecar.TestCase.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)

TestASidecarInAnyOrder = Sidecar.TestCase
