"""One message of EVI's control plane, as an operator sends it: a `ControlPlanePublishEvent`.

Section 11 of the protocol's documents lists the seven types. Unknown members are passed over, as
EVI servers do; those that are known have to be of their type.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import orjson
from pydantic import BaseModel, ConfigDict, Field

from evibridge.agent import evi_codec
from evibridge.agent import evi_messages as evi

ToolType = Literal["builtin", "function"]


class Part(BaseModel):
    """A JSON object of the protocol."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


class AudioConfiguration(Part):
    """Describes headerless PCM."""

    encoding: Literal["linear16"]
    sample_rate: Annotated[int, Field(ge=1)]
    channels: Annotated[int, Field(ge=1)]
    codec: str | None = None


class Context(Part):
    """Background text; without a type it is for the next answer only."""

    text: str
    type: Literal["persistent", "temporary"] = "temporary"


class Tool(Part):
    """A function that the model may call; `parameters` is a JSON Schema as text."""

    type: ToolType
    name: str
    parameters: str
    description: str | None = None
    fallback_content: str | None = None


class BuiltinToolConfig(Part):
    """A tool that the server runs by itself."""

    name: Literal["web_search", "hang_up"]
    fallback_content: str | None = None


class PublishEvent(Part):
    """What all seven have in common."""

    type: Literal[
        "session_settings",
        "user_input",
        "assistant_input",
        "tool_response",
        "tool_error",
        "pause_assistant_message",
        "resume_assistant_message",
    ]
    custom_session_id: str | None = None


class SessionSettings(PublishEvent):
    """Only the members that are set change anything; a context of null takes the last one back."""

    type: Literal["session_settings"]
    audio: AudioConfiguration | None = None
    system_prompt: str | None = None
    context: Context | None = None
    variables: dict[str, str | bool | int | float] | None = None
    tools: list[Tool] | None = None
    builtin_tools: list[BuiltinToolConfig] | None = None
    voice_id: str | None = None
    language_model_api_key: str | None = None
    metadata: dict[str, Any] | None = None


class UserInput(PublishEvent):
    """Text to be handled as if the caller had said it."""

    type: Literal["user_input"]
    text: str


class AssistantInput(PublishEvent):
    """Text that the agent speaks word for word."""

    type: Literal["assistant_input"]
    text: str


class ToolResponse(PublishEvent):
    """The result of a tool call."""

    type: Literal["tool_response"]
    tool_call_id: str
    content: str
    tool_name: str | None = None
    tool_type: ToolType | None = None


class ToolError(PublishEvent):
    """A tool call that failed: `error` is a diagnostic, `content` is for the model."""

    type: Literal["tool_error"]
    tool_call_id: str
    error: str
    content: str | None = None
    code: str | None = None
    level: Literal["warn"] | None = None
    tool_type: ToolType | None = None


class PauseAssistant(PublishEvent):
    """The agent stops talking and using tools."""

    type: Literal["pause_assistant_message"]


class ResumeAssistant(PublishEvent):
    """The agent answers the last user message and goes on."""

    type: Literal["resume_assistant_message"]


PUBLISH_EVENTS: Mapping[str, type[PublishEvent]] = {
    "session_settings": SessionSettings,
    "user_input": UserInput,
    "assistant_input": AssistantInput,
    "tool_response": ToolResponse,
    "tool_error": ToolError,
    "pause_assistant_message": PauseAssistant,
    "resume_assistant_message": ResumeAssistant,
}


def control_plane_message(document: Any) -> evi.ClientMessage:
    """Read a message out of a parsed body.

    Raises:
        pydantic.ValidationError: it is none of the seven, or not as the protocol has it
    """
    kind = PublishEvent.model_validate(document).type
    PUBLISH_EVENTS[kind].model_validate(document)
    return cast("evi.ClientMessage", evi_codec.decode(orjson.dumps(document)))
