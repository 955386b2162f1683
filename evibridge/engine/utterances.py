"""Which stretches of the caller's audio are recognised, and when their text counts. Pure.

Recognition starts at the first hint of an end, so that its time is spent inside the silence that
decides whether the turn is over. If the caller goes on, its result is thrown away.
"""

from collections import deque
from dataclasses import dataclass

from evibridge.engine.turns import (
    SilenceBegan,
    SpeechDismissed,
    SpeechEnded,
    SpeechResumed,
    SpeechStarted,
    TurnFact,
)

MAX_WAITING = 8
"""Final utterances whose text is not known yet: with more, recognition has fallen hopelessly
behind, and the oldest is given up."""


@dataclass(frozen=True, slots=True)
class Recognise:
    """Start to recognise a stretch of audio."""

    number: int
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Abandon:
    """The result is not wanted any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller has said something, finally; utterances come in the order of their audio."""

    text: str
    begin_ms: int
    end_ms: int


@dataclass(slots=True)
class _Utterance:
    number: int
    begin_ms: int
    end_ms: int
    text: str | None = None


class Utterances:
    """Turns facts about speech and results of recognition into what the caller said."""

    def __init__(self) -> None:
        self._count = 0
        self._provisional: _Utterance | None = None
        self._final: deque[_Utterance] = deque()
        self.open = False
        """True while an utterance is going on: its audio must be kept."""

    def told(self, fact: TurnFact) -> list[Recognise | Abandon | Heard]:
        """Take a fact from the turn detector."""
        match fact:
            case SpeechStarted():
                self.open = True
            case SilenceBegan(begin_ms, end_ms):
                return [*self._give_up(), self._begin(begin_ms, end_ms)]
            case SpeechResumed():
                return self._give_up()
            case SpeechEnded(begin_ms, end_ms):
                self.open = False
                return self._finish(begin_ms, end_ms)
            case SpeechDismissed():
                self.open = False
                return self._give_up()
            case _:
                pass
        return []

    def recognised(self, number: int, text: str) -> list[Recognise | Abandon | Heard]:
        """Take the text of a stretch; empty when nobody spoke in it."""
        waiting = [*self._final, *([self._provisional] if self._provisional else [])]
        for utterance in waiting:
            if utterance.number == number:
                utterance.text = text
        return self._deliver()

    def _begin(self, begin_ms: int, end_ms: int) -> Recognise:
        self._count += 1
        self._provisional = _Utterance(self._count, begin_ms, end_ms)
        return Recognise(self._count, begin_ms, end_ms)

    def _give_up(self) -> list[Recognise | Abandon | Heard]:
        given_up, self._provisional = self._provisional, None
        return [Abandon(given_up.number)] if given_up else []

    def _finish(self, begin_ms: int, end_ms: int) -> list[Recognise | Abandon | Heard]:
        actions: list[Recognise | Abandon | Heard] = []
        if self._provisional is None:
            actions.append(self._begin(begin_ms, end_ms))
        assert self._provisional is not None
        self._provisional.begin_ms, self._provisional.end_ms = begin_ms, end_ms
        self._final.append(self._provisional)
        self._provisional = None
        if len(self._final) > MAX_WAITING:
            actions.append(Abandon(self._final.popleft().number))
        return actions + self._deliver()

    def _deliver(self) -> list[Recognise | Abandon | Heard]:
        heard: list[Recognise | Abandon | Heard] = []
        while self._final and self._final[0].text is not None:
            utterance = self._final.popleft()
            if utterance.text:
                heard.append(Heard(utterance.text, utterance.begin_ms, utterance.end_ms))
        return heard
