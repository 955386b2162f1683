"""The caller's stream breaks, and comes back or does not."""

import asyncio
import base64
import time

import pytest

from tests.faults.stage import APOLOGY, HANG_UP, Scene, Talk, heard, pcm16, verbs
from tests.parties import ticket_in

pytestmark = pytest.mark.asyncio(loop_scope="module")

VOICE = b"\x10" * 160
SILENT_PCM = bytes(1600)
"""100 ms."""


async def away(talk: Talk) -> None:
    """The stream breaks, and the service knows it."""
    talk.line_to_service.reset()
    await talk.chat.expect("pause_assistant_message")


async def frames(talk: Talk, count: int) -> list[bytes]:
    """The next pieces of audio that the server gets."""
    return [heard(await talk.chat.expect("audio_input")) for _ in range(count)]


class TestACallerWhoIsAway:
    async def test_the_server_is_paused_and_gets_silence_in_real_time(self, scene: Scene) -> None:
        other = await scene.talk()
        talk = await scene.talk()
        await talk.twilio.speak(VOICE)
        await talk.chat.expect("audio_input")
        await away(talk)

        began_s = time.monotonic()
        silence = await frames(talk, 10)
        took_s = time.monotonic() - began_s

        assert silence == [SILENT_PCM] * 10
        assert took_s > 0.8
        await other.goes_on()

    async def test_the_call_goes_on_by_another_stream(self, scene: Scene) -> None:
        other = await scene.talk()
        talk = await scene.talk()
        await talk.goes_on()
        await away(talk)

        document = await talk.asks_what_comes_next()
        assert [verb for verb, _ in verbs(document)] == ["Connect", "Redirect"]
        assert "attempt=2" in document
        await talk.comes_back(document)

        await talk.chat.expect("resume_assistant_message")
        await talk.goes_on()
        await talk.twilio.speak(VOICE)
        while (await frames(talk, 1)) != [pcm16(0x10) * 160]:
            pass
        await other.goes_on()
        await talk.twilio.hang_up()
        assert await talk.reason() == "caller_hung_up"
        assert talk.chat.query.get("resumed_chat_group_id") is None
        (ended,) = scene.stage.service.logged("call_ended", call_id=talk.call_sid)
        assert (ended["chats"], ended["caller_lost"]) == (1, 1)

    async def test_once_he_is_back_no_silence_is_mixed_into_his_voice(self, scene: Scene) -> None:
        talk = await scene.talk()
        await away(talk)
        await talk.comes_back()
        await talk.chat.expect("resume_assistant_message")

        async def silence_that_is_left() -> None:
            async with asyncio.timeout(0.5):
                while True:
                    assert await frames(talk, 1) == [SILENT_PCM]

        await talk.twilio.speak(VOICE)
        while (await frames(talk, 1)) != [pcm16(0x10) * 160]:
            pass
        with pytest.raises(TimeoutError):
            await silence_that_is_left()
        await talk.twilio.speak(VOICE)
        assert await frames(talk, 1) == [pcm16(0x10) * 160]

    async def test_one_who_has_hung_up_meanwhile_is_not_waited_for(self, scene: Scene) -> None:
        talk = await scene.talk()
        await away(talk)

        _, document = await talk.twilio.post(
            "/twilio/stream-ended?attempt=1", CallStatus="completed"
        )

        assert verbs(document) == HANG_UP
        assert await talk.chat.ended() == 1000
        assert await talk.reason() == "caller_hung_up"

    async def test_what_he_has_not_heard_is_said_again_when_he_is_back(self, scene: Scene) -> None:
        talk = await scene.talk()
        await talk.agent_says("That is nineteen pounds and fifty pence.", 5000)
        await away(talk)

        await talk.comes_back()

        await talk.chat.expect("resume_assistant_message")
        again = await talk.chat.expect("assistant_input")
        assert again["text"] == "That is nineteen pounds and fifty pence."

    async def test_what_the_agent_says_meanwhile_is_not_heard_from_its_middle(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        utterance = await talk.agent_says("Once upon a time", 100, end=False)
        await away(talk)
        await talk.chat.send_audio(utterance, 1, 100)
        await talk.comes_back()
        await talk.chat.expect("resume_assistant_message")

        await talk.chat.send_audio(utterance, 2, 100)
        await talk.chat.send(type="assistant_end")
        await talk.chat.say("new", "Where were we?", 40)

        media = await talk.twilio.expect("media")
        assert len(base64.b64decode(media["media"]["payload"])) == 320

    async def test_a_chat_that_is_lost_meanwhile_is_resumed_and_paused_again(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        await away(talk)
        talk.line_to_evi.reset()

        await talk.resumed()

        await talk.chat.expect("pause_assistant_message")
        assert await frames(talk, 2) == [SILENT_PCM] * 2
        await talk.comes_back()
        await talk.chat.expect("resume_assistant_message")
        await talk.goes_on()

    async def test_he_comes_back_before_the_chat_does(self, scene: Scene) -> None:
        talk = await scene.talk()
        await away(talk)
        talk.line_to_evi.reset()
        await talk.next_chat()
        await talk.comes_back()
        await talk.twilio.speak(VOICE)
        await talk.reads_all()

        await talk.chat.open()

        kinds = [(await talk.chat.received.get())["type"] for _ in range(3)]
        assert kinds == ["session_settings", "session_settings", "audio_input"]
        await talk.goes_on()

    async def test_one_whose_stream_breaks_again_and_again_is_given_up(self, scene: Scene) -> None:
        talk = await scene.talk()
        for attempt in range(1, 5):
            await away(talk)
            await talk.comes_back(await talk.asks_what_comes_next(attempt))
            await talk.chat.expect("resume_assistant_message")
        await away(talk)

        assert verbs(await talk.asks_what_comes_next(5)) == APOLOGY
        assert await talk.reason() == "caller_lost"
        assert await talk.chat.ended() == 1000


class TestTwoStreamsOfOneCall:
    async def test_the_second_takes_over_and_the_first_is_closed(self, scene: Scene) -> None:
        other = await scene.talk()
        talk = await scene.talk()

        first = await talk.comes_back()

        assert await first.closed() == 1000
        await talk.goes_on()
        await talk.twilio.speak(VOICE)
        assert await frames(talk, 1) == [pcm16(0x10) * 160]
        await other.goes_on()

    async def test_what_is_late_on_the_first_changes_nothing(self, scene: Scene) -> None:
        talk = await scene.talk()
        await talk.agent_says("A long sentence.", 2000)
        mark = (await talk.twilio.expect("mark"))["mark"]["name"]
        talk.line_to_service.delay_s = 0.3
        first = talk.twilio
        await talk.comes_back()
        await first.speak(VOICE)
        await first.echo(mark)
        await first.press("9", "#")
        await first.send(event="stop", streamSid=first.stream_sid, stop={})

        assert await first.closed() == 1000
        await talk.reads_all()

        again = await talk.chat.expect("assistant_input")
        assert again["text"] == "A long sentence."
        await talk.goes_on()
        entered = scene.stage.service.logged("digits_entered", call_id=talk.call_sid)
        assert [line["count"] for line in entered] == [1]

    async def test_a_ticket_is_good_for_one_stream(self, scene: Scene) -> None:
        talk = await scene.talk()
        document = await talk.asks_what_comes_next()
        await talk.comes_back(document)
        thief = talk.twilio.again()
        scene.carriers.append(thief)
        await thief.connect()
        await thief.start(ticket_in(document))

        assert await thief.closed() == 1008
        await talk.goes_on()

    async def test_a_start_that_comes_twice_on_one_socket_changes_nothing(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        await talk.twilio.start("no-ticket")
        await talk.twilio.start(ticket_in(await talk.asks_what_comes_next()))
        await talk.reads_all()

        await talk.goes_on()

    async def test_a_nameless_stream_begins_no_call(self, scene: Scene) -> None:
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()
        twilio.stream_sid = ""
        await twilio.start(token)
        await twilio.start(token)

        twilio.stream_sid = "MZ1"
        await twilio.start(token)

        chat = await scene.stage.evi.next_chat()
        await chat.open()
        await Talk(scene.stage, twilio, chat).goes_on()


class TestHowACallerLeaves:
    async def test_a_stop_without_a_close_ends_the_call(self, scene: Scene) -> None:
        talk = await scene.talk()

        await talk.twilio.send(event="stop", streamSid=talk.twilio.stream_sid, stop={})

        assert await talk.twilio.closed() == 1000
        assert await talk.reason() == "caller_hung_up"
        assert await talk.chat.ended() == 1000
        assert verbs(await talk.asks_what_comes_next()) == HANG_UP

    @pytest.mark.parametrize("code", [1000, 1001, 1011])
    async def test_a_close_without_a_stop_is_a_stream_that_broke(
        self, scene: Scene, code: int
    ) -> None:
        talk = await scene.talk()

        await talk.twilio.socket.close(code=code)

        await talk.chat.expect("pause_assistant_message")
        await talk.comes_back()
        await talk.chat.expect("resume_assistant_message")
        await talk.goes_on()

    async def test_a_caller_who_leaves_before_the_chat_begins_takes_it_along(
        self, scene: Scene
    ) -> None:
        twilio = await scene.ring()
        chat = await scene.stage.evi.next_chat()

        await twilio.hang_up()

        assert await chat.ended() == 1000
        ended = await scene.stage.service.told("call_ended", call_id=twilio.call_sid)
        assert ended["reason"] == "caller_hung_up"
