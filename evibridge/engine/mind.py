"""Deciding: what a mind is told at a turn, and what it may answer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing said, or one tool result, in the order in which it happened.

    Attributes:
        content: for the assistant, only what the caller can have heard
    """

    role: Literal["user", "assistant", "tool"]
    content: str


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that the client offers for this chat.

    Attributes:
        parameters: the parsed JSON Schema of the arguments
        fallback_content: text for the mind when a call fails and says nothing itself
    """

    name: str
    description: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    fallback_content: str | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a mind may know at a turn.

    Attributes:
        variables: values for `{{name}}` placeholders
        context: silent text that belongs to the entry to answer
        history: oldest first; the last user entry is the one to answer
    """

    system_prompt: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    context: str | None = None
    tools: list[ToolOffer] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)

    def last_heard(self) -> str:
        """Return the words to answer, empty when the caller has not spoken yet."""
        return next((entry.content for entry in reversed(self.history) if entry.role == "user"), "")

    def tool(self, name: str) -> ToolOffer | None:
        """Return the offer with this name, None when the client does not make it."""
        return next((offer for offer in self.tools if offer.name == name), None)


@dataclass(frozen=True, slots=True)
class Say:
    """Words to speak; the chat splits them into sentences."""

    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Ask the client to run a tool; the turn goes on in `Conversation.after_tool`."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the chat once the last words have been spoken."""


Action = Say | CallTool | HangUp


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """How a tool call ended.

    Attributes:
        content: the result, or the text that stands for it after a failure: the `content` of the
            `tool_error`, else the tool's fallback; None when neither exists
    """

    content: str | None
    failed: bool


class Conversation(Protocol):
    """The mind of one chat.

    A chat may stop reading an iterator at any point, because the caller interrupts; what was not
    yielded is then never said, and the conversation goes on with the next `reply`.
    """

    def greeting(self, prompt: Prompt) -> str | None:
        """Return what is spoken when the chat opens, None to let the caller begin."""
        ...

    def reply(self, prompt: Prompt) -> AsyncIterator[Action]:
        """Answer the last user entry; a `CallTool` is the last action of the iterator."""
        ...

    def after_tool(
        self, prompt: Prompt, call: CallTool, outcome: ToolOutcome
    ) -> AsyncIterator[Action]:
        """Go on with the turn that made the call."""
        ...


class Mind(Protocol):
    """One per process."""

    def conversation(self) -> Conversation:
        """Begin the mind of one chat."""
        ...
