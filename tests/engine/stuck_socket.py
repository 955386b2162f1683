"""A chat on a connection whose every side the test holds."""

import asyncio
import json

from evibridge.engine.chat.chat import Chat
from evibridge.engine.chat.handshake import Handshake
from evibridge.engine.minds.mind import Say
from evibridge.engine.parts import EngineParts
from tests.engine.chat_parts import QueuedEars, RuleMind, ToneVoice


class StuckSocket:
    """A connection with a backlog of the test's choice."""

    def __init__(self) -> None:
        self.backlog = 0
        self.sent: list[str] = []
        self.error_codes: list[str] = []
        self.closed_with: int | None = None
        self.aborted = asyncio.Event()
        self.has_audio = asyncio.Event()

    def unsent_bytes(self) -> int:
        return self.backlog

    def send_text(self, text: bytes, /) -> None:
        message = json.loads(text)
        kind = message["type"]
        if kind == "error":
            self.error_codes.append(message["code"])
        self.sent.append(kind)
        if kind == "audio_output":
            self.has_audio.set()

    def send_binary(self, data: bytes) -> None:
        raise AssertionError(f"{len(data)} bytes: servers send text only")

    def close(self, code: int = 1000, reason: str = "") -> None:
        del reason
        self.closed_with = code

    def abort(self) -> None:
        self.aborted.set()


def quick_parts() -> EngineParts:
    mind = RuleMind(lambda heard: [Say(heard)])
    return EngineParts(ears=QueuedEars(), mind=mind, voice=ToneVoice())


def opened(socket: StuckSocket, parts: EngineParts | None = None) -> Chat:
    parts = parts or quick_parts()
    chat = Chat(parts, Handshake(), "ada", live={})
    chat.on_open(socket)
    return chat
