"""When a chat has been silent, or has lasted, for too long. Pure."""

import math
from dataclasses import dataclass
from typing import Literal

MAX_CHAT_S = 1800.0
"""EVI ends every chat after 30 minutes, also where its configuration sets no limit."""


@dataclass(frozen=True, slots=True)
class EventMessage:
    """What the agent says by itself on an occasion.

    Attributes:
        text: spoken as it is; without it the mind finds the words
    """

    enabled: bool = True
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ChatLimits:
    """How long a chat may take for what, under EVI's names and defaults.

    Attributes:
        inactivity_s: time without a message of the caller that ends the chat; None for ever
        max_duration_s: longest chat; None for EVI's own bound of 30 minutes
        tool_timeout_s: how long a client may take to answer a tool call (UNCONFIRMED U13)
        nudge_interval_s: silence after which the agent speaks up; None for never
    """

    inactivity_s: float | None = 120.0
    max_duration_s: float | None = MAX_CHAT_S
    tool_timeout_s: float = 30.0
    nudge_interval_s: float | None = None
    on_new_chat: EventMessage = EventMessage()
    on_inactivity: EventMessage = EventMessage()
    on_max_duration: EventMessage = EventMessage()


CHECK_IN_GRACE_S = 15.0
"""Between the end of the check-in and that of an inactive chat."""
PAUSE_S = 3.0
"""Between the agent's last word and the check-in: a caller who was listening may answer."""
WORDS_S = 2.0
"""From speech to the message that comes of it: silence that ends the turn, and recognition."""
MAX_WORDS_S = 30.0
"""How long speech without a message, such as that of a television, may put the end off."""
LAST_WORDS_S = 15.0
"""For the notice that the longest chat is over."""
AFTER_LAST_WORDS_S = 0.5
"""Between the estimated end of the notice and the close: what networks and players add."""

Due = Literal["nudge", "check_in", "inactive", "notice", "too_long"]


class Timeouts:
    """Tells what the passing of time makes due, each thing once.

    Args:
        now_s: the clock of all methods, in seconds
    """

    def __init__(self, limits: ChatLimits, now_s: float) -> None:
        self._limits = limits
        self._spoke_s = now_s
        """When the caller last said something, or the chat began."""
        self._nudged_s = now_s
        self._sounded_s = -math.inf
        self._ends_s = now_s + min(limits.max_duration_s or MAX_CHAT_S, MAX_CHAT_S)
        self._checked_in_s: float | None = None
        self._noticed_s: float | None = None

    def caller_spoke(self, now_s: float) -> None:
        """The caller said or typed something."""
        self._spoke_s = now_s
        self._checked_in_s = None

    def silence_begins(self, now_s: float) -> None:
        """The agent may speak again: what was silence before does not count for a nudge."""
        self._nudged_s = now_s

    def caller_is_speaking(self, now_s: float) -> None:
        """There is speech that is no message yet: it is not cut short, and no silence."""
        self._nudged_s = self._sounded_s = now_s

    def next_s(self, voice_ends_s: float | None, *, may_nudge: bool) -> float | None:
        """When something is due if nothing happens until then; None while that is unknown.

        Args:
            voice_ends_s: when the agent falls or fell silent, None while it has more to say
            may_nudge: whether silence is a reason to speak
        """
        if self._noticed_s is not None:
            return self._last_words_over_s(voice_ends_s)
        times = [self._ends_s, self._inactive_s(voice_ends_s)]
        if may_nudge:
            times.append(self._nudge_s(voice_ends_s))
        return min(at_s for at_s in times if at_s is not None)

    def due(self, now_s: float, voice_ends_s: float | None, *, may_nudge: bool) -> Due | None:
        """Return what is due now, the most important first; the arguments are as in `next_s`."""
        if self._noticed_s is not None:
            return "too_long" if now_s >= self._last_words_over_s(voice_ends_s) else None
        if now_s >= self._ends_s:
            if not self._limits.on_max_duration.enabled:
                return "too_long"
            self._noticed_s = now_s
            return "notice"
        if _is_past(self._inactive_s(voice_ends_s), now_s):
            if self._checked_in_s is not None or not self._limits.on_inactivity.enabled:
                return "inactive"
            self._checked_in_s = now_s
            return "check_in"
        if may_nudge and _is_past(self._nudge_s(voice_ends_s), now_s):
            self._nudged_s = now_s
            return "nudge"
        return None

    def _last_words_over_s(self, voice_ends_s: float | None) -> float:
        assert self._noticed_s is not None
        latest_s = self._noticed_s + LAST_WORDS_S
        return latest_s if voice_ends_s is None else min(latest_s, self._spoken_s(voice_ends_s))

    def _spoken_s(self, voice_ends_s: float) -> float:
        assert self._noticed_s is not None
        return max(self._noticed_s, voice_ends_s) + AFTER_LAST_WORDS_S

    def _inactive_s(self, voice_ends_s: float | None) -> float | None:
        """When the check-in, or after it the end, is due; never in the middle of a sentence."""
        if self._limits.inactivity_s is None or voice_ends_s is None:
            return None
        if self._checked_in_s is not None:
            at_s = max(self._checked_in_s, voice_ends_s) + CHECK_IN_GRACE_S
        else:
            at_s = max(self._spoke_s + self._limits.inactivity_s, voice_ends_s + PAUSE_S)
        return max(at_s, min(self._sounded_s + WORDS_S, at_s + MAX_WORDS_S))

    def _nudge_s(self, voice_ends_s: float | None) -> float | None:
        if self._limits.nudge_interval_s is None or voice_ends_s is None:
            return None
        quiet_since_s = max(self._spoke_s, self._nudged_s, voice_ends_s)
        return quiet_since_s + self._limits.nudge_interval_s


def _is_past(at_s: float | None, now_s: float) -> bool:
    return at_s is not None and now_s >= at_s
