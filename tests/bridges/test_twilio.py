import asyncio
import base64
import json

import aiohttp
import pytest
from twilio.request_validator import RequestValidator

from evibridge.bridges import twilio as twilio_bridge
from evibridge.bridges.twilio import FORM, MAX_FORM_BYTES, MAX_FORM_FIELDS
from evibridge.errors import SettingsError
from evibridge.service import start_service
from tests.bridges.conftest import AGENT, Scene, settings
from tests.parties import PATIENCE_S, TinyEvi, TinyTwilio
from tests.reference import twilio_transcript

SILENCE = b"\xff" * 160
APOLOGY, CLOSING = AGENT.manners.apology, AGENT.manners.closing


class TestAConversation:
    async def test_the_server_is_told_format_prompt_variables_and_tools(self, scene: Scene) -> None:
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        chat = await scene.evi.next_chat()
        await chat.open()

        told = await chat.expect("session_settings")

        assert chat.query["session_settings[audio][sample_rate]"] == "8000"
        assert told["audio"] == {"encoding": "linear16", "sample_rate": 8000, "channels": 1}
        assert told["system_prompt"] == "You answer for {{shop}}."
        assert told["variables"] == {"shop": "Lantern"}
        assert {tool["name"] for tool in told["tools"]} == {"order_status", "hang"}
        schema = json.loads(told["tools"][0]["parameters"])
        assert schema["properties"]["order_id"]["description"] == "the number on the receipt"

    async def test_the_callers_voice_reaches_the_server_as_linear_pcm(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await twilio.speak(b"\x00" * 160)

        heard = base64.b64decode((await chat.expect("audio_input"))["data"])
        assert heard == (-32124).to_bytes(2, "little", signed=True) * 160

    async def test_a_recorded_stream_is_played_through(self, scene: Scene) -> None:
        twilio = scene.carrier()
        twilio.call_sid = "CA5f1c2d3e4b5a69788796a5b4c3d2e1f0"
        token = await twilio.ring()
        await twilio.connect()
        for line in twilio_transcript():
            if line["dir"] == "from_twilio" and line["msg"]["event"] != "connected":
                message = json.dumps(line["msg"]).replace("k3y-9f2c7a51", token)
                await twilio.socket.send_str(message)
            if line["msg"]["event"] == "start":
                chat = await scene.evi.next_chat()
                await chat.open()
                await chat.expect("session_settings")
            elif line["msg"]["event"] == "media" and line["dir"] == "from_twilio":
                await chat.expect("audio_input")

        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000

    @pytest.mark.parametrize("sizes", [[1600], [40] * 40, [7, 333, 1260]])
    async def test_frames_of_any_length_arrive_as_they_are(
        self, scene: Scene, sizes: list[int]
    ) -> None:
        twilio, chat = await scene.talk()

        for size in sizes:
            await twilio.speak(b"\x00" * size)

        for size in sizes:
            audio = base64.b64decode((await chat.expect("audio_input"))["data"])
            assert len(audio) == 2 * size

    async def test_an_empty_frame_is_no_audio(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await twilio.speak(b"")
        await twilio.speak(b"\x00" * 160)

        assert (await chat.expect("audio_input"))["data"] != ""

    async def test_what_the_caller_says_before_the_chat_is_open_is_not_lost(
        self, scene: Scene
    ) -> None:
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        for level in (b"\x01", b"\x02", b"\x03"):
            await twilio.speak(level * 160)
        # An answered mark would need the chat; a webhook proves that the frames were read.
        await twilio.post("/twilio/stream-status", StreamEvent="stream-started")
        chat = await scene.evi.next_chat()
        await chat.open()

        first = await chat.expect("audio_input")
        second = await chat.expect("audio_input")

        assert first["data"] != second["data"]

    async def test_the_agents_voice_reaches_the_caller_as_mu_law(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await chat.say("a", "Good day.", ms=200)

        media = await twilio.expect("media")
        assert media.keys() == {"event", "streamSid", "media"}
        assert media["streamSid"] == twilio.stream_sid
        assert len(base64.b64decode(media["media"]["payload"])) == 1600
        mark = await twilio.expect("mark")
        assert mark["mark"]["name"] == "0:200"

    async def test_an_interruption_clears_and_nothing_of_it_follows(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        await chat.say("a", "A very long story.", ms=400, end=False)
        await twilio.expect("media")

        await chat.send(type="user_interruption", time=1767000061250)
        await chat.send_audio("a", 1, 400)
        await chat.hear_user("wait")
        await chat.say("b", "Yes?", ms=100)

        await twilio.expect("clear")
        after = await twilio.expect("media")
        assert len(base64.b64decode(after["media"]["payload"])) == 800

    async def test_a_tool_runs_and_is_answered(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        await twilio.send(event="dtmf", streamSid=twilio.stream_sid, dtmf={"digit": "7"})

        await chat.call_tool("call_1", "order_status", '{"order_id": 1042}')

        answer = await chat.expect("tool_response")
        assert answer == {
            "type": "tool_response",
            "tool_call_id": "call_1",
            "tool_name": "order_status",
            "content": "Order 1042 of +14155550100 is on its way; keys: 7.",
        }

    @pytest.mark.parametrize(
        ("name", "parameters", "code"),
        [
            ("order_status", "{", "bad_arguments"),
            ("order_status", "{}", "bad_arguments"),
            ("no_such_tool", "{}", "unknown_tool"),
            ("hang", "{}", "timeout"),
        ],
    )
    async def test_a_tool_that_fails_is_answered_as_well(
        self, scene: Scene, name: str, parameters: str, code: str
    ) -> None:
        _, chat = await scene.talk()

        await chat.call_tool("call_1", name, parameters)

        answer = await chat.expect("tool_error")
        assert (answer["tool_call_id"], answer["code"], answer["level"]) == ("call_1", code, "warn")

    async def test_audio_goes_on_while_a_tool_hangs(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await chat.call_tool("call_1", "hang", "{}")
        await twilio.speak(SILENCE)

        await chat.expect("audio_input")
        assert (await chat.expect("tool_error"))["content"] == "That takes too long."


class TestTheEnd:
    async def test_a_caller_who_hangs_up_closes_the_chat(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await twilio.hang_up()

        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000

    async def test_a_socket_that_breaks_pauses_the_agent_until_the_caller_is_gone(
        self, scene: Scene
    ) -> None:
        twilio, chat = await scene.talk()

        await twilio.socket.close()
        await chat.expect("pause_assistant_message")
        await twilio.post("/twilio/stream-ended?attempt=1", CallStatus="completed")

        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000

    async def test_a_call_status_alone_ends_the_call(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        status, _ = await twilio.post("/twilio/call-status", CallStatus="completed")

        assert status == 204
        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000

    async def test_a_stream_error_is_a_stream_that_broke(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await twilio.post(
            "/twilio/stream-status",
            StreamEvent="stream-error",
            StreamSid=twilio.stream_sid,
            StreamError="31924",
        )

        await chat.expect("pause_assistant_message")

    async def test_a_late_error_of_an_older_stream_harms_nothing(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await twilio.post("/twilio/stream-status", StreamEvent="stream-error", StreamSid="MZ0")
        await twilio.speak(SILENCE)

        await chat.expect("audio_input")

    async def test_the_agents_last_words_are_heard_before_the_hang_up(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        await chat.say("bye", "Goodbye.", ms=300)
        await chat.socket.close(code=1000)
        mark = await twilio.expect("mark")

        await twilio.send(event="mark", streamSid=twilio.stream_sid, mark=mark["mark"])

        assert await twilio.closed() == 1000
        status, document = await twilio.post("/twilio/stream-ended?attempt=1")
        assert status == 200
        assert "<Hangup" in document
        assert APOLOGY not in document

    async def test_a_server_that_refuses_costs_an_apology(self, scene: Scene) -> None:
        scene.evi.refuse_with = 401
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)

        assert await twilio.closed() == 1000
        _, document = await twilio.post("/twilio/stream-ended?attempt=1")
        assert APOLOGY in document

    async def test_a_stream_that_breaks_again_and_again_is_given_up(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        await twilio.close()
        await chat.expect("pause_assistant_message")

        _, second = await twilio.post("/twilio/stream-ended?attempt=1")
        _, last = await twilio.post(f"/twilio/stream-ended?attempt={twilio_bridge.MAX_ATTEMPTS}")

        assert "<Stream" in second
        assert "attempt=2" in second
        assert APOLOGY in last
        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000

    async def test_a_call_that_is_over_gets_no_other_stream(self, scene: Scene) -> None:
        twilio = scene.carrier()

        _, document = await twilio.post("/twilio/stream-ended?attempt=1", CallStatus="completed")

        assert "<Stream" not in document

    async def test_a_service_that_closes_still_tells_twilio_what_comes_next(
        self, scene: Scene
    ) -> None:
        twilio, _ = await scene.talk()
        closing = asyncio.create_task(scene.service.close())
        assert await twilio.closed() == 1000

        _, document = await twilio.post("/twilio/stream-ended?attempt=1")

        assert CLOSING in document
        await closing

    async def test_closing_the_service_ends_its_calls(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        closing = asyncio.create_task(scene.service.close())

        assert await twilio.closed() == 1000
        await twilio.post("/twilio/stream-ended?attempt=1")
        await closing
        async with asyncio.timeout(PATIENCE_S):
            assert await chat.closed_with == 1000


class TestAdmission:
    async def test_one_caller_too_many_hears_the_busy_tone(self, scene: Scene) -> None:
        await scene.talk()
        await scene.carrier().ring()

        _, document = await scene.carrier().post("/twilio/voice")

        assert '<Reject reason="busy"' in document

    async def test_a_call_that_ended_makes_room(self, scene: Scene) -> None:
        first, chat = await scene.talk()
        await scene.talk()

        await first.hang_up()
        async with asyncio.timeout(PATIENCE_S):
            await chat.closed_with

        await scene.carrier().ring()

    async def test_a_retried_webhook_is_not_kept_out_by_its_own_ticket(self, scene: Scene) -> None:
        await scene.talk()
        twilio = scene.carrier()

        assert await twilio.ring() == await twilio.ring()

    async def test_a_broken_stream_gets_no_place_beyond_the_limit(self, scene: Scene) -> None:
        await scene.talk()
        await scene.carrier().ring()

        _, document = await scene.carrier().post("/twilio/stream-ended?attempt=1")

        assert APOLOGY in document

    async def test_a_caller_who_gave_up_leaves_his_place(self, scene: Scene) -> None:
        await scene.talk()
        impatient = scene.carrier()
        await impatient.ring()

        await impatient.post("/twilio/call-status", CallStatus="completed")

        await scene.carrier().ring()

    @pytest.mark.parametrize("number", ["anonymous", "Restricted", ""])
    async def test_a_withheld_number_is_none(self, scene: Scene, number: str) -> None:
        twilio = scene.carrier()
        status, document = await twilio.post("/twilio/voice", From=number)
        assert status == 200
        await twilio.connect()
        await twilio.start(document.split('value="')[1].split('"')[0])
        chat = await scene.evi.next_chat()
        await chat.open()
        await chat.call_tool("call_1", "order_status", '{"order_id": "7"}')

        assert "of None" in (await chat.expect("tool_response"))["content"]

    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"CallSid=CA1", "text/plain", 415),
            (b"--x\r\n", "multipart/form-data; boundary=x", 415),
            (b"CallSid=CA1", f"{FORM}; charset=klingon", 415),
            (b"CallSid=CA1-a", f"{FORM}; charset=punycode", 415),
            (b"CallSid=\xff\xfe", FORM, 400),
            (b"CallSid=%ff%fe", f"{FORM}; charset=utf-8", 400),
            (b"CallSid=CA1" + b"&x=" * MAX_FORM_FIELDS, FORM, 400),
            (b"x=" + b"y" * MAX_FORM_BYTES, FORM, 413),
        ],
    )
    async def test_a_body_that_is_no_form_is_refused(
        self, scene: Scene, body: bytes, content_type: str, status: int
    ) -> None:
        url = f"{scene.service.origin}/twilio/voice"
        headers = {"Content-Type": content_type}

        async with scene.http.post(url, data=body, headers=headers) as answer:
            assert answer.status == status

    async def test_a_form_that_is_packed_is_refused(self, scene: Scene) -> None:
        url = f"{scene.service.origin}/twilio/voice"
        headers = {"Content-Type": FORM, "Content-Encoding": "gzip"}

        async with scene.http.post(url, data=b"CallSid=CA1", headers=headers) as answer:
            assert answer.status == 415

    async def test_a_form_may_say_that_it_is_utf_8(self, scene: Scene) -> None:
        url = f"{scene.service.origin}/twilio/voice"
        headers = {"Content-Type": f'{FORM}; charset="UTF-8"'}
        body = b"CallSid=CA1&CallerName=%C3%9Cnl%C3%BC+%C3%96z&CallerCity="

        async with scene.http.post(url, data=body, headers=headers) as answer:
            assert answer.status == 200

    async def test_a_body_that_never_comes_is_not_waited_for(
        self, scene: Scene, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio_bridge, "BODY_TIMEOUT_S", 0.05)
        host, _, port = scene.service.origin.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /twilio/voice HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\nCall"
        )

        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readline()

        assert b"408" in head
        writer.close()
        await writer.wait_closed()

    async def test_a_webhook_without_a_call_is_refused(self, scene: Scene) -> None:
        status, body = await scene.carrier().post("/twilio/voice", CallSid="")

        assert (status, body) == (400, "The form has no CallSid.")

    async def test_a_token_used_twice_is_refused(self, scene: Scene) -> None:
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()
        await twilio.start(token)
        await scene.evi.next_chat()

        thief = scene.carrier()
        thief.call_sid = twilio.call_sid
        await thief.connect()
        await thief.start(token)

        assert await thief.closed() == 1008

    async def test_a_token_of_another_call_is_refused(self, scene: Scene) -> None:
        token = await scene.carrier().ring()
        thief = await scene.carrier().connect()

        await thief.start(token)

        assert await thief.closed() == 1008

    async def test_a_second_start_changes_nothing(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await twilio.start("whatever")
        await twilio.speak(SILENCE)

        await chat.expect("audio_input")

    async def test_streams_beyond_the_tickets_are_refused_before_they_open(
        self, scene: Scene
    ) -> None:
        for _ in range(twilio_bridge.SPARE_HANDSHAKES):
            await scene.carrier().connect()

        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await scene.carrier().connect()

        assert refused.value.status == 503

    @pytest.mark.parametrize("garbage", ["", "{", "[]", '{"event":"media","media":{}}'])
    async def test_garbage_is_passed_over(self, scene: Scene, garbage: str) -> None:
        twilio, chat = await scene.talk()

        await twilio.socket.send_str(garbage)
        await twilio.socket.send_bytes(b"\x00\x01")
        await twilio.speak(SILENCE)

        await chat.expect("audio_input")

    async def test_a_message_of_more_than_64_kib_closes_the_stream(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()

        await twilio.socket.send_str("x" * (64 * 1024 + 1))

        await twilio.closed()
        await chat.expect("pause_assistant_message")

    async def test_a_stream_that_is_not_mu_law_is_refused(self, scene: Scene) -> None:
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()

        await twilio.send(
            event="start",
            streamSid="MZ1",
            start={
                "callSid": twilio.call_sid,
                "mediaFormat": {"encoding": "audio/opus"},
                "customParameters": {"token": token},
            },
        )

        assert await twilio.closed() == 1008

    @pytest.mark.parametrize("data", ["!", "AAAA", base64.b64encode(b"RIFFxxxxWAVE").decode()])
    async def test_audio_that_is_no_wav_is_passed_over(self, scene: Scene, data: str) -> None:
        twilio, chat = await scene.talk()
        await chat.socket.send_json({"type": "audio_output", "id": "a", "index": 0, "data": data})

        await chat.say("b", "Still here.", ms=100)

        assert (await twilio.receive())["event"] == "media"

    async def test_a_server_that_sends_rubbish_is_borne(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        for text in ("{", "[]", '{"type":"assistant_message"}', '{"type":"weather"}'):
            await chat.socket.send_str(text)
        await chat.socket.send_bytes(b"\x00")

        await chat.say("b", "Still here.", ms=100)

        await twilio.expect("media")


class TestSignatures:
    TOKEN = "12345"
    PUBLIC = "https://bridge.example.com"

    def sign(self, url: str, form: dict[str, str]) -> dict[str, str]:
        signature = RequestValidator(self.TOKEN).compute_signature(url, form)
        return {"X-Twilio-Signature": signature}

    async def test_only_signed_requests_get_in(
        self, evi: TinyEvi, http: aiohttp.ClientSession
    ) -> None:
        service = await start_service(
            AGENT, settings(evi, twilio_auth_token=self.TOKEN, public_url=self.PUBLIC)
        )
        try:
            twilio = TinyTwilio(service.origin, http)
            form = {"CallSid": twilio.call_sid, "From": "+14155550100", "To": "+14155550199"}
            voice = self.sign(f"{self.PUBLIC}/twilio/voice", form)
            stream = self.sign("wss://bridge.example.com/twilio/media", {})

            assert (await twilio.post("/twilio/voice"))[0] == 403
            assert (await twilio.post("/twilio/voice", headers=stream))[0] == 403
            status, document = await twilio.post("/twilio/voice", headers=voice)
            assert status == 200
            assert 'url="wss://bridge.example.com/twilio/media"' in document

            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await twilio.connect()
            assert refused.value.status == 403
            await twilio.connect(headers=stream)
            await twilio.close()
        finally:
            await service.close()

    async def test_a_token_needs_a_public_url(self, evi: TinyEvi) -> None:
        with pytest.raises(SettingsError, match="EVIBRIDGE_PUBLIC_URL"):
            await start_service(AGENT, settings(evi, twilio_auth_token=self.TOKEN))
