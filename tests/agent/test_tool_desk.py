from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from evibridge import events
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, CancelTool, Publish, StartTool, Tell, TellVerdict
from evibridge.agent.tool_desk import MAX_OPEN_TOOLS, MAX_REMEMBERED, Answer, ToolDesk
from evibridge.tools_registry.progress import Verdict

ORDER = '{"title":"Emma"}'


def tool_call(tool_call_id: str, name: str = "order", parameters: str = ORDER) -> evi.ToolCall:
    return evi.ToolCall(tool_call_id, name, parameters)


def response(tool_call_id: str, content: str = "Ordered.") -> evi.ToolResponse:
    return evi.ToolResponse(tool_call_id, content, tool_name="order")


def started(tool_call_id: str) -> Publish:
    return Publish(events.ToolStarted(tool_call_id, "order", ORDER))


def finished(tool_call_id: str, outcome: str = "answered") -> Publish:
    content = "Ordered." if outcome == "answered" else None
    return Publish(events.ToolFinished(tool_call_id, "order", outcome, content))


def desk_with(*tool_call_ids: str) -> ToolDesk:
    """A desk at which so many different orders are being worked on."""
    desk = ToolDesk()
    for tool_call_id in tool_call_ids:
        call = tool_call(tool_call_id, "order", f'{{"title":"{tool_call_id}"}}')
        assert StartTool(call) in desk.called(call)
    return desk


def desk_at_work() -> ToolDesk:
    desk = ToolDesk()
    desk.called(tool_call("call_1"))
    return desk


class TestACall:
    def test_it_starts_a_tool(self) -> None:
        desk = ToolDesk()

        actions = desk.called(tool_call("call_1"))

        assert actions == [StartTool(tool_call("call_1")), started("call_1")]
        assert desk.open_names == ("order",)
        assert not desk.is_idle

    def test_its_answer_is_told(self) -> None:
        desk = desk_at_work()

        actions = desk.finished("call_1", response("call_1"), has_chat=True)

        assert actions == [Tell(response("call_1")), finished("call_1")]
        assert desk.is_idle
        assert desk.open_names == ()

    @pytest.mark.parametrize(("code", "outcome"), [("timeout", "timeout"), (None, "failed")])
    def test_its_failure_is_told_by_its_code(self, code: str | None, outcome: str) -> None:
        desk = desk_at_work()
        error = evi.ToolError("call_1", error="It took too long.", code=code)

        assert desk.finished("call_1", error, has_chat=True) == [
            Tell(error),
            finished("call_1", outcome),
        ]

    def test_it_is_answered_only_once(self) -> None:
        desk = desk_at_work()
        desk.finished("call_1", response("call_1"), has_chat=True)

        assert desk.finished("call_1", response("call_1", "Again."), has_chat=True) == []

    def test_an_answer_to_no_call_is_dropped(self) -> None:
        assert ToolDesk().finished("call_1", response("call_1"), has_chat=True) == []

    def test_a_replay_starts_nothing(self) -> None:
        desk = desk_at_work()
        assert desk.called(tool_call("call_1")) == []

        desk.finished("call_1", response("call_1"), has_chat=True)
        assert desk.called(tool_call("call_1")) == []

    def test_very_old_ids_are_forgotten(self) -> None:
        desk = ToolDesk()
        for number in range(MAX_REMEMBERED + 1):
            desk.called(tool_call(f"call_{number}"))
            desk.finished(f"call_{number}", response(f"call_{number}"), has_chat=True)

        assert desk.called(tool_call("call_1")) == []
        assert StartTool(tool_call("call_0")) in desk.called(tool_call("call_0"))

    @pytest.mark.parametrize(
        "call",
        [
            evi.ToolCall(
                "call_1", "web_search", "{}", response_required=False, tool_type="builtin"
            ),
            evi.ToolCall("call_1", "web_search", "{}", response_required=True, tool_type="builtin"),
            evi.ToolCall("call_1", "order", ORDER, response_required=False),
        ],
    )
    def test_one_that_wants_no_answer_of_ours_starts_nothing(self, call: evi.ToolCall) -> None:
        assert ToolDesk().called(call) == []

    def test_one_too_many_is_told_so(self) -> None:
        desk = desk_with(*(f"call_{number}" for number in range(MAX_OPEN_TOOLS)))

        told, begun, over = desk.called(tool_call("call_9"))

        assert (begun, over) == (started("call_9"), finished("call_9", "busy"))
        assert isinstance(told, Tell)
        assert isinstance(told.message, evi.ToolError)
        assert (told.message.tool_call_id, told.message.code) == ("call_9", "busy")
        assert desk.finished("call_9", response("call_9"), has_chat=True) == []


class TestAChangeOfMind:
    def test_the_next_call_supersedes_the_open_one(self) -> None:
        desk = desk_at_work()
        desk.caller_spoke()

        assert desk.called(tool_call("call_2")) == [
            CancelTool("call_1"),
            finished("call_1", "superseded"),
            StartTool(tool_call("call_2")),
            started("call_2"),
        ]
        assert desk.finished("call_1", response("call_1"), has_chat=True) == []

    def test_without_words_of_the_caller_both_go_on(self) -> None:
        desk = desk_at_work()
        desk.called(tool_call("call_2", "price"))

        assert desk.open_names == ("order", "price")

    def test_words_alone_supersede_nothing(self) -> None:
        desk = desk_at_work()
        desk.caller_spoke()

        assert desk.finished("call_1", response("call_1"), has_chat=True) == [
            Tell(response("call_1")),
            finished("call_1"),
        ]

    def test_it_makes_room_for_the_new_call(self) -> None:
        desk = desk_with(*(f"call_{number}" for number in range(MAX_OPEN_TOOLS)))
        desk.caller_spoke()

        assert StartTool(tool_call("call_9")) in desk.called(tool_call("call_9"))
        assert desk.open_names == ("order",)


class TestALostChat:
    def test_an_answer_without_a_chat_is_owed_to_the_next_one(self) -> None:
        desk = desk_at_work()
        desk.chat_lost()

        assert desk.finished("call_1", response("call_1"), has_chat=False) == [finished("call_1")]
        assert desk.is_idle
        assert desk.chat_opened() == [Tell(response("call_1"))]
        assert desk.chat_opened() == []

    def test_a_tool_that_is_done_later_is_answered_in_the_next_chat(self) -> None:
        desk = desk_at_work()
        desk.chat_lost()
        assert desk.chat_opened() == []

        assert desk.finished("call_1", response("call_1"), has_chat=True) == [
            Tell(response("call_1")),
            finished("call_1"),
        ]

    def test_the_next_chat_asking_for_the_same_gets_what_is_known(self) -> None:
        desk = desk_at_work()
        desk.chat_lost()
        desk.finished("call_1", response("call_1"), has_chat=False)
        desk.chat_opened()

        assert desk.called(tool_call("call_2")) == [
            started("call_2"),
            Tell(response("call_2")),
            finished("call_2"),
        ]

    def test_what_was_answered_before_the_loss_is_known_as_well(self) -> None:
        desk = desk_at_work()
        desk.finished("call_1", response("call_1"), has_chat=True)
        desk.chat_lost()
        desk.chat_opened()

        assert Tell(response("call_2")) in desk.called(tool_call("call_2"))

    def test_what_is_known_is_given_once(self) -> None:
        desk = desk_at_work()
        desk.finished("call_1", response("call_1"), has_chat=True)
        desk.chat_lost()
        desk.chat_opened()
        desk.called(tool_call("call_2"))

        assert StartTool(tool_call("call_3")) in desk.called(tool_call("call_3"))

    def test_what_was_answered_before_the_caller_spoke_last_is_not_known(self) -> None:
        desk = desk_at_work()
        desk.finished("call_1", response("call_1"), has_chat=True)
        desk.caller_spoke()
        desk.chat_lost()
        desk.chat_opened()

        assert StartTool(tool_call("call_2")) in desk.called(tool_call("call_2"))

    def test_a_tool_done_after_the_caller_spoke_is_known_when_another_is_superseded(self) -> None:
        desk = desk_with("call_1", "call_2")
        desk.caller_spoke()
        desk.chat_lost()
        desk.finished("call_1", response("call_1"), has_chat=False)
        desk.chat_opened()

        actions = desk.called(tool_call("call_3", parameters='{"title":"call_1"}'))

        assert actions[:2] == [CancelTool("call_2"), finished("call_2", "superseded")]
        assert Tell(response("call_3")) in actions

    def test_the_next_chat_asking_for_the_same_waits_for_the_tool_that_runs(self) -> None:
        desk = desk_at_work()
        desk.chat_lost()
        desk.chat_opened()

        assert desk.called(tool_call("call_2")) == [
            started("call_2"),
            finished("call_1", "superseded"),
        ]
        assert desk.open_names == ("order",)
        assert desk.finished("call_1", response("call_1"), has_chat=True) == [
            Tell(response("call_2")),
            finished("call_2"),
        ]

    def test_a_tool_that_serves_another_call_is_cancelled_by_the_id_it_was_started_with(
        self,
    ) -> None:
        desk = desk_at_work()
        desk.chat_lost()
        desk.called(tool_call("call_2"))
        desk.caller_spoke()

        assert desk.called(tool_call("call_3"))[:2] == [
            CancelTool("call_1"),
            finished("call_2", "superseded"),
        ]

    def test_it_can_happen_twice(self) -> None:
        desk = desk_at_work()
        for number in (2, 3):
            desk.chat_lost()
            desk.chat_opened()
            desk.called(tool_call(f"call_{number}"))

        assert Tell(response("call_3")) in desk.finished(
            "call_1", response("call_1"), has_chat=True
        )

    def test_a_call_for_something_else_is_another_call(self) -> None:
        desk = desk_at_work()
        desk.chat_lost()
        desk.called(tool_call("call_2", parameters="{}"))
        desk.called(tool_call("call_3", "price"))

        assert desk.open_names == ("order", "order", "price")

    def test_what_is_known_is_out_of_date_when_the_caller_speaks(self) -> None:
        desk = desk_at_work()
        desk.chat_lost()
        desk.finished("call_1", response("call_1"), has_chat=False)
        desk.chat_opened()
        desk.caller_spoke()

        assert StartTool(tool_call("call_2")) in desk.called(tool_call("call_2"))

    def test_the_same_call_in_one_chat_runs_again(self) -> None:
        desk = desk_at_work()
        desk.finished("call_1", response("call_1"), has_chat=True)

        assert StartTool(tool_call("call_2")) in desk.called(tool_call("call_2"))


class TestARepeatedCall:
    def test_a_later_chat_gets_the_answer_under_the_same_id_again(self) -> None:
        desk = desk_at_work()
        desk.finished("call_1", response("call_1"), has_chat=True)
        desk.chat_lost()
        desk.chat_opened()

        assert desk.called(tool_call("call_1")) == [StartTool(tool_call("call_1"), is_repeat=True)]
        assert desk.finished("call_1", response("call_1"), has_chat=True) == [
            Tell(response("call_1"))
        ]
        assert desk.called(tool_call("call_1")) == []

    def test_it_is_not_told_of_as_another_use_of_the_tool(self) -> None:
        desk = desk_at_work()
        desk.finished("call_1", response("call_1"), has_chat=True)
        desk.chat_lost()
        desk.chat_opened()
        desk.called(tool_call("call_1"))

        assert desk.drop_all() == [CancelTool("call_1")]

    def test_the_answer_is_not_given_to_another_call_as_well(self) -> None:
        desk = desk_at_work()
        desk.finished("call_1", response("call_1"), has_chat=True)
        desk.chat_lost()
        desk.chat_opened()
        desk.called(tool_call("call_1"))

        assert StartTool(tool_call("call_2")) in desk.called(tool_call("call_2"))

    def test_a_tool_that_still_runs_answers_the_later_chat(self) -> None:
        desk = desk_at_work()
        desk.chat_lost()
        desk.chat_opened()

        assert desk.called(tool_call("call_1")) == []
        assert StartTool(tool_call("call_2")) in desk.called(tool_call("call_2"))
        assert desk.finished("call_1", response("call_1"), has_chat=True) == [
            Tell(response("call_1")),
            finished("call_1"),
        ]

    def test_an_answer_that_was_owed_is_not_given_twice(self) -> None:
        desk = desk_at_work()
        desk.chat_lost()
        desk.finished("call_1", response("call_1"), has_chat=False)
        desk.chat_opened()

        assert desk.called(tool_call("call_1")) == []

    def test_one_that_was_superseded_stays_dead_in_later_chats(self) -> None:
        desk = desk_at_work()
        desk.caller_spoke()
        desk.called(tool_call("call_2", "price"))
        desk.chat_lost()
        desk.chat_opened()

        assert desk.called(tool_call("call_1")) == []

    @pytest.mark.parametrize("was_answered", [True, False])
    def test_another_function_under_its_id_is_another_call(self, *, was_answered: bool) -> None:
        desk = desk_at_work()
        if was_answered:
            desk.finished("call_1", response("call_1"), has_chat=True)
        desk.chat_lost()
        desk.chat_opened()
        other = tool_call("call_1", "price")

        actions = desk.called(other)

        assert StartTool(other) in actions
        assert (CancelTool("call_1") in actions) is not was_answered
        assert desk.open_names == ("price",)

    def test_the_id_of_a_call_that_is_dead_may_be_given_to_another(self) -> None:
        desk = desk_at_work()
        desk.caller_spoke()
        desk.called(tool_call("call_2", "hours"))

        assert StartTool(tool_call("call_1", "price")) in desk.called(tool_call("call_1", "price"))

    def test_a_chat_that_gives_one_id_twice_is_answered_once(self) -> None:
        desk = desk_at_work()
        assert desk.called(tool_call("call_1", "price")) == []
        desk.finished("call_1", response("call_1"), has_chat=True)

        assert desk.called(tool_call("call_1", "price")) == []


class TestAWaitingCaller:
    def test_the_sentence_is_taken_once(self) -> None:
        desk = desk_at_work()
        desk.holds("call_1", "One moment.")

        had_some = desk.has_holding
        assert desk.take_holding() == ["One moment."]
        assert (had_some, desk.has_holding) == (True, False)
        assert desk.take_holding() == []

    def test_what_he_was_told_is_known_as_long_as_the_tool_runs(self) -> None:
        desk = desk_at_work()
        desk.holds("call_1", "One moment.")
        assert desk.told_holding("call_1") is None
        desk.take_holding()

        assert desk.told_holding("call_1") == "One moment."
        assert desk.told_holding("call_2") is None

    def test_a_caller_who_wants_something_else_does_not_wait(self) -> None:
        desk = desk_at_work()
        desk.caller_spoke()
        desk.holds("call_1", "One moment.")

        assert not desk.has_holding

    def test_nobody_is_held_by_a_tool_that_is_done(self) -> None:
        desk = desk_at_work()
        desk.holds("call_1", "One moment.")
        desk.finished("call_1", response("call_1"), has_chat=True)
        desk.holds("call_1", "One moment.")

        assert not desk.has_holding


class TestApproval:
    def test_an_operator_is_asked_and_decides(self) -> None:
        desk = desk_at_work()
        yes = Verdict(is_approved=True)

        assert desk.awaits_verdict("call_1", 20.0) == [
            Publish(events.ApprovalWanted("call_1", "order", ORDER, 20.0))
        ]
        assert desk.decided("call_1", yes, "Ada") == [
            TellVerdict("call_1", yes),
            Publish(events.ApprovalGiven("call_1", "order", is_approved=True, by="Ada")),
        ]

    def test_the_first_one_decides(self) -> None:
        desk = desk_at_work()
        desk.awaits_verdict("call_1", 20.0)
        desk.decided("call_1", Verdict(is_approved=False), "Ada")

        assert desk.decided("call_1", Verdict(is_approved=True), "Bob") == []

    def test_a_tool_that_waits_for_nobody_is_not_decided_about(self) -> None:
        desk = desk_at_work()

        assert desk.decided("call_1", Verdict(is_approved=True), "Ada") == []
        assert desk.decided("call_2", Verdict(is_approved=True), "Ada") == []

    def test_one_that_was_superseded_asks_nobody(self) -> None:
        desk = desk_at_work()
        desk.drop_all()

        assert desk.awaits_verdict("call_1", 20.0) == []

    def test_it_is_decided_by_the_id_of_the_call_that_it_serves(self) -> None:
        desk = desk_at_work()
        desk.awaits_verdict("call_1", 20.0)
        desk.chat_lost()
        desk.chat_opened()
        desk.called(tool_call("call_2"))
        yes = Verdict(is_approved=True)

        assert desk.decided("call_2", yes, "Ada") == [
            TellVerdict("call_1", yes),
            Publish(events.ApprovalGiven("call_2", "order", is_approved=True, by="Ada")),
        ]

    def test_operators_are_asked_again_under_the_id_of_the_next_chat(self) -> None:
        desk = desk_at_work()
        desk.awaits_verdict("call_1", 20.0)
        desk.chat_lost()
        desk.chat_opened()

        wanted = Publish(events.ApprovalWanted("call_2", "order", ORDER, 20.0))
        assert wanted in desk.called(tool_call("call_2"))
        yes = Verdict(is_approved=True)
        assert desk.decided("call_1", yes, "Ada")[0] == TellVerdict("call_1", yes)

    def test_nobody_is_asked_any_more_when_the_agent_answers_other_words(self) -> None:
        desk = desk_at_work()
        desk.awaits_verdict("call_1", 20.0)
        assert desk.answered_otherwise() == []
        desk.caller_spoke()

        assert desk.answered_otherwise() == [
            CancelTool("call_1"),
            finished("call_1", "superseded"),
        ]
        assert desk.decided("call_1", Verdict(is_approved=True), "Ada") == []

    def test_a_tool_that_waits_for_nobody_goes_on_meanwhile(self) -> None:
        desk = desk_at_work()
        desk.caller_spoke()

        assert desk.answered_otherwise() == []
        assert desk.open_names == ("order",)


class TestTheEnd:
    def test_all_that_runs_is_cancelled(self) -> None:
        desk = desk_with("call_1", "call_2")

        assert desk.drop_all() == [
            CancelTool("call_1"),
            finished("call_1", "cancelled"),
            CancelTool("call_2"),
            finished("call_2", "cancelled"),
        ]
        assert desk.is_idle
        assert desk.finished("call_1", response("call_1"), has_chat=True) == []

    def test_nothing_is_cancelled_twice(self) -> None:
        desk = desk_at_work()
        desk.drop_all()

        assert desk.drop_all() == []


Wanted = tuple[str, str]
NAMES = st.sampled_from(["order", "price"])
PARAMETERS = st.sampled_from(["{}", ORDER])


class AnyDay(RuleBasedStateMachine):
    """Calls, answers, words of the caller and lost chats in any order."""

    @initialize()
    def begin(self) -> None:
        self.desk = ToolDesk()
        self.has_chat = True
        self.wanted: dict[str, Wanted] = {}
        """What was called for, by the id of the call."""
        self.ran: dict[str, Wanted] = {}
        """Every tool that was ever started, by the id it was started with."""
        self.runs: dict[str, Wanted] = {}
        """Those that run, in the order in which they are looked through."""
        self.orphans: set[str] = set()
        """Those that run for a chat that is lost."""
        self.out_of_date: set[str] = set()
        """Those that ran when the caller spoke."""
        self.known: set[Wanted] = set()
        self.given: set[tuple[str, str]] = set()
        """What tools of a lost chat have brought, since the caller spoke."""
        self.told: dict[str, Answer] = {}
        self.told_here: set[str] = set()
        """Answered to the chat in use."""
        self.repeats: set[str] = set()
        """Calls that were answered to a lost chat and came again."""
        self.owed: set[str] = set()
        self.adopted: dict[str, str] = {}
        self.superseded: set[str] = set()
        self.over: Counter[str] = Counter()

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case StartTool(call):
                    assert call.tool_call_id not in self.ran.keys() - self.repeats
                    self.out_of_date.discard(call.tool_call_id)
                    wanted = (call.name, call.parameters)
                    self.ran[call.tool_call_id] = self.runs[call.tool_call_id] = wanted
                case CancelTool(run):
                    del self.runs[run]
                    self.orphans.discard(run)
                case Tell(evi.ToolResponse() | evi.ToolError() as answer):
                    assert self.has_chat
                    assert answer.tool_call_id not in self.told_here
                    self.told[answer.tool_call_id] = answer
                    self.told_here.add(answer.tool_call_id)
                    self.repeats.discard(answer.tool_call_id)
                    self.owed.discard(answer.tool_call_id)
                case Publish(events.ToolFinished(tool_call_id, _, outcome)):
                    self.over[tool_call_id] += 1
                    if outcome == "superseded":
                        self.superseded.add(tool_call_id)
                    elif tool_call_id not in self.told:
                        self.owed.add(tool_call_id)
                case Publish(events.ToolStarted()):
                    pass
                case other:
                    raise AssertionError(other)

    @precondition(lambda self: self.has_chat)
    @rule(name=NAMES, parameters=PARAMETERS)
    def a_function_is_called(self, name: str, parameters: str) -> None:
        tool_call_id, wanted = f"call_{len(self.wanted)}", (name, parameters)
        self.wanted[tool_call_id] = wanted
        self.do(self.desk.called(tool_call(tool_call_id, name, parameters)))
        assert not self.out_of_date & self.runs.keys()
        if tool_call_id in self.told:
            answer = self.told[tool_call_id]
            is_busy = isinstance(answer, evi.ToolError) and answer.code == "busy"
            assert is_busy is (wanted not in self.known)
            assert not is_busy or len(self.runs) == MAX_OPEN_TOOLS
            self.known.discard(wanted)
            return
        assert wanted not in self.known
        orphan = next((run for run in self.orphans_in_order() if self.runs[run] == wanted), None)
        if tool_call_id not in self.ran:  # a tool that runs already serves this call
            assert orphan is not None
            self.runs[orphan] = self.runs.pop(orphan)
            self.orphans.remove(orphan)
            self.adopted[orphan] = tool_call_id
            self.out_of_date.discard(orphan)
        else:
            assert orphan is None

    def orphans_in_order(self) -> list[str]:
        return [run for run in self.runs if run in self.orphans]

    @precondition(lambda self: self.wanted and self.has_chat)
    @rule(age=st.integers(0, 5))
    def a_call_is_replayed(self, age: int) -> None:
        tool_call_id = f"call_{max(0, len(self.wanted) - 1 - age)}"
        wanted = self.wanted[tool_call_id]
        actions = self.desk.called(tool_call(tool_call_id, *wanted))
        if tool_call_id in self.told.keys() - self.told_here - self.repeats:
            self.repeats.add(tool_call_id)
            self.known.discard(wanted)
            self.do(actions)
        else:
            assert actions == []
            self.orphans -= {run for run in self.orphans if self.serves(run) == tool_call_id}

    def serves(self, run: str) -> str:
        """Id of the call that a tool works for, which is another one once it was adopted."""
        return self.adopted.get(run, run)

    @precondition(lambda self: self.runs)
    @rule(which=st.integers(0, MAX_OPEN_TOOLS - 1), fails=st.booleans())
    def a_tool_is_done(self, which: int, *, fails: bool) -> None:
        run = list(self.runs)[which % len(self.runs)]
        answer: Answer = (
            evi.ToolError(run, error="No.", content=run) if fails else response(run, run)
        )
        given = len(self.told_here) + len(self.owed)
        is_repeat = self.serves(run) in self.repeats
        self.do(self.desk.finished(run, answer, has_chat=self.has_chat))
        if is_repeat and not self.has_chat:
            self.owed.add(self.serves(run))
        assert len(self.told_here) + len(self.owed) == given + 1
        wanted = self.runs.pop(run)
        if run in self.orphans:
            self.orphans.remove(run)
            self.known.add(wanted)
        else:
            self.given.add(wanted)

    @precondition(lambda self: self.ran)
    @rule(age=st.integers(0, 5))
    def an_answer_comes_late(self, age: int) -> None:
        run = list(self.ran)[max(0, len(self.ran) - 1 - age)]
        if run not in self.runs:
            assert self.desk.finished(run, response(run), has_chat=self.has_chat) == []

    @precondition(lambda self: self.has_chat)
    @rule()
    def the_caller_speaks(self) -> None:
        self.desk.caller_spoke()
        self.out_of_date |= self.runs.keys()
        self.known.clear()
        self.given.clear()

    @precondition(lambda self: self.has_chat)
    @rule()
    def the_chat_is_lost(self) -> None:
        self.desk.chat_lost()
        self.orphans |= self.runs.keys()
        self.known |= self.given
        self.given.clear()
        self.told_here.clear()
        self.has_chat = False

    @precondition(lambda self: not self.has_chat)
    @rule()
    def another_chat_is_opened(self) -> None:
        self.has_chat = True
        self.do(self.desk.chat_opened())
        assert not self.owed

    @invariant()
    def the_desk_knows_what_runs(self) -> None:
        assert self.desk.is_idle is (not self.runs)
        assert sorted(self.desk.open_names) == sorted(name for name, _ in self.runs.values())
        assert len(self.runs) <= MAX_OPEN_TOOLS

    @invariant()
    def every_call_has_one_fate(self) -> None:
        assert not self.superseded & (self.told.keys() | self.owed)
        assert not self.owed & self.told_here
        assert all(times == 1 for times in self.over.values())

    @invariant()
    def every_answer_is_to_what_was_asked(self) -> None:
        for tool_call_id, answer in self.told.items():
            if isinstance(answer, evi.ToolError) and answer.code == "busy":
                continue
            assert answer.content is not None
            assert self.wanted[tool_call_id] == self.ran[answer.content]

    def teardown(self) -> None:
        if not hasattr(self, "desk"):
            return
        self.do(self.desk.drop_all())
        assert not self.runs
        assert self.desk.is_idle


TestAnyDay = AnyDay.TestCase
TestAnyDay.settings = settings(max_examples=150)
