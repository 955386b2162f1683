"""What messages do to a chat, whoever sent them: its own client, a mirror, or an HTTP request."""

from typing import Protocol, assert_never

from evibridge.engine.chat import messages
from evibridge.engine.chat.actions import Action
from evibridge.engine.chat.chat_settings import ChatSettings
from evibridge.engine.chat.dialogue import Dialogue
from evibridge.engine.chat.faults import Fault, malformed
from evibridge.engine.chat.messages import ControlMessage, ServerMessage, SessionSettings
from evibridge.engine.hearing.hearing import Hearing
from evibridge.errors import BadAudio


class Sender(Protocol):
    """Who has sent a message, and is told alone what is wrong with it."""

    @property
    def is_own_client(self) -> bool:
        """Whether it is the client that the caller is at; others tell nothing about the caller."""

    def refuse(self, fault: Fault) -> None:
        """The message cannot be obeyed."""

    def answer(self, message: ServerMessage) -> None:
        """The message came too late, in the protocol's own words for it."""


class Stage(Protocol):
    """The chat, as messages act on it."""

    dialogue: Dialogue

    def now_s(self) -> float:
        """The clock of the dialogue."""

    def perform(self, actions: list[Action], sender: Sender) -> None:
        """Do what the dialogue wants."""

    def turn_ended(self) -> None:
        """The caller has finished and waits for an answer."""

    def show(self, message: ServerMessage) -> None:
        """Let mirrors see what was done; the chat's own client is not told."""


class Inbox:
    """Obeys the messages for one chat."""

    def __init__(self, chat: Stage, hearing: Hearing) -> None:
        self._chat = chat
        self._hearing = hearing

    def take(self, message: ControlMessage, sender: Sender) -> None:
        """Do what a message wants."""
        dialogue, perform = self._chat.dialogue, self._chat.perform
        match message:
            case SessionSettings():
                self.change_settings(message, sender)
                if sender.is_own_client:  # whose variables the greeting waits for
                    perform(dialogue.client_ready(), sender)
            case messages.UserInput(text=words):
                self._type(words, sender)
            case messages.AssistantInput(text=words):
                perform(dialogue.text_to_speak(words), sender)
            case messages.ToolResponse() | messages.ToolError():
                self._answer_tool(message, sender)
            case messages.PauseAssistant():
                perform(dialogue.pause(self._chat.now_s()), sender)
            case messages.ResumeAssistant():
                perform(dialogue.resume(self._chat.now_s()), sender)
            case _:
                assert_never(message)

    def change_settings(self, change: SessionSettings, sender: Sender) -> None:
        """Apply settings, and let mirrors see them.

        UNCONFIRMED U6: EVI most likely echoes accepted settings to all sockets. Here only mirrors
        see the echo, because SDKs of chats that are older than the control plane cannot read it,
        and nobody sees the key of a language model.
        """
        settings = self._chat.dialogue.settings.merged(change)
        announced = settings.audio if isinstance(settings, ChatSettings) else None
        if change.audio is not None and announced is not None:
            try:
                self._hearing.announce(announced)
            except BadAudio as error:
                settings = malformed(f"session_settings: {error}", loc=("audio",))
        if isinstance(settings, Fault):
            sender.refuse(settings)
        else:
            self._chat.dialogue.settings = settings
            self._chat.show(messages.accepted(change))

    def _type(self, words: str, sender: Sender) -> None:
        at_ms = self._hearing.position_ms
        typed = self._chat.dialogue.caller_said(
            words,
            at_ms,
            at_ms,
            self._chat.now_s(),
            from_text=True,
            is_read=sender.is_own_client,
        )
        self._chat.perform(typed, sender)
        self._chat.turn_ended()

    def _answer_tool(
        self, answer: messages.ToolResponse | messages.ToolError, sender: Sender
    ) -> None:
        """Take the answer of a tool: the first one counts, wherever it comes from.

        UNCONFIRMED U6: mirrors see it, as they see settings; otherwise nobody but who gave it would
        know that the call is not open any more.
        """
        dialogue = self._chat.dialogue
        if dialogue.awaits(answer.tool_call_id):
            self._chat.show(messages.accepted(answer))
        failed = isinstance(answer, messages.ToolError)
        answered = dialogue.tool_answered(answer.tool_call_id, answer.content, failed=failed)
        self._chat.perform(answered, sender)
