import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from evibridge.agent import evi_messages as evi
from evibridge.agent import evi_mirror
from evibridge.agent.commands import Via
from evibridge.agent.evi_client import MAX_MESSAGE_BYTES, MAX_UNSENT_BYTES, EviServer
from evibridge.agent.evi_mirror import QUIET_S, REPLAY_S, EviMirror
from evibridge.errors import LinkRefused
from tests.agent.mirrored_evi import API_KEY, MirroredEvi, RealChat, mirrored_evi
from tests.parties import PATIENCE_S
from tests.virtual_clock import run_in_virtual_time

NUMBER = 7
HELLO = evi.AssistantInput("Hello.")
AUDIO = b'{"type":"audio_output","id":"u1","index":0,"data":"not base64, and never looked at"}'


class Owner:
    """Notes what a mirror tells, with the loop's time."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[tuple[evi.Message, bool]] = asyncio.Queue()
        self.opened_s: float | None = None
        self.live_s: float | None = None
        self.is_live = asyncio.Event()
        self.closed_with: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_mirror_open(self, mirror: int) -> None:
        assert mirror == NUMBER
        self.opened_s = asyncio.get_running_loop().time()

    def on_mirror_message(self, mirror: int, message: evi.Message, *, is_replay: bool) -> None:
        assert mirror == NUMBER
        assert is_replay == (self.live_s is None)
        self.messages.put_nowait((message, is_replay))

    def on_replay_ended(self, mirror: int) -> None:
        assert mirror == NUMBER
        assert self.live_s is None
        self.live_s = asyncio.get_running_loop().time()
        self.is_live.set()

    def on_mirror_closed(self, mirror: int, code: int) -> None:
        assert mirror == NUMBER
        self.closed_with.set_result(code)

    async def next(self) -> tuple[str, bool]:
        """The text of the next message with words, and whether it is of the replay."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message, is_replay = await self.messages.get()
                if isinstance(message, evi.UserMessage | evi.AssistantMessage):
                    return message.content, is_replay

    async def closed(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.closed_with


class FakeSocket:
    """A socket to nobody."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.backlog = 0
        self.aborted = False
        self.closed_with: int | None = None

    def unsent_bytes(self) -> int:
        return self.backlog

    def send_text(self, text: bytes, /) -> None:
        self.sent.append(text)

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"nothing binary is sent to EVI: {data!r}")

    def close(self, code: int = 1000, reason: str = "") -> None:
        del reason
        self.closed_with = code

    def abort(self) -> None:
        self.aborted = True


@pytest.fixture
async def owner() -> Owner:
    return Owner()


@pytest.fixture
async def server() -> AsyncIterator[MirroredEvi]:
    async with mirrored_evi() as server:
        yield server


@pytest.fixture
async def chat(server: MirroredEvi) -> RealChat:
    return await server.chat()


@pytest.fixture
async def mirror(owner: Owner) -> AsyncIterator[EviMirror]:
    mirror = EviMirror(owner, NUMBER)
    yield mirror
    mirror.close()


async def look_at(mirror: EviMirror, server: MirroredEvi, chat: RealChat) -> None:
    """Open the mirror of a chat."""
    await mirror.open(EviServer(server.origin, API_KEY), chat.chat_id, timeout_s=PATIENCE_S)
    await chat.was_mirrored()


async def test_the_history_comes_first_and_then_what_happens(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror, owner: Owner
) -> None:
    await chat.hear_user("Is it there?")
    await chat.speak("u1", "It is there.")
    await look_at(mirror, server, chat)
    assert mirror.is_open
    assert await owner.next() == ("Is it there?", True)
    assert await owner.next() == ("It is there.", True)

    async with asyncio.timeout(PATIENCE_S):
        await owner.is_live.wait()
    await chat.hear_user("Good.")

    assert await owner.next() == ("Good.", False)


async def test_audio_is_passed_over_unread(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror, owner: Owner
) -> None:
    await chat.say_raw(AUDIO.decode())
    await chat.say_raw(AUDIO.decode().replace(":", ": ", 1))
    await chat.say_raw('{"id":"u1","type":"audio_output","data":"AAAA"}')
    await chat.hear_user("Hello?")
    with capture_logs() as logs:
        await look_at(mirror, server, chat)
        assert await owner.next() == ("Hello?", True)

    assert [line for line in logs if line["log_level"] == "warning"] == []


async def test_what_cannot_be_read_is_passed_over_with_one_line_in_the_log(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror, owner: Owner
) -> None:
    await chat.say_raw("hello")
    await chat.say_raw('{"type":"tool_call"}')
    await chat.hear_user("Hello?")
    with capture_logs() as logs:
        await look_at(mirror, server, chat)
        assert await owner.next() == ("Hello?", True)

    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert line["event"] == "evi_message_unreadable"


async def test_a_message_of_any_size_that_evi_allows_is_read(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror, owner: Owner
) -> None:
    await chat.hear_user("a" * (MAX_MESSAGE_BYTES - 1024))
    await look_at(mirror, server, chat)

    text, _ = await owner.next()
    assert len(text) == MAX_MESSAGE_BYTES - 1024


async def test_the_chat_can_be_told_something(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror
) -> None:
    await look_at(mirror, server, chat)
    mirror.send(HELLO)

    via, told = await chat.expect("assistant_input")
    assert (via, told["text"]) == (Via.CHAT_SOCKET, "Hello.")


@pytest.mark.parametrize("code", [1000, 1011])
async def test_the_owner_is_told_how_it_ended(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror, owner: Owner, code: int
) -> None:
    await look_at(mirror, server, chat)
    await chat.close_mirrors(code)

    assert await owner.closed() == code
    assert not mirror.is_open


async def test_a_connection_that_breaks_is_told(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror, owner: Owner
) -> None:
    await look_at(mirror, server, chat)
    chat.cut_mirrors()

    assert await owner.closed() == 1006


async def test_a_refusal_tells_its_status(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror
) -> None:
    chat.is_allowed = False
    with pytest.raises(LinkRefused) as refusal:
        await look_at(mirror, server, chat)

    assert refusal.value.status == 403
    assert API_KEY not in str(refusal.value)


async def test_an_id_cannot_lead_elsewhere(server: MirroredEvi, mirror: EviMirror) -> None:
    with pytest.raises(LinkRefused) as refusal:
        await mirror.open(EviServer(server.origin, API_KEY), "../x", timeout_s=PATIENCE_S)

    assert refusal.value.status == 404


async def test_a_mirror_that_is_closed_tells_nothing_more(
    server: MirroredEvi, chat: RealChat, mirror: EviMirror, owner: Owner
) -> None:
    await look_at(mirror, server, chat)
    mirror.close()
    mirror.send(HELLO)
    mirror.on_text(b'{"type":"assistant_end"}')
    mirror.on_close(1000, "")

    assert chat.told.empty()
    assert not owner.closed_with.done()


async def test_one_that_was_closed_before_it_was_open_closes_at_once(
    mirror: EviMirror, owner: Owner
) -> None:
    socket = FakeSocket()
    mirror.close()
    mirror.on_open(socket)

    assert socket.closed_with == 1000
    assert owner.opened_s is None


async def test_a_mirror_that_takes_nothing_is_cut(mirror: EviMirror) -> None:
    socket = FakeSocket()
    mirror.on_open(socket)
    mirror.send(HELLO)
    assert not socket.aborted

    socket.backlog = MAX_UNSENT_BYTES + 1
    mirror.send(HELLO)
    assert socket.aborted


def replay_lasts(scene: Callable[[EviMirror], Awaitable[None]]) -> float:
    """How long the replay of a mirror lasts, in virtual seconds, when a server plays a scene."""

    async def act() -> float:
        owner = Owner()
        mirror = EviMirror(owner, NUMBER)
        mirror.on_open(FakeSocket())
        playing = asyncio.ensure_future(scene(mirror))
        await owner.is_live.wait()
        playing.cancel()
        assert owner.opened_s is not None
        assert owner.live_s is not None
        mirror.close()
        return owner.live_s - owner.opened_s

    return run_in_virtual_time(act())


def message(text: str) -> bytes:
    return json.dumps({"type": "user_message", "message": {"content": text}}).encode()


class TestTheEndOfTheReplay:
    def test_a_pause_ends_it(self) -> None:
        async def scene(mirror: EviMirror) -> None:
            for number in range(3):
                mirror.on_text(message(str(number)))
                await asyncio.sleep(QUIET_S / 2)
            await asyncio.Event().wait()

        assert replay_lasts(scene) == pytest.approx(2 * QUIET_S, abs=0.02)

    def test_a_server_may_think_before_it_begins(self) -> None:
        async def scene(mirror: EviMirror) -> None:
            await asyncio.sleep(3 * QUIET_S)
            mirror.on_text(message("Hello?"))
            await asyncio.Event().wait()

        assert replay_lasts(scene) == pytest.approx(4 * QUIET_S, abs=0.02)

    def test_audio_does_not_prolong_it(self) -> None:
        async def scene(mirror: EviMirror) -> None:
            mirror.on_text(message("Hello?"))
            while True:
                mirror.on_text(AUDIO)
                await asyncio.sleep(QUIET_S / 4)

        assert replay_lasts(scene) == pytest.approx(QUIET_S, abs=0.02)

    def test_it_does_not_last_for_ever(self) -> None:
        async def scene(mirror: EviMirror) -> None:
            while True:
                mirror.on_text(message("And then?"))
                await asyncio.sleep(QUIET_S / 4)

        assert replay_lasts(scene) == pytest.approx(REPLAY_S, abs=0.02)

    def test_a_server_that_sends_no_history_has_none(self) -> None:
        async def scene(_: EviMirror) -> None:
            await asyncio.Event().wait()

        assert replay_lasts(scene) == pytest.approx(REPLAY_S, abs=0.02)

    def test_what_lies_there_unread_is_of_the_replay(self) -> None:
        """The loop was busy: the pause is over, and the message was there before."""

        async def scene(mirror: EviMirror) -> None:
            mirror.on_text(message("Hello?"))
            await asyncio.sleep(QUIET_S + evi_mirror.LOOK_AGAIN_S / 2)
            mirror.on_text(message("Are you there?"))
            await asyncio.Event().wait()

        assert replay_lasts(scene) == pytest.approx(2 * QUIET_S, abs=0.02)
