"""Deciding: what a mind is told at a turn, and what it may answer."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool call that has had its answer.

    Attributes:
        id: what the client knows the call by
    """

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One thing said, or one tool call with its result, in the order in which it happened.

    Attributes:
        content: for the assistant, only what the caller can have heard; for a tool, its result,
            empty when it failed without a word
        tool: the call that a `tool` entry is the result of
    """

    role: Literal["user", "assistant", "tool"]
    content: str
    tool: ToolUse | None = None


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that the mind may call: the client's own, or one of the engine's.

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
        custom_session_id: the client's own name for the chat
        language_model_api_key: the client's own key for a language model, instead of the engine's
    """

    system_prompt: str | None = None
    variables: dict[str, str] = field(default_factory=dict)
    context: str | None = None
    tools: list[ToolOffer] = field(default_factory=list)
    history: list[HistoryEntry] = field(default_factory=list)
    custom_session_id: str | None = None
    language_model_api_key: str | None = field(default=None, repr=False)

    def instructions(self) -> str | None:
        """Return the system prompt with its variables filled in.

        A placeholder without a value stays as it was typed (UNCONFIRMED U26).
        """
        return self.system_prompt and fill_in(self.system_prompt, self.variables)

    def last_heard(self) -> str:
        """Return the words to answer, empty when the caller has not spoken yet."""
        return next((entry.content for entry in reversed(self.history) if entry.role == "user"), "")

    def tool(self, name: str) -> ToolOffer | None:
        """Return the offer with this name, None when the client does not make it."""
        return next((offer for offer in self.tools if offer.name == name), None)


def fill_in(text: str, variables: dict[str, str]) -> str:
    """Put variables in the place of `{{name}}`; an unknown name stays as it was typed."""
    return _PLACEHOLDER.sub(lambda found: variables.get(found[1], found[0]), text)


@dataclass(frozen=True, slots=True)
class Say:
    """Words to speak; the chat splits them into sentences.

    Attributes:
        quick: a stop-gap, spoken because the answer itself is not ready
    """

    text: str
    quick: bool = False


@dataclass(frozen=True, slots=True)
class SayPart:
    """The next piece of a reply that is still being generated, as a model streams it.

    Pieces may be cut anywhere, also inside a word; the chat joins those that follow each other
    and speaks each sentence as soon as it is complete.
    """

    text: str


@dataclass(frozen=True, slots=True)
class CallTool:
    """Ask for a tool; the turn goes on in `Conversation.after_tool`."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the chat once the last words have been spoken."""


Action = Say | SayPart | CallTool | HangUp


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """How a tool call ended.

    Attributes:
        content: the result, or the text that stands for it after a failure: the `content` of the
            `tool_error`, else the tool's fallback; None when neither exists
    """

    content: str | None
    failed: bool


Occasion = Literal["greeting", "nudge", "inactivity", "max_duration"]
"""Why the agent speaks without being spoken to: the chat opens; nobody has spoken for a while; the
chat ends soon unless the caller speaks; the longest chat is over and ends now."""


class Conversation(Protocol):
    """The mind of one chat.

    A chat may stop reading an iterator at any point, because the caller interrupts; what was not
    yielded is then never said, and the conversation goes on with the next `reply`. Each iterator
    raises `UpstreamFailed` when a service that the mind needs does not answer.
    """

    def reply(self, prompt: Prompt) -> AsyncIterator[Action]:
        """Answer the last user entry; a `CallTool` is the last action of the iterator."""
        ...

    def after_tool(
        self, prompt: Prompt, call: CallTool, outcome: ToolOutcome
    ) -> AsyncIterator[Action]:
        """Go on with the turn that made the call, the last entry of the history."""
        ...

    def speak_up(self, prompt: Prompt, occasion: Occasion) -> AsyncIterator[Action]:
        """Speak without being spoken to; nothing at all lets the caller begin."""
        ...

    async def close(self) -> None:
        """The chat is over: give back what this conversation holds, quickly."""


class Mind(Protocol):
    """One per process."""

    def conversation(self) -> Conversation:
        """Begin the mind of one chat."""
        ...
