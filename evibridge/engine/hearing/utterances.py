"""Which stretches of the caller's audio are recognised, and when their text counts. Pure.

Recognition starts at the first hint of an end, so that its time is spent inside the silence that
decides whether the utterance is over. If the caller goes on, its result is thrown away.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

from evibridge.engine.hearing.turns import (
    AgentInterrupted,
    SilenceBegan,
    SpeechCounts,
    SpeechDismissed,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
    TurnFact,
)

MAX_WAITING = 8
"""Final utterances whose text is not known yet: with more, recognition has fallen hopelessly
behind, and the oldest is lost."""

INTERIM_EVERY_MS = 700
"""Speech after which it is recognised anew while the caller goes on."""
_INTERIM_SHARE = 8
"""Of a long utterance, an eighth of its length: recognising all of it takes longer each time."""


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
class HeardSoFar:
    """What the caller is saying, provisionally; the `Heard` of the same utterance follows."""

    text: str
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Heard:
    """The caller has said something, finally; utterances come in the order of their audio."""

    text: str
    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class TurnOver:
    """The turn is over, and all that was heard of it has been told.

    Attributes:
        outcome: "understood" when there was a word; else "lost" when recognition failed; else
            "noise", which is told only when it has interrupted the agent
    """

    outcome: Literal["understood", "lost", "noise"]


Step = Recognise | Abandon | HeardSoFar | Heard | TurnOver


@dataclass(slots=True)
class _Utterance:
    """What is known of an utterance.

    Attributes:
        number: of the recognition that runs
        text: what the last recognition has found, None when it has failed
        known: whether `text` is that of the whole utterance
        shown: the last provisional text that was told
    """

    begin_ms: int
    end_ms: int
    number: int | None = None
    text: str | None = None
    known: bool = False
    shown: str = ""
    pausing: bool = False
    counts: bool = False
    interrupts: bool = False


class _EndOfTurn:
    """Stands behind the last utterance of a turn."""


@dataclass(slots=True)
class _Turn:
    """What the utterances of a turn have come to so far."""

    understood: bool = False
    lost: bool = False
    interrupted: bool = False


class Utterances:
    """Turns facts about speech and results of recognition into what the caller said.

    Args:
        interim: whether provisional texts are told as well
    """

    def __init__(self, *, interim: bool = False) -> None:
        self._interim = interim
        self._count = 0
        self._open: _Utterance | None = None
        self._final: deque[_Utterance | _EndOfTurn] = deque()
        self._turn = _Turn()

    @property
    def open(self) -> bool:
        """True while an utterance is going on: its audio must be kept."""
        return self._open is not None

    @property
    def in_turn(self) -> bool:
        """True from the first sound of a turn until all that was heard of it has been told."""
        return self.open or bool(self._final) or self._turn != _Turn()

    def told(self, fact: TurnFact) -> list[Step]:
        """Take a fact from the turn detector."""
        match fact:
            case SpeechStarted(at_ms):
                self._open = _Utterance(at_ms, at_ms)
                return []
            case TurnEnded():
                self._final.append(_EndOfTurn())
                return self._deliver()
        assert self._open is not None, "an utterance starts before anything else happens to it"
        return self._told_of(self._open, fact)

    def _told_of(self, utterance: _Utterance, fact: TurnFact) -> list[Step]:
        match fact:
            case SpeechCounts() | AgentInterrupted():
                utterance.counts = True
                utterance.interrupts |= isinstance(fact, AgentInterrupted)
                return self._show(utterance)
            case SilenceBegan(_, end_ms):
                utterance.pausing = True
                return [*_given_up(utterance), self._begin(utterance, end_ms)]
            case SpeechResumed():
                utterance.pausing = False
                return _given_up(utterance)
            case SpeechDismissed():
                self._open = None
                return _given_up(utterance)
            case _:  # it has ended
                return self._finish(utterance)

    def so_far(self, now_ms: int) -> list[Step]:
        """Recognise an utterance that is going on, if that is due; for idle ears only."""
        utterance = self._open
        if utterance is None or not self._interim or not utterance.counts or utterance.pausing:
            return []
        interval_ms = max(INTERIM_EVERY_MS, (now_ms - utterance.begin_ms) // _INTERIM_SHARE)
        if utterance.number is not None or now_ms - utterance.end_ms < interval_ms:
            return []
        return [self._begin(utterance, now_ms)]

    def recognised(self, number: int, text: str | None) -> list[Step]:
        """Take the text of a stretch: empty when nobody spoke in it, None when it is lost."""
        if self._open is not None and self._open.number == number:
            self._open.number = None
            self._open.text, self._open.known = text, self._open.pausing
            return self._show(self._open)
        for utterance in self._waiting():
            if utterance.number == number:
                utterance.text, utterance.known = text, True
        return self._deliver()

    def _begin(self, utterance: _Utterance, end_ms: int) -> Recognise:
        self._count += 1
        utterance.number, utterance.end_ms = self._count, end_ms
        return Recognise(self._count, utterance.begin_ms, end_ms)

    def _show(self, utterance: _Utterance) -> list[Step]:
        """Tell a provisional text if it is news, and not before the end of an earlier utterance."""
        if not self._interim or not utterance.counts or self._waiting():
            return []
        if not utterance.text or utterance.text == utterance.shown:
            return []
        utterance.shown = utterance.text
        return [HeardSoFar(utterance.text, utterance.begin_ms, utterance.end_ms)]

    def _finish(self, utterance: _Utterance) -> list[Step]:
        self._open = None
        self._final.append(utterance)
        waiting = self._waiting()
        if len(waiting) <= MAX_WAITING:
            return self._deliver()
        steps = _given_up(waiting[0])
        waiting[0].known = True
        return steps + self._deliver()

    def _waiting(self) -> list[_Utterance]:
        return [utterance for utterance in self._final if isinstance(utterance, _Utterance)]

    def _deliver(self) -> list[Step]:
        steps: list[Step] = []
        while self._final:
            first = self._final[0]
            if isinstance(first, _EndOfTurn):
                steps += self._turn_over()
            elif first.known:
                steps += self._conclude(first)
            else:
                break
            self._final.popleft()
        return steps

    def _conclude(self, utterance: _Utterance) -> list[Step]:
        self._turn.interrupted |= utterance.interrupts
        # A provisional text that was told needs a final one, whatever came of the recognition.
        text = utterance.text or utterance.shown
        if text:
            self._turn.understood = True
            return [Heard(text, utterance.begin_ms, utterance.end_ms)]
        self._turn.lost |= utterance.text is None
        return []

    def _turn_over(self) -> list[Step]:
        turn, self._turn = self._turn, _Turn()
        if turn.understood:
            return [TurnOver("understood")]
        if turn.lost:
            return [TurnOver("lost")]
        return [TurnOver("noise")] if turn.interrupted else []


def _given_up(utterance: _Utterance) -> list[Step]:
    """Stop the recognition that runs, and forget what the one before has found."""
    number, utterance.number = utterance.number, None
    utterance.text, utterance.known = None, False
    return [] if number is None else [Abandon(number)]
