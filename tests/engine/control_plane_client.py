"""The control plane of an engine as its clients use it: messages by HTTP, and mirrors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp

from evibridge.engine.minds.mind import CallTool, HangUp, Say
from evibridge.engine.server import Engine
from tests.engine.chat_client import PATIENCE_S, ChatClient
from tests.engine.chat_parts import RuleMind, Steps
from tests.reference import evi_validator

TURN = ["user_message", "assistant_message", "audio_output", "assistant_end"]
ORDER_STATUS = {"type": "function", "name": "order_status", "parameters": "{}"}


@dataclass(frozen=True)
class Answer:
    """How a message was answered."""

    status: int
    body: Any


@asynccontextmanager
async def chatting(
    engine: Engine, *, query: str = "allow_connection=true", **headers: str
) -> AsyncIterator[tuple[ChatClient, str]]:
    """Open a chat; yields it, its metadata read, and its id."""
    async with ChatClient.connect(engine, query=query, **headers) as chat:
        yield chat, (await chat.next())["chat_id"]


async def send(engine: Engine, chat_id: str, kind: str, **members: Any) -> Answer:
    """Send a message that the protocol allows."""
    message = {"type": kind, **members}
    evi_validator("ControlPlanePublishEvent").validate(message)
    return await post(engine, chat_id, json.dumps(message))


async def post(
    engine: Engine,
    chat_id: str,
    body: str = '{"type": "pause_assistant_message"}',
    *,
    root: str = "/v0/evi/chat",
    query: str = "",
    content_type: str = "application/json",
    **headers: str,
) -> Answer:
    """Send whatever the protocol need not allow; a 422 is judged by its schema."""
    url = f"{engine.origin}{root}/{chat_id}/send?{query}"
    headers = {"Content-Type": content_type} | headers
    async with (
        asyncio.timeout(PATIENCE_S),
        aiohttp.ClientSession() as session,
        session.post(url, data=BytesIO(body.encode()), headers=headers) as response,
    ):
        answer = Answer(response.status, await response.json())
    if answer.status == 422:
        evi_validator("HTTPValidationError").validate(answer.body)
    return answer


async def begun(
    engine: Engine, chat_id: str, headers: str = ""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin to send a message; its body of 35 bytes is left to the test."""
    host, port = engine.origin.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /v0/evi/chat/{chat_id}/send HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: application/json\r\nContent-Length: 35\r\n{headers}\r\n"
    )
    writer.write(head.encode())
    return reader, writer


def watching(
    engine: Engine, chat_id: str, *, root: str = "/v0/evi/chat", query: str = "", **headers: str
) -> AbstractAsyncContextManager[ChatClient]:
    """Open a mirror; refused handshakes raise `aiohttp.WSServerHandshakeError`."""
    path = f"{root}/{chat_id}/connect"
    return ChatClient.connect(engine, path=path, query=query, **headers)


def shop() -> RuleMind:
    """Repeats what is said, looks for orders, and hangs up when the caller does."""
    return RuleMind(_answer, after_tool=lambda outcome: [Say(outcome.content or "It failed.")])


def _answer(said: str) -> Steps:
    if "order" in said:
        return [CallTool("order_status", {"order_id": "1042"})]
    return [Say("Goodbye."), HangUp()] if "bye" in said else [Say(f"You said {said}")]


async def called(chat: ChatClient) -> str:
    """Let the agent call its tool; the id of the call."""
    await chat.send("session_settings", tools=[ORDER_STATUS])
    await chat.send("user_input", text="Where is my order?")
    call_id: str = (await chat.until("tool_call"))[-1]["tool_call_id"]
    return call_id


async def turn_of(chat: ChatClient, text: str) -> list[dict[str, Any]]:
    """Type a text; all messages to the end of its answer."""
    await chat.send("user_input", text=text)
    return await chat.until("assistant_end")


async def gone(engine: Engine) -> None:
    """Return when nothing is left of the engine's chats."""
    await asyncio.wait_for(engine._wait_for_chats(PATIENCE_S), PATIENCE_S)
