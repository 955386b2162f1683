"""The messages of the EVI chat protocol, as values; `evi_codec` turns them into JSON and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Literal


class Clear(Enum):
    """An explicit JSON `null`, where it means something else than leaving the member out."""

    CLEAR = None


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Announces headerless PCM: `linear16`, interleaved."""

    sample_rate: int
    channels: int = 1
    encoding: str = "linear16"
    codec: str | None = None


@dataclass(frozen=True, slots=True)
class Context:
    """Silent background text: for the next answer (`temporary`) or all later ones."""

    text: str
    type: Literal["temporary", "persistent"] = "temporary"


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A function that the model may call; `parameters` is a JSON Schema as text."""

    name: str
    parameters: str
    description: str | None = None
    fallback_content: str | None = None
    type: str = "function"


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """A tool that the server runs by itself."""

    name: str
    fallback_content: str | None = None


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Settings of one chat; only the members that are set change anything."""

    type: ClassVar[str] = "session_settings"
    audio: AudioFormat | None = None
    system_prompt: str | None = None
    context: Context | Clear | None = None
    variables: Mapping[str, str | float | bool] | None = None
    tools: tuple[ToolOffer, ...] | None = None
    builtin_tools: tuple[BuiltinTool, ...] | None = None
    voice_id: str | None = None
    language_model_api_key: str | None = None
    metadata: Mapping[str, Any] | None = None
    custom_session_id: str | None = None


@dataclass(frozen=True, slots=True)
class AudioInput:
    """The next piece of the caller's continuous audio, base64."""

    type: ClassVar[str] = "audio_input"
    data: str
    custom_session_id: str | None = None


@dataclass(frozen=True, slots=True)
class UserInput:
    """Text to be handled as if the caller had said it."""

    type: ClassVar[str] = "user_input"
    text: str
    custom_session_id: str | None = None


@dataclass(frozen=True, slots=True)
class AssistantInput:
    """Text that the agent speaks word for word."""

    type: ClassVar[str] = "assistant_input"
    text: str
    custom_session_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResponse:
    """The result of a tool call; for a built-in tool the server sends it itself."""

    type: ClassVar[str] = "tool_response"
    tool_call_id: str
    content: str
    tool_name: str | None = None
    tool_type: str | None = None
    custom_session_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolError:
    """A tool call that failed: `error` is a diagnostic, `content` is for the model."""

    type: ClassVar[str] = "tool_error"
    tool_call_id: str
    error: str
    content: str | None = None
    code: str | None = None
    level: str | None = None
    tool_type: str | None = None
    custom_session_id: str | None = None


@dataclass(frozen=True, slots=True)
class PauseAssistant:
    """The agent stops talking and using tools; transcription goes on."""

    type: ClassVar[str] = "pause_assistant_message"
    custom_session_id: str | None = None


@dataclass(frozen=True, slots=True)
class ResumeAssistant:
    """The agent answers the last user message and goes on."""

    type: ClassVar[str] = "resume_assistant_message"
    custom_session_id: str | None = None


@dataclass(frozen=True, slots=True)
class ChatMetadata:
    """The first message of every connection."""

    type: ClassVar[str] = "chat_metadata"
    chat_id: str
    chat_group_id: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class UserMessage:
    """What the server understood the caller to say; times in ms of the chat's audio."""

    type: ClassVar[str] = "user_message"
    content: str
    interim: bool
    from_text: bool
    begin_ms: int
    end_ms: int
    scores: Mapping[str, float] | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class UserInterruption:
    """The caller spoke over the agent; `time` is Unix time, probably ms (UNCONFIRMED)."""

    type: ClassVar[str] = "user_interruption"
    time: int


@dataclass(frozen=True, slots=True)
class AssistantMessage:
    """The text of one spoken segment; `id` is that of its `AudioOutput`s."""

    type: ClassVar[str] = "assistant_message"
    id: str | None
    content: str
    from_text: bool
    is_quick_response: bool
    scores: Mapping[str, float] | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class AssistantProsody:
    """Expression scores of the agent's own voice in the segment `id`."""

    type: ClassVar[str] = "assistant_prosody"
    id: str | None
    scores: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class AudioOutput:
    """One chunk of the segment `id`: a whole WAV file, in base64 on the wire."""

    type: ClassVar[str] = "audio_output"
    id: str
    index: int
    wav: bytes


@dataclass(frozen=True, slots=True)
class AssistantEnd:
    """Nothing more comes for this turn of the agent."""

    type: ClassVar[str] = "assistant_end"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model calls a function; `parameters` is the argument object as JSON text."""

    type: ClassVar[str] = "tool_call"
    tool_call_id: str
    name: str
    parameters: str
    response_required: bool = True
    tool_type: str = "function"


@dataclass(frozen=True, slots=True)
class ChatError:
    """The server's `error`: its `code` says who is at fault (E caller, I server, W warning)."""

    type: ClassVar[str] = "error"
    code: str
    slug: str
    message: str
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that this version does not know."""

    name: str
    raw: Mapping[str, Any]


ClientMessage = (
    AudioInput
    | SessionSettings
    | UserInput
    | AssistantInput
    | ToolResponse
    | ToolError
    | PauseAssistant
    | ResumeAssistant
)
ServerMessage = (
    ChatMetadata
    | UserMessage
    | UserInterruption
    | AssistantMessage
    | AssistantProsody
    | AudioOutput
    | AssistantEnd
    | ToolCall
    | ToolResponse
    | ToolError
    | SessionSettings
    | ChatError
    | Unknown
)
Message = ClientMessage | ServerMessage
