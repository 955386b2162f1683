"""The EVI chat protocol on the wire: client messages to values, server messages to bytes. Pure."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import orjson
import pybase64
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from evibridge.engine.chat.faults import NO_AUDIO, NOT_JSON, TOO_LONG, Fault, malformed

MAX_CONTROL_BYTES = 1024 * 1024
"""Largest client message that is not audio: far above any prompt."""
MAX_AUDIO_QUOTES = 32
"""Around the few names and values of an audio message; base64 has none."""
MAX_ID_CHARACTERS = 1024
"""Of a client's own ids, which are echoed in every message."""
MAX_INPUT_CHARACTERS = 100_000
"""One typed text, which is echoed too: a short book."""
MAX_MEMBERS = 256
"""Tools or variables of one message; checking a list of a hundred thousand would hold up others."""
MAX_SPOKEN_CHARACTERS = 20_000
"""One text to be spoken: twenty minutes of talk."""


class _Message(BaseModel):
    """Unknown members are ignored: clients of other versions send more than is read here."""

    model_config = ConfigDict(frozen=True)


class AudioSettings(_Message):
    """Announces headerless PCM: int16 little-endian, interleaved."""

    encoding: Literal["linear16"]
    sample_rate: int
    channels: int


class Context(_Message):
    """Background text for the mind; a missing type means the next answer only."""

    text: str
    type: Literal["persistent", "temporary"] = "temporary"

    @field_validator("type", mode="before")
    @classmethod
    def _null_is_missing(cls, value: object) -> object:
        return "temporary" if value is None else value


class ToolSettings(_Message):
    """A tool that the client offers; `parameters` is a JSON Schema as text."""

    type: Literal["function", "builtin"]
    name: str
    parameters: str
    description: str | None = None
    fallback_content: str | None = None


class BuiltinToolSettings(_Message):
    """A tool of the engine that the client allows."""

    name: Literal["web_search", "hang_up"]
    fallback_content: str | None = None


class SessionSettings(_Message):
    """Changes the members that it contains; `model_fields_set` tells null from absent.

    `metadata` is read and has no effect: nothing says what EVI does with it (UNCONFIRMED U3).
    """

    audio: AudioSettings | None = None
    system_prompt: str | None = None
    context: Context | None = None
    variables: dict[str, str | bool | int | float] | None = None
    tools: list[ToolSettings] | None = None
    builtin_tools: list[BuiltinToolSettings] | None = None
    voice_id: str | None = None
    language_model_api_key: Annotated[str | None, Field(repr=False)] = None
    custom_session_id: Annotated[str | None, Field(max_length=MAX_ID_CHARACTERS)] = None
    metadata: dict[str, Any] | None = None


class UserInput(_Message):
    """Text to be handled as if the caller had said it."""

    text: Annotated[str, Field(max_length=MAX_INPUT_CHARACTERS)]


class AssistantInput(_Message):
    """Text to be spoken as it is."""

    text: Annotated[str, Field(max_length=MAX_SPOKEN_CHARACTERS, pattern=r"\S")]


class ToolResponse(_Message):
    """The result of a tool call."""

    tool_call_id: Annotated[str, Field(max_length=MAX_ID_CHARACTERS)]
    content: str


class ToolError(_Message):
    """A tool call failed; `content` is what the mind may tell instead of a result."""

    tool_call_id: Annotated[str, Field(max_length=MAX_ID_CHARACTERS)]
    error: str
    content: str | None = None


class PauseAssistant(_Message):
    """The assistant stays silent until `ResumeAssistant`."""


class ResumeAssistant(_Message):
    """The assistant may speak again."""


@dataclass(frozen=True, slots=True)
class AudioInput:
    """The next piece of the caller's audio."""

    data: bytes


ControlMessage = (
    SessionSettings
    | UserInput
    | AssistantInput
    | ToolResponse
    | ToolError
    | PauseAssistant
    | ResumeAssistant
)
ClientMessage = ControlMessage | AudioInput

_CONTROL: dict[str, type[ControlMessage]] = {
    "session_settings": SessionSettings,
    "user_input": UserInput,
    "assistant_input": AssistantInput,
    "tool_response": ToolResponse,
    "tool_error": ToolError,
    "pause_assistant_message": PauseAssistant,
    "resume_assistant_message": ResumeAssistant,
}
_KIND_OF = {model: kind for kind, model in _CONTROL.items()}


def decode(text: bytes) -> ClientMessage | Fault:
    """Read one text frame of a client; never raises, whatever the bytes are."""
    # Audio is one flat object: only what cannot be audio has a list or an object in it.
    if len(text) > MAX_CONTROL_BYTES and (
        b"[" in text or text.count(b"{") > 1 or text.count(b'"') > MAX_AUDIO_QUOTES
    ):
        return TOO_LONG
    body = _parse(text)
    if body is not None and body.get("type") == "audio_input":
        return _decode_audio(body.get("data"))
    return _read_control(body, len(text), ("audio_input", *_CONTROL))


def decode_control(text: bytes) -> ControlMessage | Fault:
    """Read one message of the control plane, where audio is a fault; never raises."""
    body = None if len(text) > MAX_CONTROL_BYTES else _parse(text)
    if body is not None and body.get("type") == "audio_input":
        return NO_AUDIO
    return _read_control(body, len(text), tuple(_CONTROL))


def _parse(text: bytes) -> dict[str, Any] | None:
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return body if isinstance(body, dict) else None


def _read_control(
    body: dict[str, Any] | None, size_bytes: int, kinds: tuple[str, ...]
) -> ControlMessage | Fault:
    if size_bytes > MAX_CONTROL_BYTES:
        return TOO_LONG
    if body is None:
        return NOT_JSON
    kind = body.get("type")
    if not isinstance(kind, str) or (model := _CONTROL.get(kind)) is None:
        sentence = f"The member 'type' must be one of {', '.join(kinds)}."
        return malformed(sentence, loc=("type",), kind="literal_error")
    return _validate(model, kind, body)


def read_settings(members: dict[str, Any]) -> SessionSettings | Fault:
    """Read the members of a `session_settings` that came by another way than a message."""
    settings = _validate(SessionSettings, "session_settings", members)
    assert isinstance(settings, SessionSettings | Fault)
    return settings


def _validate(
    model: type[ControlMessage], kind: str, body: dict[str, Any]
) -> ControlMessage | Fault:
    for member in ("tools", "builtin_tools", "variables"):
        if isinstance(body.get(member), list | dict) and len(body[member]) > MAX_MEMBERS:
            sentence = f"{kind}: member '{member}' has more than {MAX_MEMBERS} entries."
            return malformed(sentence, loc=(member,), kind="too_long")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])[:80]
        sentence = f"{kind}: member '{where}': {first['msg'][:120]}."
        return malformed(sentence, loc=first["loc"], kind=first["type"])


def _decode_audio(data: object) -> AudioInput | Fault:
    if not isinstance(data, str):
        return malformed("audio_input: member 'data' must be base64 text.")
    try:
        return AudioInput(pybase64.b64decode(data, validate=True))
    except ValueError:
        return malformed("audio_input: member 'data' is not valid base64.")


ServerMessage = dict[str, Any]


def encode(message: ServerMessage, custom_session_id: str | None) -> bytes:
    """Turn a server message into a text frame; the client's own session id is echoed in it."""
    if custom_session_id is not None:
        message = {**message, "custom_session_id": custom_session_id}
    try:
        return orjson.dumps(message)
    except TypeError:  # half a surrogate pair, out of some model's text
        return orjson.dumps(_well_formed(message))


def _well_formed(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="replace").decode()
        case dict():
            return {_well_formed(name): _well_formed(member) for name, member in value.items()}
        case _:
            return value  # lists come from clients, whose JSON is well-formed


def accepted(message: SessionSettings | ToolResponse | ToolError) -> ServerMessage:
    """Repeats what a client said, for those who watch.

    Keys of language models are left out, and so is `metadata`, which has no effect to be seen.
    """
    secret_or_void = {"language_model_api_key", "metadata"}
    members = message.model_dump(exclude_unset=True, exclude=secret_or_void)
    return {"type": _KIND_OF[type(message)], **members}


def chat_metadata(chat_id: str, chat_group_id: str, request_id: str) -> ServerMessage:
    """The first message of every chat."""
    return {
        "type": "chat_metadata",
        "chat_id": chat_id,
        "chat_group_id": chat_group_id,
        "request_id": request_id,
    }


def user_message(
    text: str, begin_ms: int, end_ms: int, *, from_text: bool = False, interim: bool = False
) -> ServerMessage:
    """What the caller said; times are positions in the audio of the chat.

    Scores of expression are never invented, so `models` is empty, and so is `language`: ears do
    not tell it.
    """
    return {
        "type": "user_message",
        "message": {"role": "user", "content": text},
        "from_text": from_text,
        "interim": interim,
        "time": {"begin": begin_ms, "end": end_ms},
        "models": {},
    }


def user_interruption(unix_ms: int) -> ServerMessage:
    """The caller spoke over the agent: nothing more of that turn follows.

    The unit of `time` is not documented; milliseconds (UNCONFIRMED U4).
    """
    return {"type": "user_interruption", "time": unix_ms}


def assistant_message(
    segment_id: str, text: str, *, from_text: bool, quick: bool = False
) -> ServerMessage:
    """The text of one sentence, before its audio; `quick` marks a stop-gap for a slow answer."""
    return {
        "type": "assistant_message",
        "id": segment_id,
        "message": {"role": "assistant", "content": text},
        "from_text": from_text,
        "is_quick_response": quick,
        "models": {},
    }


def audio_output(segment_id: str, index: int, wav: bytes) -> ServerMessage:
    """One chunk of a sentence's audio; `wav` is a complete file."""
    return {
        "type": "audio_output",
        "id": segment_id,
        "index": index,
        "data": pybase64.b64encode_as_string(wav),
    }


def assistant_end() -> ServerMessage:
    """Nothing more will be sent for this turn of the agent."""
    return {"type": "assistant_end"}


def tool_call(
    tool_call_id: str, name: str, arguments: dict[str, Any], *, builtin: bool
) -> ServerMessage:
    """Asks the client to run one of its tools, or tells it that one of the engine's runs."""
    return {
        "type": "tool_call",
        "tool_call_id": tool_call_id,
        "name": name,
        "parameters": orjson.dumps(arguments).decode(),
        "tool_type": "builtin" if builtin else "function",
        "response_required": not builtin,
    }


def builtin_tool_response(tool_call_id: str, name: str, content: str) -> ServerMessage:
    """Tells the client what a tool of the engine found."""
    return {
        "type": "tool_response",
        "tool_call_id": tool_call_id,
        "tool_name": name,
        "tool_type": "builtin",
        "content": content,
    }


def tool_error(
    tool_call_id: str, code: str, sentence: str, *, builtin: bool = False
) -> ServerMessage:
    """Tells the client that its answer came too late or fits no call, or that a built-in failed."""
    return {
        "type": "tool_error",
        "tool_call_id": tool_call_id,
        "tool_type": "builtin" if builtin else "function",
        "code": code,
        "error": sentence,
        "level": "warn",
    }


def error(fault: Fault, request_id: str) -> ServerMessage:
    """Reports a fault to the client."""
    return {
        "type": "error",
        "code": fault.code,
        "slug": fault.slug,
        "message": fault.message,
        "request_id": request_id,
    }
