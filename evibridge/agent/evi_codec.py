"""EVI messages as JSON text, in both directions.

Reading is tolerant, as the protocol asks of clients: unknown types become `Unknown`, unknown
members are passed over, and a missing optional member takes its default. Writing is exact: members
that are `None` are left out, as Hume's own SDK does.

`AUDIO_INPUT` and `audio_output` are the audio path. They do without an encoder and a JSON parser,
which takes 4 us for a chunk of 200 ms instead of 11.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import orjson
import pybase64

from evibridge.agent.evi_messages import (
    AssistantEnd,
    AssistantInput,
    AssistantMessage,
    AssistantProsody,
    AudioFormat,
    AudioInput,
    AudioOutput,
    BuiltinTool,
    ChatError,
    ChatMetadata,
    Clear,
    Context,
    Message,
    PauseAssistant,
    ResumeAssistant,
    SessionSettings,
    ToolCall,
    ToolError,
    ToolOffer,
    ToolResponse,
    Unknown,
    UserInput,
    UserInterruption,
    UserMessage,
)
from evibridge.errors import BadMessage

AUDIO_INPUT = b'{"type":"audio_input","data":"%b"}'
"""To be filled with raw PCM in base64."""
_AUDIO_OUTPUT = b'{"type":"audio_output"'
_ID, _DATA = b'"id":"', b'"data":"'


def audio_output(text: bytes) -> tuple[str, bytes] | None:
    """The id and the WAV file of an `audio_output` that is written as servers write it.

    None for everything else, which is for `decode`: that reads the same message however it is
    written.
    """
    if not text.startswith(_AUDIO_OUTPUT):
        return None
    id_at, data_at = text.find(_ID) + len(_ID), text.find(_DATA) + len(_DATA)
    id_end, data_end = text.find(b'"', id_at), text.find(b'"', data_at)
    if id_at < len(_ID) or data_at < len(_DATA) or id_end < 0 or data_end < 0:
        return None
    if text.find(b"{", 1, data_at) > 0 or text.find(b"{", data_end) > 0:
        return None  # they may be members of another object
    utterance_id = text[id_at:id_end]
    if b"\\" in utterance_id:
        return None
    try:
        return utterance_id.decode(), pybase64.b64decode(
            memoryview(text)[data_at:data_end], validate=True
        )
    except ValueError:  # neither UTF-8 nor base64, or escaped
        return None


def encode(message: Message) -> bytes:
    """A message as JSON text in UTF-8."""
    if isinstance(message, Unknown):
        return orjson.dumps(message.raw)
    wire = {"type": message.type, **_members(message)}
    reshape = _RESHAPE.get(message.type)
    if reshape is not None:
        wire = reshape(wire)
    try:
        return orjson.dumps(wire)
    except TypeError:  # half a surrogate pair, which a tool may have made
        return json.dumps(wire, ensure_ascii=False).encode(errors="replace")


def decode(text: bytes) -> Message:
    """Read one message of either direction.

    Raises:
        BadMessage: not a JSON object, no `type`, or a required member is missing or misshapen
    """
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadMessage(f"The message is not JSON: {error}.") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise BadMessage("The message is not a JSON object with a type.")
    kind = raw["type"]
    reader = _READERS.get(kind)
    if reader is None:
        return Unknown(kind, raw)
    try:
        return reader(raw)
    except KeyError as error:
        raise BadMessage(f"{kind}: the member {error} is missing.") from error
    except (TypeError, ValueError) as error:
        raise BadMessage(f"{kind}: {error}.") from error


def _members(value: Any) -> dict[str, Any]:
    """The set members of a message or of a part of one, ready for JSON."""
    return {
        field.name: _plain(member)
        for field in fields(value)
        if (member := getattr(value, field.name)) is not None
    }


def _plain(member: Any) -> Any:
    if isinstance(member, Clear):
        return None
    if isinstance(member, tuple):
        return [_members(part) for part in member]
    if isinstance(member, AudioFormat | Context):
        return _members(member)
    return member


def _models(wire: dict[str, Any]) -> dict[str, Any]:
    scores = wire.pop("scores", None)
    return {} if scores is None else {"prosody": {"scores": scores}}


def _reshape_user_message(wire: dict[str, Any]) -> dict[str, Any]:
    wire["message"] = {"role": "user", "content": wire.pop("content")}
    wire["time"] = {"begin": wire.pop("begin_ms"), "end": wire.pop("end_ms")}
    return wire | {"models": _models(wire)}


def _reshape_assistant_message(wire: dict[str, Any]) -> dict[str, Any]:
    wire["message"] = {"role": "assistant", "content": wire.pop("content")}
    return wire | {"models": _models(wire)}


def _reshape_audio_output(wire: dict[str, Any]) -> dict[str, Any]:
    return wire | {"data": pybase64.b64encode_as_string(wire.pop("wav"))}


_RESHAPE: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "audio_output": _reshape_audio_output,
    "user_message": _reshape_user_message,
    "assistant_message": _reshape_assistant_message,
    "assistant_prosody": lambda wire: wire | {"models": _models(wire)},
}


def _text(raw: Mapping[str, Any], member: str) -> str:
    value = raw[member]
    if not isinstance(value, str):
        raise TypeError(f"{member} is not a string")
    return value


def _optional_text(raw: Mapping[str, Any], member: str) -> str | None:
    value = raw.get(member)
    return value if isinstance(value, str) else None


def _object(raw: Mapping[str, Any], member: str) -> Mapping[str, Any]:
    value = raw.get(member)
    return value if isinstance(value, dict) else {}


def _content(raw: Mapping[str, Any]) -> str:
    return _optional_text(_object(raw, "message"), "content") or ""


def _scores(raw: Mapping[str, Any]) -> Mapping[str, float] | None:
    scores = _object(_object(raw, "models"), "prosody").get("scores")
    if not isinstance(scores, dict):
        return None
    return {name: score for name, score in scores.items() if isinstance(score, int | float)}


def _read_session_settings(raw: Mapping[str, Any]) -> SessionSettings:
    known = {
        field.name: raw[field.name]
        for field in fields(SessionSettings)
        if raw.get(field.name) is not None
    }
    if "audio" in known:
        known["audio"] = _part(AudioFormat, known["audio"])
    if "context" in known:
        known["context"] = _part(Context, known["context"])
    elif "context" in raw:
        known["context"] = Clear.CLEAR
    if "tools" in known:
        known["tools"] = tuple(_part(ToolOffer, tool) for tool in known["tools"])
    if "builtin_tools" in known:
        known["builtin_tools"] = tuple(_part(BuiltinTool, tool) for tool in known["builtin_tools"])
    return SessionSettings(**known)


def _part(kind: type, raw: Any) -> Any:
    """A part of a message from the members that its class knows."""
    if not isinstance(raw, dict):
        raise TypeError(f"{kind.__name__} is not an object")
    names = {field.name for field in fields(kind)}
    return kind(**{name: value for name, value in raw.items() if name in names})


def _read_user_message(raw: Mapping[str, Any]) -> UserMessage:
    time = _object(raw, "time")
    return UserMessage(
        content=_content(raw),
        interim=bool(raw.get("interim")),
        from_text=bool(raw.get("from_text")),
        begin_ms=int(time.get("begin") or 0),
        end_ms=int(time.get("end") or 0),
        scores=_scores(raw),
        language=_optional_text(raw, "language"),
    )


def _read_assistant_message(raw: Mapping[str, Any]) -> AssistantMessage:
    return AssistantMessage(
        id=_optional_text(raw, "id"),
        content=_content(raw),
        from_text=bool(raw.get("from_text")),
        is_quick_response=bool(raw.get("is_quick_response")),
        scores=_scores(raw),
        language=_optional_text(raw, "language"),
    )


def _read_tool_call(raw: Mapping[str, Any]) -> ToolCall:
    return ToolCall(
        tool_call_id=_text(raw, "tool_call_id"),
        name=_text(raw, "name"),
        parameters=_optional_text(raw, "parameters") or "",
        response_required=raw.get("response_required") is not False,
        tool_type=_optional_text(raw, "tool_type") or "function",
    )


def _read_tool_response(raw: Mapping[str, Any]) -> ToolResponse:
    return ToolResponse(
        tool_call_id=_text(raw, "tool_call_id"),
        content=_text(raw, "content"),
        tool_name=_optional_text(raw, "tool_name"),
        tool_type=_optional_text(raw, "tool_type"),
        custom_session_id=_optional_text(raw, "custom_session_id"),
    )


def _read_tool_error(raw: Mapping[str, Any]) -> ToolError:
    return ToolError(
        tool_call_id=_text(raw, "tool_call_id"),
        error=_optional_text(raw, "error") or "",
        content=_optional_text(raw, "content"),
        code=_optional_text(raw, "code"),
        level=_optional_text(raw, "level"),
        tool_type=_optional_text(raw, "tool_type"),
        custom_session_id=_optional_text(raw, "custom_session_id"),
    )


def _read_error(raw: Mapping[str, Any]) -> ChatError:
    return ChatError(
        code=_optional_text(raw, "code") or "",
        slug=_optional_text(raw, "slug") or "",
        message=_optional_text(raw, "message") or "",
        request_id=_optional_text(raw, "request_id"),
    )


def _read_chat_metadata(raw: Mapping[str, Any]) -> ChatMetadata:
    return ChatMetadata(
        _text(raw, "chat_id"), _text(raw, "chat_group_id"), _optional_text(raw, "request_id")
    )


_READERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "audio_output": lambda raw: AudioOutput(
        _text(raw, "id"),
        int(raw.get("index") or 0),
        pybase64.b64decode(_text(raw, "data"), validate=True),
    ),
    "assistant_message": _read_assistant_message,
    "assistant_end": lambda _: AssistantEnd(),
    "assistant_prosody": lambda raw: AssistantProsody(_optional_text(raw, "id"), _scores(raw)),
    "chat_metadata": _read_chat_metadata,
    "error": _read_error,
    "session_settings": _read_session_settings,
    "tool_call": _read_tool_call,
    "tool_error": _read_tool_error,
    "tool_response": _read_tool_response,
    "user_interruption": lambda raw: UserInterruption(int(raw.get("time") or 0)),
    "user_message": _read_user_message,
    "audio_input": lambda raw: AudioInput(
        _text(raw, "data"), _optional_text(raw, "custom_session_id")
    ),
    "user_input": lambda raw: UserInput(
        _text(raw, "text"), _optional_text(raw, "custom_session_id")
    ),
    "assistant_input": lambda raw: AssistantInput(
        _text(raw, "text"), _optional_text(raw, "custom_session_id")
    ),
    "pause_assistant_message": lambda raw: PauseAssistant(_optional_text(raw, "custom_session_id")),
    "resume_assistant_message": lambda raw: ResumeAssistant(
        _optional_text(raw, "custom_session_id")
    ),
}
