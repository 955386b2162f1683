"""What is said in a chat, as a mirror of it tells: each thing once, however often it is replayed.

EVI: a mirror begins with the whole history of the chat, and nothing marks where that ends.
"""

from collections import deque
from dataclasses import replace
from typing import TypeVar

from evibridge.agent import evi_messages as evi
from evibridge.agent.conversation import MAX_LINES, MAX_TEXT, UNNAMED, Line

MAX_KNOWN = 4096
"""Sentences of the agent that are told apart, the newest; half an hour has some hundreds."""

_Key = TypeVar("_Key")


class _Counted:
    """Things without names in an order that is always the same: a replay's first ones are known."""

    def __init__(self) -> None:
        self._known = 0
        self._told = 0
        """By the mirror that is open."""

    def begins(self) -> None:
        self._told = 0

    def catches_up(self) -> None:
        # EVI: a replay can be cut to the newest events, so that it need not reach what is known.
        self._told = self._known = max(self._told, self._known)

    def is_new(self) -> bool:
        self._told += 1
        is_new = self._told > self._known
        self._known = max(self._known, self._told)
        return is_new


class Transcript:
    """The lines of a chat whose audio flows elsewhere; what of it was heard is not known."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=MAX_LINES)
        self._words = _Counted()
        self._unnamed = _Counted()
        self._named: dict[tuple[str, str], None] = {}
        self._sounded: dict[str, None] = {}
        self._unnamed_before = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """Everything that is remembered, oldest first."""
        return tuple(self._lines)

    def mirror_opened(self) -> None:
        """Another mirror is open: it tells everything from the beginning."""
        self._words.begins()
        self._unnamed.begins()

    def replay_ended(self) -> None:
        """From here on, what it tells has just been said."""
        self._words.catches_up()
        self._unnamed.catches_up()

    def caller_said(self, said: evi.UserMessage, now_s: float) -> bool:
        """The caller has said something to its end; returns whether that is news."""
        if not self._words.is_new():
            return False
        text = said.content[:MAX_TEXT]
        self._lines.append(Line("caller", now_s, text, text))
        return True

    def agent_says(
        self, said: evi.AssistantMessage, now_s: float, *, is_replay: bool
    ) -> str | None:
        """The agent speaks a sentence; returns the id of its utterance, None if it was known."""
        if said.id is None:
            if not self._unnamed.is_new():
                return None
            self._unnamed_before += 1
            utterance_id = f"{UNNAMED}{self._unnamed_before}"
        else:
            utterance_id = said.id
            key = (said.id, said.content)
            if is_replay and key in self._named:
                return None
            _remember(self._named, key)
        self._add(utterance_id, said.content[:MAX_TEXT], now_s)
        return utterance_id

    def agent_sounded(self, utterance_id: str | None, *, is_replay: bool) -> bool:
        """How an utterance sounds is told; returns whether that is news."""
        if utterance_id is None:
            return not is_replay
        is_new = utterance_id not in self._sounded
        _remember(self._sounded, utterance_id)
        return is_new

    def _add(self, utterance_id: str, text: str, now_s: float) -> None:
        last = self._lines[-1] if self._lines else None
        if last is not None and last.utterance_id == utterance_id:
            text = f"{last.text} {text}"[:MAX_TEXT]
            self._lines[-1] = replace(last, text=text, text_heard=text)
        else:
            self._lines.append(Line("agent", now_s, text, text, utterance_id))


def _remember(known: dict[_Key, None], key: _Key) -> None:
    known[key] = None
    if len(known) > MAX_KNOWN:
        del known[next(iter(known))]
