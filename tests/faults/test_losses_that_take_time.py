"""Losses that are noticed, or given up, after some seconds: all at once on one service."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.faults.stage import (
    APOLOGY,
    Scene,
    Stage,
    is_first,
    ordering,
    speaking,
    told_until_now,
    verbs,
)
from tests.faults.together import Together

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOTICED_WITHIN_S = 25.0
"""Two ping intervals of 5 s, or 10 s without a frame, and some for a busy machine."""
EMMA = '{"title": "Emma"}'
SPARE_CALLS = 24
SETTINGS = {"EVIBRIDGE_RESUME_SECONDS": "6"}

together = Together[Scene]()


@together
async def a_server_that_vanishes_is_noticed_and_another_call_is_not_touched(scene: Scene) -> None:
    other, talk = scene.spare.pop(), scene.spare.pop()
    talk.line_to_evi.swallow()

    async with speaking(talk), speaking(other):
        resuming = asyncio.ensure_future(talk.resumed(within_s=NOTICED_WITHIN_S))
        while not (await asyncio.wait([resuming], timeout=0.5))[0]:
            await other.goes_on()
        await resuming

        await talk.goes_on()
        await other.goes_on()
    assert not scene.stage.service.logged("chat_lost", call_id=other.call_sid)


@together
async def a_server_that_takes_nothing_any_more_is_noticed(scene: Scene) -> None:
    talk = scene.spare.pop()
    talk.line_to_evi.block()

    async with speaking(talk):
        await talk.resumed(within_s=NOTICED_WITHIN_S)

        await talk.goes_on()


@together
async def an_answer_that_vanishes_on_its_way_is_given_again(scene: Scene) -> None:
    talk = scene.spare.pop()
    errand = await ordering(talk)
    talk.line_to_evi.swallow()
    errand.finish("It is ordered.")
    await scene.stage.service.told("tool_finished", call_id=talk.call_sid)
    async with speaking(talk):
        await talk.resumed(within_s=NOTICED_WITHIN_S)

        await talk.chat.call_tool("again", "order_book", EMMA)

        answers = await told_until_now(talk, "tool_response")
    assert [answer["content"] for answer in answers][-1:] == ["It is ordered."]
    assert scene.stage.gate.runs(talk.call_sid) == 1


@together
async def a_question_that_is_asked_again_orders_nothing_twice(scene: Scene) -> None:
    talk = scene.spare.pop()
    await talk.caller_is_understood("Order Emma, please.")
    (await ordering(talk)).finish("It is ordered.")
    await talk.chat.expect("tool_response")
    talk.line_to_evi.reset()
    await talk.resumed()
    assert (await talk.chat.expect("user_input"))["text"] == "Order Emma, please."

    await talk.chat.call_tool("again", "order_book", EMMA)

    answers = await told_until_now(talk, "tool_response")
    assert [answer["content"] for answer in answers][-1:] == ["It is ordered."]
    assert scene.stage.gate.runs(talk.call_sid) == 1


@together
async def a_server_that_does_not_come_back_costs_an_apology(scene: Scene) -> None:
    other, talk = scene.spare.pop(), scene.spare.pop()
    scene.stage.evi.refusals[talk.chat.group_id] = [503] * 100

    talk.line_to_evi.reset()

    await talk.lost()
    await other.goes_on()
    assert await talk.reason(within_s=NOTICED_WITHIN_S) == "evi_lost"
    assert await talk.twilio.closed() == 1000
    for attempt in (1, 2):  # `action` and the redirect behind it both lead here
        assert verbs(await talk.asks_what_comes_next(attempt)) == APOLOGY
    await other.goes_on()


@together
async def a_server_that_takes_the_call_and_never_begins_is_given_up(scene: Scene) -> None:
    unbegun = await scene.ring()
    chat = await scene.stage.evi.next_chat(is_first)
    scene.stage.evi.refusals[""] = [0] * 10  # from now on not even the handshake is answered
    unanswered = await scene.ring()

    for twilio in (unbegun, unanswered):
        ended = await scene.stage.service.told(
            "call_ended", call_id=twilio.call_sid, within_s=NOTICED_WITHIN_S
        )
        assert ended["reason"] == "evi_unreachable"
        assert verbs((await twilio.post("/twilio/stream-ended?attempt=1"))[1]) == APOLOGY
    assert await chat.ended() == 1000


@together
async def a_resumed_chat_that_never_begins_is_given_up(scene: Scene) -> None:
    talk = scene.spare.pop()
    talk.line_to_evi.reset()
    await talk.next_chat()

    assert await talk.reason(within_s=NOTICED_WITHIN_S) == "evi_lost"

    assert await talk.chat.ended() == 1000


@together
async def a_caller_who_does_not_come_back_gets_an_apology_if_twilio_asks_late(scene: Scene) -> None:
    other, talk = scene.spare.pop(), scene.spare.pop()
    errand = await ordering(talk)
    talk.line_to_service.reset()
    await talk.chat.expect("pause_assistant_message")

    assert await errand.given_up(within_s=NOTICED_WITHIN_S)

    assert await talk.chat.ended() == 1000
    assert await talk.reason() == "caller_lost"
    for attempt in (1, 2):
        assert verbs(await talk.asks_what_comes_next(attempt)) == APOLOGY
    await other.goes_on()


@together
async def a_stream_on_which_nothing_comes_is_a_stream_that_broke(scene: Scene) -> None:
    talk = scene.spare.pop()
    talk.line_to_service.swallow()

    await talk.chat.expect("pause_assistant_message", within_s=NOTICED_WITHIN_S)
    assert scene.stage.service.logged("stream_fell_silent", call_id=talk.call_sid)

    await talk.comes_back()
    await talk.chat.expect("resume_assistant_message")
    await talk.goes_on()


@together
async def a_phone_that_takes_no_audio_is_a_stream_that_broke(scene: Scene) -> None:
    talk = scene.spare.pop()
    talk.line_to_service.block_server()

    for number in range(10):
        await talk.chat.send_audio(f"{number}", 0, 60_000, rate_hz=8000)
    await scene.stage.service.told("caller_link_stuck", call_id=talk.call_sid)

    await talk.chat.expect("pause_assistant_message", within_s=NOTICED_WITHIN_S)
    await talk.comes_back()
    await talk.chat.expect("resume_assistant_message")
    await talk.goes_on()


@together
async def a_socket_without_a_start_is_closed(scene: Scene) -> None:
    twilio = scene.carrier()
    await twilio.ring()
    await twilio.connect()

    assert await twilio.closed() == 1008


@together
async def marks_that_are_missing_hold_up_a_hang_up_for_a_moment_only(scene: Scene) -> None:
    talk = scene.spare.pop()
    await talk.agent_says("Goodbye.")

    await talk.chat.close(1000)

    assert await talk.twilio.closed() == 1000
    assert await talk.reason() == "agent_hung_up"


@together
async def a_question_without_an_answer_is_asked_again_if_the_new_chat_is_silent(
    scene: Scene,
) -> None:
    silent, hears, answers, asks_a_tool, done = [scene.spare.pop() for _ in range(5)]
    await done.caller_is_understood("Where is my order?")
    await done.agent_says("On its way.")
    await done.twilio.expect("mark")
    for talk in (hears, answers, asks_a_tool, silent):
        await talk.caller_is_understood("Where is my order?")
    for talk in (done, hears, answers, asks_a_tool, silent):
        talk.line_to_evi.reset()
        await talk.resumed()
    await answers.agent_says("On its way.", end=False)
    await hears.caller_is_understood("Hello?")
    await asks_a_tool.chat.call_tool("tool", "order_status", '{"order_id": "7"}')
    await asks_a_tool.chat.expect("tool_response")

    asked = await silent.chat.expect("user_input")

    assert asked["text"] == "Where is my order?"
    for talk in (done, hears, answers, asks_a_tool):
        assert await told_until_now(talk, "user_input") == []
    await silent.chat.hear_user("Where is my order?", typed=True)
    await silent.goes_on()
    said = scene.stage.service.logged("caller_said", call_id=silent.call_sid)
    assert [line["text"] for line in said] == ["Where is my order?"]


@together
async def a_question_is_asked_again_also_if_the_caller_was_away_when_it_was_due(
    scene: Scene,
) -> None:
    talk, later = scene.spare.pop(), scene.spare.pop()
    for each in (talk, later):
        await each.caller_is_understood("Where is my order?")
    talk.line_to_service.reset()
    await talk.chat.expect("pause_assistant_message")
    for each in (talk, later):
        each.line_to_evi.reset()
        await each.resumed()
    await later.chat.expect("user_input")

    await talk.comes_back()

    await talk.chat.expect("resume_assistant_message")
    asked = await talk.chat.expect("user_input", within_s=NOTICED_WITHIN_S)
    assert asked["text"] == "Where is my order?"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenarios(stage: Stage) -> AsyncIterator[Together[Scene]]:
    scene = Scene(stage)
    scene.spare = [await scene.talk() for _ in range(SPARE_CALLS)]
    async with together.running(*[scene] * len(together.names)):
        yield together
    await scene.close()


@pytest.mark.parametrize("scenario", together.names)
async def test_in_time(scenarios: Together[Scene], scenario: str) -> None:
    await scenarios.outcome(scenario)
