"""Calls that the service makes, when Twilio's answer to the wish comes late or not at all."""

import asyncio

import aiohttp
import pytest
from structlog.testing import capture_logs

from evibridge.agent.snapshot import CallState
from evibridge.bridges import twilio_http, twilio_outbound
from evibridge.errors import CommandRefused
from evibridge.events import CallDialled, CallEnded, EndReason
from tests.bridges.called_person import CalledPerson
from tests.bridges.outbound_stage import THEM, OutboundStage, outbound_stage, verbs
from tests.bridges.twilio_rest_server import Fault, TinyTwilioRest, error
from tests.parties import TinyEvi

DIALLED = CallDialled(THEM, "ada")


async def unclear(stage: OutboundStage) -> CalledPerson:
    """Somebody whose telephone rings although the wish has failed."""
    with pytest.raises(CommandRefused, match="if the telephone rings all the same") as refused:
        await stage.dial()
    assert (refused.value.code, refused.value.retryable) == ("carrier_unclear", False)
    assert len(stage.rest.created) == 1
    return await stage.person()


class TestALateAnswer:
    async def test_somebody_may_answer_before_twilio_does(self, stage: OutboundStage) -> None:
        stage.rest.may_answer.clear()
        dialling = asyncio.create_task(stage.dial())
        person = await stage.person()

        document = await person.answer()
        assert stage.told_before_the_stream(person.call_sid) == [DIALLED]
        stage.rest.may_answer.set()

        dialled = await dialling
        assert (dialled.call_id, dialled.state) == (person.call_sid, CallState.CONNECTING)
        await person.speak_with(document)
        await stage.evi.next_chat()

    async def test_the_conversation_may_begin_before_twilio_answers(
        self, stage: OutboundStage
    ) -> None:
        stage.rest.may_answer.clear()
        dialling = asyncio.create_task(stage.dial())
        person = await stage.person()

        await person.speak_with(await person.answer())
        chat = await stage.evi.next_chat()
        stage.rest.may_answer.set()

        assert (await dialling).call_id == person.call_sid
        await chat.open()
        await chat.expect("session_settings")
        assert stage.told_before_the_stream(person.call_sid) == [DIALLED]
        assert stage.twilio.free_places == 1

    async def test_the_call_may_be_over_before_twilio_answers(self, stage: OutboundStage) -> None:
        stage.rest.may_answer.clear()
        dialling = asyncio.create_task(stage.dial())
        person = await stage.person()

        await person.fares("busy")
        stage.rest.may_answer.set()

        dialled = await dialling
        assert (dialled.state, dialled.ended) == (CallState.ENDED, EndReason.BUSY)
        ended = CallEnded(EndReason.BUSY)
        assert stage.told_before_the_stream(person.call_sid) == [DIALLED, ended]

    async def test_a_request_that_names_no_call_names_none(self, stage: OutboundStage) -> None:
        stage.rest.may_answer.clear()
        dialling = asyncio.create_task(stage.dial())
        person = await stage.person()

        await person.post(person.made["StatusCallback"], CallSid="", CallStatus="ringing")
        assert stage.events == []
        stage.rest.may_answer.set()

        assert (await dialling).call_id == person.call_sid

    async def test_a_place_is_taken_before_twilio_answers(self, stage: OutboundStage) -> None:
        stage.rest.may_answer.clear()
        dialling = [asyncio.create_task(stage.dial()) for _ in range(2)]
        await stage.person(number=2)

        with pytest.raises(CommandRefused, match="As many calls go on as may"):
            await stage.dial()

        stage.rest.may_answer.set()
        await asyncio.gather(*dialling)

    async def test_an_operator_who_does_not_wait_changes_nothing(
        self, stage: OutboundStage
    ) -> None:
        stage.rest.may_answer.clear()
        dialling = asyncio.create_task(stage.dial())
        person = await stage.person()

        dialling.cancel()
        stage.rest.may_answer.set()

        await person.speak_with(await person.answer())
        await stage.evi.next_chat()

    async def test_nor_does_one_who_would_have_been_refused(self, stage: OutboundStage) -> None:
        stage.rest.may_answer.clear()
        stage.rest.script("", "disconnect")
        dialling = asyncio.create_task(stage.dial())
        await stage.person()

        dialling.cancel()
        stage.rest.may_answer.set()
        await stage.twilio.outbound.close()

        assert stage.twilio.outbound.ringing == 0


class TestALostAnswer:
    @pytest.mark.parametrize("fault", ["silence", "disconnect"])
    async def test_who_answers_a_call_that_nobody_knows_of_is_hung_up_on(
        self, stage: OutboundStage, fault: Fault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio_http, "REQUEST_TIMEOUT_S", 0.25)  # long enough to be read
        stage.rest.script("", fault)
        person = await unclear(stage)

        assert verbs(await person.answer()) == ["Hangup"]
        assert (stage.events, stage.twilio.free_places) == ([], 2)

    async def test_it_is_called_off_before_that_if_twilio_tells_of_it(
        self, stage: OutboundStage
    ) -> None:
        stage.rest.script("", "disconnect")
        person = await unclear(stage)

        await person.post(person.made["StatusCallback"], CallStatus="initiated")
        await stage.rest.asked(person.call_sid)
        await person.post(person.made["StatusCallback"], CallStatus="initiated")

        await stage.twilio.all_told()
        assert stage.rest.statuses[person.call_sid] == "canceled"
        assert [request.fields for request in stage.rest.requests[1:]] == [{"Status": "canceled"}]

    async def test_one_that_twilio_has_told_of_is_not_missed(self, stage: OutboundStage) -> None:
        stage.rest.may_answer.clear()
        stage.rest.script("", "disconnect")
        dialling = asyncio.create_task(stage.dial())
        person = await stage.person()
        await person.fares("initiated")

        stage.rest.may_answer.set()

        dialled = await dialling

        assert (dialled.call_id, dialled.state) == (person.call_sid, CallState.RINGING)
        await person.speak_with(await person.answer())
        await stage.evi.next_chat()

    async def test_only_so_many_are_watched_for(
        self, evi: TinyEvi, rest: TinyTwilioRest, http: aiohttp.ClientSession
    ) -> None:
        async with outbound_stage(evi, rest, http) as stage:
            rest.script("", *[error(503, 20503)] * (twilio_outbound.MAX_GIVEN_UP + 1))
            with capture_logs() as lines:
                for _ in range(twilio_outbound.MAX_GIVEN_UP + 1):
                    with pytest.raises(CommandRefused, match="answers with HTTP 503"):
                        await stage.dial()

            assert len(stage.twilio.outbound._given_up) == twilio_outbound.MAX_GIVEN_UP
            assert {line["why"] for line in lines} == {"carrier_unclear"}
