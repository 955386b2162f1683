"""Calls that the service makes: the wish, the ringing, the conversation, and why there is none."""

import asyncio

import aiohttp
import pytest
from structlog.testing import capture_logs

from evibridge.agent.snapshot import CallSnapshot, CallState
from evibridge.bridges import twilio_outbound
from evibridge.bridges.twilio import MAX_ATTEMPTS
from evibridge.errors import CommandRefused
from evibridge.events import (
    CallBegan,
    CallDialled,
    CallEnded,
    CommandGiven,
    Direction,
    EndReason,
)
from tests.bridges.called_person import PUBLIC
from tests.bridges.conftest import Scene
from tests.bridges.outbound_stage import THEM, US, OutboundStage, outbound_stage, verbs
from tests.bridges.twilio_rest_server import TinyTwilioRest, error, tiny_twilio_rest
from tests.parties import PATIENCE_S, TinyEvi, ticket_in

DIALLED = CallDialled(THEM, "ada")


def snapshot_of(stage: OutboundStage, call_sid: str) -> CallSnapshot:
    snapshot = stage.twilio.outbound.snapshot(call_sid)
    assert snapshot is not None
    return snapshot


class TestAConversation:
    async def test_somebody_is_called_and_answers_and_hangs_up(self, stage: OutboundStage) -> None:
        dialled = await stage.dial()
        person = await stage.person()

        assert (dialled.call_id, dialled.state) == (person.call_sid, CallState.RINGING)
        assert dialled.direction is Direction.OUTBOUND
        assert (dialled.caller, dialled.called) == (THEM, US)
        assert stage.twilio.outbound.snapshots()[0].call_id == person.call_sid

        document = await person.answer()
        assert snapshot_of(stage, person.call_sid).state is CallState.CONNECTING
        await person.speak_with(document)
        chat = await stage.evi.next_chat()
        await chat.open()
        await chat.call_tool("call_1", "whom_do_i_speak_with", "{}")
        told = (await chat.expect("tool_response"))["content"]
        assert told == f"{THEM}, called from {US}, about tea"
        await chat.say("a", "Good day.", ms=100)
        await person.line.expect("media")
        assert stage.twilio.outbound.snapshot(person.call_sid) is None
        live = stage.calls.snapshot(person.call_sid)
        assert live is not None
        assert (live.direction, live.caller) == (Direction.OUTBOUND, THEM)

        await person.line.hang_up()
        assert await chat.ended() == 1000
        assert [call_sid for call_sid, _ in stage.events] == [person.call_sid] * len(stage.events)
        first, second, *_ = (event for _, event in stage.events)
        assert first == DIALLED
        assert second == CallBegan(direction=Direction.OUTBOUND)

    async def test_twilio_is_told_whom_to_call_and_where_to_ask(self, stage: OutboundStage) -> None:
        person = await stage.ring()

        url, callback = person.made["Url"], person.made["StatusCallback"]
        token = url.removeprefix(f"{PUBLIC}/twilio/outbound?dialled=")
        assert len(token) >= 32
        assert callback == f"{PUBLIC}/twilio/call-status?dialled={token}"
        assert {name: person.made[name] for name in ("To", "From", "Timeout")} == {
            "To": THEM,
            "From": US,
            "Timeout": "45",
        }
        assert person.made["StatusCallbackEvent"] == "initiated completed"

    async def test_another_number_may_be_called_from(self, stage: OutboundStage) -> None:
        dialled = await stage.dial("sip:desk@shop.example", from_="+14155550188")

        person = await stage.person()
        assert (person.made["To"], person.made["From"]) == ("sip:desk@shop.example", "+14155550188")
        assert dialled.called == "+14155550188"

    async def test_a_stream_that_fails_is_followed_by_another(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        await person.answer()

        _, document = await person.post(f"{PUBLIC}/twilio/stream-ended?attempt=1")

        await person.speak_with(document)
        await stage.evi.next_chat()
        live = stage.calls.snapshot(person.call_sid)
        assert live is not None
        assert (live.caller, live.called) == (THEM, US)

    async def test_streams_that_fail_again_and_again_are_given_up(
        self, stage: OutboundStage
    ) -> None:
        person = await stage.ring()
        await person.answer()

        _, document = await person.post(f"{PUBLIC}/twilio/stream-ended?attempt={MAX_ATTEMPTS}")

        assert verbs(document) == ["Say", "Hangup"]
        ended = CallEnded(EndReason.NOT_CONNECTED)
        assert stage.told_before_the_stream(person.call_sid) == [DIALLED, ended]

    async def test_one_who_hangs_up_while_a_stream_fails_has_hung_up(
        self, stage: OutboundStage
    ) -> None:
        person = await stage.ring()
        await person.answer()

        address = f"{PUBLIC}/twilio/stream-ended?attempt=1"
        _, document = await person.post(address, CallStatus="completed")

        assert verbs(document) == ["Hangup"]
        ended = CallEnded(EndReason.CALLER_HUNG_UP)
        assert stage.told_before_the_stream(person.call_sid) == [DIALLED, ended]

    async def test_a_call_of_a_service_that_is_gone_goes_on(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        await person.fares("failed")
        person.call_sid = person.line.call_sid = f"CA{'0' * 32}"

        _, document = await person.post(f"{PUBLIC}/twilio/stream-ended?attempt=1")

        await person.speak_with(document)
        await stage.evi.next_chat()
        live = stage.calls.snapshot(person.call_sid)
        assert live is not None
        assert (live.direction, live.caller) == (Direction.OUTBOUND, THEM)

    async def test_a_line_that_breaks_is_followed_by_another(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        await person.speak_with(await person.answer())
        chat = await stage.evi.next_chat()
        await chat.open()
        await person.line.close()
        await chat.expect("pause_assistant_message")

        _, document = await person.post(f"{PUBLIC}/twilio/stream-ended?attempt=1")

        await person.speak_with(document)
        await chat.expect("resume_assistant_message")


class TestNobodyAnswers:
    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            ("busy", EndReason.BUSY),
            ("no-answer", EndReason.NO_ANSWER),
            ("failed", EndReason.NOT_CONNECTED),
            ("canceled", EndReason.NOT_CONNECTED),
            ("completed", EndReason.NOT_CONNECTED),
        ],
    )
    async def test_the_call_ends_for_twilios_reason(
        self, stage: OutboundStage, status: str, reason: EndReason
    ) -> None:
        person = await stage.ring()
        await person.fares("initiated")

        await person.fares(status)
        await person.fares(status)  # told again, it is no news

        assert stage.told_before_the_stream(person.call_sid) == [DIALLED, CallEnded(reason)]
        ended = snapshot_of(stage, person.call_sid)
        assert (ended.state, ended.ended, ended.caller) == (CallState.ENDED, reason, THEM)
        assert stage.twilio.outbound.snapshots() == []
        assert stage.twilio.free_places == 2
        assert stage.rest.completed() == []

    async def test_one_who_hangs_up_before_the_stream_begins_has_hung_up(
        self, stage: OutboundStage
    ) -> None:
        person = await stage.ring()
        document = await person.answer()

        await person.fares("completed")

        ended = CallEnded(EndReason.CALLER_HUNG_UP)
        assert stage.told_before_the_stream(person.call_sid) == [DIALLED, ended]
        await person.speak_with(document)
        assert await person.line.closed() == 1008

    async def test_a_carrier_that_tells_nothing_is_not_waited_for(
        self, stage: OutboundStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio_outbound, "NEWS_WITHIN_S", 0.01)

        person = await stage.ring()

        request = await stage.rest.asked(person.call_sid)
        assert request.fields == {"Status": "canceled"}
        ended = CallEnded(EndReason.NO_ANSWER)
        assert stage.told_before_the_stream(person.call_sid) == [DIALLED, ended]

    async def test_it_may_ring_as_long_again_once_it_has_left_twilios_queue(
        self, stage: OutboundStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        person = await stage.ring()
        monkeypatch.setattr(twilio_outbound, "NEWS_WITHIN_S", 0.01)

        await person.fares("initiated")

        await stage.rest.asked(person.call_sid)

    async def test_a_stream_that_never_comes_is_not_waited_for(
        self, stage: OutboundStage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio_outbound, "STREAM_WITHIN_S", 0.01)
        person = await stage.ring()

        await person.answer()
        await person.post(person.made["StatusCallback"], CallStatus="initiated")  # it comes late

        await stage.rest.asked(person.call_sid, times=2)
        assert stage.rest.statuses[person.call_sid] == "completed"
        ended = CallEnded(EndReason.NOT_CONNECTED)
        assert stage.told_before_the_stream(person.call_sid) == [DIALLED, ended]


class TestCallingOff:
    async def test_a_ringing_call_can_be_called_off(self, stage: OutboundStage) -> None:
        person = await stage.ring()

        assert stage.twilio.outbound.hang_up(person.call_sid, by="ada")

        request = await stage.rest.asked(person.call_sid)
        assert request.fields == {"Status": "canceled"}
        await person.fares("canceled")
        assert stage.told_before_the_stream(person.call_sid) == [
            DIALLED,
            CommandGiven("hangup", "ada"),
            CallEnded(EndReason.OPERATOR_HUNG_UP),
        ]
        assert snapshot_of(stage, person.call_sid).ended is EndReason.OPERATOR_HUNG_UP
        assert stage.twilio.free_places == 2
        assert not stage.twilio.outbound.hang_up(person.call_sid, by="ada")

    async def test_one_that_was_answered_meanwhile_is_hung_up_on(
        self, stage: OutboundStage
    ) -> None:
        person = await stage.ring()
        document = await person.answer()

        stage.twilio.outbound.hang_up(person.call_sid, by="ada")

        await stage.rest.asked(person.call_sid, times=2)
        assert stage.rest.completed() == [person.call_sid]
        await person.speak_with(document)
        assert await person.line.closed() == 1008
        _, document = await person.post(f"{PUBLIC}/twilio/stream-ended?attempt=1")
        assert verbs(document) == ["Hangup"]

    async def test_who_answers_after_that_is_hung_up_on(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        stage.rest.script(person.call_sid, "silence")

        stage.twilio.outbound.hang_up(person.call_sid, by="ada")

        await stage.rest.asked(person.call_sid)
        assert verbs(await person.answer()) == ["Hangup"]

    async def test_a_call_that_goes_on_is_not_called_off(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        await person.speak_with(await person.answer())
        await stage.evi.next_chat()

        assert not stage.twilio.outbound.hang_up(person.call_sid, by="ada")
        assert not stage.twilio.outbound.hang_up("", by="ada")


class TestRefusals:
    async def test_what_twilio_refuses_is_told_with_its_words(self, stage: OutboundStage) -> None:
        stage.rest.script("", error(400, 21219))

        with capture_logs() as logs, pytest.raises(CommandRefused) as refused:
            await stage.dial()

        assert refused.value.code == "carrier_refused"
        assert str(refused.value) == (
            'Twilio refuses the call (error 21219, "The words of Twilio"): '
            "verify the number in Twilio's console, a trial account calls no others."
        )
        assert (stage.events, stage.twilio.free_places) == ([], 2)
        # Twilio's words name the number that was called.
        assert logs == [
            {"event": "call_not_made", "why": "carrier_refused", "log_level": "warning"}
        ]

    async def test_wrong_credentials_are_told(
        self, evi: TinyEvi, rest: TinyTwilioRest, http: aiohttp.ClientSession
    ) -> None:
        async with outbound_stage(evi, rest, http, auth_token="another") as stage:
            with pytest.raises(CommandRefused, match="TWILIO_AUTH_TOKEN") as refused:
                await stage.dial()

        assert refused.value.code == "carrier_refused"
        assert rest.refused == 1

    async def test_a_carrier_that_cannot_be_reached_is_told(
        self, evi: TinyEvi, http: aiohttp.ClientSession
    ) -> None:
        async with tiny_twilio_rest() as gone:
            pass
        async with outbound_stage(evi, gone, http) as stage:
            with pytest.raises(CommandRefused, match="nobody was called") as refused:
                await stage.dial()

        assert (refused.value.code, refused.value.retryable) == ("carrier_unreachable", True)

    @pytest.mark.parametrize("number", ["", "4155550111", "+1 415 555 0111", "sip:", "anonymous"])
    async def test_what_is_no_number_is_not_called(self, stage: OutboundStage, number: str) -> None:
        with pytest.raises(CommandRefused, match="The number to call must be") as refused:
            await stage.dial(number)

        assert refused.value.code == "bad_number"

    async def test_the_number_to_call_from_has_to_be_one(self, stage: OutboundStage) -> None:
        with pytest.raises(CommandRefused, match="to call from must be a number") as refused:
            await stage.dial(from_="somebody")

        assert refused.value.code == "bad_number"
        assert stage.rest.requests == []

    async def test_without_a_number_of_the_service_one_has_to_be_named(
        self, evi: TinyEvi, rest: TinyTwilioRest, http: aiohttp.ClientSession
    ) -> None:
        async with outbound_stage(evi, rest, http, number=None) as stage:
            with pytest.raises(CommandRefused, match="EVIBRIDGE_OUTBOUND_NUMBER") as refused:
                await stage.dial()
            await stage.dial(from_=US)

        assert refused.value.code == "no_number"

    async def test_without_credentials_nobody_is_called(self, scene: Scene) -> None:
        with pytest.raises(CommandRefused, match="TWILIO_ACCOUNT_SID") as refused:
            await scene.service.twilio.outbound.dial(THEM, US, {}, by="ada")

        assert refused.value.code == "no_credentials"


class TestPlaces:
    async def test_whoever_is_called_has_a_place(self, stage: OutboundStage) -> None:
        await stage.ring()
        person = await stage.ring()

        with pytest.raises(CommandRefused, match="As many calls go on as may") as refused:
            await stage.dial()
        assert refused.value.code == "service_full"
        assert stage.twilio.free_places == 0

        await person.fares("busy")
        await stage.ring()

    async def test_callers_hear_the_busy_tone_meanwhile(self, stage: OutboundStage) -> None:
        await stage.ring()
        await stage.ring()
        caller = await stage.person()
        caller.call_sid = f"CA{'0' * 32}"

        _, document = await caller.post(f"{PUBLIC}/twilio/voice")

        assert verbs(document) == ["Reject"]

    async def test_one_place_is_taken_however_far_a_call_is(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        assert stage.twilio.free_places == 1
        document = await person.answer()
        assert stage.twilio.free_places == 1
        await person.speak_with(document)
        await stage.evi.next_chat()
        assert stage.twilio.free_places == 1

    async def test_a_service_that_drains_calls_nobody(self, stage: OutboundStage) -> None:
        await stage.service.drain(0)

        with pytest.raises(CommandRefused, match="it is ending") as refused:
            await stage.dial()

        assert refused.value.code == "service_full"

    async def test_whoever_rings_then_may_still_answer_and_is_waited_for(
        self, stage: OutboundStage
    ) -> None:
        person = await stage.ring()
        await stage.service.drain(0)  # which does not wait
        draining = asyncio.create_task(stage.service.drain(PATIENCE_S))
        await person.fares("ringing")
        assert not draining.done()

        await person.speak_with(await person.answer())

        chat = await stage.evi.next_chat()
        await chat.open()
        assert not draining.done()
        await person.line.hang_up()
        await draining


class TestTheEndOfTheService:
    async def test_whoever_rings_is_not_called_any_more(self, stage: OutboundStage) -> None:
        person = await stage.ring()

        await stage.calls.close()
        assert verbs(await person.answer()) == ["Hangup"]
        stage.rest.statuses[person.call_sid] = "ringing"
        await stage.twilio.all_told()

        assert stage.rest.statuses[person.call_sid] == "canceled"
        assert stage.told_before_the_stream(person.call_sid)[-1] == CallEnded(EndReason.SHUTDOWN)
        with pytest.raises(CommandRefused, match="it is ending"):
            await stage.dial()

    async def test_a_call_that_is_just_being_made_is_called_off(self, stage: OutboundStage) -> None:
        stage.rest.may_answer.clear()
        dialling = asyncio.create_task(stage.dial())
        person = await stage.person()
        closing = asyncio.create_task(stage.twilio.all_told())

        stage.rest.may_answer.set()

        assert (await dialling).ended is EndReason.SHUTDOWN
        await closing
        assert stage.rest.statuses[person.call_sid] == "canceled"


class TestStrangers:
    async def test_a_call_that_nobody_dialled_is_hung_up_on(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        person.call_sid = f"CA{'0' * 32}"

        for address in ("", "?dialled=", "?dialled=x", "?dialled=%C3%A9"):
            _, document = await person.post(f"{PUBLIC}/twilio/outbound{address}")
            assert verbs(document) == ["Hangup"]

    async def test_a_token_is_good_for_one_call(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        thief = await stage.person()
        thief.call_sid = f"CA{'0' * 32}"

        assert verbs(await thief.answer()) == ["Hangup"]
        assert "Connect" in verbs(await person.answer())

    async def test_a_token_is_used_up_when_the_stream_has_begun(self, stage: OutboundStage) -> None:
        person = await stage.ring()
        document = await person.answer()
        assert ticket_in(await person.answer()) == ticket_in(document)  # Twilio asks again
        await person.speak_with(document)
        await stage.evi.next_chat()

        assert verbs(await person.answer()) == ["Hangup"]

    async def test_the_sid_alone_does_not_do(self, stage: OutboundStage) -> None:
        person = await stage.ring()

        _, document = await person.post(f"{PUBLIC}/twilio/outbound?dialled=x")

        assert verbs(document) == ["Hangup"]
        assert snapshot_of(stage, person.call_sid).state is CallState.RINGING

    async def test_requests_that_are_not_signed_or_name_no_call_are_refused(
        self, stage: OutboundStage
    ) -> None:
        person = await stage.ring()
        address = person.made["Url"].removeprefix(PUBLIC)

        assert (await person.line.post(address))[0] == 403
        assert (await person.post(person.made["Url"], CallSid=""))[0] == 400
        assert (await person.post(person.made["StatusCallback"], CallSid=""))[0] == 204
        assert snapshot_of(stage, person.call_sid).state is CallState.RINGING


async def test_nothing_personal_shows(stage: OutboundStage) -> None:
    person = await stage.ring()
    (pending,) = stage.twilio.outbound._pending

    shown = repr([pending, pending.facts(), snapshot_of(stage, person.call_sid)])

    assert not any(text in shown for text in (THEM, US, "tea", pending.token))
