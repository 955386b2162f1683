"""How a tool call can end, and what the model is told of it."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from pydantic_core import PydanticSerializationError, to_json

from evibridge.tools_registry.arguments import clip
from evibridge.tools_registry.registry import Tool

MAX_RESULT_BYTES = 64 * 1024
"""Some 16 000 words: no model can tell more of it on the phone, and EVI carries it back."""
MAX_ERROR_CHARS = 500
"""Of what happened: a sentence for a person; what is quoted in it may be of any length."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The tool answered."""

    content: str
    """Text for the model."""


@dataclass(frozen=True, slots=True)
class ToolFailure:
    """There is no answer."""

    error: str
    """What happened, for people and logs; the model does not read it."""
    content: str | None
    """Text for the model; with `None` EVI takes the tool's `fallback_content`, else improvises."""
    code: str
    """Kind of failure, one word for logs and programs."""


ToolOutcome: TypeAlias = ToolResult | ToolFailure


def result(tool: Tool, value: object) -> ToolOutcome:
    """Write what a tool returned as text: strings as they are, nothing as `done`, else JSON."""
    if isinstance(value, Enum):
        value = value.value
    if value is None:
        value = "done"
    try:
        text = sendable(value) if isinstance(value, str) else to_json(value, inf_nan_mode="null")
    except (PydanticSerializationError, ValueError) as error:
        return failure(tool, f"returned what has no JSON form ({error})", "bad_result")
    if len(text) > MAX_RESULT_BYTES:
        what = f"returned {len(text)} bytes of text; {MAX_RESULT_BYTES} are allowed"
        return failure(tool, what, "result_too_large")
    return ToolResult(text.decode())


def failure(tool: Tool, what: str, code: str) -> ToolFailure:
    """Tell people what happened, and the model the tool's fallback."""
    name, fallback = tool.definition.name, tool.definition.fallback
    what = clip(sendable(what).decode(), MAX_ERROR_CHARS)
    return ToolFailure(f"The tool {name} {what}.", fallback, code)


def sendable(text: str) -> bytes:
    """Encode for the wire, on which half a surrogate pair has no form."""
    return text.encode(errors="replace")
