"""How an operator is heard who has taken a call over, and how it is known what he said."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from evibridge import events
from evibridge.agent import evi_messages as evi
from evibridge.agent.commands import (
    HandBack,
    HangUp,
    Hold,
    OperatorCommand,
    Say,
    Send,
    TakeOver,
    Transfer,
)
from evibridge.agent.control_plane import ControlPlane
from evibridge.agent.operator_line import RATE_HZ
from evibridge.agent.operator_scribe import LAST_WORDS_S
from evibridge.agent.operator_speech import MAX_TEXTS
from evibridge.agent.operator_voice import SPOKEN_WITHIN_S
from evibridge.agent.snapshot import CallState
from evibridge.errors import CommandRefused, LinkUnreachable
from evibridge.events import OperatorSaid
from tests.agent.stage import LOUD, MemoryChat, Stage
from tests.agent.stage import PIECE_MS as PIECES_MS
from tests.virtual_clock import run_in_virtual_time

ADA = "Ada"
PIECE_MS = 20
VOICE = b"\x00\x20" * (RATE_HZ * PIECE_MS // 1000)


class Unreachable(ControlPlane):
    """So that everything is told by the chat's own socket."""

    def __init__(self) -> None:
        super().__init__("http://evi.example", None)

    async def send(
        self, chat_id: str, message: evi.ClientMessage, *, is_only_way: bool = True
    ) -> None:
        del chat_id, message, is_only_way
        raise LinkUnreachable("Nobody is there.")


def play(scene: Callable[[Stage], Awaitable[None]]) -> Stage:
    async def act() -> Stage:
        stage = Stage(control_plane=Unreachable())
        await stage.talk(1)
        await stage.call.operate(TakeOver(), ADA)
        await scene(stage)
        if not stage.call.is_over:
            await stage.leave()
        assert stage.evi.open_chats == []
        return stage

    return run_in_virtual_time(act())


async def ask(stage: Stage, command: OperatorCommand) -> str | None:
    """The code of the refusal, if it is one."""
    try:
        await stage.call.operate(command, ADA)
    except CommandRefused as refused:
        return refused.code
    return None


def speaks_what_it_is_told(ms: int) -> Callable[[MemoryChat, dict[str, Any]], None]:
    def on_message(chat: MemoryChat, message: dict[str, Any]) -> None:
        if message["type"] == "assistant_input":
            number = len(chat.of_type("assistant_input"))
            loop = asyncio.get_running_loop()
            loop.call_soon(chat.speak, f"said-{number}", message["text"], ms)

    return on_message


class TestWriting:
    def test_another_chat_lends_the_agents_voice(self) -> None:
        async def scene(stage: Stage) -> None:
            stage.evi.on_message = speaks_what_it_is_told(800)
            await ask(stage, Say("Good morning."))
            await ask(stage, Say("It is on the counter."))
            await asyncio.sleep(3)

        stage = play(scene)

        of_call, of_operator = stage.evi.chats
        assert of_call.of_type("assistant_input") == []
        assert [each["text"] for each in of_operator.of_type("assistant_input")] == [
            "Good morning.",
            "It is on the counter.",
        ]
        assert of_operator.told[0]["tools"] == []
        assert sum(end - begin for begin, end in stage.phone.sounds) == pytest.approx(1.6)

    def test_its_greeting_is_not_heard(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good morning."))
            chat = stage.evi.chats[-1]
            chat.speak("greeting", "Harbour Books, what can I do for you?", 2000)
            await asyncio.sleep(1)
            assert stage.phone.sounds == []
            chat.speak("said", "Good morning.", 500)
            chat.speak("own", "And how are you?", 2000)
            await asyncio.sleep(1)

        assert [end - begin for begin, end in play(scene).phone.sounds] == [pytest.approx(0.5)]

    def test_audio_that_cannot_be_read_is_logged_once(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good morning."))
            chat = stage.evi.chats[-1]
            chat.speak("said", "Good morning.", 0)
            message = {"role": "assistant", "content": "Good morning."}
            chat.say(type="assistant_message", id="bad", message=message)
            await ask(stage, Say("Good morning."))
            chat.say(type="assistant_message", id="bad", message=message)
            for index in range(3):
                chat.say(type="audio_output", id="bad", index=index, data="QUJD")
            await asyncio.sleep(1)

        with capture_logs() as logs:
            stage = play(scene)

        assert sum(end - begin for begin, end in stage.phone.sounds) == 0
        assert [each["event"] for each in logs].count("operator_speech_unreadable") == 1

    def test_without_a_chat_he_is_told_that_nobody_heard_it(self) -> None:
        async def scene(stage: Stage) -> None:
            stage.evi.is_up = False
            assert await ask(stage, Say("Good morning.")) == "agent_is_away"
            stage.evi.is_up = True
            assert await ask(stage, Say("Good morning.")) is None

        (said,) = play(scene).of_type(OperatorSaid)

        assert said == OperatorSaid("Good morning.", ADA, interim=False, is_spoken=False)

    def test_a_chat_that_was_lost_is_opened_again(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good morning."))
            stage.evi.chats[-1].end(1006)
            await asyncio.sleep(1)
            await ask(stage, Say("Are you there?"))

        texts = [each["text"] for each in play(scene).evi.chats[-1].of_type("assistant_input")]

        assert texts == ["Are you there?"]

    def test_two_texts_at_once_share_the_chat_that_is_opened(self) -> None:
        async def scene(stage: Stage) -> None:
            stage.evi.on_message = speaks_what_it_is_told(800)
            await asyncio.gather(ask(stage, Say("One.")), ask(stage, Say("Two.")))
            await asyncio.sleep(3)

        stage = play(scene)

        assert len(stage.evi.chats) == 2
        assert sum(end - begin for begin, end in stage.phone.sounds) == pytest.approx(1.6)

    def test_a_message_of_the_control_plane_is_spoken_too(self) -> None:
        async def scene(stage: Stage) -> None:
            stage.evi.on_message = speaks_what_it_is_told(800)
            await ask(stage, Send(evi.AssistantInput("Good morning.")))
            await asyncio.sleep(2)

        assert play(scene).phone.sounds != []

    @pytest.mark.parametrize("command", [HangUp(), Transfer("+14155550100")])
    def test_last_words_are_heard_before_the_call_ends(self, command: OperatorCommand) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good bye."))
            chat = stage.evi.chats[-1]
            asyncio.get_running_loop().call_later(0.4, chat.speak, "said", "Good bye.", 800)
            await ask(stage, command)
            await stage.ended()

        assert [end - begin for begin, end in play(scene).phone.sounds] == [pytest.approx(0.8)]

    def test_who_hangs_up_twice_does_not_want_to_wait(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good bye."))
            first = asyncio.ensure_future(ask(stage, HangUp()))
            await asyncio.sleep(0.1)
            began_s = asyncio.get_running_loop().time()
            await ask(stage, HangUp())
            await stage.ended()
            assert asyncio.get_running_loop().time() - began_s < 0.1
            await first

        play(scene)

    @pytest.mark.parametrize("silence", ["hold", "microphone"])
    def test_the_rest_of_a_text_is_not_heard_where_it_may_not_be(self, silence: str) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("One. Two."))
            chat = stage.evi.chats[-1]
            chat.say(
                type="assistant_message", id="s", message={"role": "assistant", "content": "One."}
            )
            if silence == "hold":
                await ask(stage, Hold())
            else:
                Microphone(stage)
            chat.speak("s", "One.", 800)
            await asyncio.sleep(2)

        assert play(scene).phone.sounds == []

    def test_a_chat_that_opens_when_the_call_is_over_is_closed(self) -> None:
        async def scene(stage: Stage) -> None:
            asked = asyncio.ensure_future(ask(stage, Say("Good morning.")))
            await asyncio.sleep(0.01)
            await stage.leave()
            assert await asked == "call_is_not_taken_over"

        play(scene)

    def test_an_operator_who_is_gone_leaves_no_chat_behind(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good morning."))
            await stage.talk(70)
            assert len(stage.evi.open_chats) == 1

        play(scene)

    def test_what_is_refused_opens_no_chat(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Hold())
            assert await ask(stage, Say("Good morning.")) == "call_is_held"

        assert len(play(scene).evi.chats) == 1

    def test_more_than_can_be_spoken_is_refused(self) -> None:
        async def scene(stage: Stage) -> None:
            answers = [await ask(stage, Say("Good morning.")) for _ in range(MAX_TEXTS + 1)]
            assert answers == [None] * MAX_TEXTS + ["operator_speaks_already"]

        play(scene)

    def test_a_chat_that_is_lost_midway_is_not_waited_for(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good morning."))
            stage.evi.chats[-1].end(1006)
            await asyncio.sleep(0.1)
            began_s = asyncio.get_running_loop().time()
            await ask(stage, HandBack())
            assert asyncio.get_running_loop().time() == began_s

        play(scene)

    def test_a_text_that_is_spoken_in_two_turns_does_no_harm(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("One. Two."))
            chat = stage.evi.chats[-1]
            chat.speak("a", "One.", 500)
            chat.speak("b", "Two.", 500)
            await asyncio.sleep(1)
            assert chat.is_open
            await ask(stage, Say("Three."))
            assert len(stage.evi.chats) == 2

        play(scene)

    def test_the_agent_waits_for_the_end_of_his_words(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good morning."))
            chat = stage.evi.chats[-1]
            asyncio.get_running_loop().call_later(1, chat.speak, "said", "Good morning.", 500)
            began_s = asyncio.get_running_loop().time()
            await ask(stage, HandBack())
            assert asyncio.get_running_loop().time() - began_s == pytest.approx(1, abs=0.1)

        assert [end - begin for begin, end in play(scene).phone.sounds] == [pytest.approx(0.5)]

    def test_but_not_for_a_chat_that_says_nothing(self) -> None:
        async def scene(stage: Stage) -> None:
            await ask(stage, Say("Good morning."))
            began_s = asyncio.get_running_loop().time()
            await ask(stage, HandBack())
            waited_s = asyncio.get_running_loop().time() - began_s
            assert waited_s == pytest.approx(SPOKEN_WITHIN_S, abs=0.1)

        assert play(scene).of_type(events.CallHandedBack) == [events.CallHandedBack(ADA)]


class Microphone:
    """Of an operator."""

    def __init__(self, stage: Stage) -> None:
        self.was_cut = 0
        self.heard = bytearray()
        self._line = stage.call.open_operator_line(ADA, self._hear, self._cut)

    def _hear(self, pcm16: bytes) -> None:
        self.heard += pcm16

    def _cut(self) -> None:
        self.was_cut += 1

    async def speak(self, seconds: float, sound: bytes = VOICE) -> None:
        for _ in range(round(seconds * 1000 / PIECE_MS)):
            self._line.audio(sound)
            await asyncio.sleep(PIECE_MS / 1000)

    def switch_off(self) -> None:
        self._line.close()


class TestTheMicrophone:
    def test_the_caller_hears_it_and_a_paused_chat_writes_it_down(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await microphone.speak(2)
            scribe = stage.evi.chats[-1]
            scribe.say(
                type="user_message", message={"role": "user", "content": "Good"}, interim=True
            )
            scribe.hear("Good morning.")
            await microphone.speak(1)
            microphone.switch_off()
            microphone.switch_off()

        stage = play(scene)

        scribe = stage.evi.chats[1]
        assert scribe.told[0]["type"] == "pause_assistant_message"
        heard_ms = sum(end - begin for begin, end in stage.phone.sounds) * 1000
        assert 3000 <= heard_ms <= 3100
        assert len(scribe.audio) >= 2 * RATE_HZ * 3
        assert stage.of_type(OperatorSaid) == [
            OperatorSaid("Good", ADA, interim=True, is_spoken=True),
            OperatorSaid("Good morning.", ADA, interim=False, is_spoken=True),
        ]

    def test_the_operator_hears_the_caller_while_it_is_on(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await stage.talk(1, loud=True)
            assert microphone.heard == LOUD * (1000 // PIECES_MS)
            microphone.switch_off()
            await stage.talk(1, loud=True)
            assert len(microphone.heard) == len(LOUD) * (1000 // PIECES_MS)

        play(scene)

    def test_what_was_said_last_is_known_before_the_agent_goes_on(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await microphone.speak(2)
            loop = asyncio.get_running_loop()
            loop.call_later(1.5, stage.evi.chats[-1].hear, "I give you back.")
            await ask(stage, HandBack())
            assert microphone.was_cut == 1
            await microphone.speak(1)

        stage = play(scene)

        context = stage.evi.chats[0].of_type("session_settings")[-1]["context"]["text"]
        assert "Ada: I give you back." in context
        resumed = stage.evi.chats[0].of_type("resume_assistant_message")
        assert len(resumed) == 1
        assert sum(end - begin for begin, end in stage.phone.sounds) < 2.1

    def test_words_from_before_the_chat_was_there_are_known_too(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await microphone.speak(0.04)
            loop = asyncio.get_running_loop()
            loop.call_later(0.5, lambda: stage.evi.chats[-1].hear("Yes."))
            await ask(stage, HandBack())

        context = play(scene).evi.chats[0].of_type("session_settings")[-1]["context"]["text"]

        assert "Ada: Yes." in context

    def test_what_was_nothing_is_told_only_in_place_of_something(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await microphone.speak(1)
            scribe = stage.evi.chats[-1]
            scribe.hear("")
            said = {"role": "user", "content": "Hm"}
            scribe.say(type="user_message", message=said, interim=True)
            scribe.hear("")

        assert play(scene).of_type(OperatorSaid) == [
            OperatorSaid("Hm", ADA, interim=True, is_spoken=True),
            OperatorSaid("", ADA, interim=False, is_spoken=True),
        ]

    def test_words_that_nobody_writes_down_hold_nothing_up(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await microphone.speak(1)
            began_s = asyncio.get_running_loop().time()
            await ask(stage, HandBack())
            waited_s = asyncio.get_running_loop().time() - began_s
            assert waited_s == pytest.approx(LAST_WORDS_S, abs=0.1)

        stage = play(scene)

        context = stage.evi.chats[0].of_type("session_settings")[-1]["context"]["text"]
        assert context.endswith("The words are not known.")

    def test_a_silent_microphone_is_not_waited_for(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await microphone.speak(1, bytes(len(VOICE)))
            began_s = asyncio.get_running_loop().time()
            await ask(stage, HandBack())
            assert asyncio.get_running_loop().time() == began_s

        play(scene)

    def test_without_a_scribe_the_caller_hears_it_all_the_same(self) -> None:
        async def scene(stage: Stage) -> None:
            stage.evi.is_up = False
            microphone = Microphone(stage)
            await microphone.speak(1)
            stage.evi.is_up = True
            await microphone.speak(3)
            assert len(stage.evi.chats) == 2
            microphone.switch_off()

        assert sum(end - begin for begin, end in play(scene).phone.sounds) == pytest.approx(
            4.06, abs=0.1
        )

    def test_a_second_one_takes_the_place_of_the_first(self) -> None:
        async def scene(stage: Stage) -> None:
            first, second = Microphone(stage), Microphone(stage)
            await first.speak(1)
            await second.speak(1)
            assert (first.was_cut, second.was_cut) == (1, 0)

        assert sum(end - begin for begin, end in play(scene).phone.sounds) == pytest.approx(
            1.06, abs=0.05
        )

    def test_it_is_cut_with_the_call(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await microphone.speak(1)
            await stage.leave()
            assert microphone.was_cut == 1
            await microphone.speak(1)

        play(scene)

    def test_an_operator_who_is_gone_leaves_the_call_to_the_agent(self) -> None:
        async def scene(stage: Stage) -> None:
            microphone = Microphone(stage)
            await microphone.speak(1)
            await stage.talk(70)
            assert microphone.was_cut == 1
            assert stage.call.snapshot().state is CallState.LISTENING

        assert play(scene).of_type(events.CallHandedBack) == [events.CallHandedBack(None)]


def test_who_takes_over_while_the_call_is_handed_back_has_it_afterwards() -> None:
    async def scene(stage: Stage) -> None:
        await ask(stage, Say("Good morning."))
        handed_back = asyncio.ensure_future(ask(stage, HandBack()))
        await asyncio.sleep(1)
        await stage.call.operate(TakeOver(), "Sam")
        assert await handed_back is None
        assert stage.call.snapshot().taken_over_by == "Sam"

    stage = play(scene)

    assert stage.of_type(events.CallHandedBack) == [events.CallHandedBack(ADA)]


def test_a_tool_ends_no_call_that_an_operator_has() -> None:
    async def scene(stage: Stage) -> None:
        stage.call.hang_up()
        stage.call.end_with("Good bye.")
        stage.call.transfer("+14155550100")
        await stage.talk(5)
        assert not stage.call.is_over

    play(scene)


def test_webhooks_of_these_chats_are_the_calls_own() -> None:
    async def scene(stage: Stage) -> None:
        await ask(stage, Say("Good morning."))
        microphone = Microphone(stage)
        await microphone.speak(1)
        assert stage.call.chat_ids == ["chat-1", "chat-2", "chat-3"]
        assert stage.call.chat_id == "chat-1"

    play(scene)
