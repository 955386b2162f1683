"""What EVI's webhooks tell of a chat, as the bodies of their requests. Pure.

A member that is not known is null and never absent. `caller_number` and `twilio_metadata` are of
chats that came over EVI's own Twilio shortcut, which the engine does not have.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson

from evibridge.engine.chat import messages
from evibridge.engine.chat.messages import ServerMessage

EventName = Literal["chat_started", "tool_call", "chat_ended"]
EVENT_NAMES: tuple[EventName, ...] = get_args(EventName)

EndReason = Literal["USER_ENDED", "INACTIVITY_TIMEOUT", "MAX_DURATION_TIMEOUT", "ERROR"]
"""Of EVI's reasons those that the engine has: `ACTIVE` is of chats that go on, and nothing tells
`USER_TIMEOUT` and `SILENCE_TIMEOUT` from `INACTIVITY_TIMEOUT`."""
END_REASONS: dict[str, EndReason] = {
    # Also of a client that vanished without a word (UNCONFIRMED: `USER_TIMEOUT` may be its name).
    "client_left": "USER_ENDED",
    # Of a chat that the agent ended by its tool (UNCONFIRMED U38: it is ended as was agreed).
    "hang_up": "USER_ENDED",
    "inactivity_timeout": "INACTIVITY_TIMEOUT",
    "max_duration_timeout": "MAX_DURATION_TIMEOUT",
}
"""From why a chat ended. Everything else is `ERROR`, such as an engine that shuts down
(UNCONFIRMED: what EVI tells of chats that its own restart cuts off)."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a chat: the body is JSON, ready to be signed."""

    name: EventName
    body: bytes


@dataclass(frozen=True, slots=True)
class ChatIdentity:
    """By what a receiver knows a chat; all of it stays the same from its start to its end.

    Attributes:
        config_id: as the client gave it, None if it gave none
    """

    chat_id: str
    chat_group_id: str
    config_id: str | None


def chat_started(
    chat: ChatIdentity, custom_session_id: str | None, at_s: float, *, resumed: bool
) -> Event:
    """A client has opened a chat.

    Args:
        chat: which one
        custom_session_id: the client's own id of the chat, None if it has told none so far
        at_s: Unix time
        resumed: whether the chat goes on with the conversation of its group
    """
    return _event(
        "chat_started",
        chat,
        custom_session_id,
        start_time=_unix_ms(at_s),
        chat_start_type="resumed_chat_group" if resumed else "new_chat_group",
    )


def awaits_answer(message: ServerMessage) -> bool:
    """Tell whether a message of a chat is a call that a receiver can answer.

    Calls of the engine's own tools are shown to clients, but no answer to them is taken.
    """
    return message["type"] == "tool_call" and bool(message["response_required"])


def tool_call(
    chat: ChatIdentity, custom_session_id: str | None, at_s: float, message: ServerMessage
) -> Event:
    """The agent calls a tool of the client.

    Args:
        chat: which one
        custom_session_id: the client's own id of the chat
        at_s: Unix time
        message: the `tool_call` that the client is sent
    """
    sent = orjson.Fragment(messages.encode(message, custom_session_id))
    return _event(
        "tool_call", chat, custom_session_id, timestamp=_unix_ms(at_s), tool_call_message=sent
    )


def chat_ended(
    chat: ChatIdentity, custom_session_id: str | None, at_s: float, *, lasted_s: float, why: str
) -> Event:
    """The chat's connection is gone.

    Args:
        chat: which one
        custom_session_id: the client's own id of the chat
        at_s: Unix time
        lasted_s: since the chat started
        why: the engine's own word for the reason, as its metrics and its log have it
    """
    return _event(
        "chat_ended",
        chat,
        custom_session_id,
        end_time=_unix_ms(at_s),
        duration_seconds=int(lasted_s),
        end_reason=END_REASONS.get(why, "ERROR"),
    )


def _event(
    name: EventName, chat: ChatIdentity, custom_session_id: str | None, **members: Any
) -> Event:
    body = {
        "event_name": name,
        "chat_group_id": chat.chat_group_id,
        "chat_id": chat.chat_id,
        "config_id": chat.config_id,
        "caller_number": None,
        "custom_session_id": custom_session_id,
        "twilio_metadata": None,
        **members,
    }
    return Event(name, orjson.dumps(body))


def _unix_ms(at_s: float) -> int:
    return int(at_s * 1000)
