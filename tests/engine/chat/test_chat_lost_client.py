"""What counts as heard when a client is gone."""

import asyncio
import json

import pytest

from evibridge.engine.chat import chat as chat_module
from evibridge.engine.chat.chat import Chat
from evibridge.engine.chat.groups import ChatGroup
from tests.engine.chat_client import AUDIO, PATIENCE_S
from tests.engine.chat_parts import silence
from tests.engine.stuck_socket import StuckSocket, opened, quick_parts

LATER_S = 10.0
"""Long after everything that the agent has said would have been played."""


async def answered(monkeypatch: pytest.MonkeyPatch) -> tuple[Chat, ChatGroup]:
    """A chat that has sent its answer, and has heard nothing of its client since the question."""
    parts, socket = quick_parts(), StuckSocket()
    chat = opened(socket, parts)
    (group,) = parts.groups._groups.values()
    chat.on_text(json.dumps({"type": "user_input", "text": "Hello."}).encode())
    await asyncio.wait_for(socket.has_audio.wait(), PATIENCE_S)
    later_s = chat.now_s() + LATER_S
    monkeypatch.setattr(chat, "now_s", lambda: later_s)
    return chat, group


def said(group: ChatGroup) -> list[str]:
    return [entry.content for entry in group.history.entries() if entry.role == "assistant"]


@pytest.mark.parametrize(("code", "heard"), [(1000, ["Hello."]), (1006, [])])
async def test_who_vanishes_has_heard_nothing_since_his_last_message(
    monkeypatch: pytest.MonkeyPatch, code: int, heard: list[str]
) -> None:
    chat, group = await answered(monkeypatch)

    chat.on_close(code, "")

    await asyncio.wait_for(chat.finished(), PATIENCE_S)
    assert said(group) == heard


async def test_a_client_that_resumes_elsewhere_has_heard_nothing_since_his_last_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chat, group = await answered(monkeypatch)

    chat.resumed_elsewhere()

    assert said(group) == []
    chat.on_close(1006, "")
    await asyncio.wait_for(chat.finished(), PATIENCE_S)


async def test_settings_without_a_format_do_not_turn_a_broken_recording_into_pcm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chat_module, "AUDIO_FAULT_INTERVAL_S", 0.0)
    socket = StuckSocket()
    chat = opened(socket)
    chat.on_text(json.dumps({"type": "session_settings", "audio": AUDIO}).encode())
    chat.on_binary(b"\x1a\x45\xdf\xa3" + b"\x00" * 100)
    chat.on_text(b'{"type": "session_settings", "context": null}')
    chat.on_binary(silence(100))

    assert socket.error_codes == ["E0101", "E0101"]
    chat.on_close(1006, "")
    await asyncio.wait_for(chat.finished(), PATIENCE_S)
