"""What the course of a chat asks its shell to do."""

from dataclasses import dataclass

from evibridge.engine.messages import Fault, ServerMessage
from evibridge.engine.mind import CallTool, Prompt, ToolOutcome


@dataclass(frozen=True, slots=True)
class Recite:
    """Speak a text as it is."""

    text: str
    from_text: bool


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
class Start:
    """Run a part; what it reports carries its number."""

    part: int
    work: Recite | Answer | AnswerAfterTool


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop the part that runs, if any."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to the client."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class Refuse:
    """Report a fault of the client."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Greet:
    """Ask the mind for its greeting."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class EndChat:
    """Close the chat: the agent has said goodbye, and the caller has heard it."""


Action = Start | Stop | Tell | Refuse | Greet | EndChat
