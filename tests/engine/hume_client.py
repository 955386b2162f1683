"""Hume's own SDK, an independent judge of the protocol, pointed at an engine."""

import asyncio
import base64
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any, TypeVar

from hume import AsyncHumeClient
from hume.empathic_voice import (
    AssistantMessage,
    AudioInput,
    ChatMetadata,
    SubscribeEvent,
    UserMessage,
)

from evibridge.engine.server import Engine
from tests.engine.chat_client import AUDIO, PATIENCE_S
from tests.engine.chat_parts import silence, tone

with warnings.catch_warnings():
    # The SDK's sockets import the deprecated half of the websockets package.
    warnings.simplefilter("ignore", DeprecationWarning)
    import_module("hume.empathic_voice.chat.client")
    from hume.empathic_voice.chat.socket_client import AsyncChatSocketClient

ChatSocket = AsyncChatSocketClient
"""One open chat of the SDK."""
CHUNK_BYTES = 640  # 20 ms at 16 kHz

Event = TypeVar("Event")


@asynccontextmanager
async def connected(
    engine: Engine, *, key: str | None = "any", **options: Any
) -> AsyncIterator[AsyncChatSocketClient]:
    """Open a chat with these arguments of the SDK, and read nothing of it."""
    client = AsyncHumeClient(api_key=key, base_url=engine.origin)
    async with client.empathic_voice.chat.connect(**options) as chat:
        yield chat


@asynccontextmanager
async def chatting(
    engine: Engine, *, key: str | None = "any", **options: Any
) -> AsyncIterator[AsyncChatSocketClient]:
    """Open a chat that announces the audio of `chat_parts`, and read its metadata."""
    settings = {"audio": {**AUDIO}}
    options = {"verbose_transcription": True, "session_settings": settings} | options
    async with connected(engine, key=key, **options) as chat:
        assert isinstance(await receive(chat), ChatMetadata)
        yield chat


async def receive(chat: AsyncChatSocketClient) -> SubscribeEvent:
    """The next message; one that the SDK cannot read fails the test."""
    return await asyncio.wait_for(chat.recv(), PATIENCE_S)


async def until(chat: AsyncChatSocketClient, kind: type) -> list[SubscribeEvent]:
    """All messages up to and including the next of a type."""
    events = [await receive(chat)]
    while not isinstance(events[-1], kind):
        events.append(await receive(chat))
    return events


async def next_of(chat: AsyncChatSocketClient, kind: type[Event]) -> Event:
    """The next message of a type, whatever comes before it."""
    *_, event = await until(chat, kind)
    assert isinstance(event, kind)
    return event


async def rest(chat: AsyncChatSocketClient) -> list[SubscribeEvent]:
    """All messages until the chat is closed in a way that the SDK takes for its ordinary end."""
    async with asyncio.timeout(PATIENCE_S):
        return [event async for event in chat]


def close_code(chat: AsyncChatSocketClient) -> int | None:
    """How the chat was closed."""
    code: int | None = chat._websocket.close_code
    return code


async def send_audio(
    chat: AsyncChatSocketClient, pcm16: bytes, *, base64_text: bool = False
) -> None:
    """Send audio in pieces of 20 ms, as binary frames or as `audio_input` messages."""
    for at in range(0, len(pcm16), CHUNK_BYTES):
        chunk = pcm16[at : at + CHUNK_BYTES]
        if base64_text:
            await chat.send_publish(AudioInput(data=base64.b64encode(chunk).decode()))
        else:
            await chat._send(chunk)


async def speak(chat: AsyncChatSocketClient, ms: int = 600, *, base64_text: bool = False) -> None:
    """Speak and then fall silent for long enough."""
    await send_audio(chat, silence(200) + tone(ms) + silence(1_100), base64_text=base64_text)


def of_type(events: list[SubscribeEvent], kind: type[Event]) -> list[Event]:
    """The messages of one type."""
    return [event for event in events if isinstance(event, kind)]


def kinds(events: list[SubscribeEvent]) -> list[str]:
    """The types of messages; runs of audio count once."""
    names: list[str] = []
    for event in events:
        if event.type != "audio_output" or names[-1:] != ["audio_output"]:
            names.append(str(event.type))
    return names


def words(events: list[SubscribeEvent]) -> list[str | None]:
    """What the agent says, sentence by sentence."""
    return [event.message.content for event in of_type(events, AssistantMessage)]


def heard(events: list[SubscribeEvent]) -> list[str | None]:
    """What the caller has said, provisional transcripts left out."""
    said = of_type(events, UserMessage)
    return [event.message.content for event in said if not event.interim]
