"""Tools that run while a connection is lost."""

import pytest

from tests.faults.stage import Scene, heard, ordering, pcm16, told_until_now

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMMA = '{"title": "Emma"}'


async def test_an_answer_that_comes_after_the_loss_goes_to_the_chat_that_follows_once(
    scene: Scene,
) -> None:
    other = await scene.talk()
    talk = await scene.talk()
    errand = await ordering(talk)
    talk.line_to_evi.reset()
    await talk.resumed()

    errand.finish("It is ordered.")

    answer = await talk.chat.expect("tool_response")
    assert (answer["tool_call_id"], answer["content"]) == ("first", "It is ordered.")
    assert await told_until_now(talk, "tool_response") == []
    await other.goes_on()


async def test_an_answer_that_comes_while_there_is_no_chat_waits_for_one(scene: Scene) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)
    talk.line_to_evi.reset()
    await talk.next_chat()

    errand.finish("It is ordered.")
    await scene.stage.service.told("tool_finished", call_id=talk.call_sid)
    await talk.chat.open()

    assert (await talk.chat.expect("tool_response"))["content"] == "It is ordered."
    assert await told_until_now(talk, "tool_response") == []


async def test_the_same_call_made_again_is_given_the_answer_of_the_one_that_runs(
    scene: Scene,
) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)
    talk.line_to_evi.reset()
    await talk.resumed()

    await talk.chat.call_tool("again", "order_book", EMMA)
    await scene.stage.service.told("tool_started", call_id=talk.call_sid, tool_call_id="again")
    errand.finish("It is ordered.")

    answer = await talk.chat.expect("tool_response")
    assert (answer["tool_call_id"], answer["content"]) == ("again", "It is ordered.")
    assert await told_until_now(talk, "tool_response") == []
    assert scene.stage.gate.runs(talk.call_sid) == 1


async def test_the_same_call_made_after_the_answer_is_not_run_again(scene: Scene) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)
    talk.line_to_evi.reset()
    await talk.resumed()
    errand.finish("It is ordered.")
    await talk.chat.expect("tool_response")

    await talk.chat.call_tool("again", "order_book", EMMA)

    answer = await talk.chat.expect("tool_response")
    assert (answer["tool_call_id"], answer["content"]) == ("again", "It is ordered.")
    assert scene.stage.gate.runs(talk.call_sid) == 1


async def test_the_same_call_made_after_a_new_wish_of_the_caller_is_run_again(scene: Scene) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)
    talk.line_to_evi.reset()
    await talk.resumed()
    errand.finish("It is ordered.")
    await talk.chat.expect("tool_response")
    await talk.caller_is_understood("Another one, please.")

    await talk.chat.call_tool("again", "order_book", EMMA)

    (await scene.stage.gate.next(talk.call_sid)).finish("Another is ordered.")
    assert (await talk.chat.expect("tool_response"))["content"] == "Another is ordered."


async def test_a_long_answer_costs_nothing_of_the_callers_voice(scene: Scene) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)
    talk.line_to_evi.bytes_per_s = 500_000

    errand.finish("x" * 60_000)
    await scene.stage.service.told("tool_finished", call_id=talk.call_sid)
    for level in range(10):
        await talk.twilio.speak(bytes([level]) * 160)
    await talk.reads_all()

    frames = [heard(message) for message in await told_until_now(talk, "audio_input")]
    assert frames == [pcm16(level) * 160 for level in range(10)]


async def test_a_tool_is_cancelled_when_the_caller_hangs_up(scene: Scene) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)

    await talk.twilio.hang_up()

    assert await errand.given_up()
    assert await talk.reason() == "caller_hung_up"


async def test_a_tool_is_cancelled_when_the_caller_hangs_up_while_there_is_no_chat(
    scene: Scene,
) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)
    talk.line_to_evi.reset()
    await talk.next_chat()

    await talk.twilio.hang_up()

    assert await errand.given_up()
    assert await talk.chat.ended() == 1000


async def test_a_tool_is_cancelled_when_the_server_is_given_up(scene: Scene) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)

    await talk.chat.close(1008)

    assert await errand.given_up()
    assert await talk.reason() == "evi_refused"


async def test_a_tool_goes_on_while_the_caller_is_away(scene: Scene) -> None:
    talk = await scene.talk()
    errand = await ordering(talk)
    talk.line_to_service.reset()
    await talk.chat.expect("pause_assistant_message")

    errand.finish("It is ordered.")

    assert (await talk.chat.expect("tool_response"))["content"] == "It is ordered."
    await talk.comes_back()
    await talk.chat.expect("resume_assistant_message")
    await talk.goes_on()


async def test_a_hang_up_that_a_tool_asks_for_outlives_the_chat(scene: Scene) -> None:
    talk = await scene.talk()
    await talk.chat.call_tool("bye", "say_goodbye", "{}")
    await talk.chat.expect("tool_response")

    talk.line_to_evi.reset()

    assert await talk.twilio.closed() == 1000
    assert await talk.reason() == "agent_hung_up"
