"""What operators may ask of a live call, whoever carries its audio."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from evibridge.agent import evi_messages as evi
from evibridge.agent.snapshot import CallSnapshot
from evibridge.tools_registry.progress import Verdict


@dataclass(frozen=True, slots=True)
class Say:
    """Have the agent speak a text word for word."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Inject:
    """Have the agent answer a text as if the caller had said it."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetContext:
    """Tell the model something for all its later answers; None takes it back."""

    text: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Whisper:
    """Tell the model something for the rest of the call, beside what it was told before."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetVariables:
    """Set values of the prompt's placeholders; the others stay as they are."""

    variables: Mapping[str, str | float | bool] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pause:
    """The agent falls silent; the caller is still transcribed."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The agent may speak again."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The agent neither hears the caller nor is heard."""


@dataclass(frozen=True, slots=True)
class Release:
    """Agent and caller hear each other again."""


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Speak with the caller in the agent's place, who is paused until the call is handed back.

    Attributes:
        renew: it is only a sign of an operator who has the call already
    """

    renew: bool = False


@dataclass(frozen=True, slots=True)
class HandBack:
    """The agent goes on, and is told what was said in the meantime."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call once the last word was heard; asked again, at once."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Put the caller through to somebody else, after a last text if there is one."""

    to: str = field(repr=False)
    say_first: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Send:
    """Send one message of the control plane: anything but audio."""

    message: evi.ClientMessage


@dataclass(frozen=True, slots=True)
class Decide:
    """Approve or decline a tool that waits; the first answer wins."""

    tool_call_id: str
    verdict: Verdict


OperatorCommand = (
    Say
    | Inject
    | SetContext
    | Whisper
    | SetVariables
    | Pause
    | Resume
    | Hold
    | Release
    | TakeOver
    | HandBack
    | HangUp
    | Transfer
    | Send
    | Decide
)


class Via(StrEnum):
    """How a message has reached the chat."""

    CONTROL_PLANE = "control_plane"
    """The endpoint `send` of the EVI server."""
    CHAT_SOCKET = "chat_socket"
    """The call's own socket, because that endpoint cannot be reached."""


class OperatedCall(Protocol):
    """A live call, as operators see it."""

    @property
    def call_id(self) -> str:
        """Of the call."""

    @property
    def is_over(self) -> bool:
        """Whether nothing can bring the call back."""

    def snapshot(self, *, with_lines: bool = True) -> CallSnapshot:
        """The call as it is now.

        Args:
            with_lines: whether `lines` is wanted, which takes a millisecond in a long call; it is
                empty if not, as lists of calls have it
        """

    async def operate(self, command: OperatorCommand, by: str) -> Via | None:
        """Do what an operator asks for.

        Args:
            command: what is wanted
            by: a name for the operator

        Returns:
            how the chat was told; None if there was nothing to tell it, or nobody to be told yet

        Raises:
            CommandRefused: the call is over, or not in a state for this
        """
