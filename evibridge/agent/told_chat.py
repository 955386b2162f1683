"""What a chat that somebody else has opened is told: its settings, its pause, and messages.

Such a chat outlives every connection to it, so that what has reached it stays. What may not have
reached it is told again: of settings and pause what is wanted now, of the rest each message, as
long as it is fresh.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from evibridge.agent import evi_messages as evi
from evibridge.agent.actions import Action, Tell
from evibridge.agent.briefing import Briefing
from evibridge.agent.conversation import Conversation
from evibridge.events import ChatOpening

AGAIN_S = 2.0
"""How often a chat that cannot be told anything is tried."""
FRESH_S = 20.0
"""What could not be told for so long is told no more: the conversation has gone on."""
MAX_KEPT = 64
"""Messages; more is a program gone astray, and the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class _Kept:
    message: evi.ClientMessage
    since_s: float


class ToldChat:
    """Follows what one chat knows. Time is an argument, in seconds.

    Args:
        settings: what the agent brings into the chat
    """

    def __init__(self, settings: evi.SessionSettings) -> None:
        self._is_new = settings != evi.SessionSettings()
        self._briefing = Briefing(settings)
        self._their_variables: dict[str, str | float | bool] = {}
        self._our_variables: dict[str, str | float | bool] = {}
        self._has_context = False
        """Whether a context of ours was ever told, so that taking it back means something."""
        self.is_paused: bool | None = None
        """As it was told last; None as long as it was not."""
        self._missed_settings = self._missed_pause = False
        self._kept: deque[_Kept] = deque(maxlen=MAX_KEPT)
        self._told_again: tuple[_Kept, ...] = ()
        self._is_cut_off = False
        """Whether there is no way to the chat now, so that nothing is tried before `tell_again`."""
        self._again_s: float | None = None

    @property
    def wake_s(self) -> float | None:
        """When `tell_again` has to be called next."""
        return self._again_s

    def begin(self, now_s: float) -> list[Action]:
        """The chat can be reached for the first time."""
        is_new, self._is_new = self._is_new, False
        return self._tell(self._settings() if is_new else [], now_s)

    # What it is told

    def tell(self, message: evi.ClientMessage, now_s: float) -> list[Action]:
        """Tell the chat something, behind what it was told before."""
        if self._is_cut_off:
            self._miss(message, now_s)
            return []
        return [Tell(message)]

    def pause(self, now_s: float, *, wanted: bool) -> list[Action]:
        """Pause or resume the agent."""
        self.is_paused = wanted
        return self.tell(self._pause(), now_s)

    def change(self, change: evi.SessionSettings, now_s: float) -> list[Action]:
        """Change the settings; EVI: `variables` replace all that there are, so all are told."""
        if change.variables is not None:
            self._our_variables |= change.variables
            change = replace(change, variables={**self._their_variables, **self._our_variables})
        self._has_context |= change.context is not None
        return self._tell(self._briefing.change(change), now_s)

    def variables_seen(self, settings: evi.SessionSettings) -> None:
        """Somebody else has changed the settings."""
        self._their_variables |= settings.variables or {}

    def set_context(self, text: str | None, now_s: float) -> list[Action]:
        """Tell the model something for all its later answers; None takes it back."""
        self._has_context = True
        return self._tell(self._briefing.set_context(text), now_s)

    def whisper(self, text: str, now_s: float) -> list[Action]:
        """Tell the model something for the rest of the chat, beside what was told before."""
        self._has_context = True
        return self._tell(self._briefing.whisper(text), now_s)

    def note(self, text: str, now_s: float) -> list[Action]:
        """Tell the model something beside the caller's next words."""
        self._has_context = True
        self._briefing.note(text)
        return self._tell(self._briefing.notes(), now_s)

    def asked(self) -> None:
        """The caller has spoken, and is about to be answered."""
        self._briefing.asked()

    def answers(self, now_s: float) -> list[Action]:
        """The model has begun to answer; what it was told for that is told no more."""
        return self._tell(self._briefing.forget_notes(), now_s)

    # What it has missed

    def missed(self, messages: Iterable[evi.ClientMessage], now_s: float) -> None:
        """The chat was not told these, or perhaps not, in this order."""
        for message in messages:
            self._miss(message, now_s)
        self._is_cut_off = True
        self._again_s = now_s + AGAIN_S

    def answered(self, tool_call_id: str) -> None:
        """Somebody else has answered a tool call: what it missed of ours, it shall not have."""
        self._kept = deque(
            (
                kept
                for kept in self._kept
                if not isinstance(kept.message, evi.ToolResponse | evi.ToolError)
                or kept.message.tool_call_id != tool_call_id
            ),
            MAX_KEPT,
        )

    def tell_again(self, now_s: float) -> list[Action]:
        """Try to tell what was missed: it is time, or there is another way."""
        self._is_cut_off, self._again_s = False, None
        told = self._settings() if self._missed_settings else []
        if self._missed_pause:
            told.append(self._pause())
        self._missed_settings = self._missed_pause = False
        self._told_again = tuple(kept for kept in self._kept if now_s - kept.since_s <= FRESH_S)
        self._kept.clear()
        return [Tell(message) for message in (*told, *(kept.message for kept in self._told_again))]

    def leave(self, now_s: float) -> list[Action]:
        """Try once more to tell what was missed, but for settings: nothing is told after that."""
        self._missed_settings = False
        return self.tell_again(now_s)

    # Inside

    def _tell(self, messages: Iterable[evi.ClientMessage], now_s: float) -> list[Action]:
        return [action for message in messages for action in self.tell(message, now_s)]

    def _miss(self, message: evi.ClientMessage, now_s: float) -> None:
        match message:
            case evi.SessionSettings():
                self._missed_settings = True
            case evi.PauseAssistant() | evi.ResumeAssistant():
                self._missed_pause = True
            case _:
                before = (kept.since_s for kept in self._told_again if kept.message is message)
                self._kept.append(_Kept(message, next(before, now_s)))

    def _settings(self) -> list[evi.ClientMessage]:
        settings = self._briefing.settings(ChatOpening.FIRST, Conversation())
        told: list[evi.ClientMessage] = [] if settings == evi.SessionSettings() else [settings]
        if self._has_context:
            told += self._briefing.notes() or [evi.SessionSettings(context=evi.Clear.CLEAR)]
        return told

    def _pause(self) -> evi.PauseAssistant | evi.ResumeAssistant:
        return evi.PauseAssistant() if self.is_paused else evi.ResumeAssistant()
