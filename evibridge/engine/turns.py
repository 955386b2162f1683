"""When the caller speaks, when a turn is over, and when the agent is interrupted. Pure.

The only clock is the position in the caller's audio: one call of `heard` is one frame of 16 ms.

    quiet --onset--> speaking --200 ms of silence--> pausing --end-of-turn silence--> quiet
                         ^------------onset-------------|
"""

from collections import deque
from dataclasses import dataclass

FRAME_MS = 16

SILENCE_HINT_MS = 208
"""Longer than the gaps between words of one phrase, and early enough that recognition is ready when
the turn ends."""

_ONSET_FRAMES, _ONSET_WINDOW = 3, 4  # a click or the start of a cough is shorter than 48 ms
_HYSTERESIS = 0.15  # weak ends of words stay in; the detector wavers less than this on noise


@dataclass(frozen=True, slots=True)
class TurnTaking:
    """EVI's turn-taking knobs, with its defaults and ranges.

    Attributes:
        end_of_turn_silence_ms: silence that ends a turn, 500 to 3000
        speech_detection_threshold: probability from which a frame is speech, 0.0 to 1.0
        prefix_padding_ms: audio before the first speech that belongs to the utterance, 0 to 1000
        min_interruption_ms: speech over the agent that interrupts it, 50 to 2000

    Raises:
        ValueError: a knob is out of its range
    """

    end_of_turn_silence_ms: int = 800
    speech_detection_threshold: float = 0.5
    prefix_padding_ms: int = 300
    min_interruption_ms: int = 800

    def __post_init__(self) -> None:
        for name, lowest, highest in (
            ("end_of_turn_silence_ms", 500, 3000),
            ("speech_detection_threshold", 0.0, 1.0),
            ("prefix_padding_ms", 0, 1000),
            ("min_interruption_ms", 50, 2000),
        ):
            if not lowest <= getattr(self, name) <= highest:
                raise ValueError(f"{name} must be from {lowest} to {highest}.")


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller speaks; `at_ms` includes the padding, but nothing of the utterance before."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SilenceBegan:
    """A pause that may be the end: recognition of [begin_ms, end_ms) may start."""

    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """It was only a pause; the utterance goes on."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The utterance is [begin_ms, end_ms), the same as in its last `SilenceBegan`."""

    begin_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class SpeechDismissed:
    """The utterance does not count: an "uh-huh" under the agent's words, or its own echo."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class AgentInterrupted:
    """The caller has spoken over the agent for `min_interruption_ms`; once per utterance."""

    at_ms: int


TurnFact = (
    SpeechStarted | SilenceBegan | SpeechResumed | SpeechEnded | SpeechDismissed | AgentInterrupted
)


@dataclass(slots=True)
class _Utterance:
    begin_ms: int
    last_speech_ms: int
    pausing: bool = False
    speech_over_agent_ms: int = 0
    interrupted: bool = False
    agent_was_silent: bool = False


class TurnDetector:
    """Turns speech probabilities of one caller into facts about turns.

    Speech over the agent becomes a turn only if it interrupts the agent, or if the agent is silent
    at some time between its first word and its end: an answer given over the last words of a
    question counts. Otherwise it is dismissed. Each `SpeechStarted` is followed by one
    `SpeechEnded` or `SpeechDismissed` before the next.

    For an interruption only frames of speech count; pauses inside the utterance neither count nor
    start the count again.
    """

    def __init__(self, knobs: TurnTaking) -> None:
        self._knobs = knobs
        self._enter = knobs.speech_detection_threshold
        self._leave = max(0.0, self._enter - _HYSTERESIS)
        self._now_ms = 0
        self._previous_end_ms = 0
        self._recent = deque([False] * _ONSET_WINDOW, maxlen=_ONSET_WINDOW)
        self._utterance: _Utterance | None = None

    def heard(self, probability: float, *, agent_speaking: bool) -> list[TurnFact]:
        """Take the next 16 ms of audio.

        Args:
            probability: that somebody speaks in it, 0 to 1
            agent_speaking: whether the caller hears the agent during this frame
        """
        self._now_ms += FRAME_MS
        self._recent.append(probability >= self._enter)
        facts = self._follow(probability)
        if self._utterance is not None:
            self._utterance.agent_was_silent |= not agent_speaking
            facts += self._weigh_interruption(self._utterance, agent_speaking=agent_speaking)
            facts += self._end_turn(self._utterance)
        return facts

    def _follow(self, probability: float) -> list[TurnFact]:
        """Move between quiet, speaking and pausing; the end of the turn is decided later."""
        utterance = self._utterance
        if utterance is None:
            return self._start() if self._onset() else []
        if utterance.pausing:
            if not self._onset():
                return []
            utterance.pausing = False
            utterance.last_speech_ms = self._now_ms
            return [SpeechResumed(self._onset_ms())]
        if probability >= self._leave:
            utterance.last_speech_ms = self._now_ms
        elif self._now_ms - utterance.last_speech_ms >= SILENCE_HINT_MS:
            utterance.pausing = True
            return [SilenceBegan(utterance.begin_ms, self._now_ms)]
        return []

    def _start(self) -> list[TurnFact]:
        begin_ms = max(self._onset_ms() - self._knobs.prefix_padding_ms, self._previous_end_ms)
        self._utterance = _Utterance(begin_ms, last_speech_ms=self._now_ms)
        return [SpeechStarted(begin_ms)]

    def _weigh_interruption(self, utterance: _Utterance, *, agent_speaking: bool) -> list[TurnFact]:
        if utterance.interrupted or not agent_speaking or utterance.last_speech_ms < self._now_ms:
            return []
        utterance.speech_over_agent_ms += FRAME_MS
        if utterance.speech_over_agent_ms < self._knobs.min_interruption_ms:
            return []
        utterance.interrupted = True
        return [AgentInterrupted(self._now_ms)]

    def _end_turn(self, utterance: _Utterance) -> list[TurnFact]:
        silence_ms = self._now_ms - utterance.last_speech_ms
        if silence_ms < self._knobs.end_of_turn_silence_ms:
            return []
        self._utterance = None
        self._previous_end_ms = utterance.last_speech_ms + SILENCE_HINT_MS
        if utterance.interrupted or utterance.agent_was_silent:
            return [SpeechEnded(utterance.begin_ms, self._previous_end_ms)]
        return [SpeechDismissed(self._now_ms)]

    def _onset(self) -> bool:
        return sum(self._recent) >= _ONSET_FRAMES

    def _onset_ms(self) -> int:
        """Where the first frame of speech among the recent ones begins."""
        first = self._recent.index(True)
        return self._now_ms - (len(self._recent) - first) * FRAME_MS
