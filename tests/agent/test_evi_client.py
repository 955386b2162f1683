"""The rules of the chat socket for a server that does not read as fast as a caller speaks."""

import orjson
import pytest
import structlog

from evibridge.agent import evi_messages as evi
from evibridge.agent.evi_client import (
    MAX_AUDIO_BEHIND_MS,
    MAX_UNSENT_BYTES,
    EviChat,
    EviServer,
)

FRAME = bytes(320)  # 20 ms at 8 kHz


class SlowSocket:
    """A socket whose peer takes nothing until it is told to."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.unsent_bytes = 0
        self.aborted = False
        self.closed_with: int | None = None

    def send_text(self, text: bytes) -> None:
        self.sent.append(text)
        self.unsent_bytes += len(text)

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"a control message or audio is text: {data!r}")

    def close(self, code: int = 1000, reason: str = "") -> None:
        del reason
        self.closed_with = code

    def abort(self) -> None:
        self.aborted = True


class Owner:
    def __init__(self) -> None:
        self.messages: list[evi.Message] = []
        self.chunks: list[evi.AudioOutput] = []
        self.closed: list[int] = []

    def on_evi_message(self, message: evi.Message) -> None:
        self.messages.append(message)

    def on_evi_audio(self, audio: evi.AudioOutput) -> None:
        self.chunks.append(audio)

    def on_evi_closed(self, code: int) -> None:
        self.closed.append(code)


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest.fixture
def socket() -> SlowSocket:
    return SlowSocket()


@pytest.fixture
def chat(owner: Owner, socket: SlowSocket) -> EviChat:
    chat = EviChat(owner, evi.AudioFormat(8000))
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
    chat.send_kept_audio(FRAME * 100)

    assert len(socket.sent) == 100
    assert chat.frames_dropped == 0


def test_audio_flows_again_once_the_server_has_caught_up(chat: EviChat, socket: SlowSocket) -> None:
    for _ in range(200):
        chat.send_audio(FRAME)
    sent, socket.unsent_bytes = len(socket.sent), 0

    chat.send_audio(FRAME)

    assert len(socket.sent) == sent + 1


def test_control_messages_are_never_dropped_and_a_stuck_link_is_cut(
    chat: EviChat, socket: SlowSocket
) -> None:
    socket.unsent_bytes = MAX_UNSENT_BYTES - 10

    chat.send(evi.UserInput("hello"))

    assert orjson.loads(socket.sent[-1])["text"] == "hello"
    assert socket.aborted


def test_each_kind_of_message_goes_its_way(chat: EviChat, owner: Owner) -> None:
    chat.on_text(b'{"type":"audio_output","id":"a","index":0,"data":""}')
    chat.on_text(b'{"type":"assistant_end"}')
    chat.on_text(b"rubbish")

    assert owner.chunks == [evi.AudioOutput("a", 0, "")]
    assert owner.messages == [evi.AssistantEnd()]


def test_a_server_gone_mad_does_not_fill_the_log(chat: EviChat) -> None:
    with structlog.testing.capture_logs() as lines:
        for _ in range(100):
            chat.on_text(b"rubbish")

    assert [line["event"] for line in lines] == ["evi_message_unreadable"]


def test_a_chat_that_is_not_open_sends_nothing(owner: Owner) -> None:
    chat = EviChat(owner, evi.AudioFormat(8000))

    chat.send_audio(FRAME)
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


def test_a_close_by_the_server_is_told_once(chat: EviChat, owner: Owner) -> None:
    chat.on_close(1011, "")
    chat.on_close(1011, "")

    assert owner.closed == [1011]


def test_the_key_stays_out_of_the_url() -> None:
    server = EviServer("https://evi.example", api_key="s3cret", config_id="c-1")

    url = server.chat_url(evi.AudioFormat(8000))

    assert url.startswith("wss://evi.example/v0/evi/chat?")
    assert "config_id=c-1" in url
    assert "s3cret" not in url
    assert server.headers == {"X-Hume-Api-Key": "s3cret"}
