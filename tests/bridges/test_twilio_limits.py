"""Deadlines and bounds of a media stream, shortened where a test would have to wait."""

import base64

import pytest

from evibridge.agent.actions import Command
from evibridge.bridges import twilio_leg
from evibridge.bridges.twilio_leg import TwilioLeg
from tests.bridges.conftest import Scene
from tests.parties import wav


async def test_a_socket_that_never_starts_is_closed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_leg, "START_TIMEOUT_S", 0.05)
    twilio = await scene.carrier().connect()

    assert await twilio.closed() == 1008


async def test_a_stream_that_falls_silent_is_one_that_broke(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_leg, "SILENT_STREAM_S", 0.05)

    _, chat = await scene.talk()

    await chat.expect("pause_assistant_message")


async def test_only_the_last_two_seconds_before_the_chat_are_kept(scene: Scene) -> None:
    twilio = scene.carrier()
    token = await twilio.ring()
    await twilio.connect()
    await twilio.start(token)
    for second in range(5):
        await twilio.speak(bytes([second]) * 8000)
    await twilio.post("/twilio/stream-status", StreamEvent="stream-started")
    chat = await scene.evi.next_chat()
    await chat.open()
    await twilio.speak(b"\xff" * 160)

    pieces = [base64.b64decode((await chat.expect("audio_input"))["data"]) for _ in range(3)]

    # The fourth second, the fifth, and the frame after them.
    assert [len(piece) for piece in pieces] == [16_000, 16_000, 320]
    assert set(pieces[-1]) == {0}


async def test_a_second_stream_takes_the_place_of_one_that_has_fallen_silent(
    scene: Scene,
) -> None:
    first, chat = await scene.talk()
    again = scene.carrier()
    again.call_sid = first.call_sid
    token = await again.ring()
    await again.connect()
    await again.start(token)

    assert await first.closed() == 1000
    await again.speak(b"\xff" * 160)
    await chat.expect("audio_input")
    await chat.say("a", "Here we are again.", ms=100)
    assert (await again.expect("media"))["streamSid"] == again.stream_sid


async def test_a_second_stream_beside_one_that_lives_is_refused(scene: Scene) -> None:
    twilio, chat = await scene.talk()
    thief = scene.carrier()
    thief.call_sid = twilio.call_sid
    token = await thief.ring()
    await thief.connect()
    await twilio.speak(b"\xff" * 160)
    await chat.expect("audio_input")

    await thief.start(token)

    assert await thief.closed() == 1008
    await chat.say("a", "Still here.", ms=100)
    await twilio.expect("media")


class StuckSocket:
    """A socket whose peer takes nothing at all."""

    def __init__(self) -> None:
        self.backlog = 0
        self.aborted = False

    def unsent_bytes(self) -> int:
        return self.backlog

    def send_text(self, text: bytes, /) -> None:
        self.backlog += len(text)

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"Twilio takes text only: {data!r}")

    def close(self, code: int = 1000, reason: str = "") -> None:
        raise AssertionError(f"a close frame would only join the backlog: {code} {reason}")

    def abort(self) -> None:
        self.aborted = True


class Nobody:
    def stream_opened(self, leg: TwilioLeg) -> None: ...
    def stream_started(self, leg: TwilioLeg, start: object) -> None: ...
    def stream_closed(self, leg: TwilioLeg) -> None: ...
    def caller_hung_up(self, call_sid: str) -> None: ...
    def call_ended(self, call_sid: str, how: object) -> None: ...


async def test_a_carrier_that_takes_no_audio_is_cut() -> None:
    leg, socket = TwilioLeg(Nobody()), StuckSocket()
    leg.on_open(socket)

    for _ in range(100):
        leg.play(wav(1000))

    assert socket.aborted
    leg.on_close(1006, "")
    assert leg.play(wav(100)) == 0


class TestOperators:
    async def test_a_paused_agent_is_silent_and_the_caller_is_still_heard(
        self, scene: Scene
    ) -> None:
        twilio, chat = await scene.talk()
        call = scene.service.calls.get(twilio.call_sid)
        assert call is not None

        call.command(Command.PAUSE)
        await chat.expect("pause_assistant_message")
        await twilio.speak(b"\x00" * 160)
        await chat.expect("audio_input")
        call.command(Command.RESUME)

    async def test_a_held_caller_is_silence_to_the_server(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        call = scene.service.calls.get(twilio.call_sid)
        assert call is not None

        call.command(Command.HOLD)
        await twilio.speak(b"\x00" * 160)

        heard = base64.b64decode((await chat.expect("audio_input"))["data"])
        assert heard == bytes(320)

    async def test_the_agent_can_be_made_to_speak_and_to_hang_up(self, scene: Scene) -> None:
        twilio, chat = await scene.talk()
        call = scene.service.calls.get(twilio.call_sid)
        assert call is not None

        call.say("One moment.")
        assert (await chat.expect("assistant_input"))["text"] == "One moment."
        call.command(Command.HANG_UP)
        await chat.say("a", "One moment.", ms=100)
        mark = await twilio.expect("mark")
        await twilio.send(event="mark", streamSid=twilio.stream_sid, mark=mark["mark"])

        assert await twilio.closed() == 1000
        await twilio.post("/twilio/stream-ended?attempt=1")
