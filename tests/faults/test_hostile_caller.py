"""A media socket on which comes what should not."""

import json
from typing import Any

import pytest

from tests.faults.stage import Scene, Talk, heard, is_first, pcm16

pytestmark = pytest.mark.asyncio(loop_scope="module")

VOICE = b"\x10" * 160
LIMIT = 64 * 1024
BROKEN = (1009, 1006)
"""What a peer reads whose message is too long: a reset may overtake the close frame."""
GARBAGE: list[Any] = [
    None,
    [],
    7,
    "media",
    {},
    {"event": None},
    {"event": []},
    {"event": "media"},
    {"event": "media", "media": None},
    {"event": "media", "media": {"payload": 5}},
    {"event": "media", "media": {"payload": "not base64"}},
    {"event": "media", "media": {"payload": "\u2603"}},
    {"event": "media", "media": {"track": "outbound", "payload": "AAAA"}},
    {"event": "media", "media": {"track": "inbound", "payload": ""}},
    {"event": "mark"},
    {"event": "mark", "mark": {"name": None}},
    {"event": "dtmf", "dtmf": None},
    {"event": "start"},
    {"event": "start", "start": {"callSid": 7, "streamSid": "MZ1"}},
    {"event": "start", "streamSid": "MZ1", "start": {"callSid": "CA1", "customParameters": [1]}},
    {"event": "connected", "protocol": {"a": [[[[[]]]]]}},
    {"event": "an event of next year", "media": {"payload": "AAAA"}},
]
NOT_JSON = ["", "{", "\u0000", '{"event":"media"', "[" * 20_000, '{"event":"\\ud800"}', "NaN"]


async def send_garbage(talk: Talk) -> None:
    """Everything that can be wrong with a message that is not too long."""
    for text in [*map(json.dumps, GARBAGE), *NOT_JSON]:
        await talk.twilio.send_raw(text)
    await talk.twilio.socket.send_bytes(b"\x00\xff" * 100)
    await talk.twilio.socket.ping(b"?")


async def begin(scene: Scene, talk_before_start: bytes = b"", *, garbage: bool = False) -> Talk:
    """A conversation on whose socket came something before `start`."""
    twilio = scene.carrier()
    token = await twilio.ring()
    await twilio.connect()
    if talk_before_start:
        await twilio.speak(talk_before_start)
    if garbage:
        await twilio.press("1", "#")
        await twilio.echo("0:100")
        for text in [*map(json.dumps, GARBAGE), *NOT_JSON]:
            await twilio.send_raw(text)
    await twilio.start(token)
    chat = await scene.stage.evi.next_chat(is_first)
    await chat.open()
    await chat.expect("session_settings")
    scene.talks.append(Talk(scene.stage, twilio, chat))
    return scene.talks[-1]


class TestGarbage:
    async def test_in_a_conversation_it_is_passed_over(self, scene: Scene) -> None:
        other = await scene.talk()
        talk = await scene.talk()

        await send_garbage(talk)

        await talk.goes_on()
        await other.goes_on()
        unreadable = scene.stage.service.logged("stream_message_unreadable", call_id=talk.call_sid)
        assert len(unreadable) == 1

    async def test_before_the_start_it_is_passed_over(self, scene: Scene) -> None:
        talk = await begin(scene, garbage=True)

        await talk.goes_on()

    async def test_while_the_chat_is_lost_it_is_passed_over(self, scene: Scene) -> None:
        talk = await scene.talk()
        talk.line_to_evi.reset()
        await talk.next_chat()

        await send_garbage(talk)
        await talk.reads_all()

        await talk.chat.open()
        await talk.goes_on()

    async def test_while_the_last_words_are_heard_it_is_passed_over(self, scene: Scene) -> None:
        talk = await scene.talk()
        await talk.agent_says("Goodbye.")
        mark = (await talk.twilio.expect("mark"))["mark"]["name"]
        await talk.chat.close(1000)

        await send_garbage(talk)
        await talk.twilio.echo(mark)

        assert await talk.twilio.closed() == 1000
        assert await talk.reason() == "agent_hung_up"

    @pytest.mark.parametrize("piece", ["text", "binary"])
    async def test_a_huge_message_breaks_the_stream_and_nothing_else(
        self, scene: Scene, piece: str
    ) -> None:
        other = await scene.talk()
        talk = await scene.talk()

        if piece == "text":
            await talk.twilio.send_raw(json.dumps({"event": "x" * LIMIT}))
        else:
            await talk.twilio.socket.send_bytes(bytes(LIMIT + 1))

        assert await talk.twilio.closed() in BROKEN
        await talk.chat.expect("pause_assistant_message")
        await talk.comes_back()
        await talk.chat.expect("resume_assistant_message")
        await talk.goes_on()
        await other.goes_on()

    async def test_a_huge_message_before_the_start_closes_the_socket(self, scene: Scene) -> None:
        twilio = scene.carrier()
        token = await twilio.ring()
        await twilio.connect()

        await twilio.send_raw("x" * (LIMIT + 1))

        assert await twilio.closed() in BROKEN
        second = twilio.again()
        scene.carriers.append(second)
        await second.connect()
        await second.start(token)
        chat = await scene.stage.evi.next_chat(is_first)
        await chat.open()
        await Talk(scene.stage, second, chat).goes_on()

    async def test_bytes_that_are_no_frame_break_the_stream_and_nothing_else(
        self, scene: Scene
    ) -> None:
        other = await scene.talk()
        talk = await scene.talk()
        wire = talk.line_to_service.server.transport
        assert wire is not None

        wire.write(b"\xff" * 4000)

        await talk.chat.expect("pause_assistant_message")
        await other.goes_on()


class TestAudioAndKeys:
    async def test_audio_before_the_start_is_heard_by_nobody(self, scene: Scene) -> None:
        talk = await begin(scene, b"\x22" * 160)

        await talk.twilio.speak(VOICE)

        assert heard(await talk.chat.expect("audio_input")) == pcm16(0x10) * 160

    @pytest.mark.parametrize("digit", ["", "x", "None", "\u0663", "-", " ", None, 5.5, [], {}])
    async def test_keys_that_no_telephone_has_are_passed_over(
        self, scene: Scene, digit: Any
    ) -> None:
        talk = await scene.talk()
        if digit == 5.5:
            digit = True
        await talk.twilio.press(digit)
        await talk.twilio.press("4", "#")

        line = await scene.stage.service.told("digits_entered", call_id=talk.call_sid)
        assert line["count"] == 1

    async def test_a_flood_of_keys_is_told_in_entries_of_a_size(self, scene: Scene) -> None:
        talk = await scene.talk()

        await talk.twilio.press(*"1234567890" * 20, "#")

        lines = [
            await scene.stage.service.told("digits_entered", times=n, call_id=talk.call_sid)
            for n in range(1, 5)
        ]
        assert [line["count"] for line in lines] == [64, 64, 64, 8]
        await talk.goes_on()


class TestMarks:
    async def test_unknown_and_repeated_and_reordered_ones_change_nothing(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        await talk.agent_says("The first.", 200)
        first = (await talk.twilio.expect("mark"))["mark"]["name"]
        await talk.agent_says("The second.", 200)
        second = (await talk.twilio.expect("mark"))["mark"]["name"]

        for name in ("", "9:9", "\u2603", second, first, second, first, "0:999999"):
            await talk.twilio.echo(name)

        await talk.goes_on()
        await talk.twilio.hang_up()
        await talk.reason()
        (ended,) = scene.stage.service.logged("call_ended", call_id=talk.call_sid)
        assert (ended["agent_sent_ms"], ended["agent_heard_ms"]) == (500, 500)

    async def test_one_of_a_cleared_buffer_proves_nothing(self, scene: Scene) -> None:
        talk = await scene.talk()
        await talk.agent_says("A very long story that nobody wants to hear.", 60_000)
        mark = (await talk.twilio.expect("mark"))["mark"]["name"]
        await talk.chat.send(type="user_interruption", time=1767000061250)
        await talk.twilio.expect("clear")

        await talk.twilio.echo(mark)
        await talk.goes_on()

        await talk.twilio.hang_up()
        await talk.reason()
        (ended,) = scene.stage.service.logged("call_ended", call_id=talk.call_sid)
        assert ended["agent_sent_ms"] == 60_100
        assert ended["agent_heard_ms"] < 30_000

    async def test_the_last_one_ends_the_call_also_if_those_before_are_missing(
        self, scene: Scene
    ) -> None:
        talk = await scene.talk()
        await talk.agent_says("It was a pleasure.", 60_000)
        await talk.twilio.expect("mark")
        await talk.agent_says("Goodbye.", 60_000)
        last = (await talk.twilio.expect("mark"))["mark"]["name"]
        await talk.chat.close(1000)

        await talk.twilio.echo(last)

        assert await talk.twilio.closed() == 1000
        assert await talk.reason() == "agent_hung_up"
