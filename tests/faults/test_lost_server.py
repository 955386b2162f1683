"""The EVI server is lost without a word, or does not come back as it should."""

import pytest

from tests.faults.stage import APOLOGY, SILENCE, Scene, heard, pcm16, verbs

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTICED_WITHIN_S = 15.0
"""Two ping intervals of 5 s, and some for a busy machine."""


class TestAServerThatVanishes:
    async def test_a_server_that_takes_too_much_at_once_is_not_given_up(self, scene: Scene) -> None:
        talk = await scene.talk()
        line = talk.line_to_evi
        line.block()
        for _ in range(50):
            await talk.twilio.speak(SILENCE)
        await talk.reads_all()

        line.unblock()

        await talk.goes_on()
        assert not scene.stage.service.logged("chat_lost", call_id=talk.call_sid)

    async def test_a_slow_line_loses_nothing_and_keeps_the_order(self, scene: Scene) -> None:
        talk = await scene.talk()
        talk.line_to_evi.delay_s = 0.25

        for level in range(50):
            await talk.twilio.speak(bytes([level]) * 160)

        levels = [heard(await talk.chat.expect("audio_input")) for _ in range(50)]
        assert levels == [pcm16(level) * 160 for level in range(50)]
        await talk.goes_on()


class TestAServerThatDoesNotComeBackAtOnce:
    @pytest.mark.parametrize("status", [408, 429, 500, 503])
    async def test_one_that_is_busy_is_asked_again(self, scene: Scene, status: int) -> None:
        talk = await scene.talk()
        scene.stage.evi.refusals[talk.chat.group_id] = [status, status]

        talk.line_to_evi.reset()

        await talk.resumed()
        await talk.goes_on()

    @pytest.mark.parametrize("status", [400, 404, 422])
    async def test_one_that_knows_no_such_group_gets_a_fresh_chat(
        self, scene: Scene, status: int
    ) -> None:
        talk = await scene.talk()
        scene.stage.evi.refusals[talk.chat.group_id] = [status]
        await talk.agent_says("Which book?")
        await talk.caller_is_understood("The red one.")

        talk.line_to_evi.reset()

        await talk.fresh_chat()
        await talk.chat.open()
        told = await talk.chat.expect("session_settings")
        assert told["system_prompt"].startswith("You answer for {{shop}}.\n\n")
        assert "Caller: The red one." in told["system_prompt"]
        await talk.goes_on()

    @pytest.mark.parametrize("error", ["E0708", "E0710"])
    async def test_a_group_that_cannot_be_resumed_is_told_anew_to_a_fresh_chat(
        self, scene: Scene, error: str
    ) -> None:
        talk = await scene.talk()
        await talk.goes_on()
        await talk.caller_is_understood("I want the red one.")
        talk.line_to_evi.reset()
        await talk.next_chat()

        await talk.chat.fail(error)
        await talk.chat.close(1000)

        await talk.fresh_chat()
        await talk.chat.open()
        told = await talk.chat.expect("session_settings")
        assert "You: We go on.\nCaller: I want the red one." in told["system_prompt"]
        await talk.goes_on()
        talk.line_to_evi.reset()
        assert (await talk.resumed())["system_prompt"] == "You answer for {{shop}}."

    async def test_one_that_now_refuses_the_credentials_costs_an_apology(
        self, scene: Scene
    ) -> None:
        other = await scene.talk()
        talk = await scene.talk()
        scene.stage.evi.refusals.update({talk.chat.group_id: [401], "": [401]})

        talk.line_to_evi.reset()

        assert await talk.twilio.closed() == 1000
        assert await talk.reason() == "evi_refused"
        assert verbs(await talk.asks_what_comes_next()) == APOLOGY
        await other.goes_on()

    async def test_the_same_fault_of_the_server_twice_is_its_last(self, scene: Scene) -> None:
        talk = await scene.talk()
        await talk.chat.fail("I0116")
        await talk.chat.close(1000)
        await talk.resumed()

        await talk.chat.fail("I0116")
        await talk.chat.close(1000)

        assert await talk.twilio.closed() == 1000
        assert await talk.reason() == "evi_lost"
        assert verbs(await talk.asks_what_comes_next()) == APOLOGY

    async def test_the_same_fault_after_the_caller_was_understood_is_borne_again(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        for _ in range(2):
            await talk.chat.fail("I0116")
            await talk.chat.close(1000)
            await talk.resumed()
            await talk.caller_is_understood("Hello?")
            await talk.goes_on()

    async def test_a_server_that_is_lost_again_and_again_is_given_up(self, scene: Scene) -> None:
        talk = await scene.talk()
        for _ in range(3):
            talk.line_to_evi.reset()
            await talk.resumed()
        talk.line_to_evi.reset()

        assert await talk.twilio.closed() == 1000
        assert await talk.reason() == "evi_lost"


class TestAServerThatIsNotThereAtTheStart:
    @pytest.mark.parametrize("status", [401, 403, 404])
    async def test_one_that_refuses_costs_an_apology(self, scene: Scene, status: int) -> None:
        scene.stage.evi.refusals[""] = [status]
        twilio = await scene.ring()

        assert await twilio.closed() == 1000

        ended = await scene.stage.service.told("call_ended", call_id=twilio.call_sid)
        assert ended["reason"] == "evi_refused"
        assert verbs((await twilio.post("/twilio/stream-ended?attempt=1"))[1]) == APOLOGY

    async def test_one_that_is_busy_is_asked_again(self, scene: Scene) -> None:
        scene.stage.evi.refusals[""] = [503, 429]

        await (await scene.talk()).goes_on()

    async def test_one_that_begins_twice_is_told_once(self, scene: Scene) -> None:
        talk = await scene.talk()
        await talk.chat.open()
        await talk.chat.hear_user("Hello?")

        await talk.goes_on()

        kinds = []
        while not talk.chat.received.empty():
            kinds.append(talk.chat.received.get_nowait()["type"])
        assert "session_settings" not in kinds
