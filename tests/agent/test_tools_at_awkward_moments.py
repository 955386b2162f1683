"""Tools at awkward moments: losses, changes of mind, holds, and ends of calls."""

import asyncio
import base64
from typing import cast

import pytest

from evibridge import events
from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Command
from evibridge.agent.call_tools import delivery
from evibridge.agent.session import CallSession
from evibridge.agent.tool_journal import MAX_ANSWERS
from evibridge.agent.tool_line import ServedCall, ToolLine
from evibridge.events import EndReason
from evibridge.tools_registry.context import NoCall, ToolContext
from evibridge.tools_registry.outcome import ToolResult
from evibridge.tools_registry.progress import Verdict
from evibridge.tools_registry.registry import Tools
from tests.agent.stage import HOLD, MemoryChat, Stage
from tests.agent.test_session import (
    FIRST,
    context,
    ends,
    lose_chat,
    published,
    said,
    sentence,
    speak,
    talking_session,
    told,
    wake,
)
from tests.agent.test_session_tools import (
    GOODBYE,
    WORKSHOP,
    last_words,
    spoken,
    working_session,
)
from tests.agent.test_tools_in_calls import play, texts, use_tool
from tests.parties import wav
from tests.virtual_clock import run_in_virtual_time

DONE = evi.ToolResponse("call_1", "done")
YES = Verdict(is_approved=True)


def begin_sentence(chat: MemoryChat, utterance_id: str, text: str, ms: int) -> None:
    """A sentence of a turn that goes on."""
    said_it = {"role": "assistant", "content": text}
    chat.say(type="assistant_message", id=utterance_id, message=said_it)
    data = base64.b64encode(wav(ms)).decode()
    chat.say(type="audio_output", id=utterance_id, index=0, data=data)


def time_of_end(session: CallSession) -> float:
    """Let time alone pass until the call ends."""
    while True:
        at_s, actions = wake(session)
        if ends(actions):
            return at_s


class TestTheEnd:
    def test_a_call_is_over_with_its_caller_though_a_tool_that_runs_was_asked_for_again(
        self, tools: Tools
    ) -> None:
        @tools.tool(background=True)
        async def search() -> str:
            """Search for long."""
            await asyncio.sleep(100)
            return "found"

        async def act_() -> float:
            stage = Stage(tools)
            await stage.talk(1)
            use_tool(stage.evi.chats[0], "search")
            await stage.talk(1)
            stage.evi.chats[0].end(1006)
            await stage.talk(1)
            use_tool(stage.evi.chats[1], "search")
            await stage.talk(1)
            left_s = asyncio.get_running_loop().time()
            await stage.leave()
            return asyncio.get_running_loop().time() - left_s

        assert run_in_virtual_time(act_()) < 1

    def test_a_reader_of_events_that_fails_does_not_keep_a_call(self, tools: Tools) -> None:
        @tools.tool
        async def slow() -> None:
            """Take long."""
            await asyncio.sleep(4)

        async def act_() -> EndReason:
            stage = Stage(tools)
            await stage.talk(1)
            use_tool(stage.evi.chats[0], "slow")
            await stage.talk(0.2)
            stage.unpublishable.add(events.ToolFinished)
            with pytest.raises(BrokenPipeError):
                stage.call.caller_left(EndReason.CALLER_HUNG_UP)
            async with asyncio.timeout(3600):
                return await stage.ended()

        run_in_virtual_time(act_())

    def test_nothing_is_published_after_it(self) -> None:
        session = working_session()
        session.end_with(GOODBYE, 2.0)
        session.tool_finished("call_1", DONE, 2.1)
        last_words(session, GOODBYE, 1500, 2.5)

        over = session.chat_said(FIRST, said("bye"), 3.0)

        assert published(over)[-1] == events.CallEnded(EndReason.AGENT_HUNG_UP)

    def test_nothing_of_a_background_tool_is_published_after_it(self) -> None:
        async def act_(steps: int) -> events.CallEvent:
            tools = Tools()

            @tools.tool(background=True)
            async def search() -> None:
                """Search."""
                await asyncio.sleep(1)
                leave_after(steps)

            def leave_after(steps: int) -> None:
                if steps:
                    asyncio.get_running_loop().call_soon(leave_after, steps - 1)
                else:
                    stage.call.caller_left(EndReason.CALLER_HUNG_UP)

            stage = Stage(tools)
            await stage.talk(1)
            use_tool(stage.evi.chats[0], "search")
            await stage.ended()
            return stage.events[-1]

        last = [run_in_virtual_time(act_(steps)) for steps in range(10)]
        assert {type(event) for event in last} == {events.CallEnded}


class TestLastWords:
    def test_a_caller_who_adds_a_word_does_not_wait_in_silence(self, tools: Tools) -> None:
        """The server forgets what it was to speak (`Dialogue.caller_said` does, when he speaks)."""

        @tools.tool
        async def leave(call: ToolContext) -> None:
            """End."""
            await call.end_with(GOODBYE)

        async def act_() -> tuple[Stage, float]:
            stage = Stage(tools)
            await stage.talk(1)
            chat = stage.evi.chats[0]
            chat.hear("That was all.")
            use_tool(chat, "leave")
            await stage.talk(0.2)

            def speak_it(chat: MemoryChat, message: dict[str, str]) -> None:
                if message["type"] == "assistant_input":
                    chat.speak("s1", message["text"], 1500)

            stage.evi.on_message = speak_it
            spoke_s = asyncio.get_running_loop().time()
            chat.hear("Bye bye!")
            await stage.talk(0.4)
            if not stage.call.is_over:
                chat.speak("m1", "Bye!", 500)  # the model's answer, which is not let through
            await stage.ended()
            return stage, asyncio.get_running_loop().time() - spoke_s

        stage, took_s = run_in_virtual_time(act_())

        assert took_s < 12
        assert [each.text for each in stage.of_type(events.AgentSaid)] == [GOODBYE]
        assert stage.phone.carrier_says is None

    def test_long_ones_are_heard_to_their_end(self) -> None:
        session = working_session()
        words = "x" * 500  # what `ready_tools.end_with` allows: 30 to 40 s of speech
        session.end_with(words, 2.0)
        session.tool_finished("call_1", DONE, 2.1)
        session.chat_said(FIRST, spoken(words), 2.5)
        for _ in range(4):
            session.agent_audio_sent("s1", 9_500, 2.6)
        session.chat_said(FIRST, evi.AssistantEnd(), 2.7)

        assert time_of_end(session) >= 2.6 + 38

    def test_they_stay_the_last_when_they_are_asked_for_again(self) -> None:
        session = working_session()
        session.end_with(GOODBYE, 2.0)
        session.end_with(GOODBYE, 2.05)
        session.tool_finished("call_1", DONE, 2.1)
        session.chat_said(FIRST, sentence("m1", "Is there anything else?"), 2.2)

        assert not session.accepts("m1")

    def test_nobody_is_asked_to_wait_after_them(self) -> None:
        session = working_session()
        session.end_with(GOODBYE, 2.0)

        assert told(session.tool_holds("call_1", HOLD, 3.5)) == []

    def test_the_carrier_says_them_when_there_is_no_chat(self, tools: Tools) -> None:
        @tools.tool
        async def leave(call: ToolContext) -> None:
            """End."""
            await asyncio.sleep(1)
            await call.end_with(GOODBYE)

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "leave")
            await stage.talk(0.8)
            await asyncio.sleep(0.19)
            stage.evi.chats[0].end(1006)
            await stage.talk(5)

        stage = play(tools, scene)

        assert stage.phone.carrier_says == GOODBYE

    @pytest.mark.parametrize("silence", [Command.PAUSE, Command.HOLD])
    def test_the_carrier_says_them_to_a_caller_whom_an_operator_keeps(
        self, silence: Command
    ) -> None:
        session = working_session()
        session.command(silence, 1.8)

        over = session.end_with(GOODBYE, 2.0)

        assert act.HangUp(EndReason.AGENT_HUNG_UP, last_words=GOODBYE) in over


class TestTransfer:
    def test_an_operator_who_hangs_up_puts_nobody_through(self) -> None:
        session = working_session()
        session.transfer(WORKSHOP, 2.0)

        over = session.command(Command.HANG_UP, 2.5)

        assert [each.transfer_to for each in over if isinstance(each, act.HangUp)] == [None]

    def test_what_a_tool_says_after_asking_for_it_is_said(self) -> None:
        session = working_session()
        session.transfer(WORKSHOP, 2.0)

        assert told(session.say("I put you through.", 2.0)) != []


class TestApproval:
    def test_it_can_be_given_when_the_next_chat_asks_under_another_id(
        self, tools: Tools, refunded: list[str]
    ) -> None:
        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "refund")
            await stage.talk(1)
            stage.evi.chats[0].end(1006)
            await stage.talk(2)
            use_tool(stage.evi.chats[1], "refund", "call_2")
            await stage.talk(1)
            wanted = stage.of_type(events.ApprovalWanted)[-1]
            assert stage.call.decide(wanted.tool_call_id, YES, "Ada")
            await stage.talk(1)

        play(tools, scene)

        assert len(refunded) == 1

    def test_it_is_not_asked_for_any_more_when_the_caller_wants_something_else(
        self, tools: Tools, refunded: list[str]
    ) -> None:
        async def scene(stage: Stage) -> None:
            chat = stage.evi.chats[0]
            chat.hear("I want my money back.")
            use_tool(chat, "refund")
            await stage.talk(1)
            chat.hear("No, never mind.")
            await stage.talk(0.6)
            chat.speak("u1", "All right, nothing is refunded.", 1000)
            await stage.talk(2)
            assert not stage.call.decide("call_1", YES, "Ada")
            await stage.talk(1)

        play(tools, scene)

        assert refunded == []


class TestHolding:
    def test_a_caller_who_wants_something_else_is_not_asked_to_wait(self, tools: Tools) -> None:
        @tools.tool(holding=HOLD, holding_after_s=2)
        async def slow() -> None:
            """Take long."""
            await asyncio.sleep(4.5)

        async def scene(stage: Stage) -> None:
            chat = stage.evi.chats[0]
            chat.hear("Where is my order?")
            use_tool(chat, "slow")
            await stage.talk(1)
            chat.hear("Never mind. Where are you?")
            await stage.talk(0.2)
            chat.speak("u1", "In Main Street.", 600)
            await stage.talk(3)

        assert texts(play(tools, scene).evi.chats[0]) == []

    def test_the_next_chat_says_what_was_due_while_there_was_none(self, tools: Tools) -> None:
        @tools.tool(holding=HOLD, holding_after_s=2, timeout=30)
        async def slow() -> None:
            """Take very long."""
            await asyncio.sleep(25)

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "slow")
            await stage.talk(1.4)
            stage.evi.go_down()
            await stage.talk(1)
            stage.evi.is_up = True
            await stage.talk(20)

        stage = play(tools, scene)

        assert [text for chat in stage.evi.chats for text in texts(chat)] == [HOLD]

    def test_nobody_is_asked_to_wait_for_what_is_there(self) -> None:
        session = working_session()
        assert told(session.tool_holds("call_1", HOLD, 3.5)) == [evi.AssistantInput(HOLD)]
        second = lose_chat(session, 3.6)
        session.tool_finished("call_1", DONE, 3.7)

        opened = session.chat_said(second, evi.ChatMetadata("chat-2", "group-1"), 4.0)

        assert evi.AssistantInput(HOLD) not in told(opened)

    def test_one_that_the_server_has_dropped_does_not_keep_the_line_after_the_goodbye(
        self,
    ) -> None:
        session = working_session()
        session.tool_holds("call_1", HOLD, 3.5)
        session.chat_said(FIRST, said("hello?"), 3.6)  # and the server speaks no HOLD any more
        session.tool_finished("call_1", DONE, 4.0)
        speak(session, "u1", 1000, 4.5)
        session.chat_said(FIRST, evi.AssistantEnd(), 4.6)
        session.hang_up(EndReason.AGENT_HUNG_UP, 6.0)
        speak(session, "u2", 1000, 6.5)
        session.chat_said(FIRST, evi.AssistantEnd(), 6.6)

        assert time_of_end(session) < 12


class TestKeys:
    def test_the_agent_can_be_interrupted_before_they_are_pressed(self) -> None:
        session = talking_session()
        speak(session, "u1", 10_000, 1.0)
        session.chat_said(FIRST, evi.AssistantEnd(), 1.1)
        if act.PlayTones("1") in session.send_digits("1", 1.2):
            session.tones_played("1", 200, 1.2)

        assert act.ClearPlayback() in session.chat_said(FIRST, evi.UserInterruption(1), 2.0)

    def test_they_are_not_pressed_on_hold(self) -> None:
        session = talking_session()
        speak(session, "u1", 1000, 1.0)
        session.send_digits("1", 1.2)
        session.command(Command.HOLD, 1.3)

        assert act.PlayTones("1") not in wake(session)[1]

    def test_they_are_not_pressed_on_a_line_that_is_gone(self) -> None:
        session = talking_session()
        speak(session, "u1", 1000, 1.0)
        session.send_digits("1", 1.2)
        session.caller_lost(1.3)

        assert act.PlayTones("1") not in wake(session)[1]

    @pytest.mark.parametrize("answer_ms", [0, 1000])
    def test_they_are_heard_to_the_last_before_the_call_ends(
        self, tools: Tools, answer_ms: int
    ) -> None:
        @tools.tool
        async def page(call: ToolContext) -> None:
            """Leave a number with a pager."""
            call.send_digits("14155550100#")
            call.hang_up()

        async def act_() -> tuple[float, float]:
            stage = Stage(tools)
            await stage.talk(1)
            chat = stage.evi.chats[0]
            begin_sentence(chat, "u1", "I leave the number.", 500)
            use_tool(chat, "page")
            await stage.talk(0.4)
            if answer_ms:
                begin_sentence(chat, "u2", "Bye.", answer_ms)
            chat.say(type="assistant_end")
            await stage.ended()
            return asyncio.get_running_loop().time(), stage.phone.sounds[-1][1]

        ended_s, silent_s = run_in_virtual_time(act_())
        assert ended_s >= silent_s - 0.01


class TestContext:
    def test_what_comes_while_an_answer_is_written_is_for_the_next_one(self) -> None:
        session = talking_session()
        session.set_context("He is a friend.")
        session.chat_said(FIRST, said("look for it"), 1.0)
        noted = session.tool_delivered("Three books.")
        assert context(noted) == "He is a friend.\nThree books."

        begun = session.chat_said(FIRST, sentence("u1", "I am looking."), 1.5)

        # A chat keeps a temporary context that came too late for its answer (`after_answer`).
        assert begun[:-1] == [] or context(begun).endswith("Three books.")

    def test_results_of_background_tools_do_not_break_the_link(self) -> None:
        """`EviChat` gives a link up with 256 KiB unsent, and the next chat is told it all again."""
        session = talking_session()
        for number in range(6):
            found = ToolResult("x" * 60_000)
            noted = session.tool_delivered(delivery(evi.ToolCall(f"c{number}", "n", "{}"), found))

        assert len(context(noted)) < 200_000


class TestOnce:
    def test_no_answer_is_kept_of_a_call_that_is_over(self, tools: Tools) -> None:
        @tools.tool
        async def order() -> None:
            """Order."""

        async def act_() -> tuple[bool, bool]:
            stage = Stage(tools)
            journal = stage.call._plan.journal
            await stage.talk(1)
            use_tool(stage.evi.chats[0], "order")
            await stage.talk(1)
            was_kept = await journal.recall("CA1", "call_1") is not None
            await stage.leave()
            return was_kept, await journal.recall("CA1", "call_1") is not None

        assert run_in_virtual_time(act_()) == (True, False)

    def test_a_tool_whose_answer_is_not_known_any_more_is_not_run_again(self, tools: Tools) -> None:
        orders: list[str] = []

        @tools.tool
        async def order(call: ToolContext) -> None:
            """Order."""
            orders.append(call.tool_call_id)

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "order")
            await stage.talk(0.4)
            for number in range(MAX_ANSWERS):
                use_tool(stage.evi.chats[0], "order", f"more_{number}")
                await stage.talk(0.2)
            stage.evi.chats[0].end(1006)
            await stage.talk(2)
            use_tool(stage.evi.chats[1], "order")
            await stage.talk(0.4)

        stage = play(tools, scene)

        assert orders.count("call_1") == 1
        (error,) = stage.evi.chats[1].of_type("tool_error")
        assert "done before" in error["content"]

    def test_another_function_under_a_known_id_is_another_call(self, tools: Tools) -> None:
        @tools.tool
        async def order() -> str:
            """Order."""
            return "ordered"

        @tools.tool
        async def hours() -> str:
            """Tell the hours."""
            return "nine to five"

        async def scene(stage: Stage) -> None:
            use_tool(stage.evi.chats[0], "order")
            await stage.talk(0.4)
            stage.evi.chats[0].end(1006)
            await stage.talk(2)
            use_tool(stage.evi.chats[1], "hours")
            await stage.talk(0.4)

        (answer,) = play(tools, scene).evi.chats[1].of_type("tool_response")

        assert answer["content"] == "nine to five"


def test_a_thread_that_outlives_the_service_may_still_ask() -> None:
    async def line() -> ToolLine:
        return ToolLine(cast("ServedCall", NoCall()), evi.ToolCall("call_1", "work", "{}"))

    late = asyncio.run(line())
    late.is_given_up = True

    late.say("I am still here.")
