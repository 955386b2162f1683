"""The service is told to end while calls go on: one service for each case, all at once."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from tests.faults.stage import CLOSING, HANG_UP, Scene, Stage, Talk, staged, verbs
from tests.faults.together import Together

pytestmark = pytest.mark.asyncio(loop_scope="module")

DRAIN_S = 2.0
BUSY = [("Reject", "")]

together = Together[Scene]()


async def told_to_end(scene: Scene) -> None:
    """SIGTERM, whose effect shows within a second."""
    scene.stage.service.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(1.0):
        while await scene.stage.ready() != 503:
            pass


async def cut_short(talk: Talk) -> None:
    """The stream of a call is closed, and Twilio has something to say to the caller."""
    assert await talk.twilio.closed() == 1000
    assert verbs(await talk.asks_what_comes_next()) == CLOSING
    assert await talk.reason() == "shutdown"
    assert await talk.chat.ended() == 1000


async def ends_well(scene: Scene) -> None:
    """The process ends by itself."""
    assert await scene.stage.service.ended() == 0


@together
async def calls_go_on_to_their_own_end_and_no_other_begins(scene: Scene) -> None:
    first, talk = await scene.talk(), await scene.talk()

    await told_to_end(scene)

    status, document = await scene.carrier().post("/twilio/voice")
    assert (status, verbs(document)) == (200, BUSY)
    await first.goes_on()
    await first.chat.close(1000)
    assert await first.twilio.closed() == 1000
    assert verbs(await first.asks_what_comes_next()) == HANG_UP
    assert await first.reason() == "agent_hung_up"
    talk.line_to_evi.reset()  # a call that goes on survives its losses as ever
    await talk.resumed()
    await talk.goes_on()
    talk.line_to_service.reset()
    await talk.chat.expect("pause_assistant_message")
    await talk.comes_back()
    await talk.chat.expect("resume_assistant_message")
    await talk.goes_on()

    await talk.twilio.hang_up()
    await ends_well(scene)
    assert await talk.reason() == "caller_hung_up"


@together
async def a_caller_who_was_let_in_and_begins_meanwhile_is_waited_for(scene: Scene) -> None:
    talk = await scene.talk()
    late = scene.carrier()
    ticket = await late.ring()
    await told_to_end(scene)
    await late.connect()
    await late.start(ticket)
    chat = await scene.stage.evi.next_chat()
    await chat.open()
    await chat.expect("session_settings")
    second = Talk(scene.stage, late, chat)

    await talk.twilio.hang_up()
    await talk.reason()

    await second.goes_on()
    await late.hang_up()
    await ends_well(scene)
    assert await second.reason() == "caller_hung_up"


@together
async def a_caller_who_was_let_in_and_has_no_stream_yet_is_not_left_alone(scene: Scene) -> None:
    late = scene.carrier()
    ticket = await late.ring()
    scene.stage.service.process.send_signal(signal.SIGTERM)
    await asyncio.wait([asyncio.ensure_future(scene.stage.service.ended())], timeout=0.5)

    await late.connect()
    await late.start(ticket)
    chat = await scene.stage.evi.next_chat()
    await chat.open()
    await Talk(scene.stage, late, chat).goes_on()

    await late.hang_up()
    await ends_well(scene)


@together
async def calls_that_last_longer_than_they_may_are_ended_with_a_sentence(scene: Scene) -> None:
    talk, other = await scene.talk(), await scene.talk()
    began_s = time.monotonic()
    await told_to_end(scene)
    await talk.goes_on()

    await asyncio.gather(cut_short(talk), cut_short(other))

    assert time.monotonic() - began_s >= DRAIN_S
    await ends_well(scene)


@together
async def a_second_signal_ends_the_calls_at_once(scene: Scene) -> None:
    talk = await scene.talk()
    began_s = time.monotonic()
    await told_to_end(scene)
    await talk.goes_on()

    scene.stage.service.process.send_signal(signal.SIGTERM)

    await cut_short(talk)
    await ends_well(scene)
    assert time.monotonic() - began_s < DRAIN_S


@together
async def ctrl_c_ends_the_calls_at_once_whatever_state_they_are_in(scene: Scene) -> None:
    talk, away, unasked = [await scene.talk() for _ in range(3)]
    away.line_to_service.reset()
    await away.chat.expect("pause_assistant_message")

    scene.stage.service.process.send_signal(signal.SIGINT)

    await cut_short(talk)
    assert verbs(await away.asks_what_comes_next()) == CLOSING
    assert await unasked.twilio.closed() == 1000
    await ends_well(scene)
    assert await away.reason() == "shutdown"
    assert scene.stage.service.logged("carrier_did_not_ask", call_id=unasked.call_sid)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenarios() -> AsyncIterator[Together[Scene]]:
    async with AsyncExitStack() as stack:
        starting = [
            stack.enter_async_context(staged(EVIBRIDGE_DRAIN_SECONDS=str(DRAIN_S)))
            for _ in together.names
        ]
        started = await asyncio.gather(*starting, return_exceptions=True)
        for fault in started:
            if isinstance(fault, BaseException):
                raise fault
        scenes = [Scene(stage) for stage in started if isinstance(stage, Stage)]
        async with together.running(*scenes):
            yield together
        for scene in scenes:
            await scene.close()


@pytest.mark.parametrize("scenario", together.names)
async def test_in_time(scenarios: Together[Scene], scenario: str) -> None:
    await scenarios.outcome(scenario)
