"""How calls end that somebody else can take over, and what the caller hears until then."""

import base64

import pytest

from tests.faults.conftest import FILLER_MS
from tests.faults.stage import HANG_UP, Scene, Talk, verbs

pytestmark = pytest.mark.asyncio(loop_scope="module")

AGENT = "with_filler"
SETTINGS = {"EVIBRIDGE_FALLBACK_NUMBER": "+14155550122", "EVIBRIDGE_RESUME_SECONDS": "2"}
DIAL = [("Say", "Sorry!"), ("Dial", "+14155550122"), ("Hangup", "")]


async def hears_the_filler(talk: Talk) -> None:
    media = await talk.twilio.expect("media")
    assert len(base64.b64decode(media["media"]["payload"])) == FILLER_MS * 8
    await talk.twilio.echo((await talk.twilio.expect("mark"))["mark"]["name"])


async def test_a_caller_whose_server_is_lost_hears_the_filler_and_is_put_through(
    scene: Scene,
) -> None:
    other = await scene.talk()
    talk = await scene.talk()
    scene.stage.evi.refusals[talk.chat.group_id] = [503] * 100

    talk.line_to_evi.reset()

    await hears_the_filler(talk)
    await other.goes_on()
    assert await talk.twilio.closed() == 1000
    assert await talk.reason() == "evi_lost"
    assert verbs(await talk.asks_what_comes_next()) == DIAL


async def test_a_server_that_comes_back_after_the_filler_goes_on(scene: Scene) -> None:
    talk = await scene.talk()
    talk.line_to_evi.reset()
    await talk.next_chat()

    await hears_the_filler(talk)
    await talk.chat.open()
    await talk.chat.expect("session_settings")

    await talk.goes_on()


async def test_a_caller_whose_chat_is_refused_is_put_through(scene: Scene) -> None:
    talk = await scene.talk()

    await talk.chat.close(1008)

    assert await talk.twilio.closed() == 1000
    assert verbs(await talk.asks_what_comes_next()) == DIAL


async def test_a_caller_who_comes_back_too_late_is_put_through(scene: Scene) -> None:
    talk = await scene.talk()

    talk.line_to_service.reset()

    assert await talk.reason() == "caller_lost"
    assert verbs(await talk.asks_what_comes_next()) == DIAL


async def test_the_same_fault_twice_puts_the_caller_through(scene: Scene) -> None:
    talk = await scene.talk()
    await talk.chat.fail("I0116")
    await talk.chat.close(1000)
    await talk.resumed()
    await talk.chat.fail("I0116")
    await talk.chat.close(1000)

    assert await talk.twilio.closed() == 1000
    assert verbs(await talk.asks_what_comes_next()) == DIAL


@pytest.mark.parametrize("error", ["", "E0714"])
async def test_a_call_that_is_over_goes_to_nobody(scene: Scene, error: str) -> None:
    talk = await scene.talk()
    if error:
        await talk.chat.fail(error)

    await talk.chat.close(1000)

    assert await talk.twilio.closed() == 1000
    assert verbs(await talk.asks_what_comes_next()) == HANG_UP


async def test_goodbye_is_heard_before_the_agent_hangs_up(scene: Scene) -> None:
    talk = await scene.talk()
    await talk.caller_is_understood("Goodbye.")
    await talk.chat.call_tool("bye", "say_goodbye", "{}")
    await talk.chat.expect("tool_response")
    await talk.agent_says("Goodbye.", 200)
    mark = (await talk.twilio.expect("mark"))["mark"]["name"]

    talk.line_to_evi.reset()
    await talk.twilio.echo(mark)

    assert await talk.twilio.closed() == 1000
    assert await talk.reason() == "agent_hung_up"
    assert verbs(await talk.asks_what_comes_next()) == HANG_UP
