"""What a call session asks its shell to do, and what an operator may ask of a session."""

from dataclasses import dataclass
from enum import Enum, auto

from evibridge import events
from evibridge.agent import evi_messages as evi
from evibridge.events import EndReason


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the chat with the EVI server."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to the EVI server."""

    message: evi.ClientMessage


@dataclass(frozen=True, slots=True)
class ClearPlayback:
    """Drop all audio that the caller has not heard yet."""


@dataclass(frozen=True, slots=True)
class PlaceMark:
    """Ask the caller's side to report when the audio sent so far was played."""

    name: str


@dataclass(frozen=True, slots=True)
class StartTool:
    """Run a Python function for the model."""

    call: evi.ToolCall


@dataclass(frozen=True, slots=True)
class CancelTool:
    """The answer to this tool call is no longer wanted."""

    tool_call_id: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell everybody who watches the call."""

    event: events.CallEvent


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close both sides; nothing follows."""

    reason: EndReason


Action = Connect | Tell | ClearPlayback | PlaceMark | StartTool | CancelTool | Publish | HangUp


class Command(Enum):
    """What an operator may ask of a call."""

    PAUSE = auto()
    """The agent falls silent; the caller is still transcribed."""
    RESUME = auto()
    HOLD = auto()
    """The agent neither hears the caller nor is heard."""
    RELEASE = auto()
    HANG_UP = auto()
