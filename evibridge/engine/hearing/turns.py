"""When the caller speaks, when a turn is over, and when the agent is interrupted. Pure.

The only clock is the position in the caller's audio: one call of `heard` is one frame of 16 ms.

    quiet --onset--> speaking --200 ms of silence--> pausing --800 ms of silence--> quiet
                         ^------------onset-------------|

What lies between two times of quiet is an utterance. A turn is one utterance or several: it is over
when the caller has been quiet for the end-of-turn silence.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

FRAME_MS = 16

SILENCE_HINT_MS = 208
"""Longer than the gaps between words of one phrase, and early enough that recognition is ready when
the turn ends."""

MAX_UTTERANCE_SILENCE_MS = 800
"""Silence that ends an utterance where the end-of-turn silence is longer: what was said is told
while the caller thinks about the rest."""

_ONSET_FRAMES, _ONSET_WINDOW = 3, 4  # a click or the start of a cough is shorter than 48 ms
_HYSTERESIS = 0.15  # weak ends of words stay in; the detector wavers less than this on noise

# Of speech over the agent. A cough or a bark may hold some voice, but hardly as much as a word has
# in its first 350 ms: "excuse me" is the least, 100 ms and then 200 ms of "xc".
_CERTAIN_VOICE_MS = 112
_LONGEST_UNVOICED_MS = 300
_LONGEST_CONSONANT_MS = 128
_VOICE_HANGOVER_MS = 80


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
class SpeechCounts:
    """The agent was silent during the utterance: it is not dismissed any more."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SilenceBegan:
    """A pause that may be the end of the utterance: recognition of [begin_ms, end_ms) may start."""

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
    """The caller has spoken over the agent for `min_interruption_ms`; once per utterance.

    The utterance is not dismissed any more.
    """

    at_ms: int


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The caller has been quiet for the end-of-turn silence since the last `SpeechEnded`."""

    at_ms: int


TurnFact = (
    SpeechStarted
    | SpeechCounts
    | SilenceBegan
    | SpeechResumed
    | SpeechEnded
    | SpeechDismissed
    | AgentInterrupted
    | TurnEnded
)


class Frame(Protocol):
    """16 ms of the caller's audio."""

    @property
    def probability(self) -> float:
        """That somebody speaks in it, 0 to 1."""
        ...

    def is_voiced(self) -> bool:
        """Tell whether a voice is in it; asked of speech over the agent only, for its price."""
        ...


@dataclass(slots=True)
class _Voice:
    """The voice over the agent, with gaps, and how much of it was surely a voice."""

    begin_ms: int
    last_ms: int
    voiced_ms: int = 0


@dataclass(slots=True)
class _Utterance:
    """What goes on; a voice over the agent begins at `voice_from_ms` or later."""

    begin_ms: int
    last_speech_ms: int
    voice_from_ms: int
    pausing: bool = False
    voice: _Voice | None = None
    interrupted: bool = False
    counts: bool = False


class TurnDetector:
    """Turns speech probabilities of one caller into facts about turns.

    Speech over the agent counts only if it interrupts the agent, or if the agent is silent at some
    time between its first word and its end: an answer given over the last words of a question
    counts. Otherwise it is dismissed. Each `SpeechStarted` is followed by one `SpeechEnded` or
    `SpeechDismissed` before the next, and the last `SpeechEnded` of a turn by one `TurnEnded`.

    An interruption is measured from the beginning of the speech over the agent to its end, with
    the gaps between its words. But there must be a voice in it: noises are often as long.
    """

    def __init__(self, knobs: TurnTaking) -> None:
        self._knobs = knobs
        self._enter = knobs.speech_detection_threshold
        self._leave = max(0.0, self._enter - _HYSTERESIS)
        self._utterance_silence_ms = min(knobs.end_of_turn_silence_ms, MAX_UTTERANCE_SILENCE_MS)
        self._now_ms = 0
        self._previous_end_ms = 0
        self._turn_spoke_ms: int | None = None
        """Where the speech of the turn ends so far; None when there is no turn."""
        self._recent = deque([False] * _ONSET_WINDOW, maxlen=_ONSET_WINDOW)
        self._utterance: _Utterance | None = None

    def heard(self, frame: Frame, *, agent_speaking: bool) -> list[TurnFact]:
        """Take the next 16 ms of audio.

        Args:
            frame: what is in it
            agent_speaking: whether the caller hears the agent during this frame
        """
        self._now_ms += FRAME_MS
        self._recent.append(frame.probability >= self._enter)
        facts = self._follow(frame.probability)
        if self._utterance is not None:
            facts += self._weigh(self._utterance, frame, agent_speaking=agent_speaking)
            facts += self._end_utterance(self._utterance)
        return facts + self._end_turn()

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
            utterance.voice_from_ms = self._onset_ms()
            return [SpeechResumed(utterance.voice_from_ms)]
        if probability >= self._leave:
            utterance.last_speech_ms = self._now_ms
        elif self._now_ms - utterance.last_speech_ms >= SILENCE_HINT_MS:
            utterance.pausing = True
            return [SilenceBegan(utterance.begin_ms, self._now_ms)]
        return []

    def _start(self) -> list[TurnFact]:
        onset_ms = self._onset_ms()
        begin_ms = max(onset_ms - self._knobs.prefix_padding_ms, self._previous_end_ms)
        self._utterance = _Utterance(begin_ms, last_speech_ms=self._now_ms, voice_from_ms=onset_ms)
        return [SpeechStarted(begin_ms)]

    def _weigh(
        self, utterance: _Utterance, frame: Frame, *, agent_speaking: bool
    ) -> list[TurnFact]:
        """Decide whether the utterance counts, and whether it interrupts the agent."""
        if not agent_speaking:
            utterance.voice, utterance.voice_from_ms = None, self._now_ms
            counted, utterance.counts = utterance.counts, True
            return [] if counted else [SpeechCounts(self._now_ms)]
        if utterance.interrupted:
            return []
        if utterance.last_speech_ms == self._now_ms and frame.is_voiced():
            self._add_voice(utterance)
        if not self._interrupts(utterance.voice):
            return []
        utterance.interrupted = utterance.counts = True
        return [AgentInterrupted(self._now_ms)]

    def _add_voice(self, utterance: _Utterance) -> None:
        begin_ms, voice = self._now_ms - FRAME_MS, utterance.voice
        if voice is None or begin_ms - voice.last_ms > _LONGEST_UNVOICED_MS:
            begin_ms = max(begin_ms - _LONGEST_CONSONANT_MS, utterance.voice_from_ms)
            voice = utterance.voice = _Voice(begin_ms, self._now_ms)
        voice.last_ms = self._now_ms
        voice.voiced_ms += FRAME_MS

    def _interrupts(self, voice: _Voice | None) -> bool:
        least_ms = self._knobs.min_interruption_ms
        return (
            voice is not None
            and self._now_ms - voice.begin_ms >= least_ms
            and self._now_ms - voice.last_ms <= _VOICE_HANGOVER_MS
            and voice.voiced_ms >= min(_CERTAIN_VOICE_MS, least_ms / 2)
        )

    def _end_utterance(self, utterance: _Utterance) -> list[TurnFact]:
        if self._now_ms - utterance.last_speech_ms < self._utterance_silence_ms:
            return []
        self._utterance = None
        self._previous_end_ms = utterance.last_speech_ms + SILENCE_HINT_MS
        if not utterance.counts:
            return [SpeechDismissed(self._now_ms)]
        self._turn_spoke_ms = utterance.last_speech_ms
        return [SpeechEnded(utterance.begin_ms, self._previous_end_ms)]

    def _end_turn(self) -> list[TurnFact]:
        if self._turn_spoke_ms is None or self._utterance is not None:
            return []
        if self._now_ms - self._turn_spoke_ms < self._knobs.end_of_turn_silence_ms:
            return []
        self._turn_spoke_ms = None
        return [TurnEnded(self._now_ms)]

    def _onset(self) -> bool:
        return sum(self._recent) >= _ONSET_FRAMES

    def _onset_ms(self) -> int:
        """Where the first frame of speech among the recent ones begins."""
        first = self._recent.index(True)
        return self._now_ms - (len(self._recent) - first) * FRAME_MS
