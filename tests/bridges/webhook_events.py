"""Bodies of EVI's webhooks, as its documents show them."""

import uuid
from typing import Any

from tests.reference import evi_validator


def _common(name: str, chat_id: str | None, **more: Any) -> dict[str, Any]:
    return {
        "event_name": name,
        "chat_group_id": "8f3c6a52-7b7e-4c0e-9b7d-2d7a3c1f5e10",
        "chat_id": chat_id or str(uuid.uuid4()),
        "config_id": None,
        "caller_number": None,
        "custom_session_id": None,
        "twilio_metadata": None,
        **more,
    }


def started(chat_id: str | None = None, **more: Any) -> dict[str, Any]:
    """A chat was opened."""
    start = {"start_time": 1767000081000, "chat_start_type": "new_chat_group"}
    event = _common("chat_started", chat_id, **start, **more)
    evi_validator("WebhookEventChatStarted").validate(event)
    return event


def ended(chat_id: str | None = None, **more: Any) -> dict[str, Any]:
    """A chat is over."""
    end = {"end_time": 1767000123456, "duration_seconds": 42, "end_reason": "USER_ENDED"}
    event = _common("chat_ended", chat_id, **end, **more)
    evi_validator("WebhookEventChatEnded").validate(event)
    return event


def tool_call(
    chat_id: str | None = None, tool_call_id: str = "call_1", name: str = "look", **more: Any
) -> dict[str, Any]:
    """The model of a chat calls a function."""
    message = {
        "type": "tool_call",
        "tool_type": "function",
        "response_required": True,
        "tool_call_id": tool_call_id,
        "name": name,
        "parameters": "{}",
    }
    event = _common(
        "tool_call", chat_id, timestamp=1767000101000, tool_call_message=message, **more
    )
    evi_validator("WebhookEventToolCall").validate(event)
    return event
