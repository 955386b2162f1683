import pytest

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import commands as wish
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.course import CallLimits
from evibridge.agent.mirror_link import FIRST_DELAY_S, MirrorFate
from evibridge.agent.sidecar_session import SidecarSession
from evibridge.agent.sidecar_tools import SidecarTools
from evibridge.agent.snapshot import CallState
from evibridge.agent.told_chat import AGAIN_S, ToldChat
from evibridge.agent.tool_desk import MAX_OPEN_TOOLS, MAX_REMEMBERED
from evibridge.errors import CommandRefused
from evibridge.events import ChatOpening, EndReason, ToolPath
from evibridge.tools_registry.progress import Verdict

CHAT_ID, GROUP_ID = "chat-1", "group-1"
LIMITS = CallLimits(call_s=600, resume_s=20)
OFFERS = (evi.ToolOffer("look", "{}"), evi.ToolOffer("book", "{}"))
TOOLS = evi.SessionSettings(tools=OFFERS)
METADATA = evi.ChatMetadata(CHAT_ID, GROUP_ID)
LOOK = evi.ToolCall("call_1", "look", "{}")
BOOK = evi.ToolCall("call_2", "book", "{}")
ANSWER = evi.ToolResponse("call_1", "found")
SCORES = {"Joy": 0.5}


def user(text: str, *, interim: bool = False) -> evi.UserMessage:
    return evi.UserMessage(text, interim, from_text=False, begin_ms=0, end_ms=0, scores=SCORES)


def agent(
    utterance_id: str | None, text: str, *, told: bool = False, scores: bool = False
) -> evi.AssistantMessage:
    return evi.AssistantMessage(utterance_id, text, told, False, SCORES if scores else None)


class Sidecar:
    """A session, and what it has decided since it was asked last."""

    def __init__(self, *, has_tools: bool = True, has_webhooks: bool = False) -> None:
        settings = evi.SessionSettings(
            system_prompt="Be brief.", voice_id="a-voice", tools=OFFERS if has_tools else None
        )
        self.now_s = 1000.0
        self.session = SidecarSession(CHAT_ID, settings, LIMITS, lambda: 1.0)
        if has_webhooks:
            self.session.webhooks_come(GROUP_ID)
        self.actions = self.session.began(self.now_s)

    def open(self, mirror: int = 1) -> "Sidecar":
        """A mirror is open."""
        self.do(self.session.mirror_opened(mirror, self.now_s))
        return self

    def live(self, mirror: int = 1) -> "Sidecar":
        """A mirror is open, and has replayed what there was: nothing."""
        self.open(mirror).say(METADATA, mirror=mirror, is_replay=True)
        self.do(self.session.replay_ended(mirror))
        return self

    def say(self, *messages: evi.Message, mirror: int = 1, is_replay: bool = False) -> None:
        """The mirror tells something."""
        for message in messages:
            self.do(self.session.mirror_said(mirror, message, self.now_s, is_replay=is_replay))

    def lose(self, fate: MirrorFate = MirrorFate.COMES_BACK, mirror: int = 1) -> None:
        """The mirror is gone."""
        self.do(self.session.mirror_gone(mirror, fate, 1006, self.now_s))

    def return_at_once(self, mirror: int = 2) -> "Sidecar":
        """The mirror is lost, and there is another one."""
        self.lose(mirror=mirror - 1)
        self.wait(FIRST_DELAY_S)
        return self.open(mirror)

    def call(self, call: evi.ToolCall, path: ToolPath = ToolPath.WEBHOOK) -> None:
        self.do(self.session.tool_called(call, path, self.now_s))

    def finish(self, answer: evi.ToolResponse | evi.ToolError) -> None:
        self.do(self.session.tool_finished(answer.tool_call_id, answer, self.now_s))

    def ask(self, command: wish.OperatorCommand, by: str = "Ada") -> None:
        self.do(self.session.operate(command, by, self.now_s))

    def wait(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while (at_s := self.session.next_wake_s) is not None and at_s <= until_s:
            self.now_s = max(self.now_s, at_s)
            self.do(self.session.woke(self.now_s))
        self.now_s = until_s

    def do(self, actions: list[Action]) -> None:
        self.actions += actions

    def take(self) -> list[Action]:
        """What it has decided since this was asked last."""
        actions, self.actions = self.actions, []
        return actions

    def told(self) -> list[evi.ClientMessage]:
        """Of that, what the chat is told."""
        return [action.message for action in self.take() if isinstance(action, act.Tell)]

    def published(self) -> list[events.CallEvent]:
        """Of that, what is told to those who watch."""
        return [action.event for action in self.take() if isinstance(action, act.Publish)]

    def ended(self) -> EndReason | None:
        """Of that, whether it is the end."""
        ends = [action.reason for action in self.take() if isinstance(action, act.HangUp)]
        return ends[-1] if ends else None

    @property
    def doing(self) -> CallState:
        return self.session.state().doing


@pytest.fixture
def sidecar() -> Sidecar:
    """A sidecar whose mirror tells what happens; nothing has happened yet."""
    sidecar = Sidecar().live()
    sidecar.take()
    return sidecar


class TestTheBeginning:
    def test_a_sidecar_opens_a_mirror_and_says_what_it_is(self) -> None:
        sidecar = Sidecar()

        began, connect = sidecar.take()
        assert began == act.Publish(events.CallBegan(events.CallKind.SIDECAR))
        assert isinstance(connect, act.Connect)
        assert sidecar.session.awaits_mirror
        assert sidecar.doing is CallState.CONNECTING

    def test_the_chat_is_told_of_the_tools_alone(self) -> None:
        assert Sidecar().open().told() == [TOOLS]

    def test_an_agent_without_tools_tells_nothing(self) -> None:
        assert Sidecar(has_tools=False).open().told() == []

    def test_the_chats_metadata_tells_that_it_is_open(self) -> None:
        sidecar = Sidecar().open()
        sidecar.take()
        sidecar.say(METADATA, METADATA, is_replay=True)

        assert sidecar.published() == [events.ChatOpened(CHAT_ID, GROUP_ID, ChatOpening.FIRST)]
        state = sidecar.session.state()
        assert (state.chat_group_id, state.chat_is_ready) == (GROUP_ID, True)
        assert sidecar.doing is CallState.LISTENING
        assert not sidecar.session.awaits_mirror

    def test_a_chat_without_metadata_is_open_as_well(self) -> None:
        sidecar = Sidecar().open()
        sidecar.take()
        sidecar.do(sidecar.session.replay_ended(1))

        assert sidecar.published() == [events.ChatOpened(CHAT_ID, "", ChatOpening.FIRST)]

    def test_what_is_called_before_it_begins_runs_when_it_does(self) -> None:
        session = SidecarSession(CHAT_ID, TOOLS, LIMITS, lambda: 1.0)
        for _ in range(2):
            assert session.tool_called(LOOK, ToolPath.WEBHOOK, 1.0) == []

        began, connect, start, started = session.began(2.0)
        assert began == act.Publish(events.CallBegan(events.CallKind.SIDECAR))
        assert isinstance(connect, act.Connect)
        assert start == act.StartTool(LOOK)
        assert isinstance(started, act.Publish)

    def test_a_sidecar_that_was_ended_before_it_began_does_nothing(self) -> None:
        session = SidecarSession(CHAT_ID, TOOLS, LIMITS, lambda: 1.0)
        session.ended_by(EndReason.SHUTDOWN, 1.0)

        assert session.began(2.0) == []
        assert session.next_wake_s is None


class TestTheConversation:
    def test_what_is_said_is_told_as_it_is_said(self, sidecar: Sidecar) -> None:
        sidecar.say(
            user("Hel", interim=True),
            user("Hello?"),
            agent("u1", "Good morning.", scores=True),
            evi.AssistantProsody("u2", SCORES),
            evi.AssistantProsody("u3", None),
            evi.UserInterruption(1),
            evi.AssistantEnd(),
            evi.Unknown("news", {}),
        )

        assert sidecar.published() == [
            events.CallerSaid("Hel", interim=True, typed=False, scores=SCORES),
            events.CallerSaid("Hello?", interim=False, typed=False, scores=SCORES),
            events.AgentSaid("u1", "Good morning."),
            events.AgentSounded("u1", SCORES),
            events.AgentSounded("u2", SCORES),
            events.AgentInterrupted(),
        ]
        assert [line.text for line in sidecar.session.state().lines] == ["Hello?", "Good morning."]

    def test_its_state_follows_the_conversation(self, sidecar: Sidecar) -> None:
        seen = []
        for message in (
            user("Hel", interim=True),
            user("Hello?"),
            agent("u1", "Good morning."),
            evi.AssistantEnd(),
            agent("u2", "What can I do for you?"),
            evi.UserInterruption(1),
        ):
            sidecar.say(message)
            seen.append(sidecar.doing)

        assert seen == [
            CallState.CALLER_SPEAKING,
            CallState.LISTENING,
            CallState.AGENT_SPEAKING,
            CallState.LISTENING,
            CallState.AGENT_SPEAKING,
            CallState.CALLER_SPEAKING,
        ]

    def test_what_the_mirror_replays_is_told_and_nothing_is_done_about_it(self) -> None:
        sidecar = Sidecar().open()
        sidecar.take()
        sidecar.say(
            METADATA,
            user("Is it there?"),
            user("Is it", interim=True),
            LOOK,
            agent("u1", "It is there.", scores=True),
            evi.AssistantEnd(),
            evi.UserInterruption(1),
            evi.ChatError("E0101", "a_slug", "A sentence."),
            is_replay=True,
        )

        assert sidecar.published() == [
            events.ChatOpened(CHAT_ID, GROUP_ID),
            events.CallerSaid("Is it there?", interim=False, typed=False, scores=SCORES),
            events.AgentSaid("u1", "It is there."),
            events.AgentSounded("u1", SCORES),
        ]
        assert sidecar.doing is CallState.LISTENING

    def test_another_mirror_tells_only_what_was_missed(self, sidecar: Sidecar) -> None:
        said = (user("Is it there?"), agent("u1", "It is there."), user("Good."))
        missed = agent("u2", "Anything else?")
        sidecar.say(*said)
        sidecar.return_at_once().say(METADATA, *said, missed, mirror=2, is_replay=True)
        sidecar.take()
        sidecar.do(sidecar.session.replay_ended(2))
        sidecar.say(user("Good."), mirror=2)

        assert sidecar.published() == [
            events.CallerSaid("Good.", interim=False, typed=False, scores=SCORES)
        ]
        texts = [line.text for line in sidecar.session.state().lines]
        assert texts == ["Is it there?", "It is there.", "Good.", "Anything else?", "Good."]

    def test_errors_of_the_server_are_told(self, sidecar: Sidecar) -> None:
        sidecar.say(evi.ChatError("E0712", "slow", "Too slow."))

        assert sidecar.published() == [events.ServerReportedError("E0712", "slow", "Too slow.")]

    def test_a_mirror_that_was_given_up_is_not_listened_to(self, sidecar: Sidecar) -> None:
        sidecar.return_at_once()
        sidecar.take()
        sidecar.say(user("Hello?"))
        sidecar.do(sidecar.session.replay_ended(1))
        sidecar.do(sidecar.session.mirror_opened(1, sidecar.now_s))

        assert sidecar.take() == []


class TestMirrorsComeAndGo:
    def test_a_lost_mirror_is_opened_again(self, sidecar: Sidecar) -> None:
        sidecar.say(evi.ChatError("I0100", "a_slug", "A sentence."))
        sidecar.take()
        sidecar.lose()
        assert sidecar.published() == [events.ChatLost(1006, "I0100")]
        assert sidecar.doing is CallState.RECONNECTING

        sidecar.wait(FIRST_DELAY_S)
        sidecar.live(2)

        assert sidecar.published() == [events.ChatOpened(CHAT_ID, GROUP_ID, ChatOpening.RESUMED)]

    def test_a_mirror_that_breaks_before_it_has_told_anything_is_no_news(self) -> None:
        sidecar = Sidecar().open()
        sidecar.take()
        sidecar.lose()
        sidecar.wait(FIRST_DELAY_S)
        sidecar.live(2)

        assert sidecar.published() == [events.ChatOpened(CHAT_ID, GROUP_ID, ChatOpening.FIRST)]

    def test_the_chat_knows_its_tools_though_the_mirror_was_lost(self, sidecar: Sidecar) -> None:
        assert sidecar.return_at_once().told() == []

    def test_a_mirror_that_does_not_come_back_is_the_end(self, sidecar: Sidecar) -> None:
        sidecar.lose()
        sidecar.wait(LIMITS.resume_s)

        assert sidecar.ended() is EndReason.EVI_LOST

    def test_with_webhooks_it_goes_on_without(self) -> None:
        sidecar = Sidecar(has_webhooks=True)
        sidecar.wait(LIMITS.resume_s)
        assert not sidecar.session.awaits_mirror
        assert sidecar.doing is CallState.LISTENING
        sidecar.call(LOOK)
        sidecar.finish(ANSWER)
        assert sidecar.told() == [TOOLS, ANSWER]

        while not (attempts := [each for each in sidecar.take() if isinstance(each, act.Connect)]):
            sidecar.wait(1)
        sidecar.open(attempts[-1].chat)
        assert sidecar.session.state().chat_is_ready
        assert sidecar.told() == []

    def test_a_server_that_never_answers_is_the_end(self) -> None:
        sidecar = Sidecar()
        sidecar.wait(LIMITS.resume_s)

        assert sidecar.ended() is EndReason.EVI_UNREACHABLE

    @pytest.mark.parametrize(
        ("fate", "reason"),
        [
            (MirrorFate.CHAT_IS_OVER, EndReason.CHAT_ENDED),
            (MirrorFate.NOT_ALLOWED, EndReason.EVI_REFUSED),
            (MirrorFate.BAD_KEY, EndReason.EVI_REFUSED),
        ],
    )
    def test_a_mirror_that_is_refused_is_the_end(self, fate: MirrorFate, reason: EndReason) -> None:
        sidecar = Sidecar()
        sidecar.lose(fate)

        assert sidecar.ended() is reason

    def test_a_chat_that_is_closed_is_over_though_webhooks_come(self) -> None:
        sidecar = Sidecar(has_webhooks=True).live()
        sidecar.lose(MirrorFate.CHAT_IS_OVER)

        assert sidecar.ended() is EndReason.CHAT_ENDED

    def test_late_news_of_a_mirror_change_nothing(self, sidecar: Sidecar) -> None:
        sidecar.return_at_once()
        sidecar.take()
        sidecar.lose(MirrorFate.CHAT_IS_OVER)

        assert sidecar.take() == []


class TestWebhooksAlone:
    @pytest.mark.parametrize("fate", [MirrorFate.NOT_ALLOWED, MirrorFate.CHAT_IS_OVER])
    def test_a_chat_that_may_not_be_mirrored_is_known_by_its_webhooks(
        self, fate: MirrorFate
    ) -> None:
        sidecar = Sidecar(has_webhooks=True)
        sidecar.take()
        sidecar.lose(fate)
        assert sidecar.told() == [TOOLS]

        sidecar.call(LOOK)
        sidecar.finish(ANSWER)

        assert sidecar.told() == [ANSWER]
        state = sidecar.session.state()
        assert (state.chat_group_id, state.chat_is_ready) == (GROUP_ID, False)
        assert sidecar.doing is CallState.LISTENING
        assert not sidecar.session.awaits_mirror

    def test_a_key_that_is_refused_is_the_end_of_it(self) -> None:
        sidecar = Sidecar(has_webhooks=True)
        sidecar.lose(MirrorFate.BAD_KEY)

        assert sidecar.ended() is EndReason.EVI_REFUSED

    def test_a_mirror_that_is_not_allowed_any_more_is_told(self) -> None:
        sidecar = Sidecar(has_webhooks=True).live()
        sidecar.take()
        sidecar.lose(MirrorFate.NOT_ALLOWED)

        assert sidecar.take() == [act.Publish(events.ChatLost(1006, None))]

    def test_a_webhook_tells_the_end(self) -> None:
        sidecar = Sidecar(has_webhooks=True)
        sidecar.call(LOOK)
        sidecar.take()
        sidecar.do(sidecar.session.webhook_ended(sidecar.now_s))

        assert sidecar.take() == [
            act.HangUp(EndReason.CHAT_ENDED),
            act.CancelTool("call_1"),
            act.Publish(events.ToolFinished("call_1", "look", "cancelled")),
            act.Publish(events.CallEnded(EndReason.CHAT_ENDED)),
        ]

    def test_a_server_that_knows_no_such_chat_is_the_end(self) -> None:
        sidecar = Sidecar(has_webhooks=True)
        sidecar.do(sidecar.session.chat_unknown(sidecar.now_s))
        assert sidecar.ended() is None  # the mirror will tell

        sidecar.lose(MirrorFate.NOT_ALLOWED)
        sidecar.do(sidecar.session.chat_unknown(sidecar.now_s))
        assert sidecar.ended() is EndReason.CHAT_ENDED


class TestTools:
    @pytest.mark.parametrize("first", ["mirror", "webhook"])
    def test_a_call_runs_once_by_whatever_paths_it_comes(
        self, sidecar: Sidecar, first: str
    ) -> None:
        for path in (first, "mirror", "webhook", "webhook"):
            if path == "mirror":
                sidecar.say(LOOK)
            else:
                sidecar.call(LOOK)
        sidecar.finish(ANSWER)
        sidecar.say(LOOK)
        sidecar.call(LOOK)

        assert sidecar.take() == [
            act.StartTool(LOOK),
            act.Publish(events.ToolStarted("call_1", "look", "{}", ToolPath(first))),
            act.Tell(ANSWER),
            act.Publish(events.ToolFinished("call_1", "look", "answered", "found")),
        ]

    def test_its_state_says_that_a_tool_runs(self, sidecar: Sidecar) -> None:
        sidecar.say(LOOK)

        assert sidecar.session.state().open_tools == ("look",)
        assert sidecar.doing is CallState.TOOL_RUNNING

    def test_functions_of_others_are_none_of_our_business(self, sidecar: Sidecar) -> None:
        sidecar.say(
            evi.ToolCall("call_1", "theirs", "{}"),
            evi.ToolCall("call_2", "look", "{}", tool_type="builtin"),
        )

        assert sidecar.take() == []

    def test_a_replayed_call_may_still_come_by_its_webhook(self) -> None:
        sidecar = Sidecar().open()
        sidecar.take()
        sidecar.say(LOOK, is_replay=True)
        assert sidecar.take() == []

        sidecar.call(LOOK)

        assert sidecar.take()[0] == act.StartTool(LOOK)

    @pytest.mark.parametrize("is_replay", [False, True])
    def test_a_tool_is_given_up_when_somebody_else_has_answered(
        self, sidecar: Sidecar, *, is_replay: bool
    ) -> None:
        sidecar.say(LOOK)
        sidecar.take()
        sidecar.say(evi.ToolResponse("call_1", "theirs"), is_replay=is_replay)

        assert sidecar.take() == [
            act.CancelTool("call_1"),
            act.Publish(events.ToolFinished("call_1", "look", "answered", "theirs")),
        ]
        sidecar.finish(ANSWER)
        assert sidecar.take() == []

    def test_a_call_that_was_answered_before_it_came_is_not_run(self, sidecar: Sidecar) -> None:
        sidecar.say(evi.ToolError("call_1", "theirs"))
        sidecar.call(LOOK)

        assert sidecar.take() == []

    def test_a_call_is_dead_when_the_caller_has_changed_his_mind(self, sidecar: Sidecar) -> None:
        sidecar.say(LOOK, user("No, book it."), BOOK)
        dead = events.ToolFinished("call_1", "look", "superseded")

        assert dead in sidecar.published()
        sidecar.call(evi.ToolCall("call_1", "look", '{"again": true}'))
        assert sidecar.take() == []

    def test_an_answer_that_did_not_arrive_is_told_when_there_is_a_mirror(
        self, sidecar: Sidecar
    ) -> None:
        sidecar.say(LOOK)
        sidecar.lose()
        sidecar.finish(ANSWER)
        assert sidecar.told() == [ANSWER]
        sidecar.session.missed([ANSWER], sidecar.now_s)
        sidecar.wait(FIRST_DELAY_S)

        assert sidecar.open(2).told() == [ANSWER]

    def test_words_that_a_webhook_has_overtaken_change_no_mind(self, sidecar: Sidecar) -> None:
        sidecar.call(LOOK)
        sidecar.do(sidecar.session.tool_awaits_verdict("call_1", 60))
        sidecar.say(user("Is it there?"), agent("u1", "Let me see."), LOOK)
        assert sidecar.doing is CallState.NEEDS_APPROVAL

        sidecar.say(user("Never mind."), agent("u2", "As you like."))
        dead = events.ToolFinished("call_1", "look", "superseded")
        assert dead in sidecar.published()

    def test_a_replay_shows_what_a_webhook_has_overtaken(self, sidecar: Sidecar) -> None:
        sidecar.call(LOOK)
        sidecar.do(sidecar.session.tool_awaits_verdict("call_1", 60))
        sidecar.return_at_once().say(user("Is it there?"), LOOK, mirror=2, is_replay=True)
        sidecar.do(sidecar.session.replay_ended(2))
        sidecar.say(user("Never mind."), agent("u2", "As you like."), mirror=2)

        dead = events.ToolFinished("call_1", "look", "superseded")
        assert dead in sidecar.published()

    def test_calls_of_a_sidecar_before_this_one_do_not_run(self) -> None:
        session = SidecarSession(CHAT_ID, TOOLS, LIMITS, lambda: 1.0, {"call_1"})
        session.began(1.0)

        assert session.tool_called(LOOK, ToolPath.WEBHOOK, 1.0) == []
        assert session.tool_called(BOOK, ToolPath.WEBHOOK, 1.0) != []
        assert session.tool_calls == {"call_1", "call_2"}

    def test_what_was_called_while_there_was_no_mirror_is_missed(self, sidecar: Sidecar) -> None:
        theirs = evi.ToolCall("call_3", "theirs", "{}")
        answered = (BOOK, evi.ToolResponse("call_2", "theirs"))
        sidecar.session.take_missed_calls()
        sidecar.return_at_once().say(LOOK, *answered, theirs, mirror=2, is_replay=True)
        sidecar.do(sidecar.session.replay_ended(2))

        assert sidecar.session.take_missed_calls() == ("call_1",)
        assert sidecar.session.take_missed_calls() == ()

    @pytest.mark.parametrize("has_webhooks", [False, True])
    def test_what_others_have_to_answer_is_not_missed(self, *, has_webhooks: bool) -> None:
        sidecar = Sidecar(has_webhooks=has_webhooks).open()
        sidecar.say(LOOK, is_replay=True)
        sidecar.do(sidecar.session.replay_ended(1))
        assert sidecar.session.take_missed_calls() == ()

        sidecar.return_at_once().say(LOOK, mirror=2, is_replay=True)
        assert bool(sidecar.session.take_missed_calls()) is not has_webhooks

    def test_an_answer_that_did_not_arrive_is_told_again(self) -> None:
        sidecar = Sidecar(has_webhooks=True)
        sidecar.lose(MirrorFate.NOT_ALLOWED)
        sidecar.call(LOOK)
        sidecar.finish(ANSWER)
        sidecar.session.missed([ANSWER], sidecar.now_s)
        sidecar.take()
        sidecar.wait(AGAIN_S)

        assert sidecar.told() == [ANSWER]

    def test_whoever_waits_for_a_tool_is_told_so(self, sidecar: Sidecar) -> None:
        sidecar.say(LOOK)
        sidecar.take()
        sidecar.do(sidecar.session.tool_holds("call_1", "One moment.", sidecar.now_s))

        assert sidecar.told() == [evi.AssistantInput("One moment.")]

    def test_a_paused_agent_asks_nobody_to_wait(self, sidecar: Sidecar) -> None:
        sidecar.say(LOOK)
        sidecar.ask(wish.Pause())
        sidecar.take()
        sidecar.do(sidecar.session.tool_holds("call_1", "One moment.", sidecar.now_s))
        assert sidecar.told() == []

        sidecar.ask(wish.Resume())
        assert sidecar.told() == [evi.ResumeAssistant(), evi.AssistantInput("One moment.")]

    def test_an_operator_approves_of_a_tool(self, sidecar: Sidecar) -> None:
        sidecar.say(LOOK)
        sidecar.take()
        sidecar.do(sidecar.session.tool_awaits_verdict("call_1", 20))
        assert sidecar.doing is CallState.NEEDS_APPROVAL
        sidecar.ask(wish.Decide("call_1", Verdict(is_approved=True)))
        sidecar.ask(wish.Decide("call_1", Verdict(is_approved=False)))

        assert sidecar.take() == [
            act.Publish(events.ApprovalWanted("call_1", "look", "{}", 20)),
            act.TellVerdict("call_1", Verdict(is_approved=True)),
            act.Publish(events.ApprovalGiven("call_1", "look", True, "Ada")),
        ]

    def test_nobody_is_asked_about_what_the_caller_no_longer_wants(self, sidecar: Sidecar) -> None:
        sidecar.say(LOOK)
        sidecar.do(sidecar.session.tool_awaits_verdict("call_1", 20))
        sidecar.say(user("Never mind."))
        sidecar.take()
        sidecar.say(agent("u1", "All right."))

        assert act.CancelTool("call_1") in sidecar.take()

    def test_the_model_learns_late_results_with_its_next_answer(self, sidecar: Sidecar) -> None:
        note = evi.SessionSettings(context=evi.Context("Three books."))
        sidecar.do(sidecar.session.set_context("He waits.", sidecar.now_s))
        sidecar.do(sidecar.session.tool_delivered("Three books.", sidecar.now_s))
        waits = evi.SessionSettings(context=evi.Context("He waits.", "persistent"))
        both = evi.SessionSettings(context=evi.Context("He waits.\nThree books."))
        assert note not in (told := sidecar.told())
        assert told == [waits, both]

        sidecar.say(user("And?"), agent("u1", "Well,", told=True))
        assert sidecar.told() == []
        sidecar.say(evi.AssistantEnd(), agent("u2", "There are three."), agent("u3", "Which?"))
        assert sidecar.told() == [waits]

    def test_too_many_calls_at_once_are_refused(self, sidecar: Sidecar) -> None:
        for number in range(MAX_OPEN_TOOLS + 1):
            sidecar.call(evi.ToolCall(f"call_{number}", "look", f"{number}"))

        (refused,) = sidecar.told()
        assert isinstance(refused, evi.ToolError)
        assert refused.code == "busy"

    def test_only_so_many_calls_are_remembered(self) -> None:
        tools = SidecarTools({"look"}, ToldChat(evi.SessionSettings()))
        for number in range(MAX_REMEMBERED + 1):
            tools.answered_elsewhere(evi.ToolResponse(f"call_{number}", "theirs"), 1.0)

        assert tools.called(evi.ToolCall("call_1", "look", "{}"), ToolPath.MIRROR, 1.0) == []
        assert tools.called(evi.ToolCall("call_0", "look", "{}"), ToolPath.MIRROR, 1.0) != []


def given(command: str, text: str | None = None) -> events.CommandGiven:
    return events.CommandGiven(command, "Ada", text)


class TestOperators:
    @pytest.mark.parametrize(
        ("command", "event", "message"),
        [
            (wish.Say("Hello."), given("say", "Hello."), evi.AssistantInput("Hello.")),
            (wish.Inject("Hello?"), given("inject", "Hello?"), evi.UserInput("Hello?")),
            (
                wish.SetContext("He waits."),
                given("context", "He waits."),
                evi.SessionSettings(context=evi.Context("He waits.", "persistent")),
            ),
            (
                wish.SetContext(None),
                given("context"),
                evi.SessionSettings(context=evi.Clear.CLEAR),
            ),
            (
                wish.SetVariables({"name": "Ada", "vip": True}),
                given("variables", "name, vip"),
                evi.SessionSettings(variables={"name": "Ada", "vip": True}),
            ),
            (
                wish.Send(evi.AssistantInput("Hello.")),
                given("send", "assistant_input"),
                evi.AssistantInput("Hello."),
            ),
            (
                wish.Send(evi.UserInput("Hello?")),
                given("send", "user_input"),
                evi.UserInput("Hello?"),
            ),
            (
                wish.Send(evi.SessionSettings(voice_id="a-voice")),
                given("send", "session_settings"),
                evi.SessionSettings(voice_id="a-voice"),
            ),
            (wish.Send(ANSWER), given("send", "tool_response"), ANSWER),
        ],
    )
    def test_what_an_operator_asks_for_is_told_to_the_chat(
        self,
        sidecar: Sidecar,
        command: wish.OperatorCommand,
        event: events.CommandGiven,
        message: evi.ClientMessage,
    ) -> None:
        sidecar.ask(command)

        assert sidecar.take() == [act.Publish(event), act.Tell(message)]

    def test_variables_of_the_chats_own_client_stay(self, sidecar: Sidecar) -> None:
        sidecar.say(evi.SessionSettings(variables={"shop": "Lantern"}), is_replay=True)
        sidecar.ask(wish.SetVariables({"name": "Ada"}))

        assert sidecar.told() == [evi.SessionSettings(variables={"shop": "Lantern", "name": "Ada"})]

    @pytest.mark.parametrize("pause", [wish.Pause(), wish.Send(evi.PauseAssistant())])
    @pytest.mark.parametrize("resume", [wish.Resume(), wish.Send(evi.ResumeAssistant())])
    def test_the_agent_is_paused_until_it_is_resumed(
        self, sidecar: Sidecar, pause: wish.OperatorCommand, resume: wish.OperatorCommand
    ) -> None:
        sidecar.ask(pause)
        sidecar.ask(pause)
        assert sidecar.take() == [
            act.Publish(given("pause")),
            act.Tell(evi.PauseAssistant()),
            act.Publish(events.AgentPaused()),
        ]
        state = sidecar.session.state()
        assert (state.is_paused, state.paused_by, state.doing) == (True, "Ada", CallState.PAUSED)

        sidecar.ask(resume)
        sidecar.ask(resume)
        assert sidecar.take() == [
            act.Publish(given("resume")),
            act.Tell(evi.ResumeAssistant()),
            act.Publish(events.AgentResumed()),
        ]
        assert not sidecar.session.state().is_paused

    def test_an_agent_that_somebody_else_has_paused_can_be_resumed(self, sidecar: Sidecar) -> None:
        sidecar.ask(wish.Resume())

        assert sidecar.told() == [evi.ResumeAssistant()]

    def test_a_pause_that_has_not_arrived_is_told_to_the_next_mirror(
        self, sidecar: Sidecar
    ) -> None:
        sidecar.ask(wish.Pause())
        (pause,) = sidecar.told()
        sidecar.session.missed([pause], sidecar.now_s)

        assert sidecar.return_at_once().told() == [evi.PauseAssistant()]

    def test_a_pause_that_has_arrived_is_not_told_again(self, sidecar: Sidecar) -> None:
        sidecar.ask(wish.Pause())
        sidecar.take()

        assert sidecar.return_at_once().told() == []

    @pytest.mark.parametrize(
        "command", [wish.Say("Hello."), wish.Send(evi.AssistantInput("Hello."))]
    )
    def test_a_paused_agent_says_nothing(
        self, sidecar: Sidecar, command: wish.OperatorCommand
    ) -> None:
        sidecar.ask(wish.Pause())

        with pytest.raises(CommandRefused) as refusal:
            sidecar.ask(command)
        assert refusal.value.code == "agent_is_paused"

    def test_what_a_tool_says_meanwhile_is_said_later(self, sidecar: Sidecar) -> None:
        sidecar.ask(wish.Pause())
        sidecar.take()
        sidecar.do(sidecar.session.say("It is done.", sidecar.now_s))
        assert sidecar.told() == []

        sidecar.ask(wish.Resume())
        assert sidecar.told() == [evi.ResumeAssistant(), evi.AssistantInput("It is done.")]
        sidecar.do(sidecar.session.say("Really.", sidecar.now_s))
        assert sidecar.told() == [evi.AssistantInput("Really.")]

    @pytest.mark.parametrize(
        "command",
        [wish.Hold(), wish.Release(), wish.HangUp(), wish.Transfer("+14155550100")],
    )
    def test_the_callers_line_is_not_here(
        self, sidecar: Sidecar, command: wish.OperatorCommand
    ) -> None:
        with pytest.raises(CommandRefused, match="whoever has opened the chat") as refusal:
            sidecar.ask(command)
        assert refusal.value.code == "not_here"

    def test_the_format_of_the_audio_is_not_ours_to_change(self, sidecar: Sidecar) -> None:
        settings = evi.SessionSettings(audio=evi.AudioFormat(8000))

        with pytest.raises(CommandRefused) as refusal:
            sidecar.ask(wish.Send(settings))
        assert refusal.value.code == "audio_is_fixed"

    def test_an_operator_answers_in_place_of_a_tool_once(self, sidecar: Sidecar) -> None:
        by_hand = evi.ToolResponse("call_1", "by hand")
        sidecar.say(LOOK)
        sidecar.take()
        sidecar.ask(wish.Send(by_hand))
        sidecar.finish(ANSWER)

        assert sidecar.take() == [
            act.Publish(given("send", "tool_response")),
            act.CancelTool("call_1"),
            act.Tell(by_hand),
            act.Publish(events.ToolFinished("call_1", "look", "answered", "by hand")),
        ]
        with pytest.raises(CommandRefused) as refusal:
            sidecar.ask(wish.Send(evi.ToolError("call_1", "no")))
        assert refusal.value.code == "tool_is_not_open"

    def test_a_call_that_an_operator_has_answered_does_not_run_later(
        self, sidecar: Sidecar
    ) -> None:
        sidecar.ask(wish.Send(ANSWER))
        sidecar.take()
        sidecar.call(LOOK)

        assert sidecar.take() == []


class TestTheEnd:
    def test_a_call_may_not_last_for_ever_but_the_chat_goes_on(self, sidecar: Sidecar) -> None:
        sidecar.wait(LIMITS.call_s - 1)
        sidecar.say(LOOK)
        sidecar.take()
        sidecar.wait(1)

        ended, told, *rest = sidecar.take()
        assert ended == act.HangUp(EndReason.MAX_DURATION)
        assert isinstance(told, act.Tell)
        assert isinstance(told.message, evi.ToolError)
        assert (told.message.tool_call_id, told.message.code) == ("call_1", "cancelled")
        assert rest == [
            act.CancelTool("call_1"),
            act.Publish(events.ToolFinished("call_1", "look", "cancelled")),
            act.Publish(events.CallEnded(EndReason.MAX_DURATION)),
        ]
        assert sidecar.doing is CallState.ENDED

    @pytest.mark.parametrize("is_cut_off", [False, True])
    def test_an_agent_that_was_paused_from_here_speaks_again(
        self, sidecar: Sidecar, *, is_cut_off: bool
    ) -> None:
        sidecar.ask(wish.Pause())
        if is_cut_off:
            sidecar.session.missed(sidecar.told(), sidecar.now_s)
        sidecar.take()
        sidecar.do(sidecar.session.ended_by(EndReason.SHUTDOWN, sidecar.now_s))

        actions = sidecar.take()
        assert act.Tell(evi.ResumeAssistant()) in actions
        assert act.Publish(events.AgentResumed()) in actions
        assert actions[-1] == act.Publish(events.CallEnded(EndReason.SHUTDOWN))

    def test_a_chat_that_is_over_is_told_nothing(self, sidecar: Sidecar) -> None:
        sidecar.ask(wish.Pause())
        sidecar.take()
        sidecar.do(sidecar.session.webhook_ended(sidecar.now_s))

        assert sidecar.told() == []

    def test_nothing_follows_the_end(self, sidecar: Sidecar) -> None:
        sidecar.do(sidecar.session.ended_by(EndReason.SHUTDOWN, sidecar.now_s))
        sidecar.take()
        sidecar.call(LOOK)
        sidecar.say(user("Hello?"))
        sidecar.lose(MirrorFate.CHAT_IS_OVER)
        session, now_s = sidecar.session, sidecar.now_s
        for actions in (
            session.ended_by(EndReason.FAULT, now_s),
            session.webhook_ended(now_s),
            session.tool_finished("call_1", ANSWER, now_s),
            session.tool_delivered("Done.", now_s),
            session.say("Hello.", now_s),
            session.set_context("Hello.", now_s),
            session.woke(now_s),
        ):
            sidecar.do(actions)

        assert sidecar.take() == []
        assert session.next_wake_s is None
        with pytest.raises(CommandRefused) as refusal:
            sidecar.ask(wish.Say("Hello."))
        assert refusal.value.code == "call_is_over"
