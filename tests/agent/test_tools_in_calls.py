"""Tools in whole calls, in virtual time: what the caller hears and what the server is told."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from evibridge import events
from evibridge.agent import evi_messages as evi
from evibridge.errors import ToolUnavailable
from evibridge.events import EndReason, ToolPath
from evibridge.tools_registry.context import ToolContext
from evibridge.tools_registry.progress import Verdict
from evibridge.tools_registry.registry import Tools
from tests.agent.stage import HOLD, MemoryChat, Stage
from tests.virtual_clock import run_in_virtual_time


def use_tool(chat: MemoryChat, name: str, tool_call_id: str = "call_1") -> None:
    """The model uses a tool, without arguments."""
    chat.say(type="tool_call", tool_call_id=tool_call_id, name=name, parameters="{}")


def play(tools: Tools, scene: Callable[[Stage], Awaitable[None]]) -> Stage:
    """A call of which the scene is played; the caller hangs up if nobody else does."""

    async def act() -> Stage:
        stage = Stage(tools)
        await stage.talk(1)
        await scene(stage)
        if not stage.call.is_over:
            await stage.leave()
        await stage.ended()
        return stage

    return run_in_virtual_time(act())


def texts(chat: MemoryChat) -> list[str]:
    """What the agent was told to speak word for word."""
    return [message["text"] for message in chat.of_type("assistant_input")]


def contexts(chat: MemoryChat) -> list[Any]:
    return [each["context"] for each in chat.of_type("session_settings") if "context" in each]


def test_what_a_tool_asks_for_happens_before_its_answer_is_told(tools: Tools) -> None:
    @tools.tool
    async def look(call: ToolContext) -> str:
        """Look."""
        await call.say("Let me see.")
        call.set_context("The caller is in a hurry.")
        return call.tool_call_id

    async def scene(stage: Stage) -> None:
        use_tool(stage.evi.chats[0], "look")
        await stage.talk(1)

    chat = play(tools, scene).evi.chats[0]

    kinds = [message["type"] for message in chat.told]
    assert kinds == ["session_settings", "assistant_input", "session_settings", "tool_response"]
    assert texts(chat) == ["Let me see."]
    assert contexts(chat) == [{"text": "The caller is in a hurry.", "type": "persistent"}]
    assert chat.of_type("tool_response")[0]["content"] == "call_1"


def test_keys_are_heard_by_the_other_side(tools: Tools) -> None:
    @tools.tool
    async def press(call: ToolContext) -> None:
        """Press."""
        call.send_digits("12#")

    async def scene(stage: Stage) -> None:
        use_tool(stage.evi.chats[0], "press")
        await stage.talk(2)

    stage = play(tools, scene)

    ((begin_s, end_s),) = stage.phone.sounds
    assert end_s - begin_s == pytest.approx(0.6)
    assert stage.of_type(events.DigitsSent) == [events.DigitsSent("12#")]
    assert stage.of_type(events.AgentHeard) == []


def test_a_caller_is_put_through_after_the_agents_last_word(tools: Tools) -> None:
    @tools.tool
    async def ask_the_workshop(call: ToolContext) -> str:
        """Put through."""
        await call.transfer("+14155550100")
        return "Putting through."

    def answer(chat: MemoryChat, message: dict[str, Any]) -> None:
        if message["type"] == "tool_response":
            chat.speak("u1", "I put you through.", 1500)

    async def scene(stage: Stage) -> None:
        stage.evi.on_message = answer
        use_tool(stage.evi.chats[0], "ask_the_workshop")
        await stage.talk(4)

    stage = play(tools, scene)

    assert stage.phone.transferred_to == "+14155550100"
    assert stage.phone.hung_up_for is EndReason.TRANSFERRED
    ((begin_s, end_s),) = stage.phone.sounds
    assert end_s - begin_s == pytest.approx(1.5)


def test_the_agents_last_words_are_the_tools(tools: Tools) -> None:
    @tools.tool
    async def leave(call: ToolContext) -> str:
        """End."""
        await call.end_with("Goodbye, and thank you.")
        return "Done."

    def answer(chat: MemoryChat, message: dict[str, Any]) -> None:
        if message["type"] == "assistant_input":
            chat.speak("u1", message["text"], 1000)
        if message["type"] == "tool_response":
            chat.speak("u2", "Is there anything else?", 2000)

    async def scene(stage: Stage) -> None:
        stage.evi.on_message = answer
        use_tool(stage.evi.chats[0], "leave")
        await stage.talk(4)

    stage = play(tools, scene)

    assert stage.phone.hung_up_for is EndReason.AGENT_HUNG_UP
    assert [said.text for said in stage.of_type(events.AgentSaid)] == ["Goodbye, and thank you."]
    ((begin_s, end_s),) = stage.phone.sounds
    assert end_s - begin_s == pytest.approx(1.0)


class TestSlowTools:
    def test_the_caller_is_told_to_wait_once(self, tools: Tools) -> None:
        @tools.tool(holding=HOLD, holding_after_s=2)
        async def slow() -> str:
            """Take long."""
            await asyncio.sleep(4)
            return "found"

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "slow")
            await stage.talk(1.8)
            assert texts(stage.evi.chats[0]) == []
            await stage.talk(4)

        chat = play(tools, scene).evi.chats[0]

        assert [each["type"] for each in chat.told[1:]] == ["assistant_input", "tool_response"]
        assert texts(chat) == [HOLD]

    def test_nobody_is_told_to_wait_for_a_quick_one(self, tools: Tools) -> None:
        @tools.tool(holding=HOLD, holding_after_s=2)
        async def quick() -> str:
            """Take a second."""
            await asyncio.sleep(1)
            return "found"

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "quick")
            await stage.talk(5)

        assert texts(play(tools, scene).evi.chats[0]) == []

    def test_one_that_was_given_up_says_nothing_any_more(self, tools: Tools) -> None:
        @tools.tool(timeout=1)
        async def stubborn(call: ToolContext) -> str:
            """Go on after the deadline."""
            try:
                await asyncio.sleep(3)
            except asyncio.CancelledError:
                call.say("I am still here.")
                call.hang_up()
                raise
            return ""

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "stubborn")
            await stage.talk(5)

        stage = play(tools, scene)

        assert texts(stage.evi.chats[0]) == []
        assert stage.phone.hung_up_for is EndReason.CALLER_HUNG_UP


class TestApproval:
    def test_the_tool_runs_when_an_operator_approves(
        self, tools: Tools, refunded: list[str]
    ) -> None:
        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "refund")
            await stage.talk(5)
            assert (refunded, texts(stage.evi.chats[0])) == ([], [HOLD])
            assert stage.call.decide("call_1", Verdict(is_approved=True), "Ada")
            assert not stage.call.decide("call_1", Verdict(is_approved=False), "Bob")
            await stage.talk(1)

        stage = play(tools, scene)

        assert refunded == ["call_1"]
        assert stage.evi.chats[0].of_type("tool_response")[0]["content"] == "refunded"
        assert [given.by for given in stage.of_type(events.ApprovalGiven)] == ["Ada"]

    def test_the_model_learns_that_it_was_declined(self, tools: Tools, refunded: list[str]) -> None:
        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "refund")
            await stage.talk(1)
            stage.call.decide("call_1", Verdict(is_approved=False, reason="Too late."), "Ada")
            await stage.talk(1)

        stage = play(tools, scene)

        assert refunded == []
        (error,) = stage.evi.chats[0].of_type("tool_error")
        assert error["code"] == "declined"
        assert error["content"].endswith("Too late.")

    def test_nobody_waits_for_ever(self, tools: Tools, refunded: list[str]) -> None:
        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "refund")
            await stage.talk(25)
            assert not stage.call.decide("call_1", Verdict(is_approved=True), "Ada")

        stage = play(tools, scene)

        assert refunded == []
        (error,) = stage.evi.chats[0].of_type("tool_error")
        assert error["code"] == "not_approved"

    def test_an_approval_given_while_the_chat_is_lost_counts(
        self, tools: Tools, refunded: list[str]
    ) -> None:
        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "refund")
            await stage.talk(1)
            stage.evi.chats[0].end(1006)
            await asyncio.sleep(0.01)
            stage.call.decide("call_1", Verdict(is_approved=True), "Ada")
            await stage.talk(2)

        stage = play(tools, scene)

        assert refunded == ["call_1"]
        assert stage.evi.chats[1].of_type("tool_response")[0]["tool_call_id"] == "call_1"


class TestBackground:
    def test_the_model_goes_on_and_learns_the_result_with_its_next_answer(
        self, tools: Tools
    ) -> None:
        @tools.tool(background=True)
        async def search() -> str:
            """Search for long."""
            await asyncio.sleep(20)
            return "three books"

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "search")
            await stage.talk(25)

        stage = play(tools, scene)
        chat = stage.evi.chats[0]

        (answer,) = chat.of_type("tool_response")
        assert answer["content"].startswith("Started.")
        (context,) = contexts(chat)
        assert "search" in context["text"]
        assert "three books" in context["text"]
        delivered = events.ToolDelivered("call_1", "search", "answered")
        assert stage.of_type(events.ToolDelivered) == [delivered]

    def test_a_failure_is_delivered_as_well(self, tools: Tools) -> None:
        @tools.tool(background=True, fallback="The search is broken.")
        async def search() -> str:
            """Search in vain."""
            raise ToolUnavailable("cannot be used")

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "search")
            await stage.talk(1)

        stage = play(tools, scene)

        assert contexts(stage.evi.chats[0])[0]["text"].endswith("The search is broken.")
        assert stage.of_type(events.ToolDelivered)[0].outcome == "unavailable"

    def test_it_comes_to_its_end_though_the_caller_has_left(self, tools: Tools) -> None:
        sent: list[str] = []

        @tools.tool(background=True)
        async def send_letter() -> None:
            """Send a letter."""
            await asyncio.sleep(3)
            sent.append("letter")

        async def act() -> EndReason:
            stage = Stage(tools)
            await stage.talk(1)
            use_tool(stage.evi.chats[0], "send_letter")
            await stage.talk(1)
            reason = await stage.leave()
            assert sent == []
            await asyncio.sleep(5)
            return reason

        assert run_in_virtual_time(act()) is EndReason.CALLER_HUNG_UP
        assert sent == ["letter"]

    def test_a_silent_one_is_never_heard_of_again(self, tools: Tools) -> None:
        noted: list[str] = []

        @tools.tool(silent=True)
        async def note_mood(call: ToolContext) -> str:
            """Note the caller's mood."""
            noted.append(call.call_id)
            return "noted"

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "note_mood")
            await stage.talk(1)

        stage = play(tools, scene)

        assert noted == ["CA1"]
        (answer,) = stage.evi.chats[0].of_type("tool_response")
        assert answer["content"].startswith("Done.")
        assert contexts(stage.evi.chats[0]) == []


def test_a_call_that_comes_again_in_the_next_chat_is_answered_and_not_run_again(
    tools: Tools,
) -> None:
    orders: list[str] = []

    @tools.tool
    async def order(call: ToolContext) -> str:
        """Order."""
        orders.append(call.tool_call_id)
        return f"order number {len(orders)}"

    async def scene(stage: Stage) -> None:
        use_tool(stage.evi.chats[0], "order")
        await stage.talk(1)
        stage.evi.chats[0].end(1006)
        await stage.talk(2)
        for _ in range(2):
            use_tool(stage.evi.chats[1], "order")
            await stage.talk(1)

    stage = play(tools, scene)

    assert orders == ["call_1"]
    answers = [chat.of_type("tool_response") for chat in stage.evi.chats]
    assert [[answer["content"] for answer in each] for each in answers] == [["order number 1"]] * 2
    assert len(stage.of_type(events.ToolStarted)) == len(stage.of_type(events.ToolFinished)) == 1


class _Storm:
    """Tool calls, repeats, changes of mind and lost chats, in a random order.

    Every chat counts the answers it is given.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.tools = Tools()
        self.ran: Counter[str] = Counter()
        self.answers: Counter[tuple[int, str]] = Counter()
        self.asked: list[tuple[str, int]] = []
        """Ids and pieces of work; the newest last."""

        @self.tools.tool(holding=HOLD, holding_after_s=0.5, timeout=2)
        async def work(call: ToolContext, number: int) -> str:
            """Work for a while.

            Args:
                call: the call
                number: of the piece of work
            """
            self.ran[call.tool_call_id] += 1
            await asyncio.sleep(self.random.choice([0, 0.1, 0.7, 1.9, 3]))
            return f"{number} is done"

    def note(self, chat: MemoryChat, message: dict[str, Any]) -> None:
        if message["type"] in ("tool_response", "tool_error"):
            number = chat.server.chats.index(chat)
            self.answers[number, message["tool_call_id"]] += 1

    async def blow(self) -> Stage:
        stage = Stage(self.tools)
        stage.evi.on_message = self.note
        await stage.talk(1)
        for number in range(self.random.randint(1, 12)):
            self._something_happens(stage, number)
            await asyncio.sleep(self.random.choice([0, 0.01, 0.3, 1]))
        await asyncio.sleep(8)
        await stage.leave()
        return stage

    def _something_happens(self, stage: Stage, number: int) -> None:
        if not stage.evi.open_chats:
            return
        chat = stage.evi.open_chats[-1]
        match self.random.choice(["new", "new", "same", "again", "mind", "loss"]):
            case "new":
                self._ask(stage, chat, f"call_{number}", number)
            case "same":
                self._ask(stage, chat, f"call_{number}", 0)
            case "again" if self.asked:
                self._ask(stage, chat, *self.random.choice(self.asked))
            case "mind":
                chat.hear("Something else, please.")
            case "loss":
                chat.end(1006)

    def _ask(self, stage: Stage, chat: MemoryChat, tool_call_id: str, number: int) -> None:
        """The same call comes by the chat, and perhaps by a mirror and by webhooks, at any time."""
        self.asked.append((tool_call_id, number))
        parameters = f'{{"number":{number}}}'
        call = evi.ToolCall(tool_call_id, "work", parameters)
        paths = self.random.choices([*ToolPath], k=self.random.randint(0, 3))
        for path in (each for each in paths if each is not ToolPath.SOCKET):
            delay_s = self.random.choice([0, 0.005, 0.2, 2])
            asyncio.get_running_loop().call_later(delay_s, stage.call.tool_called, call, path)
            if delay_s == 0:
                stage.call.tool_called(call, path)
        chat.say(type="tool_call", tool_call_id=tool_call_id, name="work", parameters=parameters)


@pytest.mark.parametrize("tenth", range(10))
def test_in_any_storm_each_tool_call_runs_once_and_is_answered_once_in_a_chat(tenth: int) -> None:
    for seed in range(tenth * 100, tenth * 100 + 100):
        storm = _Storm(seed)
        stage = run_in_virtual_time(storm.blow())

        assert set(storm.ran.values()) <= {1}, seed
        assert set(storm.answers.values()) <= {1}, seed
        over = Counter(event.tool_call_id for event in stage.of_type(events.ToolFinished))
        assert set(over.values()) <= {1}, seed
        begun = {event.tool_call_id for event in stage.of_type(events.ToolStarted)}
        assert begun == over.keys(), seed
        outcomes = {each.tool_call_id: each.outcome for each in stage.of_type(events.ToolFinished)}
        answered = {tool_call_id for _, tool_call_id in storm.answers}
        dead = {each for each in begun if outcomes[each] in ("superseded", "cancelled")}
        assert answered == begun - dead, seed


def test_the_log_says_in_a_sentence_why_there_is_no_result(tools: Tools) -> None:
    @tools.tool
    async def open_door() -> object:
        """Return what cannot be told."""
        return object()

    async def scene(stage: Stage) -> None:
        use_tool(stage.evi.chats[0], "open_door")
        await stage.talk(1)

    with capture_logs() as logs:
        play(tools, scene)

    (line,) = [line for line in logs if line["event"] == "tool_gave_no_result"]
    assert (line["code"], line["log_level"]) == ("bad_result", "warning")
    assert line["why"].startswith("The tool open_door returned what has no JSON form")
