"""The rules of the chat socket, also for a server that reads slower than a caller speaks."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_client import (
    MAX_AUDIO_BEHIND_MS,
    MAX_MESSAGE_BYTES,
    MAX_STUCK_S,
    MAX_UNSENT_BYTES,
    PING_AFTER_IDLE_S,
    EviChat,
    EviServer,
)
from evibridge.errors import LinkRefused
from evibridge.sockets import Socket, SocketListener

PHONE = evi.AudioFormat(8000)
FRAME_MS = 20
FRAME = bytes(320)
CHAT = 7


class SlowSocket:
    """A socket whose peer takes nothing until it is told to."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.backlog = 0
        self.aborted = False
        self.closed_with: int | None = None

    def unsent_bytes(self) -> int:
        return self.backlog

    def send_text(self, text: bytes, /) -> None:
        self.sent.append(text)
        self.backlog += len(text)

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"a control message or audio is text: {data!r}")

    def close(self, code: int = 1000, reason: str = "") -> None:
        del reason
        self.closed_with = code

    def abort(self) -> None:
        self.aborted = True


class Owner:
    def __init__(self) -> None:
        self.messages: list[tuple[int, evi.Message]] = []
        self.chunks: list[tuple[int, str, bytes]] = []
        self.closed: list[tuple[int, int]] = []

    def on_evi_message(self, chat: int, message: evi.Message) -> None:
        self.messages.append((chat, message))

    def on_evi_audio(self, chat: int, utterance_id: str, wav: bytes) -> None:
        self.chunks.append((chat, utterance_id, wav))

    def on_evi_closed(self, chat: int, code: int) -> None:
        self.closed.append((chat, code))


class Telephone:
    """Opens `socket`, or none, in place of a network; notes how it was asked to."""

    def __init__(self, socket: Socket | None) -> None:
        self.socket = socket
        self.url = ""
        self.headers: Mapping[str, str] | None = None
        self.limits: tuple[int, float, float] | None = None

    async def __call__(
        self,
        url: str,
        listener: SocketListener,
        *,
        headers: Mapping[str, str] | None = None,
        max_message_bytes: int,
        timeout_s: float,
        ping_after_s: float,
    ) -> Socket:
        self.url, self.headers = url, headers
        self.limits = (max_message_bytes, timeout_s, ping_after_s)
        if self.socket is None:
            raise LinkRefused(url, 401)
        listener.on_open(self.socket)
        return self.socket


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def socket() -> SlowSocket:
    return SlowSocket()


@pytest.fixture
def chat(owner: Owner, socket: SlowSocket) -> EviChat:
    chat = EviChat(owner, CHAT, PHONE)
    chat.on_open(socket)
    return chat


def test_audio_that_the_server_does_not_take_is_dropped_and_counted(
    chat: EviChat, socket: SlowSocket
) -> None:
    for _ in range(200):
        chat.send_audio(FRAME)

    waiting_ms = len(socket.sent) * 20
    assert MAX_AUDIO_BEHIND_MS <= waiting_ms <= MAX_AUDIO_BEHIND_MS * 1.2
    assert chat.frames_dropped == 200 - len(socket.sent)


def test_audio_from_before_the_chat_is_sent_whole(chat: EviChat, socket: SlowSocket) -> None:
    for _ in range(100):
        chat.send_kept_audio(FRAME)

    assert len(socket.sent) == 100
    assert chat.frames_dropped == 0


def test_what_is_said_right_after_audio_from_before_the_chat_is_not_lost(
    chat: EviChat, socket: SlowSocket
) -> None:
    for _ in range(100):
        chat.send_kept_audio(FRAME)
    chat.send_audio(FRAME)

    assert len(socket.sent) == 101
    assert chat.frames_dropped == 0


def test_audio_from_before_the_chat_is_no_leave_to_fall_behind_for_ever(
    chat: EviChat, socket: SlowSocket
) -> None:
    for _ in range(100):
        chat.send_kept_audio(FRAME)
    for _ in range(200):
        chat.send_audio(FRAME)

    waiting_ms = (len(socket.sent) - 100) * 20
    assert MAX_AUDIO_BEHIND_MS <= waiting_ms <= MAX_AUDIO_BEHIND_MS * 1.2


def test_once_that_audio_was_taken_the_usual_limit_holds_again(
    chat: EviChat, socket: SlowSocket
) -> None:
    for _ in range(100):
        chat.send_kept_audio(FRAME)
    socket.backlog = 0
    for _ in range(200):
        chat.send_audio(FRAME)

    waiting_ms = (len(socket.sent) - 100) * 20
    assert MAX_AUDIO_BEHIND_MS <= waiting_ms <= MAX_AUDIO_BEHIND_MS * 1.2


def test_audio_flows_again_once_the_server_has_caught_up(chat: EviChat, socket: SlowSocket) -> None:
    for _ in range(200):
        chat.send_audio(FRAME)
    sent, socket.backlog = len(socket.sent), 0

    chat.send_audio(FRAME)

    assert len(socket.sent) == sent + 1


def frames_that_fit(chat: EviChat, socket: SlowSocket) -> None:
    """Fill the backlog up to the first frame that is dropped."""
    while not chat.frames_dropped:
        chat.send_audio(FRAME)
    assert not socket.aborted


def test_a_server_that_takes_no_audio_for_long_is_dead(chat: EviChat, socket: SlowSocket) -> None:
    frames_that_fit(chat, socket)
    for _ in range(round(MAX_STUCK_S * 1000 / FRAME_MS) - 1):
        chat.send_audio(FRAME)
    assert not socket.aborted

    chat.send_audio(FRAME)

    assert socket.aborted


def test_a_server_that_takes_audio_now_and_then_lives(chat: EviChat, socket: SlowSocket) -> None:
    frames_that_fit(chat, socket)
    for _ in range(3):
        for _ in range(round(MAX_STUCK_S * 1000 / FRAME_MS) - 1):
            chat.send_audio(FRAME)
        socket.backlog = 0
        chat.send_audio(FRAME)
        socket.backlog = MAX_UNSENT_BYTES

    assert not socket.aborted


def test_control_messages_are_never_dropped_and_a_stuck_link_is_cut(
    chat: EviChat, socket: SlowSocket
) -> None:
    socket.backlog = MAX_UNSENT_BYTES - 10

    chat.send(evi.UserInput("hello"))

    assert orjson.loads(socket.sent[-1])["text"] == "hello"
    assert socket.aborted


def test_a_control_message_that_the_server_takes_cuts_nothing(
    chat: EviChat, socket: SlowSocket
) -> None:
    chat.send(evi.UserInput("hello"))

    assert not socket.aborted


def test_each_kind_of_message_goes_its_way_with_the_chats_number(
    chat: EviChat, owner: Owner
) -> None:
    chat.on_text(b'{"type":"audio_output","id":"a","index":0,"data":"UklGRg=="}')
    chat.on_text(b'{ "data": "UklGRg==", "id": "b", "type": "audio_output" }')
    chat.on_text(b'{"type":"assistant_end"}')
    chat.on_text(b'{"type":"audio_output","id":"c","index":0,"data":"???"}')
    chat.on_text(b"rubbish")

    assert owner.chunks == [(CHAT, "a", b"RIFF"), (CHAT, "b", b"RIFF")]
    assert owner.messages == [(CHAT, evi.AssistantEnd())]


def test_a_server_gone_mad_does_not_fill_the_log(chat: EviChat) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(100):
            chat.on_text(b"rubbish")

    assert [line["event"] for line in lines] == ["evi_message_unreadable"]


def test_a_chat_that_is_not_open_sends_nothing(owner: Owner) -> None:
    chat = EviChat(owner, CHAT, PHONE)

    chat.send_audio(FRAME)
    chat.send_kept_audio(FRAME)
    chat.send(evi.UserInput("hello"))
    chat.close()

    assert owner.closed == []


def test_the_owner_who_closes_is_told_nothing_more(
    chat: EviChat, owner: Owner, socket: SlowSocket
) -> None:
    chat.close()
    chat.on_text(b'{"type":"assistant_end"}')
    chat.on_close(1000, "")

    assert socket.closed_with == 1000
    assert owner.messages == []
    assert owner.closed == []


def test_a_chat_closed_before_it_is_open_is_closed_when_it_opens(
    owner: Owner, socket: SlowSocket
) -> None:
    chat = EviChat(owner, CHAT, PHONE)
    chat.close()

    chat.on_open(socket)
    chat.on_text(b'{"type":"assistant_end"}')
    chat.send(evi.UserInput("hello"))
    chat.on_close(1000, "")

    assert socket.closed_with == 1000
    assert socket.sent == []
    assert owner.messages == []
    assert owner.closed == []


def test_a_close_by_the_server_is_told_once(chat: EviChat, owner: Owner) -> None:
    chat.on_close(1011, "")
    chat.on_close(1011, "")

    assert owner.closed == [(CHAT, 1011)]


class TestOpening:
    async def test_a_chat_is_opened_as_its_server_says(
        self, owner: Owner, socket: SlowSocket
    ) -> None:
        telephone = Telephone(socket)
        server = EviServer("https://evi.example", api_key="s3cret", dial=telephone)
        chat = EviChat(owner, CHAT, PHONE)

        await chat.open(server, "group-1", timeout_s=4.0)
        chat.send(evi.UserInput("hello"))

        assert telephone.url == server.chat_url(PHONE, "group-1")
        assert telephone.headers == {"X-Hume-Api-Key": "s3cret"}
        assert telephone.limits == (MAX_MESSAGE_BYTES, 4.0, PING_AFTER_IDLE_S)
        assert len(socket.sent) == 1

    async def test_a_refusal_is_told_to_who_opens_and_not_to_the_owner(self, owner: Owner) -> None:
        chat = EviChat(owner, CHAT, PHONE)

        with pytest.raises(LinkRefused):
            await chat.open(EviServer("https://x.example", dial=Telephone(None)), None, timeout_s=1)

        assert owner.closed == []


class TestUrl:
    def test_the_key_stays_out_of_it(self) -> None:
        server = EviServer("https://evi.example", api_key="s3cret", config_id="c-1")

        url = server.chat_url(PHONE)

        assert url.startswith("wss://evi.example/v0/evi/chat?")
        assert "s3cret" not in url
        assert server.headers == {"X-Hume-Api-Key": "s3cret"}

    def test_without_a_key_there_is_no_header(self) -> None:
        assert EviServer("http://localhost:8001").headers == {}

    def test_it_names_format_configuration_and_group(self) -> None:
        server = EviServer("https://evi.example", config_id="c-1")

        assert parse_qs(urlsplit(server.chat_url(PHONE, "group-1")).query) == {
            "verbose_transcription": ["true"],
            "allow_connection": ["true"],
            "session_settings[audio][encoding]": ["linear16"],
            "session_settings[audio][sample_rate]": ["8000"],
            "session_settings[audio][channels]": ["1"],
            "config_id": ["c-1"],
            "resumed_chat_group_id": ["group-1"],
        }

    def test_it_names_no_group_for_a_new_one_and_no_configuration_if_there_is_none(self) -> None:
        query = parse_qs(urlsplit(EviServer("https://evi.example").chat_url(PHONE)).query)

        assert not {"config_id", "resumed_chat_group_id"} & query.keys()
