"""How calls end at their carrier when they do not end by themselves."""

import asyncio
import threading
from collections.abc import AsyncIterator
from xml.etree import ElementTree as ET

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from evibridge import Agent, Manners, ToolContext, Tools
from evibridge.agent.actions import Command, HangUp
from evibridge.bridges import twilio_endings
from evibridge.bridges.twilio_endings import MAX_REMEMBERED, Endings, LastWords
from evibridge.bridges.twilio_rest import TwilioRest
from evibridge.events import EndReason
from evibridge.service import start_service
from tests.bridges.conftest import Scene, settings
from tests.bridges.twilio_rest_server import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    TinyTwilioRest,
    error,
    new_call_sid,
    tiny_twilio_rest,
)
from tests.parties import PATIENCE_S, TinyEvi, TinyTwilio

tools = Tools()


@tools.tool
def say_goodbye(call: ToolContext) -> str:
    """End the call."""
    call.hang_up()
    return "The call ends."


@tools.tool
def ask_the_workshop(call: ToolContext) -> str:
    """Put the caller through."""
    call.transfer("+14155550155")
    return "The caller is put through."


released, hung_up = threading.Event(), threading.Event()


@tools.tool(timeout=0.05)
def say_goodbye_late(call: ToolContext) -> str:
    """End the call, too late."""
    released.wait(PATIENCE_S)
    call.hang_up()
    hung_up.set()
    return "The call ends."


AGENT = Agent(
    system_prompt="Be brief.",
    tools=tools,
    manners=Manners(filler=None, apology="Sorry!", closing="We close."),
)
WORDS = LastWords(apology="Sorry!", closing="We close.", fallback_number="+14155550122")


@pytest.fixture
async def fragile(evi: TinyEvi, http: aiohttp.ClientSession) -> AsyncIterator[Scene]:
    """A service that does not wait long for what it has lost."""
    service = await start_service(
        AGENT, settings(evi, resume_seconds=0.3, fallback_number="+14155550122")
    )
    scene = Scene(evi, service, http)
    try:
        yield scene
    finally:
        for twilio in scene.calls:
            await twilio.close()
            if service.calls.get(twilio.call_sid) is not None:
                await twilio.post("/twilio/call-status", CallStatus="completed")
        await service.close()


def signed(url: str, form: dict[str, str]) -> dict[str, str]:
    signature = RequestValidator(AUTH_TOKEN).compute_signature(url, form)
    return {"X-Twilio-Signature": signature}


def verbs(document: str) -> list[str]:
    return [verb.tag for verb in ET.fromstring(document)]


class TestALostServer:
    async def test_it_is_called_back_and_the_conversation_goes_on(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await chat.socket.close(code=1011)
        resumed = await scene.evi.next_chat()
        await twilio.speak(b"\x00" * 160)
        await twilio.post("/twilio/stream-status", StreamEvent="stream-started")
        await resumed.open()

        assert resumed.query["resumed_chat_group_id"] == chat.chat_id
        told = await resumed.expect("session_settings")
        assert told["system_prompt"] == "You answer for {{shop}}."
        assert {tool["name"] for tool in told["tools"]} == {"order_status", "hang"}
        await resumed.expect("audio_input")
        await resumed.say("b", "Here I am again.", ms=100)
        await twilio.expect("media")

    async def test_one_that_does_not_come_back_costs_an_apology_and_the_call_goes_elsewhere(
        self, fragile: Scene
    ) -> None:
        twilio, chat = await fragile.talk()
        fragile.evi.refuse_with = 503

        await chat.socket.close(code=1011)

        assert await twilio.closed() == 1000
        _, document = await twilio.post("/twilio/stream-ended?attempt=1")
        say, dial, _ = list(ET.fromstring(document))
        assert (say.text, dial[0].text) == ("Sorry!", "+14155550122")
        record = fragile.service.calls.snapshot(twilio.call_sid)
        assert record is not None
        assert record.ended is EndReason.EVI_LOST


class TestALostCaller:
    async def test_the_call_goes_on_by_another_stream(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        await twilio.close()
        await chat.expect("pause_assistant_message")

        await chat.expect("audio_input")  # silence in place of the caller
        _, document = await twilio.post("/twilio/stream-ended?attempt=1")
        token = document.split('name="token" value="')[1].split('"')[0]
        again = scene.carrier()
        again.call_sid = twilio.call_sid
        await again.connect()
        await again.start(token)

        await chat.expect("resume_assistant_message")
        await chat.say("b", "Where were we?", ms=100)
        await again.expect("media")

    async def test_one_who_does_not_come_back_is_not_waited_for_long(self, fragile: Scene) -> None:
        twilio, chat = await fragile.talk()
        await twilio.close()

        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000
        _, document = await twilio.post("/twilio/stream-ended?attempt=1")
        assert verbs(document) == ["Say", "Dial", "Hangup"]


class TestACallThatHasEnded:
    async def test_a_stream_that_comes_too_late_does_not_bring_it_back(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        await twilio.close()
        await chat.expect("pause_assistant_message")
        _, document = await twilio.post("/twilio/stream-ended?attempt=1")
        token = document.split('name="token" value="')[1].split('"')[0]
        call = scene.service.calls.get(twilio.call_sid)
        assert call is not None
        call.command(Command.HANG_UP)

        await twilio.connect()
        await twilio.start(token)

        assert await twilio.closed() == 1008
        _, document = await twilio.post("/twilio/stream-ended?attempt=2")
        assert verbs(document) == ["Hangup"]

    async def test_its_webhook_coming_again_begins_nothing(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        await chat.socket.close(code=1000)
        assert await twilio.closed() == 1000

        _, document = await twilio.post("/twilio/voice", CallStatus="ringing")

        assert verbs(document) == ["Hangup"]

    async def test_a_caller_who_hangs_up_during_the_goodbye_leaves_nothing_to_ask(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio_endings, "ASKS_WITHIN_S", 30.0)
        twilio, chat = await scene.talk()
        await chat.say("bye", "Goodbye.", ms=5000)
        await twilio.expect("mark")
        await chat.socket.close(code=1000)
        await twilio.post("/twilio/stream-status", StreamEvent="stream-started")

        await twilio.hang_up()

        async with asyncio.timeout(PATIENCE_S):
            await scene.service.close()  # it does not wait for Twilio to ask

    @pytest.mark.parametrize("attempt", ["", "x", "9" * 5000, "-1", "٣"])
    async def test_a_number_of_tries_that_is_none_begins_nothing(
        self, scene: Scene, attempt: str
    ) -> None:
        twilio = scene.carrier()

        status, document = await twilio.post(f"/twilio/stream-ended?attempt={attempt}")

        assert (status, verbs(document)) == (200, ["Say", "Hangup"])


class TestHangingUp:
    async def test_a_tool_that_was_given_up_ends_nothing(self, fragile: Scene) -> None:
        twilio, chat = await fragile.talk()
        await chat.call_tool("call_1", "say_goodbye_late", "{}")
        assert (await chat.expect("tool_error"))["code"] == "timeout"

        released.set()
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.to_thread(hung_up.wait)

        await chat.say("a", "What else?", ms=100)
        await chat.say("b", "Anything?", ms=100)
        for _ in range(2):
            await twilio.expect("media")
        assert fragile.service.calls.get(twilio.call_sid) is not None

    async def test_a_tool_ends_the_call_once_the_goodbye_was_heard(self, fragile: Scene) -> None:
        twilio, chat = await fragile.talk()
        await chat.call_tool("call_1", "say_goodbye", "{}")
        assert (await chat.expect("tool_response"))["content"] == "The call ends."
        await chat.say("bye", "Goodbye.", ms=100)
        mark = await twilio.expect("mark")
        assert fragile.service.calls.get(twilio.call_sid) is not None

        await twilio.send(event="mark", streamSid=twilio.stream_sid, mark=mark["mark"])

        assert await twilio.closed() == 1000
        _, document = await twilio.post("/twilio/stream-ended?attempt=1")
        assert verbs(document) == ["Hangup"]

    async def test_a_tool_puts_the_caller_through_once_the_agent_has_said_so(
        self, fragile: Scene
    ) -> None:
        twilio, chat = await fragile.talk()
        await chat.call_tool("call_1", "ask_the_workshop", "{}")
        assert (await chat.expect("tool_response"))["content"] == "The caller is put through."
        await chat.say("through", "I put you through.", ms=100)
        mark = await twilio.expect("mark")
        assert fragile.service.calls.get(twilio.call_sid) is not None

        await twilio.send(event="mark", streamSid=twilio.stream_sid, mark=mark["mark"])

        assert await twilio.closed() == 1000
        _, document = await twilio.post("/twilio/stream-ended?attempt=1")
        assert verbs(document) == ["Dial", "Hangup"]
        assert ET.fromstring(document)[0][0].text == "+14155550155"

    async def test_a_call_that_is_too_long_ends_with_a_sentence(
        self, evi: TinyEvi, http: aiohttp.ClientSession
    ) -> None:
        service = await start_service(AGENT, settings(evi, max_call_seconds=0.2))
        scene = Scene(evi, service, http)
        try:
            twilio, _ = await scene.talk()

            assert await twilio.closed() == 1000
            _, document = await twilio.post("/twilio/stream-ended?attempt=1")
            assert "We close." in document
        finally:
            await twilio.close()
            await service.close()


class TestDraining:
    async def test_no_caller_is_let_in_and_running_calls_go_on(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        draining = asyncio.create_task(scene.service.drain(PATIENCE_S))
        late = scene.carrier()

        async with scene.http.get(f"{scene.service.origin}/readyz") as answer:
            assert answer.status == 503
        assert verbs((await late.post("/twilio/voice"))[1]) == ["Reject"]
        await chat.say("a", "Still here.", ms=100)
        await twilio.expect("media")
        await twilio.hang_up()

        async with asyncio.timeout(PATIENCE_S):
            await draining

    async def test_a_caller_who_was_let_in_before_may_still_begin(self, scene: Scene) -> None:
        twilio = scene.carrier()
        token = await twilio.ring()
        await scene.service.drain(0)

        await twilio.connect()
        await twilio.start(token)

        await scene.evi.next_chat()

    async def test_calls_that_last_too_long_are_ended_with_a_sentence(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        await scene.service.drain(0.05)
        closing = asyncio.create_task(scene.service.close())

        assert await twilio.closed() == 1000
        _, document = await twilio.post("/twilio/stream-ended?attempt=1")
        assert "We have to end this call now." in document
        await closing
        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000


class TestRecords:
    async def test_a_call_can_be_looked_at_while_it_goes_on_and_when_it_is_over(
        self, scene: Scene
    ) -> None:
        twilio, chat = await scene.talk()
        await chat.hear_user("Where is my order?")
        await chat.say("a", "On its way.", ms=100)
        await twilio.expect("media")
        await twilio.send(event="dtmf", streamSid=twilio.stream_sid, dtmf={"digit": "7"})
        await twilio.send(event="dtmf", streamSid=twilio.stream_sid, dtmf={"digit": "x"})
        await twilio.post("/twilio/stream-status", StreamEvent="stream-started")
        calls = scene.service.calls
        during = calls.snapshot(twilio.call_sid)
        await twilio.hang_up()
        async with asyncio.timeout(PATIENCE_S):
            await chat.closed_with
            while calls.get(twilio.call_sid) is not None:
                await twilio.post("/twilio/stream-status", StreamEvent="stream-stopped")
        after = calls.snapshot(twilio.call_sid)

        assert during is not None
        assert after is not None
        assert [line.text for line in during.lines] == ["Where is my order?", "On its way."]
        assert (during.digits, during.ended, during.chat_is_ready) == ("7", None, True)
        assert "Where" not in repr(during)
        assert after.ended is EndReason.CALLER_HUNG_UP
        assert calls.snapshot("CA" + "0" * 32) is None


class TestTheRestApi:
    @pytest.fixture
    async def rest(self) -> AsyncIterator[TinyTwilioRest]:
        async with tiny_twilio_rest() as server:
            yield server

    async def test_a_call_that_twilio_does_not_ask_about_is_ended_through_it(
        self, rest: TinyTwilioRest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio_endings, "ASKS_WITHIN_S", 0.01)
        endings = self.endings(rest)
        call_sid = new_call_sid()

        endings.ended(call_sid, HangUp(EndReason.EVI_LOST))
        await rest.asked(call_sid)
        await endings.all_told()

        assert rest.completed() == [call_sid]

    async def test_a_request_is_given_up_when_twilio_asks_after_all(
        self, rest: TinyTwilioRest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio_endings, "ASKS_WITHIN_S", 0.01)
        endings = self.endings(rest)
        call_sid = new_call_sid()
        rest.script(call_sid, error(503, 20503))
        endings.ended(call_sid, HangUp(EndReason.EVI_LOST))
        await rest.asked(call_sid)

        assert endings.asked(call_sid) is not None
        await endings.all_told()

        assert len(rest.requests) == 1

    async def test_what_nobody_can_ask_about_any_more_is_ended_at_once(
        self, rest: TinyTwilioRest
    ) -> None:
        endings = self.endings(rest)
        call_sid = new_call_sid()
        endings.ended(call_sid, HangUp(EndReason.SHUTDOWN))

        await endings.close()

        assert rest.completed() == [call_sid]

    async def test_one_that_it_asks_about_is_not(self, rest: TinyTwilioRest) -> None:
        endings = self.endings(rest)
        call_sid = new_call_sid()

        endings.ended(call_sid, HangUp(EndReason.EVI_LOST))
        assert endings.asked(call_sid) == WORDS.document(HangUp(EndReason.EVI_LOST))
        await endings.all_told()

        assert rest.completed() == []

    async def test_a_transfer_that_it_does_not_ask_about_is_not_hung_up_on(
        self, rest: TinyTwilioRest
    ) -> None:
        endings = self.endings(rest)
        call_sid = new_call_sid()
        transferred = HangUp(EndReason.TRANSFERRED, "+14155550155")

        endings.ended(call_sid, transferred)
        await endings.close()

        (request,) = rest.requests
        assert request.fields == {"Twiml": WORDS.document(transferred)}

    async def test_the_service_ends_a_call_whose_line_is_dead(
        self,
        rest: TinyTwilioRest,
        evi: TinyEvi,
        http: aiohttp.ClientSession,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(twilio_endings, "ASKS_WITHIN_S", 0.05)
        public = "https://voice.example.com"
        service = await start_service(
            AGENT,
            settings(
                evi,
                resume_seconds=0.1,
                twilio_account_sid=ACCOUNT_SID,
                twilio_auth_token=AUTH_TOKEN,
                twilio_api_url=rest.origin,
                public_url=public,
            ),
        )
        twilio = TinyTwilio(service.origin, http)
        form = {"CallSid": twilio.call_sid, "From": "+14155550100", "To": "+14155550199"}
        try:
            headers = signed(f"{public}/twilio/voice", form)
            _, document = await twilio.post("/twilio/voice", headers=headers)
            await twilio.connect(headers=signed("wss://voice.example.com/twilio/media", {}))
            await twilio.start(document.split('name="token" value="')[1].split('"')[0])
            await evi.next_chat()
            await twilio.close()

            await rest.asked(twilio.call_sid)
        finally:
            await service.close()

    @staticmethod
    def endings(rest: TinyTwilioRest) -> Endings:
        return Endings(WORDS, TwilioRest(ACCOUNT_SID, AUTH_TOKEN, origin=rest.origin))


class TestMemory:
    async def test_ends_are_remembered_up_to_a_bound(self) -> None:
        endings = Endings(WORDS, None)
        for number in range(MAX_REMEMBERED + 1):
            endings.ended(f"CA{number}", HangUp(EndReason.CALLER_HUNG_UP))

        assert endings.asked("CA0") is None
        assert endings.asked("CA1") is not None

    async def test_without_credentials_a_carrier_who_does_not_ask_is_let_be(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio_endings, "ASKS_WITHIN_S", 0.01)
        endings = Endings(WORDS, None)
        endings.ended("CA1", HangUp(EndReason.EVI_LOST))

        await endings.all_told()


@pytest.mark.parametrize(
    ("reason", "spoken"),
    [
        (EndReason.CALLER_HUNG_UP, ["Hangup"]),
        (EndReason.AGENT_HUNG_UP, ["Hangup"]),
        (EndReason.OPERATOR_HUNG_UP, ["Hangup"]),
        (EndReason.INACTIVITY, ["Hangup"]),
        (EndReason.MAX_DURATION, ["Say", "Hangup"]),
        (EndReason.SHUTDOWN, ["Say", "Hangup"]),
        (EndReason.CALLER_LOST, ["Say", "Dial", "Hangup"]),
        (EndReason.CALLER_STALLED, ["Say", "Dial", "Hangup"]),
        (EndReason.EVI_UNREACHABLE, ["Say", "Dial", "Hangup"]),
        (EndReason.EVI_REFUSED, ["Say", "Dial", "Hangup"]),
        (EndReason.EVI_LOST, ["Say", "Dial", "Hangup"]),
        (EndReason.FAULT, ["Say", "Dial", "Hangup"]),
    ],
)
def test_what_follows_depends_on_why_a_call_ended(reason: EndReason, spoken: list[str]) -> None:
    assert verbs(WORDS.document(HangUp(reason))) == spoken
    assert "Dial" not in verbs(LastWords("Sorry!", "We close.").document(HangUp(reason)))


def test_words_that_the_agent_could_not_say_are_said_by_the_carrier() -> None:
    document = WORDS.document(HangUp(EndReason.AGENT_HUNG_UP, last_words="Goodbye, Ada."))

    assert verbs(document) == ["Say", "Hangup"]
    assert ET.fromstring(document)[0].text == "Goodbye, Ada."


def test_a_transfer_needs_no_words_of_the_carrier() -> None:
    document = WORDS.document(HangUp(EndReason.TRANSFERRED, "sip:desk@shop.example"))

    assert verbs(document) == ["Dial", "Hangup"]
    assert ET.fromstring(document)[0][0].text == "sip:desk@shop.example"
