"""What a call session asks its shell to do, and what an operator may ask of a session."""

from dataclasses import dataclass
from enum import Enum, auto

from evibridge import events
from evibridge.agent import evi_messages as evi
from evibridge.events import EndReason
from evibridge.tools_registry.progress import Verdict


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a chat with the EVI server.

    Attributes:
        chat: a number for it, by which it is spoken of from now on
        group_id: of the chat group to go on with; None for a new one
        timeout_s: for the connection
    """

    chat: int
    group_id: str | None
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close a chat, open or not; nothing of it is told any more."""

    chat: int


@dataclass(frozen=True, slots=True)
class UseChat:
    """From now on this chat speaks with the caller: messages go to it, and its audio is played."""

    chat: int


@dataclass(frozen=True, slots=True)
class HearCaller:
    """From now on the chat in use hears the caller, first what was kept of his voice."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to the EVI server, by the chat in use."""

    message: evi.ClientMessage


@dataclass(frozen=True, slots=True)
class ClearPlayback:
    """Drop all audio that the caller has not heard yet."""


@dataclass(frozen=True, slots=True)
class PlaceMark:
    """Ask the caller's side to report when the audio sent so far was played."""

    name: str


@dataclass(frozen=True, slots=True)
class PlayFiller:
    """Tell the caller, by sound of our own, that he is not forgotten."""


@dataclass(frozen=True, slots=True)
class SpeakForOperator:
    """Have the agent's voice say a text to the caller, beside the chat, which is paused."""

    text: str


@dataclass(frozen=True, slots=True)
class StopOperator:
    """The agent's voice says nothing more of what operators wrote so far."""


@dataclass(frozen=True, slots=True)
class LeaveOperator:
    """No operator is heard any more: the call is handed back."""


@dataclass(frozen=True, slots=True)
class PlayTones:
    """Play the tones of these keys to the caller's side."""

    keys: str


@dataclass(frozen=True, slots=True)
class SendSilence:
    """Until the caller is back, the EVI server gets silence in place of his voice."""


@dataclass(frozen=True, slots=True)
class StartTool:
    """Run a Python function for the model; a repeated call gets the answer that it had before."""

    call: evi.ToolCall
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class CancelTool:
    """The answer to the tool that was started with this call's id is no longer wanted."""

    tool_call_id: str


@dataclass(frozen=True, slots=True)
class TellVerdict:
    """An operator has decided about the tool that was started with this call's id."""

    tool_call_id: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell everybody who watches the call."""

    event: events.CallEvent


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close both sides; nothing follows.

    Attributes:
        transfer_to: whom the carrier shall put the caller through to, if anybody
        last_words: what the carrier shall say first, because the agent could not
    """

    reason: EndReason
    transfer_to: str | None = None
    last_words: str | None = None


Action = (
    Connect
    | Disconnect
    | UseChat
    | HearCaller
    | Tell
    | ClearPlayback
    | PlaceMark
    | PlayFiller
    | SpeakForOperator
    | StopOperator
    | LeaveOperator
    | PlayTones
    | SendSilence
    | StartTool
    | CancelTool
    | TellVerdict
    | Publish
    | HangUp
)


class Command(Enum):
    """What an operator may ask of a call."""

    PAUSE = auto()
    """The agent falls silent; the caller is still transcribed."""
    RESUME = auto()
    HOLD = auto()
    """The agent neither hears the caller nor is heard."""
    RELEASE = auto()
    HANG_UP = auto()
    """Once the last word was heard."""
    RENEW_CHAT = auto()
    """Move to another chat of the same group, unnoticed: the EVI server is to be taken down."""
