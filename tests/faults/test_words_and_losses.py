"""What was being said when the EVI server was lost, by the caller and by the agent."""

import pytest

from tests.faults.stage import Scene, Talk, heard, pcm16, told_until_now

pytestmark = pytest.mark.asyncio(loop_scope="module")


class TestTheCallersVoice:
    async def test_what_he_says_while_there_is_no_chat_arrives_at_the_next_one(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        talk.line_to_evi.reset()
        await talk.lost()
        for level in range(150):
            await talk.twilio.speak(bytes([level]) * 160)
        await talk.next_chat()
        await talk.reads_all()

        await talk.chat.open()

        frames = [heard(await talk.chat.expect("audio_input")) for _ in range(100)]
        assert frames == [pcm16(level) * 160 for level in range(50, 150)]
        await talk.goes_on()
        await talk.twilio.hang_up()
        await talk.reason()
        (ended,) = scene.stage.service.logged("call_ended", call_id=talk.call_sid)
        assert ended["caller_frames_dropped"] == 50

    async def test_what_he_says_when_the_chat_is_there_follows_without_a_gap(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        talk.line_to_evi.reset()
        await talk.lost()
        for level in range(100):
            await talk.twilio.speak(bytes([level]) * 160)
        await talk.next_chat()
        await talk.reads_all()
        talk.line_to_evi.bytes_per_s = 128_000

        await talk.chat.open()
        await talk.chat.expect("session_settings")
        for level in range(130, 140):  # less than EVI may be behind
            await talk.twilio.speak(bytes([level]) * 160)

        await talk.reads_all()
        frames = [heard(message) for message in await told_until_now(talk, "audio_input")]
        assert frames == [pcm16(level) * 160 for level in (*range(100), *range(130, 140))]

    async def test_what_he_says_before_the_first_chat_arrives_there(self, scene: Scene) -> None:
        twilio = await scene.ring()
        chat = await scene.stage.evi.next_chat()
        talk = Talk(scene.stage, twilio, chat)
        scene.talks.append(talk)
        for level in range(20):
            await twilio.speak(bytes([level]) * 160)
        await talk.reads_all()

        await chat.open()

        frames = [heard(await chat.expect("audio_input")) for _ in range(20)]
        assert frames == [pcm16(level) * 160 for level in range(20)]

    async def test_keys_that_he_presses_while_there_is_no_chat_are_told_to_the_next_one(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        talk.line_to_evi.reset()
        await talk.next_chat()
        await talk.twilio.press("4", "2", "#")
        await scene.stage.service.told("digits_entered", call_id=talk.call_sid, count=2)

        await talk.chat.open()

        assert "tools" in await talk.chat.expect("session_settings")
        assert "42" in (await talk.chat.expect("session_settings"))["context"]["text"]


class TestTheAgentsVoice:
    async def test_a_sentence_that_was_cut_off_is_said_again(self, scene: Scene) -> None:
        other = await scene.talk()
        talk = await scene.talk()
        await talk.agent_says("That is nineteen pounds and fifty pence.", end=False)

        talk.line_to_evi.reset()

        await talk.resumed()
        again = await talk.chat.expect("assistant_input")
        assert again["text"] == "That is nineteen pounds and fifty pence."
        await talk.goes_on()
        assert await told_until_now(other, "assistant_input") == []

    async def test_a_sentence_that_was_sent_to_its_end_is_not_said_again(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        await talk.agent_says("Good day.", 3000)

        talk.line_to_evi.reset()

        await talk.resumed()
        assert await told_until_now(talk, "assistant_input") == []
        await talk.goes_on()

    async def test_a_sentence_that_the_caller_has_interrupted_is_not_said_again(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        await talk.agent_says("A very long story.", 400, end=False)
        await talk.chat.send(type="user_interruption", time=1767000061250)
        await talk.twilio.expect("clear")

        talk.line_to_evi.reset()

        await talk.resumed()
        assert await told_until_now(talk, "assistant_input") == []

    async def test_audio_of_the_lost_chat_plays_to_its_end(self, scene: Scene) -> None:
        talk = await scene.talk()
        await talk.agent_says("A long sentence.", 2000)
        mark = (await talk.twilio.expect("mark"))["mark"]["name"]
        talk.line_to_evi.reset()
        await talk.resumed()

        await talk.twilio.echo(mark)
        await talk.goes_on()

        await talk.twilio.hang_up()
        await talk.reason()
        (ended,) = scene.stage.service.logged("call_ended", call_id=talk.call_sid)
        assert (ended["agent_sent_ms"], ended["agent_heard_ms"]) == (2100, 2100)


class TestAnUnansweredQuestion:
    async def test_it_is_asked_anew_of_a_server_that_has_forgotten_the_group(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        scene.stage.evi.refusals[talk.chat.group_id] = [404]
        await talk.caller_is_understood("Where is my order?")
        talk.line_to_evi.reset()

        await talk.fresh_chat()
        await talk.chat.open()

        assert (await talk.chat.expect("user_input"))["text"] == "Where is my order?"
