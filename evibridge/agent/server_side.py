"""The EVI server as one call sees it: what the chat in use was told, and what the next will be."""

from collections.abc import Callable

from evibridge.agent import actions as act
from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action
from evibridge.agent.briefing import Briefing
from evibridge.agent.chat_link import ChatLink, Opened
from evibridge.agent.closing_codes import Retry
from evibridge.agent.conversation import Conversation
from evibridge.events import EndReason

BORNE = frozenset({"E0100", "E0101", "E0712"})
"""Errors of EVI after which a chat goes on: a faulty message, a slow custom language model."""


class ServerSide:
    """Keeps every chat in step with what is wanted of the server.

    Args:
        settings: of every chat
        first_s: how long the first chat is waited for
        resume_s: how long another one is waited for after a loss
        random: gives numbers from 0 to 1
    """

    def __init__(
        self,
        settings: evi.SessionSettings,
        *,
        first_s: float,
        resume_s: float,
        random: Callable[[], float],
    ) -> None:
        self.link = ChatLink(first_s=first_s, resume_s=resume_s, random=random)
        self._briefing = Briefing(settings)
        self._is_paused = False
        self._last_error: str | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is a chat to speak with."""
        return self.link.is_ready

    def opening(
        self, chat: int, news: Opened, conversation: Conversation, *, paused: bool
    ) -> list[Action]:
        """What a chat that has begun is told before it hears the caller."""
        self._last_error = None
        self._is_paused = False
        return [
            act.UseChat(chat),
            act.Tell(self._briefing.settings(news.why, conversation)),
            *self.match_pause(wanted=paused),
            *map(act.Tell, self._briefing.notes()),
        ]

    def kept(self) -> list[Action]:
        """What was to be told while there was no chat."""
        return [*map(act.Tell, self._briefing.take_kept())]

    def closed(
        self, chat: int, code: int, now_s: float, *, may_be_idle: bool = False
    ) -> tuple[Retry | EndReason | None, str | None]:
        """A chat has closed: what that means, see `ChatLink.closed`, and its last error."""
        error = None
        if chat == self.link.number:
            error, self._last_error = self._last_error, None
        return self.link.closed(chat, code, error, now_s, may_be_idle=may_be_idle), error

    def reported(self, error: str) -> None:
        """The chat in use has sent an `error`; one that it bears says nothing about its end."""
        if error not in BORNE and not error.startswith("W"):
            self._last_error = error

    def converses(self) -> None:
        """The conversation goes on, so that no error has ended it."""
        self._last_error = None

    def asked(self) -> None:
        """The caller has spoken, and is about to be answered."""
        self._briefing.asked()

    def answers(self) -> list[Action]:
        """The model has begun to answer; what it was told for that is told no more."""
        return [*map(act.Tell, self._briefing.forget_notes())]

    def match_pause(self, *, wanted: bool) -> list[Action]:
        """Pause or resume the server, if it is not as it should be."""
        if not self.is_ready or wanted == self._is_paused:
            return []
        self._is_paused = wanted
        return [act.Tell(evi.PauseAssistant() if wanted else evi.ResumeAssistant())]

    def pause_again(self, *, wanted: bool) -> list[Action]:
        """Say it once more: what was said before may have arrived late, or not at all."""
        if not self.is_ready:
            return []
        self._is_paused = not wanted
        return self.match_pause(wanted=wanted)

    def note(self, text: str) -> list[Action]:
        """Tell the model something beside the caller's next words."""
        self._briefing.note(text)
        return [*map(act.Tell, self._briefing.notes())] if self.is_ready else []

    def set_context(self, text: str | None) -> list[Action]:
        """Tell the model something for all later answers, in place of what was set before."""
        told = self._briefing.set_context(text)
        return [*map(act.Tell, told)] if self.is_ready else []

    def whisper(self, text: str) -> list[Action]:
        """Tell the model something for the rest of the call, beside what was told before."""
        told = self._briefing.whisper(text)
        return [*map(act.Tell, told)] if self.is_ready else []

    def taken_over(self, told: str) -> list[Action]:
        """Tell the model what an operator has said in its place."""
        messages = self._briefing.taken_over(told)
        return [*map(act.Tell, messages)] if self.is_ready else []

    def change(self, change: evi.SessionSettings) -> list[Action]:
        """Change the settings of this chat and of all that follow."""
        told = self._briefing.change(change)
        return [*map(act.Tell, told)] if self.is_ready else []

    @property
    def has_room(self) -> bool:
        """Whether what it is told now is not forgotten before there is a chat."""
        return self.is_ready or self._briefing.has_room

    def tell(self, message: evi.ClientMessage) -> list[Action]:
        """Tell the chat in use, or the next one if there is none."""
        if self.is_ready:
            return [act.Tell(message)]
        self._briefing.keep(message)
        return []
