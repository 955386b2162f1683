"""A client of the chat protocol that has every message judged by the schemas."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from evibridge.audio.wav import Wav, parse_wav
from evibridge.engine.minds.mind import Mind
from evibridge.engine.parts import EngineParts
from evibridge.engine.server import Engine, start_engine
from tests.engine.chat_parts import HEARING_RATE_HZ, QueuedEars, ToneVoice
from tests.reference import evi_validator

PATIENCE_S = 20.0
"""Every wait of a test is bounded by this."""
AUDIO = {"encoding": "linear16", "sample_rate": HEARING_RATE_HZ, "channels": 1}

Message = dict[str, Any]


@asynccontextmanager
async def serving(mind: Mind, **parts: Any) -> AsyncIterator[Engine]:
    """Run an engine on a free port, with quick ears and a quick voice unless others are given."""
    all_parts: dict[str, Any] = {"ears": QueuedEars(), "voice": ToneVoice(), "mind": mind} | parts
    engine = await start_engine(EngineParts(**all_parts), host="127.0.0.1", port=0)
    try:
        yield engine
    finally:
        await asyncio.wait_for(engine.close(), PATIENCE_S)


class ChatClient:
    """One open chat socket at the client's end."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, engine: Engine, *, path: str = "/v0/evi/chat", query: str = "", **headers: str
    ) -> AsyncIterator[Self]:
        """Open a chat; refused handshakes raise `aiohttp.WSServerHandshakeError`."""
        url = f"{engine.origin}{path}?{query}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(url, headers=headers, max_msg_size=0) as socket,
        ):
            yield cls(socket)

    async def send(self, kind: str, **members: Any) -> None:
        """Send a message that the protocol allows."""
        message = {"type": kind, **members}
        evi_validator("PublishEvent").validate(message)
        await self._socket.send_str(json.dumps(message))

    async def send_raw(self, text: str) -> None:
        """Send text that the protocol need not allow."""
        await self._socket.send_str(text)

    async def send_audio(self, pcm16: bytes) -> None:
        """Send audio as a client does: in binary frames of 100 ms."""
        step = 2 * HEARING_RATE_HZ // 10
        for at in range(0, len(pcm16), step):
            await self._socket.send_bytes(pcm16[at : at + step])

    async def next(self) -> Message:
        """The next message of the server, judged by its schema."""
        frame = await asyncio.wait_for(self._socket.receive(), PATIENCE_S)
        assert frame.type == aiohttp.WSMsgType.TEXT, frame
        message: Message = json.loads(frame.data)
        evi_validator("SubscribeEvent").validate(message)
        return message

    async def until(self, kind: str) -> list[Message]:
        """All messages up to and including the next of a type."""
        messages = [await self.next()]
        while messages[-1]["type"] != kind:
            messages.append(await self.next())
        return messages

    async def rest(self) -> list[Message]:
        """All messages until the server has closed the chat; see `close_code`."""
        messages: list[Message] = []
        while True:
            frame = await asyncio.wait_for(self._socket.receive(), PATIENCE_S)
            if frame.type != aiohttp.WSMsgType.TEXT:
                return messages
            messages.append(json.loads(frame.data))
            evi_validator("SubscribeEvent").validate(messages[-1])

    @property
    def close_code(self) -> int | None:
        """How the chat was closed."""
        return self._socket.close_code

    async def close(self) -> None:
        """Leave the chat."""
        await self._socket.close()

    def cut(self) -> None:
        """Vanish without a close frame."""
        response = self._socket._response
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.abort()


def types(messages: list[Message]) -> list[str]:
    """The types of messages; runs of audio count once."""
    names: list[str] = []
    for message in messages:
        if message["type"] != "audio_output" or names[-1:] != ["audio_output"]:
            names.append(message["type"])
    return names


def of_type(messages: list[Message], kind: str) -> list[Message]:
    """The messages of one type."""
    return [message for message in messages if message["type"] == kind]


def words(messages: list[Message]) -> list[str]:
    """What the agent says, sentence by sentence."""
    return [message["message"]["content"] for message in of_type(messages, "assistant_message")]


def audio_of(message: Message) -> Wav:
    """The complete WAV file in an `audio_output`."""
    return parse_wav(base64.b64decode(message["data"], validate=True))
