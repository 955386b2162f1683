"""What was said in one call, by whom, and what of the agent's words reached the caller's ear."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from evibridge.audio.playout import Heard

MAX_LINES = 500
"""About an hour of talk; of a longer call the oldest lines are forgotten."""
MAX_TEXT = 16_000
"""Characters of a segment; a server that sends more has gone astray."""
MAX_SEGMENTS = 64
"""Of one utterance; a server sends one sentence under one id, or a few."""
ROUNDING_MS = 0.01
"""Lengths are sums of many floats."""
MS_PER_CHARACTER = 60.0
"""Of speech, on the quick side of common voices (50 to 80): tells how long a sentence will be whose
audio has not all come."""

UNNAMED = "~unnamed "
"""Begins the ids of utterances that the server has announced without one."""
SPEAKERS: Mapping[str, str] = {"agent": "You", "caller": "Caller"}
"""For the model; operators have names."""
MAX_RETOLD = 40
MAX_RETOLD_CHARACTERS = 4000
"""Some minutes of talk."""
RETOLD = "You are in the middle of a call that was cut off for a moment. What was said so far:"


@dataclass(frozen=True, slots=True)
class Line:
    """Something that was said. The texts are personal data, so that `repr()` leaves them out.

    Attributes:
        who: said it
        at_s: when it was announced, on the session's clock
        text: all of it
        utterance_id: of the agent's sentence; None if the caller said it
        sent_ms: audio of the agent that was handed to the caller's side
        heard_ms: how much of that was played, as far as marks and the clock tell
        text_heard: the words until then
        is_over: nothing more of it will be heard
        by: name of the operator who said it; None for the other two
    """

    who: Literal["agent", "caller", "operator"]
    at_s: float
    text: str = field(repr=False)
    text_heard: str = field(repr=False)
    utterance_id: str | None = None
    sent_ms: float = 0.0
    heard_ms: float = 0.0
    is_over: bool = True
    by: str | None = None

    def counted_from(self, begin_s: float) -> "Line":
        """The same, its `at_s` counted from another moment."""
        # For hundreds of lines at a time: `replace` takes more than twice as long.
        return Line(
            self.who,
            self.at_s - begin_s,
            self.text,
            self.text_heard,
            self.utterance_id,
            self.sent_ms,
            self.heard_ms,
            self.is_over,
            self.by,
        )


@dataclass(slots=True)
class _Utterance:
    id: str
    at_s: float
    segments: list[tuple[str, float]]
    """Texts that were announced under the id, each with the audio sent before it, in ms."""
    sent_ms: float = 0.0
    heard_ms: float = 0.0
    is_spoken: bool = False
    """Whether any of its audio has come, if only of no length."""
    is_complete: bool = False
    """Whether all of its audio has come."""
    is_broken_off: bool = False
    """Whether that will never be."""
    is_over: bool = False
    last_line: Line | None = None
    """As it was when it was over: from then on nothing changes."""

    @property
    def text(self) -> str:
        return " ".join(text for text, _ in self.segments)

    def text_until(self, heard_ms: float) -> str:
        """The words heard in this time: whole segments, and of the last a part in proportion."""
        if not self.sent_ms:
            return ""
        if self.is_complete and heard_ms > self.sent_ms - ROUNDING_MS:
            return self.text
        words: list[str] = []
        ends_ms = [*(begin_ms for _, begin_ms in self.segments[1:]), self._length_ms()]
        for (text, begin_ms), end_ms in zip(self.segments, ends_ms, strict=False):
            if heard_ms <= begin_ms:
                break
            share = 1.0 if heard_ms >= end_ms else (heard_ms - begin_ms) / (end_ms - begin_ms)
            said = text.split()
            words += said[: int(len(said) * share)]
        return " ".join(words)

    def line(self, playing_ms: Mapping[str, float]) -> Line:
        if self.last_line is not None:
            return self.last_line
        heard_ms = self.heard_ms
        if not self.is_over:
            heard_ms += playing_ms.get(self.id, 0.0)
        line = Line(
            "agent",
            self.at_s,
            self.text,
            self.text_until(heard_ms),
            self.id,
            self.sent_ms,
            heard_ms,
            self.is_over,
        )
        if self.is_over:
            self.last_line = line
        return line

    def _length_ms(self) -> float:
        if self.is_complete or not self.segments:
            return self.sent_ms
        text, begin_ms = self.segments[-1]
        return max(self.sent_ms, begin_ms + len(text) * MS_PER_CHARACTER)


class Conversation:
    """The lines of a call, oldest first."""

    def __init__(self) -> None:
        self._lines: deque[Line | _Utterance] = deque(maxlen=MAX_LINES)
        self._open: dict[str, _Utterance] = {}

    def caller_said(self, text: str, now_s: float) -> None:
        """The caller has said something to its end."""
        text = text[:MAX_TEXT]
        self._lines.append(Line("caller", now_s, text, text))

    def operator_said(self, text: str, by: str, now_s: float) -> None:
        """An operator of this name has said something to the caller."""
        text = text[:MAX_TEXT]
        self._lines.append(Line("operator", now_s, text, text, by=by))

    def agent_says(self, utterance_id: str, text: str, now_s: float) -> None:
        """The text of an utterance, or of one more segment of it; its audio follows."""
        for other in self._open.values():
            if other.id != utterance_id and not other.is_broken_off:
                other.is_complete = True
        utterance = self._utterance(utterance_id, now_s)
        segments, text = utterance.segments, text[:MAX_TEXT]
        if segments and segments[-1][1] == utterance.sent_ms:  # nothing of the last one has come
            segments[-1] = (f"{segments[-1][0]} {text}"[:MAX_TEXT], utterance.sent_ms)
        elif len(segments) < MAX_SEGMENTS:
            segments.append((text, utterance.sent_ms))

    def audio_sent(self, utterance_id: str, duration_ms: float, now_s: float) -> None:
        """Audio of an utterance was handed to the caller's side.

        EVI: a text may come without the id of its audio: it belongs to the next audio.
        """
        utterance = self._open.get(utterance_id)
        if utterance is None:
            self._name(utterance_id)
            utterance = self._utterance(utterance_id, now_s)
        utterance.is_spoken = True
        utterance.sent_ms += duration_ms

    def _name(self, utterance_id: str) -> None:
        for name, utterance in self._open.items():
            if name.startswith(UNNAMED) and not utterance.is_spoken:
                del self._open[name]
                utterance.id = utterance_id
                self._open[utterance_id] = utterance
                return

    def broken_off(self) -> None:
        """No more audio comes, though more was to come of a sentence."""
        for utterance in self._open.values():
            utterance.is_broken_off = not utterance.is_complete

    def turn_ended(self) -> None:
        """No more audio comes for what was announced so far."""
        for utterance in self._open.values():
            utterance.is_complete = True

    def turn_begins(self) -> None:
        """What an earlier turn has announced and not spoken will not be spoken any more."""
        for utterance in [each for each in self._open.values() if not each.is_spoken]:
            utterance.is_over = True
            del self._open[utterance.id]

    @property
    def unfinished(self) -> str:
        """The sentence whose audio is still coming, "" if none is."""
        coming = (each for each in self._open.values() if not each.is_complete)
        return next((each.text for each in coming if not each.is_broken_off), "")

    def heard(self, heard: Heard) -> None:
        """So much was heard of a stretch of an utterance, of which there is more."""
        self._utterance(heard.utterance_id, 0.0).heard_ms += heard.heard_ms

    def settle(self, heard: Heard) -> Line:
        """The last stretch of an utterance is over: so much of it was heard."""
        utterance = self._utterance(heard.utterance_id, 0.0)
        del self._open[heard.utterance_id]
        utterance.heard_ms += heard.heard_ms
        utterance.is_over = True
        return utterance.line({})

    def settle_unheard(self) -> list[Line]:
        """What was announced and is still open is over: no audio of it was sent since."""
        utterances = list(self._open.values())
        self._open.clear()
        for utterance in utterances:
            utterance.is_over = True
        return [utterance.line({}) for utterance in utterances]

    def lines(self, playing: Iterable[Heard] = ()) -> tuple[Line, ...]:
        """Everything that is remembered.

        Args:
            playing: how far the utterances are that are being played
        """
        playing_ms = {heard.utterance_id: heard.heard_ms for heard in playing}
        return tuple(
            line if isinstance(line, Line) else line.line(playing_ms) for line in self._lines
        )

    def retold(self) -> str:
        """The last lines, for a model that knows nothing of them; "" if nothing was said."""
        # What is not over is in the play buffer, and will be heard.
        texts = [
            (
                SPEAKERS.get(line.who) or f"{line.by}, in your place",
                line.text_heard if line.is_over or not line.sent_ms else line.text,
            )
            for line in self.lines()
        ]
        lines = [f"{speaker}: {text[-MAX_RETOLD_CHARACTERS:]}" for speaker, text in texts if text]
        if not lines:
            return ""
        lines = lines[-MAX_RETOLD:]
        while len(lines) > 1 and sum(map(len, lines)) > MAX_RETOLD_CHARACTERS:
            del lines[0]
        return "\n".join((RETOLD, *lines))

    def _utterance(self, utterance_id: str, now_s: float) -> _Utterance:
        utterance = self._open.get(utterance_id)
        if utterance is None:
            while len(self._open) >= MAX_LINES:  # announced, and never spoken
                del self._open[next(iter(self._open))]
            utterance = self._open[utterance_id] = _Utterance(utterance_id, now_s, [])
            self._lines.append(utterance)
        return utterance
