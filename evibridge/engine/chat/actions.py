"""What the course of a chat asks its shell to do."""

from dataclasses import dataclass

from evibridge.engine.chat.faults import Fault
from evibridge.engine.chat.messages import ServerMessage
from evibridge.engine.minds.mind import CallTool, Occasion, Prompt, ToolOutcome


@dataclass(frozen=True, slots=True)
class Recite:
    """Speak a text as it is."""

    text: str
    from_text: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """Let the mind answer the last words of the caller."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class AnswerAfterTool:
    """Let the mind go on with the outcome of the tool it called."""

    prompt: Prompt
    call: CallTool
    outcome: ToolOutcome


@dataclass(frozen=True, slots=True)
class SpeakUp:
    """Let the mind speak without being spoken to."""

    prompt: Prompt
    occasion: Occasion


Work = Recite | Answer | AnswerAfterTool | SpeakUp


@dataclass(frozen=True, slots=True)
class Start:
    """Run a part; what it reports carries its number."""

    part: int
    work: Work


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the part that runs, if any."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to the client."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class TellSender:
    """Send a message to whoever sent the message that is being obeyed, and to nobody else."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Refuse:
    """Report a fault of a message to whoever sent it."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Report:
    """Report a fault that is not the client's."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Search:
    """Run the engine's own web search."""

    tool_call_id: str
    query: str


@dataclass(frozen=True, slots=True)
class EndChat:
    """Close the chat, all that was to be heard before having been heard.

    Attributes:
        why: for logs and counts: `hang_up`, or the slug of the error that was told
    """

    why: str


Action = Start | Stop | Tell | TellSender | Refuse | Report | Search | EndChat
