"""A chat whose client stops reading."""

import asyncio
import json
from typing import Any

import pytest

from evibridge.engine.chat import part
from evibridge.engine.chat.chat import MAX_UNSENT_BYTES, Chat
from evibridge.engine.chat.part import AUDIO_BACKLOG_BYTES
from tests.engine.chat_client import PATIENCE_S
from tests.engine.stuck_socket import StuckSocket, opened


async def left(chat: Chat) -> None:
    chat.on_close(1006, "")
    await asyncio.wait_for(chat.finished(), PATIENCE_S)


def typed(text: str) -> bytes:
    message: dict[str, Any] = {"type": "user_input", "text": text}
    return json.dumps(message).encode()


async def test_audio_waits_until_the_network_has_taken_what_was_sent() -> None:
    socket = StuckSocket()
    chat = opened(socket)
    socket.backlog = AUDIO_BACKLOG_BYTES + 1
    chat.on_text(typed("Hello."))
    for _ in range(50):
        await asyncio.sleep(0)
    assert socket.sent[-1] == "assistant_message"

    socket.backlog = 0
    await asyncio.wait_for(socket.has_audio.wait(), PATIENCE_S)
    await left(chat)


async def test_a_client_that_takes_no_audio_for_long_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(part, "STALLED_READER_S", 0.01)
    socket = StuckSocket()
    chat = opened(socket)
    socket.backlog = AUDIO_BACKLOG_BYTES + 1
    chat.on_text(typed("Hello."))

    await asyncio.wait_for(socket.aborted.wait(), PATIENCE_S)
    await left(chat)
    assert "audio_output" not in socket.sent


async def test_a_client_that_takes_no_messages_is_cut_and_told_no_more() -> None:
    socket = StuckSocket()
    chat = opened(socket)
    socket.backlog = MAX_UNSENT_BYTES + 1
    chat.on_text(typed("Hello."))

    assert socket.aborted.is_set()
    socket.backlog = 0
    chat.on_text(typed("Hello?"))
    chat.end(1001, "too late", why="engine_closed")
    assert socket.sent == ["chat_metadata"]
    assert socket.closed_with is None
    await left(chat)
