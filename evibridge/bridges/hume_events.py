"""EVI's webhook events as values. Lenient in what is read: unknown members are passed over."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from evibridge.agent import evi_messages as evi

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def checked_chat_id(text: str) -> str:
    """The id of a chat as EVI writes it, which may become a part of a URL.

    Raises:
        ValueError: it is no UUID
    """
    chat_id = text.lower()
    if not _UUID.fullmatch(chat_id):
        raise ValueError("a chat's id is a UUID")
    return chat_id


@dataclass(frozen=True, slots=True)
class Misshapen:
    """A body that is no event: EVI's `detail` of a 422, which quotes nothing of the body."""

    detail: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event that this version does not know."""

    name: str


class _TwilioMetadata(BaseModel):
    model_config = ConfigDict(frozen=True)

    from_number: str | None = None
    to_number: str | None = None


class ChatEvent(BaseModel):
    """What all events tell. Numbers are personal data, so that `repr()` leaves them out."""

    model_config = ConfigDict(frozen=True)

    chat_id: Annotated[str, AfterValidator(checked_chat_id)]
    chat_group_id: str = ""
    caller_number: str | None = Field(default=None, repr=False)
    twilio_metadata: _TwilioMetadata | None = Field(default=None, repr=False)

    @property
    def caller(self) -> str | None:
        """Who calls, if the chat is a telephone call."""
        twilio = self.twilio_metadata
        return self.caller_number or (twilio.from_number if twilio else None) or None

    @property
    def called(self) -> str | None:
        """Who is called, if the chat is a telephone call."""
        return (self.twilio_metadata.to_number if self.twilio_metadata else None) or None

    @property
    def key(self) -> tuple[str, str, str]:
        """Is the same each time the event is delivered, and differs from that of any other."""
        return (self.chat_id, type(self).__name__, "")


class ChatStarted(ChatEvent):
    """A chat was opened."""


class ChatEnded(ChatEvent):
    """A chat is over."""

    end_reason: str


class _ToolCall(BaseModel):
    model_config = ConfigDict(frozen=True)

    tool_call_id: str
    name: str
    parameters: str = Field(default="", repr=False)
    response_required: bool = True
    tool_type: str = "function"


class ToolCalled(ChatEvent):
    """The model of a chat calls a function."""

    tool_call_message: _ToolCall

    @property
    def call(self) -> evi.ToolCall:
        """The call, as a chat's socket tells it."""
        told = self.tool_call_message
        return evi.ToolCall(
            told.tool_call_id, told.name, told.parameters, told.response_required, told.tool_type
        )

    @property
    def key(self) -> tuple[str, str, str]:
        """Is the same each time the event is delivered, and differs from that of any other."""
        return (self.chat_id, type(self).__name__, self.tool_call_message.tool_call_id)


WebhookEvent = ChatStarted | ChatEnded | ToolCalled

_EVENTS: dict[str, type[WebhookEvent]] = {
    "chat_started": ChatStarted,
    "chat_ended": ChatEnded,
    "tool_call": ToolCalled,
}
_TELLING_MEMBERS = {
    "chat_start_type": "chat_started",
    "end_reason": "chat_ended",
    "tool_call_message": "tool_call",
}
"""EVI: `event_name` is documented as optional."""

_Event = TypeVar("_Event", bound=ChatEvent)


def read_event(body: object) -> WebhookEvent | UnknownEvent | Misshapen:
    """Read the JSON value of a webhook's body."""
    if not isinstance(body, dict):
        return _misshapen((), "Input should be a valid dictionary", "dict_type")
    name = body.get("event_name")
    if name is None:
        name = next((event for each, event in _TELLING_MEMBERS.items() if each in body), None)
    if name is None:
        return _misshapen(("event_name",), "Field required", "missing")
    if not isinstance(name, str):
        return _misshapen(("event_name",), "Input should be a valid string", "string_type")
    kind = _EVENTS.get(name)
    return UnknownEvent(name) if kind is None else _read(kind, body)


def not_json() -> Misshapen:
    """What a body is that cannot be parsed."""
    return _misshapen((), "JSON decode error", "json_invalid")


def _read(kind: type[_Event], body: dict[str, Any]) -> _Event | Misshapen:
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        return Misshapen(
            [
                {"loc": ["body", *fault["loc"]], "msg": fault["msg"], "type": fault["type"]}
                for fault in faults
            ]
        )


def _misshapen(loc: tuple[str, ...], msg: str, kind: str) -> Misshapen:
    return Misshapen([{"loc": ["body", *loc], "msg": msg, "type": kind}])
