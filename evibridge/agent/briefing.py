"""What the EVI server is told: the settings of each chat, and notes beside the caller's words."""

from collections import deque
from dataclasses import fields, replace
from typing import Literal

from evibridge.agent import evi_messages as evi
from evibridge.agent.conversation import Conversation
from evibridge.agent.speech import CutOff
from evibridge.events import ChatOpening

MAX_NOTES = 16
"""Between two answers; the oldest is forgotten."""
MAX_WHISPERS = 16
"""In a call; the oldest is forgotten."""
MAX_TAKEOVERS = 8
"""Whose talk the model still knows."""
MAX_NOTE_CHARACTERS = 8 * 1024
"""Of a note; a link takes 256 KiB at a time, and the model the beginning of it."""
MAX_KEPT_MESSAGES = 16
"""Kept while there is no chat, the newest; more is a program gone astray."""


class Briefing:
    """Messages that outlive the chat they were meant for.

    Args:
        settings: of every chat
    """

    def __init__(self, settings: evi.SessionSettings) -> None:
        self._settings = settings
        self._notes: deque[str] = deque(maxlen=MAX_NOTES)
        self._late_notes = 0
        """How many came after the words that the next answer is for."""
        self._context: str | None = None
        self._whispers: deque[str] = deque(maxlen=MAX_WHISPERS)
        self._takeovers: deque[str] = deque(maxlen=MAX_TAKEOVERS)
        self._kept: deque[evi.ClientMessage] = deque(maxlen=MAX_KEPT_MESSAGES)

    def settings(self, why: ChatOpening, conversation: Conversation) -> evi.SessionSettings:
        """The first message to a chat; a server that has forgotten the conversation is told it."""
        prompt = self._settings.system_prompt
        if why is not ChatOpening.AFRESH or prompt is None:
            return self._settings
        told = conversation.retold()
        return replace(self._settings, system_prompt=f"{prompt}\n\n{told}" if told else prompt)

    def change(self, change: evi.SessionSettings) -> list[evi.ClientMessage]:
        """Set what is set in `change`, for this chat and all that follow; returns what says so.

        EVI: a message replaces the members that it has, `variables` as a whole; here those that are
        not named stay as they are.
        """
        given = {
            field.name: value
            for field in fields(change)
            if field.name != "context" and (value := getattr(change, field.name)) is not None
        }
        if "variables" in given:
            given["variables"] = {**(self._settings.variables or {}), **given["variables"]}
        self._settings = replace(self._settings, **given)
        told: list[evi.ClientMessage] = [evi.SessionSettings(**given)] if given else []
        match change.context:
            case None:
                pass
            case evi.Context(text, "temporary"):
                self.note(text)
                told += self.notes()
            case evi.Context(text):
                told += self.set_context(text)
            case evi.Clear.CLEAR:
                told += self.set_context(None)
        return told

    def note(self, text: str) -> None:
        """The model shall know this for its next answer."""
        self._notes.append(_bounded(text))
        self._late_notes = min(self._late_notes + 1, MAX_NOTES)

    def asked(self) -> None:
        """The caller has spoken: the answer to that is written with the notes so far."""
        self._late_notes = 0

    def set_context(self, text: str | None) -> list[evi.ClientMessage]:
        """The model shall know this for all its later answers; returns the message that says so."""
        self._context = text
        return self.notes() or [evi.SessionSettings(context=evi.Clear.CLEAR)]

    def whisper(self, text: str) -> list[evi.ClientMessage]:
        """The model shall know this too for the rest of the call; returns what says so."""
        self._whispers.append(_bounded(text))
        return self.notes()

    def taken_over(self, told: str) -> list[evi.ClientMessage]:
        """An operator has spoken in the agent's place; returns what says so."""
        self._takeovers.append(_bounded(told))
        return self.notes()

    def notes(self) -> list[evi.ClientMessage]:
        """All that the model is to know, in a message (EVI: a newer context replaces an older)."""
        context = [] if self._context is None else [self._context]
        lines = [*context, *self._whispers, *self._takeovers, *self._notes]
        if not lines:
            return []
        how_long: Literal["temporary", "persistent"] = "temporary" if self._notes else "persistent"
        return [evi.SessionSettings(context=evi.Context("\n".join(lines), how_long))]

    def forget_notes(self) -> list[evi.ClientMessage]:
        """The next answer has begun; returns what has to be said again after a note."""
        if len(self._notes) == self._late_notes:
            return []
        while len(self._notes) > self._late_notes:
            self._notes.popleft()
        return self.notes()

    @property
    def has_room(self) -> bool:
        """Whether one more message can be kept without another being forgotten."""
        return len(self._kept) < MAX_KEPT_MESSAGES

    def keep(self, message: evi.ClientMessage) -> None:
        """Keep a message for when there is a chat."""
        self._kept.append(message)

    def take_kept(self) -> list[evi.ClientMessage]:
        """What was kept, to be told now."""
        kept = list(self._kept)
        self._kept.clear()
        return kept


def _bounded(text: str) -> str:
    return text if len(text) <= MAX_NOTE_CHARACTERS else f"{text[: MAX_NOTE_CHARACTERS - 1]}…"


def what_was_heard(cut: CutOff) -> str:
    """Tell the model how far its words got."""
    if not cut.heard:
        return "You were interrupted, and nothing was heard of what you were about to say."
    return f"You were interrupted. Of your last words only this was heard: {cut.heard}"


def what_was_pressed(digits: str) -> str:
    """Tell the model which keys the caller pressed."""
    return f"The caller pressed these keys on the telephone: {digits}"
